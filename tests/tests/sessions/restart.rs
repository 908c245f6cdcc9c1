//! Storage that is down, wrong or full of somebody else's, and hosts that are started again: nothing is lost.

use roomtone_tests::signal::{Speaker, read_time_code};
use roomtone_tests::{Host, Outcome, PATIENCE, SeaweedFs, Stage, now_unix_ms};
use serde_json::Value;

const ADA: Speaker = Speaker(1);

/// Lets Ada talk for some seconds, stops, and returns the recording's id when it is finalized and waits to go up.
fn a_recording_that_cannot_go_up(stage: &Stage, host: &mut Host) -> String {
    let ada = stage.join(&host.invite, "Ada", &stage.microphone(ADA, 60, now_unix_ms()), &[]);
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let recording = started["recording"].as_str().unwrap().to_owned();
    host.recorded(&recording, 3_000);
    stage.ask(&["record", &host.invite, "stop"]).unwrap();
    // The state, with the reason: which of the two events tells it is the host's choice.
    let uploading = |event: &Value| event["event"] == "recording_state" && event["state"] == "uploading";
    let seen = host
        .program
        .wait_for("state uploading", PATIENCE, |event| uploading(event) && event["recording"] == *recording);
    seen.unwrap();
    let why = host.program.wait_for_event("upload_retrying", PATIENCE).unwrap();
    assert!(why["error"]["message"].is_string() && why["error"]["hint"].is_string(), "{why}");
    println!("the upload waits: {why}");
    let refused = stage.ask(&["recordings", &host.invite, "link", &recording]).unwrap_err();
    assert_eq!(refused.code, "not_uploaded", "{refused:?}");
    ada.stop(PATIENCE).unwrap();
    recording
}

/// The recording reaches the bucket by itself, whole.
fn it_completes(host: &mut Host, recording: &str, bucket: &roomtone_tests::Bucket) {
    let outcome = host.completed(recording);
    assert!(bucket.get(&outcome.key).unwrap() == std::fs::read(&outcome.path).unwrap());
    assert!(!read_time_code(&outcome.wav().channels[0], ADA).is_empty());
}

#[test]
fn an_upload_waits_for_the_storage_and_survives_the_hosts_death() {
    let stage = Stage::new();
    let mut server = SeaweedFs::start(stage.place());
    let bucket = server.bucket("talks");
    bucket.create().unwrap();
    let stage = stage.with_environment(server.environment("talks"));
    let mut host = stage.host(&[]);
    let (room, invite) = (host.ready["room"].clone(), host.invite.clone());
    server.kill();
    let recording = a_recording_that_cannot_go_up(&stage, &mut host);

    host.program.kill().unwrap();
    drop(host);
    let mut host = stage.host(&[]);
    assert_eq!((&host.ready["room"], &host.invite), (&room, &invite), "the same room at the same address");
    assert!(host.ready["recovered"].as_array().unwrap().iter().any(|id| *id == *recording), "{}", host.ready);
    let refused = stage.ask(&["recordings", &invite, "link", &recording]).unwrap_err();
    assert_eq!(refused.code, "not_uploaded", "{refused:?}");

    server.resume();
    it_completes(&mut host, &recording, &bucket);
    let link = stage.ask(&["recordings", &invite, "link", &recording]).unwrap();
    assert_eq!(roomtone_tests::fetch(link["link"].as_str().unwrap(), None).unwrap().status, 200);
    host.program.stop(PATIENCE).unwrap();
}

#[test]
fn a_bucket_that_is_made_later_gets_its_recording() {
    let stage = Stage::new();
    let server = SeaweedFs::start(stage.place());
    let bucket = server.bucket("not-there-yet");
    let stage = stage.with_environment(server.environment(bucket.name()));
    let mut host = stage.host(&[]);
    let recording = a_recording_that_cannot_go_up(&stage, &mut host);
    bucket.create().unwrap();
    it_completes(&mut host, &recording, &bucket);
    host.program.stop(PATIENCE).unwrap();
}

#[test]
fn with_the_right_keys_a_restarted_host_completes_what_the_wrong_keys_held_up() {
    let stage = Stage::new();
    let server = SeaweedFs::start(stage.place());
    let bucket = server.bucket("talks");
    bucket.create().unwrap();
    let stage = stage.with_environment(server.environment("talks"));
    let stage = stage.with_environment(vec![("AWS_SECRET_ACCESS_KEY", "a typing mistake".to_owned())]);
    let mut host = stage.host(&[]);
    let recording = a_recording_that_cannot_go_up(&stage, &mut host);
    assert!(host.program.stop(PATIENCE).unwrap().status.success());
    let stage = stage.with_environment(server.environment("talks"));
    let mut host = stage.host(&[]);
    it_completes(&mut host, &recording, &bucket);
    host.program.stop(PATIENCE).unwrap();
}

#[test]
fn a_host_that_dies_while_recording_keeps_what_was_said() {
    let stage = Stage::new();
    let mut host = stage.host(&[]);
    let ada = stage.join(&host.invite, "Ada", &stage.microphone(ADA, 60, now_unix_ms()), &[]);
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let recording = started["recording"].as_str().unwrap();
    host.recorded(recording, 6_000);
    host.program.kill().unwrap();
    let invite = host.invite.clone();
    drop(host);
    let mut host = stage.host(&[]);
    assert_eq!(host.invite, invite);
    assert!(host.ready["recovered"].as_array().unwrap().iter().any(|id| *id == *recording), "{}", host.ready);
    // Within the grace time it goes on as if nothing had happened.
    host.recorded(recording, 9_000);
    let outcome = Outcome::of(&stage.ask(&["record", &invite, "stop", "--wait"]).unwrap());
    assert_eq!(outcome.recording, recording);
    let marks = read_time_code(&outcome.wav().channels[0], ADA);
    assert!(marks.len() >= 7, "{marks:?}");
    // Ada never left: she is back in the room by herself, and the next recording works.
    let second = stage.ask(&["record", &invite, "start"]).unwrap();
    host.recorded(second["recording"].as_str().unwrap(), 2_000);
    stage.ask(&["record", &invite, "stop", "--wait"]).unwrap();
    ada.stop(PATIENCE).unwrap();
}

#[test]
fn no_object_is_ever_overwritten() {
    let stage = Stage::new();
    let server = SeaweedFs::start(stage.place());
    let bucket = server.bucket("shared");
    bucket.create().unwrap();
    let stage = stage.with_environment(server.environment("shared"));
    bucket.put("talk.wav", b"somebody else's".to_vec()).unwrap();
    // Two rooms of the same name, and a template that gives every recording the same key.
    let mut hosts = ["host", "twin"].map(|who| stage.host_as(who, &["--key-template", "talk.wav"]));
    let mut people = Vec::new();
    let mut recordings = Vec::new();
    for (host, name) in hosts.iter().zip(["Ada", "Ben"]) {
        people.push(stage.join(&host.invite, name, &stage.microphone(ADA, 60, now_unix_ms()), &[]));
        recordings.push(stage.ask(&["record", &host.invite, "start"]).unwrap());
    }
    let id = |at: usize| recordings[at]["recording"].as_str().unwrap();
    hosts.iter_mut().enumerate().for_each(|(at, host)| host.recorded(id(at), 2_000));
    for host in &hosts {
        stage.ask(&["record", &host.invite, "stop"]).unwrap();
    }
    let mut keys = vec!["talk.wav".to_owned()];
    for (at, host) in hosts.iter_mut().enumerate() {
        let outcome = host.completed(id(at));
        assert!(bucket.get(&outcome.key).unwrap() == std::fs::read(&outcome.path).unwrap());
        assert!(!keys.contains(&outcome.key), "{} is taken", outcome.key);
        keys.push(outcome.key);
    }
    assert_eq!(bucket.get("talk.wav").unwrap(), b"somebody else's");
    people.into_iter().for_each(|person| drop(person.stop(PATIENCE).unwrap()));
}
