//! How long something took, and how long it may still take. The one place of the tasks that reads a clock.

use std::fmt;
use std::time::{Duration, Instant};

/// Measures from its start.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts one.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the driver of the tasks' clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// As a person reads it: `850 ms`, `12.3 s`, `4 min 05 s`.
impl fmt::Display for Stopwatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elapsed = self.elapsed();
        match elapsed.as_secs() {
            0 => write!(f, "{} ms", elapsed.as_millis()),
            1..60 => write!(f, "{:.1} s", elapsed.as_secs_f64()),
            seconds => write!(f, "{} min {:02} s", seconds / 60, seconds % 60),
        }
    }
}

/// The bound of a wait.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    begun: Stopwatch,
    bound: Duration,
}

impl Deadline {
    /// Runs out `bound` from now.
    #[must_use]
    pub fn after(bound: Duration) -> Self {
        Self { begun: Stopwatch::start(), bound }
    }

    /// What is left of it; None when it is over.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.bound.checked_sub(self.begun.elapsed()).filter(|left| !left.is_zero())
    }

    /// Asks `condition` every 20 ms until it has something to say or the time is over.
    pub fn poll<T>(&self, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
        loop {
            if let Some(found) = condition() {
                return Some(found);
            }
            std::thread::sleep(self.remaining()?.min(Duration::from_millis(20)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_ends_with_its_condition_or_its_time() {
        let mut asked = 0;
        let found = Deadline::after(Duration::from_secs(60)).poll(|| {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(found, Some(3));
        assert_eq!(Deadline::after(Duration::ZERO).poll(|| None::<()>), None);
    }
}
