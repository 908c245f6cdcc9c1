//! What making a file costs: CPU seconds a channel and minute, beside the floor of decoding and writing the same packets
//! in the same run; and how long Stop takes to a whole, fsynced file when the take has grown with its journal.
//!
//! ```text
//! cargo run --release -p roomtone-recorder --example finalize_cost -- [channels] [minutes] [stretched]
//! cargo run --release -p roomtone-recorder --example finalize_cost -- stop [channels] [seconds]...
//! ```
#![allow(clippy::unwrap_used, reason = "the tests' helpers fail where they cannot go on")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use common::{Encoded, ONE, SECOND, encode, inventory, key, participant, range, segment, stretch, voice};
use roomtone_packets::{ChannelGiven, Interval, IntervalEdge, Packet, Record};
use roomtone_protocol::SampleIndex;
use roomtone_recorder::{BitDepth, ChannelSpec, FinalizeOptions, Horizon, Journal, Step, Take, TakeSettings};

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|argument| argument == "stop").is_some() {
        let numbers: Vec<u64> = arguments.map(|text| text.parse().expect("a number")).collect();
        let channels = numbers.first().map_or(8, |&channels| u8::try_from(channels).expect("few channels"));
        let lengths = numbers.get(1..).filter(|lengths| !lengths.is_empty()).unwrap_or(&[10, 3_600]);
        lengths.iter().for_each(|&seconds| stop(channels, seconds));
        return;
    }
    let channels: u8 = arguments.next().map_or(8, |text| text.parse().expect("a number of channels"));
    let minutes: u64 = arguments.next().map_or(2, |text| text.parse().expect("a number of minutes"));
    let rate = if arguments.next().is_some() { ONE + ONE / 20_000 } else { ONE };
    one_pass(channels, minutes, rate);
}

/// One pass over a journal that is whole.
fn one_pass(channels: u8, minutes: u64, rate: u64) {
    let frames = minutes * 60 * SECOND;
    let dir = tempfile::tempdir().expect("a folder for the test");
    let mut journal = common::journal(&dir.path().join("journal"), 1, 0, frames as i64);
    let mut packets = Vec::new();
    for number in 0..channels {
        let encoded = encode(key(1, 0), 0, &voice(u64::from(number), frames as usize + 9_600));
        joins(&mut journal, number, &encoded, rate, frames + 9_600);
        for packet in &encoded.packets {
            journal.append(participant(number), &Record::Packet(packet.clone())).expect("an append");
        }
        packets.push(encoded.packets);
    }
    journal.sync().expect("a sync");

    let (mut finished, rendering) = measured(|| {
        let out = dir.path().join("take.wav");
        let take = Take::open(settings(&out, &journal)).expect("a take");
        take.finish(&journal.snapshot(), options(&out, &journal)).expect("a file")
    });
    let ((), hashing) = measured(|| finished.hash().expect("a file that can be read"));
    let ((), floor) = measured(|| {
        let mut file = std::fs::File::create(dir.path().join("floor")).expect("a file");
        floor(&packets, &mut file);
    });

    let per = |spent: Spent| spent.cpu.as_secs_f64() / f64::from(channels) / minutes as f64;
    println!("{channels} channels, {minutes} min, {} MB", finished.size / 1_000_000);
    println!("finalize: {:.4} CPU s per channel-minute", per(rendering));
    println!("floor (decode and write in one thread): {:.4}, ratio {:.2}", per(floor), per(rendering) / per(floor));
    println!("hash of the whole and of the parts, afterwards: {:.4}", per(hashing));
}

/// A take that grows every second, and what Stop leaves to do.
fn stop(channels: u8, seconds: u64) {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let mut journal = Journal::create(&dir.path().join("journal"), common::header(1)).expect("a journal");
    let edge = |edge, second: u64| {
        let interval = Interval { edge, at: common::instant((second * SECOND) as i64), wall_ns: 0 };
        Record::Interval(interval)
    };
    journal.note(&edge(IntervalEdge::Start, 0)).expect("a note");
    // A minute of speech, over and over.
    let voices: Vec<Encoded> =
        (0..channels).map(|number| encode(key(1, 0), 0, &voice(u64::from(number), 60 * 48_000))).collect();
    for (number, encoded) in (0..).zip(&voices) {
        joins(&mut journal, number, encoded, ONE, 0);
    }
    let out = dir.path().join("take.wav");
    let mut take = Take::open(settings(&out, &journal)).expect("a take");
    let memory = resident_kb();
    let mut growing = Spent::default();
    for second in 0..seconds {
        for (number, encoded) in (0..).zip(&voices) {
            for n in second * 50..(second + 1) * 50 {
                let packet = &encoded.packets[(n % 3_000) as usize];
                let packet = Packet { index: SampleIndex(n * 960), ..packet.clone() };
                journal.append(participant(number), &Record::Packet(packet)).expect("an append");
            }
        }
        // Hours go by in minutes here: not every second of them waits for the disk.
        if second % 60 == 59 || second + 1 == seconds {
            journal.sync().expect("a sync");
        }
        let now = common::instant(((second + 1) * SECOND) as i64);
        let ((), spent) = measured(|| {
            let snapshot = journal.snapshot();
            take.update(&snapshot, &snapshot.layout(), &Horizon::Running { now }).expect("an update");
            while take.step().expect("a step") == Step::Worked {}
        });
        growing.cpu += spent.cpu;
    }
    let memory = resident_kb().saturating_sub(memory);
    journal.note(&edge(IntervalEdge::Stop, seconds)).expect("a note");
    let (mut finished, stop) = measured(|| {
        journal.sync().expect("a sync");
        take.finish(&journal.snapshot(), options(&out, &journal)).expect("a file")
    });
    let ((), hashing) = measured(|| finished.hash().expect("a file that can be read"));
    let minutes = f64::from(channels) * seconds as f64 / 60.0;
    println!("{channels} channels, {seconds} s, {} MB", finished.size / 1_000_000);
    println!("growing: {:.4} CPU s per channel-minute, {memory} KB more resident", growing.cpu.as_secs_f64() / minutes);
    println!("stop to a whole, fsynced file: {:.1} ms", stop.wall.as_secs_f64() * 1e3);
    println!("its hashes, afterwards: {:.1} ms", hashing.wall.as_secs_f64() * 1e3);
}

fn settings(out: &Path, journal: &Journal) -> TakeSettings {
    TakeSettings { out: out.to_owned(), depth: BitDepth::Int24, recording: journal.header().recording }
}

fn options(out: &Path, journal: &Journal) -> FinalizeOptions<'static> {
    FinalizeOptions::new(out.to_owned(), ChannelSpec::from_journal(journal), "bench".to_owned())
}

fn joins(journal: &mut Journal, number: u8, encoded: &Encoded, rate: u64, held: u64) {
    let id = participant(number);
    journal.note(&Record::Channel(ChannelGiven { participant: id, index: u16::from(number) })).expect("a note");
    let notes = [
        Record::Segment(segment(key(1, 0), 0, encoded.codec_delay)),
        Record::MapStretch(stretch(key(1, 0), 0, 0, 0, rate)),
    ];
    let held = (held > 0).then(|| inventory(1, vec![range(key(1, 0), 0, held)]));
    for record in notes.into_iter().chain(held) {
        journal.append(id, &record).expect("an append");
    }
}

/// Decodes everything and writes 24-bit samples, channel by channel.
fn floor(packets: &[Vec<Packet>], file: &mut std::fs::File) {
    let mut pcm = [0.0f32; 5_760];
    let mut bytes = Vec::new();
    for channel in packets {
        let mut decoder = opus::Decoder::new(48_000, opus::Channels::Mono).expect("a decoder");
        for second in channel.chunks(50) {
            bytes.clear();
            for packet in second {
                let length = decoder.decode_float(&packet.opus, &mut pcm, false).expect("a packet");
                for sample in &pcm[..length] {
                    bytes.extend_from_slice(&((sample * 8_388_607.0) as i32).to_le_bytes()[..3]);
                }
            }
            file.write_all(&bytes).expect("room on the disk");
        }
    }
}

/// Of this process.
#[derive(Clone, Copy, Default)]
struct Spent {
    cpu: Duration,
    wall: Duration,
}

fn measured<T>(work: impl FnOnce() -> T) -> (T, Spent) {
    let (cpu, wall) = (cpu_time(), uptime());
    let made = work();
    (made, Spent { cpu: cpu_time() - cpu, wall: uptime() - wall })
}

/// User and system time in nanoseconds, on Linux; nothing elsewhere.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

/// Time that goes by.
#[expect(clippy::disallowed_methods, reason = "a measurement has to look at a clock")]
fn uptime() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970")
}

/// Memory of this process, on Linux.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}
