//! Named timers: setting one again moves it.

use std::collections::{BTreeMap, BTreeSet};

use roomtone_protocol::{ClockNs, ParticipantId, RoomId};

use super::ConnectionId;

/// What falls due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The connection has not entered.
    Entry(ConnectionId),
    /// Nothing was heard from the connection.
    Silence(ConnectionId),
    /// Levels wait to be passed on.
    Levels(RoomId),
    /// The member has been away for too long.
    Grace(RoomId, ParticipantId),
    /// Nobody has been in the room for too long.
    Vacancy(RoomId),
}

/// All timers that are set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(ClockNs, Timer)>,
    at: BTreeMap<Timer, ClockNs>,
}

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: ClockNs) {
        if let Some(before) = self.at.insert(timer, at) {
            self.order.remove(&(before, timer));
        }
        self.order.insert((at, timer));
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.at.contains_key(&timer)
    }

    pub(super) fn next(&self) -> Option<ClockNs> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the earliest timer that is due.
    pub(super) fn pop_due(&mut self, now: ClockNs) -> Option<Timer> {
        let (at, timer) = *self.order.first()?;
        (at <= now).then(|| {
            self.clear(timer);
            timer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_set_again_fires_once_at_the_later_time() {
        let timer = Timer::Entry(ConnectionId(1));
        let mut timers = Timers::default();
        timers.set(timer, ClockNs(10));
        timers.set(timer, ClockNs(20));
        timers.set(Timer::Entry(ConnectionId(2)), ClockNs(15));
        assert_eq!(timers.pop_due(ClockNs(14)), None);
        assert_eq!(timers.pop_due(ClockNs(30)), Some(Timer::Entry(ConnectionId(2))));
        assert_eq!(timers.pop_due(ClockNs(30)), Some(timer));
        assert_eq!((timers.pop_due(ClockNs(30)), timers.next()), (None, None));
    }
}
