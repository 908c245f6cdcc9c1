mod boot;
mod hearing;
mod presence;
mod repair;
mod watching;

use std::collections::BTreeSet;
use std::path::PathBuf;

use roomtone_packets::{ClockExchange, Coverage, Packet, encode};
use roomtone_protocol::channel::{Command, Inventory, Segment, ToRecorder};
use roomtone_protocol::state::RecordBy;
use roomtone_protocol::{CommandId, IndexRange, RoomId, SampleIndex, SegmentId, SegmentKey, WakeEpoch};
use roomtone_recorder::RecordingHeader;
use roomtone_session::Config;

use super::*;

const ADA: ParticipantId = ParticipantId::from_bytes([1; 16]);
const BEN: ParticipantId = ParticipantId::from_bytes([2; 16]);
const TAKE: RecordingId = RecordingId::from_bytes([9; 16]);
const SEGMENT: SegmentKey = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };

/// A disk that is too slow for tracks now and then.
#[derive(Default)]
struct TestDesk {
    slow: bool,
    packets: Vec<Packet>,
    notes: Vec<Record>,
    archived: BTreeSet<RecordingId>,
    discarded: BTreeSet<RecordingId>,
}

impl Desk for TestDesk {
    fn open(&mut self, _: RecordingId, _: RecordingHeader) -> bool {
        !self.slow
    }

    fn append(&mut self, _: RecordingId, _: ParticipantId, record: Record) -> bool {
        match record {
            _ if self.slow => false,
            Record::Packet(packet) => {
                self.packets.push(packet);
                true
            }
            record => {
                self.notes.push(record);
                true
            }
        }
    }

    fn note(&mut self, _: RecordingId, record: Record) -> bool {
        if !self.slow {
            self.notes.push(record);
        }
        !self.slow
    }

    fn is_archived(&self, recording: RecordingId) -> bool {
        self.archived.contains(&recording)
    }

    fn is_discarded(&self, recording: RecordingId) -> bool {
        self.discarded.contains(&recording)
    }
}

/// A recorder's end, its desk, and a clock.
struct Stage {
    end: RecorderEnd,
    desk: TestDesk,
    now_ms: i64,
    commands: u8,
}

impl Stage {
    /// A room with nobody in it.
    fn empty() -> Self {
        let moment = Moment { clock: ClockNs(0), wall_ns: 0 };
        let room = RoomId::from_bytes([3; 16]);
        let config = Config {
            room,
            name: "Studio".into(),
            record_by: RecordBy::Everyone,
            grace: Duration::from_secs(600),
            epoch: 1,
            recording_enabled: true,
            time_limit: None,
            auto_record: None,
            disk_bytes_per_sample: 3,
        };
        let run = Run { epoch: WakeEpoch(1), boot_id: Some("first".into()) };
        let setup = Setup {
            me: ParticipantId::from_bytes([2; 16]),
            room,
            name: "Studio".into(),
            disk_bytes_per_sample: 3,
            run,
        };
        let end = RecorderEnd::new(moment, setup, Room::new(ClockNs(0), config));
        Self { end, desk: TestDesk::default(), now_ms: 0, commands: 0 }
    }

    /// A room with Ada in it, whose clock is known.
    fn with_ada() -> Self {
        let mut room = Self::empty();
        let (role, epoch) = (Role::Participant, WakeEpoch(1));
        room.tell(Input::Linked(Peer { participant: ADA, role, host: false, passing: false, epoch, name: None }));
        room.compare();
        room
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        let clock = ClockNs(self.now_ms * 1_000_000);
        self.end.handle(Moment { clock, wall_ns: clock.0 }, &mut self.desk, input);
        std::iter::from_fn(|| self.end.poll_output()).collect()
    }

    /// Both clocks are the same.
    fn compare(&mut self) -> Vec<Output> {
        let now = ClockNs(self.now_ms * 1_000_000);
        let exchange = ClockExchange { epoch: WakeEpoch(1), t0: now, t1: now, t2: now, t3: now };
        self.tell(Input::Exchange { from: ADA, exchange })
    }

    fn ask(&mut self, command: Command) -> Vec<Output> {
        self.commands += 1;
        let id = CommandId::from_bytes([self.commands; 16]);
        self.tell(Input::Request { from: ADA, id, based_on: None, command, fresh: TAKE })
    }

    fn say(&mut self, message: ToRecorder) -> Vec<Output> {
        self.tell(Input::Message { from: ADA, message })
    }

    fn after(&mut self, ms: i64) -> Vec<Output> {
        self.now_ms += ms;
        self.tell(Input::Tick)
    }
}

fn range(from: u64, to: u64) -> IndexRange {
    IndexRange { segment: SEGMENT, from: SampleIndex(from), to: SampleIndex(to) }
}

fn segment() -> ToRecorder {
    ToRecorder::Segment(Segment {
        segment: SEGMENT,
        first: SampleIndex(0),
        captured_at: ClockNs(0),
        codec_delay: 312,
        device: "test".into(),
        device_rate: 48_000,
        cause: None,
    })
}

fn holds(to: u64, complete: bool) -> ToRecorder {
    ToRecorder::Inventory(Inventory { recording: TAKE, held: vec![range(0, to)], holes: vec![], complete })
}

/// Configuration 31, mono, one frame: 20 ms.
fn opus() -> Vec<u8> {
    vec![31 << 3, 0, 0]
}

fn sent(outputs: &[Output]) -> Vec<&ToParticipant> {
    outputs
        .iter()
        .filter_map(|output| if let Output::Send { message, .. } = output { Some(message) } else { None })
        .filter(|message| !matches!(message, ToParticipant::State { .. } | ToParticipant::Answer { .. }))
        .collect()
}

#[test]
fn a_recording_goes_from_record_to_the_bucket() {
    let mut room = Stage::with_ada();
    let begun = room.ask(Command::Start { title: None, notes: None });
    assert_eq!(sent(&begun), [&ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }]);
    room.tell(Input::JournalOpen { recording: TAKE });
    room.say(segment());
    for packet in 0..50 {
        room.tell(Input::Media { from: ADA, timestamp: packet * 960, opus: opus() });
    }
    assert_eq!(room.desk.packets.len(), 50);
    room.after(1_000);
    let stopped = room.ask(Command::Stop);
    assert_eq!(sent(&stopped), [&ToParticipant::SpoolUntil { recording: TAKE, until: ClockNs(1_000_000_000) }]);
    assert_eq!(sent(&room.after(100)), [] as [&ToParticipant; 0], "the last word is missing");
    room.say(holds(48_000, true));
    let over = room.after(100);
    let maps = over.iter().find_map(|output| match output {
        Output::Finalize { recording: TAKE, maps } => Some(maps),
        _ => None,
    });
    assert_eq!(maps.map(|maps| (maps.len(), maps[0].0, maps[0].1.frame)), Some((1, ADA, 0)));
    let finished = Finished { path: PathBuf::from("take.wav"), channels: 1, duration_ms: 1_000, gapless: true };
    let made = room.tell(Input::Finalized { recording: TAKE, result: Ok(finished) });
    assert!(made.contains(&Output::Publish { recording: TAKE }));
    room.tell(Input::Submitted { recording: TAKE, result: Ok(()) });
    let done = room.tell(Input::Completed { recording: TAKE, key: "k".into(), size: 1 });
    assert!(sent(&done).contains(&&ToParticipant::Archived { recording: TAKE }));
    assert!(done.iter().any(|output| matches!(output, Output::Event(HostEvent::RecordingCompleted { .. }))));
}

#[test]
fn what_the_disk_has_no_time_for_is_asked_for_again() {
    let mut room = Stage::with_ada();
    room.ask(Command::Start { title: None, notes: None });
    room.say(segment());
    room.desk.slow = true;
    room.tell(Input::Media { from: ADA, timestamp: 0, opus: opus() });
    room.desk.slow = false;
    room.tell(Input::Media { from: ADA, timestamp: 960, opus: opus() });
    room.say(holds(96_000, false));
    let asked = room.after(100);
    assert_eq!(
        sent(&asked)[0],
        &ToParticipant::Want { recording: TAKE, ranges: vec![range(0, 960), range(1_920, 72_000)] }
    );
    let mut records = Vec::new();
    encode(
        &Record::Packet(Packet { segment: SEGMENT, index: SampleIndex(0), samples: 960, opus: opus() }),
        &mut records,
    );
    room.tell(Input::Bulk { from: ADA, records });
    assert_eq!(room.desk.packets.iter().map(|packet| packet.index.0).collect::<Vec<_>>(), [960, 0]);
}

#[test]
fn a_segment_that_the_disk_has_no_time_for_is_noted_later() {
    let mut stage = Stage::with_ada();
    stage.ask(Command::Start { title: None, notes: None });
    stage.desk.slow = true;
    stage.say(segment());
    stage.desk.slow = false;
    stage.after(100);
    let segments = stage.desk.notes.iter().filter(|note| matches!(note, Record::Segment(_)));
    assert_eq!(segments.count(), 1, "nobody sends it again, and its packets would have no place");
}

#[test]
fn a_spool_of_a_recording_that_is_forgotten_is_told_once_a_link_that_it_is_over() {
    let mut stage = Stage::with_ada();
    let over = ToParticipant::SpoolUntil { recording: TAKE, until: ClockNs(0) };
    assert_eq!(stage.say(holds(960, false)), [Output::ReopenJournal { recording: TAKE }]);
    let nothing = Input::JournalReopened { recording: TAKE, result: Err("there is no journal of it".into()) };
    assert_eq!(sent(&stage.tell(nothing)), [&over]);
    assert_eq!(sent(&stage.say(holds(960, true))), [] as [&ToParticipant; 0], "it answers each time");
}

#[test]
fn a_packet_that_overtakes_the_word_of_its_device_is_not_taken_for_the_old_ones() {
    let mut stage = Stage::with_ada();
    stage.ask(Command::Start { title: None, notes: None });
    stage.say(segment());
    stage.tell(Input::Media { from: ADA, timestamp: 960, opus: opus() });
    // The next device begins 7.1 packets later, and its segment is still on its way.
    stage.tell(Input::Media { from: ADA, timestamp: 960 * 7 + 96, opus: opus() });
    assert_eq!(stage.desk.packets.iter().map(|packet| packet.index.0).collect::<Vec<_>>(), [960]);
}

#[test]
fn a_recording_begins_also_while_the_disk_is_behind() {
    let mut stage = Stage::with_ada();
    stage.desk.slow = true;
    let begun = stage.ask(Command::Start { title: None, notes: None });
    assert_eq!(sent(&begun), [&ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }]);
    assert!(stage.desk.notes.is_empty());
    stage.say(segment());
    stage.desk.slow = false;
    stage.tell(Input::Media { from: ADA, timestamp: 0, opus: opus() });
    assert!(stage.desk.packets.is_empty(), "it would be in no journal");
    stage.after(100);
    assert!(matches!(
        stage.desk.notes[..],
        [Record::Epoch(_), Record::Interval(_), Record::Name(_), Record::Channel(_), ..]
    ));
}

#[test]
fn who_left_before_a_recording_and_comes_back_during_it_did_not_crash() {
    let mut stage = Stage::with_ada();
    stage.now_ms = 500;
    stage.say(ToRecorder::Leave);
    stage.tell(Input::LinkClosed { participant: ADA });
    let (role, epoch) = (Role::Participant, WakeEpoch(1));
    let ben = Peer { participant: BEN, role, host: false, passing: false, epoch, name: None };
    stage.tell(Input::Linked(ben));
    stage.commands += 1;
    let id = CommandId::from_bytes([stage.commands; 16]);
    let command = Command::Start { title: None, notes: None };
    stage.tell(Input::Request { from: BEN, id, based_on: None, command, fresh: TAKE });
    let ada = Peer { participant: ADA, role, host: false, passing: false, epoch: WakeEpoch(2), name: None };
    stage.tell(Input::Linked(ada));
    let left = PersonLeft { participant: ADA, at: ClockNs(500_000_000) };
    assert!(stage.desk.notes.contains(&Record::Left(left)));
}

#[test]
fn safe_to_quit_is_what_survives_a_power_cut() {
    let mut room = Stage::with_ada();
    room.ask(Command::Start { title: None, notes: None });
    room.say(segment());
    room.tell(Input::Media { from: ADA, timestamp: 0, opus: opus() });
    assert_eq!(sent(&room.say(holds(960, true))), [] as [&ToParticipant; 0], "arrived is not safe");
    let mut coverage = Coverage::default();
    coverage.insert(range(0, 960));
    let told = room.tell(Input::Durable { recording: TAKE, participant: ADA, coverage });
    let durable = ToParticipant::Durable { recording: TAKE, ranges: vec![range(0, 960)], complete: true };
    assert_eq!(sent(&told), [&durable]);
    assert_eq!(sent(&room.say(holds(960, true))), [&durable], "whoever asks again is told again");
}

#[test]
fn a_new_link_is_told_again_what_is_wanted_once_its_clock_is_known() {
    let mut room = Stage::with_ada();
    room.ask(Command::Start { title: None, notes: None });
    room.tell(Input::LinkClosed { participant: ADA });
    let (role, epoch) = (Role::Participant, WakeEpoch(1));
    let peer = Peer { participant: ADA, role, host: false, passing: false, epoch, name: None };
    assert_eq!(sent(&room.tell(Input::Linked(peer))), [] as [&ToParticipant; 0]);
    assert_eq!(sent(&room.compare()), [&ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) }]);
    assert_eq!(sent(&room.compare()), [] as [&ToParticipant; 0]);
}

#[test]
fn a_beginning_that_was_told_by_a_bad_measurement_is_told_again() {
    let mut stage = Stage::with_ada();
    stage.tell(Input::LinkClosed { participant: ADA });
    // A run of which only one exchange is known, and that one was 400 ms on its way.
    let (role, epoch) = (Role::Participant, WakeEpoch(2));
    stage.tell(Input::Linked(Peer { participant: ADA, role, host: false, passing: false, epoch, name: None }));
    let exchange = |t0: i64, t3: i64| {
        let [t0, t1, t3] = [t0, t3, t3].map(|ms| ClockNs(ms * 1_000_000));
        Input::Exchange { from: ADA, exchange: ClockExchange { epoch, t0, t1, t2: t1, t3 } }
    };
    stage.tell(exchange(0, 400));
    let begun = stage.ask(Command::Start { title: None, notes: None });
    let from = |outputs: &[Output]| match sent(outputs)[..] {
        [ToParticipant::SpoolFrom { from, .. }] => Some(from.0 / 1_000_000),
        _ => None,
    };
    // It began at 0; half of the 400 ms may be anybody's, and nothing shows how much of that is waiting.
    assert!(from(&begun).is_some_and(|from| (-1_000..=0).contains(&from)), "{begun:?}");
    let told: Vec<_> = (1..8).filter_map(|n| from(&stage.tell(exchange(400 + 50 * n, 401 + 50 * n)))).collect();
    assert!(told.last().is_some_and(|last| last.abs() <= 20), "{told:?}");
}

#[test]
fn the_end_waits_for_files_and_for_uploads_no_longer_than_it_may() {
    let mut room = Stage::with_ada();
    room.ask(Command::Start { title: None, notes: None });
    room.say(segment());
    let stop = Some((CommandId::from_bytes([77; 16]), RecordingId::from_bytes([78; 16])));
    room.tell(Input::Shutdown { drain: Duration::from_secs(10), stop });
    room.say(holds(0, true));
    room.after(100);
    assert!(!room.end.is_over(), "the file is being made");
    let finished = Finished { path: PathBuf::new(), channels: 1, duration_ms: 0, gapless: true };
    room.tell(Input::Finalized { recording: TAKE, result: Ok(finished) });
    room.tell(Input::Submitted { recording: TAKE, result: Ok(()) });
    assert!(!room.end.is_over());
    room.after(9_999);
    assert!(!room.end.is_over());
    room.after(1);
    assert!(room.end.is_over());
}

/// Everything in the journal about recorded time.
fn edges(room: &Stage) -> Vec<(IntervalEdge, i64)> {
    let edge = |record: &Record| match record {
        Record::Interval(interval) => Some((interval.edge, interval.at.0 / 1_000_000)),
        _ => None,
    };
    room.desk.notes.iter().filter_map(edge).collect()
}

fn cut(until_ms: Option<i64>) -> ToParticipant {
    let at = |ms: i64| ClockNs(ms * 1_000_000);
    ToParticipant::SpoolCut { recording: TAKE, cut: 0, from: at(1_000), until: until_ms.map(at) }
}

#[test]
fn a_pause_is_noted_and_told_and_told_again_on_a_new_link() {
    let mut room = Stage::with_ada();
    room.ask(Command::Start { title: None, notes: None });
    room.after(1_000);
    assert_eq!(sent(&room.ask(Command::Pause)), [&cut(None)]);
    room.after(2_000);
    assert_eq!(sent(&room.ask(Command::Resume)), [&cut(Some(3_000))]);
    assert_eq!(sent(&room.compare()), [] as [&ToParticipant; 0]);
    use IntervalEdge::{Pause, Resume, Start};
    assert_eq!(edges(&room), [(Start, 0), (Pause, 1_000), (Resume, 3_000)]);
    room.tell(Input::LinkClosed { participant: ADA });
    let (role, epoch) = (Role::Participant, WakeEpoch(1));
    room.tell(Input::Linked(Peer { participant: ADA, role, host: false, passing: false, epoch, name: None }));
    let from = ToParticipant::SpoolFrom { recording: TAKE, from: ClockNs(0) };
    assert_eq!(sent(&room.compare()), [&from, &cut(Some(3_000))]);
}

#[test]
fn a_pause_does_not_overtake_a_beginning_that_the_disk_had_no_time_for() {
    let mut room = Stage::with_ada();
    room.desk.slow = true;
    room.ask(Command::Start { title: None, notes: None });
    room.desk.slow = false;
    room.ask(Command::Pause);
    room.after(100);
    assert_eq!(edges(&room), [(IntervalEdge::Start, 0), (IntervalEdge::Pause, 0)]);
}

#[test]
fn what_people_say_about_a_recording_is_in_its_journal_or_follows_it_to_the_bucket() {
    let mut room = Stage::with_ada();
    room.ask(Command::Start { title: None, notes: Some("first".into()) });
    room.after(500);
    room.ask(Command::Mark { text: "here".into() });
    let asked = Some((ADA, CommandId::from_bytes([2; 16])));
    let marker = MarkerSet { recording: TAKE, at: ClockNs(500_000_000), text: "here".into(), by: Some(ADA), asked };
    assert!(room.desk.notes.contains(&Record::Marker(marker)));
    assert!(room.desk.notes.contains(&Record::Described(Described { title: None, notes: Some("first".into()) })));
    room.ask(Command::Stop);
    room.say(holds(0, true));
    room.after(100);
    let finished = Finished { path: PathBuf::new(), channels: 1, duration_ms: 500, gapless: true };
    room.tell(Input::Finalized { recording: TAKE, result: Ok(finished) });
    room.tell(Input::Submitted { recording: TAKE, result: Ok(()) });
    let named = || Command::Describe { recording: Some(TAKE), title: Some("Late".into()), notes: None };
    room.ask(named());
    let done = room.tell(Input::Completed { recording: TAKE, key: "k".into(), size: 1 });
    let (title, notes) = (Some("Late".into()), Some("first".into()));
    assert!(done.contains(&Output::Describe { recording: TAKE, title, notes }));
    let asked = room.ask(named());
    assert!(asked.iter().any(|output| matches!(output, Output::Shelf { .. })), "now it is the bucket's");
}

#[test]
fn what_is_cancelled_goes_everywhere_and_does_not_come_back() {
    let mut room = Stage::with_ada();
    room.ask(Command::Start { title: None, notes: None });
    room.after(1_000);
    let gone = room.ask(Command::Cancel { recording: None });
    let discard = ToParticipant::Discard { recording: TAKE };
    assert!(sent(&gone).contains(&&discard));
    assert!(gone.contains(&Output::Discard { recording: TAKE }));
    let stop = Some((CommandId::from_bytes([77; 16]), RecordingId::from_bytes([78; 16])));
    room.tell(Input::Shutdown { drain: Duration::ZERO, stop });
    assert!(!room.end.is_over(), "without a tombstone it could come back");
    room.tell(Input::Buried { recording: TAKE });
    assert!(room.end.is_over());
    assert_eq!(sent(&room.say(holds(960, true))), [&discard], "who was away is told");
    let mut later = Stage::with_ada();
    later.desk.discarded.insert(TAKE);
    assert_eq!(sent(&later.say(holds(960, true))), [&discard], "also by a later start");
}

#[test]
fn a_file_that_was_being_made_when_its_recording_was_cancelled_is_not_published() {
    let mut room = Stage::with_ada();
    room.ask(Command::Start { title: None, notes: None });
    room.ask(Command::Stop);
    room.say(holds(0, true));
    room.after(100);
    room.ask(Command::Cancel { recording: Some(TAKE) });
    room.tell(Input::Buried { recording: TAKE });
    let finished = Finished { path: PathBuf::new(), channels: 1, duration_ms: 0, gapless: true };
    let made = room.tell(Input::Finalized { recording: TAKE, result: Ok(finished) });
    assert_eq!(made, [Output::Discard { recording: TAKE }], "its files came behind the first removal");
}

#[test]
fn files_that_are_still_to_be_made_are_not_free_space() {
    let mut room = Stage::with_ada();
    room.ask(Command::Start { title: None, notes: None });
    room.after(10_000);
    let file = 10 * 48_000 * 3;
    assert_eq!(room.end.owed_bytes(), file);
    let free = 64 * 1024 * 1024 + file;
    let told = room.tell(Input::Disk { free_bytes: free + 164_000 * 3_600 });
    assert!(sent(&told).is_empty() && !told.is_empty(), "an hour is left: {told:?}");
    let ended = room.tell(Input::Disk { free_bytes: free });
    assert!(sent(&ended).iter().any(|message| matches!(message, ToParticipant::SpoolUntil { .. })));
    assert!(ended.iter().any(|output| matches!(output, Output::Event(HostEvent::RecordingWarning { left_ms: 0, .. }))));
}
