//! What a recording costs: eight people for a minute, in real programs, into a folder and into SeaweedFS, next to what
//! decoding and writing the same packets costs by itself.

#![allow(clippy::unwrap_used, reason = "a benchmark ends at what it does not expect")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use roomtone_packets::{Packet, Record, Scanned, Scanner};
use roomtone_tests::signal::Speaker;
use roomtone_tests::{PATIENCE, Program, SeaweedFs, Stage, Stopwatch, now_unix_ms};

const PEOPLE: u32 = 8;
const LENGTH_MS: u64 = 60_000;
/// Frames of a packet of 20 ms.
const PACKET: usize = 960;
/// What /proc counts processor time in, on every Linux (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// What one session took.
struct Figures {
    /// Processor time of the host's program from Record to completed, in seconds.
    processor_s: Option<f64>,
    /// Most memory that it ever held, in MB.
    peak_mb: Option<f64>,
    stop_to_completed: Duration,
}

/// Processor time of a process so far, in seconds (proc(5)).
fn processor_s(process: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in brackets may hold anything; what follows it are numbers from the third field on.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some((ticks(14)? + ticks(15)?) / TICKS_PER_SECOND)
}

/// Most memory that a process held at once, in MB.
fn peak_mb(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1000.0)
}

fn session(stage: &Stage, who: &str, settings: &[&str]) -> Figures {
    let mut host = stage.host_as(who, settings);
    let people: Vec<Program> = (0..PEOPLE)
        .map(|number| {
            let name = format!("{who}-guest-{number}");
            let microphone = format!("{}&loop=1", stage.microphone(Speaker(number), 20, now_unix_ms()));
            let program = stage.join(&host.invite, &name, &microphone, &[]);
            host.person("participant_joined", &name);
            program
        })
        .collect();
    let process = host.program.id();
    let before = processor_s(process);
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let recording = started["recording"].as_str().unwrap().to_owned();
    host.recorded(&recording, LENGTH_MS);
    let stop = Program::start("stop", &mut stage.roomtone("remote", &["record", &host.invite, "stop"])).unwrap();
    let finalizing = host.program.wait_for("Stop", PATIENCE, |event| event["state"] == "finalizing");
    finalizing.unwrap();
    let watch = Stopwatch::start();
    let outcome = host.completed(&recording);
    let stop_to_completed = watch.elapsed();
    let after = processor_s(process);
    assert!(outcome.gapless, "{}", outcome.metadata);
    assert!(stop.finish(PATIENCE).unwrap().status.success());
    let peak_mb = peak_mb(process);
    people.into_iter().for_each(|person| drop(person.stop(PATIENCE).unwrap()));
    host.program.stop(PATIENCE).unwrap();
    let processor_s = before.zip(after).map(|(before, after)| after - before);
    Figures { processor_s, peak_mb, stop_to_completed }
}

/// Every packet of a journal, track by track, in order.
fn packets(folder: &Path) -> Vec<Vec<Packet>> {
    let mut tracks = BTreeMap::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let mut scanner = Scanner::default();
        scanner.push(&fs::read(&path).unwrap());
        while let Some(scanned) = scanner.next_scanned() {
            if let Scanned::Record { record: Record::Packet(packet), .. } = scanned {
                let track: &mut BTreeMap<_, _> = tracks.entry(path.clone()).or_default();
                track.insert((packet.segment, packet.index), packet);
            }
        }
    }
    tracks.into_values().map(|track| track.into_values().collect()).collect()
}

/// Processor time to decode these packets and write them as 24-bit frames, in one thread, in seconds.
fn floor(tracks: &[Vec<Packet>], out: &Path) -> Option<f64> {
    let before = processor_s(std::process::id());
    let mut file = BufWriter::new(File::create(out).unwrap());
    let decoder = || opus::Decoder::new(48_000, opus::Channels::Mono).unwrap();
    let mut decoders: Vec<opus::Decoder> = tracks.iter().map(|_| decoder()).collect();
    let mut samples = [0.0_f32; PACKET];
    let mut frames = vec![0; PACKET * tracks.len() * 3];
    for number in 0..tracks.iter().map(Vec::len).max().unwrap_or(0) {
        frames.fill(0);
        for (channel, (track, decoder)) in tracks.iter().zip(&mut decoders).enumerate() {
            let Some(packet) = track.get(number) else { continue };
            let count = decoder.decode_float(&packet.opus, &mut samples, false).unwrap();
            for (frame, sample) in samples[..count].iter().enumerate() {
                #[expect(clippy::cast_possible_truncation, reason = "it is clamped to 24 bits")]
                let value = (sample * 8_388_608.0).clamp(-8_388_608.0, 8_388_607.0) as i32;
                let at = (frame * tracks.len() + channel) * 3;
                frames[at..at + 3].copy_from_slice(&value.to_le_bytes()[..3]);
            }
        }
        file.write_all(&frames).unwrap();
    }
    file.into_inner().unwrap().sync_all().unwrap();
    before.zip(processor_s(std::process::id())).map(|(before, after)| after - before)
}

/// The journal of the one recording of a host.
fn journal(stage: &Stage, who: &str) -> std::path::PathBuf {
    let mut recordings = fs::read_dir(stage.data_dir(who).join("recordings")).unwrap();
    recordings.next().expect("there is one recording").unwrap().path().join("journal")
}

fn shown(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "not measured here".to_owned(), |figure| format!("{figure:.digits$}"))
}

fn main() {
    let stage = Stage::new();
    let local = session(&stage, "folder", &["--bucket", "folder"]);
    let tracks = packets(&journal(&stage, "folder"));
    assert_eq!(tracks.len(), PEOPLE as usize);
    let floor = floor(&tracks, &stage.place().join("floor.raw"));
    let server = SeaweedFs::start(stage.place());
    server.bucket("bench").create().unwrap();
    let stage = stage.with_environment(server.environment("bench"));
    let remote = session(&stage, "s3", &["--bucket", "s3"]);

    let minutes = LENGTH_MS as f64 / 60_000.0 * f64::from(PEOPLE);
    let build = if cfg!(debug_assertions) { "development" } else { "release" };
    println!("\n{PEOPLE} participants, {} s, {build} build", LENGTH_MS / 1_000);
    println!("{:44}{:>12}{:>12}", "", "folder", "SeaweedFS");
    let line = |what: &str, figure: &dyn Fn(&Figures) -> String| {
        println!("{what:44}{:>12}{:>12}", figure(&local), figure(&remote));
    };
    line("recorder, CPU s per participant-minute", &|of| shown(of.processor_s.map(|s| s / minutes), 3));
    line("  times the floor", &|of| shown(of.processor_s.zip(floor).map(|(s, floor)| s / floor), 2));
    line("peak memory of the host, MB", &|of| shown(of.peak_mb, 1));
    line("Stop to completed, s", &|of| shown(Some(of.stop_to_completed.as_secs_f64()), 2));
    println!("{:44}{:>12}", "floor: decode and write, one thread", shown(floor.map(|s| s / minutes), 3));
}
