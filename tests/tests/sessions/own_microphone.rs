//! The host takes part: its own microphone reaches the recorder inside the program, and is a channel like any other.

use roomtone_tests::signal::Speaker;
use roomtone_tests::{Outcome, PATIENCE, Stage, Truth, now_unix_ms};

const HANNA: Speaker = Speaker(1);
const BEN: Speaker = Speaker(2);
const SOURCE_S: usize = 60;

#[test]
fn the_hosts_voice_and_a_guests_lie_on_one_timeline() {
    let stage = Stage::new();
    stage.prepare(&[HANNA, BEN], SOURCE_S);
    let at_ms = (now_unix_ms() + 6_000.0).round();
    let mut host = stage.host(&["--mic", &stage.microphone(HANNA, SOURCE_S, at_ms), "--name", "Hanna"]);
    host.person("participant_joined", "Hanna");
    let mut ben = stage.join(&host.invite, "Ben", &stage.microphone(BEN, SOURCE_S, at_ms), &[]);
    host.person("participant_joined", "Ben");
    let recording = stage.ask(&["record", &host.invite, "start"]).unwrap()["recording"].as_str().unwrap().to_owned();
    // The others see the host speak: both levels come over the relay.
    ben.wait_for("two levels", PATIENCE, |event| {
        event["event"] == "speaking" && event["levels"].as_object().is_some_and(|levels| levels.len() == 2)
    })
    .unwrap();
    host.recorded(&recording, 12_000);
    let outcome = Outcome::of(&stage.ask(&["record", &host.invite, "stop", "--wait"]).unwrap());
    assert!(ben.stop(PATIENCE).unwrap().status.success());
    assert!(host.program.stop(PATIENCE).unwrap().status.success());
    Truth::check(&outcome, &[Truth::of_a_file("Hanna", HANNA, at_ms), Truth::of_a_file("Ben", BEN, at_ms)], SOURCE_S);
}

/// A socket of the process that could carry media has its inode in both places (proc(5)).
#[cfg(target_os = "linux")]
fn udp_sockets(process: u32) -> usize {
    let tables = ["udp", "udp6"].map(|table| std::fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap());
    let inodes: Vec<&str> = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .filter_map(|line| line.split_whitespace().nth(9))
        .collect();
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    let socket = |target: std::path::PathBuf| {
        let text = target.to_string_lossy().into_owned();
        text.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')).map(str::to_owned)
    };
    targets.filter_map(socket).filter(|inode| inodes.contains(&inode.as_str())).count()
}

#[cfg(target_os = "linux")]
#[test]
fn the_hosts_voice_needs_no_network() {
    use roomtone_tests::Deadline;

    let stage = Stage::new();
    stage.prepare(&[HANNA], SOURCE_S);
    let at_ms = (now_unix_ms() + 1_000.0).round();
    let mut host = stage.host(&["--mic", &stage.microphone(HANNA, SOURCE_S, at_ms), "--name", "Hanna"]);
    host.person("participant_joined", "Hanna");
    let recording = stage.ask(&["record", &host.invite, "start"]).unwrap()["recording"].as_str().unwrap().to_owned();
    // The remote control came over the network, and is gone a moment later.
    let process = host.program.id();
    let alone = Deadline::after(PATIENCE).poll(|| (udp_sockets(process) == 0).then_some(()));
    assert!(alone.is_some(), "{} sockets are left", udp_sockets(process));
    for seconds in 3..9 {
        host.recorded(&recording, seconds * 1_000);
        assert_eq!(udp_sockets(process), 0, "after {seconds} s");
    }
    // Ctrl-C is a Stop as well, and nobody else has to come for it.
    host.program.interrupt().unwrap();
    let outcome = host.completed(&recording);
    assert!(host.program.finish(PATIENCE).unwrap().status.success());
    Truth::check(&outcome, &[Truth::of_a_file("Hanna", HANNA, at_ms)], SOURCE_S);
}
