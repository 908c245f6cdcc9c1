//! How fast may be asked.
//!
//! Sender and recorder share the link with the live audio and with the call that goes on beside the recording. What is
//! asked for comes at a rate with a cap; while the live audio itself or the answers arrive with holes, at less.

use roomtone_protocol::ClockNs;

/// Audio a second of time while more is being captured: eight times real time, at 128 kb/s a megabit a second, half of
/// what the upload of a slow home connection carries. A minute of outage is back in eight seconds.
pub(super) const LIVE_CAP: u64 = 8;

/// Once nothing more is captured there is no live audio to get in its way, and people wait for the file: 2 Mb/s.
pub(super) const LAST_CAP: u64 = 16;

/// However badly the live audio arrives, half of real time goes on: what is lost at one packet in three still comes back
/// faster than it is lost.
const FLOOR_MILLI: u64 = 500;

/// Each second in which the live audio arrives, the rate grows by real time: from the floor to the cap in eight.
const STEP_MILLI: u64 = 1_000;

/// Audio of which more than a quarter is missing finds no room on the line; noise on a radio link loses less after
/// retransmission.
const STARVED_QUARTERS: u64 = 1;

/// Answers are judged by this much of them: 4 s, 200 packets. Of fewer, more than a quarter is often lost by chance where a
/// fifth is.
const JUDGED_SAMPLES: u64 = 4 * 48_000;

/// What may be asked for at once after a pause: a second's worth.
const BURST_MS: u64 = 1_000;

const SAMPLES_PER_MS: u64 = 48;

/// A bucket of samples that fills with time.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    /// Thousandths of real time while more is captured.
    rate_milli: u64,
    /// The same afterwards.
    last_milli: u64,
    samples: u64,
    filled_at: Option<ClockNs>,
    /// Of what was asked for: samples that came, and samples that were lost, since they were judged last.
    came: u64,
    lost: u64,
}

impl Default for Pace {
    fn default() -> Self {
        let (rate_milli, last_milli) = (LIVE_CAP * 1_000, LAST_CAP * 1_000);
        Self { rate_milli, last_milli, samples: 0, filled_at: None, came: 0, lost: 0 }
    }
}

impl Pace {
    /// Samples that may be asked for now. `last`: nothing more is captured.
    pub(super) fn available(&mut self, now: ClockNs, last: bool) -> u64 {
        let rate = self.rate(last);
        let burst = BURST_MS * SAMPLES_PER_MS * rate / 1_000;
        let since = self.filled_at.map_or(i64::MAX, |at| now.0.saturating_sub(at.0));
        let ms = u64::try_from(since / 1_000_000).unwrap_or(0).min(BURST_MS);
        if ms > 0 {
            self.samples = (self.samples + ms * SAMPLES_PER_MS * rate / 1_000).min(burst);
            self.filled_at = Some(now);
        }
        self.samples
    }

    /// Samples that may be asked for in so many milliseconds.
    pub(super) fn within(&self, ms: u64, last: bool) -> u64 {
        ms * SAMPLES_PER_MS * self.rate(last) / 1_000
    }

    /// In thousandths of real time.
    fn rate(&self, last: bool) -> u64 {
        if last { self.last_milli } else { self.rate_milli }
    }

    /// So many were asked for.
    pub(super) fn spend(&mut self, samples: u64) {
        self.samples = self.samples.saturating_sub(samples);
    }

    /// About a second of live audio has become due, and so much of it had not arrived.
    pub(super) fn live(&mut self, due: u64, missing: u64) {
        self.rate_milli = if is_starved(due, missing) {
            slower(self.rate_milli)
        } else {
            (self.rate_milli + STEP_MILLI).min(LIVE_CAP * 1_000)
        };
    }

    /// Of what was asked for, so much has come and so much is lost.
    pub(super) fn answered(&mut self, came: u64, lost: u64) {
        (self.came, self.lost) = (self.came + came, self.lost + lost);
        let due = self.came + self.lost;
        if due < JUDGED_SAMPLES {
            return;
        }
        if is_starved(due, self.lost) {
            (self.rate_milli, self.last_milli) = (slower(self.rate_milli), slower(self.last_milli));
        } else {
            self.last_milli = (self.last_milli + STEP_MILLI).min(LAST_CAP * 1_000);
        }
        (self.came, self.lost) = (0, 0);
    }
}

fn is_starved(due: u64, missing: u64) -> bool {
    missing * 4 > due * STARVED_QUARTERS
}

fn slower(milli: u64) -> u64 {
    (milli / 2).max(FLOOR_MILLI)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 48_000;

    fn at(ms: i64) -> ClockNs {
        ClockNs(ms * 1_000_000)
    }

    /// Everything that may be asked for, every 100 ms, for so many seconds.
    fn asked(pace: &mut Pace, seconds: i64, last: bool) -> u64 {
        let steps = (1..=seconds * 10).map(|step| {
            let samples = pace.available(at(step * 100), last);
            pace.spend(samples);
            samples
        });
        steps.sum()
    }

    #[test]
    fn the_cap_holds_over_time_and_a_pause_saves_up_no_more_than_a_second() {
        let mut pace = Pace::default();
        assert_eq!(asked(&mut pace, 10, false), (10 * LIVE_CAP + LIVE_CAP) * SECOND - LIVE_CAP * SECOND / 10);
        assert_eq!(pace.available(at(3_600_000), false), LIVE_CAP * SECOND);
    }

    #[test]
    fn once_nothing_is_captured_it_may_go_faster() {
        let mut pace = Pace::default();
        assert!(asked(&mut pace, 10, true) >= 10 * LAST_CAP * SECOND);
    }

    #[test]
    fn answers_that_find_no_room_on_the_line_come_slower_until_they_do() {
        let mut pace = Pace::default();
        pace.answered(2 * SECOND, 2 * SECOND);
        assert_eq!(pace.available(at(0), true), LAST_CAP * SECOND / 2);
        // A fifth is noise on the line.
        for _ in 0..LAST_CAP / 2 {
            pace.answered(8 * SECOND, 2 * SECOND);
        }
        assert_eq!(pace.available(at(60_000), true), LAST_CAP * SECOND);
        let mut pace = Pace::default();
        for _ in 0..20 {
            pace.answered(2 * SECOND, 2 * SECOND);
        }
        assert_eq!(asked(&mut pace, 10, true) / SECOND, 5, "never less than half of real time");
    }

    #[test]
    fn live_audio_that_starves_slows_back_fill_down_and_never_stops_it() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            pace.live(SECOND, SECOND / 2);
        }
        let slow = asked(&mut pace, 10, false);
        assert!((5 * SECOND..=6 * SECOND).contains(&slow), "{slow}");
        for _ in 0..8 {
            pace.live(SECOND, SECOND / 5);
        }
        assert_eq!(pace.available(at(60_000), false), LIVE_CAP * SECOND, "a fifth is noise on the line");
    }
}
