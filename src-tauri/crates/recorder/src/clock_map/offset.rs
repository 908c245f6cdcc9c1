//! How far a participant's clock is from the recorder's: from four-timestamp exchanges, or, where it cannot be asked for,
//! from what came and when.

use roomtone_packets::ClockExchange;
use roomtone_protocol::ClockNs;

use super::drift::{Drift, Fit, Reading, Tails};
use super::envelope::Envelope;
use super::heard::Heard;
use super::state::Rate;

/// What a measurement without any queue is off, in microseconds: about what timers and thread switches add on a machine
/// that is not overloaded.
const FLOOR_US: f64 = 50.0;

/// Queues fill in both directions.
const TAILS: Tails = Tails { above: 3.0, below: 3.0 };

/// What an arrival is off that nothing delayed, in microseconds: both ends' threads, and the sender's encoder.
const HEARD_FLOOR_US: f64 = 200.0;

/// Nothing comes before it was sent.
const HEARD_TAILS: Tails = Tails { above: 2.0, below: 4.0 };

/// How far two computers' clocks run apart at most, in parts per million: quartz keeps within a hundred.
pub(super) const CLOCK_PPM: f64 = 200.0;

/// The same for a microphone against the recorder's clock, twice what any is off.
const DEVICE_PPM: f64 = 2_400.0;

/// How long the least round trip holds, in seconds: a path that has changed for good is believed after five to ten
/// minutes.
const LEAST_HOLDS_S: f64 = 300.0;

/// Standard errors that chance hardly ever exceeds: where less than this is stated, one map in a few hundred lies.
pub(super) const DOUBTED: f64 = 3.0;

/// The participant's clock of one epoch against the recorder's.
#[derive(Debug, Clone)]
pub(super) struct Offset {
    /// The first exchange: participant's clock, and what it takes to the recorder's. Everything else counts from there.
    origin: Option<(i64, i64)>,
    drift: Drift,
    way: Way,
    /// Asked and answered at one instant: both ends run in one program, and there is only one clock.
    one_clock: bool,
}

/// What it is measured by.
#[derive(Debug, Clone)]
enum Way {
    /// Questions and answers; of what a round trip takes when nothing waits.
    Asked(Least),
    /// Arrivals alone.
    Heard(Hearsay),
}

#[derive(Debug, Clone, Default)]
struct Hearsay {
    envelope: Envelope,
    /// The newest round trip of their path, in microseconds.
    trip: f64,
    /// How far the clocks may run apart, in parts per million.
    most_ppm: f64,
}

/// The least round trips of the current period and of the one before, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Least {
    since: f64,
    current: Trips,
    before: Trips,
}

/// The three least round trips, by length.
#[derive(Debug, Clone, Copy)]
struct Trips([f64; 3]);

/// What is known of the offset at an instant.
#[derive(Debug, Clone)]
pub(super) struct OffsetFit {
    pub(super) fit: Fit,
    /// Weighted root mean square of what the measurements lie off, in microseconds.
    pub(super) spread: f64,
    /// What queues that all wait in one direction can have moved it, in microseconds.
    pub(super) bias: f64,
    /// Half of the least round trip, in microseconds: what path asymmetry can hide.
    pub(super) asymmetry: f64,
}

impl OffsetFit {
    /// How far the offset may be off, in microseconds. Half of the least round trip can hide in a path that is longer one
    /// way, queues can all have waited on the same side, and the rest is chance.
    pub(super) fn doubt(&self) -> f64 {
        self.asymmetry + self.bias + DOUBTED * self.fit.state.error()
    }
}

impl Default for Offset {
    fn default() -> Self {
        Self { origin: None, drift: Drift::new(TAILS), way: Way::Asked(Least::default()), one_clock: false }
    }
}

impl Offset {
    /// Takes an exchange; one that contradicts itself is left out.
    pub(super) fn take(&mut self, exchange: &ClockExchange) {
        let [t0, t1, t2, t3] = [exchange.t0, exchange.t1, exchange.t2, exchange.t3].map(|at| i128::from(at.0));
        let (asked, answered) = (t3 - t0, t2 - t1);
        if asked < 0 || answered < 0 || asked < answered {
            return;
        }
        let (at, offset) = ((t1 + t2) / 2, (t0 + t3 - t1 - t2) / 2);
        let (Ok(at), Ok(offset)) = (i64::try_from(at), i64::try_from(offset)) else { return };
        // Who can be asked need not be listened to.
        if self.is_heard() {
            *self = Self::default();
        }
        self.one_clock |= asked == 0;
        let (_, first) = *self.origin.get_or_insert((at, offset));
        let reading = Reading {
            at: self.seconds(ClockNs(at)),
            value: (i128::from(offset) - i128::from(first)) as f64 / 1e3,
            trip: (asked - answered) as f64 / 1e3,
        };
        self.drift.take(reading);
    }

    /// Takes what came from somebody who cannot be asked. It is placed as if half of a round trip had brought it.
    pub(super) fn hear(&mut self, heard: &Heard) {
        let way_ns = i64::try_from(heard.round_trip_ns / 2).unwrap_or(i64::MAX);
        let Some(offset) = heard.at.0.checked_sub(heard.sent.0).and_then(|late| late.checked_sub(way_ns)) else {
            return;
        };
        let trip = heard.round_trip_ns as f64 / 1e3;
        if self.origin.is_none() {
            *self = Self { drift: Drift::new(HEARD_TAILS), way: Way::Heard(Hearsay::default()), ..Self::default() };
            if heard.by_report {
                self.drift.expect(Rate { skew: 0.0, error: CLOCK_PPM / 2.0 });
            }
        }
        let Way::Heard(hearsay) = &mut self.way else { return };
        hearsay.trip = trip;
        hearsay.most_ppm = if heard.by_report { CLOCK_PPM } else { DEVICE_PPM };
        let (_, first) = *self.origin.get_or_insert((heard.sent.0, offset));
        let value = (i128::from(offset) - i128::from(first)) as f64 / 1e3;
        self.drift.take(Reading { at: self.seconds(heard.sent), value, trip });
    }

    /// Whether arrivals are all that it is measured by.
    pub(super) fn is_heard(&self) -> bool {
        matches!(self.way, Way::Heard(..))
    }

    /// Recorder's clock minus participant's at an instant of the participant's clock, in nanoseconds.
    pub(super) fn at(&self, at: ClockNs) -> Option<i64> {
        let fit = self.fit(self.seconds(at))?;
        Some(self.base()?.saturating_add((fit.fit.state.offset * 1e3).round() as i64))
    }

    /// How far that may be off, in nanoseconds.
    pub(super) fn doubt(&self, at: ClockNs) -> Option<i64> {
        self.fit(self.seconds(at)).map(|fit| (fit.doubt() * 1e3).round() as i64)
    }

    /// What is known at an instant, in seconds since the first exchange. None before that.
    pub(super) fn fit(&self, at: f64) -> Option<OffsetFit> {
        match &self.way {
            _ if self.one_clock => Some(OffsetFit { fit: Fit::certain(at), spread: 0.0, bias: 0.0, asymmetry: 0.0 }),
            Way::Asked(least) => self.asked(at, least),
            Way::Heard(hearsay) => self.heard(at, hearsay),
        }
    }

    /// Queues only ever lengthen one way or the other, by at most the round trip's excess over a path that is empty; half
    /// of that is the error that they can bring, and so a measurement's standard deviation.
    fn asked(&self, at: f64, least: &Least) -> Option<OffsetFit> {
        let mut trips = least.value();
        self.drift.window(at).for_each(|reading| trips.take(reading.trip));
        let (least, empty) = (trips.0[0], trips.empty());
        let excess = |reading: &Reading| (reading.trip - empty).max(0.0) / 2.0;
        let fit = self.drift.fit(at, |reading| FLOOR_US + excess(reading))?;
        let bias = fit.weighted(self.drift.window(at).map(excess)).unwrap_or(0.0);
        let asymmetry = if least.is_finite() { least / 2.0 } else { 0.0 };
        Some(OffsetFit { spread: spread(&fit), fit, bias, asymmetry })
    }

    /// How far above the line under all of them an arrival lies is what it waited, and so its standard deviation. What
    /// the path itself takes is not seen: half of a round trip is taken for it, and may be wrong by as much.
    fn heard(&self, at: f64, hearsay: &Hearsay) -> Option<OffsetFit> {
        let line = hearsay.envelope.line(self.drift.window(at), hearsay.most_ppm);
        let excess = |reading: &Reading| line.map_or(0.0, |line| line.excess(reading));
        let mut fit = self.drift.fit(at, |reading| HEARD_FLOOR_US + excess(reading))?;
        // What looks faster is a queue, and the map must not bend with it; corrections reach as far again.
        fit.state.skew = fit.state.skew.clamp(-hearsay.most_ppm / 2.0, hearsay.most_ppm / 2.0);
        let bias = fit.weighted(self.drift.window(at).map(excess)).unwrap_or(0.0);
        let trip = fit.weighted(self.drift.window(at).map(|reading| reading.trip)).unwrap_or(hearsay.trip);
        Some(OffsetFit { spread: spread(&fit), fit, bias, asymmetry: trip / 2.0 })
    }

    /// Uses up what was measured until an instant, as in a fit that was made there.
    pub(super) fn settle(&mut self, at: f64, fit: &OffsetFit) {
        for reading in self.drift.window(at).take_while(|reading| reading.at <= at) {
            match &mut self.way {
                Way::Asked(least) => least.take(reading),
                Way::Heard(hearsay) => hearsay.envelope.take(reading),
            }
        }
        self.drift.settle(at, &fit.fit);
    }

    /// An instant of the participant's clock, in seconds since the first exchange.
    pub(super) fn seconds(&self, at: ClockNs) -> f64 {
        (i128::from(at.0) - i128::from(self.origin.map_or(0, |(at, _)| at))) as f64 / 1e9
    }

    /// Recorder's clock minus participant's at the first exchange, in nanoseconds; fits count from it.
    pub(super) fn base(&self) -> Option<i64> {
        self.origin.map(|(_, offset)| offset)
    }

    /// Whether both ends run in one program, and there is only one clock.
    pub(super) fn is_one_clock(&self) -> bool {
        self.one_clock
    }

    /// Up to when exchanges tell the offset, in seconds since the first one.
    pub(super) fn newest(&self) -> Option<f64> {
        if self.one_clock { Some(f64::INFINITY) } else { self.drift.newest() }
    }

    /// When the first exchange behind an instant was.
    pub(super) fn next_after(&self, at: f64) -> Option<f64> {
        self.drift.next_after(at).filter(|_| !self.one_clock)
    }
}

/// Weighted root mean square of what readings lie off, in microseconds.
fn spread(fit: &Fit) -> f64 {
    fit.weighted(fit.deviations().iter().map(|deviation| deviation.powi(2))).unwrap_or(0.0).sqrt()
}

impl Default for Least {
    fn default() -> Self {
        Self { since: f64::NEG_INFINITY, current: Trips::default(), before: Trips::default() }
    }
}

impl Least {
    fn take(&mut self, reading: &Reading) {
        if reading.at - self.since > LEAST_HOLDS_S {
            *self = Self { since: reading.at, current: Trips::default(), before: self.current };
        }
        self.current.take(reading.trip);
    }

    fn value(&self) -> Trips {
        let mut both = self.current;
        self.before.0.into_iter().for_each(|trip| both.take(trip));
        both
    }
}

impl Default for Trips {
    fn default() -> Self {
        Self([f64::INFINITY; 3])
    }
}

impl Trips {
    fn take(&mut self, trip: f64) {
        let mut longer = trip;
        for known in &mut self.0 {
            if longer < *known {
                std::mem::swap(&mut longer, known);
            }
        }
    }

    /// What a round trip takes when nothing waits, as far as can be told. Where queues fill at both ends, it lies below
    /// the least of a few by about as much as that one below the third; with fewer than three it could be nothing.
    fn empty(self) -> f64 {
        let [least, _, third] = self.0;
        if third.is_finite() { (2.0 * least - third).max(0.0) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use roomtone_protocol::WakeEpoch;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

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

    /// What it says at the newest exchange, in microseconds beside the truth.
    fn error(offset: &Offset, ahead: i64) -> (f64, OffsetFit) {
        let fit = offset.fit(offset.newest().unwrap()).unwrap();
        let error = (offset.base().unwrap() + ahead) as f64 / 1e3 + fit.fit.state.offset;
        (error, fit)
    }

    #[test]
    fn queues_one_way_hardly_move_it() {
        let mut offset = Offset::default();
        for n in 0..500 {
            // Nine of ten answers wait up to 40 ms; the path itself takes 5 ms each way.
            let queue = if n % 10 == 0 { n * 100 } else { (n * 7_919 % 400) * 100_000 };
            offset.take(&exchange(n * SECOND, 123_456_789, 5_000_000, 5_000_000 + queue));
        }
        let (error, fit) = error(&offset, 123_456_789);
        assert!(error.abs() < 100.0, "{error} µs");
        assert!((5_000.0..5_050.0).contains(&fit.asymmetry), "{fit:?}");
    }

    #[test]
    fn asymmetry_stays_within_what_is_said() {
        let mut offset = Offset::default();
        for n in 0..20 {
            offset.take(&exchange(n * SECOND, -77, 9_000_000, 1_000_000));
        }
        let (error, fit) = error(&offset, -77);
        assert!((error.abs() - 4_000.0).abs() < 1.0, "{error} µs");
        assert!((fit.asymmetry - 5_000.0).abs() < 1.0, "{fit:?}");
    }

    #[test]
    fn impossible_exchanges_are_left_out() {
        let at = |t0: i64, t1: i64, t2: i64, t3: i64| {
            let [t0, t1, t2, t3] = [t0, t1, t2, t3].map(ClockNs);
            ClockExchange { epoch: WakeEpoch(1), t0, t1, t2, t3 }
        };
        let mut offset = Offset::default();
        for impossible in
            [at(10, 0, 0, 9), at(0, 5, 4, 10), at(0, 0, 11, 10), at(i64::MIN, i64::MAX, i64::MAX, i64::MIN)]
        {
            offset.take(&impossible);
        }
        assert_eq!(offset.at(ClockNs(0)), None);
        offset.take(&at(0, 3, 5, 8));
        assert_eq!(offset.at(ClockNs(4)), Some(0));
    }

    #[test]
    fn a_path_that_has_become_longer_is_believed_after_a_while() {
        let mut offset = Offset::default();
        for n in 0..1_500 {
            let more = if n < 300 { 0 } else { 20_000_000 };
            offset.take(&exchange(n * SECOND, 0, 1_000_000 + more / 2, 1_000_000 + more / 2));
            let at = offset.newest().unwrap() - 10.0;
            let fit = offset.fit(at).unwrap();
            offset.settle(at, &fit);
        }
        let (error, fit) = error(&offset, 0);
        assert!(error.abs() < 10.0 && (fit.asymmetry - 11_000.0).abs() < 1.0, "{error} µs, {fit:?}");
    }
}
