//! One room whose host is killed again and again, while two people go on talking.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use roomtone_tests::signal::{SAMPLE_RATE, Speaker, read_time_code};
use roomtone_tests::{Chance, Deadline, PATIENCE, Program, Stage, Wav, free_ports, now_unix_ms, readers, unix_ms};
use serde_json::Value;

use crate::acknowledged::{Acknowledged, TrackPackets, all_in};

const PEOPLE: [(&str, Speaker); 2] = [("Ada", Speaker(1)), ("Ben", Speaker(2))];
/// Length of the sources: the kills of a room take a minute and a half, on a busy machine.
const SOURCE_S: usize = 280;
/// Longest life of a host, in ms: long enough to open its room, to be found again by everybody, and to record for some
/// seconds; a tenth of all lives end before the room is open.
const LONGEST_LIFE_MS: u64 = 6_000;
/// What the last host records before Stop, in ms.
const LAST_WORDS_MS: u64 = 3_000;
/// Packets that may lie behind the end of a recording that was not stopped: what its last one begins in.
const MARGIN: usize = 2;
/// Frames in 10 ms, as exact as a start has to be.
const TEN_MS: f64 = 480.0;

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
        let life = Duration::from_millis(chance.within(0..LONGEST_LIFE_MS));
        let ended = room.live(life);
        println!("seed {seed}, life {number}: killed after {life:?}, {ended}");
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
            let person = stage.join(&host.invite, name, &stage.microphone(speaker, SOURCE_S, at_ms), &[]);
            host.person("participant_joined", name);
            person
        });
        let invite = host.invite.clone();
        host.program.kill().unwrap();
        Self { people, invite, listen, at_ms, acknowledged: Acknowledged::default(), stage }
    }

    fn host(&self) -> Program {
        let arguments =
            ["host", "--mic", "none", "--media-addr", "127.0.0.1", "--listen", &self.listen, "--room", "First light"];
        Program::start("host", &mut self.stage.roomtone("host", &arguments)).unwrap()
    }

    /// A host's life: it opens its room, is told to record unless it does so by itself, and dies. Says how far it came.
    fn live(&mut self, life: Duration) -> &'static str {
        let deadline = Deadline::after(life);
        let mut host = self.host();
        let came = self.use_up(&mut host, deadline);
        host.kill().unwrap();
        no_panic(&host.log());
        self.acknowledged.read(&self.stage.data_dir("host"));
        came
    }

    fn use_up(&self, host: &mut Program, deadline: Deadline) -> &'static str {
        let Some(left) = deadline.remaining() else { return "before it began" };
        if let Err(error) = host.wait_for_event("ready", left) {
            // It may not end by itself; that it took too long is what kills are for.
            assert!(deadline.remaining().is_none(), "{error}");
            return "before the room was open";
        }
        let Some(status) = self.ask(&["record", &self.invite, "status"], deadline) else { return "in an open room" };
        if status["recording"].is_null() && self.ask(&["record", &self.invite, "start"], deadline).is_none() {
            return "about to record";
        }
        // Until its time is over; nothing else is waited for.
        deadline.poll(|| None::<()>);
        "while recording"
    }

    /// What a room answers, if its host lives that long.
    fn ask(&self, arguments: &[&str], deadline: Deadline) -> Option<Value> {
        let left = deadline.remaining()?;
        let finished = Program::run("remote", &mut self.stage.roomtone("remote", arguments), left).ok()?;
        assert!(finished.status.success(), "{arguments:?}: {:?} {}", finished.events, finished.log);
        finished.events.last().cloned()
    }

    /// The last host lives until everything is finished, and then all of it is looked at.
    fn end(self) -> Survived {
        let Self { people, invite, listen, at_ms, mut acknowledged, stage } = self;
        let mut host = stage.host(&["--listen", &listen]);
        assert_eq!(host.invite, invite, "the same room at the same address");
        for (name, _) in PEOPLE {
            let back =
                |event: &Value| event["event"] == "participant_joined" || event["event"] == "participant_returned";
            host.program.wait_for(name, PATIENCE, |event| back(event) && event["name"] == name).unwrap();
        }
        let mut status = stage.ask(&["record", &invite, "status"]).unwrap();
        if status["recording"].is_null() {
            status = stage.ask(&["record", &invite, "start"]).unwrap();
        }
        let last = status["recording"].as_str().unwrap();
        host.recorded(last, status["elapsed_ms"].as_u64().unwrap() + LAST_WORDS_MS);
        let stopped_ms = now_unix_ms();
        stage.ask_within(&["record", &invite, "stop", "--wait"], PATIENCE * 2).unwrap();
        for person in people {
            no_panic(&person.stop(PATIENCE).unwrap().log);
        }
        acknowledged.read(&stage.data_dir("host"));
        let mut survived = Survived::default();
        for (recording, tracks) in acknowledged.recordings() {
            let what = format!("recording {recording}");
            let key = key_of(&stage, &invite, recording);
            let file = stage.data_dir("host").join("bucket").join(key);
            survived.recordings += 1;
            let stopped_ms = Some(stopped_ms).filter(|_| recording == last);
            survived.packets += look(&file, tracks, at_ms, stopped_ms, &what);
        }
        no_panic(&host.program.stop(PATIENCE).unwrap().log);
        survived
    }
}

/// The key of a recording, once it is in the bucket.
fn key_of(stage: &Stage, invite: &str, recording: &str) -> String {
    let listed = |answer: &Value| {
        let entries = answer["recordings"].as_array()?;
        let entry = entries.iter().find(|entry| entry["recording"] == recording && entry["state"] == "ready")?;
        entry["key"].as_str().map(str::to_owned)
    };
    let found = Deadline::after(PATIENCE).poll(|| listed(&stage.ask(&["recordings", invite, "list"]).unwrap()));
    found.unwrap_or_else(|| panic!("recording {recording}, of which there are packets, never reached the bucket"))
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
    let ended_ms = unix_ms(metadata["ended_at"].as_str().unwrap());
    assert!(stopped_ms.is_none_or(|stopped_ms| ended_ms >= stopped_ms), "{what} ends before Stop: {metadata}");
    let wav = Wav::read(file);
    let mut count = 0;
    for (participant, packets) in tracks {
        let index = channels.iter().position(|channel| channel["participant"] == **participant);
        let index = index.unwrap_or_else(|| panic!("{what}: {participant} has no channel in {metadata}"));
        let (channel, name) = (&wav.channels[index], channels[index]["name"].as_str().unwrap());
        let what = format!("{what}, {name}");
        let found = all_in(packets, channel, &what);
        count += found.packets;
        // Only Stop may cut anything off: until people hear of it, they go on sending.
        assert!(stopped_ms.is_some() || found.behind <= MARGIN, "{what}: {found:?}");
        let speaker = PEOPLE.iter().find(|person| person.0 == name).unwrap().1;
        let began = (at_ms - unix_ms(metadata["started_at"].as_str().unwrap())) * SAMPLE_RATE as f64 / 1000.0;
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
