//! What the spool did not take, in memory until it does: a full disk is no reason not to send it, nor not to give it to
//! a recorder that asks for it.

use std::collections::{BTreeMap, VecDeque};

use roomtone_packets::Packet;
use roomtone_protocol::{IndexRange, RecordingId, SampleIndex, SegmentKey};

/// What is held at most, in bytes of audio: an hour at 128 kb/s. What is dropped then has been sent long ago, or the host
/// has been away for as long.
const MOST_BYTES: usize = 64 << 20;

/// Packets that are moved to a spool that takes some again, at a time: a minute and a half.
const AT_A_TIME: usize = 4_500;

/// The longest packet of Opus, 120 ms (RFC 6716, section 2.1.4), in samples.
const LONGEST_PACKET: u64 = 5_760;

/// Packets in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Unspooled {
    packets: BTreeMap<RecordingId, BTreeMap<(SegmentKey, SampleIndex), Packet>>,
    order: VecDeque<(RecordingId, SegmentKey, SampleIndex)>,
    bytes: usize,
    dropped: bool,
}

impl Unspooled {
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Holds a packet. False if it is there already.
    pub(super) fn hold(&mut self, recording: RecordingId, packet: &Packet) -> bool {
        self.hold_within(recording, packet, MOST_BYTES)
    }

    fn hold_within(&mut self, recording: RecordingId, packet: &Packet, most_bytes: usize) -> bool {
        let (segment, index) = (packet.segment, packet.index);
        let before = self.packets.entry(recording).or_default().insert((segment, index), packet.clone());
        if before.is_some() {
            return false;
        }
        self.order.push_back((recording, segment, index));
        self.bytes += packet.opus.len();
        while self.bytes > most_bytes && self.pop().is_some() {
            if !std::mem::replace(&mut self.dropped, true) {
                tracing::error!("the disk takes nothing, and memory is full: the oldest of what was said is dropped");
            }
        }
        true
    }

    /// Moves what it holds, oldest first, with `spool`, until that fails or enough is done at a time. True if some of it went.
    pub(super) fn release<E>(
        &mut self,
        mut spool: impl FnMut(RecordingId, &Packet) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let mut released = false;
        for _ in 0..AT_A_TIME {
            let Some((recording, packet)) = self.oldest() else { break };
            spool(recording, packet)?;
            released = true;
            self.pop();
        }
        Ok(released)
    }

    /// What is held of a recording.
    pub(super) fn ranges(&self, recording: RecordingId) -> impl Iterator<Item = IndexRange> + '_ {
        self.packets.get(&recording).into_iter().flat_map(|packets| packets.values().map(Packet::range))
    }

    /// The packets that hold some of a range, in order.
    pub(super) fn within(&self, recording: RecordingId, range: IndexRange) -> impl Iterator<Item = &Packet> {
        let first = (range.segment, SampleIndex(range.from.0.saturating_sub(LONGEST_PACKET)));
        let packets = self.packets.get(&recording).into_iter();
        packets
            .flat_map(move |packets| packets.range(first..(range.segment, range.to)).map(|(_, packet)| packet))
            .filter(move |packet| packet.range().to > range.from)
    }

    /// Nothing of this recording is wanted any more.
    pub(super) fn forget(&mut self, recording: RecordingId) {
        let Some(packets) = self.packets.remove(&recording) else { return };
        self.bytes -= packets.values().map(|packet| packet.opus.len()).sum::<usize>();
        self.order.retain(|(of, ..)| *of != recording);
    }

    fn oldest(&self) -> Option<(RecordingId, &Packet)> {
        let &(recording, segment, index) = self.order.front()?;
        self.packets.get(&recording)?.get(&(segment, index)).map(|packet| (recording, packet))
    }

    fn pop(&mut self) -> Option<Packet> {
        let (recording, segment, index) = self.order.pop_front()?;
        let packets = self.packets.get_mut(&recording)?;
        let packet = packets.remove(&(segment, index))?;
        if packets.is_empty() {
            self.packets.remove(&recording);
        }
        self.bytes -= packet.opus.len();
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use roomtone_protocol::{SegmentId, WakeEpoch};

    use super::*;

    const TAKE: RecordingId = RecordingId::from_bytes([9; 16]);
    const OTHER: RecordingId = RecordingId::from_bytes([8; 16]);
    const SEGMENT: SegmentKey = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };

    fn packet(number: u64) -> Packet {
        Packet { segment: SEGMENT, index: SampleIndex(number * 960), samples: 960, opus: vec![7; 100] }
    }

    fn held(unspooled: &Unspooled, recording: RecordingId) -> Vec<u64> {
        unspooled.ranges(recording).map(|range| range.from.0 / 960).collect()
    }

    #[test]
    fn it_gives_the_packets_of_a_range_and_takes_none_twice() {
        let mut unspooled = Unspooled::default();
        assert!([3, 1, 2, 0].iter().all(|&number| unspooled.hold(TAKE, &packet(number))));
        assert!(!unspooled.hold(TAKE, &packet(2)));
        assert!(unspooled.hold(OTHER, &packet(2)));
        let range = IndexRange { segment: SEGMENT, from: SampleIndex(1_000), to: SampleIndex(2_881) };
        let found: Vec<u64> = unspooled.within(TAKE, range).map(|packet| packet.index.0 / 960).collect();
        assert_eq!(found, [1, 2, 3]);
        unspooled.forget(TAKE);
        assert_eq!((held(&unspooled, TAKE), held(&unspooled, OTHER), unspooled.bytes), (vec![], vec![2], 100));
    }

    #[test]
    fn what_the_disk_takes_again_goes_oldest_first_and_the_rest_stays() {
        let mut unspooled = Unspooled::default();
        for number in 0..5 {
            unspooled.hold(TAKE, &packet(number));
        }
        let mut spooled = Vec::new();
        let result = unspooled.release(|_, packet| {
            let number = packet.index.0 / 960;
            if number < 3 {
                spooled.push(number)
            } else {
                return Err("full");
            }
            Ok(true)
        });
        assert_eq!((result, spooled, held(&unspooled, TAKE)), (Err("full"), vec![0, 1, 2], vec![3, 4]));
        assert_eq!(unspooled.release(|_, _| Ok::<_, ()>(true)), Ok(true));
        assert!(unspooled.is_empty() && unspooled.bytes == 0);
        assert_eq!(unspooled.release(|_, _| Ok::<_, ()>(true)), Ok(false));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes() {
        let mut unspooled = Unspooled::default();
        for number in 0..10 {
            unspooled.hold_within(TAKE, &packet(number), 400);
        }
        assert_eq!((held(&unspooled, TAKE), unspooled.bytes), (vec![6, 7, 8, 9], 400));
    }
}
