//! How far a participant's clock is from the recorder's, from four-timestamp exchanges.

use roomtone_packets::ClockExchange;

/// Measurements kept: those with the least round trips. Enough to average jitter, and bounded however long a session is.
const KEPT: usize = 64;

/// A measurement whose round trip exceeds the least one by twice this counts a quarter. In nanoseconds; about what
/// timers and thread switches add on a machine that is not overloaded.
const TRUSTED_EXCESS_NS: f64 = 50_000.0;

/// The best exchanges of one epoch.
#[derive(Debug, Clone, Default)]
pub(super) struct Offset {
    /// (round trip, offset from participant to recorder), by round trip.
    best: Vec<(i64, i64)>,
}

impl Offset {
    /// Takes an exchange; one that contradicts itself is left out.
    pub(super) fn take(&mut self, exchange: &ClockExchange) {
        let [t0, t1, t2, t3] = [exchange.t0, exchange.t1, exchange.t2, exchange.t3].map(|at| i128::from(at.0));
        let (asked, answered) = (t3 - t0, t2 - t1);
        if asked < 0 || answered < 0 || asked < answered {
            return;
        }
        let (Ok(round_trip), Ok(offset)) = (i64::try_from(asked - answered), i64::try_from((t0 + t3 - t1 - t2) / 2))
        else {
            return;
        };
        let at = self.best.partition_point(|&(known, _)| known <= round_trip);
        if at < KEPT {
            self.best.insert(at, (round_trip, offset));
            self.best.truncate(KEPT);
        }
    }

    /// Recorder's clock minus participant's, in nanoseconds.
    ///
    /// Queues only ever lengthen one way or the other, by at most the round trip's excess over the least one; half of
    /// that is the error it can bring, and the weight falls with its square.
    pub(super) fn estimate(&self) -> Option<i64> {
        let &(least, near) = self.best.first()?;
        let (sum, weights) = self.best.iter().fold((0.0, 0.0), |(sum, weights), &(round_trip, offset)| {
            let excess = (round_trip - least) as f64 / 2.0 / TRUSTED_EXCESS_NS;
            let weight = 1.0 / (1.0 + excess).powi(2);
            // Differences stay small enough for a float to be exact to the nanosecond.
            (sum + weight * offset.saturating_sub(near) as f64, weights + weight)
        });
        Some(near.saturating_add((sum / weights).round() as i64))
    }

    /// What path asymmetry can hide, in nanoseconds: half of the least round trip.
    pub(super) fn uncertainty_ns(&self) -> Option<i64> {
        self.best.first().map(|&(least, _)| least / 2)
    }
}

#[cfg(test)]
mod tests {
    use roomtone_protocol::{ClockNs, WakeEpoch};

    use super::*;

    /// An exchange over a path with these delays, with the participant's clock `ahead` of the recorder's.
    fn exchange(at: i64, ahead: i64, there: i64, back: i64) -> ClockExchange {
        let t1 = at + there + ahead;
        let t2 = t1 + 30_000;
        ClockExchange {
            epoch: WakeEpoch(1),
            t0: ClockNs(at),
            t1: ClockNs(t1),
            t2: ClockNs(t2),
            t3: ClockNs(t2 - ahead + back),
        }
    }

    #[test]
    fn queues_one_way_hardly_move_it() {
        let mut offset = Offset::default();
        for n in 0..500 {
            // Nine of ten answers wait up to 40 ms; the path itself takes 5 ms each way.
            let queue = if n % 10 == 0 { n * 100 } else { (n * 7_919 % 400) * 100_000 };
            offset.take(&exchange(n * 1_000_000_000, 123_456_789, 5_000_000, 5_000_000 + queue));
        }
        let error = offset.estimate().unwrap() + 123_456_789;
        assert!(error.abs() < 50_000, "{error} ns");
        assert_eq!(offset.uncertainty_ns(), Some(5_000_000));
    }

    #[test]
    fn asymmetry_stays_within_the_uncertainty() {
        let mut offset = Offset::default();
        for n in 0..20 {
            offset.take(&exchange(n, -77, 9_000_000, 1_000_000));
        }
        let error = offset.estimate().unwrap() - 77;
        assert_eq!(error.abs(), 4_000_000);
        assert!(error.abs() <= offset.uncertainty_ns().unwrap());
    }

    #[test]
    fn impossible_exchanges_are_left_out() {
        let mut offset = Offset::default();
        offset.take(&exchange(0, 0, -5_000_000, 1_000_000));
        assert_eq!(offset.estimate(), None);
    }

    #[test]
    fn one_exchange_in_process_is_exact() {
        let mut offset = Offset::default();
        let now = ClockNs(42);
        offset.take(&ClockExchange { epoch: WakeEpoch(1), t0: now, t1: now, t2: now, t3: now });
        assert_eq!((offset.estimate(), offset.uncertainty_ns()), (Some(0), Some(0)));
    }
}
