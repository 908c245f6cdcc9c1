//! What networks and stores do on a bad day reaches the real program, and nobody has to do anything.

use std::time::Duration;

use roomtone_tests::signal::{Speaker, read_time_code};
use roomtone_tests::{Asked, Fault, FaultProxy, Outcome, PATIENCE, SeaweedFs, Stage, now_unix_ms};

use super::finished::Finished;

const SLOW_DOWN: &str = "SlowDown";

struct Day {
    stage: Stage,
    server: SeaweedFs,
    proxy: FaultProxy,
}

impl Day {
    fn new() -> Self {
        let stage = Stage::new();
        let server = SeaweedFs::start(stage.place());
        server.bucket("talks").create().unwrap();
        let proxy = FaultProxy::start(&server.endpoint());
        let stage = stage.with_environment(server.environment("talks"));
        let stage = stage.with_environment(vec![("S3_RECORDING_ENDPOINT", proxy.endpoint())]);
        Self { stage, server, proxy }
    }
}

#[test]
fn a_large_recording_gets_through_everything_that_can_happen_to_its_requests() {
    let day = Day::new();
    let finished = Finished::write(&day.stage, 3, 25_000_000);
    let parts = |asked: Asked| asked.part().is_some();
    day.proxy.plan(|asked| asked == Asked::Create, Fault::Refused(503, SLOW_DOWN, None), 4);
    day.proxy.plan(parts, Fault::Reset(3_000_000), 2);
    day.proxy.plan(parts, Fault::AnswerLost, 1);
    day.proxy.plan(parts, Fault::Refused(400, "ExpiredToken", None), 1);
    day.proxy.plan(|asked| asked == Asked::Complete, Fault::Refused(500, "InternalError", Some(1)), 2);
    day.proxy.plan(|asked| asked == Asked::Complete, Fault::AnswerLost, 1);
    day.proxy.plan(|asked| asked == Asked::Put, Fault::Refused(429, SLOW_DOWN, Some(1)), 1);
    day.proxy.plan(|asked| asked == Asked::Put, Fault::AnswerLost, 1);
    let mut host = day.stage.host(&[]);
    let completed = |event: &serde_json::Value| event["event"] == "recording_completed";
    let seen = host.program.wait_for("the completion", PATIENCE * 2, completed).unwrap();
    assert!(day.proxy.all_came(), "a fault that was planned did not happen");
    finished.is_in(&day.server.bucket("talks"), seen["key"].as_str().unwrap());
    host.program.stop(PATIENCE).unwrap();
}

#[test]
fn what_was_said_gets_to_a_store_that_is_late_silent_and_loses_its_answers() {
    const ADA: Speaker = Speaker(1);
    let day = Day::new();
    let mut host = day.stage.host(&[]);
    let ada = day.stage.join(&host.invite, "Ada", &day.stage.microphone(ADA, 60, now_unix_ms()), &[]);
    let started = day.stage.ask(&["record", &host.invite, "start"]).unwrap();
    host.recorded(started["recording"].as_str().unwrap(), 4_000);
    day.proxy.plan(|asked| asked == Asked::Head, Fault::Late(Duration::from_millis(500)), 2);
    day.proxy.plan(|asked| asked == Asked::Head, Fault::Silence, 1);
    day.proxy.plan(|asked| asked == Asked::Put, Fault::AnswerLost, 2);
    day.proxy.plan(|asked| asked == Asked::Put, Fault::Reset(100), 1);
    let stopped = day.stage.ask_within(&["record", &host.invite, "stop", "--wait"], PATIENCE * 2).unwrap();
    let outcome = Outcome::of(&stopped);
    assert!(day.proxy.all_came(), "a fault that was planned did not happen");
    assert!(!read_time_code(&outcome.wav().channels[0], ADA).is_empty());
    let bucket = day.server.bucket("talks");
    assert!(bucket.get(&outcome.key).unwrap() == std::fs::read(&outcome.path).unwrap());
    let mut keys = bucket.keys().unwrap();
    keys.sort();
    assert_eq!(keys, [outcome.key.replace(".wav", ".json"), outcome.key], "one object, and its metadata");
    ada.stop(PATIENCE).unwrap();
    host.program.stop(PATIENCE).unwrap();
}
