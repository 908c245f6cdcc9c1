//! One room whose host is killed again and again, while two people go on talking.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use roomtone_tests::signal::{SAMPLE_RATE, Speaker, read_time_code};
use roomtone_tests::{Chance, Deadline, PATIENCE, Program, Stage, Wav, free_ports, now_unix_ms, readers, unix_ms};
use serde_json::Value;

use super::acknowledged::{Acknowledged, Source, TrackPackets, all_in};
use super::let_pass;

const PEOPLE: [(&str, Speaker); 2] = [("Ada", Speaker(1)), ("Ben", Speaker(2))];
/// Length of the sources: the kills of a room take a minute and a half, on a busy machine.
const SOURCE_S: usize = 280;
/// A host has opened its room by then, on a machine that does little else, in ms after its start.
const START_MS: u64 = 600;
/// Everybody is back by then, and what an earlier life left is finished, in ms after the room was opened.
const OPENING_MS: u64 = 2_500;
/// Journals are fsynced once a second: this is some of those, in ms.
const RECORDING_MS: u64 = 3_500;
/// By then a recording of some seconds is settled, rendered, hashed and in the bucket, in ms after Stop.
const FINISHING_MS: u64 = 2_000;
/// What the last host records before Stop, in ms.
const LAST_WORDS_MS: u64 = 3_000;
/// Packets that may lie behind the end of a recording that was not stopped: what its last one begins in.
const MARGIN: usize = 2;
/// Frames in 10 ms, as exact as a start has to be.
const TEN_MS: f64 = 480.0;

/// When a host is killed: at any instant of what it does.
#[derive(Debug, Clone, Copy)]
enum Death {
    /// After its start.
    Starting { ms: u64 },
    /// After it opened its room.
    Opening { ms: u64 },
    /// After it said that it records.
    Recording { ms: u64 },
    /// After somebody pressed Stop.
    Finishing { ms: u64 },
}

impl Death {
    fn drawn(chance: &mut Chance) -> Self {
        match chance.within(0..7) {
            0 => Self::Starting { ms: chance.within(0..START_MS) },
            1 => Self::Opening { ms: chance.within(0..OPENING_MS) },
            2 | 3 => Self::Finishing { ms: chance.within(0..FINISHING_MS) },
            _ => Self::Recording { ms: chance.within(0..RECORDING_MS) },
        }
    }
}

/// What came of a room.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Survived {
    pub(crate) kills: u32,
    pub(crate) recordings: usize,
    pub(crate) packets: usize,
}

/// Kills the host of a room so often, and looks at what is left.
pub(crate) fn survives(seed: u64, kills: u32) -> Survived {
    let mut chance = Chance::new(seed);
    let mut room = Room::open();
    for number in 0..kills {
        let death = Death::drawn(&mut chance);
        println!("seed {seed}, life {number}: {death:?}");
        room.live(death);
    }
    let mut survived = room.end();
    survived.kills = kills;
    println!("seed {seed}: {survived:?}");
    survived
}

struct Room {
    people: [Program; 2],
    invite: String,
    listen: String,
    at_ms: f64,
    acknowledged: Acknowledged,
    /// When somebody pressed Stop last, in unix milliseconds, by recording.
    stopped: BTreeMap<String, f64>,
    stage: Stage,
}

impl Room {
    /// Everybody is there, and nothing is being recorded.
    fn open() -> Self {
        let stage = Stage::new();
        let [port] = free_ports();
        let listen = format!("127.0.0.1:{port}");
        let mut host = stage.host(&["--listen", &listen]);
        stage.prepare(&PEOPLE.map(|(_, speaker)| speaker), SOURCE_S);
        let at_ms = (now_unix_ms() + 500.0).round();
        let people = PEOPLE.map(|(name, speaker)| {
            let person = stage.join(&host.invite, name, &stage.microphone(speaker, SOURCE_S, at_ms), &["--stay"]);
            host.person("participant_joined", name);
            person
        });
        let invite = host.invite.clone();
        host.program.kill().unwrap();
        let (acknowledged, stopped) = (Acknowledged::default(), BTreeMap::new());
        Self { people, invite, listen, at_ms, acknowledged, stopped, stage }
    }

    fn host(&self) -> Program {
        let arguments =
            ["host", "--mic", "none", "--media-addr", "127.0.0.1", "--listen", &self.listen, "--room", "First light"];
        Program::start("host", &mut self.stage.roomtone("host", &arguments)).unwrap()
    }

    /// A host's life, up to its death.
    fn live(&mut self, death: Death) {
        let mut host = self.host();
        match death {
            Death::Starting { .. } => {}
            Death::Opening { .. } => drop(host.wait_for_event("ready", PATIENCE).unwrap()),
            Death::Recording { .. } => {
                host.wait_for_event("ready", PATIENCE).unwrap();
                recording(&self.stage, &self.invite);
            }
            Death::Finishing { .. } => {
                host.wait_for_event("ready", PATIENCE).unwrap();
                let status = recording(&self.stage, &self.invite);
                // A packet of each of them at least.
                let_pass(OPENING_MS);
                let recording = status["recording"].as_str().unwrap().to_owned();
                self.stopped.insert(recording, now_unix_ms());
                self.stage.ask(&["record", &self.invite, "stop"]).unwrap();
            }
        }
        let (Death::Starting { ms } | Death::Opening { ms } | Death::Recording { ms } | Death::Finishing { ms }) =
            death;
        let_pass(ms);
        host.kill().unwrap();
        no_panic(&host.log());
        self.acknowledged.read(&self.stage.data_dir("host"));
    }

    /// The last host lives until everything is finished, and then all of it is looked at.
    fn end(self) -> Survived {
        let Self { people, invite, listen, at_ms, mut acknowledged, mut stopped, stage } = self;
        let mut host = stage.host(&["--listen", &listen]);
        assert_eq!(host.invite, invite, "the same room at the same address");
        for (name, _) in PEOPLE {
            let back =
                |event: &Value| event["event"] == "participant_joined" || event["event"] == "participant_returned";
            host.program.wait_for(name, PATIENCE, |event| back(event) && event["name"] == name).unwrap();
        }
        let status = recording(&stage, &invite);
        let last = status["recording"].as_str().unwrap();
        host.recorded(last, status["elapsed_ms"].as_u64().unwrap() + LAST_WORDS_MS);
        stopped.insert(last.to_owned(), now_unix_ms());
        stage.ask_within(&["record", &invite, "stop", "--wait"], PATIENCE * 2).unwrap();
        for person in people {
            no_panic(&person.stop(PATIENCE).unwrap().log);
        }
        acknowledged.read(&stage.data_dir("host"));
        let mut survived = Survived::default();
        let recordings: Vec<&str> = acknowledged.recordings().map(|(recording, _)| recording).collect();
        let keys = keys_of(&stage, &invite, &recordings);
        for ((recording, tracks), key) in acknowledged.recordings().zip(keys) {
            let what = format!("recording {recording}");
            let file = newest(&stage.data_dir("host"), recording, &key);
            survived.recordings += 1;
            let stopped_ms = stopped.get(recording).copied();
            survived.packets += look(&file, tracks, at_ms, stopped_ms, &what);
        }
        no_panic(&host.program.stop(PATIENCE).unwrap().log);
        survived
    }
}

/// Tells a room to record, unless it does so by itself, and returns its state.
fn recording(stage: &Stage, invite: &str) -> Value {
    let mut last = None;
    let found = Deadline::after(PATIENCE).poll(|| {
        let what = if matches!(last, Some(Ok(_))) { "start" } else { "status" };
        let answer = stage.ask(&["record", invite, what]);
        let recording = answer.as_ref().ok().filter(|status| !status["recording"].is_null()).cloned();
        last = Some(answer);
        recording
    });
    found.unwrap_or_else(|| panic!("the room does not record: {last:?}"))
}

/// The keys of recordings, once all of them are in the bucket.
fn keys_of(stage: &Stage, invite: &str, recordings: &[&str]) -> Vec<String> {
    let mut last = None;
    let found = Deadline::after(PATIENCE * 2).poll(|| {
        let answer = stage.ask(&["recordings", invite, "list"]);
        let keys = answer.as_ref().ok().and_then(|answer| ready_keys(answer, recordings));
        last = Some(answer);
        keys
    });
    found
        .unwrap_or_else(|| panic!("not all of {recordings:?}, of which there are packets, are in the bucket: {last:?}"))
}

/// The newest file of a recording, once all that its journal holds is in one. Who was cut off by a kill after Stop brings
/// the rest later, and the bucket gets that version when repairs have been gathered: until then it is on the disk only.
fn newest(host: &Path, recording: &str, key: &str) -> PathBuf {
    let folder = host.join("recordings").join(recording);
    let settled = Deadline::after(PATIENCE * 2).poll(|| (!folder.join("repairing").exists()).then_some(()));
    assert!(settled.is_some(), "the repair of {recording} does not end");
    let version = |number: u32| folder.join(format!("take.{number}.json"));
    let newer = (2..).take_while(|&number| version(number).exists()).last();
    newer.map_or_else(|| host.join("bucket").join(key), |number| version(number).with_extension("wav"))
}

/// The keys in a list; None unless all recordings are in it.
fn ready_keys(list: &Value, recordings: &[&str]) -> Option<Vec<String>> {
    let entries = list["recordings"].as_array()?;
    let key = |recording: &&str| {
        let entry = entries.iter().find(|entry| entry["recording"] == **recording && entry["state"] == "ready")?;
        entry["key"].as_str().map(str::to_owned)
    };
    recordings.iter().map(key).collect()
}

/// A file that any reader takes, that holds every packet, and everything at its true time, up to the end or up to Stop.
/// Returns the packets.
fn look(
    file: &Path,
    tracks: &BTreeMap<String, TrackPackets>,
    at_ms: f64,
    stopped_ms: Option<f64>,
    what: &str,
) -> usize {
    let metadata = std::fs::read(file.with_extension("json")).unwrap_or_else(|error| panic!("{what}: {error}"));
    let metadata: Value = serde_json::from_slice(&metadata).unwrap();
    let channels = metadata["channels"].as_array().unwrap();
    let reading = readers::all(file);
    assert_eq!((reading.channels, reading.rate), (channels.len() as u64, 48_000), "{what}");
    assert_eq!(metadata["frames"], reading.frames, "{what}");
    let started_ms = unix_ms(metadata["started_at"].as_str().unwrap());
    let ended_ms = unix_ms(metadata["ended_at"].as_str().unwrap());
    assert!(stopped_ms.is_none_or(|stopped_ms| ended_ms >= stopped_ms), "{what} ends before Stop: {metadata}");
    let wav = Wav::read(file);
    let mut count = 0;
    for (participant, packets) in tracks {
        let index = channels.iter().position(|channel| channel["participant"] == **participant);
        let index = index.unwrap_or_else(|| panic!("{what}: {participant} has no channel in {metadata}"));
        let (channel, name) = (&wav.channels[index], channels[index]["name"].as_str().unwrap());
        let what = format!("{what}, {name}");
        let speaker = PEOPLE.iter().find(|person| person.0 == name).unwrap().1;
        let source = Source { speaker, at_ms, started_ms };
        let found = all_in(packets, channel, source, &what);
        count += found.packets;
        // Only Stop may cut anything off: until people hear of it, they go on sending.
        assert!(stopped_ms.is_some() || found.behind <= MARGIN, "{what}: {found:?}");
        let began = (at_ms - started_ms) * SAMPLE_RATE as f64 / 1000.0;
        for mark in read_time_code(channel, speaker) {
            let error = (mark.origin() - began).abs();
            assert!(error <= TEN_MS, "{what}: {mark:?} lies {error:.0} frames from the truth");
        }
    }
    count
}

pub(crate) fn no_panic(log: &str) {
    let at = log.lines().position(|line| line.contains("panicked at"));
    let told = at.map(|at| log.lines().skip(at).take(3).collect::<Vec<_>>().join("\n"));
    assert_eq!(told, None);
}
