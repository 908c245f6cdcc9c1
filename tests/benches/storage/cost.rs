//! Processor time of an upload: the host's program sends a gigabyte to SeaweedFS with four parts on their way at a time,
//! and so does the AWS command line; beside them the least that it could take.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use roomtone_tests::{SeaweedFs, Stage, children_processor_s, processor_s};
use sha2::{Digest as _, Sha256};

use super::take::{self, Content};
use super::{line, shown};

const SIZE: u64 = 1_000_000_000;

/// How often: the least counts, for nothing makes it too small.
const RUNS: usize = 3;

const BOUND: Duration = Duration::from_secs(300);

/// Names the program; `cargo xtask bench storage` installs it.
const AWS: &str = "ROOMTONE_AWS";

/// Processor time of a host that finds this recording and publishes it, in seconds.
fn ours(server: &SeaweedFs, run: usize) -> Option<f64> {
    let stage = Stage::new().with_environment(server.environment("cost"));
    let alone = {
        let host = stage.host_as("alone", &[]);
        processor_s(host.program.id())
    };
    let who = format!("host-{run}");
    take::leave(&stage.data_dir(&who), SIZE, Content::Drawn);
    let mut host = stage.host_as(&who, &[]);
    let completed = |event: &serde_json::Value| event["event"] == "recording_completed";
    let seen = host.program.wait_for("the completion", BOUND, completed).unwrap();
    let took = processor_s(host.program.id());
    server.bucket("cost").delete(seen["key"].as_str().unwrap()).unwrap();
    took.zip(alone).map(|(took, alone)| took - alone)
}

/// Processor time of `aws s3 cp` of a file of the same size, in seconds.
fn theirs(server: &SeaweedFs, path: &Path) -> Option<f64> {
    let aws = std::env::var_os(AWS)?;
    let before = children_processor_s()?;
    let mut command = Command::new(aws);
    command.args(["s3", "cp", "--only-show-errors", "--endpoint-url", &server.endpoint()]);
    command.arg(path).arg("s3://cost/theirs.wav").stdin(Stdio::null());
    let status = command.envs(server.environment("cost")).env("AWS_DEFAULT_REGION", "us-east-1").status().unwrap();
    assert!(status.success(), "aws s3 cp: {status}");
    let took = children_processor_s()? - before;
    server.bucket("cost").delete("theirs.wav").unwrap();
    Some(took)
}

/// Processor time to read a file, hash it once, as the metadata wants it, and write it to a socket, in seconds.
fn least(path: &Path) -> Option<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut piece = vec![0; 1 << 20];
        while socket.read(&mut piece).unwrap() > 0 {}
    });
    // On a thread of its own, whose processor time is told apart.
    thread::spawn({
        let path = path.to_owned();
        move || {
            let (mut file, mut socket) = (File::open(path).unwrap(), TcpStream::connect(address).unwrap());
            let (mut piece, mut hash) = (vec![0; 8 << 20], Sha256::new());
            loop {
                let read = file.read(&mut piece).unwrap();
                if read == 0 {
                    break;
                }
                hash.update(&piece[..read]);
                socket.write_all(&piece[..read]).unwrap();
            }
            std::hint::black_box(hash.finalize());
            thread_s()
        }
    })
    .join()
    .unwrap()
}

/// Processor time of this thread so far, in seconds (Linux, Documentation/scheduler/sched-stats).
fn thread_s() -> Option<f64> {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(account.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}

fn least_of(figures: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    figures.collect::<Option<Vec<f64>>>()?.into_iter().min_by(f64::total_cmp)
}

pub(crate) fn measure() {
    let place = tempfile::Builder::new().prefix("roomtone-bench-").tempdir().unwrap();
    let server = SeaweedFs::start(place.path());
    server.bucket("cost").create().unwrap();
    let path = place.path().join("take.wav");
    take::write(&path, SIZE, Content::Drawn);
    let (mut our, mut their) = (Vec::new(), Vec::new());
    // In turn, so that both see the same machine.
    for run in 0..RUNS {
        our.push(ours(&server, run));
        their.push(theirs(&server, &path));
    }
    let (our, their) = (least_of(our.into_iter()), least_of(their.into_iter()));
    let floor = least_of((0..RUNS).map(|_| least(&path)));
    let a_gb = |figure: Option<f64>| shown(figure.map(|figure| figure * 1e9 / SIZE as f64), 2);
    line("uploader, CPU s per GB, 4 parts at a time (bar .8, aim .55)", &a_gb(our));
    line("  aws s3 cp of the same size, CPU s per GB", &a_gb(their));
    line("  ours to theirs (bar .5)", &shown(our.zip(their).map(|(our, their)| our / their), 2));
    line("  floor: read, hashed once and written to a socket, CPU s", &a_gb(floor));
}
