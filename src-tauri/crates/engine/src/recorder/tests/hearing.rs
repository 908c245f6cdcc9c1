//! Somebody who cannot be asked for their clock. It is 700 s ahead of the recorder's, and the way takes 30 ms.

use super::*;

const AHEAD_MS: i64 = 700_000;
const WAY_MS: i64 = 30;

fn ms(ms: i64) -> ClockNs {
    ClockNs(ms * 1_000_000)
}

impl Stage {
    /// Ada's microphone has run since 0, and is announced.
    fn with_ada_unasked() -> Self {
        let mut room = Self::empty();
        let (role, epoch) = (Role::Participant, WakeEpoch(1));
        room.tell(Input::Linked(Peer { participant: ADA, role, host: false, passing: false, epoch, name: None }));
        let ToRecorder::Segment(segment) = segment() else { unreachable!("it is one") };
        room.say(ToRecorder::Segment(Segment { captured_at: ms(AHEAD_MS), ..segment }));
        room
    }

    /// A report comes, of the packet that went with it.
    fn reported(&mut self) -> Vec<Output> {
        let sent_ms = self.now_ms - WAY_MS;
        self.tell(Input::Report {
            from: ADA,
            timestamp: (sent_ms - 20) as u32 * 48,
            sent: ms(AHEAD_MS + sent_ms),
            at: ms(self.now_ms),
            round_trip_ns: Some(2 * WAY_MS.unsigned_abs() * 1_000_000),
        })
    }

    /// The packet comes that ended when it was sent.
    fn heard(&mut self) -> Vec<Output> {
        let timestamp = (self.now_ms - WAY_MS - 20) as u32 * 48;
        self.tell(Input::Heard { from: ADA, timestamp, opus: opus(), at: ms(self.now_ms) })
    }
}

#[test]
fn who_is_only_heard_is_told_what_is_wanted_on_their_own_clock() {
    let mut room = Stage::with_ada_unasked();
    room.now_ms = 1_000;
    let begun = room.ask(Command::Start { title: None, notes: None });
    assert_eq!(sent(&begun), [] as [&ToParticipant; 0], "nobody knows their clock");
    room.now_ms = 1_500;
    let told = room.reported();
    let [ToParticipant::SpoolFrom { recording: TAKE, from }] = sent(&told)[..] else { panic!("{told:?}") };
    // As early as it can be: half of a round trip and of what sending takes.
    let early = AHEAD_MS + 1_000 - from.0 / 1_000_000;
    assert!((30..100).contains(&early), "{early} ms");
}

#[test]
fn what_is_heard_is_kept_mapped_and_rebuilt_by_the_next_run() {
    let mut room = Stage::with_ada_unasked();
    room.now_ms = 200;
    room.ask(Command::Start { title: None, notes: None });
    room.tell(Input::JournalOpen { recording: TAKE });
    for packet in 0..100 * 50 {
        room.now_ms = 210 + 20 * packet;
        room.heard();
        if packet % 100 == 7 {
            room.reported();
        }
    }
    assert_eq!(room.desk.packets.len(), 100 * 50);
    let notes = &room.desk.notes;
    let count = |is: fn(&&Record) -> bool| notes.iter().filter(is).count();
    let (arrivals, reports) =
        (count(|note| matches!(note, Record::Arrival(_))), count(|note| matches!(note, Record::Report(_))));
    assert!((95..=100).contains(&arrivals) && reports == 50, "{arrivals} arrivals, {reports} reports");
    let maps = |notes: &[Record]| -> Vec<_> {
        notes.iter().filter_map(|note| if let Record::MapStretch(map) = note { Some(*map) } else { None }).collect()
    };
    let decided = maps(notes);
    // The first sample was captured at 0; half of what sending may take is too much here.
    assert!(!decided.is_empty() && (decided[0].frame + 240).abs() < 48, "{decided:?}");
    assert!((35_000_000..37_000_000).contains(&decided[0].uncertainty_ns), "{decided:?}");

    let mut again = Track::default();
    let said = notes.iter().filter(|note| !matches!(note, Record::Interval(_)));
    said.for_each(|note| again.restore(note));
    assert_eq!(maps(&again.records()), decided);
}

#[test]
fn what_is_heard_before_the_clock_has_its_place_is_moved_there() {
    let mut room = Stage::with_ada_unasked();
    room.now_ms = 200;
    room.ask(Command::Start { title: None, notes: None });
    room.end.placing = Some(placing::Placing::new(Placement::NONE, (ms(200), ms(200)), ms(200), std::iter::empty()));
    room.now_ms = 1_000;
    assert_eq!(sent(&room.reported()), [] as [&ToParticipant; 0]);
    assert!(!room.desk.notes.iter().any(|note| matches!(note, Record::Report(_))));
    // Nobody's clock went on, and so the wall clock counts, which said that there was no boot.
    let told = room.after(100);
    assert!(matches!(sent(&told)[..], [ToParticipant::SpoolFrom { .. }]), "{told:?}");
    let at =
        room.desk.notes.iter().find_map(|note| if let Record::Report(report) = note { Some(report.at) } else { None });
    assert_eq!(at, Some(ms(1_000)));
}
