//! Everybody's computer is kept awake while something is recorded, and no longer.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use roomtone_tests::signal::Speaker;
use roomtone_tests::{Deadline, PATIENCE, Stage, now_unix_ms};

const ADA: Speaker = Speaker(1);
const SOURCE_S: usize = 60;

/// Stands in for the system's own program: writes down when it is asked to keep the computer awake, and when no longer.
const INHIBITOR: &str = r#"#!/bin/sh
log="$(dirname "$0")/log"
for last; do :; done
echo "awake $1" >>"$log"
"$last"
echo asleep >>"$log"
"#;

/// Waits until the computers were kept awake so often, and let go so often.
fn kept(log: &Path, awake: usize, asleep: usize) -> String {
    let count = |log: &str, word: &str| log.lines().filter(|line| line.starts_with(word)).count();
    let read = || fs::read_to_string(log).unwrap_or_default();
    let reached = Deadline::after(PATIENCE).poll(|| {
        let log = read();
        (count(&log, "awake") == awake && count(&log, "asleep") == asleep).then_some(log)
    });
    reached.unwrap_or_else(|| panic!("not {awake} times awake and {asleep} times let go: {}", read()))
}

#[test]
fn host_and_guest_stay_awake_while_something_is_recorded_and_a_program_that_is_killed_lets_go() {
    let programs = tempfile::tempdir().unwrap();
    let (inhibitor, log) = (programs.path().join("systemd-inhibit"), programs.path().join("log"));
    fs::write(&inhibitor, INHIBITOR).unwrap();
    fs::set_permissions(&inhibitor, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    let stage = Stage::new().with_environment(vec![("PATH", path)]);
    stage.prepare(&[ADA], SOURCE_S);
    let mut host = stage.host(&[]);
    let ada = stage.join(&host.invite, "Ada", &stage.microphone(ADA, SOURCE_S, now_unix_ms()), &["--stay"]);
    host.person("participant_joined", "Ada");
    assert!(!log.exists(), "nothing is recorded yet");
    stage.ask(&["record", &host.invite, "start"]).unwrap();
    let told = kept(&log, 2, 0);
    assert!(told.contains("awake --what=idle:sleep"), "{told}");
    stage.ask_within(&["record", &host.invite, "stop", "--wait"], PATIENCE * 2).unwrap();
    kept(&log, 2, 2);
    stage.ask(&["record", &host.invite, "start"]).unwrap();
    kept(&log, 4, 2);
    host.program.kill().unwrap();
    kept(&log, 4, 3);
    assert!(ada.stop(PATIENCE).unwrap().status.success());
    kept(&log, 4, 4);
}
