//! The host's computer lost power while it was recording, and booted: its clock began anew, the recording goes on.

use roomtone_packets::{Interval, Placed, PlacedBy};
use roomtone_session::Continued;

use super::*;

const SECOND: i64 = 1_000_000_000;

/// The recording began at 0 s and was last heard of at 300 s; Ada's clock is its timeline.
const LAST: i64 = 300 * SECOND;

/// The program is back when its clock shows 10 s; that is 360 s.
const SHIFT: i64 = 350 * SECOND;

/// By the wall clock it is half a second earlier.
const WALL_OFF: i64 = -SECOND / 2;

fn exchange(timeline_ns: i64, shift_ns: i64) -> ClockExchange {
    let [asked, there, answered] = [0, 1, 2].map(|ms| timeline_ns + ms * 1_000_000);
    let on_clock = |timeline: i64| ClockNs(timeline - shift_ns);
    let there = ClockNs(there);
    ClockExchange { epoch: WakeEpoch(1), t0: on_clock(asked), t1: there, t2: there, t3: on_clock(answered) }
}

fn found(measured: bool) -> Box<GoingOn> {
    let continued = Continued {
        recording: TAKE,
        title: None,
        notes: None,
        started_by: None,
        begun: ClockNs(0),
        recorded: Duration::ZERO,
        running_since: Some(ClockNs(0)),
        channels: vec![ADA],
        markers: 0,
        pauses: 0,
        marked: Vec::new(),
        last_there: ClockNs(LAST),
    };
    let by = Some(PlacedBy::Provisional);
    let placement = Placement { shift_ns: SHIFT + WALL_OFF, uncertainty_ns: 2_000_000_000, by, boots: 1 };
    let ToRecorder::Segment(segment) = segment() else { unreachable!() };
    let exchanges = (0..LAST / SECOND).map(|n| Record::ClockExchange(exchange(n * SECOND, 0)));
    let records = std::iter::once(Record::Segment(segment)).chain(exchanges.filter(|_| measured)).collect();
    let mut held = Coverage::default();
    held.insert(range(0, 48_000 * 300));
    let tracks = vec![(ADA, held, records)];
    Box::new(GoingOn { continued, placement, provisional: None, cuts: vec![], tracks })
}

/// A room that has just gone on, at 10 s of its clock, with Ada back in it.
fn back(measured: bool) -> Stage {
    let mut stage = Stage::empty();
    stage.now_ms = 10_000;
    stage.tell(Input::GoingOn(found(measured)));
    let (role, epoch) = (Role::Participant, WakeEpoch(1));
    stage.tell(Input::Linked(Peer { participant: ADA, role, host: false, passing: false, epoch, name: None }));
    stage
}

impl Stage {
    /// Compares clocks so many times, every 50 ms.
    fn compare_truly(&mut self, count: i64) -> Vec<Output> {
        let mut outputs = Vec::new();
        for _ in 0..count {
            let exchange = exchange(self.now_ms * 1_000_000 + SHIFT, SHIFT);
            outputs.extend(self.tell(Input::Exchange { from: ADA, exchange }));
            outputs.extend(self.after(50));
        }
        outputs
    }

    /// Edges as the journal was told of them, in milliseconds of the timeline.
    fn edges(&self) -> Vec<(IntervalEdge, i64)> {
        let edge = |record: &Record| match record {
            Record::Interval(Interval { edge, at, .. }) => Some((*edge, at.0 / 1_000_000)),
            _ => None,
        };
        self.desk.notes.iter().filter_map(edge).collect()
    }

    fn placed(&self) -> Vec<Placed> {
        let placed = |record: &Record| if let Record::Epoch(epoch) = record { epoch.placed } else { None };
        self.desk.notes.iter().filter_map(placed).collect()
    }

    fn measured(&self) -> Vec<ClockExchange> {
        let exchange =
            |record: &Record| if let Record::ClockExchange(exchange) = record { Some(*exchange) } else { None };
        self.desk.notes.iter().filter_map(exchange).collect()
    }
}

/// How far a timeline instant is off, in nanoseconds.
fn off(at: ClockNs, true_ns: i64) -> u64 {
    at.0.abs_diff(true_ns)
}

#[test]
fn what_happens_before_the_clock_has_its_place_is_moved_there() {
    let mut stage = back(true);
    assert_eq!(stage.placed().iter().map(|placed| placed.by).collect::<Vec<_>>(), [PlacedBy::Provisional]);
    stage.now_ms += 1_000;
    let told = stage.ask(Command::Pause);
    assert_eq!(sent(&told), [] as [&ToParticipant; 0], "instants are told when they are known");
    stage.now_ms += 1_000;
    stage.ask(Command::Resume);
    let noted = [(IntervalEdge::Pause, 360_500), (IntervalEdge::Resume, 361_500)];
    assert_eq!((stage.edges(), stage.measured()), (noted.to_vec(), vec![]), "at once, so that nothing takes it back");

    let told = stage.compare_truly(8);
    let [.., placed] = stage.placed()[..] else { panic!("{:?}", stage.desk.notes) };
    assert_eq!((placed.by, placed.boots), (PlacedBy::Participants, 1));
    assert!(placed.uncertainty_ns < 2_000_000, "{placed:?}");
    let now = stage.now_ms * 1_000_000 - 50_000_000 + SHIFT;
    assert!(off(placed.timeline, now) < 50_000, "{placed:?} at {now}");
    assert_eq!(stage.measured().len(), 8);
    assert!(stage.measured().iter().all(|one| off(one.t0, one.t1.0 - 1_000_000) < 50_000), "{:?}", stage.measured());
    let from = sent(&told).into_iter().find_map(|message| match message {
        ToParticipant::SpoolFrom { from, .. } => Some(*from),
        _ => None,
    });
    assert!(off(from.unwrap(), 0) < 10_000_000, "{from:?}");
    let cuts: Vec<_> = sent(&told)
        .into_iter()
        .filter_map(|message| match message {
            ToParticipant::SpoolCut { cut, from, until: Some(until), .. } => Some((*cut, *from, *until)),
            _ => None,
        })
        .collect();
    let [(0, from, until), (1, no_other, at_all)] = cuts[..] else { panic!("{cuts:?}") };
    assert_eq!(no_other, at_all, "whatever was told before and is lost is taken back");
    assert!(off(from, 361 * SECOND) < 10_000_000 && off(until, 362 * SECOND) < 10_000_000, "{from:?} {until:?}");

    stage.now_ms = 20_000;
    stage.ask(Command::Stop);
    assert_eq!(stage.edges().last(), Some(&(IntervalEdge::Stop, 370_000)), "the clock is placed from here on");
}

#[test]
fn without_anybody_whose_clock_tells_the_wall_clock_places_it_after_a_while() {
    let mut stage = back(true);
    stage.ask(Command::Stop);
    stage.after(29_900);
    assert_eq!(stage.placed().len(), 1);
    stage.after(200);
    let [_, placed] = stage.placed()[..] else { panic!("{:?}", stage.placed()) };
    assert_eq!((placed.by, placed.uncertainty_ns), (PlacedBy::WallClock, 2_000_000_000));
    assert_eq!(placed.timeline, ClockNs(stage.now_ms * 1_000_000 + SHIFT + WALL_OFF));
    assert_eq!(stage.edges(), [(IntervalEdge::Stop, 359_500)]);

    let mut nobody = back(false);
    nobody.ask(Command::Stop);
    nobody.after(100);
    assert_eq!(nobody.edges(), [(IntervalEdge::Stop, 359_500)], "there is nobody to wait for");
}

#[test]
fn a_recording_that_is_begun_meanwhile_lies_on_the_same_timeline() {
    const NEXT: RecordingId = RecordingId::from_bytes([10; 16]);
    let mut stage = back(true);
    let id = CommandId::from_bytes([50; 16]);
    let command = Command::Start { title: None, notes: None };
    stage.tell(Input::Request { from: ADA, id, based_on: None, command, fresh: NEXT });
    stage.tell(Input::JournalOpen { recording: NEXT });
    stage.compare_truly(8);
    assert_eq!(stage.edges(), [(IntervalEdge::Stop, 359_500), (IntervalEdge::Start, 359_500)]);
    let boots: Vec<_> = stage.placed().iter().map(|placed| (placed.by, placed.boots)).collect();
    use PlacedBy::{Participants, Provisional};
    let expected = [(Provisional, 1), (Provisional, 0), (Participants, 1), (Participants, 0)];
    assert_eq!(boots, expected);
}

#[test]
fn deadlines_are_on_the_runs_own_clock() {
    let mut stage = back(true);
    let soon = |stage: &Stage| (stage.end.next_deadline().unwrap().0 - stage.now_ms * 1_000_000) / 1_000_000;
    assert!((0..=100).contains(&soon(&stage)), "{}", soon(&stage));
    stage.compare_truly(8);
    assert!((0..=100).contains(&soon(&stage)), "{}", soon(&stage));
    let here = stage.end.on_timeline(Moment { clock: ClockNs(20 * SECOND), wall_ns: 7 });
    assert!(off(here.clock, 370 * SECOND) < 50_000 && here.wall_ns == 7, "{here:?}");
}

#[test]
fn a_wall_clock_that_is_set_is_noted_beside_the_timeline() {
    let mut stage = Stage::with_ada();
    stage.ask(Command::Start { title: None, notes: None });
    let epochs = |stage: &Stage| {
        let epoch =
            |record: &Record| if let Record::Epoch(epoch) = record { Some((epoch.at, epoch.wall_ns)) } else { None };
        stage.desk.notes.iter().filter_map(epoch).collect::<Vec<_>>()
    };
    stage.after(1_000);
    assert_eq!(epochs(&stage), [(ClockNs(0), 0)]);
    stage.end.handle(Moment { clock: ClockNs(2 * SECOND), wall_ns: 9 * SECOND }, &mut stage.desk, Input::Tick);
    assert_eq!(epochs(&stage), [(ClockNs(0), 0), (ClockNs(2 * SECOND), 9 * SECOND)]);
}
