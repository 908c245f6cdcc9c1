//! What a recording costs: eight people in real programs, into a folder and into SeaweedFS, next to the least that it
//! could cost. Also how long people wait for their file, and how exactly the channels lie beside each other.

#![allow(clippy::unwrap_used, reason = "a benchmark ends at what it does not expect")]

mod floor;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use roomtone_tests::signal::{Mark, SAMPLE_RATE, Speaker, read_time_code};
use roomtone_tests::{
    Host, Outcome, PATIENCE, Program, SeaweedFs, Stage, Stopwatch, memory_mb, now_unix_ms, peak_memory_mb, processor_s,
};

const PEOPLE: u32 = 8;
/// Length of a short recording, and of the one whose costs are told, in ms.
const LENGTHS_MS: [u64; 2] = [10_000, 60_000];
/// Minutes of another recording into the folder, for what must not grow with time; none without it.
const LONG_MINUTES: &str = "ROOMTONE_BENCH_MINUTES";
/// Length of the sources: as long as a session takes, but for the long recording, in which they begin anew.
const SOURCE_S: usize = 180;

/// By how many millionths somebody's device is too fast: quartzes are off by up to a hundred, and each channel has to be
/// resampled.
fn skew_ppm(speaker: Speaker) -> f64 {
    f64::from(speaker.0) * 25.0 - 80.0
}

/// What one recording took.
struct Recording {
    length_ms: u64,
    /// Processor time of the host's program from Record to completed, in seconds.
    processor_s: Option<f64>,
    /// From Stop until the file is whole and on the disk for good.
    stop_to_file: Duration,
    /// From Stop until the bucket has it.
    stop_to_completed: Duration,
    /// Memory of the host's program at its end, in MB.
    memory_mb: Option<f64>,
    outcome: Outcome,
}

/// What a room with some recordings took.
struct Session {
    recordings: Vec<Recording>,
    /// Memory of a host that is alone, and the most with everybody there, in MB.
    alone_mb: Option<f64>,
    peak_mb: Option<f64>,
    /// Unix time in milliseconds at which all sources began.
    at_ms: f64,
}

fn record(stage: &Stage, host: &mut Host, length_ms: u64) -> Recording {
    let process = host.program.id();
    let before = processor_s(process);
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let recording = started["recording"].as_str().unwrap().to_owned();
    host.recorded(&recording, length_ms);
    host.program.forget();
    let memory_mb = memory_mb(process);
    let stop = Program::start("stop", &mut stage.roomtone("remote", &["record", &host.invite, "stop"])).unwrap();
    let mut state = |name: &str| {
        let reached = |event: &serde_json::Value| event["state"] == name && event["recording"] == *recording;
        host.program.wait_for(name, PATIENCE, reached).unwrap();
    };
    state("finalizing");
    let watch = Stopwatch::start();
    state("uploading");
    let stop_to_file = watch.elapsed();
    let outcome = host.completed(&recording);
    let stop_to_completed = watch.elapsed();
    let processor_s = before.zip(processor_s(process)).map(|(before, after)| after - before);
    assert!(outcome.gapless, "{}", outcome.metadata);
    assert!(stop.finish(PATIENCE).unwrap().status.success());
    Recording { length_ms, processor_s, stop_to_file, stop_to_completed, memory_mb, outcome }
}

fn session(stage: &Stage, who: &str, settings: &[&str], lengths_ms: &[u64]) -> Session {
    let speakers: Vec<Speaker> = (0..PEOPLE).map(Speaker).collect();
    stage.prepare(&speakers, SOURCE_S);
    let mut host = stage.host_as(who, settings);
    let process = host.program.id();
    let alone_mb = memory_mb(process);
    let at_ms = now_unix_ms().round();
    let people: Vec<Program> = speakers
        .iter()
        .map(|&speaker| {
            let name = format!("{who}-guest-{}", speaker.0);
            let source = stage.microphone(speaker, SOURCE_S, at_ms);
            let microphone = format!("{source}&loop=1&skew_ppm={}", skew_ppm(speaker));
            let program = stage.join(&host.invite, &name, &microphone, &["--stay"]);
            host.person("participant_joined", &name);
            program
        })
        .collect();
    let recordings = lengths_ms.iter().map(|&length_ms| record(stage, &mut host, length_ms)).collect();
    let peak_mb = peak_memory_mb(process);
    people.into_iter().for_each(|person| drop(person.stop(PATIENCE).unwrap()));
    host.program.stop(PATIENCE).unwrap();
    Session { recordings, alone_mb, peak_mb, at_ms }
}

impl Session {
    /// The one whose costs are told.
    fn minute(&self) -> &Recording {
        &self.recordings[LENGTHS_MS.len() - 1]
    }

    /// The one that is there if asked for.
    fn long(&self) -> Option<&Recording> {
        self.recordings.get(LENGTHS_MS.len())
    }

    /// How far channels lie from the truth at most, and from each other, in milliseconds.
    fn alignment_ms(&self) -> (f64, f64) {
        let outcome = &self.minute().outcome;
        let expected = (self.at_ms - outcome.started_ms()) * SAMPLE_RATE as f64 / 1000.0;
        let errors: Vec<f64> = outcome
            .wav()
            .channels
            .iter()
            .zip(0..PEOPLE)
            .flat_map(|(channel, number)| {
                let speaker = Speaker(number);
                let second = SAMPLE_RATE as f64 / (1.0 + skew_ppm(speaker) * 1e-6);
                let off = move |mark: Mark| mark.frame - expected - f64::from(mark.second) * second;
                read_time_code(channel, speaker).into_iter().map(off)
            })
            .map(|frames| frames * 1000.0 / SAMPLE_RATE as f64)
            .collect();
        let (least, most) =
            (errors.iter().copied().fold(f64::MAX, f64::min), errors.iter().copied().fold(f64::MIN, f64::max));
        (least.abs().max(most.abs()), most - least)
    }
}

/// The journal of a recording of a host.
fn journal(stage: &Stage, who: &str, recording: &str) -> PathBuf {
    stage.data_dir(who).join("recordings").join(recording).join("journal")
}

fn shown(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "not measured here".to_owned(), |figure| format!("{figure:.digits$}"))
}

/// The floor of the longer recording, from the socket and from memory, in seconds for each of its participant-minutes.
fn floors(stage: &Stage, folder: &Path, length_ms: u64) -> [Option<f64>; 2] {
    let tracks = floor::packets(folder);
    assert_eq!(tracks.len(), PEOPLE as usize);
    let out = stage.place().join("floor.raw");
    let figures = [floor::from_the_socket(&tracks, &out), floor::from_memory(&tracks, &out)];
    fs::remove_file(out).unwrap();
    figures.map(|figure| figure.map(|seconds| seconds / minutes(length_ms)))
}

/// Participant-minutes.
fn minutes(length_ms: u64) -> f64 {
    length_ms as f64 / 60_000.0 * f64::from(PEOPLE)
}

fn main() {
    let stage = Stage::new();
    let long = std::env::var(LONG_MINUTES).ok().map(|minutes| minutes.parse::<u64>().unwrap() * 60_000);
    let lengths_ms: Vec<u64> = LENGTHS_MS.into_iter().chain(long).collect();
    let local = session(&stage, "folder", &["--bucket", "folder"], &lengths_ms);
    let minute = local.minute();
    let [floor, in_memory] = floors(&stage, &journal(&stage, "folder", &minute.outcome.recording), minute.length_ms);
    let server = SeaweedFs::start(stage.place());
    server.bucket("bench").create().unwrap();
    let stage = stage.with_environment(server.environment("bench"));
    let remote = session(&stage, "s3", &["--bucket", "s3"], &LENGTHS_MS);

    let build = if cfg!(debug_assertions) { "development" } else { "release" };
    println!("\n{PEOPLE} participants, {build} build");
    println!("{:52}{:>12}{:>12}", "", "folder", "SeaweedFS");
    let line = |what: &str, figure: &dyn Fn(&Session) -> String| {
        println!("{what:52}{:>12}{:>12}", figure(&local), figure(&remote));
    };
    let each_minute = |of: &Recording| of.processor_s.map(|seconds| seconds / minutes(of.length_ms));
    let cost = |of: &Session| each_minute(of.minute());
    line("recorder, CPU s per participant-minute", &|of| shown(cost(of), 3));
    line("  times the floor", &|of| shown(cost(of).zip(floor).map(|(cost, floor)| cost / floor), 2));
    line("memory of a host that is alone, MB", &|of| shown(of.alone_mb, 1));
    line("  with everybody, at most", &|of| shown(of.peak_mb, 1));
    let each = |of: &Session| of.peak_mb.zip(of.alone_mb).map(|(peak, alone)| (peak - alone) / f64::from(PEOPLE));
    line("  for each participant", &|of| shown(each(of), 2));
    let seconds = |wait: Duration| shown(Some(wait.as_secs_f64()), 2);
    for (number, length_ms) in LENGTHS_MS.into_iter().enumerate() {
        let title = |what: &str| format!("Stop to {what} after {} s, s", length_ms / 1_000);
        line(&title("file"), &|of| seconds(of.recordings[number].stop_to_file));
        line(&title("completed"), &|of| seconds(of.recordings[number].stop_to_completed));
    }
    let ratio = |of: &Session| {
        let [short, long] = [0, 1].map(|number: usize| of.recordings[number].stop_to_file.as_secs_f64());
        long / short
    };
    line("  file, longer to shorter", &|of| shown(Some(ratio(of)), 2));
    line("channels from the truth at most, ms", &|of| shown(Some(of.alignment_ms().0), 2));
    line("  and from each other", &|of| shown(Some(of.alignment_ms().1), 2));
    if let Some(long) = local.long() {
        let title = |what: &str| format!("{what} after {} min", long.length_ms / 60_000);
        let told = |what: &str, figure: String| println!("{:52}{figure:>12}", title(what));
        told("Stop to file, s,", seconds(long.stop_to_file));
        let ratio = long.stop_to_file.as_secs_f64() / local.recordings[0].stop_to_file.as_secs_f64();
        told("  to the shortest", shown(Some(ratio), 2));
        told("Stop to completed, s,", seconds(long.stop_to_completed));
        told("memory, MB,", shown(long.memory_mb, 1));
        told("  more than after a minute, MB,", shown(long.memory_mb.zip(minute.memory_mb).map(|(a, b)| a - b), 1));
        told("recorder, CPU s per participant-minute,", shown(each_minute(long), 3));
    }
    let least = |what: &str, figure: Option<f64>| println!("{what:52}{:>12}", shown(figure, 3));
    least("floor: UDP, SRTP, decode and write, 20 ms at a time", floor);
    least("  of which decode and write", in_memory);
}
