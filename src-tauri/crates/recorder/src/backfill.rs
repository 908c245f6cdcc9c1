//! What to ask of a participant so that nothing stays missing.
//!
//! The participant says what it holds, the journal what arrived. The difference is asked for over the reliable channel,
//! in bounded portions; the next portion follows as soon as one has arrived, so that the link sets the pace, up to a cap.
//! The answers come in the order of the questions, and may get lost: nothing here relies on any of them.

mod pace;

use roomtone_packets::Coverage;
use roomtone_protocol::channel::Inventory;
use roomtone_protocol::{ClockNs, IndexRange, SampleIndex, SegmentKey};

use pace::Pace;

/// What was captured last may still be on its way: 500 ms at 48 kHz, more than a round trip and a retransmission take.
const IN_FLIGHT_SAMPLES: u64 = 24_000;

/// Without any progress for this long, what was asked for is asked for again: 1 s.
const PATIENCE_NS: i64 = 1_000_000_000;

/// So often; then twice as long every time that this too brings nothing. Where a fifth is lost, a single packet fails eight
/// times in a row once in 400,000.
const QUICK_QUESTIONS: u32 = 8;

/// What was asked for this long before something that has come is lost: 500 ms, in which RTP's own retransmission has
/// tried four times.
const OVERTAKEN_NS: i64 = 500_000_000;

/// A question asks for no less than the rate allows in this time, unless less is missing: half a second. Questions wait
/// for each other on the reliable channel, so there should be few of them.
const QUESTION_MS: u64 = 500;
/// Or than half of what may be outstanding, if that is less: the next one is asked while the one before is answered.
const QUESTION_SAMPLES: u64 = MAX_OUTSTANDING_SAMPLES / 2;

/// The longest of these pauses is 64 s: who cannot read what they hold is asked now and then, in case that they can
/// again.
const LONGEST_DOUBLINGS: u32 = 6;

/// More audio than this becoming due at once is the end of an outage, and says nothing about the live audio: 3 s.
const OUTAGE_SAMPLES: u64 = 144_000;

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
    asked: Vec<Asked>,
    /// When something was asked last, or something that was asked for came.
    moved_at: Option<ClockNs>,
    /// Samples asked for that had not come when it was looked at last.
    outstanding: u64,
    /// Questions in a row that brought nothing.
    fruitless: u32,
    pace: Pace,
    /// Up to where live audio was due at the last look.
    due: Option<(SegmentKey, SampleIndex)>,
}

/// What was asked for and has not come.
#[derive(Debug, Clone, Copy)]
struct Asked {
    range: IndexRange,
    at: ClockNs,
}

impl Backfill {
    /// Takes an input.
    pub fn handle(&mut self, input: BackfillInput) {
        match input {
            BackfillInput::LinkUp => {
                self.link = true;
                self.fruitless = 0;
                self.due = None;
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
        self.look_at_live(coverage);
        let last = self.inventory.as_ref().is_some_and(|inventory| inventory.complete);
        let allowed = self.pace.available(now, last);
        let mut budget = MAX_OUTSTANDING_SAMPLES.saturating_sub(self.outstanding).min(allowed);
        let mut asked = Coverage::default();
        for Asked { range, .. } in &self.asked {
            asked.insert(*range);
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
        let wanted = want.iter().copied().map(samples).sum::<u64>();
        let least = self.pace.within(QUESTION_MS, last).min(QUESTION_SAMPLES);
        if want.is_empty() || (budget == 0 && wanted < least) {
            return None;
        }
        self.outstanding += wanted;
        self.pace.spend(wanted);
        self.asked.extend(want.iter().map(|&range| Asked { range, at: now }));
        self.moved_at = Some(now);
        Some(want)
    }

    /// When to look again although nothing came.
    #[must_use]
    pub fn next_deadline(&self) -> Option<ClockNs> {
        if self.asked.is_empty() { None } else { self.moved_at.map(|at| ClockNs(at.0 + self.patience())) }
    }

    /// What the participant said last that it holds.
    #[must_use]
    pub fn inventory(&self) -> Option<&Inventory> {
        self.inventory.as_ref()
    }

    /// Samples that the participant holds and `coverage` lacks, but for what may just be on its way.
    #[must_use]
    pub fn missing_samples(&self, coverage: &Coverage) -> u64 {
        self.missing(coverage).into_iter().map(samples).sum()
    }

    /// Whether the participant said that it holds all of this.
    #[must_use]
    pub fn holds(&self, range: IndexRange) -> bool {
        let held = self.inventory.iter().flat_map(|inventory| &inventory.held);
        let mut coverage = Coverage::default();
        held.filter(|held| held.segment == range.segment).for_each(|&held| {
            coverage.insert(held);
        });
        coverage.covers(range)
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

    /// Drops what came from what was asked, what is lost, and everything if nothing came for too long.
    fn settle(&mut self, now: ClockNs, coverage: &Coverage) {
        let mut open = Vec::new();
        let mut newest = None;
        for Asked { range, at } in self.asked.drain(..) {
            let missing = coverage.missing(range);
            if missing.iter().copied().map(samples).sum::<u64>() < samples(range) {
                newest = newest.max(Some(at));
            }
            open.extend(missing.into_iter().map(|range| Asked { range, at }));
        }
        if let Some(newest) = newest {
            self.moved_at = Some(now);
            self.fruitless = 0;
            let due = total(&open);
            let came = self.outstanding.saturating_sub(due);
            open.retain(|asked| newest.0 - asked.at.0 <= OVERTAKEN_NS);
            self.pace.answered(came, due - total(&open));
        }
        self.outstanding = total(&open);
        self.asked = open;
        if self.moved_at.is_some_and(|at| now.0 - at.0 >= self.patience()) {
            self.fruitless += u32::from(!self.asked.is_empty());
            self.forget();
        }
    }

    fn patience(&self) -> i64 {
        PATIENCE_NS << self.fruitless.saturating_sub(QUICK_QUESTIONS - 1).min(LONGEST_DOUBLINGS)
    }

    /// How the live audio arrives, as far as it has become due since the last look.
    fn look_at_live(&mut self, coverage: &Coverage) {
        let newest = self.inventory.as_ref().filter(|inventory| !inventory.complete);
        let newest = newest.and_then(|inventory| inventory.held.iter().map(|range| (range.segment, range.to)).max());
        let Some((segment, to)) = newest else { return };
        let due = SampleIndex(to.0.saturating_sub(IN_FLIGHT_SAMPLES));
        if let Some((before, from)) = self.due
            && before == segment
            && from < due
            && due.0 - from.0 <= OUTAGE_SAMPLES
        {
            let missing = coverage.missing(IndexRange { segment, from, to: due }).into_iter().map(samples).sum();
            self.pace.live(due.0 - from.0, missing);
        }
        if self.due != Some((segment, due)) {
            self.due = Some((segment, due));
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

fn total(asked: &[Asked]) -> u64 {
    asked.iter().map(|asked| samples(asked.range)).sum()
}

fn samples(range: IndexRange) -> u64 {
    range.to.0 - range.from.0
}

#[cfg(test)]
mod tests;
