//! What a recorder sends, put to the participant's end of a room, with a spool on a disk.

use roomtone_capture::{CaptureEvent, Spool};
use roomtone_engine::{ParticipantEnd, ParticipantInput, ParticipantOutput};
use roomtone_packets::{Packet, Record, Scanned, Scanner};
use roomtone_protocol::channel::{Segment, ToParticipant};
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId, SampleIndex, SegmentId, SegmentKey, WakeEpoch};

const ADA: ParticipantId = ParticipantId::from_bytes([0xad; 16]);
const RECORDING: RecordingId = RecordingId::from_bytes([1; 16]);
const SEGMENT: SegmentKey = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };

/// More than that in one go is only more of the same.
const MAX_MESSAGES: usize = 200;

/// A packet, in nanoseconds and in samples.
const PACKET_NS: i64 = 20_000_000;
const PACKET_SAMPLES: u64 = 960;

/// Packets between two messages.
const SAID: usize = 3;

struct Participant {
    end: ParticipantEnd<Spool>,
    now: ClockNs,
    said: u64,
}

impl Participant {
    fn tell(&mut self, input: ParticipantInput) {
        self.end.handle(self.now, input);
        while let Some(output) = self.end.poll_output() {
            if let ParticipantOutput::Bulk(records) = output {
                self.is_what_was_said(&records);
            }
        }
    }

    /// Nobody is given anything that the microphone has not heard.
    fn is_what_was_said(&self, records: &[u8]) {
        let mut scanner = Scanner::default();
        scanner.push(records);
        while let Some(scanned) = scanner.next_scanned() {
            let Scanned::Record { record: Record::Packet(packet), .. } = scanned else { panic!("{scanned:?}") };
            assert!(packet.index.0 / PACKET_SAMPLES < self.said, "{packet:?}");
        }
    }

    fn says(&mut self) {
        let (segment, index) = (SEGMENT, SampleIndex(self.said * PACKET_SAMPLES));
        let packet = Packet { segment, index, samples: PACKET_SAMPLES as u16, opus: vec![self.said as u8; 40] };
        let captured_at = self.now;
        self.now.0 += PACKET_NS;
        self.said += 1;
        self.tell(ParticipantInput::Captured(CaptureEvent::Packet { packet, captured_at }));
    }
}

/// A line each: messages from a recorder; `L` for a new link.
pub fn to_participant(bytes: &[u8]) {
    let place = tempfile::tempdir().expect("a temporary directory can be made");
    let mut spool = Spool::open(place.path(), [7; 16]).expect("the disk works");
    // Of an earlier start.
    let earlier = SegmentKey { epoch: WakeEpoch(0), ..SEGMENT };
    let kept = Packet { segment: earlier, index: SampleIndex(0), samples: 960, opus: vec![1; 40] };
    spool.append(RECORDING, &kept).expect("the disk works");
    drop(spool);
    let spool = Spool::open(place.path(), [7; 16]).expect("the disk works");
    let end = ParticipantEnd::new(ClockNs(0), ADA, spool, true, true);
    let mut participant = Participant { end, now: ClockNs(0), said: 1 };
    let segment = Segment {
        segment: SEGMENT,
        first: SampleIndex(PACKET_SAMPLES),
        captured_at: ClockNs(0),
        codec_delay: 312,
        device: "Mic".to_owned(),
        device_rate: 48_000,
        cause: None,
    };
    participant.tell(ParticipantInput::Captured(CaptureEvent::Segment(segment)));
    participant.tell(ParticipantInput::Linked { id: None });
    for line in bytes.split(|byte| *byte == b'\n').take(MAX_MESSAGES) {
        (0..SAID).for_each(|_| participant.says());
        if line == b"L" {
            participant.tell(ParticipantInput::LinkClosed);
            participant.tell(ParticipantInput::Linked { id: None });
        } else if let Ok(message) = serde_json::from_slice::<ToParticipant>(line) {
            let again = serde_json::to_vec(&message).expect("what came as JSON goes as JSON");
            assert_eq!(serde_json::from_slice::<ToParticipant>(&again).ok().as_ref(), Some(&message));
            participant.tell(ParticipantInput::Message(message));
        }
    }
    // It goes, with or without what it was asked for.
    participant.tell(ParticipantInput::Leave);
    for _ in 0..60 {
        participant.now.0 += 1_000_000_000;
        participant.tell(ParticipantInput::Tick);
    }
}
