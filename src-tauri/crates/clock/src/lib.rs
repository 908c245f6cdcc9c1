//! The timeline clock: nanoseconds that go on while the machine sleeps.
//!
//! | platform | source | in sleep |
//! |---|---|---|
//! | Linux | `CLOCK_BOOTTIME` | goes on |
//! | macOS | `CLOCK_MONOTONIC`, which is `mach_continuous_time` there | goes on |
//! | Windows | `QueryPerformanceCounter`, behind [`std::time::Instant`] | goes on |
//!
//! [`std::time::Instant`] itself stops in sleep on the first two. This crate and `main` functions are the only
//! places that read clocks; rules take the time as an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use roomtone_protocol::ClockNs;

/// Now, on this machine's timeline clock.
#[cfg(unix)]
#[must_use]
pub fn now() -> ClockNs {
    #[cfg(target_os = "linux")]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(CLOCK);
    ClockNs(time.tv_sec * 1_000_000_000 + time.tv_nsec)
}

/// Now, on this machine's timeline clock.
#[cfg(not(unix))]
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the driver of the clock")]
pub fn now() -> ClockNs {
    use std::sync::OnceLock;
    use std::time::Instant;
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let origin = *ORIGIN.get_or_init(Instant::now);
    ClockNs(i64::try_from(origin.elapsed().as_nanos()).unwrap_or(i64::MAX))
}

/// Now, on the wall clock: nanoseconds since 1970, UTC. It can jump; it dates files and nothing else.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the driver of the clock")]
pub fn wall_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The computer's boot, where the system names it: the timeline clocks of two boots have nothing in common. Elsewhere
/// the distance between timeline clock and wall clock has to tell them apart.
#[must_use]
pub fn boot_id() -> Option<String> {
    // proc_sys_kernel(5); other systems have no such file.
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_clock_advances() {
        let earlier = super::now();
        while super::now() == earlier {
            std::hint::spin_loop();
        }
        assert!(super::now() > earlier);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_boot_has_one_name() {
        let id = super::boot_id();
        assert!(id.as_ref().is_some_and(|id| id.len() == 36), "{id:?}");
        assert_eq!(id, super::boot_id());
    }
}
