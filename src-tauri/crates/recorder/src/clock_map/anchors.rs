//! Where a segment's samples lie on its participant's clock, from anchors.

use roomtone_protocol::channel::{Anchor, Segment};
use roomtone_protocol::{ClockNs, SAMPLE_RATE, SampleIndex};

use super::drift::{Drift, Fit, Reading, Tails};
use super::state::Rate;

/// What the best anchor is off, in microseconds: a frame.
const FLOOR_US: f64 = 20.0;

/// What anchors are taken to scatter before enough of them are there to tell, in microseconds.
const ASSUMED_US: f64 = 500.0;

/// Anchors that tell a spread.
const ENOUGH: usize = 5;

/// Part of the spread that a new fit replaces: it should not follow a few lucky seconds.
const NEW_SPREAD: f64 = 0.25;

/// Callbacks come late and never early, so what is late is doubted sooner.
const TAILS: Tails = Tails { above: 2.0, below: 4.0 };

/// Turns a median absolute deviation into a standard deviation, for a normal distribution.
const MAD_TO_SIGMA: f64 = 1.4826;

/// An anchor further away than a device that is 1.2 % off can bring it, and half a second, contradicts its segment.
const MOST_SKEW_US_A_SECOND: f64 = 12_000.0;
const MOST_JITTER_US: f64 = 500_000.0;

/// The device's sample count against the participant's clock.
#[derive(Debug, Clone)]
pub(super) struct Anchors {
    first: SampleIndex,
    captured_at: ClockNs,
    drift: Drift,
    /// Standard deviation of the anchors, in microseconds, once it is known.
    spread: Option<f64>,
    newest: SampleIndex,
}

/// What is known at a sample.
#[derive(Debug, Clone)]
pub(super) struct AnchorsFit {
    pub(super) fit: Fit,
    /// Standard deviation of the anchors, in microseconds, robust.
    pub(super) spread: f64,
}

impl Anchors {
    pub(super) fn new(segment: &Segment) -> Self {
        let mut drift = Drift::new(TAILS);
        drift.take(Reading { at: 0.0, value: 0.0, trip: 0.0 });
        Self { first: segment.first, captured_at: segment.captured_at, drift, spread: None, newest: segment.first }
    }

    /// The device has run like this before.
    pub(super) fn expect(&mut self, rate: Rate) {
        self.drift.expect(rate);
    }

    /// Takes an anchor, as what it lies behind the segment's own statement at a rate of exactly one; false if that is
    /// further than any device brings it.
    pub(super) fn take(&mut self, anchor: &Anchor) -> bool {
        let Some(samples) = anchor.index.0.checked_sub(self.first.0) else { return false };
        let nominal = i128::from(samples) * 1_000_000_000 / i128::from(SAMPLE_RATE);
        let deviation = i128::from(anchor.at.0) - i128::from(self.captured_at.0) - nominal;
        let (at, value) = (self.seconds(anchor.index), deviation as f64 / 1e3);
        if value.abs() > MOST_JITTER_US + at * MOST_SKEW_US_A_SECOND {
            return false;
        }
        self.newest = self.newest.max(anchor.index);
        self.drift.take(Reading { at, value, trip: 0.0 });
        true
    }

    /// Takes an anchor that somebody else measured than who stated the segment: from now on only those count.
    pub(super) fn take_report(&mut self, anchor: &Anchor) -> bool {
        let possible = self.take(anchor);
        if possible && anchor.index > self.first {
            self.drift.withdraw(0.0);
        }
        possible
    }

    /// What is known at a sample, given in seconds since the first one.
    pub(super) fn fit(&self, at: f64) -> Option<AnchorsFit> {
        let assumed = self.spread.unwrap_or(ASSUMED_US);
        let fit = self.drift.fit(at, |_| assumed.max(FLOOR_US))?;
        let seen = robust_spread(fit.deviations());
        let Some(seen) = seen else { return Some(AnchorsFit { fit, spread: self.spread.unwrap_or(0.0) }) };
        let spread = self.spread.map_or(seen, |known| known + (seen - known) * NEW_SPREAD);
        let fit = self.drift.fit(at, |_| spread.max(FLOOR_US))?;
        Some(AnchorsFit { fit, spread })
    }

    /// Uses up the anchors until a sample, as in a fit that was made there.
    pub(super) fn settle(&mut self, at: f64, fit: &AnchorsFit) {
        if fit.fit.deviations().len() >= ENOUGH {
            self.spread = Some(fit.spread);
        }
        self.drift.settle(at, &fit.fit);
    }

    /// A sample as seconds since the segment's first one, at a rate of exactly one.
    pub(super) fn seconds(&self, index: SampleIndex) -> f64 {
        (i128::from(index.0) - i128::from(self.first.0)) as f64 / f64::from(SAMPLE_RATE)
    }

    pub(super) fn first(&self) -> SampleIndex {
        self.first
    }

    /// The participant's clock at the first sample, as the segment stated it; fits count from it.
    pub(super) fn captured_at(&self) -> ClockNs {
        self.captured_at
    }

    /// The newest sample that an anchor named.
    pub(super) fn newest(&self) -> SampleIndex {
        self.newest
    }

    /// When the first anchor behind an instant was, in seconds since the first sample.
    pub(super) fn next_after(&self, at: f64) -> Option<f64> {
        self.drift.next_after(at)
    }

    /// Nothing more will be asked.
    pub(super) fn forget(&mut self) {
        self.drift.forget();
    }
}

/// Standard deviation of deviations from what is typical for them; None if they are too few.
fn robust_spread(deviations: &[f64]) -> Option<f64> {
    let typical = median(deviations.to_vec())?;
    let distances = deviations.iter().map(|deviation| (deviation - typical).abs()).collect();
    (deviations.len() >= ENOUGH).then_some(())?;
    median(distances).map(|middle| middle * MAD_TO_SIGMA)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use roomtone_protocol::{SegmentId, SegmentKey, WakeEpoch};

    use super::*;

    const KEY: SegmentKey = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };

    fn anchors(late_us: impl Fn(u64) -> i64, seconds: u64) -> Anchors {
        let mut anchors = Anchors::new(&Segment {
            segment: KEY,
            first: SampleIndex(777),
            captured_at: ClockNs(5_000_000_000),
            codec_delay: 312,
            device: String::new(),
            device_rate: 48_000,
            cause: None,
        });
        for n in 1..=seconds {
            let at = ClockNs(5_000_000_000 + n as i64 * 1_000_000_000 + late_us(n) * 1_000);
            anchors.take(&Anchor { segment: KEY, index: SampleIndex(777 + 48_000 * n), at });
        }
        anchors
    }

    #[test]
    fn exact_anchors_are_exact() {
        let fit = anchors(|_| 0, 30).fit(12.0).unwrap();
        assert_eq!((fit.fit.state.offset, fit.fit.state.skew, fit.spread), (0.0, 0.0, 0.0));
    }

    #[test]
    fn late_callbacks_hardly_move_it() {
        // A third of them is late by up to 9 ms, the others scatter by half a millisecond.
        let late = |n: u64| if n.is_multiple_of(3) { (n * 7_919 % 9_000) as i64 } else { (n * 7_919 % 500) as i64 };
        let fit = anchors(late, 60).fit(30.0).unwrap();
        assert!((0.0..500.0).contains(&fit.fit.state.offset), "{fit:?}");
        assert!((100.0..700.0).contains(&fit.spread), "{fit:?}");
    }

    #[test]
    fn what_no_device_does_is_not_believed() {
        let mut anchors = anchors(|_| 0, 30);
        for (index, at) in [(48_777, i64::MAX), (96_777, i64::MIN), (u64::MAX, 0), (0, 0)] {
            anchors.take(&Anchor { segment: KEY, index: SampleIndex(index), at: ClockNs(at) });
        }
        assert_eq!(anchors.newest(), SampleIndex(777 + 48_000 * 30));
        assert_eq!(anchors.fit(12.0).unwrap().fit.state.offset, 0.0);
    }
}
