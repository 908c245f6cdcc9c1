//! Waiting for an instant of the timeline clock.

use std::future::pending;
use std::time::Duration;

use roomtone_clock::now;
use roomtone_protocol::ClockNs;

/// Returns at `deadline`, at once if it has passed, and never without one.
///
/// The timer behind it may stand still while the machine sleeps, so after a wake it is late by no more than what it
/// had left.
pub(crate) async fn reached(deadline: Option<ClockNs>) {
    match deadline {
        Some(deadline) => {
            let left = u64::try_from(deadline.0 - now().0).unwrap_or(0);
            tokio::time::sleep(Duration::from_nanos(left)).await;
        }
        None => pending().await,
    }
}
