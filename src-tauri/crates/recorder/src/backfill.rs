//! What to ask of a participant so that nothing stays missing.
//!
//! The participant says what it holds, the journal what arrived. The difference is asked for over the reliable channel,
//! in bounded portions; the next portion follows as soon as one has arrived, so that the link sets the pace.

use std::collections::VecDeque;

use roomtone_packets::Coverage;
use roomtone_protocol::channel::Inventory;
use roomtone_protocol::{ClockNs, IndexRange, SampleIndex};

/// What was captured last may still be on its way: 500 ms at 48 kHz, more than a round trip and a retransmission take.
const IN_FLIGHT_SAMPLES: u64 = 24_000;

/// Without any progress for this long, what was asked for is asked for again: 1 s.
const PATIENCE_NS: i64 = 1_000_000_000;

/// Audio that may be asked for and not have arrived: 10 s, about 160 KB. Live packets on the same link wait behind
/// no more than that.
const MAX_OUTSTANDING_SAMPLES: u64 = 480_000;

/// Ranges in one question; each of them is about 90 bytes of JSON, and messages end at 64 KB.
const MAX_RANGES: usize = 128;

/// What happened to a participant's back-fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackfillInput {
    /// A link is up. What was asked over an earlier one is forgotten.
    LinkUp,
    /// The link is gone.
    LinkDown,
    /// What the participant holds now.
    Inventory(Inventory),
}

/// Back-fill of one participant's track in one recording.
#[derive(Debug, Clone, Default)]
pub struct Backfill {
    inventory: Option<Inventory>,
    link: bool,
    asked: VecDeque<IndexRange>,
    /// When something was asked last, or something that was asked for came.
    moved_at: Option<ClockNs>,
    /// Samples asked for that had not come when it was looked at last.
    outstanding: u64,
}

impl Backfill {
    /// Takes an input.
    pub fn handle(&mut self, input: BackfillInput) {
        match input {
            BackfillInput::LinkUp => {
                self.link = true;
                self.forget();
            }
            BackfillInput::LinkDown => {
                self.link = false;
                self.forget();
            }
            BackfillInput::Inventory(inventory) => self.inventory = Some(inventory),
        }
    }

    /// The next question, given what has arrived. Call it after inputs, after back-filled packets and at the deadline,
    /// until there is none.
    pub fn poll_want(&mut self, now: ClockNs, coverage: &Coverage) -> Option<Vec<IndexRange>> {
        if !self.link {
            return None;
        }
        self.settle(now, coverage);
        let mut budget = MAX_OUTSTANDING_SAMPLES.saturating_sub(self.outstanding);
        let mut asked = Coverage::default();
        for &range in &self.asked {
            asked.insert(range);
        }
        let mut want = Vec::new();
        for missing in self.missing(coverage).into_iter().flat_map(|range| asked.missing(range)) {
            if budget == 0 || want.len() == MAX_RANGES {
                break;
            }
            let part =
                IndexRange { to: SampleIndex(missing.to.0.min(missing.from.0.saturating_add(budget))), ..missing };
            budget -= samples(part);
            want.push(part);
        }
        if want.is_empty() {
            return None;
        }
        self.outstanding += want.iter().copied().map(samples).sum::<u64>();
        self.asked.extend(&want);
        self.moved_at = Some(now);
        Some(want)
    }

    /// When to look again although nothing came.
    #[must_use]
    pub fn next_deadline(&self) -> Option<ClockNs> {
        if self.asked.is_empty() { None } else { self.moved_at.map(|at| ClockNs(at.0 + PATIENCE_NS)) }
    }

    /// What the participant said last that it holds.
    #[must_use]
    pub fn inventory(&self) -> Option<&Inventory> {
        self.inventory.as_ref()
    }

    /// Whether the participant said that nothing more will come, and all of what it holds is in `coverage`: of what
    /// arrived, to know whether to wait; of what is durable, to tell the participant that it may quit.
    #[must_use]
    pub fn is_settled(&self, coverage: &Coverage) -> bool {
        self.inventory
            .as_ref()
            .is_some_and(|inventory| inventory.complete && inventory.held.iter().all(|&held| coverage.covers(held)))
    }

    fn forget(&mut self) {
        self.asked.clear();
        self.outstanding = 0;
        self.moved_at = None;
    }

    /// Drops what came from what was asked, and everything if nothing came for too long.
    fn settle(&mut self, now: ClockNs, coverage: &Coverage) {
        let open: VecDeque<IndexRange> = self.asked.iter().flat_map(|&range| coverage.missing(range)).collect();
        let outstanding = open.iter().copied().map(samples).sum();
        if outstanding < self.outstanding {
            self.moved_at = Some(now);
        }
        self.asked = open;
        self.outstanding = outstanding;
        if self.moved_at.is_some_and(|at| now.0 - at.0 >= PATIENCE_NS) {
            self.forget();
        }
    }

    /// Held there, absent here, and not just on its way.
    fn missing(&self, coverage: &Coverage) -> Vec<IndexRange> {
        let Some(inventory) = &self.inventory else { return Vec::new() };
        let newest = inventory.held.iter().map(|range| (range.segment, range.to)).max();
        let settled = |range: &IndexRange| match newest {
            Some((segment, to)) if !inventory.complete && segment == range.segment => {
                range.to.min(SampleIndex(to.0.saturating_sub(IN_FLIGHT_SAMPLES)))
            }
            _ => range.to,
        };
        inventory
            .held
            .iter()
            .map(|range| IndexRange { to: settled(range), ..*range })
            .flat_map(|range| coverage.missing(range))
            .collect()
    }
}

fn samples(range: IndexRange) -> u64 {
    range.to.0 - range.from.0
}

#[cfg(test)]
mod tests {
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
    fn an_hour_comes_in_portions() {
        let (mut backfill, mut coverage) = (linked(), Coverage::default());
        let hour = range(0, 3_600 * SECOND);
        backfill.handle(held(&[hour], true));
        let mut questions = 0;
        while let Some(want) = backfill.poll_want(at(questions), &coverage) {
            assert!(want.iter().copied().map(samples).sum::<u64>() <= MAX_OUTSTANDING_SAMPLES);
            assert_eq!(backfill.poll_want(at(questions), &coverage), None);
            for part in want {
                coverage.insert(part);
            }
            questions += 1;
        }
        assert_eq!(questions, 360);
        assert!(coverage.covers(hour) && backfill.is_settled(&coverage));
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
}
