//! Offset and skew at an instant, and how certain they are.

/// How restless quartz is: the variance that its skew gains in a second, in ppm². One part per million in 100 s, as
/// laptops do when they warm up. The noise that a filter lets through grows only with its eighth root, so it is chosen
/// high enough for a bad device.
const WANDER: f64 = 0.01;

/// Variance of an offset of which nothing is known, in µs²: 10 s.
const UNKNOWN_OFFSET: f64 = 1e14;

/// Variance of a skew of which nothing is known, in ppm²: devices lie within 1,000 ppm.
const UNKNOWN_SKEW: f64 = 1e6;

/// How fast something runs, in parts per million.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    pub(super) skew: f64,
    /// Standard error.
    pub(super) error: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct State {
    /// Seconds since the origin.
    pub(super) at: f64,
    /// Microseconds.
    pub(super) offset: f64,
    /// Microseconds a second, that is parts per million.
    pub(super) skew: f64,
    /// Variance of the offset, covariance, variance of the skew.
    covariance: [f64; 3],
}

impl State {
    /// Somewhere near `offset`, as good as unknown.
    pub(super) fn unknown(at: f64, offset: f64) -> Self {
        Self { at, offset, skew: 0.0, covariance: [UNKNOWN_OFFSET, 0.0, UNKNOWN_SKEW] }
    }

    /// Somewhere near `offset`, as good as unknown, and running like this.
    pub(super) fn unplaced(at: f64, offset: f64, rate: Rate) -> Self {
        Self { at, offset, skew: rate.skew, covariance: [UNKNOWN_OFFSET, 0.0, rate.error.powi(2)] }
    }

    /// No difference at all.
    pub(super) fn certain(at: f64) -> Self {
        Self { at, offset: 0.0, skew: 0.0, covariance: [0.0; 3] }
    }

    /// The same at another time, earlier or later, as far as it can be told.
    pub(super) fn moved(&self, to: f64) -> Self {
        let by = to - self.at;
        let [offset, both, skew] = self.covariance;
        Self {
            at: to,
            offset: self.offset + self.skew * by,
            skew: self.skew,
            covariance: [
                offset + 2.0 * by * both + by * by * skew + Self::wandered(by),
                both + by * skew + WANDER * by * by.abs() / 2.0,
                skew + WANDER * by.abs(),
            ],
        }
    }

    /// What an offset gains in variance while its skew wanders, in µs².
    pub(super) fn wandered(seconds: f64) -> f64 {
        WANDER * seconds.abs().powi(3) / 3.0
    }

    /// With one more reading of the offset.
    pub(super) fn updated(&self, value: f64, variance: f64) -> Self {
        let [offset, both, skew] = self.covariance;
        let total = offset + variance;
        let surprise = value - self.offset;
        Self {
            at: self.at,
            offset: self.offset + offset / total * surprise,
            skew: self.skew + both / total * surprise,
            covariance: [offset * variance / total, both * variance / total, skew - both * both / total],
        }
    }

    /// The weighted mean of two states of one instant that know nothing of each other.
    pub(super) fn joined(&self, other: &Self) -> Self {
        // Weights are inverse covariances; written as a gain, only the sum is inverted.
        let ([a, b, c], [x, y, z]) = (self.covariance, other.covariance);
        let (p, q, r) = (a + x, b + y, c + z);
        let determinant = p * r - q * q;
        let gain = [(a * r - b * q), (b * p - a * q), (b * r - c * q), (c * p - b * q)].map(|part| part / determinant);
        let (offset, skew) = (other.offset - self.offset, other.skew - self.skew);
        Self {
            at: self.at,
            offset: self.offset + gain[0] * offset + gain[1] * skew,
            skew: self.skew + gain[2] * offset + gain[3] * skew,
            covariance: [a - gain[0] * a - gain[1] * b, b - gain[0] * b - gain[1] * c, c - gain[2] * b - gain[3] * c],
        }
    }

    /// Standard error of the offset, in microseconds.
    pub(super) fn error(&self) -> f64 {
        self.covariance[0].max(0.0).sqrt()
    }

    /// How fast it runs.
    pub(super) fn rate(&self) -> Rate {
        Rate { skew: self.skew, error: self.skew_error() }
    }

    /// Standard error of the skew, in parts per million.
    pub(super) fn skew_error(&self) -> f64 {
        self.covariance[2].max(0.0).sqrt()
    }

    /// Readings that contradict each other beyond all measure may leave nothing that is a number.
    pub(super) fn is_sane(&self) -> bool {
        let all = [self.offset, self.skew].into_iter().chain(self.covariance);
        all.into_iter().all(f64::is_finite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_readings_make_a_line() {
        let state = State::unknown(0.0, 7.0).updated(7.0, 1.0).moved(10.0).updated(107.0, 1.0);
        assert!((state.offset - 107.0).abs() < 0.1 && (state.skew - 10.0).abs() < 0.1, "{state:?}");
        assert!((0.9..1.1).contains(&state.error()), "{state:?}");
        assert!((0.1..0.5).contains(&state.skew_error()), "{state:?}");
    }

    #[test]
    fn joining_is_the_same_as_reading_in_a_row() {
        let before = State::unknown(0.0, 0.0).updated(0.0, 4.0).moved(5.0).updated(50.0, 4.0).moved(8.0);
        let joined = before.joined(&State::unknown(8.0, 0.0).updated(90.0, 4.0));
        let in_a_row = before.updated(90.0, 4.0);
        assert!((joined.offset - in_a_row.offset).abs() < 1e-3, "{joined:?} {in_a_row:?}");
        assert!((joined.skew - in_a_row.skew).abs() < 1e-2, "{joined:?} {in_a_row:?}");
        assert!((joined.error() - in_a_row.error()).abs() < 1e-3, "{joined:?} {in_a_row:?}");
    }

    #[test]
    fn there_and_back_is_where_it_was_but_less_certain() {
        let state = State::unknown(0.0, 0.0).updated(3.0, 1.0).moved(4.0).updated(4.0, 1.0);
        let back = state.moved(100.0).moved(4.0);
        assert!((back.offset - state.offset).abs() < 1e-9);
        assert!(back.error() > state.error());
    }
}
