//! Single rules; `model` plays whole recordings against a store that fails.

mod model;

use super::*;

const MIB: u64 = 1 << 20;
/// The part of two channels.
const PART: u64 = 8 * MIB;
const TWO: Input = Input::Begun { channels: 2, bytes_per_s: 288_000 };
const THREE: Input = Input::Begun { channels: 3, bytes_per_s: 432_000 };

fn at(seconds: i64) -> ClockNs {
    ClockNs(seconds * 1_000_000_000)
}

fn tasks(planner: &mut Planner, now: ClockNs) -> Vec<Task> {
    std::iter::from_fn(|| planner.next(now)).collect()
}

fn numbers(tasks: &[Task]) -> Vec<i32> {
    let number = |task: &Task| match task {
        Task::Send(range) => range.number,
        other => panic!("{other:?}"),
    };
    tasks.iter().map(number).collect()
}

fn sent(planner: &mut Planner, now: ClockNs, number: i32) {
    planner.handle(now, Input::Sent { number, took: Duration::from_secs(1) });
}

/// With an upload open and so many parts of two channels settled.
fn growing(parts: u64) -> Planner {
    let mut planner = Planner::growing(NonZero::new(u64::MAX));
    planner.handle(at(0), TWO);
    planner.handle(at(0), Input::Settled { bytes: parts * PART });
    assert_eq!(tasks(&mut planner, at(0)), [Task::Create { part_size: PART }]);
    planner.handle(at(0), Input::Created);
    planner
}

/// Sends one part after the other until nothing is to be sent; which.
fn run(planner: &mut Planner, now: ClockNs) -> Vec<i32> {
    let mut all = Vec::new();
    loop {
        let sending = numbers(&tasks(planner, now));
        if sending.is_empty() {
            return all;
        }
        sending.iter().for_each(|&number| sent(planner, now, number));
        all.extend(sending);
    }
}

#[test]
fn nothing_is_begun_before_a_part_behind_the_first_is_settled() {
    let mut planner = Planner::growing(None);
    planner.handle(at(0), Input::Begun { channels: 0, bytes_per_s: 0 });
    planner.handle(at(0), TWO);
    planner.handle(at(9), Input::Settled { bytes: 2 * PART - 1 });
    assert_eq!(tasks(&mut planner, at(9)), []);
    planner.handle(at(10), Input::Settled { bytes: 2 * PART });
    assert_eq!(tasks(&mut planner, at(10)), [Task::Create { part_size: PART }]);
    assert_eq!(tasks(&mut planner, at(10)), []);
}

#[test]
fn settled_parts_go_in_order_two_at_a_time_only_when_it_is_behind() {
    let mut planner = growing(5);
    assert_eq!(numbers(&tasks(&mut planner, at(1))), [2, 3]);
    sent(&mut planner, at(2), 3);
    assert_eq!(numbers(&tasks(&mut planner, at(2))), [4]);
    sent(&mut planner, at(3), 2);
    sent(&mut planner, at(3), 4);
    assert_eq!(numbers(&tasks(&mut planner, at(3))), [5]);
    sent(&mut planner, at(4), 5);
    assert_eq!(tasks(&mut planner, at(4)), [], "the first waits for the head");
    planner.handle(at(5), Input::Settled { bytes: 6 * PART + 1 });
    assert_eq!(run(&mut planner, at(5)), [6]);
}

#[test]
fn after_the_end_only_what_is_left_goes_four_at_a_time_and_the_head_last() {
    let mut planner = growing(4);
    run(&mut planner, at(1));
    planner.handle(at(2), Input::Rewritten { from: 3 * PART - 1, to: 3 * PART });
    planner.handle(at(3), Input::Whole { bytes: 4 * PART + 100 });
    let first = tasks(&mut planner, at(3));
    assert_eq!(numbers(&first), [5, 3, 1]);
    assert!(matches!(first[0], Task::Send(PartRange { number: 5, offset, length: 100 }) if offset == 4 * PART));
    [5, 3].into_iter().for_each(|number| sent(&mut planner, at(4), number));
    assert!(!planner.is_complete() && !planner.is_over());
    sent(&mut planner, at(4), 1);
    assert!(planner.is_complete() && planner.is_over());
    assert_eq!(planner.bytes_there(), 4 * PART + 100);

    let mut planner = Planner::whole(10 * PART, PART, []);
    assert_eq!(numbers(&tasks(&mut planner, at(0))), [2, 3, 4, 5]);
}

#[test]
fn a_part_that_was_written_over_waits_for_quiet_and_for_new_ones() {
    let mut planner = growing(3);
    run(&mut planner, at(1));
    planner.handle(at(10), Input::Rewritten { from: PART, to: PART + 5 });
    planner.handle(at(40), Input::Rewritten { from: PART + 9, to: PART + 10 });
    assert_eq!(tasks(&mut planner, at(99)), [], "a hole closes piece by piece");
    assert_eq!(planner.next_deadline(at(99)), Some(at(100)));
    planner.handle(at(100), Input::Settled { bytes: 4 * PART });
    assert_eq!(numbers(&tasks(&mut planner, at(100))), [4]);
    sent(&mut planner, at(101), 4);
    assert_eq!(numbers(&tasks(&mut planner, at(101))), [2]);
    // Once more, while it is on its way.
    planner.handle(at(102), Input::Rewritten { from: PART, to: PART + 5 });
    sent(&mut planner, at(103), 2);
    assert_eq!(planner.doubtful(), [2]);
    assert_eq!(tasks(&mut planner, at(161)), []);
    assert_eq!(run(&mut planner, at(162)), [2]);
}

#[test]
fn the_pace_is_kept() {
    let mut planner = Planner::growing(NonZero::new(MIB));
    planner.handle(at(0), TWO);
    planner.handle(at(0), Input::Settled { bytes: 9 * PART });
    planner.next(at(0));
    planner.handle(at(0), Input::Created);
    assert_eq!(run(&mut planner, at(1)), [2]);
    assert_eq!(planner.next_deadline(at(1)), Some(at(9)));
    assert_eq!(run(&mut planner, at(8)), [] as [i32; 0]);
    assert_eq!(run(&mut planner, at(9)), [3]);
    // Nothing holds the rest up once somebody waits for it.
    planner.handle(at(10), Input::Whole { bytes: 9 * PART });
    assert_eq!(run(&mut planner, at(10)), [4, 5, 6, 7, 8, 9, 1]);
}

#[test]
fn somebody_who_joins_costs_the_upload_which_is_begun_anew_when_nobody_came_for_ten_minutes() {
    let mut planner = growing(4);
    assert_eq!(numbers(&tasks(&mut planner, at(1))), [2, 3]);
    sent(&mut planner, at(2), 2);
    planner.handle(at(3), THREE);
    planner.handle(at(3), Input::Settled { bytes: 5 * PART });
    assert_eq!(tasks(&mut planner, at(3)), [], "a part is on its way");
    sent(&mut planner, at(4), 3);
    assert_eq!(tasks(&mut planner, at(4)), [Task::Abort]);
    planner.handle(at(4), Input::Aborted);
    assert_eq!((planner.wasted(), planner.channels()), (2 * PART, 3));
    assert_eq!(tasks(&mut planner, at(602)), []);
    assert_eq!(planner.next_deadline(at(602)), Some(at(603)));
    assert_eq!(tasks(&mut planner, at(603)), [Task::Create { part_size: PART }]);
}

#[test]
fn on_a_link_without_headroom_the_rest_waits_for_the_end() {
    let slow = |bytes_per_s: u64| {
        let mut planner = growing(3);
        for task in tasks(&mut planner, at(1)) {
            let Task::Send(range) = task else { panic!("{task:?}") };
            // Two share the link.
            let took = Duration::from_secs(2 * range.length / bytes_per_s);
            planner.handle(at(2), Input::Sent { number: range.number, took });
        }
        planner.handle(at(3), THREE);
        planner.handle(at(3), Input::Settled { bytes: 60 * PART });
        assert_eq!(tasks(&mut planner, at(4)), [Task::Abort]);
        planner.handle(at(4), Input::Aborted);
        tasks(&mut planner, at(5_000))
    };
    assert_eq!(slow(500_000), []);
    assert_eq!(slow(1_300_000), [Task::Create { part_size: PART }]);
}

#[test]
fn what_was_sent_in_vain_is_held_against_what_there_will_be() {
    let mut planner = growing(20);
    run(&mut planner, at(1));
    planner.handle(at(2), THREE);
    planner.handle(at(2), Input::Settled { bytes: 30 * PART });
    assert_eq!(tasks(&mut planner, at(2)), [Task::Abort]);
    planner.handle(at(2), Input::Aborted);
    assert_eq!(planner.next(at(700)), Some(Task::Create { part_size: PART }));
    planner.handle(at(700), Input::Created);
    // Another one who comes makes forty parts of these thirty; nineteen are wasted already.
    assert_eq!(run(&mut planner, at(700)).len(), 21);
    planner.handle(at(701), Input::Settled { bytes: 33 * PART });
    assert_eq!(run(&mut planner, at(701)).len(), 4);
    planner.handle(at(702), Input::Whole { bytes: 33 * PART });
    assert_eq!(run(&mut planner, at(702)).len(), 8);
    assert!(planner.is_complete());
}

#[test]
fn failures_are_followed_by_a_rest_and_the_part_goes_again() {
    let mut planner = growing(2);
    let task = planner.next(at(1)).unwrap();
    planner.handle(at(1), Input::Failed(task));
    assert_eq!((planner.next(at(1)), planner.next_deadline(at(1))), (None, Some(at(2))));
    assert_eq!(planner.next(at(2)), Some(task));
    planner.handle(at(2), Input::Lost);
    assert_eq!(planner.wasted(), 2 * PART, "sent twice");
    assert_eq!(planner.next(at(2)), None);
}

#[test]
fn parts_of_an_earlier_run_count_once_they_are_seen_to_be_the_files() {
    let known = [(2, PART, false), (3, PART, false), (4, PART, false), (1, PART, true)];
    let known = known.map(|(number, length, sure)| Known { number, length, sure });
    let mut planner = Planner::growing(None).resumed(PART, 2, 5, known);
    planner.handle(at(0), Input::Begun { channels: 0, bytes_per_s: 0 });
    planner.handle(at(0), TWO);
    assert_eq!(tasks(&mut planner, at(0)), []);
    planner.handle(at(0), Input::Settled { bytes: 3 * PART });
    let check = |number| [Task::Check(PartRange::of(number, u64::MAX, PART).unwrap())];
    assert_eq!(tasks(&mut planner, at(0)), check(2));
    planner.handle(at(1), Input::Checked { number: 2, same: true });
    assert_eq!(tasks(&mut planner, at(1)), check(3));
    planner.handle(at(1), Input::Rewritten { from: 2 * PART, to: 2 * PART + 1 });
    planner.handle(at(2), Input::Checked { number: 3, same: true });
    assert_eq!((tasks(&mut planner, at(2)), planner.doubtful()), (vec![], vec![3, 4]));
    assert_eq!(planner.wasted(), 5);

    let mut planner = Planner::growing(None).resumed(PART, 2, 0, known);
    planner.handle(at(0), THREE);
    assert_eq!(tasks(&mut planner, at(0)), [Task::Abort], "somebody joined since");
}

#[test]
fn once_it_is_handed_over_nothing_is_begun() {
    let mut planner = growing(3);
    let task = planner.next(at(1)).unwrap();
    planner.handle(at(1), Input::HandedOver);
    assert_eq!((planner.next(at(1)), planner.is_over()), (None, false));
    let Task::Send(range) = task else { panic!("{task:?}") };
    sent(&mut planner, at(2), range.number);
    assert!(planner.is_over());
}
