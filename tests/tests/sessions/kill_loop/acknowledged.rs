//! What a host that was killed had written down, and whether it is in the file that came of it.
//!
//! A participant is told that something is safe once it is in the journal and fsynced. What the journal holds at the
//! instant of a kill is all of that and a little more; nothing of it may be lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use roomtone_packets::{Packet, Record, Scanned, Scanner};
use roomtone_protocol::SegmentKey;
use roomtone_tests::signal::{SAMPLE_RATE, Speaker, best_match, energy, read_time_code};

/// Frames of a packet of 20 ms.
const PACKET: usize = 960;
/// Packets that a decoder needs after a hole until it gives what one gives that was there before.
const WARM_UP: u64 = 4;
/// Likeness of a packet in the file to the same packet decoded here: the same but for a resampler's part of a sample.
const SAME: f64 = 0.85;
/// Root mean square below which a packet says too little to be recognised by: -46 dBFS.
const AUDIBLE: f64 = 0.005;
/// How far the place of a packet may lie from that of the one before, in frames: what a map's slope and rounding do.
const STRAY: i64 = 2;

/// Packets that may all lie before the beginning of a recording, whose host died in its first moment: half a second of
/// somebody who was still sending for the one before.
const IN_FLIGHT: usize = 25;

/// How far a true time may lie from where a file puts it, in frames: 10 ms.
const INEXACT: i64 = 480;

/// One track's packets in one recording.
pub(crate) type TrackPackets = BTreeMap<(SegmentKey, u64), Packet>;

/// All packets that the journals of one host ever held, by recording and participant.
#[derive(Default)]
pub(crate) struct Acknowledged(BTreeMap<String, BTreeMap<String, TrackPackets>>);

impl Acknowledged {
    /// Adds what the journals of a host hold now.
    pub(crate) fn read(&mut self, host: &Path) {
        let Ok(recordings) = fs::read_dir(host.join("recordings")) else { return };
        for recording in recordings {
            let folder = recording.unwrap().path();
            // A host that is killed at the very beginning of a recording leaves a folder without a journal.
            let Ok(files) = fs::read_dir(folder.join("journal")) else { continue };
            for file in files {
                let path = file.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let Some(track) = name.strip_prefix("track-").and_then(|rest| rest.split('.').next()) else { continue };
                let id = folder.file_name().unwrap().to_string_lossy().into_owned();
                let mut scanner = Scanner::default();
                scanner.push(&fs::read(&path).unwrap());
                while let Some(scanned) = scanner.next_scanned() {
                    if let Scanned::Record { record: Record::Packet(packet), .. } = scanned {
                        let tracks = self.0.entry(id.clone()).or_default();
                        let packets = tracks.entry(track.to_owned()).or_default();
                        packets.insert((packet.segment, packet.index.0), packet);
                    }
                }
            }
        }
    }

    /// The recordings that hold anything, with their tracks.
    pub(crate) fn recordings(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, TrackPackets>)> {
        let audible =
            |tracks: &BTreeMap<String, TrackPackets>| tracks.values().any(|packets| packets.len() > IN_FLIGHT);
        self.0.iter().filter(move |(_, tracks)| audible(tracks)).map(|(recording, tracks)| (recording.as_str(), tracks))
    }
}

/// Whose track a channel is, and where their source lies in time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    pub(crate) speaker: Speaker,
    /// Unix time in milliseconds at which it began.
    pub(crate) at_ms: f64,
    /// Unix time in milliseconds at which the file begins.
    pub(crate) started_ms: f64,
}

impl Source {
    /// The frame of the file at which something begins that was heard, by the time code in it; None without one.
    fn place(&self, heard: &[f32]) -> Option<i64> {
        let mark = *read_time_code(heard, self.speaker).first()?;
        let began = (self.at_ms - self.started_ms) * SAMPLE_RATE as f64 / 1000.0;
        #[expect(clippy::cast_possible_truncation, reason = "a frame, or one before the file")]
        let place = (began - mark.origin()).round() as i64;
        Some(place)
    }
}

/// A track's packets, as they were found in a channel.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// All of them.
    pub(crate) packets: usize,
    /// Of these, the ones that lie behind the end of the file, as far as they say anything. Before its beginning there
    /// may be some as well, from somebody who still sends for the recording that their host's death has ended.
    pub(crate) behind: usize,
}

/// Finds every packet of a track in a channel. Where they lie relative to each other is what their own numbers say,
/// which count samples of a device; where all of them lie is for the sound to tell.
pub(crate) fn all_in(packets: &TrackPackets, channel: &[f32], source: Source, what: &str) -> Found {
    let mut segments: BTreeMap<SegmentKey, Vec<&Packet>> = BTreeMap::new();
    packets.values().for_each(|packet| segments.entry(packet.segment).or_default().push(packet));
    let behind = segments.values().map(|packets| behind(packets, channel, source, what)).sum();
    Found { packets: packets.len(), behind }
}

/// Finds those of one segment, and counts the ones behind the end.
fn behind(packets: &[&Packet], channel: &[f32], source: Source, what: &str) -> usize {
    let first = packets[0].index.0;
    let place = |packet: &Packet| usize::try_from(packet.index.0 - first).unwrap();
    let mut heard = vec![0.0; place(packets[packets.len() - 1]) + PACKET];
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Mono).unwrap();
    let mut warm = Vec::new();
    let (mut next, mut since) = (None, 0);
    for packet in packets {
        if next != Some(packet.index.0) {
            decoder.reset_state().unwrap();
            since = 0;
        }
        let at = place(packet);
        decoder.decode_float(&packet.opus, &mut heard[at..at + PACKET], false).unwrap();
        if since >= WARM_UP {
            warm.push(at);
        }
        since += 1;
        next = Some(packet.index.0 + u64::from(packet.samples));
    }
    let best = best_match(channel, &heard).lag;
    // Where nothing fits, all of it may lie outside of the file: a machine that is very busy sends late.
    let mut lag = source.place(&heard).filter(|place| (place - best).abs() > INEXACT).unwrap_or(best);
    let mut behind = 0;
    for at in warm {
        let said = &heard[at..at + PACKET];
        if (energy(said) / PACKET as f64).sqrt() < AUDIBLE {
            continue;
        }
        let near = (lag - STRAY..=lag + STRAY).filter_map(|lag| Some((lag, likeness(channel, at, lag, said)?)));
        match near.max_by(|a, b| a.1.total_cmp(&b.1)) {
            Some((found, likeness)) => {
                assert!(likeness > SAME, "{what}: the packet {at} samples in is not in the file ({likeness:.2})");
                lag = found;
            }
            None if i64::try_from(at).unwrap() + lag < STRAY => {}
            None => behind += 1,
        }
    }
    behind
}

fn likeness(channel: &[f32], at: usize, lag: i64, said: &[f32]) -> Option<f64> {
    let from = usize::try_from(i64::try_from(at).ok()? + lag).ok()?;
    let found = channel.get(from..from + PACKET)?;
    let product: f64 = found.iter().zip(said).map(|(a, b)| f64::from(a * b)).sum();
    Some(product / (energy(found) * energy(said)).sqrt().max(1e-12))
}
