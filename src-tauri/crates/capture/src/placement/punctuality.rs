//! Whether a device lost frames, from counts and call times alone.
//!
//! A call's *lateness* is its time less that of its last frame at the nominal rate. It has a least value, of calls that
//! nothing delayed, which drifts as slowly as crystals differ; starved threads add to it, and a burst that brings
//! everything after all ends with a call as punctual as ever. Only frames that never came raise the least value itself.
//! So a loss is believed when not one call of a long while was punctual, and its length is how much later the most
//! punctual one of them came.

use std::collections::VecDeque;

use roomtone_protocol::ClockNs;

/// Lateness that is still jitter: above what the most punctual call of some seconds shows (tenths of a millisecond with
/// PulseAudio), below the 20 ms that a sound server typically loses at a time.
pub(super) const TOLERANCE_NS: f64 = 15e6;

/// How long no call may be punctual before frames count as lost: longer than a busy machine starves a thread for.
const CONFIRM_NS: i64 = 3_000_000_000;
const CONFIRM_CALLS: usize = 5;

/// Calls are held back no longer than this: if their level goes on rising until then, the least of all is believed.
const LONGEST_NS: i64 = 3 * CONFIRM_NS;

/// The least lateness is that of this many seconds with calls: crystals drift by less than a millisecond in them.
const SECONDS: usize = 5;
const SECOND_NS: i64 = 1_000_000_000;

/// Calls whose typical length is known.
const DURATIONS: usize = 64;

/// What a call shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    /// When it came.
    pub(super) at: ClockNs,
    /// Nanoseconds, on a scale of its own: `at` less the time of its end at the nominal rate.
    pub(super) lateness: f64,
    /// Nanoseconds of sound that it brought.
    pub(super) duration: f64,
}

/// What calls that are not explained yet mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Verdict {
    /// Nothing is missing.
    Punctual,
    /// It cannot be told yet.
    Late,
    /// Frames worth `ns` never came, behind the first `calls_before` of these calls.
    Lost { calls_before: usize, ns: f64 },
}

/// What is punctual for a device.
#[derive(Debug, Default)]
pub(super) struct Punctuality {
    /// Least lateness of each of the last seconds with calls, and where that second began.
    seconds: VecDeque<(ClockNs, f64)>,
    /// Of the last calls.
    durations: VecDeque<f64>,
}

impl Punctuality {
    /// The first calls: nothing got lost among them that anybody could know of.
    pub(super) fn start(&mut self, calls: impl Iterator<Item = Call>) {
        calls.for_each(|call| self.note(call));
    }

    /// Whether nothing delayed a call.
    pub(super) fn is_punctual(&self, call: &Call) -> bool {
        call.lateness <= self.least() + TOLERANCE_NS
    }

    /// Judges the calls since the last punctual one, in order; the newest came just now.
    pub(super) fn judge(&mut self, calls: impl DoubleEndedIterator<Item = Call> + Clone) -> Verdict {
        let Some(newest) = calls.clone().next_back() else { return Verdict::Punctual };
        if self.is_punctual(&newest) {
            self.note(newest);
            return Verdict::Punctual;
        }
        let first = calls.clone().next().map_or(newest.at, |first| first.at);
        if calls.clone().count() < CONFIRM_CALLS {
            return Verdict::Late;
        }
        let least = |from: usize| calls.clone().skip(from).map(|call| call.lateness).fold(f64::INFINITY, f64::min);
        // What came too early for the newest level was late for another reason.
        let newer = calls.clone().filter(|call| newest.at.0 - call.at.0 <= CONFIRM_NS / 2);
        let level = newer.map(|call| call.lateness).fold(f64::INFINITY, f64::min);
        let too_early = |call: &Call| call.lateness < level - TOLERANCE_NS;
        let places = calls.clone().enumerate();
        let before = places.fold(0, |before, (place, call)| if too_early(&call) { place + 1 } else { before });
        let since = calls.clone().nth(before).map_or(newest.at, |call| call.at);
        let calls_before = if newest.at.0 - since.0 >= CONFIRM_NS {
            before
        } else if newest.at.0 - first.0 >= LONGEST_NS {
            0
        } else {
            return Verdict::Late;
        };
        let jump = least(calls_before) - self.least();
        // A server that renders ahead, as PulseAudio does for monitors of virtual sinks, comes later when it takes to
        // shorter pieces. No frame is missing then.
        let usual = median(self.durations.iter().copied());
        let shorter = usual - median(calls.clone().skip(calls_before).map(|call| call.duration));
        let lost = (jump - shorter).abs() > TOLERANCE_NS;
        self.seconds.clear();
        self.durations.clear();
        calls.clone().skip(calls_before).for_each(|call| self.note(call));
        if lost { Verdict::Lost { calls_before, ns: jump } } else { Verdict::Punctual }
    }

    fn note(&mut self, call: Call) {
        match self.seconds.back_mut() {
            Some((begun, least)) if call.at.0 - begun.0 < SECOND_NS => *least = least.min(call.lateness),
            _ => {
                self.seconds.push_back((call.at, call.lateness));
                if self.seconds.len() > SECONDS {
                    self.seconds.pop_front();
                }
            }
        }
        self.durations.push_back(call.duration);
        if self.durations.len() > DURATIONS {
            self.durations.pop_front();
        }
    }

    fn least(&self) -> f64 {
        self.seconds.iter().map(|(_, least)| *least).fold(f64::INFINITY, f64::min)
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
