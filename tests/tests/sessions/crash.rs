//! The host's program dies in the middle, and is started again: nobody hears it in the file.

use std::time::Duration;

#[cfg(target_os = "linux")]
use roomtone_tests::Boot;
use roomtone_tests::signal::{Mark, SAMPLE_RATE, Speaker, read_time_code};
use roomtone_tests::{Host, Outcome, PATIENCE, Stage, now_unix_ms};
use serde_json::Value;

const ADA: Speaker = Speaker(1);
const BEN: Speaker = Speaker(2);
const CLEO: Speaker = Speaker(3);

/// How long nobody listens.
const OUTAGE: Duration = Duration::from_secs(5);

/// Frames in 10 ms, as exact as a start has to be.
const TEN_MS: f64 = 480.0;

/// Kills the host and starts it again after the outage, as it was started before.
fn outage(stage: &Stage, host: Host, arguments: &[&str]) -> Host {
    outage_until(host, || stage.host(arguments))
}

fn outage_until(mut host: Host, again: impl FnOnce() -> Host) -> Host {
    let invite = host.invite.clone();
    host.program.kill().unwrap();
    drop(host);
    std::thread::sleep(OUTAGE);
    let host = again();
    assert_eq!(host.invite, invite, "the same room at the same address");
    host
}

/// Stops, and waits until nothing is missing any more: who cannot be reached at Stop brings the rest later.
fn stopped(stage: &Stage, host: &mut Host) -> Outcome {
    let mut outcome =
        Outcome::of(&stage.ask_within(&["record", &host.invite, "stop", "--wait"], PATIENCE * 2).unwrap());
    let missing = |outcome: &Outcome| {
        let names = outcome.names().into_iter().enumerate();
        let missing = names.map(|(at, name)| (name != "Cleo", outcome.channel(at)["gapless"] == true));
        missing.into_iter().any(|(theirs, gapless)| theirs && !gapless)
    };
    while missing(&outcome) {
        println!("a new version is needed: {}", outcome.metadata);
        outcome = next_version(host, &outcome);
    }
    outcome
}

/// Waits for the version after this one. Repairs of one minute make one.
fn next_version(host: &mut Host, before: &Outcome) -> Outcome {
    let path = before.path.to_str().unwrap();
    let newer = |event: &Value| {
        event["event"] == "recording_completed" && event["recording"] == *before.recording && event["path"] != path
    };
    Outcome::of(&host.program.wait_for("the new version", PATIENCE * 3, newer).unwrap())
}

/// Every second of a speaker from the first that is whole to the last, in its place.
fn all_there(outcome: &Outcome, channel: usize, speaker: Speaker, at_ms: f64) -> Vec<Mark> {
    let marks = read_time_code(&outcome.wav().channels[channel], speaker);
    let seconds: Vec<u32> = marks.iter().map(|mark| mark.second).collect();
    let whole: Vec<u32> = (seconds[0]..=*seconds.last().unwrap()).collect();
    assert_eq!(seconds, whole, "{speaker:?}");
    let frames = outcome.wav().frames();
    assert!((frames / SAMPLE_RATE).abs_diff(seconds.len()) <= 2, "{} of {frames} frames", seconds.len());
    let expected = (at_ms - outcome.started_ms()) * SAMPLE_RATE as f64 / 1000.0;
    let worst = marks.iter().map(|mark| (mark.origin() - expected).abs()).fold(0.0, f64::max);
    println!("{speaker:?}: {} seconds, at worst {:.2} ms from the truth", marks.len(), worst / 48.0);
    assert!(worst <= TEN_MS, "{speaker:?} lies {worst} frames from the truth");
    marks
}

#[test]
fn a_host_that_is_back_within_the_grace_time_goes_on_and_nothing_said_meanwhile_is_missing() {
    let stage = Stage::new();
    stage.prepare(&[ADA, BEN], 90);
    let mut host = stage.host(&[]);
    let at_ms = (now_unix_ms() + 1_000.0).round();
    let people = [("Ada", ADA), ("Ben", BEN)].map(|(name, speaker)| {
        let person = stage.join(&host.invite, name, &stage.microphone(speaker, 90, at_ms), &[]);
        host.person("participant_joined", name);
        person
    });
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let recording = started["recording"].as_str().unwrap();
    host.recorded(recording, 4_000);
    let mut host = outage(&stage, host, &[]);
    host.recorded(recording, 14_000);
    let outcome = stopped(&stage, &mut host);
    assert_eq!(outcome.recording, recording);
    assert_eq!(outcome.names(), ["Ada", "Ben"]);
    all_there(&outcome, 0, ADA, at_ms);
    all_there(&outcome, 1, BEN, at_ms);
    assert!(outcome.gapless, "{}", outcome.metadata);
    let list = stage.ask(&["recordings", &host.invite, "list"]).unwrap();
    assert_eq!(list["recordings"].as_array().unwrap().len(), 1, "{list}");
    for person in people {
        assert!(person.stop(PATIENCE).unwrap().status.success());
    }
}

#[test]
fn only_the_hosts_own_microphone_lacks_the_time_in_which_its_program_was_dead() {
    let stage = Stage::new();
    stage.prepare(&[ADA, CLEO], 90);
    let at_ms = (now_unix_ms() + 1_000.0).round();
    let own = stage.microphone(CLEO, 90, at_ms);
    let arguments = ["--mic", own.as_str(), "--name", "Cleo"];
    let host = stage.host(&arguments);
    let ada = stage.join(&host.invite, "Ada", &stage.microphone(ADA, 90, at_ms), &[]);
    let mut host = host;
    host.person("participant_joined", "Ada");
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let recording = started["recording"].as_str().unwrap();
    host.recorded(recording, 4_000);
    let mut host = outage(&stage, host, &arguments);
    host.recorded(recording, 14_000);
    let outcome = stopped(&stage, &mut host);
    let channel = |name: &str| outcome.names().iter().position(|known| *known == name).unwrap();
    all_there(&outcome, channel("Ada"), ADA, at_ms);
    assert_eq!(outcome.channel(channel("Ada"))["missing_frames"], 0);

    let own = outcome.channel(channel("Cleo"));
    let gaps = own["gaps"].as_array().unwrap();
    let missing: Vec<_> = gaps.iter().filter(|gap| gap["cause"] != "not_joined").collect();
    assert_eq!(missing.len(), 1, "{gaps:?}");
    assert_eq!(missing[0]["cause"], "crash", "{gaps:?}");
    let length = (missing[0]["to"].as_u64().unwrap() - missing[0]["from"].as_u64().unwrap()) as f64 / 48_000.0;
    println!("the host's own microphone lacks {length:.2} s");
    let marks = read_time_code(&outcome.wav().channels[channel("Cleo")], CLEO);
    let expected = (at_ms - outcome.started_ms()) * SAMPLE_RATE as f64 / 1000.0;
    for mark in &marks {
        assert!((mark.origin() - expected).abs() <= TEN_MS, "{mark:?} is not where the clock put it");
    }
    assert!(marks.iter().any(|mark| mark.frame < missing[0]["from"].as_u64().unwrap() as f64));
    assert!(marks.iter().any(|mark| mark.frame > missing[0]["to"].as_u64().unwrap() as f64));
    assert!(ada.stop(PATIENCE).unwrap().status.success());
}

/// The programs of the host die with its computer. What a disk does then is not to be seen here: it loses nothing.
#[cfg(target_os = "linux")]
#[test]
fn a_host_whose_computer_booted_goes_on_with_the_same_recording() {
    let stage = Stage::new();
    stage.prepare(&[ADA, BEN, CLEO], 120);
    let at_ms = (now_unix_ms() + 1_000.0).round();
    let own = stage.microphone(CLEO, 120, at_ms);
    let arguments = ["--mic", own.as_str(), "--name", "Cleo"];
    let mut host = stage.host(&arguments);
    let people = [("Ada", ADA), ("Ben", BEN)].map(|(name, speaker)| {
        let person = stage.join(&host.invite, name, &stage.microphone(speaker, 120, at_ms), &[]);
        host.person("participant_joined", name);
        person
    });
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let recording = started["recording"].as_str().unwrap();
    host.recorded(recording, 12_000);
    let boot = Boot::new(stage.place(), "0e0b7a51-6a6c-4b6f-9c55-2f1d3a4b5c6d");
    let again = || stage.started_host(&mut boot.command(&stage.host_command("host", &arguments)));
    let mut host = outage_until(host, again);
    host.recorded(recording, 30_000);
    let outcome = stopped(&stage, &mut host);
    assert_eq!(outcome.recording, recording, "it went on");
    let channel = |name: &str| outcome.names().iter().position(|known| *known == name).unwrap();
    for (name, speaker) in [("Ada", ADA), ("Ben", BEN)] {
        all_there(&outcome, channel(name), speaker, at_ms);
        assert_eq!(outcome.channel(channel(name))["missing_frames"], 0, "{name}: {}", outcome.metadata);
    }
    let seams = outcome.metadata["clock_seams"].as_array().unwrap();
    println!("the boot: {seams:?}");
    assert_eq!((seams.len(), &seams[0]["by"]), (1, &Value::from("participants")), "{seams:?}");
    assert!(seams[0]["uncertainty_us"].as_f64().unwrap() < 5_000.0, "{seams:?}");

    let gaps = outcome.channel(channel("Cleo"))["gaps"].as_array().unwrap();
    let missing: Vec<_> = gaps.iter().filter(|gap| gap["cause"] != "not_joined").collect();
    assert_eq!((missing.len(), &missing[0]["cause"]), (1, &Value::from("crash")), "{gaps:?}");
    let (from, to) = (missing[0]["from"].as_u64().unwrap() as f64, missing[0]["to"].as_u64().unwrap() as f64);
    println!("the host's own microphone lacks {:.2} s", (to - from) / 48_000.0);
    let seam = seams[0]["frame"].as_f64().unwrap();
    assert!(from < seam && seam < to + 48_000.0, "{from} {seam} {to}");
    let marks = read_time_code(&outcome.wav().channels[channel("Cleo")], CLEO);
    let expected = (at_ms - outcome.started_ms()) * SAMPLE_RATE as f64 / 1000.0;
    for mark in &marks {
        assert!((mark.origin() - expected).abs() <= TEN_MS, "{mark:?} is not where the clock put it");
    }
    assert!(marks.iter().any(|mark| mark.frame < from) && marks.iter().any(|mark| mark.frame > to), "{marks:?}");
    for person in people {
        assert!(person.stop(PATIENCE).unwrap().status.success());
    }
    assert!(host.program.stop(PATIENCE).unwrap().status.success());
}

#[test]
fn who_comes_back_after_the_file_was_made_makes_a_new_version_of_it() {
    let stage = Stage::new();
    stage.prepare(&[ADA, BEN], 120);
    let mut host = stage.host(&[]);
    let at_ms = (now_unix_ms() + 1_000.0).round();
    let join =
        |invite: &str, name: &str, speaker| stage.join(invite, name, &stage.microphone(speaker, 120, at_ms), &[]);
    let mut ada = join(&host.invite, "Ada", ADA);
    let ben = join(&host.invite, "Ben", BEN);
    host.person("participant_joined", "Ben");
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let recording = started["recording"].as_str().unwrap();
    host.recorded(recording, 4_000);
    // What Ada says while the host is away is on her disk only, and her program dies before anybody asks for it.
    host.program.kill().unwrap();
    drop(host);
    std::thread::sleep(OUTAGE);
    ada.kill().unwrap();
    drop(ada);
    let mut host = stage.host(&[]);
    host.recorded(recording, 12_000);
    let first = Outcome::of(&stage.ask_within(&["record", &host.invite, "stop", "--wait"], PATIENCE * 2).unwrap());
    assert!(!first.gapless, "{}", first.metadata);
    all_there(&first, 1, BEN, at_ms);
    let before = read_time_code(&first.wav().channels[0], ADA);

    let ada = join(&host.invite, "Ada", ADA);
    let second = next_version(&mut host, &first);
    let after = read_time_code(&second.wav().channels[0], ADA);
    println!("Ada's seconds: {} before, {} after she came back", before.len(), after.len());
    assert!(after.len() >= before.len() + 4, "{before:?} {after:?}");
    let seconds: Vec<u32> = after.iter().map(|mark| mark.second).collect();
    assert_eq!(seconds, (seconds[0]..=*seconds.last().unwrap()).collect::<Vec<_>>());
    assert_eq!(second.key, first.key, "the same object");
    let object = std::fs::read(stage.data_dir("host").join("bucket").join(&second.key)).unwrap();
    assert!(object == std::fs::read(&second.path).unwrap(), "the bucket has the new version");
    assert_eq!(object.len(), first.size as usize, "its length is the same");
    let list = stage.ask(&["recordings", &host.invite, "list"]).unwrap();
    assert_eq!(list["recordings"].as_array().unwrap().len(), 1, "{list}");
    for person in [ada, ben] {
        assert!(person.stop(PATIENCE).unwrap().status.success());
    }
}
