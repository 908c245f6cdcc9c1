//! Where a segment stands on its participant's clock, from anchors.

use roomtone_protocol::channel::{Anchor, Segment};
use roomtone_protocol::{ClockNs, SAMPLE_RATE, SampleIndex};

/// Deviations kept. When they are too many every second one goes, and from then on only every second one is taken:
/// they stay spread over the whole segment.
const KEPT: usize = 1_024;

/// Turns a median absolute deviation into a standard deviation, for a normal distribution.
const MAD_TO_SIGMA: f64 = 1.4826;

/// What the anchors of one segment say, as deviations from its own first statement.
#[derive(Debug, Clone)]
pub(super) struct Anchors {
    first: SampleIndex,
    captured_at: ClockNs,
    /// In nanoseconds, in order of arrival. The segment's own statement is the first.
    deviations: Vec<i64>,
    /// One of so many is kept.
    stride: u64,
    seen: u64,
}

/// What a fit through the anchors gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fit {
    /// Participant's clock at the segment's first sample.
    pub(super) first_at: ClockNs,
    /// Spread of the anchors around it, in nanoseconds.
    pub(super) residual_ns: i64,
}

impl Anchors {
    pub(super) fn new(segment: &Segment) -> Self {
        Self { first: segment.first, captured_at: segment.captured_at, deviations: vec![0], stride: 1, seen: 1 }
    }

    pub(super) fn take(&mut self, anchor: &Anchor) {
        let Some(samples) = anchor.index.0.checked_sub(self.first.0) else { return };
        if self.seen.is_multiple_of(self.stride) {
            let nominal = i128::from(samples) * 1_000_000_000 / i128::from(SAMPLE_RATE);
            let deviation = i128::from(anchor.at.0) - i128::from(self.captured_at.0) - nominal;
            let Ok(deviation) = i64::try_from(deviation) else { return };
            if self.deviations.len() == KEPT {
                let mut keep = [true, false].into_iter().cycle();
                self.deviations.retain(|_| keep.next() == Some(true));
                self.stride *= 2;
            }
            self.deviations.push(deviation);
        }
        self.seen += 1;
    }

    /// The segment's first sample on the participant's clock, at a rate of exactly one: the median, because callbacks
    /// are late by milliseconds now and then and never early.
    pub(super) fn fit(&self) -> Fit {
        let middle = median(self.deviations.clone());
        let spread =
            median(self.deviations.iter().map(|deviation| deviation.saturating_sub(middle).saturating_abs()).collect());
        Fit {
            first_at: ClockNs(self.captured_at.0.saturating_add(middle)),
            residual_ns: (spread as f64 * MAD_TO_SIGMA).round() as i64,
        }
    }
}

fn median(mut values: Vec<i64>) -> i64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable(middle).1
}
