//! How fast an upload goes, and how long it will still take: rules, to which the time is told.

use std::collections::VecDeque;
use std::time::Duration;

use roomtone_protocol::ClockNs;

use super::Going;

/// How far back is looked (30 s): parts come in bursts, and a link that became another one should be seen.
const WINDOW_NS: i64 = 30_000_000_000;

/// The least time over which a rate is worth telling, a second: the first part says more about how it began.
const LEAST_NS: i64 = 1_000_000_000;

/// Nobody needs to be told more often, twice a second; but the beginning and the end are told at once.
const TOLD_EVERY_NS: i64 = 500_000_000;

/// What was seen of one upload.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When so many bytes had gone, oldest first: those of the window, and the last one before it. Bytes that went are
    /// counted, not those that are confirmed: these come in parts, several at once.
    seen: VecDeque<(ClockNs, u64)>,
    /// When something was told last, and how many bytes.
    told: Option<(ClockNs, u64)>,
}

impl Pace {
    /// The store has confirmed so many bytes of so many, and so many went in all; what is to be told, if anything.
    pub(super) fn saw(&mut self, now: ClockNs, (bytes, total): (u64, u64), moved: u64) -> Option<Going> {
        self.seen.push_back((now, moved));
        while self.seen.get(1).is_some_and(|(at, _)| now.0.saturating_sub(at.0) >= WINDOW_NS) {
            self.seen.pop_front();
        }
        let due = self.told.is_none_or(|(at, before)| {
            let first = before == 0 && bytes > 0;
            first || now.0.saturating_sub(at.0) >= TOLD_EVERY_NS
        });
        let due = due || bytes >= total;
        due.then(|| {
            self.told = Some((now, bytes));
            let rate = self.rate();
            Going { bytes, total, rate, left: rate.and_then(|rate| left(total.saturating_sub(bytes), rate)) }
        })
    }

    /// Bytes a second.
    fn rate(&self) -> Option<u64> {
        let ((from, before), (to, after)) = (self.seen.front()?, self.seen.back()?);
        let took = u64::try_from(to.0.saturating_sub(from.0)).ok().filter(|took| *took >= LEAST_NS.unsigned_abs())?;
        let rate = u128::from(after - before) * 1_000_000_000 / u128::from(took);
        u64::try_from(rate).ok()
    }
}

/// None if it is not known, because nothing moves.
fn left(bytes: u64, rate: u64) -> Option<Duration> {
    let milliseconds = (bytes.saturating_mul(1_000)).checked_div(rate)?;
    Some(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn at(seconds: i64) -> ClockNs {
        ClockNs(seconds * SECOND)
    }

    #[test]
    fn what_is_left_follows_from_what_went() {
        let mut pace = Pace::default();
        let going = |rate, bytes, left: Option<u64>| {
            Some(Going { bytes, total: 1_000, rate, left: left.map(Duration::from_secs) })
        };
        assert_eq!(pace.saw(at(0), (100, 1_000), 0), going(None, 100, None), "nothing went yet");
        assert_eq!(pace.saw(at(10), (100, 1_000), 100), going(Some(10), 100, Some(90)), "none of it is confirmed");
        assert_eq!(pace.saw(at(20), (400, 1_000), 300), going(Some(15), 400, Some(40)));
    }

    #[test]
    fn the_last_half_minute_counts_and_a_standstill_has_no_end() {
        let mut pace = Pace::default();
        pace.saw(at(0), (0, 10_000), 0);
        pace.saw(at(10), (1_000, 10_000), 1_000);
        let later = pace.saw(at(100), (1_900, 10_000), 1_900).unwrap();
        assert_eq!(later.rate, Some(10), "nine hundred in ninety seconds");
        let stands = pace.saw(at(200), (1_900, 10_000), 1_900).unwrap();
        assert_eq!((stands.rate, stands.left), (Some(0), None));
    }

    #[test]
    fn nobody_is_told_all_the_time_but_the_end_always() {
        let mut pace = Pace::default();
        assert!(pace.saw(at(0), (0, 1_000), 0).is_some());
        assert!(pace.saw(ClockNs(100_000_000), (10, 1_000), 10).is_some(), "the first that is confirmed");
        assert_eq!(pace.saw(ClockNs(150_000_000), (20, 1_000), 20), None, "just told");
        assert_eq!(pace.saw(ClockNs(200_000_000), (1_000, 1_000), 1_000).unwrap().bytes, 1_000);
    }
}
