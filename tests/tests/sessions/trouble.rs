//! A recording that cannot go on takes nobody with it.

use std::fs;

use roomtone_tests::signal::{Speaker, read_time_code};
use roomtone_tests::{Outcome, PATIENCE, Stage, now_unix_ms};
use serde_json::Value;

const ADA: Speaker = Speaker(1);

#[test]
fn when_a_recording_fails_everybody_is_told_and_the_room_goes_on() {
    let stage = Stage::new();
    let mut host = stage.host(&[]);
    let mut ada = stage.join(&host.invite, "Ada", &stage.microphone(ADA, 60, now_unix_ms()), &[]);
    host.person("participant_joined", "Ada");
    // Where journals should be made there is something else. (Taking rights away would not stop root.)
    let journals = stage.data_dir("host").join("recordings");
    if journals.exists() {
        fs::remove_dir_all(&journals).unwrap();
    }
    fs::write(&journals, "not a folder").unwrap();
    // The answer tells of the recording; that it fails may be known by then or not.
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let failed = |event: &Value| event["event"] == "recording_state" && event["state"] == "failed";
    for program in [&mut host.program, &mut ada] {
        let told = program.wait_for("a recording that failed", PATIENCE, failed).unwrap();
        let why = told["failure"].as_str().unwrap_or_default();
        assert!(!why.is_empty(), "a person can act on it: {told}");
        assert!(started["recording"].is_null() || started["recording"] == told["recording"], "{started} {told}");
    }
    let status = stage.ask(&["record", &host.invite, "status"]).unwrap();
    assert_eq!(status["recording"], Value::Null, "{status}");

    fs::remove_file(&journals).unwrap();
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    host.recorded(started["recording"].as_str().unwrap(), 4_000);
    let outcome = Outcome::of(&stage.ask(&["record", &host.invite, "stop", "--wait"]).unwrap());
    assert!(outcome.gapless, "{}", outcome.metadata);
    assert!(read_time_code(&outcome.wav().channels[0], ADA).len() >= 3);
    ada.stop(PATIENCE).unwrap();
}
