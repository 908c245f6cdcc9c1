//! Messages of the reliable channel, put to the values that its two ends put them to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use roomtone_capture::Spool;
use roomtone_disk::SimulatedDisk;
use roomtone_packets::{ChannelGiven, ClockExchange, Coverage, Interval, IntervalEdge, MutedFrom, Packet, Record};
use roomtone_protocol::channel::{ToParticipant, ToRecorder};
use roomtone_protocol::state::{RecordBy, Role};
use roomtone_protocol::{
    ClockNs, IndexRange, ParticipantId, RecordingId, RoomId, SampleIndex, SegmentId, SegmentKey, WakeEpoch,
};
use roomtone_recorder::{Backfill, BackfillInput, Journal, RecordingHeader, TrackClock};
use roomtone_session::{Caller, Config, Input, Path as Way, Room};

use crate::hear::{decide, hear};

const ADA: ParticipantId = ParticipantId::from_bytes([0xad; 16]);
const RECORDING: RecordingId = RecordingId::from_bytes([1; 16]);
const SEGMENT: SegmentKey = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };

/// More than that in one go is only more of the same.
const MAX_MESSAGES: usize = 200;

/// Bytes of JSON that a room's state may take, whoever says what: what the relay takes.
const MAX_STATE_BYTES: usize = 64 * 1024;

/// Nanoseconds between messages: 50 ms.
const STEP_NS: i64 = 50_000_000;

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').take(MAX_MESSAGES)
}

/// What a recorder knows of a participant and a recording.
struct Recorder {
    room: Room,
    journal: Journal,
    clock: TrackClock,
    backfill: Backfill,
    received: Coverage,
}

impl Recorder {
    fn new() -> Self {
        let config = Config {
            auto_record: Some(2),
            time_limit: None,
            disk_bytes_per_sample: 3,
            room: RoomId::from_bytes([2; 16]),
            name: "Studio".to_owned(),
            record_by: RecordBy::Everyone,
            grace: Duration::from_secs(600),
            epoch: 1,
            recording_enabled: true,
        };
        let mut room = Room::new(ClockNs(0), config);
        let microphone = true;
        let entered = Input::Entered { participant: ADA, role: Role::Participant, host: true, name: None, microphone };
        room.handle(ClockNs(0), entered);
        room.handle(ClockNs(0), Input::Presence { participant: ADA, path: Way::Link, up: true });
        let header = RecordingHeader {
            recording: RECORDING,
            room_id: RoomId::from_bytes([2; 16]),
            room: "Studio".to_owned(),
            title: None,
            started_by: None,
        };
        let created = Journal::create_on(Arc::new(SimulatedDisk::new()), Path::new("/journal"), header);
        let mut journal = created.expect("the disk is in memory");
        let start = Interval { edge: IntervalEdge::Start, at: ClockNs(0), wall_ns: 0 };
        for note in [Record::Interval(start), Record::Channel(ChannelGiven { participant: ADA, index: 0 })] {
            journal.note(&note).expect("the disk is in memory");
        }
        let mut backfill = Backfill::default();
        backfill.handle(BackfillInput::LinkUp);
        Self { room, journal, clock: TrackClock::default(), backfill, received: Coverage::default() }
    }

    fn note(&mut self, record: &Record) {
        self.journal.append(ADA, record).expect("the disk is in memory");
    }

    fn message(&mut self, now: ClockNs, number: u8, message: ToRecorder) {
        match message {
            ToRecorder::Hello(_) | ToRecorder::Alarm(_) => {}
            ToRecorder::Segment(segment) => {
                self.clock.on_segment(&segment);
                self.note(&Record::Segment(segment));
            }
            ToRecorder::Anchor(anchor) => {
                self.clock.on_anchor(&anchor);
                self.note(&Record::Anchor(anchor));
            }
            ToRecorder::ClockPong { t0, t1, t2 } => {
                let exchange = ClockExchange { epoch: WakeEpoch(1), t0, t1, t2, t3: now };
                self.clock.on_exchange(&exchange);
                self.note(&Record::ClockExchange(exchange));
            }
            ToRecorder::Inventory(inventory) => {
                self.note(&Record::Inventory(inventory.clone()));
                self.backfill.handle(BackfillInput::Inventory(inventory));
            }
            ToRecorder::Muted { segment, from, muted } => {
                self.note(&Record::Muted(MutedFrom { segment, from, muted }));
            }
            ToRecorder::Request { id, based_on, command } => {
                let caller = Caller { participant: ADA, host: true, passing: false };
                let fresh = RecordingId::from_bytes([number; 16]);
                self.room.handle(now, Input::Command { caller, id, based_on, command, fresh });
            }
            ToRecorder::Leave => self.room.handle(now, Input::Left { participant: ADA }),
        }
        while self.room.poll_output().is_some() {}
        for ask in std::iter::from_fn(|| self.backfill.poll_want(now, &self.received)).take(MAX_MESSAGES) {
            assert!(ask.iter().all(|range| range.from < range.to), "{ask:?}");
        }
        let _settled = self.backfill.is_settled(&self.received);
        let state = serde_json::to_vec(&self.room.state(now)).expect("a state is JSON");
        assert!(state.len() <= MAX_STATE_BYTES, "a state of {} bytes", state.len());
    }

    /// A packet with any timestamp, as far as the messages give it a place.
    fn media(&mut self, timestamp: u32) {
        let Some((segment, index)) = self.clock.extend(timestamp) else { return };
        let packet = Packet { segment, index, samples: 960, opus: vec![0xf8, 0xff, 0xfe] };
        if self.received.covers(packet.range()) {
            return;
        }
        self.received.insert(packet.range());
        self.note(&Record::Packet(packet));
    }
}

/// A line each: messages from a participant to the recorder.
pub fn to_recorder(bytes: &[u8]) {
    let mut recorder = Recorder::new();
    for (number, line) in (1_u8..).zip(lines(bytes)) {
        let now = ClockNs(i64::from(number) * STEP_NS);
        if let Ok(message) = serde_json::from_slice::<ToRecorder>(line) {
            recorder.message(now, number, message);
        }
        recorder.media(u32::from(number) * 960);
    }
    decide(&mut recorder.journal);
    hear(&recorder.journal, Some(ClockNs(5_000_000_000)));
    let _at = recorder.clock.to_participant(ClockNs(i64::MAX));
}

/// A line each: messages from a recorder to a participant.
pub fn to_participant(bytes: &[u8]) {
    let place = tempfile::tempdir().expect("a temporary directory can be made");
    let mut spool = Spool::open(place.path(), [7; 16]).expect("the disk works");
    for n in 0..20 {
        let packet = Packet { segment: SEGMENT, index: SampleIndex(n * 960), samples: 960, opus: vec![1; 40] };
        spool.append(RECORDING, &packet).expect("the disk works");
    }
    for line in lines(bytes) {
        match serde_json::from_slice::<ToParticipant>(line) {
            Ok(ToParticipant::Want { recording, ranges }) => {
                for range in ranges {
                    let packets = spool.read(recording, range).expect("the disk works");
                    let inside = |held: IndexRange| held.from < range.to && held.to > range.from;
                    assert!(packets.len() <= 20 && packets.iter().all(|packet| inside(packet.range())));
                }
            }
            Ok(ToParticipant::Durable { ranges, .. }) => {
                let mut durable = Coverage::default();
                for range in ranges {
                    durable.insert(range);
                }
                assert!(durable.iter().all(|range| range.from < range.to));
            }
            Ok(ToParticipant::Archived { recording }) => spool.archive(recording).expect("the disk works"),
            Ok(ToParticipant::Discard { recording }) => spool.discard(recording).expect("the disk works"),
            Ok(message) => {
                let again = serde_json::to_vec(&message).expect("what came as JSON goes as JSON");
                assert_eq!(serde_json::from_slice::<ToParticipant>(&again).ok(), Some(message));
            }
            Err(_) => {}
        }
    }
}
