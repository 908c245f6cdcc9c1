//! What is wrong with a microphone is told to its person and to the host, in words, and that it is over as well.

use std::time::Duration;

use roomtone_tests::signal::Speaker;
use roomtone_tests::{Host, PATIENCE, Played, Program, PulseServer, Stage, now_unix_ms, write_mono};
use serde_json::Value;

const DORA: Speaker = Speaker(4);
/// Longer than the test takes with it.
const SOURCE_S: usize = 90;
/// Five seconds are promised; the rest is for programs that a busy machine starts, wakes and reads late.
const SOON: Duration = Duration::from_secs(10);

/// Waits for the same alarm at its person and at the host, or for its end.
fn told(host: &mut Host, person: &mut Program, kinds: &[&str], active: bool) -> Value {
    let alarm = |event: &Value| {
        event["event"] == "alarm" && event["active"] == active && kinds.iter().any(|kind| event["kind"] == *kind)
    };
    let theirs = person.wait_for("the person's alarm", PATIENCE, alarm).unwrap();
    let same = |event: &Value| alarm(event) && event["kind"] == theirs["kind"];
    let hosts = host.program.wait_for("the host's alarm", PATIENCE, same).unwrap();
    for key in ["participant", "message"] {
        assert_eq!(theirs[key], hosts[key], "{theirs} {hosts}");
        assert!(!theirs[key].as_str().unwrap().is_empty(), "{theirs}");
    }
    host.program.forget();
    person.forget();
    theirs
}

#[test]
fn a_microphone_that_gives_only_zeros_and_one_that_is_gone_are_told_to_both_within_seconds() {
    let stage = Stage::new();
    let pulse = PulseServer::start(stage.place());
    let voice = stage.place().join("dora.wav");
    write_mono(&voice, &DORA.says(SOURCE_S));
    let mut host = stage.host(&[]);
    // Nothing is played: what this microphone gives is exactly nothing.
    let mut dora = stage.join_with(&host.invite, "Dora", "default", &["--stay"], pulse.environment());
    let joined_ms = now_unix_ms();
    let id = host.person("participant_joined", "Dora")["participant"].clone();
    let silent = told(&mut host, &mut dora, &["silent_mic"], true);
    let after = now_unix_ms() - joined_ms;
    println!("silence is told {after:.0} ms after she is in");
    assert!(after < SOON.as_secs_f64() * 1e3, "{after} ms");
    assert_eq!(silent["participant"], id);
    assert!(silent["message"].as_str().unwrap().contains("mute switch"), "{silent}");

    let played = Played::start(&pulse, &voice);
    told(&mut host, &mut dora, &["silent_mic"], false);

    let gone_ms = now_unix_ms();
    drop(played);
    drop(pulse);
    told(&mut host, &mut dora, &["device_lost", "stalled_capture"], true);
    let after = now_unix_ms() - gone_ms;
    println!("that it is gone is told after {after:.0} ms");
    assert!(after < SOON.as_secs_f64() * 1e3, "{after} ms");
    for program in [dora, host.program] {
        assert!(program.stop(PATIENCE).unwrap().status.success());
    }
}
