//! A recording goes up to the bucket while it is recorded, and what is left after Stop is its head and its end: also when
//! the host's program was killed on the way, and when somebody brought what was missing after its part had gone up.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use md5::{Digest as _, Md5};
use roomtone_tests::signal::Speaker;
use roomtone_tests::{
    Bucket, Deadline, Host, Outcome, PATIENCE, Program, SeaweedFs, Stage, Stopwatch, Unfinished, now_unix_ms,
};

/// Enough people to fill a part every eleven seconds, with samples of 32 bits.
const PEOPLE: [(&str, Speaker); 4] =
    [("Ada", Speaker(1)), ("Ben", Speaker(2)), ("Cem", Speaker(3)), ("Dora", Speaker(4))];

/// Bytes a part.
const PART: u64 = 8 << 20;

/// How much they have to say, in seconds.
const SECONDS: usize = 400;

/// Bytes of a second of all of them.
const SECOND: u64 = 48_000 * 4 * 4;

/// Until clocks are known well enough to put down what is said within seconds, or until some parts are full.
const SETTLING: Duration = Duration::from_secs(240);

/// How long nobody listens: what is said in it is what has to come back.
const OUTAGE: Duration = Duration::from_secs(3);

struct Room {
    stage: Stage,
    bucket: Bucket,
    people: Vec<Program>,
    host: Host,
    at_ms: f64,
    _server: SeaweedFs,
}

impl Room {
    fn new() -> Self {
        let stage = Stage::new();
        let server = SeaweedFs::start(stage.place());
        let bucket = server.bucket("talks");
        bucket.create().unwrap();
        let stage = stage.with_environment(server.environment("talks"));
        let host = stage.host(&["--bit-depth", "32"]);
        stage.prepare(&PEOPLE.map(|(_, speaker)| speaker), SECONDS);
        let at_ms = (now_unix_ms() + 1_000.0).round();
        let mut room = Self { stage, bucket, people: vec![], host, at_ms, _server: server };
        for (name, speaker) in PEOPLE {
            let person = room.joins(name, speaker);
            room.people.push(person);
            room.host.person("participant_joined", name);
        }
        room.clocks_settle();
        room
    }

    /// Until the clocks are known the file is silent, and all of it is written over. It grows along with the recording
    /// once they are; that recording is cancelled.
    fn clocks_settle(&mut self) {
        let recording = self.starts();
        let begun = Stopwatch::start();
        let partial = self.folder(&recording).join("take.wav.partial");
        let settled = Deadline::after(SETTLING).poll(|| {
            let seconds = fs::metadata(&partial).map_or(0, |file| file.len() / SECOND);
            (seconds > 0 && seconds + 8 > begun.elapsed().as_secs()).then_some(())
        });
        assert!(settled.is_some(), "the file stays behind the recording");
        self.stage.ask(&["record", &self.host.host_invite, "cancel", "--yes"]).unwrap();
        self.nothing_is_open();
    }

    /// Where the host keeps a recording.
    fn folder(&self, recording: &str) -> PathBuf {
        self.stage.data_dir("host").join("recordings").join(recording)
    }

    fn joins(&self, name: &str, speaker: Speaker) -> Program {
        self.stage.join(&self.host.invite, name, &self.stage.microphone(speaker, SECONDS, self.at_ms), &[])
    }

    fn starts(&self) -> String {
        let started = self.stage.ask(&["record", &self.host.invite, "start"]).unwrap();
        started["recording"].as_str().unwrap().to_owned()
    }

    fn stops(&self) -> Outcome {
        Outcome::of(&self.stage.ask_within(&["record", &self.host.invite, "stop", "--wait"], PATIENCE * 2).unwrap())
    }

    /// Waits until just these parts of one object are in the bucket.
    fn went_up(&self, numbers: &[i32]) -> Unfinished {
        let mut last = None;
        let found = Deadline::after(SETTLING).poll(|| {
            let mut there = self.bucket.unfinished().unwrap();
            last = Some(there.clone());
            there.pop().filter(|upload| there.is_empty() && upload.numbers() == numbers)
        });
        found.unwrap_or_else(|| panic!("never just the parts {numbers:?}, but {last:?}"))
    }

    fn nothing_is_open(&self) {
        let mut last = None;
        let closed = Deadline::after(PATIENCE).poll(|| {
            last = Some(self.bucket.unfinished().unwrap());
            last.as_ref().is_some_and(Vec::is_empty).then_some(())
        });
        assert!(closed.is_some(), "{last:?}");
    }

    /// The object is the file, and nothing else is left of it.
    fn is_in_the_bucket(&self, outcome: &Outcome) -> Vec<u8> {
        let file = fs::read(&outcome.path).unwrap();
        assert!(self.bucket.get(&outcome.key).unwrap() == file, "another object than the file");
        assert_eq!(outcome.size, file.len() as u64);
        assert_eq!(self.bucket.unfinished().unwrap(), []);
        file
    }

    fn ends(self) {
        for person in self.people {
            assert!(person.stop(PATIENCE).unwrap().status.success());
        }
        assert!(self.host.program.stop(PATIENCE).unwrap().status.success());
    }
}

#[test]
fn parts_are_in_the_bucket_before_stop_and_a_cancel_leaves_none() {
    let room = Room::new();
    room.starts();
    let before = room.went_up(&[2, 3, 4]);
    assert!(before.parts.iter().all(|part| part.size == PART as i64), "{before:?}");
    assert_eq!(room.bucket.keys().unwrap(), [] as [String; 0], "an object appears whole or not at all");
    let stopwatch = Stopwatch::start();
    let outcome = room.stops();
    println!("{} MB: {} ms from Stop to the bucket", outcome.size / 1_000_000, stopwatch.elapsed().as_millis());
    assert_eq!(outcome.key, before.key);
    assert!(outcome.gapless, "{}", outcome.metadata);
    let parts = outcome.size.div_ceil(PART);
    assert!(parts <= 5, "the head and the end are left of {parts} parts, of which three had gone up");
    room.is_in_the_bucket(&outcome);

    room.starts();
    let second = room.went_up(&[2]);
    assert_ne!(second.id, before.id);
    room.stage.ask(&["record", &room.host.host_invite, "cancel", "--yes"]).unwrap();
    room.nothing_is_open();
    assert!(!room.bucket.keys().unwrap().contains(&second.key));
    room.ends();
}

#[test]
fn a_host_that_is_killed_goes_on_with_its_parts_and_a_repair_reaches_one_that_had_gone_up() {
    let mut room = Room::new();
    let recording = room.starts();
    let before = room.went_up(&[2, 3]);
    // What Ada says while the host is away is on her disk only, and her program dies before anybody asks for it.
    room.host.program.kill().unwrap();
    std::thread::sleep(OUTAGE);
    let mut ada = room.people.remove(0);
    ada.kill().unwrap();
    drop(ada);
    room.host = room.stage.host(&["--bit-depth", "32"]);
    room.host.recorded(&recording, 40_000);
    // The hole goes up as silence.
    let mut after = room.went_up(&[2, 3, 4]);
    assert_eq!(after.id, before.id);
    // The last one may have reached the bucket just when the host died, before it could note that: then it goes once more.
    let again = after.parts.iter().rposition(|part| part.number == 3).unwrap();
    if again == before.parts.len() {
        assert_eq!(after.parts.remove(again).etag, before.parts.last().unwrap().etag);
    }
    let hole = after.parts.last().unwrap();
    assert_eq!((&after.parts[..after.parts.len() - 1], hole.number), (&before.parts[..], 4), "none was sent again");

    let ada = room.joins("Ada", PEOPLE[0].1);
    room.people.insert(0, ada);
    let partial = room.folder(&recording).join("take.wav.partial");
    let brought = Deadline::after(SETTLING).poll(|| (part(&fs::read(&partial).unwrap(), 4) != hole.etag).then_some(()));
    assert!(brought.is_some(), "what Ada said meanwhile does not come");
    let outcome = room.stops();
    assert_eq!((&outcome.recording, &outcome.key), (&recording, &before.key));
    let file = room.is_in_the_bucket(&outcome);
    assert_eq!((after.parts[0].etag.clone(), after.parts[1].etag.clone()), (part(&file, 2), part(&file, 3)));
    assert_ne!(hole.etag, part(&file, 4), "the object has what was in no part before");
    room.ends();
}

/// The MD5 of a part of a file, hexadecimal.
fn part(file: &[u8], number: usize) -> String {
    let part = &file[(number - 1) * PART as usize..number * PART as usize];
    Md5::digest(part).iter().map(|byte| format!("{byte:02x}")).collect()
}
