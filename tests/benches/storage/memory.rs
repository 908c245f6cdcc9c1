//! Memory of the host's program while it sends ten gigabytes, which no disk has to take: the store forgets them.

use std::time::Duration;

use roomtone_tests::{Deadline, Stage, Stopwatch, memory_mb, peak_memory_mb};

use super::null_store::NullStore;
use super::take::{self, Content};
use super::{line, shown};

const SIZE: u64 = 10_000_000_000;

const BOUND: Duration = Duration::from_secs(600);

/// What four connections hold of a part each, in MB.
const FLOOR_MB: f64 = 4.0 * 8.388_608;

pub(crate) fn measure() {
    let store = NullStore::start();
    let stage = Stage::new().with_environment(store.environment());
    let alone = {
        let host = stage.host_as("alone", &[]);
        // Looked at until it has settled.
        let mut most = None;
        Deadline::after(Duration::from_secs(3)).poll(|| {
            most = memory_mb(host.program.id());
            None::<()>
        });
        most
    };
    take::leave(&stage.data_dir("host"), SIZE, Content::Sparse);
    let watch = Stopwatch::start();
    let mut host = stage.host(&[]);
    let completed = |event: &serde_json::Value| event["event"] == "recording_completed";
    host.program.wait_for("the completion", BOUND, completed).unwrap();
    let took = watch.elapsed().as_secs_f64();
    let most = peak_memory_mb(host.program.id());
    assert!(store.taken() >= SIZE, "{} bytes arrived", store.taken());
    line("memory of a host that is alone, MB", &shown(alone, 1));
    line(
        "  more than that while it sends 10 GB (bar 64), MB",
        &shown(most.zip(alone).map(|(most, alone)| most - alone), 1),
    );
    line("  floor: a part of each of four connections, MB", &shown(Some(FLOOR_MB), 1));
    line("  (to a store that forgets; MB/s)", &shown(Some(SIZE as f64 / 1e6 / took), 0));
}
