//! How the sending goes: what the link carries, when the next part may go, how long to rest after a failure.

use std::time::Duration;

use roomtone_protocol::ClockNs;

use super::after;

/// Rest after the first failure; doubled after every further one.
const FIRST_REST: Duration = Duration::from_secs(1);

/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// How many of the measurements before count as much as the newest one.
const MEMORY: u64 = 3;

#[derive(Debug)]
pub(super) struct Course {
    /// Bytes a second, smoothed.
    rate: Option<u64>,
    next_send: ClockNs,
    failures: u32,
    rests_until: ClockNs,
}

impl Default for Course {
    fn default() -> Self {
        Self { rate: None, next_send: ClockNs(i64::MIN), failures: 0, rests_until: ClockNs(i64::MIN) }
    }
}

impl Course {
    /// Bytes a second that the link carries, as far as that was seen.
    pub(super) fn rate(&self) -> Option<u64> {
        self.rate
    }

    /// When the next part may go.
    pub(super) fn next_send(&self) -> ClockNs {
        self.next_send
    }

    pub(super) fn rests_until(&self) -> ClockNs {
        self.rests_until
    }

    /// A part of so many bytes goes, of as many as may go in a second.
    pub(super) fn sending(&mut self, now: ClockNs, bytes: u64, pace: u64) {
        let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(pace.max(1));
        let wait = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        self.next_send = after(now.max(self.next_send), wait);
    }

    /// A part arrived after so long, one of so many on the way.
    pub(super) fn carried(&mut self, bytes: u64, took: Duration, of: u64) {
        self.went_well();
        let microseconds = took.as_micros().max(1);
        let rate = u128::from(bytes) * u128::from(of) * 1_000_000 / microseconds;
        let rate = u64::try_from(rate).unwrap_or(u64::MAX / 64).min(u64::MAX / 64);
        self.rate = Some(self.rate.map_or(rate, |before| (before * MEMORY + rate) / (MEMORY + 1)));
    }

    pub(super) fn went_well(&mut self) {
        self.failures = 0;
    }

    pub(super) fn failed(&mut self, now: ClockNs) {
        let rest = FIRST_REST.saturating_mul(1 << self.failures.min(16)).min(LONGEST_REST);
        self.failures += 1;
        self.rests_until = after(now, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn parts_go_no_faster_than_the_pace() {
        let mut course = Course::default();
        course.sending(ClockNs(10 * SECOND), 8_000, 1_000);
        assert_eq!(course.next_send(), ClockNs(18 * SECOND));
        // What was not used is not saved up.
        course.sending(ClockNs(30 * SECOND), 8_000, 1_000);
        assert_eq!(course.next_send(), ClockNs(38 * SECOND));
    }

    #[test]
    fn failures_in_a_row_are_followed_by_longer_rests() {
        let mut course = Course::default();
        let mut rests = Vec::new();
        for _ in 0..8 {
            course.failed(ClockNs(0));
            rests.push(course.rests_until().0 / SECOND);
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60]);
        course.carried(1, Duration::from_secs(1), 1);
        course.failed(ClockNs(0));
        assert_eq!(course.rests_until(), ClockNs(SECOND));
    }

    #[test]
    fn the_rate_is_that_of_the_link_and_follows_slowly() {
        let mut course = Course::default();
        course.carried(8_000, Duration::from_secs(2), 2);
        assert_eq!(course.rate(), Some(8_000));
        course.carried(8_000, Duration::from_secs(2), 1);
        assert_eq!(course.rate(), Some(7_000));
    }
}
