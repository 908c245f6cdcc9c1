//! One record of every kind, with values that must never change: the golden files hold them.
#![allow(dead_code, reason = "every test uses its part")]

use roomtone_packets::{
    Arrival, ChannelGiven, ClockExchange, Described, EpochStart, Interval, IntervalEdge, MapStretch, MarkerSet,
    MutedFrom, NameGiven, Packet, PersonLeft, Record, SenderReport,
};
use roomtone_protocol::channel::{Anchor, Hole, Inventory, Segment};
use roomtone_protocol::metadata::GapCause;
use roomtone_protocol::{
    ClockNs, IndexRange, ParticipantId, RecordingId, SampleIndex, SegmentId, SegmentKey, WakeEpoch,
};

pub(crate) fn key(epoch: u32, segment: u32) -> SegmentKey {
    SegmentKey { epoch: WakeEpoch(epoch), segment: SegmentId(segment) }
}

pub(crate) fn range(segment: SegmentKey, from: u64, to: u64) -> IndexRange {
    IndexRange { segment, from: SampleIndex(from), to: SampleIndex(to) }
}

pub(crate) fn packet(index: u64, opus: &[u8]) -> Record {
    Record::Packet(Packet { segment: key(7, 2), index: SampleIndex(index), samples: 960, opus: opus.to_vec() })
}

/// File name of the golden record, and the record.
pub(crate) fn every_kind() -> Vec<(&'static str, Record)> {
    let participant = ParticipantId::from_bytes([0x11; 16]);
    let recording = RecordingId::from_bytes([0x22; 16]);
    let segment = key(7, 2);
    vec![
        ("01-packet", packet(0x0001_0000_0123_4567, &[0xfc, 0x52, 0x54, 0x00, 0xff])),
        (
            "02-segment",
            Record::Segment(Segment {
                segment,
                first: SampleIndex(48_000),
                captured_at: ClockNs(1_000_000_007),
                codec_delay: 312,
                device: "Mikrofon \"ä\"".to_owned(),
                device_rate: 44_100,
                cause: Some(GapCause::DeviceChange),
            }),
        ),
        (
            "03-epoch",
            Record::Epoch(EpochStart {
                epoch: WakeEpoch(7),
                boot_id: Some("5e0c".to_owned()),
                at: ClockNs(5),
                wall_ns: 1_763_700_000_000_000_000,
                placed: None,
            }),
        ),
        (
            "04-clock-exchange",
            Record::ClockExchange(ClockExchange {
                epoch: WakeEpoch(7),
                t0: ClockNs(10),
                t1: ClockNs(-20),
                t2: ClockNs(-19),
                t3: ClockNs(13),
            }),
        ),
        (
            "05-map-stretch",
            Record::MapStretch(MapStretch {
                segment,
                from: SampleIndex(48_000),
                frame: -3,
                fraction: u32::MAX,
                frames_per_sample: (1 << 32) + 214_748,
                residual_ns: 35_000,
                uncertainty_ns: 400_000,
            }),
        ),
        (
            "06-interval",
            Record::Interval(Interval {
                edge: IntervalEdge::Resume,
                at: ClockNs(9),
                wall_ns: 1_763_700_000_000_000_009,
            }),
        ),
        ("07-retract", Record::Retract(range(segment, 96_000, 144_000))),
        (
            "08-inventory",
            Record::Inventory(Inventory {
                recording,
                held: vec![range(segment, 48_000, 96_000), range(segment, 96_960, 1 << 40)],
                holes: vec![Hole { range: range(segment, 96_000, 96_960), cause: GapCause::CaptureStall }],
                complete: true,
            }),
        ),
        (
            "09-marker",
            Record::Marker(MarkerSet {
                recording,
                at: ClockNs(77),
                text: "take 2 ✓".to_owned(),
                by: Some(participant),
                asked: None,
            }),
        ),
        ("10-name", Record::Name(NameGiven { participant, name: "Zoë".to_owned() })),
        ("11-anchor", Record::Anchor(Anchor { segment, index: SampleIndex(96_000), at: ClockNs(2_000_000_000) })),
        ("12-muted", Record::Muted(MutedFrom { segment, from: SampleIndex(96_960), muted: true })),
        ("13-left", Record::Left(PersonLeft { participant, at: ClockNs(123) })),
        ("14-channel", Record::Channel(ChannelGiven { participant, index: 3 })),
        (
            "15-described",
            Record::Described(Described { title: Some("Pilot „2“".to_owned()), notes: Some("a\nb".to_owned()) }),
        ),
        ("16-arrival", Record::Arrival(Arrival { segment, end: SampleIndex(48_960), at: ClockNs(1_020_000_007) })),
        (
            "17-sender-report",
            Record::Report(SenderReport {
                segment,
                index: SampleIndex(52_000),
                sent: ClockNs(1_763_700_000_000_000_000),
                at: ClockNs(1_100_000_000),
                round_trip_ns: Some(24_000_000),
            }),
        ),
    ]
}
