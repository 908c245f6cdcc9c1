use roomtone_protocol::WakeEpoch;

use super::*;

const SECOND: i64 = 1_000_000_000;
const ADA: ParticipantId = ParticipantId::from_bytes([1; 16]);
const BEN: ParticipantId = ParticipantId::from_bytes([2; 16]);
const CLEO: ParticipantId = ParticipantId::from_bytes([3; 16]);

/// The boot took the clock back by this.
const LOST: i64 = 340 * SECOND + 250_000_000;

/// What the wall clock says, a second too little; the recording was last heard of at 300 s of its timeline, and goes on at
/// 359 s of it, which are 360 s.
fn wall() -> Placement {
    let by = Some(PlacedBy::Provisional);
    Placement { shift_ns: LOST - SECOND, uncertainty_ns: 2_000_000_000, by, boots: 1 }
}

/// An exchange at a true instant, on the recorder's clock `recorder` of the timeline, with a participant who is ahead.
fn exchange(epoch: u32, true_ns: i64, recorder_ns: i64, ahead_ns: i64) -> ClockExchange {
    let there = ClockNs(true_ns + 2_000_000 + ahead_ns);
    let (t0, t3) = (ClockNs(true_ns + recorder_ns), ClockNs(true_ns + 4_000_000 + recorder_ns));
    ClockExchange { epoch: WakeEpoch(epoch), t0, t1: there, t2: there, t3 }
}

fn placing(people: &[(ParticipantId, i64)]) -> Placing {
    let before = people.iter().map(|&(participant, ahead)| {
        let measured = (0..300).map(|n| Record::ClockExchange(exchange(1, n * SECOND, 0, ahead)));
        (participant, measured.collect::<Vec<_>>())
    });
    let before: Vec<_> = before.collect();
    let tracks = before.iter().map(|(participant, records)| (*participant, &records[..]));
    let now = ClockNs(359 * SECOND);
    Placing::new(wall(), (ClockNs(300 * SECOND), now), now, tracks)
}

/// Eight exchanges, or fewer, on the new clock.
fn back(placing: &mut Placing, participant: ParticipantId, epoch: u32, ahead: i64, count: i64) {
    for n in 0..count {
        placing.measure(participant, exchange(epoch, 361 * SECOND + n * SECOND / 20, -LOST, ahead));
    }
}

fn off_ns(placed: Placement) -> u64 {
    placed.shift_ns.abs_diff(LOST)
}

#[test]
fn a_participant_whose_clock_went_on_corrects_the_wall_clock() {
    let mut placing = placing(&[(ADA, 77 * SECOND)]);
    back(&mut placing, ADA, 1, 77 * SECOND, 7);
    assert_eq!(placing.sure(), None, "the first ones may have waited");
    back(&mut placing, ADA, 1, 77 * SECOND, 8);
    let placed = placing.sure().unwrap();
    println!("{placed:?} is {} ns off", off_ns(placed));
    assert!(off_ns(placed) < 50_000 && off_ns(placed) <= placed.uncertainty_ns, "{placed:?}");
    assert_eq!((placed.by, placed.boots), (Some(PlacedBy::Participants), 1));
    assert_eq!(placing.best(), placed);
}

#[test]
fn nobody_whose_clock_can_tell_leaves_it_to_the_wall_clock_and_says_so() {
    let by_wall = Placement { by: Some(PlacedBy::WallClock), ..wall() };
    let now = ClockNs(359 * SECOND);
    let mut nobody = placing(&[(ADA, 0), (CLEO, 0)]);
    // Ada's program started anew, and Ben came only now.
    back(&mut nobody, ADA, 2, 0, 20);
    back(&mut nobody, BEN, 1, 0, 20);
    assert_eq!((nobody.sure(), nobody.best()), (None, by_wall));
    assert!(!nobody.is_over(ClockNs(now.0 + PATIENCE_NS - 1)) && nobody.is_over(ClockNs(now.0 + PATIENCE_NS)));
    back(&mut nobody, CLEO, 2, 0, 1);
    assert!(nobody.is_over(now), "nobody is waited for any more");
    let alone = placing(&[]);
    assert!(alone.is_over(now));
    assert_eq!(alone.best(), by_wall);
}

#[test]
fn one_clock_that_lies_is_outvoted_and_alone_can_do_only_so_much() {
    // Cleo's clock was set by a minute meanwhile.
    let mut outvoted = placing(&[(ADA, 5 * SECOND), (BEN, -9 * SECOND), (CLEO, 0)]);
    back(&mut outvoted, CLEO, 1, 60 * SECOND, 40);
    back(&mut outvoted, ADA, 1, 5 * SECOND, 10);
    back(&mut outvoted, BEN, 1, -9 * SECOND, 10);
    assert!(off_ns(outvoted.best()) < 50_000, "{:?}", outvoted.best());

    for (ahead, why) in [(700 * SECOND, "an hour of silence"), (-62 * SECOND, "a time before the last second")] {
        let mut alone = placing(&[(CLEO, 0)]);
        back(&mut alone, CLEO, 1, ahead, 40);
        assert_eq!(alone.best().by, Some(PlacedBy::WallClock), "{why}");
    }
}

#[test]
fn who_agree_are_weighed_by_how_sure_they_are() {
    let told = |shift_ns, uncertainty_ns| Across { shift_ns, uncertainty_ns };
    assert_eq!(agreed(&[]), None);
    assert_eq!(agreed(&[told(100, 30)]), Some(told(100, 30)));
    assert_eq!(agreed(&[told(100, 10), told(130, 30)]), Some(told(103, 10)));
    assert_eq!(agreed(&[told(1_000, 1), told(130, 30), told(100, 40)]).map(|one| one.uncertainty_ns), Some(30));
}
