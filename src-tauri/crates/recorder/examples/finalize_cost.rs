//! What finalizing costs: CPU seconds a channel and minute, beside the floor of decoding and writing the same packets.
//!
//! ```text
//! cargo run --release -p roomtone-recorder --example finalize_cost -- [channels] [minutes] [stretched]
//! ```
#![allow(clippy::unwrap_used, reason = "the tests' helpers fail where they cannot go on")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::io::Write as _;
use std::time::Duration;

use common::{ONE, encode, inventory, key, participant, range, segment, stretch, voice};
use roomtone_packets::{ChannelGiven, Record};
use roomtone_recorder::{ChannelSpec, FinalizeOptions, finalize};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let channels: u8 = arguments.next().map_or(8, |text| text.parse().expect("a number of channels"));
    let minutes: u64 = arguments.next().map_or(2, |text| text.parse().expect("a number of minutes"));
    let rate = if arguments.next().is_some() { ONE + ONE / 20_000 } else { ONE };
    let frames = minutes * 60 * common::SECOND;
    let dir = tempfile::tempdir().expect("a folder for the test");
    let mut journal = common::journal(&dir.path().join("journal"), 1, 0, frames as i64);
    let mut packets = Vec::new();
    for number in 0..channels {
        let encoded = encode(key(1, 0), 0, &voice(u64::from(number), frames as usize + 9_600));
        let id = participant(number);
        let notes = [
            Record::Segment(segment(key(1, 0), 0, encoded.codec_delay)),
            Record::MapStretch(stretch(key(1, 0), 0, 0, 0, rate)),
            inventory(1, vec![range(key(1, 0), 0, frames + 9_600)]),
        ];
        journal.note(&Record::Channel(ChannelGiven { participant: id, index: u16::from(number) })).expect("a note");
        for record in notes.into_iter().chain(encoded.packets.iter().cloned().map(Record::Packet)) {
            journal.append(id, &record).expect("an append");
        }
        packets.push(encoded.packets);
    }
    journal.sync().expect("a sync");

    let before = cpu_time();
    let spec = ChannelSpec::from_journal(&journal);
    let options = FinalizeOptions::new(dir.path().join("take.wav"), spec, "bench".to_owned());
    let finished = finalize(&journal, options).expect("a file");
    let spent = cpu_time() - before;

    let before = cpu_time();
    let mut file = std::fs::File::create(dir.path().join("floor")).expect("a file");
    floor(&packets, &mut file);
    let floor = cpu_time() - before;

    let per = |spent: Duration| spent.as_secs_f64() / f64::from(channels) / minutes as f64;
    println!("{channels} channels, {minutes} min, {} MB", finished.size / 1_000_000);
    println!("finalize: {:.4} CPU s per channel-minute", per(spent));
    println!("floor (decode and write in one thread): {:.4}", per(floor));
}

/// Decodes everything and writes 24-bit samples, channel by channel.
fn floor(packets: &[Vec<roomtone_packets::Packet>], file: &mut std::fs::File) {
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

/// CPU time of this process: user and system, in ticks of 10 ms on Linux; nothing elsewhere.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
