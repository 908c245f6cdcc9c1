//! The relay dies in mid-session and is started again: nothing is lost, and everyone is back in the same place.

use roomtone_tests::signal::{Speaker, best_match, constant_offset, read_time_code};
use roomtone_tests::{Outcome, PATIENCE, Stage, free_ports, now_unix_ms};

const PEOPLE: [(&str, Speaker); 2] = [("Ada", Speaker(1)), ("Ben", Speaker(2))];

#[test]
fn a_relay_that_is_gone_for_a_while_costs_nothing() {
    let stage = Stage::new();
    let [port] = free_ports();
    let listen = format!("127.0.0.1:{port}");
    let mut first = stage.relay(&listen);
    assert_eq!(first.url, format!("http://{listen}"));
    let mut host = stage.host(&["--relay", &first.url]);
    stage.prepare(&PEOPLE.map(|(_, speaker)| speaker), 90);
    let at_ms = (now_unix_ms() + 500.0).round();
    let people = PEOPLE.map(|(name, speaker)| {
        let program = stage.join(&host.invite, name, &stage.microphone(speaker, 90, at_ms), &[]);
        host.person("participant_joined", name);
        program
    });
    let recording = stage.ask(&["record", &host.invite, "start"]).unwrap()["recording"].as_str().unwrap().to_owned();
    host.recorded(&recording, 4_000);
    first.program.kill().unwrap();
    host.recorded(&recording, 10_000);
    let _second = stage.relay(&listen);
    // The room is there again as soon as its recorder has found the relay: a remote control gets through.
    stage.ask_until("the room at the new relay", &["record", &host.invite, "status"], |answer| {
        answer.as_ref().is_ok_and(|status| status["recording"] == *recording && status["state"] == "recording")
    });
    let elapsed = stage.ask(&["record", &host.invite, "status"]).unwrap()["elapsed_ms"].as_u64().unwrap();
    host.recorded(&recording, elapsed + 3_000);
    let outcome = Outcome::of(&stage.ask_within(&["record", &host.invite, "stop", "--wait"], PATIENCE * 2).unwrap());
    for person in people {
        assert!(person.stop(PATIENCE).unwrap().status.success());
    }
    assert_eq!(outcome.names(), ["Ada", "Ben"]);
    assert!(outcome.gapless, "{}", outcome.metadata);
    for (channel, (name, speaker)) in outcome.wav().channels.iter().zip(PEOPLE) {
        constant_offset(&read_time_code(channel, speaker), 24.0).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(best_match(channel, &speaker.says(90)).correlation > 0.98, "{name}");
    }
}
