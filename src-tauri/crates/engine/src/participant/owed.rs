//! What the recorder asked for and was not sent yet, and how fast it goes: even portions leave the live audio room on the
//! way, and a question that comes twice is answered once.

use std::collections::VecDeque;

use roomtone_packets::{Coverage, Packet};
use roomtone_protocol::{ClockNs, IndexRange, RecordingId, SampleIndex};

/// Between two portions: as often as a live packet goes.
const EVERY_NS: i64 = 20_000_000;

/// Samples of 20 ms.
const PACKET_SAMPLES: u64 = 960;

/// A portion while more is captured: eight times real time, as the recorder asks at most. At 128 kb/s, with what is around
/// each packet, 1.3 Mb/s.
const WHILE_CAPTURING: u64 = 8 * PACKET_SAMPLES;

/// A portion once nothing more is captured: sixteen times real time, 2.6 Mb/s.
const AFTERWARDS: u64 = 16 * PACKET_SAMPLES;

/// In the order in which it was asked for.
#[derive(Debug, Default)]
pub(super) struct Owed {
    ranges: VecDeque<(RecordingId, IndexRange)>,
    /// When the next portion may go.
    next_at: Option<ClockNs>,
}

impl Owed {
    /// These were asked for, and are there. What is owed already is not owed twice.
    pub(super) fn ask(&mut self, recording: RecordingId, ranges: impl Iterator<Item = IndexRange>) {
        let mut owed = Coverage::default();
        for (_, range) in self.ranges.iter().filter(|(of, _)| *of == recording) {
            owed.insert(*range);
        }
        for range in ranges {
            self.ranges.extend(owed.missing(range).into_iter().map(|range| (recording, range)));
            owed.insert(range);
        }
    }

    /// The link is gone; over the next one it is asked for anew.
    pub(super) fn forget(&mut self) {
        self.ranges.clear();
    }

    /// When the next portion is due, if anything is owed.
    pub(super) fn due(&self) -> Option<ClockNs> {
        (!self.ranges.is_empty()).then(|| self.next_at.unwrap_or(ClockNs(i64::MIN)))
    }

    /// Of which recording the next portion is, if it is due.
    pub(super) fn next(&self, now: ClockNs) -> Option<RecordingId> {
        let (recording, _) = self.ranges.front()?;
        self.due().is_some_and(|due| due <= now).then_some(*recording)
    }

    /// The next portion of that recording, read with `read`; `last` if nothing more is captured for it.
    pub(super) fn portion<E>(
        &mut self,
        now: ClockNs,
        last: bool,
        mut read: impl FnMut(IndexRange) -> Result<Vec<Packet>, E>,
    ) -> Result<Vec<Packet>, E> {
        self.next_at = Some(ClockNs(now.0.saturating_add(EVERY_NS)));
        let mut room = if last { AFTERWARDS } else { WHILE_CAPTURING };
        let mut packets = Vec::new();
        let recording = self.ranges.front().map(|(recording, _)| *recording);
        while room > 0
            && let Some((of, range)) = self.ranges.pop_front_if(|(of, _)| Some(*of) == recording)
        {
            let to = SampleIndex(range.to.0.min(range.from.0.saturating_add(room)));
            let found = read(IndexRange { to, ..range })?;
            // The last packet may reach further than what was read.
            let until = found.last().map_or(to, |packet| packet.range().to.max(to));
            room = room.saturating_sub(until.0 - range.from.0);
            packets.extend(found);
            if until < range.to {
                self.ranges.push_front((of, IndexRange { from: until, ..range }));
            }
        }
        Ok(packets)
    }
}

#[cfg(test)]
mod tests {
    use roomtone_protocol::{SegmentId, SegmentKey, WakeEpoch};

    use super::*;

    const TAKE: RecordingId = RecordingId::from_bytes([9; 16]);

    fn range(from: u64, to: u64) -> IndexRange {
        let segment = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };
        IndexRange { segment, from: SampleIndex(from), to: SampleIndex(to) }
    }

    /// Everything that goes within so many milliseconds, in packets.
    fn sent(owed: &mut Owed, from_ms: i64, to_ms: i64, last: bool) -> Vec<u64> {
        let mut sent = Vec::new();
        for ms in from_ms..to_ms {
            let now = ClockNs(ms * 1_000_000);
            if owed.next(now).is_some() {
                let packets = owed.portion(now, last, |range| {
                    let packets = range.from.0 / PACKET_SAMPLES..range.to.0.div_ceil(PACKET_SAMPLES);
                    let packet = |n| Packet {
                        segment: range.segment,
                        index: SampleIndex(n * PACKET_SAMPLES),
                        samples: 960,
                        opus: Vec::new(),
                    };
                    Ok::<_, std::convert::Infallible>(packets.map(packet).collect())
                });
                let Ok(packets) = packets;
                sent.extend(packets.iter().map(|packet| packet.index.0 / PACKET_SAMPLES));
            }
        }
        sent
    }

    #[test]
    fn a_minute_goes_at_eight_times_real_time_and_at_more_when_nothing_else_is_said() {
        for (last, a_second) in [(false, 8 * 50), (true, 16 * 50)] {
            let mut owed = Owed::default();
            owed.ask(TAKE, std::iter::once(range(0, 60 * 48_000)));
            assert_eq!(sent(&mut owed, 0, 1_000, last), (0..a_second).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_asked_for_again_before_it_went_goes_once_and_in_its_turn() {
        let mut owed = Owed::default();
        owed.ask(TAKE, [range(96_000, 97_920), range(0, 9_600)].into_iter());
        owed.ask(TAKE, [range(0, 19_200)].into_iter());
        let expected: Vec<u64> = (100..102).chain(0..20).collect();
        assert_eq!(sent(&mut owed, 0, 1_000, false), expected);
        assert_eq!(owed.due(), None);
        owed.ask(TAKE, std::iter::once(range(0, 960)));
        assert_eq!(sent(&mut owed, 1_000, 1_100, false), [0], "it did not arrive");
    }

    #[test]
    fn seams_between_portions_do_not_double_packets() {
        let mut owed = Owed::default();
        owed.ask(TAKE, std::iter::once(range(500, 96_000)));
        assert_eq!(sent(&mut owed, 0, 1_000, false), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_link_that_is_gone_is_owed_nothing() {
        let mut owed = Owed::default();
        owed.ask(TAKE, std::iter::once(range(0, 96_000)));
        owed.forget();
        assert_eq!((owed.due(), sent(&mut owed, 0, 100, false)), (None, Vec::new()));
    }
}
