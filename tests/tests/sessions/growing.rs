//! The file of a recording grows while it is recorded, and is the one that a single pass over the journal makes: after
//! Stop, after the host's program was killed, after its computer booted, and after a repair.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use roomtone_recorder::{ChannelSpec, FinalizeOptions, Journal, finalize};
#[cfg(target_os = "linux")]
use roomtone_tests::Boot;
use roomtone_tests::signal::Speaker;
use roomtone_tests::{Deadline, Host, Outcome, PATIENCE, Stage, now_unix_ms};
use serde_json::Value;

const ADA: Speaker = Speaker(1);
const BEN: Speaker = Speaker(2);

/// Bytes in front of the samples.
const HEADER: u64 = 4_096;

/// Bytes of a second of two people.
const SECOND: u64 = 48_000 * 2 * 3;

/// Until clocks are known well enough to put the first frame down, and some more.
const SETTLING: Duration = Duration::from_secs(120);

/// How long nobody listens: what is said in it is what has to come back.
const OUTAGE: Duration = Duration::from_secs(3);

/// Where the host keeps a recording.
fn folder(stage: &Stage, recording: &str) -> PathBuf {
    stage.data_dir("host").join("recordings").join(recording)
}

/// Waits until the file of a recording in progress is so long.
fn grown(folder: &Path, seconds: u64) -> u64 {
    let partial = folder.join("take.wav.partial");
    let mut last = None;
    let found = Deadline::after(SETTLING).poll(|| {
        last = fs::metadata(&partial).ok().map(|file| file.len());
        last.filter(|&bytes| bytes >= HEADER + seconds * SECOND)
    });
    found.unwrap_or_else(|| panic!("{} has {last:?} bytes, not {seconds} s", partial.display()))
}

/// The file has the bytes, and its metadata says the same, as what one pass over a copy of the journal gives.
fn is_as_of_one_pass(stage: &Stage, outcome: &Outcome) {
    let copy = stage.place().join("copy");
    fs::create_dir_all(copy.join("journal")).unwrap();
    for entry in fs::read_dir(folder(stage, &outcome.recording).join("journal")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.join("journal").join(path.file_name().unwrap())).unwrap();
    }
    let journal = Journal::open(&copy.join("journal")).unwrap();
    let software = outcome.metadata["software"].as_str().unwrap().to_owned();
    let out = copy.join("one-pass.wav");
    let made = finalize(&journal, FinalizeOptions::new(out, ChannelSpec::from_journal(&journal), software)).unwrap();
    assert_eq!(serde_json::to_value(&made.metadata).unwrap(), outcome.metadata);
    assert!(fs::read(&made.path).unwrap() == fs::read(&outcome.path).unwrap(), "other bytes than one pass gives");
    fs::remove_dir_all(copy).unwrap();
}

/// How many seconds of the newest file were there when it was brought to its end, and how many it has: the host's own log.
fn known(host: &Host) -> (u64, u64) {
    let log = host.program.log();
    let line = log.lines().rfind(|line| line.contains("a take is whole")).unwrap_or_else(|| panic!("{log}"));
    let number = |field: &str| {
        let (_, rest) = line.split_once(field).unwrap_or_else(|| panic!("{line}"));
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().unwrap_or_else(|_| panic!("{line}")) / 48_000
    };
    (number("known="), number("frames="))
}

fn started(stage: &Stage, host: &Host) -> String {
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    started["recording"].as_str().unwrap().to_owned()
}

fn stopped(stage: &Stage, host: &Host) -> Outcome {
    Outcome::of(&stage.ask_within(&["record", &host.invite, "stop", "--wait"], PATIENCE * 2).unwrap())
}

fn takes_left(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains("partial") || name.ends_with("state.new")).collect()
}

/// Hosts whose logs say what their files were made of.
fn talkative() -> Stage {
    let log = [("RUST_LOG", "roomtone_studio=info"), ("NO_COLOR", "1")];
    Stage::new().with_environment(log.map(|(name, value)| (name, value.to_owned())).to_vec())
}

#[test]
fn a_file_grows_while_it_is_recorded_also_behind_a_kill_and_a_boot_and_stop_leaves_only_its_end() {
    let stage = talkative();
    stage.prepare(&[ADA, BEN], 180);
    let mut first = stage.host(&[]);
    let at_ms = (now_unix_ms() + 1_000.0).round();
    let people = [("Ada", ADA), ("Ben", BEN)].map(|(name, speaker)| {
        let person = stage.join(&first.invite, name, &stage.microphone(speaker, 180, at_ms), &[]);
        first.person("participant_joined", name);
        person
    });
    let recording = started(&stage, &first);
    let folder = folder(&stage, &recording);
    let seconds = (grown(&folder, 60) - HEADER) / SECOND;
    grown(&folder, seconds + 2);
    first.program.kill().unwrap();
    drop(first);

    let mut host = stage.host(&[]);
    host.recorded(&recording, 70_000);
    let seconds = (grown(&folder, 75.max(seconds + 4)) - HEADER) / SECOND;
    #[cfg(target_os = "linux")]
    let host = {
        host.program.kill().unwrap();
        drop(host);
        let boot = Boot::new(stage.place(), "5b0c1d77-93b4-4a53-8f0e-6d2a7c1e9f10");
        let mut host = stage.started_host(&mut boot.command(&stage.host_command("host", &[])));
        host.recorded(&recording, 80_000);
        // On another clock it knows as well what is settled.
        grown(&folder, seconds + 12);
        host
    };
    let outcome = stopped(&stage, &host);
    assert_eq!(outcome.recording, recording);
    assert!(outcome.gapless, "{}", outcome.metadata);
    let (known, frames) = known(&host);
    println!("{known} of {frames} s were there at Stop");
    assert!(frames >= 75 && known + 4 >= frames, "{known} of {frames} s were there at Stop");
    assert_eq!(takes_left(&folder), [] as [String; 0]);
    is_as_of_one_pass(&stage, &outcome);

    // By now the clocks are known: the next one grows at once. It is cancelled, and nothing of it stays.
    let second = started(&stage, &host);
    let folder = self::folder(&stage, &second);
    grown(&folder, 2);
    stage.ask(&["record", &host.host_invite, "cancel", "--yes"]).unwrap();
    let gone = Deadline::after(PATIENCE).poll(|| (!folder.exists()).then_some(()));
    assert!(gone.is_some(), "{:?} of a recording that was cancelled", takes_left(&folder));

    for person in people {
        assert!(person.stop(PATIENCE).unwrap().status.success());
    }
    assert!(host.program.stop(PATIENCE).unwrap().status.success());
}

#[test]
fn a_repair_after_stop_patches_what_is_there() {
    let stage = talkative();
    stage.prepare(&[ADA, BEN], 120);
    let mut first = stage.host(&[]);
    let at_ms = (now_unix_ms() + 1_000.0).round();
    let join =
        |invite: &str, name: &str, speaker| stage.join(invite, name, &stage.microphone(speaker, 120, at_ms), &[]);
    let mut ada = join(&first.invite, "Ada", ADA);
    let ben = join(&first.invite, "Ben", BEN);
    first.person("participant_joined", "Ben");
    let recording = started(&stage, &first);
    first.recorded(&recording, 4_000);
    // What Ada says while the host is away is on her disk only, and her program dies before anybody asks for it.
    first.program.kill().unwrap();
    drop(first);
    std::thread::sleep(OUTAGE);
    ada.kill().unwrap();
    drop(ada);
    let mut host = stage.host(&[]);
    host.recorded(&recording, 10_000);
    let before = stopped(&stage, &host);
    assert!(!before.gapless, "{}", before.metadata);
    is_as_of_one_pass(&stage, &before);

    let ada = join(&host.invite, "Ada", ADA);
    let path = before.path.to_str().unwrap();
    let newer = |event: &Value| {
        event["event"] == "recording_completed" && event["recording"] == *before.recording && event["path"] != path
    };
    let after = Outcome::of(&host.program.wait_for("the new version", PATIENCE * 3, newer).unwrap());
    let (known, frames) = known(&host);
    assert_eq!(known, frames, "nothing is begun anew");
    is_as_of_one_pass(&stage, &after);
    for person in [ada, ben] {
        assert!(person.stop(PATIENCE).unwrap().status.success());
    }
    assert!(host.program.stop(PATIENCE).unwrap().status.success());
}
