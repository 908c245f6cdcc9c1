//! How fast bytes may go up: rules, to which the time is told.

use std::num::NonZero;
use std::time::Duration;

use roomtone_protocol::ClockNs;

/// What was not used of so long may go at once later (100 ms): timers are late by a millisecond or two, and the rate is
/// kept all the same.
const SAVED_UP: Duration = Duration::from_millis(100);

/// Bytes that go at once at most where nothing limits them: what a socket takes, so that a request that stands still is
/// seen within seconds.
const LARGEST_PIECE: u64 = 256 << 10;

/// The least: smaller ones cost more in timers than they bring in evenness.
const LEAST_PIECE: u64 = 1 << 10;

/// How many pieces go in a second where something limits them. A call beside it hardly notices 50 ms.
const PIECES_A_SECOND: u64 = 20;

/// Gives out instants at which bytes may go.
#[derive(Debug)]
pub(super) struct Throttle {
    /// Bytes a second; none: as fast as they can.
    rate: Option<NonZero<u64>>,
    /// All that may go before has been given out.
    given_until: ClockNs,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { rate: None, given_until: ClockNs(i64::MIN) }
    }
}

impl Throttle {
    /// Another rate from here on, for what is asked for next.
    pub(super) fn set(&mut self, rate: Option<NonZero<u64>>) {
        self.rate = rate;
    }

    /// Bytes to ask for at once, so that they go evenly.
    pub(super) fn piece(&self) -> u64 {
        self.rate.map_or(LARGEST_PIECE, |rate| (rate.get() / PIECES_A_SECOND).clamp(LEAST_PIECE, LARGEST_PIECE))
    }

    /// When these bytes may go; not before now.
    pub(super) fn take(&mut self, now: ClockNs, bytes: u64) -> ClockNs {
        let Some(rate) = self.rate else { return now };
        let saved_up = ClockNs(now.0.saturating_sub(ns(SAVED_UP.as_nanos())));
        let from = self.given_until.max(saved_up);
        let takes = ns(u128::from(bytes) * 1_000_000_000 / u128::from(rate.get()));
        self.given_until = ClockNs(from.0.saturating_add(takes));
        from.max(now)
    }
}

fn ns(nanoseconds: u128) -> i64 {
    i64::try_from(nanoseconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn of(rate: u64) -> Throttle {
        let mut throttle = Throttle::default();
        throttle.set(NonZero::new(rate));
        throttle
    }

    #[test]
    fn bytes_go_at_the_rate_whoever_asks_and_however_late() {
        let mut throttle = of(100_000);
        let (mut now, mut bytes) = (ClockNs(50 * SECOND), 0);
        while now.0 < 60 * SECOND {
            let at = throttle.take(now, throttle.piece());
            assert!(at >= now);
            bytes += throttle.piece();
            // Every timer is two milliseconds late.
            now = ClockNs(at.0.max(now.0) + 2_000_000);
        }
        let (least, most) = (990_000, 1_020_000);
        assert!((least..=most).contains(&bytes), "{bytes} in ten seconds");
    }

    #[test]
    fn what_was_not_used_for_long_is_not_saved_up() {
        let mut throttle = of(1_000);
        throttle.take(ClockNs(0), 1_000);
        let now = ClockNs(100 * SECOND);
        assert_eq!(throttle.take(now, 100), now);
        assert_eq!(throttle.take(now, 1_000), now, "a tenth of a second was saved up");
        assert_eq!(throttle.take(now, 1), ClockNs(now.0 + SECOND));
    }

    #[test]
    fn another_rate_counts_from_the_next_bytes_on() {
        let mut throttle = of(1_000);
        throttle.take(ClockNs(0), 1_000);
        throttle.set(None);
        assert_eq!((throttle.take(ClockNs(5), 1 << 40), throttle.piece()), (ClockNs(5), LARGEST_PIECE));
        throttle.set(NonZero::new(10));
        assert_eq!(throttle.piece(), LEAST_PIECE);
        assert_eq!(throttle.take(ClockNs(0), 1), ClockNs(SECOND * 9 / 10), "what was given out before counts");
    }
}
