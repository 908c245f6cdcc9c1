//! The host closes the room: everybody is told and goes home, and what was running is finalized with their last words.

use roomtone_tests::signal::Speaker;
use roomtone_tests::{Finished, Host, PATIENCE, Program, Stage, Truth, now_unix_ms};
use serde_json::Value;

const PEOPLE: [(&str, Speaker); 2] = [("Ada", Speaker(1)), ("Ben", Speaker(2))];
const SOURCE_S: usize = 60;

/// Two who talk from `at_ms` on, and one who looks on.
fn a_full_room(stage: &Stage, host: &mut Host, at_ms: f64) -> Vec<Program> {
    let mut people: Vec<Program> = PEOPLE
        .map(|(name, speaker)| {
            let program = stage.join(&host.invite, name, &stage.microphone(speaker, SOURCE_S, at_ms), &[]);
            host.person("participant_joined", name);
            program
        })
        .into();
    people.push(stage.join(&host.invite, "Olga", "none", &["--observe"]));
    people
}

/// Their programs end by themselves, and each says once, and last, that the room is closed.
fn sent_home(people: Vec<Program>) {
    for person in people {
        let Finished { status, events, log, .. } = person.finish(PATIENCE).unwrap();
        let left: Vec<&Value> = events.iter().filter(|event| event["event"] == "left").collect();
        assert_eq!(left, [&serde_json::json!({"event": "left", "reason": "room_closed"})], "{log}");
        assert_eq!(events.last(), left.last().copied(), "nothing comes after the goodbye");
        assert!(status.success(), "{status}\n{log}");
    }
}

#[test]
fn closing_the_room_finalizes_what_runs_and_sends_everybody_home() {
    let stage = Stage::new();
    let mut host = stage.host(&[]);
    stage.prepare(&PEOPLE.map(|(_, speaker)| speaker), SOURCE_S);
    let at_ms = (now_unix_ms() + 500.0).round();
    let people = a_full_room(&stage, &mut host, at_ms);
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let recording = started["recording"].as_str().unwrap();
    host.recorded(recording, 4_000);

    let by_a_guest = stage.ask(&["room", &host.invite, "close", "--yes"]).unwrap_err();
    assert_eq!((by_a_guest.code.as_str(), by_a_guest.status), ("not_allowed", Some(4)), "{by_a_guest:?}");
    let unconfirmed = stage.ask(&["room", &host.host_invite, "close"]).unwrap_err();
    assert_eq!((unconfirmed.code.as_str(), unconfirmed.status), ("confirmation_needed", Some(2)), "{unconfirmed:?}");
    let status = stage.ask(&["record", &host.invite, "status"]).unwrap();
    assert_eq!((&status["recording"], &status["state"]), (&Value::from(recording), &Value::from("recording")));

    let elapsed = status["elapsed_ms"].as_u64().unwrap();
    host.recorded(recording, elapsed + 1_000);
    let closed = stage.ask(&["room", &host.host_invite, "close", "--yes"]).unwrap();
    assert_eq!(closed["done"], "close", "{closed}");
    sent_home(people);

    let outcome = host.completed(recording);
    let ended = host.program.finish(PATIENCE).unwrap();
    assert!(ended.status.success(), "{}", ended.log);
    assert_eq!(ended.events.iter().filter(|event| event["event"] == "room_closed").count(), 1);
    // Also the last words: what was said up to the moment of closing is there, and vouched for.
    let truths = PEOPLE.map(|(name, speaker)| Truth::of_a_file(name, speaker, at_ms));
    Truth::check(&outcome, &truths, SOURCE_S);
}

#[test]
fn a_closed_room_lets_nobody_in_until_its_host_opens_it_again() {
    let stage = Stage::new();
    let relay = stage.relay("127.0.0.1:0");
    let mut host = stage.host(&["--relay", &relay.url]);
    let people = a_full_room(&stage, &mut host, now_unix_ms());
    stage.ask(&["room", &host.host_invite, "close", "--yes"]).unwrap();
    sent_home(people);
    let ended = host.program.finish(PATIENCE).unwrap();
    assert!(ended.status.success(), "{}", ended.log);

    let refused = stage.ask(&["join", &host.invite, "--mic", "none"]).unwrap_err();
    assert_eq!((refused.code.as_str(), refused.status), ("room_closed", Some(3)), "{refused:?}");
    let again = stage.host(&["--relay", &relay.url]);
    assert_eq!(again.invite, host.invite);
    stage.ask(&["record", &again.invite, "status"]).unwrap();
}
