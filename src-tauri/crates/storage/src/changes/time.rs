//! Arithmetic of the timeline clock.

use std::time::Duration;

use roomtone_protocol::ClockNs;

pub(super) fn after(at: ClockNs, wait: Duration) -> ClockNs {
    ClockNs(at.0.saturating_add(i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX)))
}
