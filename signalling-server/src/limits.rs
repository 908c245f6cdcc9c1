//! How much of everything a relay takes, so that no client can hurt the others.

use std::time::Duration;

use roomtone_protocol::ClockNs;

/// How much of everything a relay takes. The defaults suit one small machine.
#[derive(Debug, Clone)]
pub struct Limits {
    /// TCP connections of any kind; one more is closed at once.
    pub connections: usize,
    /// WebSocket connections, entered or not.
    pub sockets: usize,
    /// Rooms that somebody is in, or that are kept for somebody's return.
    pub rooms: usize,
    /// Members of a room, connected or away.
    pub members: usize,
    /// Passing visitors in a room.
    pub passing: usize,
    /// What a member may send.
    pub member_rate: Rate,
    /// What a recorder may send: it answers everybody in the room.
    pub recorder_rate: Rate,
    /// Messages that wait for a slow client before it is dropped.
    pub queue_messages: usize,
    /// Bytes that wait for a slow client before it is dropped.
    pub queue_bytes: usize,
    /// How long a member who vanished is kept as away.
    pub grace: Duration,
    /// How long a room without anybody is kept, with its last state.
    pub vacancy: Duration,
    /// How long a connection may take to enter.
    pub entry: Duration,
    /// Interval of the relay's pings.
    pub ping: Duration,
    /// Silence after which a connection counts as gone: three pings without an answer.
    pub silence: Duration,
    /// How long a client may refuse to take what is being written to it.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            sockets: 2048,
            rooms: 512,
            members: 100,
            passing: 32,
            member_rate: Rate {
                messages_per_second: 50,
                message_burst: 250,
                bytes_per_second: 64 << 10,
                byte_burst: 512 << 10,
            },
            recorder_rate: Rate {
                messages_per_second: 1000,
                message_burst: 4000,
                bytes_per_second: 1 << 20,
                byte_burst: 8 << 20,
            },
            queue_messages: 2048,
            queue_bytes: 4 << 20,
            grace: Duration::from_secs(600),
            vacancy: Duration::from_secs(600),
            entry: Duration::from_secs(10),
            ping: Duration::from_secs(3),
            silence: Duration::from_secs(9),
            stall: Duration::from_secs(30),
        }
    }
}

/// What one connection may send.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Messages a second, in the long run.
    pub messages_per_second: u32,
    /// Messages at once.
    pub message_burst: u32,
    /// Bytes a second, in the long run.
    pub bytes_per_second: u32,
    /// Bytes at once.
    pub byte_burst: u32,
}

/// Holds one connection to its [`Rate`].
#[derive(Debug)]
pub(crate) struct Meter {
    messages: Bucket,
    bytes: Bucket,
}

impl Meter {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            messages: Bucket::new(rate.messages_per_second, rate.message_burst),
            bytes: Bucket::new(rate.bytes_per_second, rate.byte_burst),
        }
    }

    /// Counts a message; false when that was too much.
    pub(crate) fn takes(&mut self, now: ClockNs, bytes: usize) -> bool {
        self.messages.takes(now, 1) && self.bytes.takes(now, i64::try_from(bytes).unwrap_or(i64::MAX))
    }
}

/// The generic cell rate algorithm (ITU-T I.371): one instant instead of a counter and a timer.
#[derive(Debug)]
struct Bucket {
    /// What one unit costs, in nanoseconds.
    unit: i64,
    /// How far ahead of now the account may run.
    burst: i64,
    /// The instant at which everything taken so far is paid for.
    paid_at: ClockNs,
}

impl Bucket {
    fn new(per_second: u32, burst: u32) -> Self {
        let unit = 1_000_000_000 / i64::from(per_second.max(1));
        Self { unit, burst: unit * i64::from(burst), paid_at: ClockNs(i64::MIN) }
    }

    fn takes(&mut self, now: ClockNs, units: i64) -> bool {
        let paid_at = self.paid_at.max(now).0.saturating_add(self.unit.saturating_mul(units));
        let within = paid_at - now.0 <= self.burst;
        if within {
            self.paid_at = ClockNs(paid_at);
        }
        within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { messages_per_second: 10, message_burst: 3, bytes_per_second: 1000, byte_burst: 2000 };

    #[test]
    fn a_burst_is_taken_and_then_the_rate() {
        let mut meter = Meter::new(RATE);
        let taken = (0..10).filter(|_| meter.takes(ClockNs(5), 1)).count();
        assert_eq!(taken, 3);
        assert!(!meter.takes(ClockNs(99_999_000), 1));
        assert!(meter.takes(ClockNs(100_000_005), 1));
        assert!(!meter.takes(ClockNs(100_000_006), 1));
    }

    #[test]
    fn few_large_messages_count_as_much_as_many_small_ones() {
        let mut meter = Meter::new(RATE);
        assert!(meter.takes(ClockNs(0), 2000));
        assert!(!meter.takes(ClockNs(0), 1));
        assert!(!meter.takes(ClockNs(900_000_000), 1000));
        assert!(meter.takes(ClockNs(1_000_000_000), 1000));
    }
}
