use std::collections::BTreeMap as Map;

use roomtone_capture::CaptureEvent;
use roomtone_packets::{Coverage, Packet};
use roomtone_protocol::channel::{Inventory, ToParticipant};
use roomtone_protocol::{IndexRange, SampleIndex, SegmentId, WakeEpoch};

use super::*;

const ADA: ParticipantId = ParticipantId::from_bytes([1; 16]);
const TAKE: RecordingId = RecordingId::from_bytes([9; 16]);
const SEGMENT: SegmentKey = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };

/// A spool in memory.
#[derive(Debug, Default)]
struct TestStore {
    packets: Map<RecordingId, Vec<Packet>>,
}

impl PacketStore for TestStore {
    fn append(&mut self, recording: RecordingId, packet: &Packet) -> Result<bool, SpoolError> {
        self.packets.entry(recording).or_default().push(packet.clone());
        Ok(true)
    }

    fn read(&mut self, recording: RecordingId, range: IndexRange) -> Result<Vec<Packet>, SpoolError> {
        let packets = self.packets.get(&recording).into_iter().flatten();
        Ok(packets.filter(|packet| packet.index < range.to && packet.range().to > range.from).cloned().collect())
    }

    fn inventory(&self, recording: RecordingId) -> Vec<IndexRange> {
        let mut held = Coverage::default();
        for packet in self.packets.get(&recording).into_iter().flatten() {
            held.insert(packet.range());
        }
        held.iter().collect()
    }

    fn recordings(&self) -> Vec<RecordingId> {
        self.packets.keys().copied().collect()
    }

    fn archive(&mut self, recording: RecordingId) -> Result<(), SpoolError> {
        self.packets.remove(&recording);
        Ok(())
    }

    fn discard(&mut self, recording: RecordingId) -> Result<(), SpoolError> {
        self.archive(recording)
    }
}

/// Ada's end, and a clock.
struct Stage {
    end: ParticipantEnd<TestStore>,
    now_ms: i64,
}

impl Stage {
    fn linked() -> Self {
        let mut stage = Self { end: ParticipantEnd::new(ClockNs(0), ADA, TestStore::default(), true, true), now_ms: 0 };
        stage.tell(Input::Linked { id: None });
        stage
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        self.end.handle(ClockNs(self.now_ms * 1_000_000), input);
        std::iter::from_fn(|| self.end.poll_output()).collect()
    }

    fn after(&mut self, ms: i64) -> Vec<Output> {
        self.now_ms += ms;
        self.tell(Input::Tick)
    }

    /// 20 ms of sound, captured up to now.
    fn packet(&mut self) -> Vec<Output> {
        let index = SampleIndex(self.now_ms.unsigned_abs() * 48);
        let packet = Packet { segment: SEGMENT, index, samples: 960, opus: vec![31 << 3] };
        let captured_at = ClockNs(self.now_ms * 1_000_000);
        self.now_ms += 20;
        self.tell(Input::Captured(CaptureEvent::Packet { packet, captured_at }))
    }
}

fn inventories(outputs: &[Output]) -> Vec<&Inventory> {
    let inventory =
        |output| if let &Output::Send(ToRecorder::Inventory(ref told)) = output { Some(told) } else { None };
    outputs.iter().filter_map(inventory).collect()
}

#[test]
fn nothing_leaves_memory_before_a_recording_wants_it() {
    let mut stage = Stage::linked();
    for _ in 0..100 {
        assert!(!stage.packet().iter().any(|output| matches!(output, Output::Media { .. })));
    }
    let from = ClockNs(1_000_000_000);
    stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from }));
    let kept = &stage.end.keeper.inventory(stage.end.now, TAKE, false).held;
    assert_eq!(kept.iter().map(|range| (range.from.0, range.to.0)).collect::<Vec<_>>(), [(43_200 - 960, 96_000)]);
    assert!(stage.packet().iter().any(|output| matches!(output, Output::Media { timestamp: 96_000, .. })));
}

#[test]
fn an_earlier_beginning_that_is_told_later_brings_what_was_left_out() {
    let mut stage = Stage::linked();
    for _ in 0..100 {
        stage.packet();
    }
    for (from_ms, first) in [(1_000, 42_240), (500, 18_240), (1_500, 18_240)] {
        let from = ClockNs(from_ms * 1_000_000);
        stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from }));
        let held = &stage.end.keeper.inventory(stage.end.now, TAKE, false).held;
        assert_eq!(held.iter().map(|range| (range.from.0, range.to.0)).collect::<Vec<_>>(), [(first, 96_000)]);
    }
}

#[test]
fn a_new_link_is_told_everything_that_the_old_one_was() {
    let mut stage = Stage::linked();
    let anchor = Anchor { segment: SEGMENT, index: SampleIndex(960), at: ClockNs(20_000_000) };
    stage.tell(Input::Captured(CaptureEvent::Anchor(anchor)));
    let id = CommandId::from_bytes([5; 16]);
    stage.tell(Input::Request { id, command: Command::Stop });
    stage.tell(Input::Mute { muted: true });
    stage.tell(Input::LinkClosed);
    let mute = CommandId::from_bytes([6; 16]);
    let told = stage.tell(Input::Linked { id: Some(mute) });
    let expected = [
        ToRecorder::Anchor(anchor),
        ToRecorder::Request { id, based_on: None, command: Command::Stop },
        ToRecorder::Request { id: mute, based_on: None, command: Command::SetMuted { muted: true } },
    ];
    assert_eq!(told, expected.map(Output::Send));
}

#[test]
fn a_request_that_nobody_answers_is_given_up() {
    let mut stage = Stage::linked();
    let id = CommandId::from_bytes([5; 16]);
    stage.tell(Input::Request { id, command: Command::Stop });
    let refusals =
        |outputs: Vec<Output>| outputs.iter().filter(|output| matches!(output, Output::Answer { .. })).count();
    assert_eq!(refusals(stage.after(14_999)), 0);
    assert_eq!(refusals(stage.after(1_000)), 1);
    assert_eq!(refusals(stage.after(20_000)), 0);
}

#[test]
fn a_goodbye_waits_until_everything_is_safe() {
    let mut stage = Stage::linked();
    stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }));
    stage.packet();
    let leaving = stage.tell(Input::Leave);
    assert!(leaving.contains(&Output::StopCapture));
    assert!(inventories(&leaving)[0].complete, "nothing more will come");
    assert!(!leaving.iter().any(|output| matches!(output, Output::End { .. })));
    let durable = ToParticipant::Durable { recording: TAKE, ranges: vec![], complete: true };
    let gone = stage.tell(Input::Message(durable));
    assert_eq!(gone.last(), Some(&Output::End { reason: "left".into(), error: None, goodbye: true }));
    assert_eq!(stage.end.next_deadline(), None);
}

#[test]
fn a_goodbye_does_not_wait_for_ever() {
    let mut stage = Stage::linked();
    stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }));
    stage.packet();
    stage.tell(Input::Leave);
    let ends = |outputs: Vec<Output>| outputs.iter().any(|output| matches!(output, Output::End { .. }));
    assert!(!ends(stage.after(9_999)));
    assert!(ends(stage.after(1)));
}

#[test]
fn a_closed_room_is_left_at_once_without_a_link() {
    let mut stage = Stage::linked();
    stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }));
    stage.packet();
    let ends = |outputs: &[Output]| {
        outputs.last() == Some(&Output::End { reason: "room_closed".into(), error: None, goodbye: false })
    };
    assert!(!ends(&stage.tell(Input::RoomClosed)));
    assert!(ends(&stage.tell(Input::LinkClosed)));
}
