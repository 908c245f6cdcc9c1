use std::cell::Cell;
use std::collections::BTreeMap as Map;
use std::rc::Rc;

use roomtone_capture::{CaptureEvent, Limits, Note, Stored};
use roomtone_packets::{Coverage, Packet, Record, Scanned, Scanner};
use roomtone_protocol::channel::{Hole, Inventory, ToParticipant};
use roomtone_protocol::{IndexRange, SampleIndex, SegmentId, WakeEpoch};

use super::*;

const ADA: ParticipantId = ParticipantId::from_bytes([1; 16]);
const TAKE: RecordingId = RecordingId::from_bytes([9; 16]);
const SEGMENT: SegmentKey = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };

/// A spool in memory.
#[derive(Debug, Default)]
struct TestStore {
    packets: Map<RecordingId, Vec<Packet>>,
    holes: Vec<Hole>,
    /// The disk takes nothing.
    full: Rc<Cell<bool>>,
}

impl PacketStore for TestStore {
    fn append(&mut self, recording: RecordingId, packet: &Packet) -> Result<bool, SpoolError> {
        if self.full.get() {
            let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(SpoolError::Io { action: "written", path: "spool".into(), source });
        }
        let packets = self.packets.entry(recording).or_default();
        let fresh = !packets.contains(packet);
        packets.extend(fresh.then(|| packet.clone()));
        Ok(fresh)
    }

    fn wants(&self, recording: RecordingId, packet: &Packet) -> bool {
        !self.packets.get(&recording).is_some_and(|packets| packets.contains(packet))
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

    fn note(&mut self, note: &Note) -> Result<(), SpoolError> {
        if let Note::Hole(hole) = note {
            self.holes.push(*hole);
        }
        Ok(())
    }

    fn earlier(&self) -> Vec<Note> {
        Vec::new()
    }

    fn holes(&self, _recording: RecordingId) -> Vec<Hole> {
        self.holes.clone()
    }

    fn overdue(
        &self,
        _limits: &Limits,
        _wall_ns: i64,
        _in_use: &dyn Fn(RecordingId) -> bool,
    ) -> Result<Vec<Stored>, SpoolError> {
        Ok(Vec::new())
    }

    fn expire(&mut self, stored: &Stored) -> Result<(), SpoolError> {
        self.archive(stored.recording)
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
    /// Without a link. The disk takes nothing while it is `full`.
    fn on_a_disk(full: &Rc<Cell<bool>>) -> Self {
        let store = TestStore { full: Rc::clone(full), ..TestStore::default() };
        Self { end: ParticipantEnd::new(ClockNs(0), ADA, store, true, true), now_ms: 0 }
    }

    fn linked() -> Self {
        let mut stage = Self::on_a_disk(&Rc::default());
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
    let kept = &stage.end.keeper.inventory(TAKE, false).held;
    assert_eq!(kept.iter().map(|range| (range.from.0, range.to.0)).collect::<Vec<_>>(), [(43_200 - 960, 96_000)]);
    assert!(stage.packet().iter().any(|output| matches!(output, Output::Media { timestamp: 96_000, .. })));
}

#[test]
fn a_spool_that_fails_is_told_once_until_it_takes_packets_again() {
    let full = Rc::new(Cell::new(false));
    let mut stage = Stage::on_a_disk(&full);
    stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }));
    let mut told = Vec::new();
    for second in 0..4 {
        full.set(second % 2 == 1);
        for output in (0..50).flat_map(|_| stage.packet()) {
            if let Output::Event(ParticipantEvent::Alarm { kind: AlarmKind::SpoolFailed, active, .. }) = output {
                told.push((second, active));
            }
        }
    }
    assert_eq!(told, [(1, true), (2, false), (3, true)]);
}

#[test]
fn what_the_disk_does_not_take_is_sent_told_given_and_spooled_when_there_is_room() {
    let full = Rc::new(Cell::new(true));
    let mut stage = Stage::on_a_disk(&full);
    stage.tell(Input::Linked { id: None });
    stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }));
    let sent = |outputs: &[Output]| outputs.iter().filter(|output| matches!(output, Output::Media { .. })).count();
    assert_eq!((0..100).map(|_| sent(&stage.packet())).sum::<usize>(), 100, "it is sent as it comes");

    let range = |from, to| IndexRange { segment: SEGMENT, from: SampleIndex(from), to: SampleIndex(to) };
    let told = stage.after(1_000);
    assert_eq!(
        inventories(&told)[0].held,
        [range(0, 96_000)],
        "a recorder that lacks some of it knows that it is here"
    );
    let mut given =
        stage.tell(Input::Message(ToParticipant::Want { recording: TAKE, ranges: vec![range(9_600, 11_520)] }));
    given.extend(stage.after(20));
    let packets = given.iter().find_map(|output| if let Output::Bulk(records) = output { Some(records) } else { None });
    let mut scanner = Scanner::new(0);
    scanner.push(packets.unwrap());
    let records: Vec<u64> = std::iter::from_fn(|| scanner.next_scanned())
        .map(|scanned| match scanned {
            Scanned::Record { record: Record::Packet(packet), .. } => packet.index.0,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(records, [9_600, 10_560]);

    full.set(false);
    stage.after(1_000);
    assert_eq!(stage.end.keeper.recordings_on_disk(), [(TAKE, vec![range(0, 96_000)])]);
}

#[test]
fn what_memory_holds_for_a_full_disk_goes_with_what_is_taken_back() {
    let full = Rc::new(Cell::new(true));
    let mut stage = Stage::on_a_disk(&full);
    stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }));
    stage.packet();
    assert_eq!(stage.end.keeper.inventory(TAKE, false).held.len(), 1);
    stage.tell(Input::Message(ToParticipant::Discard { recording: TAKE }));
    full.set(false);
    stage.after(1_000);
    assert_eq!(stage.end.keeper.inventory(TAKE, false).held, []);
    assert_eq!(stage.end.keeper.recordings_on_disk(), []);
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
        let held = &stage.end.keeper.inventory(TAKE, false).held;
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
fn who_is_muted_while_nobody_can_be_told_tells_it_later() {
    let mut stage = Stage::linked();
    stage.tell(Input::LinkClosed);
    let edge = |from, muted| (SEGMENT, SampleIndex(from), muted);
    for (segment, from, muted) in [edge(960, true), edge(4_800, false)] {
        stage.tell(Input::Captured(CaptureEvent::Muted { segment, from, muted }));
    }
    let told = stage.tell(Input::Linked { id: None });
    let expected = [edge(960, true), edge(4_800, false)];
    assert_eq!(told, expected.map(|(segment, from, muted)| Output::Send(ToRecorder::Muted { segment, from, muted })));
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

#[test]
fn what_is_kept_after_an_end_that_nobody_could_tell_is_not_given_away() {
    let mut stage = Stage::linked();
    stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }));
    stage.tell(Input::LinkClosed);
    for _ in 0..200 {
        stage.packet();
    }
    stage.tell(Input::Linked { id: None });
    let until = ClockNs(1_000_000_000);
    let told = stage.tell(Input::Message(ToParticipant::SpoolUntil { recording: TAKE, until }));
    // With the margin of 100 ms behind the instant.
    let [inventory] = inventories(&told)[..] else { panic!("{told:?}") };
    assert!(inventory.complete);
    assert_eq!(inventory.held, [IndexRange { segment: SEGMENT, from: SampleIndex(0), to: SampleIndex(52_800) }]);
    let all = IndexRange { segment: SEGMENT, from: SampleIndex(0), to: SampleIndex(192_000) };
    assert_eq!(given(&mut stage, all), (0..55).collect::<Vec<_>>(), "55 packets of 20 ms");
}

/// The packets that come of a question.
fn given(stage: &mut Stage, range: IndexRange) -> Vec<u64> {
    let mut outputs = stage.tell(Input::Message(ToParticipant::Want { recording: TAKE, ranges: vec![range] }));
    while let Some(due) = stage.end.owed.due() {
        let wait = (due.0 - stage.now_ms * 1_000_000).max(0) / 1_000_000;
        assert!(stage.end.next_deadline().is_some_and(|deadline| deadline <= due), "it wakes in time");
        outputs.extend(stage.after(wait));
    }
    let mut given = Vec::new();
    for output in &outputs {
        let Output::Bulk(records) = output else { continue };
        let mut scanner = Scanner::default();
        scanner.push(records);
        while let Some(scanned) = scanner.next_scanned() {
            if let Scanned::Record { record: Record::Packet(packet), .. } = scanned {
                given.push(packet.index.0 / 960);
            }
        }
    }
    given
}

#[test]
fn what_is_asked_for_leaves_the_live_audio_its_turn() {
    let mut stage = Stage::linked();
    stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }));
    for _ in 0..500 {
        stage.packet();
    }
    let all = IndexRange { segment: SEGMENT, from: SampleIndex(0), to: SampleIndex(480_000) };
    stage.tell(Input::Message(ToParticipant::Want { recording: TAKE, ranges: vec![all] }));
    let mut seconds = 0.0;
    while stage.end.owed.due().is_some() {
        let outputs = stage.packet();
        assert!(matches!(outputs[0], Output::Media { .. }), "{outputs:?}");
        assert!(outputs.iter().filter(|output| matches!(output, Output::Bulk(_))).count() <= 1);
        seconds += 0.02;
    }
    assert!((1.2..1.3).contains(&seconds), "ten seconds came in {seconds} s");
}

#[test]
fn what_an_earlier_link_was_asked_for_is_not_sent_over_the_next_one() {
    let mut stage = Stage::linked();
    stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }));
    for _ in 0..500 {
        stage.packet();
    }
    let all = IndexRange { segment: SEGMENT, from: SampleIndex(0), to: SampleIndex(480_000) };
    stage.tell(Input::Message(ToParticipant::Want { recording: TAKE, ranges: vec![all] }));
    let bulk = |outputs: Vec<Output>| outputs.iter().any(|output| matches!(output, Output::Bulk(_)));
    assert!(bulk(stage.after(20)));
    assert!(!bulk(stage.tell(Input::LinkClosed)) && !bulk(stage.after(20)));
    assert!(!bulk(stage.tell(Input::Linked { id: None })) && !bulk(stage.after(20)));
}

/// Indices, in packets, of what is held of the recording.
fn held(stage: &Stage) -> Vec<(u64, u64)> {
    let held = stage.end.keeper.inventory(TAKE, false).held;
    held.iter().map(|range| (range.from.0 / 960, range.to.0 / 960)).collect()
}

fn cut(from_ms: i64, until_ms: Option<i64>) -> Input {
    let at = |ms: i64| ClockNs(ms * 1_000_000);
    Input::Message(ToParticipant::SpoolCut { recording: TAKE, cut: 0, from: at(from_ms), until: until_ms.map(at) })
}

#[test]
fn nothing_of_a_pause_is_kept_or_sent_but_its_margins() {
    let mut stage = Stage::linked();
    stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }));
    for _ in 0..50 {
        stage.packet();
    }
    stage.tell(cut(1_000, None));
    let sent = (50..100).filter(|_| stage.packet().iter().any(|output| matches!(output, Output::Media { .. }))).count();
    assert_eq!((sent, held(&stage)), (5, vec![(0, 55)]), "five packets of margin");
    // Somebody resumed at 1.9 s, and the word took its time.
    stage.tell(cut(1_000, Some(1_900)));
    assert_eq!(held(&stage), [(0, 55), (90, 100)]);
    assert!(stage.packet().iter().any(|output| matches!(output, Output::Media { .. })));
}

#[test]
fn what_was_kept_before_a_pause_was_known_is_not_given_away() {
    let mut stage = Stage::linked();
    stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }));
    stage.tell(Input::LinkClosed);
    // Cut off for five minutes, longer than the memory of what was said.
    for _ in 0..15_000 {
        stage.packet();
    }
    stage.tell(Input::Linked { id: None });
    stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }));
    stage.tell(cut(10_000, Some(200_000)));
    assert_eq!(held(&stage), [(0, 505), (9_995, 15_000)]);
    let everything = IndexRange { segment: SEGMENT, from: SampleIndex(0), to: SampleIndex(15_000 * 960) };
    let given = given(&mut stage, everything);
    assert_eq!(given.len(), 505 + 5_005);
    assert!(given.iter().all(|index| !(505..9_995).contains(index)));
    assert_eq!(held(&stage), [(0, 505), (9_995, 15_000)], "also when it is told again");
}

/// What the last inventory says: whether nothing more will come.
fn complete(outputs: &[Output]) -> bool {
    inventories(outputs).last().expect("an inventory").complete
}

#[test]
fn who_could_not_run_for_a_while_does_not_know_yet_what_the_microphone_heard_meanwhile() {
    let mut stage = Stage::linked();
    stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }));
    for _ in 0..50 {
        stage.packet();
    }
    // Another program had all processors for half a minute; what was said in it waits in the capture's queue.
    stage.now_ms += 30_000;
    let until = ClockNs(2_000_000_000);
    assert!(!complete(&stage.tell(Input::Message(ToParticipant::SpoolUntil { recording: TAKE, until }))));
    let index = SampleIndex(48_000);
    let packet = Packet { segment: SEGMENT, index, samples: 960, opus: vec![31 << 3] };
    stage.tell(Input::Captured(CaptureEvent::Packet { packet, captured_at: ClockNs(1_000_000_000) }));
    assert!(!complete(&stage.after(1_000)), "a second of it is still missing");
    let packet = Packet { segment: SEGMENT, index: SampleIndex(105_600), samples: 960, opus: vec![31 << 3] };
    let proof = Input::Captured(CaptureEvent::Packet { packet, captured_at: ClockNs(2_200_000_000) });
    assert!(complete(&stage.tell(proof)), "at once: Stop waits for it");
}

#[test]
fn a_microphone_that_is_gone_says_so_itself() {
    let mut stage = Stage::linked();
    stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }));
    stage.packet();
    let until = ClockNs(1_000_000_000);
    stage.tell(Input::Message(ToParticipant::SpoolUntil { recording: TAKE, until }));
    assert!(!complete(&stage.after(60_000)), "time alone proves nothing");
    stage.tell(Input::Captured(CaptureEvent::Quiet { until: ClockNs(1_050_000_000) }));
    assert!(!complete(&stage.after(1_000)));
    assert!(complete(&stage.tell(Input::Captured(CaptureEvent::Quiet { until: ClockNs(50_000_000_000) }))), "at once");
}

#[test]
fn what_an_earlier_start_kept_is_not_all_as_long_as_the_recording_may_run() {
    let mut store = TestStore::default();
    let earlier = SegmentKey { epoch: WakeEpoch(0), segment: SegmentId(0) };
    let packet = Packet { segment: earlier, index: SampleIndex(0), samples: 960, opus: vec![31 << 3] };
    store.append(TAKE, &packet).unwrap();
    let mut stage = Stage { end: ParticipantEnd::new(ClockNs(0), ADA, store, true, true), now_ms: 0 };
    for _ in 0..50 {
        stage.packet();
    }
    let told = stage.tell(Input::Linked { id: None });
    assert!(!complete(&told), "this start has heard something, too");
    let told = stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }));
    assert!(!complete(&told));
    assert_eq!(inventories(&told)[0].held.len(), 2);

    let mut store = TestStore::default();
    store.append(TAKE, &packet).unwrap();
    let mut stage = Stage { end: ParticipantEnd::new(ClockNs(0), ADA, store, true, true), now_ms: 0 };
    stage.packet();
    stage.tell(Input::Linked { id: None });
    let over = ToParticipant::SpoolUntil { recording: TAKE, until: ClockNs(0) };
    assert!(complete(&stage.tell(Input::Message(over))), "it was over before this start");
    stage.tell(Input::LinkClosed);
    assert!(complete(&stage.tell(Input::Linked { id: None })), "and is so for good");
}

#[test]
fn a_hole_that_is_measured_after_everything_was_safe_is_told_all_the_same() {
    let mut stage = Stage::linked();
    stage.tell(Input::Message(ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }));
    stage.packet();
    stage.after(1_000);
    let durable = ToParticipant::Durable { recording: TAKE, ranges: vec![], complete: true };
    stage.tell(Input::Message(durable.clone()));
    assert_eq!(inventories(&stage.after(1_000)), [] as [&Inventory; 0]);
    let range = IndexRange { segment: SEGMENT, from: SampleIndex(960), to: SampleIndex(48_000) };
    let hole = Hole { range, cause: roomtone_protocol::metadata::GapCause::CaptureStall };
    stage.tell(Input::Captured(CaptureEvent::Hole(hole)));
    // The recorder says it again before it has heard of the hole.
    stage.tell(Input::Message(durable));
    assert_eq!(inventories(&stage.after(1_000))[0].holes, [hole]);
}
