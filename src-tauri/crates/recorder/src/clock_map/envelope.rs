//! The line under all readings: queues only ever delay.
//!
//! Of all lines that no reading lies below, the one that is closest to them lies along the lower convex hull, over the
//! middle of their time (Moon, Skelly, Towsley: Estimation and removal of clock skew from network delay measurements, 1999).
//! A queue that fills at the end of what is known bends the hull, and not this line.

use std::collections::VecDeque;

use super::drift::Reading;

/// How long a reading holds the line down, in seconds: a path that has become longer for good is believed afterwards, as
/// it is where clocks are asked for.
const HOLDS_S: f64 = 300.0;

/// One of the readings of so many seconds is kept, the lowest: a device that is 300 ppm off moves by half a millisecond
/// meanwhile, less than their scatter.
const EVERY_S: f64 = 2.0;

/// The lowest readings that were used up, in order of time: at most 150.
#[derive(Debug, Clone, Default)]
pub(super) struct Envelope {
    lowest: VecDeque<Reading>,
}

/// A straight line: microseconds over seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    at: f64,
    value: f64,
    slope: f64,
}

impl Line {
    /// How far a reading lies above it, in microseconds.
    pub(super) fn excess(&self, reading: &Reading) -> f64 {
        (reading.value - self.value - self.slope * (reading.at - self.at)).max(0.0)
    }
}

impl Envelope {
    /// Takes a reading that was used up.
    pub(super) fn take(&mut self, reading: &Reading) {
        let slot = |at: f64| (at / EVERY_S).floor();
        while self.lowest.front().is_some_and(|first| reading.at - first.at > HOLDS_S) {
            self.lowest.pop_front();
        }
        match self.lowest.back_mut() {
            Some(last) if slot(last.at) == slot(reading.at) => {
                if reading.value < last.value {
                    *last = *reading;
                }
            }
            _ => self.lowest.push_back(*reading),
        }
    }

    /// The line under what was used up and under what follows, given in order, that rises and falls by no more than
    /// `steepest` microseconds a second. None without any reading.
    pub(super) fn line<'a>(&'a self, waiting: impl Iterator<Item = &'a Reading>, steepest: f64) -> Option<Line> {
        let mut hull: Vec<&Reading> = Vec::new();
        let (mut sum, mut count) = (0.0, 0.0);
        for reading in self.lowest.iter().chain(waiting) {
            while let [.., before, last] = hull[..]
                && lies_above(last, before, reading)
            {
                hull.pop();
            }
            hull.push(reading);
            sum += reading.at;
            count += 1.0;
        }
        let middle = sum / count;
        // Slopes rise along the hull: where they pass what is possible, the line turns around that corner.
        let slopes: Vec<f64> = hull.windows(2).map(|edge| slope(edge[0], edge[1])).collect();
        let over_the_middle = hull.partition_point(|reading| reading.at <= middle).saturating_sub(1);
        let least = slopes.partition_point(|slope| *slope < -steepest);
        let most = slopes.partition_point(|slope| *slope <= steepest);
        let corner = hull.get(over_the_middle.clamp(least, most))?;
        let slope = slopes.get(over_the_middle).map_or(0.0, |slope| slope.clamp(-steepest, steepest));
        Some(Line { at: corner.at, value: corner.value, slope })
    }
}

/// Microseconds a second.
fn slope(from: &Reading, to: &Reading) -> f64 {
    (to.value - from.value) / (to.at - from.at)
}

/// Whether a reading lies on or above the line between its neighbours.
fn lies_above(reading: &Reading, before: &Reading, behind: &Reading) -> bool {
    let (run, rise) = (behind.at - before.at, behind.value - before.value);
    (reading.value - before.value) * run >= rise * (reading.at - before.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(at: f64, value: f64) -> Reading {
        Reading { at, value, trip: 0.0 }
    }

    fn line(readings: &[Reading]) -> Line {
        Envelope::default().line(readings.iter(), 1_000.0).unwrap()
    }

    #[test]
    fn the_line_lies_under_all_and_follows_the_skew() {
        let late = |n: u32| f64::from(n * 7_919 % 5_000) * f64::from(n % 7);
        let readings: Vec<_> = (0..300).map(|n| reading(f64::from(n), 50.0 - 300.0 * f64::from(n) + late(n))).collect();
        let line = line(&readings);
        assert!((line.slope + 300.0).abs() < 0.1, "{line:?}");
        let above = readings.iter().map(|reading| reading.value - line.value - line.slope * (reading.at - line.at));
        assert!(above.fold(f64::MAX, f64::min) > -1e-6, "{line:?}");
    }

    #[test]
    fn a_queue_that_fills_at_the_end_does_not_bend_it() {
        let queue = |n: i32| f64::from((n - 200).max(0)) * 500.0;
        let readings: Vec<_> = (0..300).map(|n| reading(f64::from(n), queue(n))).collect();
        let line = line(&readings);
        assert_eq!((line.slope, line.excess(&readings[299])), (0.0, 49_500.0));
    }

    #[test]
    fn no_line_is_steeper_than_what_is_possible() {
        for sign in [1.0, -1.0] {
            let readings: Vec<_> = (0..100).map(|n| reading(f64::from(n), sign * 900.0 * f64::from(n))).collect();
            let line = Envelope::default().line(readings.iter(), 200.0).unwrap();
            let lowest = if sign > 0.0 { 0 } else { 99 };
            assert_eq!((line.slope, line.excess(&readings[lowest])), (sign * 200.0, 0.0));
            assert_eq!(line.excess(&readings[99 - lowest]), 700.0 * 99.0);
        }
    }

    #[test]
    fn what_was_used_up_holds_it_down_for_five_minutes_in_little_memory() {
        let mut envelope = Envelope::default();
        for n in 0..100_000 {
            envelope.take(&reading(f64::from(n) * 0.1, if n % 10 == 3 { 0.0 } else { 9.0 }));
        }
        assert!(envelope.lowest.len() <= 151, "{}", envelope.lowest.len());
        assert!(envelope.lowest.iter().all(|reading| reading.value == 0.0));
        let longer: Vec<_> = (0..600).map(|n| reading(10_000.0 + f64::from(n), 20_000.0)).collect();
        assert_eq!(envelope.line(longer[..100].iter(), 200.0).unwrap().excess(&longer[99]), 20_000.0);
        longer.iter().for_each(|reading| envelope.take(reading));
        assert_eq!(envelope.line([].iter(), 200.0).unwrap().excess(&longer[599]), 0.0);
    }

    #[test]
    fn one_reading_is_a_level_and_none_is_nothing() {
        assert_eq!(line(&[reading(3.0, 7.0)]), Line { at: 3.0, value: 7.0, slope: 0.0 });
        assert_eq!(Envelope::default().line([].iter(), 200.0), None);
    }
}
