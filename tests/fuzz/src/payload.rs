//! RTP timestamps and payloads, as a link hands them on.

use std::path::Path;
use std::sync::Arc;

use roomtone_disk::SimulatedDisk;
use roomtone_packets::{ChannelGiven, ClockExchange, Interval, IntervalEdge, Packet, Record};
use roomtone_protocol::channel::Segment;
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId, RoomId, SampleIndex, SegmentId, SegmentKey, WakeEpoch};
use roomtone_recorder::{Journal, RecordingHeader, TrackClock, packet_samples};

use crate::hear::{decide, hear};
use crate::split;

/// More than that in one go is only more of the same.
const MAX_PACKETS: usize = 100;

/// Parts: a packet each, four bytes of timestamp in front of it.
pub fn payload(bytes: &[u8]) {
    let ada = ParticipantId::from_bytes([0xad; 16]);
    let segment = Segment {
        segment: SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) },
        first: SampleIndex(0),
        captured_at: ClockNs(0),
        codec_delay: 312,
        device: "Mic".to_owned(),
        device_rate: 48_000,
        cause: None,
    };
    let exchange =
        ClockExchange { epoch: WakeEpoch(1), t0: ClockNs(0), t1: ClockNs(10), t2: ClockNs(20), t3: ClockNs(30) };
    let mut clock = TrackClock::default();
    clock.on_segment(&segment);
    let header = RecordingHeader {
        recording: RecordingId::from_bytes([1; 16]),
        room_id: RoomId::from_bytes([2; 16]),
        room: "Studio".to_owned(),
        title: None,
        started_by: None,
    };
    let created = Journal::create_on(Arc::new(SimulatedDisk::new()), Path::new("/journal"), header);
    let mut journal = created.expect("the disk is in memory");
    let start = Interval { edge: IntervalEdge::Start, at: ClockNs(0), wall_ns: 0 };
    let notes = [Record::Interval(start), Record::Channel(ChannelGiven { participant: ada, index: 0 })];
    notes.iter().for_each(|note| journal.note(note).expect("the disk is in memory"));
    for record in [Record::Segment(segment), Record::ClockExchange(exchange)] {
        journal.append(ada, &record).expect("the disk is in memory");
    }
    for part in split(bytes).take(MAX_PACKETS) {
        let Some((timestamp, opus)) = part.split_first_chunk::<4>() else { continue };
        let place = clock.extend(u32::from_le_bytes(*timestamp));
        if let (Some((segment, index)), Some(samples)) = (place, packet_samples(opus)) {
            let packet = Record::Packet(Packet { segment, index, samples, opus: opus.to_vec() });
            journal.append(ada, &packet).expect("the disk is in memory");
            clock.restore(&packet);
        }
    }
    decide(&mut journal);
    hear(&journal, Some(ClockNs(2_000_000_000)));
}
