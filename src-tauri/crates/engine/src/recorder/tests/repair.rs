//! Somebody comes back with a spool after the file was made.

use roomtone_protocol::channel::Anchor;

use super::*;

/// A recording of Ada's first second that is over, and of which nothing arrived.
fn over() -> Stage {
    let mut room = Stage::with_ada();
    room.ask(Command::Start { title: None, notes: None });
    room.say(segment());
    room.after(1_000);
    room.ask(Command::Stop);
    room.tell(Input::LinkClosed { participant: ADA });
    let finished = room.after(60_000);
    assert!(finished.iter().any(|output| matches!(output, Output::Finalize { .. })));
    room.tell(Input::Finalized { recording: TAKE, result: Ok(file(false)) });
    room.tell(Input::Submitted { recording: TAKE, result: Ok(()) });
    room.tell(Input::Completed { recording: TAKE, key: "k".into(), size: 1 });
    room
}

fn file(gapless: bool) -> Finished {
    Finished { path: PathBuf::from("take.wav"), channels: 1, duration_ms: 1_000, gapless }
}

fn ada_returns(room: &mut Stage) {
    let (role, epoch) = (Role::Participant, WakeEpoch(1));
    room.tell(Input::Linked(Peer { participant: ADA, role, host: false, passing: false, epoch, name: None }));
    room.compare();
}

/// What the journal holds of Ada.
fn reopened(ranges: &[IndexRange], vouched: bool) -> Input {
    reopened_with(ranges, vouched, true, BTreeSet::new())
}

/// The same, of this boot of the computer or not, with maps of these segments.
fn reopened_with(
    ranges: &[IndexRange],
    vouched: bool,
    same_clock: bool,
    mapped: BTreeSet<(ParticipantId, SegmentKey)>,
) -> Input {
    let mut coverage = Coverage::default();
    for &range in ranges {
        coverage.insert(range);
    }
    let result = Reopened {
        until: ClockNs(1_000_000_000),
        same_clock,
        mapped,
        cuts: vec![],
        channels: vec![ADA],
        tracks: vec![(ADA, coverage, vouched)],
    };
    Input::JournalReopened { recording: TAKE, result: Ok(result) }
}

fn bulk(from: u64, to: u64) -> Input {
    let mut records = Vec::new();
    for index in (from..to).step_by(960) {
        let packet = Packet { segment: SEGMENT, index: SampleIndex(index), samples: 960, opus: opus() };
        encode(&Record::Packet(packet), &mut records);
    }
    Input::Bulk { from: ADA, records }
}

#[test]
fn a_spool_that_comes_back_late_makes_a_new_version_and_may_go_then() {
    let mut room = over();
    ada_returns(&mut room);
    let asked = room.say(holds(48_000, true));
    assert_eq!(asked, [Output::ReopenJournal { recording: TAKE }]);
    assert_eq!(room.say(holds(48_000, true)), [], "it is being opened");
    room.tell(reopened(&[range(0, 24_000)], false));
    let want = ToParticipant::Want { recording: TAKE, ranges: vec![range(24_000, 48_000)] };
    assert_eq!(sent(&room.after(100)), [&want], "nothing is asked for twice, and nothing new is wanted");
    room.tell(bulk(24_000, 48_000));
    assert_eq!(room.desk.packets.len(), 25);
    let again = room.after(100);
    assert!(again.contains(&Output::FinalizeAgain { recording: TAKE }), "{again:?}");
    let made = room.tell(Input::Finalized { recording: TAKE, result: Ok(file(true)) });
    assert!(made.contains(&Output::Publish { recording: TAKE }));
    room.tell(Input::Submitted { recording: TAKE, result: Ok(()) });
    let done = room.tell(Input::Completed { recording: TAKE, key: "k".into(), size: 1 });
    assert!(sent(&done).contains(&&ToParticipant::Archived { recording: TAKE }));
    assert_eq!(sent(&room.say(holds(48_000, true))), [&ToParticipant::Archived { recording: TAKE }]);
}

#[test]
fn a_recording_that_is_over_takes_nothing_that_is_captured_now() {
    let mut room = over();
    ada_returns(&mut room);
    room.say(holds(48_000, true));
    room.tell(reopened(&[], false));
    room.tell(Input::Media { from: ADA, timestamp: 24_000, opus: opus() });
    room.tell(bulk(480_000, 480_960));
    assert_eq!(room.desk.packets, [], "neither live audio nor what Ada does not hold of it");
    room.tell(bulk(0, 960));
    assert_eq!(room.desk.packets.len(), 1);
}

#[test]
fn a_spool_that_brings_nothing_new_is_not_asked_for_ever() {
    let mut room = over();
    ada_returns(&mut room);
    room.say(holds(24_000, true));
    room.tell(reopened(&[range(0, 24_000)], true));
    assert!(room.after(100).contains(&Output::CloseJournal { recording: TAKE }));
    assert_eq!(room.say(holds(24_000, true)), []);
}

#[test]
fn the_last_word_alone_can_change_the_verdict() {
    let mut room = over();
    ada_returns(&mut room);
    room.say(holds(24_000, true));
    room.tell(reopened(&[range(0, 24_000)], false));
    assert!(room.after(100).contains(&Output::FinalizeAgain { recording: TAKE }));
}

#[test]
fn who_goes_again_leaves_what_came_so_far() {
    let mut room = over();
    ada_returns(&mut room);
    room.say(holds(48_000, true));
    room.tell(reopened(&[], true));
    room.after(100);
    room.tell(bulk(0, 24_000));
    room.tell(Input::LinkClosed { participant: ADA });
    assert!(room.after(100).contains(&Output::FinalizeAgain { recording: TAKE }));
    // And brings the rest another time, while the new file is being made.
    ada_returns(&mut room);
    assert_eq!(room.say(holds(48_000, true)), []);
    room.tell(Input::Finalized { recording: TAKE, result: Ok(file(false)) });
    let next = room.tell(Input::Submitted { recording: TAKE, result: Ok(()) });
    assert_eq!(next, [Output::ReopenJournal { recording: TAKE }]);
}

#[test]
fn a_promise_that_is_not_kept_is_waited_for_half_a_minute() {
    let mut room = over();
    ada_returns(&mut room);
    room.say(holds(48_000, true));
    room.tell(reopened(&[], true));
    let over = |outputs: &[Output]| outputs.contains(&Output::CloseJournal { recording: TAKE });
    assert!(!over(&room.after(29_900)));
    assert!(over(&room.after(200)));
}

#[test]
fn of_a_discarded_recording_nothing_is_taken_and_nothing_kept() {
    let mut room = over();
    room.desk.discarded.insert(TAKE);
    ada_returns(&mut room);
    assert_eq!(sent(&room.say(holds(48_000, true))), [&ToParticipant::Discard { recording: TAKE }]);
}

#[test]
fn the_end_of_the_program_ends_a_repair_with_what_came() {
    let mut room = over();
    ada_returns(&mut room);
    room.say(holds(48_000, true));
    room.tell(reopened(&[], true));
    room.after(100);
    room.tell(bulk(0, 24_000));
    room.tell(Input::Shutdown { drain: Duration::ZERO, stop: None });
    assert!(room.after(100).contains(&Output::FinalizeAgain { recording: TAKE }));
    assert!(!room.end.is_over(), "the file is being made");
}

#[test]
fn what_was_decided_stays_and_instants_of_another_boot_are_not_mixed_in() {
    let measured = |same_clock: bool| {
        let mut room = over();
        ada_returns(&mut room);
        room.say(holds(48_000, true));
        room.desk.notes.clear();
        room.tell(reopened_with(&[], false, same_clock, BTreeSet::from([(ADA, SEGMENT)])));
        for _ in 0..100 {
            room.after(1_000);
            room.compare();
            let index = SampleIndex(room.now_ms.unsigned_abs() * 48);
            room.say(ToRecorder::Anchor(Anchor { segment: SEGMENT, index, at: ClockNs(room.now_ms * 1_000_000) }));
            room.tell(bulk(0, 960));
        }
        let count = |wanted: fn(&Record) -> bool| room.desk.notes.iter().filter(|note| wanted(note)).count();
        (
            count(|note| matches!(note, Record::ClockExchange(_))),
            count(|note| matches!(note, Record::MapStretch(_))),
            count(|note| matches!(note, Record::Segment(_))),
        )
    };
    let (exchanges, maps, segments) = measured(true);
    assert!(exchanges > 0 && segments > 0);
    assert_eq!(maps, 0, "its map was decided when the file was made");
    let (exchanges, maps, segments) = measured(false);
    assert!((exchanges, maps) == (0, 0) && segments > 0);
}
