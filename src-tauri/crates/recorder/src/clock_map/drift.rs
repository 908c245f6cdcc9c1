//! How one clock drifts against another: offset and skew that wander, from noisy readings.
//!
//! A Kalman filter goes forward over what lies before an instant, another one backward over what lies behind it, and
//! their weighted mean is the best estimate from both sides, with its own standard error. It needs to remember two
//! numbers and how certain they are, however long a session is.

use std::collections::VecDeque;

use super::state::{Rate, State};

/// Readings kept at most. Live, some thirty wait; only a journal that is read again without decisions in it brings more,
/// and behind nine hours of them every second one of the old ones goes.
const KEPT: usize = 32_768;

/// How far ahead of an instant readings are looked at, in seconds: later ones say little about it.
const AHEAD_S: f64 = 60.0;

/// At least so many are looked at, however far away.
const AHEAD_LEAST: usize = 16;

/// Passes of weighing readings by their distance from the fit that they gave; the third one changes next to nothing.
const PASSES: usize = 4;

/// One measurement of the difference between two clocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    /// Seconds since the origin.
    pub(super) at: f64,
    /// Microseconds.
    pub(super) value: f64,
    /// What the measurement went through, in microseconds: its round trip. 0 where there is none.
    pub(super) trip: f64,
}

/// How many standard deviations a reading may lie off before it loses half of its weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tails {
    pub(super) above: f64,
    pub(super) below: f64,
}

/// Readings, and the filter's state behind those that were used up.
#[derive(Debug, Clone)]
pub(super) struct Drift {
    tails: Tails,
    /// What is known of the skew before anything is read.
    expected: Option<Rate>,
    /// None before the first reading was used up.
    state: Option<State>,
    /// By time, all of them behind the state.
    waiting: VecDeque<Reading>,
}

/// What readings say about an instant.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    pub(super) state: State,
    /// Of the first readings that wait, in microseconds squared: measured and weighed down where they lie off.
    variances: Vec<f64>,
    /// How far each of them lies off the fit, in microseconds.
    deviations: Vec<f64>,
}

impl Drift {
    pub(super) fn new(tails: Tails) -> Self {
        Self { tails, expected: None, state: None, waiting: VecDeque::new() }
    }

    /// What is read is likely to run like this.
    pub(super) fn expect(&mut self, rate: Rate) {
        self.expected = Some(rate);
    }

    /// Takes a reading. One that comes after its time was used up says nothing new, nor does one twice.
    pub(super) fn take(&mut self, reading: Reading) {
        if self.state.is_some_and(|state| reading.at <= state.at) {
            return;
        }
        let place = self.waiting.partition_point(|known| known.at < reading.at);
        if self.waiting.get(place).is_some_and(|known| known.at == reading.at) {
            return;
        }
        self.waiting.insert(place, reading);
        if self.waiting.len() > KEPT {
            let mut number = 0;
            self.waiting.retain(|_| {
                number += 1;
                number > KEPT / 2 || number % 2 == 1
            });
        }
    }

    /// The first reading was none, if it was made at this time and is not used up.
    pub(super) fn withdraw(&mut self, at: f64) {
        if self.waiting.front().is_some_and(|reading| reading.at == at) {
            self.waiting.pop_front();
        }
    }

    /// Time of the newest reading.
    pub(super) fn newest(&self) -> Option<f64> {
        self.waiting.back().map(|reading| reading.at).or(self.state.map(|state| state.at))
    }

    /// Time of the first reading behind an instant.
    pub(super) fn next_after(&self, at: f64) -> Option<f64> {
        let next = self.waiting.partition_point(|reading| reading.at <= at);
        self.waiting.get(next).map(|reading| reading.at)
    }

    /// The readings that a fit at an instant looks at.
    pub(super) fn window(&self, at: f64) -> impl Iterator<Item = &Reading> + '_ {
        self.waiting
            .iter()
            .enumerate()
            .take_while(move |(number, reading)| *number < AHEAD_LEAST || reading.at <= at + AHEAD_S)
            .map(|(_, reading)| reading)
    }

    /// What is known about an instant. `sigma` tells a reading's standard deviation in microseconds. None without any
    /// reading.
    pub(super) fn fit(&self, at: f64, sigma: impl Fn(&Reading) -> f64) -> Option<Fit> {
        let window: Vec<&Reading> = self.window(at).collect();
        let start = self.state.or_else(|| window.first().map(|reading| self.unread(reading)))?;
        let measured: Vec<f64> = window.iter().map(|reading| sigma(reading).powi(2)).collect();
        let mut variances = measured.clone();
        let mut deviations = vec![0.0; window.len()];
        let mut state = smoothed(start, &window, &variances, at);
        for _ in 1..PASSES {
            for (number, reading) in window.iter().enumerate() {
                let deviation = reading.value - state.moved(reading.at).offset;
                let limit = if deviation > 0.0 { self.tails.above } else { self.tails.below };
                // What wandered meanwhile is no fault of the reading.
                let expected = measured[number] + State::wandered(reading.at - at);
                deviations[number] = deviation;
                variances[number] = measured[number] * (1.0 + deviation.powi(2) / expected / limit.powi(2));
            }
            state = smoothed(start, &window, &variances, at);
        }
        state.is_sane().then_some(Fit { state, variances, deviations })
    }

    /// Uses up the readings up to an instant, weighed as in a fit that was made there.
    pub(super) fn settle(&mut self, at: f64, fit: &Fit) {
        for &variance in &fit.variances {
            let Some(reading) = self.waiting.front().copied().filter(|reading| reading.at <= at) else { return };
            self.waiting.pop_front();
            let start = self.state.unwrap_or_else(|| self.unread(&reading));
            self.state = Some(start.moved(reading.at).updated(reading.value, variance));
        }
    }

    /// The state before the first reading.
    fn unread(&self, first: &Reading) -> State {
        match self.expected {
            Some(rate) => State::unplaced(first.at, first.value, rate),
            None => State::unknown(first.at, first.value),
        }
    }

    /// Nothing more will be asked.
    pub(super) fn forget(&mut self) {
        self.waiting = VecDeque::new();
    }
}

impl Fit {
    /// There is no difference, and nothing to measure.
    pub(super) fn certain(at: f64) -> Self {
        Self { state: State::certain(at), variances: Vec::new(), deviations: Vec::new() }
    }

    /// Weighted mean over the readings looked at of something that each of them has.
    pub(super) fn weighted(&self, values: impl Iterator<Item = f64>) -> Option<f64> {
        let (sum, weights) = values
            .zip(&self.variances)
            .fold((0.0, 0.0), |(sum, weights), (value, variance)| (sum + value / variance, weights + 1.0 / variance));
        (weights > 0.0).then(|| sum / weights)
    }

    /// How far the readings lie off, in microseconds.
    pub(super) fn deviations(&self) -> &[f64] {
        &self.deviations
    }
}

/// The state at an instant from what came before the window, and from the window on both sides.
fn smoothed(start: State, window: &[&Reading], variances: &[f64], at: f64) -> State {
    let readings = || window.iter().zip(variances);
    let behind = readings()
        .filter(|(reading, _)| reading.at <= at)
        .fold(start, |state, (reading, variance)| state.moved(reading.at).updated(reading.value, *variance))
        .moved(at);
    let mut ahead = readings().rev().take_while(|(reading, _)| reading.at > at);
    let Some((last, variance)) = ahead.next() else { return behind };
    let seen = State::unknown(last.at, last.value).updated(last.value, *variance);
    let ahead =
        ahead.fold(seen, |state, (reading, variance)| state.moved(reading.at).updated(reading.value, *variance));
    behind.joined(&ahead.moved(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drift(readings: impl Iterator<Item = (f64, f64)>) -> Drift {
        let mut drift = Drift::new(Tails { above: 2.0, below: 4.0 });
        readings.for_each(|(at, value)| drift.take(Reading { at, value, trip: 0.0 }));
        drift
    }

    #[test]
    fn a_straight_line_is_found_from_both_sides() {
        let drift = drift((0..30).map(|n| (f64::from(n), 1_000.0 - 250.0 * f64::from(n))));
        for at in [0.0, 7.5, 29.0] {
            let fit = drift.fit(at, |_| 20.0).unwrap();
            assert!((fit.state.offset - (1_000.0 - 250.0 * at)).abs() < 2.0, "{fit:?}");
            assert!((fit.state.skew + 250.0).abs() < 0.5, "{fit:?}");
        }
    }

    #[test]
    fn what_comes_late_now_and_then_is_hardly_heard() {
        let late = |n: u32| if n % 4 == 1 { 15_000.0 } else { f64::from(n * 7_919 % 40) };
        let drift = drift((0..30).map(|n| (f64::from(n), 10.0 * f64::from(n) + late(n))));
        let fit = drift.fit(10.0, |_| 30.0).unwrap();
        assert!((fit.state.offset - 100.0 - 20.0).abs() < 40.0, "{fit:?}");
    }

    #[test]
    fn settled_readings_go_on_counting() {
        let line = |n: u32| 3.0 * f64::from(n);
        let mut drift = drift((0..200).map(|n| (f64::from(n), line(n))));
        let all = drift.fit(190.0, |_| 50.0).unwrap();
        for at in (0..180).step_by(10) {
            let fit = drift.fit(f64::from(at), |_| 50.0).unwrap();
            drift.settle(f64::from(at), &fit);
        }
        assert_eq!(drift.waiting.len(), 29);
        let fit = drift.fit(190.0, |_| 50.0).unwrap();
        assert!((fit.state.offset - 570.0).abs() < 0.1, "{fit:?}");
        assert!((fit.state.error() - all.state.error()).abs() < 3.0, "{fit:?} {all:?}");
    }

    #[test]
    fn memory_is_bounded_and_the_newest_is_kept() {
        let drift = drift((0..100_000).map(|n| (f64::from(n), 5.0)));
        assert!(drift.waiting.len() <= KEPT);
        assert_eq!(drift.newest(), Some(99_999.0));
        assert!((drift.fit(50_000.0, |_| 50.0).unwrap().state.offset - 5.0).abs() < 1e-3);
    }

    #[test]
    fn doubt_grows_where_nothing_is_read() {
        let drift = drift((0..30).chain(700..730).map(|n| (f64::from(n), 0.0)));
        let error = |at: f64| drift.fit(at, |_| 50.0).unwrap().state.error();
        assert!(error(300.0) > 4.0 * error(15.0), "{} {}", error(300.0), error(15.0));
    }
}
