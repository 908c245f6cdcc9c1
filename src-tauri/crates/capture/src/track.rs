//! 48 kHz samples to segments, packets, anchors and levels. Knows no device and reads no clock.

use std::collections::VecDeque;

use roomtone_packets::Packet;
use roomtone_protocol::channel::{Anchor, Hole, Segment};
use roomtone_protocol::metadata::GapCause;
use roomtone_protocol::{ClockNs, IndexRange, SAMPLE_RATE, SampleIndex, SegmentId, SegmentKey, WakeEpoch};

use crate::encoder::{Encoder, FRAME_SAMPLES};
use crate::level::LevelMeter;
use crate::{CaptureError, CaptureEvent};

/// A hole in samples: 1 ms. Two streams that follow each other are not placed more exactly than that.
const MIN_HOLE_SAMPLES: u64 = 48;

/// Where samples stand on the timeline clock: a known one, and how fast they follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct IndexClock {
    /// A sample.
    pub(crate) index: u64,
    /// When it was captured.
    pub(crate) at: ClockNs,
    /// Samples a second of the timeline clock.
    pub(crate) rate: f64,
}

impl IndexClock {
    /// When the sample `index` was captured.
    pub(crate) fn time(&self, index: u64) -> ClockNs {
        let samples = index as f64 - self.index as f64;
        ClockNs(self.at.0 + (samples * 1e9 / self.rate).round() as i64)
    }

    /// Samples from `from` until `to`; negative if it lies before.
    pub(crate) fn samples(rate: f64, from: ClockNs, to: ClockNs) -> i64 {
        ((to.0 - from.0) as f64 * rate / 1e9).round() as i64
    }
}

/// What begins a segment.
#[derive(Debug, Clone)]
pub(crate) struct Start<'a> {
    /// When its first sample was captured.
    pub(crate) at: ClockNs,
    /// Samples a second of the timeline clock, as far as known.
    pub(crate) rate: f64,
    pub(crate) device: &'a str,
    pub(crate) device_rate: u32,
    pub(crate) cause: Option<GapCause>,
}

/// One participant's sound within a wake epoch.
#[derive(Debug)]
pub(crate) struct Track {
    epoch: WakeEpoch,
    encoder: Encoder,
    next_segment: u32,
    /// Above everything that was ever given out.
    free: u64,
    segment: Option<Running>,
    last: Option<Ended>,
    muted: bool,
    meter: LevelMeter,
    events: VecDeque<CaptureEvent>,
}

#[derive(Debug)]
struct Running {
    key: SegmentKey,
    first: u64,
    clock: IndexClock,
    /// The next sample's index.
    next: u64,
    /// Samples of the packet in the making.
    frame: Vec<f32>,
}

/// Where the last segment ended.
#[derive(Debug, Clone, Copy)]
struct Ended {
    key: SegmentKey,
    /// One past the last sample that was captured.
    index: u64,
    at: ClockNs,
}

impl Track {
    /// # Errors
    /// [`CaptureError::Encoder`] for an impossible bit rate.
    pub(crate) fn new(epoch: WakeEpoch, bitrate: u32) -> Result<Self, CaptureError> {
        Ok(Self {
            epoch,
            encoder: Encoder::new(bitrate)?,
            next_segment: 0,
            free: 0,
            segment: None,
            last: None,
            muted: false,
            meter: LevelMeter::default(),
            events: VecDeque::new(),
        })
    }

    /// What happened since.
    pub(crate) fn poll_event(&mut self) -> Option<CaptureEvent> {
        self.events.pop_front()
    }

    /// Puts something of the caller's among the events, in its place.
    pub(crate) fn tell(&mut self, event: CaptureEvent) {
        self.events.push_back(event);
    }

    /// Begins a segment; one that runs is ended first. The index advances by the time that passed since the last
    /// captured sample, and never goes back.
    pub(crate) fn begin(&mut self, start: &Start<'_>) {
        self.end();
        if let Err(error) = self.encoder.reset() {
            tracing::error!(%error, "the encoder kept the old segment's state");
        }
        let key = SegmentKey { epoch: self.epoch, segment: SegmentId(self.next_segment) };
        self.next_segment += 1;
        let elapsed = self.last.map_or(0, |last| IndexClock::samples(f64::from(SAMPLE_RATE), last.at, start.at).max(0));
        let elapsed = elapsed.unsigned_abs();
        let first = self.last.map_or(0, |last| (last.index + elapsed).max(self.free));
        if let (Some(last), Some(cause)) = (self.last, start.cause)
            && elapsed >= MIN_HOLE_SAMPLES
        {
            let (from, to) = (SampleIndex(last.index), SampleIndex(last.index + elapsed));
            self.tell(CaptureEvent::Hole(Hole { range: IndexRange { segment: last.key, from, to }, cause }));
        }
        self.free = first;
        self.segment = Some(Running {
            key,
            first,
            clock: IndexClock { index: first, at: start.at, rate: start.rate },
            next: first,
            frame: Vec::with_capacity(FRAME_SAMPLES),
        });
        self.tell(CaptureEvent::Segment(Segment {
            segment: key,
            first: SampleIndex(first),
            captured_at: start.at,
            codec_delay: self.encoder.lookahead(),
            device: start.device.to_owned(),
            device_rate: start.device_rate,
            cause: start.cause,
        }));
        if self.muted {
            self.tell(CaptureEvent::Muted { segment: key, from: SampleIndex(first), muted: true });
        }
    }

    /// Takes samples of the running segment.
    pub(crate) fn push(&mut self, mut samples: &[f32]) {
        while let Some(segment) = &mut self.segment
            && !samples.is_empty()
        {
            let (now, later) = samples.split_at(samples.len().min(FRAME_SAMPLES - segment.frame.len()));
            samples = later;
            segment.next += now.len() as u64;
            if self.muted {
                segment.frame.resize(segment.frame.len() + now.len(), 0.0);
            } else {
                segment.frame.extend_from_slice(now);
            }
            if segment.frame.len() == FRAME_SAMPLES {
                self.encode();
            }
        }
    }

    /// The next sample's index, while a segment runs.
    pub(crate) fn next_index(&self) -> Option<SampleIndex> {
        self.segment.as_ref().map(|segment| SampleIndex(segment.next))
    }

    /// A sample of the running segment was seen to be captured at `at`: an anchor for others, and for the packets
    /// that follow.
    pub(crate) fn anchor(&mut self, index: SampleIndex, at: ClockNs) {
        let Some(segment) = &mut self.segment else { return };
        segment.clock = IndexClock { index: index.0, at, rate: segment.clock.rate };
        let anchor = Anchor { segment: segment.key, index, at };
        self.tell(CaptureEvent::Anchor(anchor));
    }

    /// When the last captured sample was over; None before the first segment.
    pub(crate) fn covered_until(&self) -> Option<ClockNs> {
        let running = self.segment.as_ref().map(|segment| segment.clock.time(segment.next));
        running.or(self.last.map(|last| last.at))
    }

    /// Ends the running segment. Its last packets are filled up with silence, enough to bring out of a decoder what
    /// the encoder still holds back.
    pub(crate) fn end(&mut self) {
        let Some(segment) = &self.segment else { return };
        let (key, index, at) = (segment.key, segment.next, segment.clock.time(segment.next));
        if segment.next > segment.first {
            let held = segment.frame.len() + self.encoder.lookahead() as usize;
            for _ in 0..held.div_ceil(FRAME_SAMPLES) {
                if let Some(segment) = &mut self.segment {
                    segment.frame.resize(FRAME_SAMPLES, 0.0);
                    self.encode();
                }
            }
        }
        self.segment = None;
        self.last = Some(Ended { key, index, at });
    }

    /// From the next sample on, all are zeros, or no longer.
    pub(crate) fn set_muted(&mut self, muted: bool) {
        if self.muted == muted {
            return;
        }
        self.muted = muted;
        if let Some(segment) = &self.segment {
            let event = CaptureEvent::Muted { segment: segment.key, from: SampleIndex(segment.next), muted };
            self.tell(event);
        }
    }

    /// Makes a packet of the running segment's full frame.
    fn encode(&mut self) {
        let Some(segment) = &mut self.segment else { return };
        let index = self.free;
        let samples = FRAME_SAMPLES as u64;
        self.free = index + samples;
        let captured_at = segment.clock.time(index);
        let key = segment.key;
        let event = match self.encoder.encode(&segment.frame) {
            Ok(opus) => {
                let samples = FRAME_SAMPLES as u16;
                let packet = Packet { segment: key, index: SampleIndex(index), samples, opus };
                CaptureEvent::Packet { packet, captured_at }
            }
            Err(error) => {
                tracing::error!(%error, "20 ms could not be encoded");
                let range = IndexRange { segment: key, from: SampleIndex(index), to: SampleIndex(self.free) };
                CaptureEvent::Hole(Hole { range, cause: GapCause::CaptureStall })
            }
        };
        let level = self.meter.push(&segment.frame);
        segment.frame.clear();
        self.tell(event);
        if let Some(dbfs) = level {
            self.tell(CaptureEvent::Level { dbfs });
        }
    }
}

#[cfg(test)]
mod tests;
