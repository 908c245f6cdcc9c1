//! Voices, encoders, and journals in memory and on disk.
#![allow(dead_code, reason = "every test uses its part")]

pub(crate) mod copyist;

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::io;
use std::path::Path;

use opus::{Application, Bitrate, Channels, Encoder};
use roomtone_packets::{Coverage, Interval, IntervalEdge, MapStretch, Packet, Record};
use roomtone_protocol::channel::{Inventory, Segment};
use roomtone_protocol::{
    ClockNs, IndexRange, ParticipantId, RecordingId, RoomId, SampleIndex, SegmentId, SegmentKey, WakeEpoch,
};
use roomtone_recorder::{Journal, PacketSource, RecordingHeader, Timeline};

/// One in the maps' fixed point.
pub(crate) const ONE: u64 = 1 << 32;
pub(crate) const PACKET: usize = 960;
pub(crate) const SECOND: u64 = 48_000;

pub(crate) fn key(epoch: u32, segment: u32) -> SegmentKey {
    SegmentKey { epoch: WakeEpoch(epoch), segment: SegmentId(segment) }
}

pub(crate) fn participant(number: u8) -> ParticipantId {
    ParticipantId::from_bytes([number; 16])
}

pub(crate) fn recording(number: u8) -> RecordingId {
    RecordingId::from_bytes([number; 16])
}

pub(crate) fn range(segment: SegmentKey, from: u64, to: u64) -> IndexRange {
    IndexRange { segment, from: SampleIndex(from), to: SampleIndex(to) }
}

pub(crate) fn header(number: u8) -> RecordingHeader {
    RecordingHeader {
        recording: recording(number),
        room_id: RoomId::from_bytes([2; 16]),
        room: "Studio".to_owned(),
        title: Some("Evening".to_owned()),
        started_by: None,
    }
}

/// Something like a voice: a gliding tone with overtones, syllables, and a little noise; a function of time.
pub(crate) fn voice(seed: u64, samples: usize) -> Vec<f32> {
    let base = 110.0 + 37.0 * seed as f64;
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut phase = 0.0;
    (0..samples)
        .map(|n| {
            let t = n as f64 / 48_000.0;
            phase += TAU * base * (1.0 + 0.2 * (TAU * 0.3 * t).sin()) / 48_000.0;
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let noise = (random >> 40) as f64 / (1u64 << 24) as f64 - 0.5;
            let syllable = (TAU * (2.1 + 0.1 * seed as f64) * t).sin().abs();
            let tone: f64 = (1..8).map(|k| (phase * f64::from(k)).sin() / f64::from(k)).sum();
            (0.25 * syllable * tone + 0.03 * noise) as f32
        })
        .collect()
}

pub(crate) struct Encoded {
    pub(crate) packets: Vec<Packet>,
    pub(crate) codec_delay: u32,
}

/// Encodes as a participant does: 128 kb/s, 20 ms, the first sample at `first`.
pub(crate) fn encode(segment: SegmentKey, first: u64, samples: &[f32]) -> Encoded {
    let mut encoder = Encoder::new(48_000, Channels::Mono, Application::Audio).unwrap();
    encoder.set_bitrate(Bitrate::Bits(128_000)).unwrap();
    let codec_delay = u32::try_from(encoder.get_lookahead().unwrap()).unwrap();
    let packets = samples
        .chunks_exact(PACKET)
        .enumerate()
        .map(|(n, frame)| Packet {
            segment,
            index: SampleIndex(first + (n * PACKET) as u64),
            samples: PACKET as u16,
            opus: encoder.encode_vec_float(frame, 4_000).unwrap(),
        })
        .collect();
    Encoded { packets, codec_delay }
}

pub(crate) fn segment(key: SegmentKey, first: u64, codec_delay: u32) -> Segment {
    Segment {
        segment: key,
        first: SampleIndex(first),
        captured_at: ClockNs(0),
        codec_delay,
        device: "Test".to_owned(),
        device_rate: 48_000,
        cause: None,
    }
}

pub(crate) fn stretch(segment: SegmentKey, from: u64, frame: i64, fraction: u32, frames_per_sample: u64) -> MapStretch {
    MapStretch {
        segment,
        from: SampleIndex(from),
        frame,
        fraction,
        frames_per_sample,
        residual_ns: 20_000,
        uncertainty_ns: 300_000,
    }
}

pub(crate) fn inventory(number: u8, held: Vec<IndexRange>) -> Record {
    Record::Inventory(Inventory { recording: recording(number), held, holes: Vec::new(), complete: true })
}

/// The instant at which a timeline frame begins, or just after.
pub(crate) fn instant(frame: i64) -> ClockNs {
    ClockNs((frame * 1_000_000_000 + 47_999) / 48_000)
}

pub(crate) fn edges(edges: &[(IntervalEdge, i64)]) -> Vec<Interval> {
    let wall_ns = 1_795_300_000_000_000_000;
    edges.iter().map(|&(edge, frame)| Interval { edge, at: instant(frame), wall_ns }).collect()
}

pub(crate) fn recorded(from: i64, to: i64) -> Timeline {
    Timeline::new(&edges(&[(IntervalEdge::Start, from), (IntervalEdge::Stop, to)]), None)
}

/// A journal of recorded frames `from..to`.
pub(crate) fn journal(dir: &Path, number: u8, from: i64, to: i64) -> Journal {
    let mut journal = Journal::create(dir, header(number)).unwrap();
    for edge in edges(&[(IntervalEdge::Start, from), (IntervalEdge::Stop, to)]) {
        journal.note(&Record::Interval(edge)).unwrap();
    }
    journal
}

/// Packets in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    packets: BTreeMap<(SegmentKey, u64), Packet>,
    pub(crate) coverage: Coverage,
}

impl Memory {
    pub(crate) fn insert(&mut self, packet: &Packet) {
        self.coverage.insert(packet.range());
        self.packets.insert((packet.segment, packet.index.0), packet.clone());
    }
}

impl PacketSource for &Memory {
    fn packets(&mut self, range: IndexRange) -> io::Result<Vec<Packet>> {
        let keys = (range.segment, range.from.0.saturating_sub(5_760))..(range.segment, range.to.0);
        let overlapping = self.packets.range(keys).filter(|(_, packet)| packet.range().to > range.from);
        Ok(overlapping.map(|(_, packet)| packet.clone()).collect())
    }
}

/// Pearson's correlation.
pub(crate) fn correlation(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Little-endian floats.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
