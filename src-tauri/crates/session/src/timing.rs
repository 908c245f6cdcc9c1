//! Arithmetic on the timeline clock.

use std::time::Duration;

use roomtone_protocol::ClockNs;

/// The instant `by` after `at`; saturates three centuries from the clock's zero.
pub(crate) fn after(at: ClockNs, by: Duration) -> ClockNs {
    ClockNs(at.0.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
}

/// The time from `from` to `to`; nothing if they are the other way round.
pub(crate) fn between(from: ClockNs, to: ClockNs) -> Duration {
    Duration::from_nanos(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0))
}

/// Whole milliseconds, as states show them.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
