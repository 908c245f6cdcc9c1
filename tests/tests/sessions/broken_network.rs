//! Real programs on a network that loses packets, stops altogether, and moves away under somebody: what was said is in
//! the file all the same, or the ledger says what is not.

use std::process::Command;
use std::time::Duration;

use roomtone_tests::signal::Speaker;
use roomtone_tests::{Computer, Host, Line, Network, Outcome, PATIENCE, Program, Stage, Truth, now_unix_ms};
use serde_json::Value;

const ADA: Speaker = Speaker(1);
const BEN: Speaker = Speaker(2);

/// Nobody else is in the host's namespace.
const PORT: u16 = 7_880;
/// Longest wait for Stop, the back-fill of an outage over a bad line, and the file.
const FINALIZING: Duration = Duration::from_secs(180);
/// A fifth of all packets is lost, each way.
const BAD: Line = Line::Loses(20);
/// Frames of five packets: what a channel may lack at either end of a recording that somebody had no part in.
const EDGE: u64 = 4_800;

/// A host on a computer of its own.
fn host_on(stage: &Stage, computer: &Computer) -> Host {
    let address = computer.address().to_string();
    let listen = format!("{address}:{PORT}");
    let arguments = ["host", "--room", "First light", "--mic", "none", "--listen", &listen, "--media-addr", &address];
    stage.started_host(&mut computer.command(&stage.roomtone("host", &arguments)))
}

/// Somebody on a computer of theirs, who says what `speaker` says from `at_ms` on for so long. They use all addresses
/// that the computer has at the time.
fn join_from(
    stage: &Stage,
    computer: &Computer,
    host: &mut Host,
    who: (&str, Speaker),
    at_ms: f64,
    seconds: usize,
) -> Program {
    let (name, speaker) = who;
    let microphone = stage.microphone(speaker, seconds, at_ms);
    let arguments = ["join", &host.invite, "--name", name, "--mic", &microphone];
    let person = stage.started_participant(name, &mut computer.command(&stage.roomtone(name, &arguments)));
    host.person("participant_joined", name);
    person
}

/// Asks from a computer.
fn ask_on(stage: &Stage, computer: &Computer, arguments: &[&str]) -> Value {
    let mut command: Command = computer.command(&stage.roomtone("remote", arguments));
    stage.ask_by(&mut command, FINALIZING).unwrap()
}

fn start(stage: &Stage, computer: &Computer, host: &Host) -> String {
    let started = ask_on(stage, computer, &["record", &host.invite, "start"]);
    started["recording"].as_str().unwrap().to_owned()
}

/// The file that lacks nothing. It does not matter whether the recorder waited for that after Stop, or made it anew
/// when the rest had come.
fn whole(host: &mut Host, recording: &str) -> Outcome {
    let stopped_ms = now_unix_ms();
    let told = host.program.wait_for("a file that lacks nothing", FINALIZING, |event| {
        event["event"] == "recording_completed" && event["recording"] == recording && event["gapless"] == true
    });
    println!("nothing is missing {:.1} s after Stop", (now_unix_ms() - stopped_ms) / 1000.0);
    Outcome::of(&told.unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn a_fifth_of_all_packets_and_half_a_minute_are_lost_on_the_way_and_nothing_in_the_file() {
    const SECONDS: usize = 100;
    let stage = Stage::new();
    let network = Network::new();
    let [here, at_ada, at_ben] = std::array::from_fn(|_| network.computer());
    stage.prepare(&[ADA, BEN], SECONDS);
    let mut host = host_on(&stage, &here);
    network.set(&at_ada, BAD);
    network.set(&at_ben, BAD);
    let at_ms = (now_unix_ms() + 500.0).round();
    let _people = [("Ada", ADA, &at_ada), ("Ben", BEN, &at_ben)]
        .map(|(name, speaker, computer)| join_from(&stage, computer, &mut host, (name, speaker), at_ms, SECONDS));
    println!("everybody is in after {:.1} s", (now_unix_ms() - at_ms) / 1000.0);
    let recording = start(&stage, &here, &host);
    host.recorded(&recording, 8_000);
    network.set(&at_ada, Line::Cut);
    host.recorded(&recording, 38_000);
    network.set(&at_ada, BAD);
    host.recorded(&recording, 48_000);
    ask_on(&stage, &here, &["record", &host.invite, "stop"]);
    let told = ["Ada", "Ben"].map(|name| most_told(&host, name));
    println!("while it happened the host was told that {told:?} ms are missing");
    assert!(told[0] >= 25_000, "of half a minute the host was told {} ms", told[0]);
    let outcome = whole(&mut host, &recording);
    let truths = [Truth::of_a_file("Ada", ADA, at_ms), Truth::of_a_file("Ben", BEN, at_ms)];
    Truth::check(&outcome, &truths, SECONDS);
    Truth::nothing_is_made_up(&outcome, &truths, SECONDS);
}

/// The most, in milliseconds, that the host was told that somebody's channel lacks because of the network.
fn most_told(host: &Host, name: &str) -> u64 {
    let events = host.program.events();
    let id = events.iter().find(|event| event["event"] == "participant_joined" && event["name"] == name);
    let id = id.unwrap()["participant"].clone();
    let gaps = events
        .iter()
        .filter(|event| event["event"] == "gap" && event["participant"] == id && event["cause"] == "network");
    gaps.filter_map(|gap| gap["missing_ms"].as_u64()).max().unwrap_or(0)
}

/// Who is in the room, and cut off a moment before Record.
struct CutOff {
    host: Host,
    recording: String,
    at_ms: f64,
    at_ada: Computer,
    network: Network,
    // Held until the test is over, and given up in this order.
    _people: [Program; 2],
    _here: Computer,
    _stage: Stage,
}

/// Length of the sources in the tests of who is cut off.
const CUT_SECONDS: usize = 120;

impl CutOff {
    /// Ada's line goes, then everybody is recorded for so long, then Stop.
    fn until_stop(recorded_ms: u64) -> Self {
        let stage = Stage::new();
        let network = Network::new();
        let [here, at_ada, at_ben] = std::array::from_fn(|_| network.computer());
        stage.prepare(&[ADA, BEN], CUT_SECONDS);
        let mut host = host_on(&stage, &here);
        let at_ms = (now_unix_ms() + 500.0).round();
        let people = [("Ada", ADA, &at_ada), ("Ben", BEN, &at_ben)].map(|(name, speaker, computer)| {
            join_from(&stage, computer, &mut host, (name, speaker), at_ms, CUT_SECONDS)
        });
        network.set(&at_ada, Line::Cut);
        let recording = start(&stage, &here, &host);
        host.recorded(&recording, recorded_ms);
        ask_on(&stage, &here, &["record", &host.invite, "stop"]);
        Self { host, recording, at_ms, at_ada, network, _people: people, _here: here, _stage: stage }
    }
}

#[test]
fn who_is_cut_off_from_before_record_until_after_stop_is_in_the_recording() {
    let mut room = CutOff::until_stop(20_000);
    room.network.set(&room.at_ada, Line::Whole);
    let outcome = whole(&mut room.host, &room.recording);
    let truths = [Truth::of_a_file("Ada", ADA, room.at_ms), Truth::of_a_file("Ben", BEN, room.at_ms)];
    Truth::check(&outcome, &truths, CUT_SECONDS);
    Truth::nothing_is_made_up(&outcome, &truths, CUT_SECONDS);
}

#[test]
fn who_does_not_come_back_in_time_is_missing_and_the_ledger_says_so() {
    let mut room = CutOff::until_stop(8_000);
    let told = room.host.program.wait_for("the completed recording", FINALIZING, |event| {
        event["event"] == "recording_completed" && event["recording"] == *room.recording
    });
    let outcome = Outcome::of(&told.unwrap());
    assert_eq!(outcome.names(), ["Ada", "Ben"]);
    assert!(!outcome.gapless && outcome.metadata["gapless"] == false, "{}", outcome.metadata);
    let (ada, ben) = (outcome.channel(0), outcome.channel(1));
    assert_eq!((&ben["gapless"], &ben["missing_frames"]), (&true.into(), &0.into()), "{ben}");
    // All of her is missing but for what was on its way when the line went.
    let frames = outcome.metadata["frames"].as_u64().unwrap();
    let missing = ada["missing_frames"].as_u64().unwrap();
    assert!(ada["gapless"] == false && missing + EDGE >= frames, "{missing} of {frames} frames: {ada}");
    let wav = outcome.wav();
    for gap in ada["gaps"].as_array().unwrap() {
        let [from, to] = ["from", "to"].map(|key| usize::try_from(gap[key].as_u64().unwrap()).unwrap());
        assert!(wav.channels[0][from..to].iter().all(|&sample| sample == 0.0), "{gap} is not silent");
    }
}

#[test]
fn who_gets_another_address_in_mid_session_is_back_and_lacks_nothing() {
    const SECONDS: usize = 120;
    let stage = Stage::new();
    let network = Network::new();
    let [here, mut at_ada, at_ben] = std::array::from_fn(|_| network.computer());
    stage.prepare(&[ADA, BEN], SECONDS);
    let mut host = host_on(&stage, &here);
    let at_ms = (now_unix_ms() + 500.0).round();
    let people = [("Ada", ADA, &at_ada), ("Ben", BEN, &at_ben)]
        .map(|(name, speaker, computer)| join_from(&stage, computer, &mut host, (name, speaker), at_ms, SECONDS));
    let [mut ada, _ben] = people;
    let recording = start(&stage, &here, &host);
    host.recorded(&recording, 8_000);
    let before = at_ada.address();
    network.move_on(&mut at_ada);
    assert_ne!(at_ada.address(), before);
    let moved_ms = now_unix_ms();
    ada.wait_for_event("host_unreachable", PATIENCE).unwrap();
    ada.wait_for_event("host_reachable", PATIENCE).unwrap();
    println!("back {:.1} s after the address changed", (now_unix_ms() - moved_ms) / 1000.0);
    let status = ask_on(&stage, &here, &["record", &host.invite, "status"]);
    host.recorded(&recording, status["elapsed_ms"].as_u64().unwrap() + 8_000);
    let outcome = Outcome::of(&ask_on(&stage, &here, &["record", &host.invite, "stop", "--wait"]));
    let truths = [Truth::of_a_file("Ada", ADA, at_ms), Truth::of_a_file("Ben", BEN, at_ms)];
    Truth::check(&outcome, &truths, SECONDS);
    Truth::nothing_is_made_up(&outcome, &truths, SECONDS);
}
