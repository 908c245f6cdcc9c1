//! People come late, go, and come back: the recording goes on, and everyone keeps their channel.

use roomtone_tests::signal::{Mark, SAMPLE_RATE, Speaker, read_time_code};
use roomtone_tests::{Outcome, PATIENCE, Stage, now_unix_ms};
use serde_json::Value;

const ADA: Speaker = Speaker(1);
const BEN: Speaker = Speaker(2);

/// Frames in 10 ms, as exact as a start has to be.
const TEN_MS: f64 = 480.0;

/// Frames of a second's code. It is also read where only most of it is there: one that begins before a gap ends says
/// nothing about the gap.
const CODE: f64 = 3_360.0;
/// A packet, which is how exactly it is known where somebody's last word ended.
const PACKET: usize = 960;

/// A gap's frames.
fn span(gap: &Value) -> (usize, usize) {
    let frame = |key: &str| usize::try_from(gap[key].as_u64().unwrap()).unwrap();
    (frame("from"), frame("to"))
}

#[test]
fn who_comes_back_is_on_the_same_channel_after_silence_of_the_right_length() {
    let stage = Stage::new();
    let mut host = stage.host(&[]);
    stage.prepare(&[ADA, BEN], 90);
    let at_ms = (now_unix_ms() + 1_000.0).round();
    let ben = |stage: &Stage, invite: &str| stage.join(invite, "Ben", &stage.microphone(BEN, 90, at_ms), &[]);

    let ada = stage.join(&host.invite, "Ada", &stage.microphone(ADA, 90, at_ms), &[]);
    host.person("participant_joined", "Ada");
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let recording = started["recording"].as_str().unwrap();
    host.recorded(recording, 4_000);
    let first = ben(&stage, &host.invite);
    let first_id = host.person("participant_joined", "Ben")["participant"].clone();
    host.recorded(recording, 12_000);
    assert!(first.stop(PATIENCE).unwrap().status.success());
    assert_eq!(host.person("participant_left", "Ben")["participant"], first_id);
    host.recorded(recording, 17_000);
    host.program.forget();
    let second = ben(&stage, &host.invite);
    let back = host.program.wait_for("Ben's return", PATIENCE, |event| {
        (event["event"] == "participant_joined" || event["event"] == "participant_returned") && event["name"] == "Ben"
    });
    assert_eq!(back.unwrap()["participant"], first_id);
    host.recorded(recording, 26_000);
    let outcome = Outcome::of(&stage.ask(&["record", &host.invite, "stop", "--wait"]).unwrap());
    for person in [ada, second] {
        assert!(person.stop(PATIENCE).unwrap().status.success());
    }

    assert_eq!(outcome.names(), ["Ada", "Ben"]);
    assert!(outcome.gapless, "{}", outcome.metadata);
    let wav = outcome.wav();
    let gaps = outcome.channel(1)["gaps"].as_array().unwrap();
    let causes: Vec<&str> = gaps.iter().map(|gap| gap["cause"].as_str().unwrap()).collect();
    assert_eq!(causes, ["not_joined", "left"], "{gaps:?}");
    let (late_from, late_to) = span(&gaps[0]);
    let (away_from, away_to) = span(&gaps[1]);
    assert_eq!(late_from, 0);
    for (from, to) in [(late_from, late_to), (away_from, away_to)] {
        assert!(to - from > 3 * SAMPLE_RATE, "{from} to {to} is too short");
        assert!(wav.channels[1][from..to].iter().all(|&sample| sample == 0.0), "{from} to {to} is not silent");
    }

    // The sound itself says the same: on both sides of the silence Ben is where the clock put him.
    let expected = (at_ms - outcome.started_ms()) * SAMPLE_RATE as f64 / 1000.0;
    for (channel, speaker) in wav.channels.iter().zip([ADA, BEN]) {
        let marks = read_time_code(channel, speaker);
        let worst = marks.iter().map(|mark| (mark.origin() - expected).abs()).fold(0.0, f64::max);
        println!("{speaker:?}: {} seconds, at worst {:.2} ms from the truth", marks.len(), worst / 48.0);
        assert!(worst <= TEN_MS, "{speaker:?} lies {worst} frames from the truth");
    }
    let marks = read_time_code(&wav.channels[1], BEN);
    let heard = |from: usize, to: usize| {
        let inside = |mark: &&Mark| mark.frame >= from as f64 && mark.frame + CODE <= to as f64;
        marks.iter().filter(inside).count()
    };
    // Whole seconds that must be there between the silences, one less at each side that cuts one.
    for (from, to) in [(late_to + PACKET, away_from.saturating_sub(PACKET)), (away_to + PACKET, wav.frames())] {
        let room = (to - from) / SAMPLE_RATE;
        assert!(
            room >= 5 && heard(from, to) + 1 >= room,
            "{} of {room} seconds between {from} and {to}",
            heard(from, to)
        );
    }
    assert_eq!(heard(0, late_to) + heard(away_from + PACKET, away_to), 0);
}

#[test]
fn when_the_last_one_leaves_the_recording_is_finalized() {
    let stage = Stage::new();
    let mut host = stage.host(&[]);
    let ada = stage.join(&host.invite, "Ada", &stage.microphone(ADA, 30, now_unix_ms()), &[]);
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let recording = started["recording"].as_str().unwrap();
    host.recorded(recording, 3_000);
    assert!(ada.stop(PATIENCE).unwrap().status.success());
    let outcome = host.completed(recording);
    assert_eq!(outcome.names(), ["Ada"]);
    assert!(outcome.gapless, "{}", outcome.metadata);
    let status = stage.ask(&["record", &host.invite, "status"]).unwrap();
    assert_eq!(status["recording"], Value::Null, "{status}");
}

#[test]
fn a_file_that_is_over_leaves_by_itself_when_all_of_it_has_arrived() {
    let stage = Stage::new();
    let mut host = stage.host(&[]);
    let at_ms = (now_unix_ms() + 3_000.0).round();
    let ada = stage.join(&host.invite, "Ada", &stage.microphone(ADA, 8, at_ms), &[]);
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let recording = started["recording"].as_str().unwrap();
    let left = ada.finish(PATIENCE * 2).unwrap();
    assert!(left.status.success());
    assert!(left.events.iter().any(|event| event["event"] == "safe_to_quit" && event["value"] == true));
    assert_eq!(left.events.last().unwrap()["event"], "left");
    let outcome = host.completed(recording);
    assert!(outcome.gapless, "{}", outcome.metadata);
    let marks = read_time_code(&outcome.wav().channels[0], ADA);
    assert_eq!(marks.last().map(|mark| mark.second), Some(7), "the end of the file is in the recording: {marks:?}");
}

#[test]
fn who_vanishes_is_away_and_comes_back_to_the_same_channel() {
    let stage = Stage::new();
    let mut host = stage.host(&[]);
    stage.prepare(&[ADA, BEN], 90);
    let at_ms = (now_unix_ms() + 500.0).round();
    let ada = |stage: &Stage, invite: &str| stage.join(invite, "Ada", &stage.microphone(ADA, 90, at_ms), &[]);
    let mut first = ada(&stage, &host.invite);
    let id = host.person("participant_joined", "Ada")["participant"].clone();
    let ben = stage.join(&host.invite, "Ben", &stage.microphone(BEN, 90, at_ms), &[]);
    host.person("participant_joined", "Ben");
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let recording = started["recording"].as_str().unwrap();
    host.recorded(recording, 5_000);
    first.kill().unwrap();
    let killed_ms = now_unix_ms();
    assert_eq!(host.person("participant_away", "Ada")["participant"], id);
    println!("away after {:.1} s", (now_unix_ms() - killed_ms) / 1000.0);
    let second = ada(&stage, &host.invite);
    let back_ms = now_unix_ms();
    assert_eq!(host.person("participant_returned", "Ada")["participant"], id);
    let elapsed = stage.ask(&["record", &host.invite, "status"]).unwrap()["elapsed_ms"].as_u64().unwrap();
    host.recorded(recording, elapsed + 5_000);
    let outcome = Outcome::of(&stage.ask(&["record", &host.invite, "stop", "--wait"]).unwrap());
    for person in [second, ben] {
        assert!(person.stop(PATIENCE).unwrap().status.success());
    }

    assert_eq!(outcome.names(), ["Ada", "Ben"]);
    assert_eq!(outcome.channel(1)["gapless"], true, "{}", outcome.metadata);
    // Nobody can bring back what no program heard, and the ledger says how much that is.
    let gaps = outcome.channel(0)["gaps"].as_array().unwrap();
    assert_eq!(gaps.iter().map(|gap| gap["cause"].as_str().unwrap()).collect::<Vec<_>>(), ["crash"], "{gaps:?}");
    let (from, to) = span(&gaps[0]);
    let at = |frame: usize| outcome.started_ms() + frame as f64 * 1000.0 / SAMPLE_RATE as f64;
    println!(
        "the gap begins {:+.0} ms from the kill, and ends {:+.0} ms from the return",
        at(from) - killed_ms,
        at(to) - back_ms
    );
    assert!((-1_000.0..=10.0).contains(&(at(from) - killed_ms)), "at most the last second is lost");
    assert!(at(to) <= back_ms + 10.0, "from her return on nothing is");
    let wav = outcome.wav();
    assert!(wav.channels[0][from..to].iter().all(|&sample| sample == 0.0), "{from} to {to} is not silent");
    let expected = (at_ms - outcome.started_ms()) * SAMPLE_RATE as f64 / 1000.0;
    let marks = read_time_code(&wav.channels[0], ADA);
    let worst = marks.iter().map(|mark| (mark.origin() - expected).abs()).fold(0.0, f64::max);
    assert!(worst <= TEN_MS, "{worst} frames from the truth: {marks:?}");
    let heard = |from: usize, to: usize| {
        let inside = |mark: &&Mark| mark.frame >= from as f64 && mark.frame + CODE <= to as f64;
        marks.iter().filter(inside).count()
    };
    assert!(heard(0, from) >= 3 && heard(from, to) == 0 && heard(to, wav.frames()) >= 4, "{marks:?}");
}

#[test]
fn when_everybody_has_vanished_the_recording_is_finalized_after_the_grace_time() {
    let stage = Stage::new();
    let mut host = stage.host(&["--grace", "4s"]);
    let mut ada = stage.join(&host.invite, "Ada", &stage.microphone(ADA, 60, now_unix_ms()), &[]);
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let recording = started["recording"].as_str().unwrap();
    host.recorded(recording, 4_000);
    ada.kill().unwrap();
    host.person("participant_away", "Ada");
    let away_ms = now_unix_ms();
    let outcome = host.completed(recording);
    assert!(now_unix_ms() - away_ms >= 3_500.0, "who is away may come back within the grace time");
    assert!(outcome.wav().frames() >= 8 * SAMPLE_RATE, "the time of grace is part of it");
    assert!(read_time_code(&outcome.wav().channels[0], ADA).len() >= 2);
    let status = stage.ask(&["record", &host.invite, "status"]).unwrap();
    assert_eq!(status["recording"], Value::Null, "{status}");
}
