//! A host that is killed in the middle of its upload, again and again.

use std::fs;

use roomtone_tests::{Chance, Deadline, Fault, FaultProxy, PATIENCE, SeaweedFs, Stage, Stopwatch};

use super::finished::Finished;

/// Kills, and the size of the recording in bytes; `ROOMTONE_UPLOAD_KILLS` asks for more, and for a gigabyte.
const KILLS: u64 = 3;
const SIZE: u64 = 100_000_000;
const LARGE: u64 = 1_000_000_000;

/// Bytes a part.
const PART: u64 = 8 << 20;

/// Parts on their way at once.
const PARALLEL: u64 = 4;

/// Bytes a second of each part, so that there is a middle to be killed in.
const RATE: u64 = 60_000_000;

#[test]
fn a_host_that_is_killed_goes_on_with_its_parts_and_sends_none_more_often_than_it_must() {
    let asked = std::env::var("ROOMTONE_UPLOAD_KILLS").ok().map(|kills| kills.parse::<u64>().unwrap());
    let (kills, size) = asked.map_or((KILLS, SIZE), |kills| (kills, LARGE));
    let seed = Chance::seed();
    println!("ROOMTONE_SEED={seed}, {kills} kills, {size} bytes");
    let stage = Stage::new();
    let server = SeaweedFs::start(stage.place());
    let bucket = server.bucket("talks");
    bucket.create().unwrap();
    let proxy = FaultProxy::start(&server.endpoint());
    let stage = stage.with_environment(server.environment("talks"));
    let stage = stage.with_environment(vec![("S3_RECORDING_ENDPOINT", proxy.endpoint())]);
    let finished = Finished::write(&stage, seed, size);
    proxy.plan(|asked| asked.part().is_some(), Fault::Slow(RATE), usize::MAX);

    let mut chance = Chance::new(seed);
    let watch = Stopwatch::start();
    let body = || proxy.passed().iter().map(|passed| passed.body).sum::<u64>();
    for kill in 0..kills {
        let mut host = stage.host(&[]);
        // What is killed on its way goes again: this stays in the middle.
        let until = body() + chance.within(1..size / (2 * (kills + 1)));
        let reached = Deadline::after(PATIENCE).poll(|| (body() >= until).then_some(()));
        assert!(reached.is_some(), "the upload stands still before kill {kill}");
        host.program.kill().unwrap();
        assert_eq!(bucket.keys().unwrap(), [] as [String; 0], "it was killed in the middle");
    }
    let mut host = stage.host(&[]);
    let what = "the completion";
    let seen = host.program.wait_for(what, PATIENCE * 2, |event| event["event"] == "recording_completed").unwrap();
    assert_eq!(seen["recording"], *finished.recording);
    let (parts, sent) = (size.div_ceil(PART), proxy.whole_parts() as u64);
    println!("{parts} parts, {sent} sent, {kills} kills, {:.1} s", watch.elapsed().as_secs_f64());
    assert!(sent >= parts && sent <= parts + kills * PARALLEL, "{sent} parts were sent of {parts}");
    let begun = proxy.passed().iter().filter(|passed| passed.asked.part().is_some()).count() as u64;
    assert!(begun <= parts + kills * PARALLEL, "{begun} parts were begun of {parts}");
    finished.is_in(&bucket, seen["key"].as_str().unwrap());
    assert_eq!(bucket.unfinished().unwrap(), []);
    let left = fs::read_dir(stage.data_dir("host").join("parts")).unwrap().count();
    assert_eq!(left, 0, "a finished upload needs no ledger");
    host.program.stop(PATIENCE).unwrap();
}
