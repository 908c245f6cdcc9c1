//! What goes wrong is said with a stable code, an exit status, and what to do.

use std::process::Command;

use roomtone_tests::signal::Speaker;
use roomtone_tests::{PATIENCE, Program, Refusal, Stage, free_ports, now_unix_ms};

#[track_caller]
fn refused(answer: Result<serde_json::Value, Refusal>, code: &str, status: i32) {
    let refusal = answer.expect_err("it was not refused");
    assert_eq!((refusal.code.as_str(), refusal.status), (code, Some(status)), "{refusal:?}");
    let line = refusal.text.lines().find(|line| line.starts_with(&format!("error[{code}]: ")));
    // What happened, and what to do.
    let (happened, to_do) = line.and_then(|line| line.split_once("; ")).expect("stderr tells both");
    assert!(happened.len() > code.len() + 12 && !to_do.is_empty(), "{refusal:?}");
}

/// Start of an invite up to the room, the room, and the secrets.
fn parts(invite: &str) -> (&str, &str, &str) {
    let (page, secrets) = invite.split_once('#').unwrap();
    let (relay, room) = page.rsplit_once("/r/").unwrap();
    (relay, room, secrets)
}

#[test]
fn an_invite_that_opens_nothing_says_why() {
    let stage = Stage::new();
    let host = stage.host(&[]);
    let other = stage.host_as("other", &[]);
    let (relay, room, secrets) = parts(&host.invite);

    refused(stage.ask(&["join", "tea at five", "--mic", "none"]), "invalid_invite", 2);
    refused(stage.ask(&["record", &format!("{relay}/r/{room}"), "status"]), "invalid_invite", 2);

    let unknown = format!("{relay}/r/{}#{secrets}", parts(&other.invite).1);
    refused(stage.ask(&["join", &unknown, "--mic", "none"]), "room_not_found", 3);
    refused(stage.ask(&["record", &unknown, "start"]), "room_not_found", 3);

    let [nobody] = free_ports();
    let unreachable = format!("http://127.0.0.1:{nobody}/r/{room}#{secrets}");
    refused(stage.ask(&["join", &unreachable, "--mic", "none"]), "relay_unreachable", 5);
    refused(stage.ask(&["record", &unreachable, "start"]), "relay_unreachable", 5);
    refused(
        stage.ask(&["host", "--relay", &format!("http://127.0.0.1:{nobody}"), "--mic", "none"]),
        "relay_unreachable",
        5,
    );

    let (key, secret) = secrets.split_once('.').unwrap();
    let guessed = format!("{relay}/r/{room}#{key}.{}", "A".repeat(secret.len()));
    refused(stage.ask(&["join", &guessed, "--mic", "none"]), "unauthorized", 4);

    let another_recorder = format!("{relay}/r/{room}#{}.{secret}", parts(&other.invite).2.split_once('.').unwrap().0);
    refused(stage.ask(&["join", &another_recorder, "--mic", "none"]), "wrong_recorder", 4);

    // None of that did the room any harm.
    stage.ask(&["record", &host.invite, "status"]).unwrap();
}

#[test]
fn a_data_directory_has_one_program_at_a_time() {
    let stage = Stage::new();
    let host = stage.host(&[]);
    let run = |arguments: &[&str]| {
        let finished = Program::run("second", &mut stage.roomtone("host", arguments), PATIENCE).unwrap();
        let error = finished.events.last().unwrap()["error"].clone();
        assert_eq!((error["code"].as_str(), finished.status.code()), (Some("data_dir_in_use"), Some(1)), "{error}");
        assert!(error["message"].is_string() && error["hint"].is_string(), "{error}");
    };
    run(&["host", "--mic", "none"]);
    run(&["join", &host.invite, "--mic", "none"]);
    let mut status = stage.roomtone("host", &["record", &host.invite, "status"]);
    assert!(Program::run("remote", &mut status, PATIENCE).unwrap().status.success(), "asking takes no lock");
}

#[test]
fn recording_can_be_switched_off_and_kept_to_the_host() {
    let stage = Stage::new();
    let off = Stage::new().with_environment(vec![("ENABLE_AUDIO_RECORDING", "false".to_owned())]);
    let host = off.host(&[]);
    refused(off.ask(&["record", &host.invite, "start"]), "recording_disabled", 1);
    refused(off.ask(&["record", &host.host_invite, "start"]), "recording_disabled", 1);

    let host = stage.host(&["--record-by", "host"]);
    let ada = stage.join(&host.invite, "Ada", &stage.microphone(Speaker(1), 60, now_unix_ms()), &[]);
    refused(stage.ask(&["record", &host.invite, "start"]), "not_allowed", 4);
    stage.ask(&["record", &host.host_invite, "start"]).unwrap();
    refused(stage.ask(&["record", &host.invite, "stop"]), "not_allowed", 4);
    stage.ask(&["record", &host.host_invite, "stop", "--wait"]).unwrap();
    ada.stop(PATIENCE).unwrap();
}

#[test]
fn what_does_not_fit_the_recording_as_it_is_says_so() {
    let stage = Stage::new();
    let host = stage.host(&[]);
    for what in [&["stop"][..], &["pause"], &["resume"], &["mark", "here"], &["cancel", "--yes"]] {
        let arguments = [&["record", host.host_invite.as_str()], what].concat();
        refused(stage.ask(&arguments), "not_recording", 1);
    }
    let ada = stage.join(&host.invite, "Ada", &stage.microphone(Speaker(1), 60, now_unix_ms()), &[]);
    stage.ask(&["record", &host.invite, "start"]).unwrap();
    refused(stage.ask(&["record", &host.host_invite, "resume"]), "already_changed", 1);
    refused(stage.ask(&["record", &host.host_invite, "cancel"]), "confirmation_needed", 2);
    stage.ask(&["record", &host.host_invite, "pause"]).unwrap();
    refused(stage.ask(&["record", &host.host_invite, "pause"]), "already_changed", 1);
    let status = stage.ask(&["record", &host.invite, "status"]).unwrap();
    assert_eq!(status["state"], "paused", "{status}");
    ada.stop(PATIENCE).unwrap();
}

#[test]
fn wrong_usage_and_wrong_settings_exit_with_2() {
    let stage = Stage::new();
    // Nothing is there to be set up where recordings go to a folder.
    refused(stage.ask(&["storage", "setup-notifications"]), "invalid_setting", 2);
    refused(stage.ask(&["sing"]), "usage", 2);
    refused(stage.ask(&["host", "--mic", "kettle:"]), "usage", 2);
    refused(stage.ask(&["host", "--bucket", "s3", "--mic", "none"]), "invalid_setting", 2);
    let video = Stage::new().with_environment(vec![("RECORDING_AUDIO_ONLY", "false".to_owned())]);
    refused(video.ask(&["host", "--mic", "none"]), "invalid_setting", 2);
}

#[test]
fn a_microphone_that_cannot_be_opened_is_named() {
    let stage = Stage::new();
    let host = stage.host(&[]);
    let missing = format!("file:{}", stage.place().join("missing.wav").display());
    let refusal = stage.ask(&["join", &host.invite, "--mic", &missing]).unwrap_err();
    assert_eq!((refusal.code.as_str(), refusal.status), ("microphone", Some(1)), "{refusal:?}");
    assert!(refusal.text.contains("missing.wav"), "{refusal:?}");
}

#[test]
fn without_json_an_error_is_one_line_for_people() {
    let stage = Stage::new();
    let output = Command::new(roomtone_tests::programs::roomtone())
        .args(["join", "tea at five", "--mic", "none", "--data-dir"])
        .arg(stage.data_dir("somebody"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("error[invalid_invite]: ") && text.lines().count() == 1, "{text}");
}
