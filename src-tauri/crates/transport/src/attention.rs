//! How soon what comes in is looked at.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use roomtone_protocol::ClockNs;

/// Between two looks. A kernel's usual buffer of 208 KiB holds 160 packets at least, of somebody's audio and of all that was
/// asked for again: a third of a second while more is said, almost a fifth when nothing is. And nobody notices a command
/// that takes so much longer.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a connection wants of its sockets. At first everything is looked at the moment it comes.
///
/// A recorder that has been introduced needs audio by the second, not by the packet: each packet that is fetched by itself
/// wakes a thread, and others behind it. So its sockets *gather*. Only an answer to
/// a question about the other end's clock is still looked at the moment it comes: waiting would count as travel.
#[derive(Debug)]
pub(crate) struct Attention {
    look_every: Duration,
    gathers: AtomicBool,
    answer_awaited: AtomicBool,
    /// Whoever waits for the next look, one for each socket.
    waiting: Mutex<Vec<Arc<AtomicWaker>>>,
}

impl Default for Attention {
    fn default() -> Self {
        Self::new(LOOK_EVERY)
    }
}

impl Attention {
    /// Close, until it gathers.
    pub(super) fn new(look_every: Duration) -> Self {
        let (gathers, answer_awaited, waiting) = Default::default();
        Self { look_every, gathers, answer_awaited, waiting }
    }

    /// From now on what comes may wait for the next look.
    pub(crate) fn gather(&self) {
        self.gathers.store(true, Ordering::Release);
    }

    /// A question goes out: its answer must not wait. If it is lost, everything is looked at once until the next answer.
    pub(crate) fn await_answer(&self) {
        self.answer_awaited.store(true, Ordering::Release);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|waiting| waiting.wake());
    }

    /// The answer came.
    pub(crate) fn answered(&self) {
        self.answer_awaited.store(false, Ordering::Release);
    }

    /// Whether what comes may wait; if so, `socket` is woken when that changes.
    pub(super) fn may_wait(&self, socket: &AtomicWaker, waker: &Waker) -> bool {
        socket.register(waker);
        self.gathers.load(Ordering::Acquire) && !self.answer_awaited.load(Ordering::Acquire)
    }

    /// How long to wait at `now` for the next look: all connections look at the same instants.
    pub(super) fn until_next_look(&self, now: ClockNs) -> Duration {
        let every = i64::try_from(self.look_every.as_nanos()).unwrap_or(i64::MAX);
        Duration::from_nanos((every - now.0.rem_euclid(every)).unsigned_abs())
    }

    /// How long to sleep at `now` for what is due after `pause`: timers of a connection that gathers go off with its looks.
    pub(super) fn at_a_look(&self, now: ClockNs, pause: Duration) -> Duration {
        if !self.gathers.load(Ordering::Acquire) {
            return pause;
        }
        let due = now.0.saturating_add(i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX));
        // What is due in a hundred years is due then.
        let late = if due == i64::MAX { Duration::ZERO } else { self.until_next_look(ClockNs(due)) };
        pause.saturating_add(late)
    }

    /// Another socket that may wait.
    pub(super) fn join(&self) -> Arc<AtomicWaker> {
        let socket = Arc::new(AtomicWaker::new());
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&socket));
        socket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_go_off_with_the_looks_once_a_connection_gathers() {
        let attention = Attention::new(Duration::from_millis(50));
        let now = ClockNs(7_020_000_000);
        let ms = Duration::from_millis;
        assert_eq!(attention.at_a_look(now, ms(100)), ms(100));
        attention.gather();
        assert_eq!(attention.at_a_look(now, ms(100)), ms(130));
        assert_eq!(attention.at_a_look(now, ms(1)), ms(30));
        assert_eq!(attention.at_a_look(now, Duration::MAX), Duration::MAX);
        attention.await_answer();
        assert_eq!(attention.at_a_look(now, ms(100)), ms(130), "no timer is an answer");
    }
}
