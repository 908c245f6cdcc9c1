//! What a host does by itself: end a recording at its limit, begin one when enough people are there, and remove local
//! copies that the bucket has.

use roomtone_tests::signal::Speaker;
use roomtone_tests::{Deadline, Host, PATIENCE, Stage, now_unix_ms};
use serde_json::Value;

/// Another recording than `before` begins.
fn begun(host: &mut Host, before: &str) -> String {
    let begins = |event: &Value| {
        let running = event["state"] == "recording" || event["state"] == "preparing";
        event["event"] == "recording_state" && running && event["recording"] != before
    };
    let event = host.program.wait_for("a recording that begins", PATIENCE, begins).unwrap();
    event["recording"].as_str().unwrap().to_owned()
}

#[test]
fn a_recording_ends_at_its_limit_to_the_frame() {
    let stage = Stage::new();
    let mut host = stage.host(&["--time-limit", "5s"]);
    stage.prepare(&[Speaker(1)], 60);
    let microphone = stage.microphone(Speaker(1), 60, (now_unix_ms() + 500.0).round());
    let ada = stage.join(&host.invite, "Ada", &microphone, &[]);
    host.person("participant_joined", "Ada");
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let outcome = host.completed(started["recording"].as_str().unwrap());
    let frames = outcome.metadata["frames"].as_u64().unwrap();
    assert!(frames.abs_diff(5 * 48_000) <= 1, "{frames} frames");
    assert!(outcome.gapless, "{}", outcome.metadata);
    assert!(ada.stop(PATIENCE).unwrap().status.success());
}

#[test]
fn it_begins_when_enough_are_there_and_not_again_until_there_were_fewer() {
    let stage = Stage::new();
    let mut host = stage.host(&["--auto-record", "2", "--keep-local", "1s"]);
    stage.prepare(&[Speaker(1), Speaker(2)], 60);
    let microphone = |speaker| stage.microphone(speaker, 60, (now_unix_ms() + 500.0).round());
    let ada = stage.join(&host.invite, "Ada", &microphone(Speaker(1)), &["--stay"]);
    host.person("participant_joined", "Ada");
    let status = || stage.ask(&["record", &host.invite, "status"]).unwrap();
    assert_eq!(status()["recording"], Value::Null, "one is not enough");
    let ben = stage.join(&host.invite, "Ben", &microphone(Speaker(2)), &["--stay"]);
    let first = begun(&mut host, "");
    host.recorded(&first, 2_000);
    let invite = host.invite.clone();
    let stopped = stage.ask(&["record", &invite, "stop", "--wait"]).unwrap();
    assert_eq!(stopped["recording"], first.as_str());
    let status = || stage.ask(&["record", &invite, "status"]).unwrap();
    assert_eq!(status()["recording"], Value::Null, "whoever stopped it meant it");

    // The bucket has it: the local copy goes, and the recording stays in the list.
    let folder = stage.data_dir("host").join("recordings").join(&first);
    let gone = Deadline::after(PATIENCE).poll(|| (!folder.exists()).then_some(()));
    assert!(gone.is_some(), "{} is still there", folder.display());
    let list = stage.ask(&["recordings", &invite, "list"]).unwrap().to_string();
    assert!(list.contains(&first), "{list}");

    assert!(ben.stop(PATIENCE).unwrap().status.success());
    host.person("participant_left", "Ben");
    let ben = stage.join(&invite, "Ben", &microphone(Speaker(2)), &["--stay"]);
    let second = begun(&mut host, &first);
    for person in [ada, ben] {
        assert!(person.stop(PATIENCE).unwrap().status.success());
    }
    let completed = |event: &Value| event["event"] == "recording_completed" && event["recording"] == second.as_str();
    host.program.wait_for("the second one's completion", PATIENCE, completed).unwrap();
}
