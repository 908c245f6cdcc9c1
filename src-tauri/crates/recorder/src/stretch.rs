//! Arithmetic of map stretches: exact, because two renderings must agree on every bit.

use roomtone_packets::MapStretch;
use roomtone_protocol::SampleIndex;

use crate::timeline::TimelineFrame;

/// One in 32.32 fixed point.
pub(crate) const ONE: u64 = 1 << 32;

/// A position between samples: a whole index, which may lie before the first sample, and 2^-32 of the way to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) index: i64,
    pub(crate) fraction: u32,
}

/// Timeline frames and samples of one stretch.
pub(crate) trait StretchMap {
    /// The first timeline frame at or after a sample.
    fn frame_of(&self, index: SampleIndex) -> TimelineFrame;
    /// Where a timeline frame lies between samples.
    fn position_of(&self, frame: TimelineFrame) -> Position {
        self.positions_from(frame).next().expect("positions do not end")
    }
    /// Where a timeline frame and those after it lie.
    fn positions_from(&self, frame: TimelineFrame) -> Positions;
    /// Whether frames fall onto samples, one each.
    fn is_whole(&self) -> bool;
    /// Whether frames fall onto the same samples as if the stretch before had not ended: only what is said of it is new.
    fn goes_on_from(&self, before: &Self) -> bool;
}

impl StretchMap for MapStretch {
    fn frame_of(&self, index: SampleIndex) -> TimelineFrame {
        let samples = i128::from(index.0) - i128::from(self.from.0);
        let exact =
            (i128::from(self.frame) << 32) + i128::from(self.fraction) + samples * i128::from(self.frames_per_sample);
        let up = exact + i128::from(ONE - 1);
        TimelineFrame(clamp(up >> 32))
    }

    fn positions_from(&self, frame: TimelineFrame) -> Positions {
        let frames = ((i128::from(frame.0) - i128::from(self.frame)) << 32) - i128::from(self.fraction);
        // A rate of nothing would divide by zero; no clock map decides one.
        let rate = i128::from(self.frames_per_sample.max(1));
        let step = 1i128 << 64;
        Positions {
            position: (frames << 32).div_euclid(rate) + (i128::from(self.from.0) << 32),
            rest: (frames << 32).rem_euclid(rate),
            step: step / rate,
            step_rest: step % rate,
            rate,
        }
    }

    fn is_whole(&self) -> bool {
        self.fraction == 0 && self.frames_per_sample == ONE
    }

    fn goes_on_from(&self, before: &Self) -> bool {
        let exact = |stretch: &Self| (i128::from(stretch.frame) << 32) + i128::from(stretch.fraction);
        let samples = i128::from(self.from.0) - i128::from(before.from.0);
        let rate = before.frames_per_sample;
        self.frames_per_sample == rate && exact(self) == exact(before) + samples * i128::from(rate)
    }
}

/// The positions of frames that follow each other: what dividing for each of them would give, without dividing.
#[derive(Debug, Clone)]
pub(crate) struct Positions {
    /// In 2^-32 samples.
    position: i128,
    /// What the division by `rate` left.
    rest: i128,
    step: i128,
    step_rest: i128,
    rate: i128,
}

impl Iterator for Positions {
    type Item = Position;

    fn next(&mut self) -> Option<Position> {
        let position =
            Position { index: clamp(self.position >> 32), fraction: (self.position & i128::from(u32::MAX)) as u32 };
        self.position += self.step;
        self.rest += self.step_rest;
        if self.rest >= self.rate {
            self.rest -= self.rate;
            self.position += 1;
        }
        Some(position)
    }
}

fn clamp(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use roomtone_protocol::{SegmentId, SegmentKey, WakeEpoch};

    use super::*;

    fn stretch(frame: i64, fraction: u32, frames_per_sample: u64) -> MapStretch {
        MapStretch {
            segment: SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) },
            from: SampleIndex(1_000),
            frame,
            fraction,
            frames_per_sample,
            residual_ns: 0,
            uncertainty_ns: 0,
        }
    }

    #[test]
    fn a_nominal_device_falls_onto_frames() {
        let map = stretch(-5, 0, ONE);
        assert!(map.is_whole());
        assert_eq!(map.frame_of(SampleIndex(1_007)), TimelineFrame(2));
        assert_eq!(map.position_of(TimelineFrame(2)), Position { index: 1_007, fraction: 0 });
        assert_eq!(map.position_of(TimelineFrame(-6)), Position { index: 999, fraction: 0 });
    }

    proptest! {
        #[test]
        fn walking_and_jumping_meet(
            frame in -1_000_000i64..1_000_000_000_000,
            fraction: u32,
            rate in ONE - 2_000_000..ONE + 2_000_000,
            steps in 0usize..2_000,
        ) {
            let map = stretch(frame, fraction, rate);
            let walked = map.positions_from(TimelineFrame(frame)).nth(steps);
            prop_assert_eq!(walked, Some(map.position_of(TimelineFrame(frame + steps as i64))));
        }

        #[test]
        fn a_sample_is_due_exactly_from_its_frame_on(
            frame in -1_000_000i64..1_000_000_000_000,
            fraction: u32,
            rate in ONE - 2_000_000..ONE + 2_000_000,
            sample in 1_000u64..10_000_000_000,
        ) {
            let map = stretch(frame, fraction, rate);
            let due = map.frame_of(SampleIndex(sample));
            let sample = i64::try_from(sample).unwrap();
            prop_assert!(map.position_of(due).index >= sample);
            prop_assert!(map.position_of(TimelineFrame(due.0 - 1)).index < sample);
        }
    }
}
