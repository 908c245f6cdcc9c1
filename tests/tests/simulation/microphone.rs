//! A microphone whose sound says when it was made: every packet carries the true time of its first sample.

use roomtone_capture::CaptureEvent;
use roomtone_packets::Packet;
use roomtone_protocol::channel::{Anchor, Hole, Segment};
use roomtone_protocol::metadata::GapCause;
use roomtone_protocol::{ClockNs, IndexRange, SampleIndex, SegmentId, SegmentKey, WakeEpoch};

use crate::clocks::{DeviceClock, MS, MachineClock, True};
use crate::random::Random;

const PACKET_SAMPLES: u16 = 960;

/// Configuration 31, mono, one frame: CELT, full band, 20 ms (RFC 6716, section 3.1).
const TOC: u8 = 31 << 3;

/// What somebody really said, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Said {
    pub(crate) segment: SegmentKey,
    pub(crate) index: u64,
    /// First sample.
    pub(crate) from: True,
    /// Behind the last sample.
    pub(crate) to: True,
    /// Nobody was to hear it.
    pub(crate) muted: bool,
}

impl Said {
    pub(crate) fn payload(&self, person: u8) -> Vec<u8> {
        let mut opus = vec![TOC, person];
        opus.extend_from_slice(&self.from.0.to_le_bytes());
        opus
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let SegmentKey { epoch, segment } = self.segment;
        write!(f, "said at {:.3} s ({}/{} {})", self.from.as_seconds(), epoch.0, segment.0, self.index)
    }
}

/// Whose packet it is and when its sound was made, from the packet itself.
pub(crate) fn time_code(opus: &[u8]) -> Option<(u8, True)> {
    let [TOC, person, time @ ..] = opus else { return None };
    Some((*person, True(i64::from_le_bytes(time.try_into().ok()?))))
}

/// The device and its worker within one program.
#[derive(Debug)]
pub(crate) struct Microphone {
    device: DeviceClock,
    epoch: WakeEpoch,
    segments: u32,
    running: Option<Running>,
    /// Segment, index and true time at which the last one ended.
    last: Option<(SegmentKey, u64, True)>,
    /// Above everything that was ever given out.
    free: u64,
    /// Whether it is muted, and whether that has been said.
    muted: (bool, bool),
}

#[derive(Debug)]
struct Running {
    key: SegmentKey,
    next: u64,
    /// True time of the sample `next`.
    next_at: f64,
    packets: u64,
}

impl Microphone {
    pub(crate) fn new(device: DeviceClock, epoch: WakeEpoch) -> Self {
        Self { device, epoch, segments: 0, running: None, last: None, free: 0, muted: (false, false) }
    }

    /// The device begins to deliver. What it did not deliver before is a hole of its true length.
    pub(crate) fn begin(&mut self, now: True, clock: &MachineClock, cause: Option<GapCause>) -> Vec<CaptureEvent> {
        let key = SegmentKey { epoch: self.epoch, segment: SegmentId(self.segments) };
        self.segments += 1;
        let mut events = Vec::new();
        let mut first = self.free;
        if let Some((last, index, at)) = self.last {
            let elapsed = (clock.at(now).0 - clock.at(at).0).max(0) as u64 * 48 / 1_000_000;
            first = first.max(index + elapsed);
            if let Some(cause) = cause.filter(|_| elapsed >= 48) {
                let range = IndexRange { segment: last, from: SampleIndex(index), to: SampleIndex(index + elapsed) };
                events.push(CaptureEvent::Hole(Hole { range, cause }));
            }
        }
        events.push(CaptureEvent::Segment(Segment {
            segment: key,
            first: SampleIndex(first),
            captured_at: clock.at(now),
            codec_delay: 0,
            device: "simulated".into(),
            device_rate: 48_000,
            cause,
        }));
        self.running = Some(Running { key, next: first, next_at: now.0 as f64, packets: 0 });
        events
    }

    /// The device stops; what was not yet a packet is gone.
    pub(crate) fn end(&mut self) {
        if let Some(running) = self.running.take() {
            self.last = Some((running.key, running.next, True(running.next_at as i64)));
        }
    }

    /// When the next packet is full.
    pub(crate) fn next_at(&self) -> Option<True> {
        self.running.as_ref().map(|running| {
            let samples = f64::from(PACKET_SAMPLES);
            True((running.next_at + samples * self.device.sample_ns(running.next_at)).ceil() as i64)
        })
    }

    /// The packet that is full now, and an anchor about once a second. Time stamps are late now and then, never early.
    pub(crate) fn packet(
        &mut self,
        random: &mut Random,
        person: u8,
        clock: &MachineClock,
    ) -> Option<(Said, Vec<CaptureEvent>)> {
        let running = self.running.as_mut()?;
        let from = True(running.next_at.round() as i64);
        let ends = running.next_at + f64::from(PACKET_SAMPLES) * self.device.sample_ns(running.next_at);
        let said = Said {
            segment: running.key,
            index: running.next,
            from,
            to: True(ends.round() as i64),
            muted: self.muted.0,
        };
        running.next += u64::from(PACKET_SAMPLES);
        running.next_at = ends;
        running.packets += 1;
        self.free = running.next;
        let packet = Packet {
            segment: said.segment,
            index: SampleIndex(said.index),
            samples: PACKET_SAMPLES,
            opus: said.payload(person),
        };
        let captured_at = ClockNs(clock.at(from).0 + (random.between(0.0, 0.3) * MS as f64) as i64);
        let mut events = Vec::new();
        if self.muted.0 != self.muted.1 {
            self.muted.1 = self.muted.0;
            let (segment, from, muted) = (said.segment, SampleIndex(said.index), self.muted.0);
            events.push(CaptureEvent::Muted { segment, from, muted });
        }
        events.push(CaptureEvent::Packet { packet, captured_at });
        if running.packets.is_multiple_of(50) {
            let late = if random.chance(0.1) { random.between(0.0, 5.0) } else { random.between(0.0, 0.1) };
            let at = ClockNs(clock.at(said.to).0 + (late * MS as f64) as i64);
            events.push(CaptureEvent::Anchor(Anchor { segment: said.segment, index: SampleIndex(running.next), at }));
        }
        Some((said, events))
    }

    /// From the next packet on.
    pub(crate) fn set_muted(&mut self, muted: bool) {
        self.muted.0 = muted;
    }

    /// The first sample of the last packet, and when that packet was full.
    pub(crate) fn last_packet(&self) -> Option<(u64, True)> {
        let running = self.running.as_ref().filter(|running| running.packets > 0)?;
        Some((running.next - u64::from(PACKET_SAMPLES), True(running.next_at as i64)))
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }
}
