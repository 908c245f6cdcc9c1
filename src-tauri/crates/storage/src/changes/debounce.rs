//! When to list again because of events: soon after the first of a burst, and once more after its last.

use std::time::Duration;

use roomtone_protocol::ClockNs;

use super::time::after;

/// From the first event to the listing: what belongs to the same write comes within this, and nobody sees a wait so short.
const SOON: Duration = Duration::from_millis(20);

/// Events that are no further apart belong together: a recording is put as an audio object, a picture and its metadata,
/// one after the other.
const QUIET: Duration = Duration::from_millis(250);

/// The longest that a burst without an end goes unlisted. A thousand objects that somebody copies one by one show up while
/// they come.
const LONGEST: Duration = Duration::from_secs(2);

/// Gathers events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Debounce {
    /// There are none.
    Calm,
    /// The first of a burst came; those until it is told are told with it.
    First { due: ClockNs },
    /// It was told. What comes before this instant belongs to the same burst.
    Told { calm_at: ClockNs },
    /// More came.
    Burst { due: ClockNs, latest: ClockNs },
}

impl Debounce {
    /// Something changed.
    pub(super) fn event(&mut self, now: ClockNs) {
        *self = match *self {
            Self::First { due } => Self::First { due },
            Self::Told { calm_at } if now < calm_at => {
                Self::Burst { due: after(now, QUIET), latest: after(now, LONGEST) }
            }
            Self::Calm | Self::Told { .. } => Self::First { due: after(now, SOON) },
            Self::Burst { latest, .. } => Self::Burst { due: after(now, QUIET).min(latest), latest },
        };
    }

    /// Whether it is time to list again; once for each time.
    pub(super) fn take(&mut self, now: ClockNs) -> bool {
        let due = self.due().is_some_and(|due| due <= now);
        if due {
            *self = Self::Told { calm_at: after(now, QUIET) };
        }
        due
    }

    /// When it will be time.
    pub(super) fn due(&self) -> Option<ClockNs> {
        match *self {
            Self::Calm | Self::Told { .. } => None,
            Self::First { due } | Self::Burst { due, .. } => Some(due),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: i64) -> ClockNs {
        ClockNs(ms * 1_000_000)
    }

    /// When it is told, with events at these milliseconds.
    fn told(events: &[i64]) -> Vec<i64> {
        let (mut debounce, mut told) = (Debounce::Calm, Vec::new());
        let mut events = events.iter().copied().peekable();
        while events.peek().is_some() || debounce.due().is_some() {
            let due = debounce.due().map(|due| due.0 / 1_000_000);
            match (events.peek().copied(), due) {
                (Some(event), due) if due.is_none_or(|due| event < due) => {
                    events.next();
                    debounce.event(ms(event));
                }
                (_, Some(due)) => {
                    assert!(debounce.take(ms(due)));
                    assert!(!debounce.take(ms(due)), "once for each time");
                    told.push(due);
                }
                _ => unreachable!("an event without anything due comes first"),
            }
        }
        told
    }

    #[test]
    fn one_event_is_one_listing_soon_after() {
        assert_eq!(told(&[1_000]), [1_020]);
        assert_eq!(told(&[1_000, 1_001, 1_019]), [1_020]);
    }

    #[test]
    fn a_burst_is_a_listing_after_its_first_and_one_after_its_last() {
        let burst: Vec<i64> = (0..100).map(|n| n * 10).collect();
        assert_eq!(told(&burst), [20, 990 + 250]);
        assert_eq!(told(&[0, 100, 2_000]), [20, 350, 2_020], "and afterwards the next event is a first one");
    }

    #[test]
    fn a_burst_that_does_not_end_is_listed_every_other_second() {
        let endless: Vec<i64> = (0..700).map(|n| n * 10).collect();
        assert_eq!(told(&endless), [20, 2_020, 4_020, 6_020, 7_240]);
    }

    proptest! {
        /// Whatever comes when: nothing stays untold for long, and it is never told more often than the pace allows.
        #[test]
        fn everything_is_told_in_time_and_little_is_told(mut events in proptest::collection::vec(0_i64..20_000, 1..200)) {
            events.sort_unstable();
            let told = told(&events);
            for event in &events {
                prop_assert!(told.iter().any(|at| at > event && at - event <= 2_000), "{event} in {told:?}");
            }
            for pair in told.windows(2) {
                prop_assert!(pair[1] - pair[0] >= 250, "{told:?}");
            }
        }
    }
}
