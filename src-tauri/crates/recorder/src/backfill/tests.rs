//! What is asked, when, and how fast.

use roomtone_protocol::{RecordingId, SegmentId, SegmentKey, WakeEpoch};

use super::*;

const SECOND: u64 = 48_000;

fn range(from: u64, to: u64) -> IndexRange {
    let segment = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };
    IndexRange { segment, from: SampleIndex(from), to: SampleIndex(to) }
}

fn held(ranges: &[IndexRange], complete: bool) -> BackfillInput {
    let recording = RecordingId::from_bytes([1; 16]);
    BackfillInput::Inventory(Inventory { recording, held: ranges.to_vec(), holes: Vec::new(), complete })
}

fn at(ms: i64) -> ClockNs {
    ClockNs(ms * 1_000_000)
}

fn linked() -> Backfill {
    let mut backfill = Backfill::default();
    backfill.handle(BackfillInput::LinkUp);
    backfill
}

#[test]
fn what_is_missing_is_asked_for_once() {
    let (mut backfill, mut coverage) = (linked(), Coverage::default());
    coverage.insert(range(0, SECOND));
    coverage.insert(range(2 * SECOND, 5 * SECOND));
    backfill.handle(held(&[range(0, 5 * SECOND)], false));
    assert_eq!(backfill.poll_want(at(0), &coverage), Some(vec![range(SECOND, 2 * SECOND)]));
    assert_eq!(backfill.poll_want(at(0), &coverage), None);
    assert_eq!(backfill.poll_want(at(999), &coverage), None);
    coverage.insert(range(SECOND, 2 * SECOND));
    assert_eq!(backfill.poll_want(at(5_000), &coverage), None);
    assert_eq!(backfill.next_deadline(), None);
}

#[test]
fn silence_is_answered_with_the_same_question() {
    let (mut backfill, coverage) = (linked(), Coverage::default());
    backfill.handle(held(&[range(0, SECOND)], true));
    let question = backfill.poll_want(at(0), &coverage);
    assert_eq!(question, Some(vec![range(0, SECOND)]));
    assert_eq!(backfill.next_deadline(), Some(at(1_000)));
    assert_eq!(backfill.poll_want(at(1_000), &coverage), question);
}

#[test]
fn a_new_link_is_asked_at_once() {
    let (mut backfill, coverage) = (linked(), Coverage::default());
    backfill.handle(held(&[range(0, SECOND)], true));
    let question = backfill.poll_want(at(0), &coverage);
    backfill.handle(BackfillInput::LinkDown);
    assert_eq!(backfill.poll_want(at(10), &coverage), None);
    backfill.handle(BackfillInput::LinkUp);
    assert_eq!(backfill.poll_want(at(20), &coverage), question);
}

#[test]
fn a_slow_link_that_moves_is_not_asked_twice() {
    let (mut backfill, mut coverage) = (linked(), Coverage::default());
    backfill.handle(held(&[range(0, 10 * SECOND)], true));
    assert!(backfill.poll_want(at(0), &coverage).is_some());
    for n in 1..10 {
        coverage.insert(range(0, n * SECOND));
        assert_eq!(backfill.poll_want(at(n as i64 * 900), &coverage), None, "{n}");
    }
}

#[test]
fn what_was_overtaken_is_lost_and_asked_for_again_while_the_rest_still_comes() {
    let (mut backfill, mut coverage) = (linked(), Coverage::default());
    backfill.handle(held(&[range(0, 60 * SECOND)], false));
    let first = backfill.poll_want(at(0), &coverage).unwrap();
    assert_eq!(first, [range(0, 8 * SECOND)]);
    // A hole in the first answer, and nothing that shows whether it is still to come.
    coverage.insert(range(0, SECOND));
    coverage.insert(range(SECOND + 960, 8 * SECOND));
    assert_eq!(backfill.poll_want(at(500), &coverage), Some(vec![range(8 * SECOND, 12 * SECOND)]));
    assert_eq!(backfill.poll_want(at(1_000), &coverage), Some(vec![range(12 * SECOND, 16 * SECOND)]));
    coverage.insert(range(8 * SECOND, 12 * SECOND));
    assert_eq!(backfill.poll_want(at(1_500), &coverage), Some(vec![range(16 * SECOND, 20 * SECOND)]));
    coverage.insert(range(12 * SECOND, 16 * SECOND));
    let again = backfill.poll_want(at(2_000), &coverage).unwrap();
    assert_eq!(again[0], range(SECOND, SECOND + 960), "{again:?}");
}

#[test]
fn there_are_few_questions() {
    let (mut backfill, mut coverage) = (linked(), Coverage::default());
    backfill.handle(held(&[range(0, 60 * SECOND)], true));
    let mut questions = 0;
    for ms in 0..4_000 {
        while let Some(want) = backfill.poll_want(at(ms), &coverage) {
            questions += 1;
            for part in want {
                coverage.insert(part);
            }
        }
    }
    assert!(coverage.covers(range(0, 60 * SECOND)) && questions <= 15, "{questions}");
}

#[test]
fn what_may_be_on_its_way_is_not_asked_for() {
    let (mut backfill, coverage) = (linked(), Coverage::default());
    backfill.handle(held(&[range(0, 20_000)], false));
    assert_eq!(backfill.poll_want(at(0), &coverage), None);
    backfill.handle(held(&[range(0, 44_000)], false));
    assert_eq!(backfill.poll_want(at(500), &coverage), Some(vec![range(0, 20_000)]));
    backfill.handle(held(&[range(0, 44_000)], true));
    assert_eq!(backfill.poll_want(at(600), &coverage), Some(vec![range(20_000, 44_000)]));
}

#[test]
fn an_hour_comes_in_portions_at_the_capped_rate() {
    for (complete, cap) in [(false, pace::LIVE_CAP), (true, pace::LAST_CAP)] {
        let (mut backfill, mut coverage) = (linked(), Coverage::default());
        let hour = range(0, 3_600 * SECOND);
        backfill.handle(held(&[hour], complete));
        let due = if complete { hour } else { range(0, hour.to.0 - IN_FLIGHT_SAMPLES) };
        let mut ms = 0;
        while !coverage.covers(due) {
            while let Some(want) = backfill.poll_want(at(ms), &coverage) {
                assert!(want.iter().copied().map(samples).sum::<u64>() <= MAX_OUTSTANDING_SAMPLES);
                for part in want {
                    coverage.insert(part);
                }
            }
            ms += 100;
        }
        let seconds = u64::try_from(ms).unwrap() / 1_000;
        assert!((3_600 / cap - 2..=3_600 / cap).contains(&seconds), "{seconds} s at {cap} times real time");
        assert_eq!(backfill.is_settled(&coverage), complete);
    }
}

#[test]
fn who_answers_nothing_is_asked_less_and_less_often() {
    let (mut backfill, coverage) = (linked(), Coverage::default());
    backfill.handle(held(&[range(0, SECOND)], true));
    let mut asked = Vec::new();
    for second in 0..400 {
        if backfill.poll_want(at(second * 1_000), &coverage).is_some() {
            asked.push(second);
        }
    }
    assert_eq!(asked, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 14, 22, 38, 70, 134, 198, 262, 326, 390]);
    backfill.handle(BackfillInput::LinkUp);
    assert!(backfill.poll_want(at(400_000), &coverage).is_some(), "a new link is asked at once");
}

#[test]
fn live_audio_that_does_not_arrive_slows_back_fill_down() {
    let ask = |lost: u64| {
        let (mut backfill, mut coverage) = (linked(), Coverage::default());
        // An outage of ten minutes, then live audio of which so many percent are lost.
        let before = 600 * SECOND;
        let mut asked = 0;
        for second in 0..30 {
            let now = before + second * SECOND;
            coverage.insert(range(now, now + SECOND * (100 - lost) / 100));
            backfill.handle(held(&[range(0, now + SECOND)], false));
            for step in 0..10 {
                while let Some(want) = backfill.poll_want(at((second * 1_000 + step * 100) as i64), &coverage) {
                    for part in want {
                        asked += samples(part);
                        coverage.insert(part);
                    }
                }
            }
        }
        asked / SECOND
    };
    assert!(ask(0) >= 29 * pace::LIVE_CAP, "{}", ask(0));
    let starved = ask(60);
    assert!((15..60).contains(&starved), "{starved} s in half a minute");
}

#[test]
fn many_small_holes_fit_into_messages() {
    let (mut backfill, mut coverage) = (linked(), Coverage::default());
    for n in 0..1_000 {
        coverage.insert(range(n * 1_920, n * 1_920 + 960));
    }
    backfill.handle(held(&[range(0, 1_920_000)], true));
    assert_eq!(backfill.poll_want(at(0), &coverage).map(|want| want.len()), Some(MAX_RANGES));
}

#[test]
fn settled_needs_the_last_word() {
    let (mut backfill, mut coverage) = (linked(), Coverage::default());
    assert!(!backfill.is_settled(&coverage));
    backfill.handle(held(&[range(0, SECOND)], true));
    assert!(!backfill.is_settled(&coverage));
    coverage.insert(range(0, SECOND));
    assert!(backfill.is_settled(&coverage));
    backfill.handle(held(&[range(0, SECOND)], false));
    assert!(!backfill.is_settled(&coverage));
}
