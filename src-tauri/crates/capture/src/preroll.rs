//! The last two minutes, in memory only: who is cut off at the moment of Record loses nothing.

use std::collections::VecDeque;
use std::time::Duration;

use roomtone_packets::Packet;
use roomtone_protocol::ClockNs;

/// Nanoseconds of a sample at 48 kHz, as a fraction: 1e9 / 48e3 = 62500 / 3.
pub(crate) const SAMPLE_NS: (i64, i64) = (62_500, 3);

/// Packets of the recent past. Older ones are forgotten for good.
#[derive(Debug)]
pub struct PreRoll {
    window_ns: i64,
    packets: VecDeque<(Packet, ClockNs)>,
}

impl PreRoll {
    /// What [`Self::new`] is given by default.
    pub const WINDOW: Duration = Duration::from_secs(120);

    /// Keeps what ended within `window` before the newest packet.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self { window_ns: i64::try_from(window.as_nanos()).unwrap_or(i64::MAX), packets: VecDeque::new() }
    }

    /// Takes a packet that was captured at `captured_at`.
    pub fn push(&mut self, packet: Packet, captured_at: ClockNs) {
        let oldest = captured_at.0.saturating_sub(self.window_ns);
        while self.packets.front().is_some_and(|(packet, at)| end(packet, *at) <= oldest) {
            self.packets.pop_front();
        }
        self.packets.push_back((packet, captured_at));
    }

    /// What was captured after `instant`, in order, and one packet more in front: clocks are known to the millisecond,
    /// and a packet too many is cut off later.
    pub fn since(&self, instant: ClockNs) -> impl Iterator<Item = &(Packet, ClockNs)> {
        let first = self.packets.iter().position(|(packet, at)| end(packet, *at) > instant.0);
        let skip = first.map_or(self.packets.len(), |first| first.saturating_sub(1));
        self.packets.iter().skip(skip)
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }
}

fn end(packet: &Packet, captured_at: ClockNs) -> i64 {
    captured_at.0 + i64::from(packet.samples) * SAMPLE_NS.0 / SAMPLE_NS.1
}

#[cfg(test)]
mod tests {
    use roomtone_protocol::{SampleIndex, SegmentId, SegmentKey, WakeEpoch};

    use super::*;

    const MS: i64 = 1_000_000;

    fn filled(seconds: i64) -> PreRoll {
        let mut preroll = PreRoll::new(PreRoll::WINDOW);
        let segment = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };
        for n in 0..seconds * 50 {
            let index = SampleIndex(n.unsigned_abs() * 960);
            preroll.push(Packet { segment, index, samples: 960, opus: Vec::new() }, ClockNs(n * 20 * MS));
        }
        preroll
    }

    fn starts(preroll: &PreRoll, since_ms: i64) -> Vec<i64> {
        preroll.since(ClockNs(since_ms * MS)).map(|(_, at)| at.0 / MS).collect()
    }

    #[test]
    fn it_gives_what_came_since_and_one_packet_more() {
        let preroll = filled(2);
        assert_eq!(starts(&preroll, 1950), [1920, 1940, 1960, 1980]);
        assert_eq!(starts(&preroll, 1960), [1940, 1960, 1980], "the packet that ends at the instant is the margin");
        assert_eq!(starts(&preroll, 2000), [] as [i64; 0]);
        assert_eq!(starts(&preroll, -5).len(), 100);
    }

    #[test]
    fn nothing_older_than_the_window_stays() {
        let preroll = filled(300);
        let kept = starts(&preroll, 0);
        assert_eq!((kept[0], kept.len()), (299_980 - 120_000, 6001));
        assert!(!preroll.is_empty());
    }
}
