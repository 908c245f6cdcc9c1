//! How long to wait before the next try.

use std::time::Duration;

/// Doubles from a quarter of a second to ten seconds, for as long as it takes.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    next: Duration,
}

/// The first pause: short, because most interruptions are over at once.
const FIRST: Duration = Duration::from_millis(250);
/// The longest pause: somebody who comes back waits no longer than this.
const LONGEST: Duration = Duration::from_secs(10);

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The pause before the next try. `random` shortens it by up to a quarter, so that a room full of people does not
    /// come back to a restarted relay in the same instant.
    pub(crate) fn pause(&mut self, random: u8) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        pause - pause / 4 * u32::from(random) / 255
    }

    /// It worked: begin anew the next time.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// The next pause is the longest: trying again will hardly help.
    pub(crate) fn exhaust(&mut self) {
        self.next = LONGEST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_seconds_and_begin_anew_after_success() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..8).map(|_| backoff.pause(0).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        backoff.reset();
        assert_eq!(backoff.pause(0), FIRST);
        backoff.exhaust();
        assert_eq!(backoff.pause(0), LONGEST);
    }

    #[test]
    fn chance_shortens_a_pause_by_a_quarter_at_most() {
        let mut backoff = Backoff::default();
        backoff.exhaust();
        assert_eq!(backoff.pause(255), LONGEST * 3 / 4);
    }
}
