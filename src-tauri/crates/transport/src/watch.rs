//! When to ask for the other's clock, and when to believe that it is gone. Pure: the time is an argument.

use std::time::Duration;

use roomtone_protocol::ClockNs;

/// Questions right after the hello: the first map of a clock needs some soon, and the least round trip among them.
const QUICK: u32 = 8;
/// Between those.
const QUICK_EVERY_NS: i64 = 50_000_000;
/// Between questions later on.
const EVERY_NS: i64 = 1_000_000_000;
/// Silence after which a link is dead: eight questions without an answer.
const SILENCE_NS: i64 = 8_000_000_000;
/// The same when there is another sign of trouble.
const DOUBTED_SILENCE_NS: i64 = 3_000_000_000;
/// How long such a sign counts.
const DOUBT_NS: i64 = 10_000_000_000;
/// How often silence is looked at where no questions are asked.
const LOOK_NS: i64 = 500_000_000;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Due {
    /// Send a question.
    pub(crate) ask: bool,
    /// Give the link up.
    pub(crate) dead: bool,
}

/// Watches over one link.
#[derive(Debug)]
pub(crate) struct Watch {
    asks: bool,
    asked: u32,
    next: ClockNs,
    doubted_until: ClockNs,
}

impl Watch {
    pub(crate) fn new(now: ClockNs, asks: bool) -> Self {
        Self { asks, asked: 0, next: now, doubted_until: ClockNs(i64::MIN) }
    }

    /// The other end is suspected to be gone.
    pub(crate) fn doubt(&mut self, now: ClockNs) {
        self.doubted_until = ClockNs(now.0 + DOUBT_NS);
    }

    /// How long nothing is due.
    pub(crate) fn until_due(&self, now: ClockNs) -> Duration {
        Duration::from_nanos(u64::try_from(self.next.0 - now.0).unwrap_or(0))
    }

    /// What is due now, with the last sign of life at `heard`.
    pub(crate) fn due(&mut self, now: ClockNs, heard: ClockNs) -> Due {
        if now < self.next {
            return Due::default();
        }
        let limit = if now < self.doubted_until { DOUBTED_SILENCE_NS } else { SILENCE_NS };
        let due = Due { ask: self.asks, dead: now.0 - heard.0 > limit };
        let pause = if !self.asks {
            LOOK_NS
        } else if self.asked + 1 < QUICK {
            QUICK_EVERY_NS
        } else {
            EVERY_NS
        };
        self.asked = self.asked.saturating_add(1);
        self.next = ClockNs(now.0 + pause);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// Runs a watch up to `until` against signs of life that stop at `silent_from`; returns the questions and the death.
    fn run(mut watch: Watch, until: i64, silent_from: i64) -> (Vec<i64>, Option<i64>) {
        let (mut now, mut asked) = (ClockNs(0), Vec::new());
        while now.0 <= until {
            let due = watch.due(now, ClockNs(now.0.min(silent_from)));
            if due.ask {
                asked.push(now.0);
            }
            if due.dead {
                return (asked, Some(now.0));
            }
            now = ClockNs(now.0 + i64::try_from(watch.until_due(now).as_nanos()).unwrap());
        }
        (asked, None)
    }

    #[test]
    fn eight_quick_questions_then_one_a_second() {
        let (asked, dead) = run(Watch::new(ClockNs(0), true), 5 * SECOND, i64::MAX);
        let quick: Vec<i64> = (0..8).map(|n| n * QUICK_EVERY_NS).collect();
        assert_eq!(asked[..8], quick[..]);
        assert_eq!(asked[8] - asked[7], SECOND);
        assert_eq!((asked.len(), dead), (12, None));
    }

    #[test]
    fn eight_seconds_of_silence_end_a_link_at_either_end() {
        for asks in [true, false] {
            let (_, dead) = run(Watch::new(ClockNs(0), asks), 60 * SECOND, 20 * SECOND);
            let dead = dead.expect("it ends");
            assert!((28 * SECOND..=30 * SECOND).contains(&dead), "{dead}");
        }
    }

    #[test]
    fn a_doubted_link_ends_sooner_and_a_living_one_survives_the_doubt() {
        let mut watch = Watch::new(ClockNs(0), false);
        watch.doubt(ClockNs(0));
        assert!(run(watch, 60 * SECOND, 0).1.expect("it ends") <= 4 * SECOND);
        let mut watch = Watch::new(ClockNs(0), false);
        watch.doubt(ClockNs(0));
        assert_eq!(run(watch, 60 * SECOND, i64::MAX).1, None);
    }

    #[test]
    fn a_machine_that_slept_finds_the_link_dead_at_once() {
        let mut watch = Watch::new(ClockNs(0), true);
        watch.due(ClockNs(0), ClockNs(0));
        assert!(watch.due(ClockNs(3600 * SECOND), ClockNs(0)).dead);
    }
}
