//! The ring between the audio callback and the worker.
//!
//! The callback's side never allocates, locks, logs or waits; what does not fit is counted and told with the next
//! chunk that does.

use std::sync::{Arc, OnceLock};

use cpal::{FromSample, Sample};
use roomtone_protocol::ClockNs;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::CaptureError;

/// Seconds that the worker may be late.
const RING_SECONDS: usize = 10;

/// Callbacks that the ring holds: ten seconds of 64-frame ones at 96 kHz.
const RING_CALLBACKS: usize = 16_384;

/// What the device called with, without the sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Timeline clock when it called.
    pub(crate) at: ClockNs,
    /// How long before that the first frame was captured, as the sound system has it.
    pub(crate) latency_ns: i64,
    /// Frames in the chunk.
    pub(crate) frames: u32,
    /// Frames that came before it and did not fit.
    pub(crate) lost_before: u64,
}

/// The callback's side.
pub(crate) struct Feeder {
    samples: Producer<f32>,
    chunks: Producer<Chunk>,
    lost: u64,
}

/// The worker's side.
pub(crate) struct Intake {
    samples: Consumer<f32>,
    chunks: Consumer<Chunk>,
}

/// The first error that a stream reported: broken devices can report tens of thousands a second.
pub(crate) type ErrorLatch = Arc<OnceLock<CaptureError>>;

/// A ring for a device at `rate`.
pub(crate) fn feed(rate: u32) -> (Feeder, Intake) {
    let (samples, taken) = RingBuffer::new(rate as usize * RING_SECONDS);
    let (chunks, called) = RingBuffer::new(RING_CALLBACKS);
    (Feeder { samples, chunks, lost: 0 }, Intake { samples: taken, chunks: called })
}

impl Feeder {
    /// Takes what the device delivered at `at`, interleaved, and mixes it to mono.
    pub(crate) fn push<T>(&mut self, interleaved: &[T], channels: u16, at: ClockNs, latency_ns: i64)
    where
        T: Sample,
        f32: FromSample<T>,
    {
        let width = usize::from(channels.max(1));
        let frames = interleaved.len() / width;
        let scale = 1.0 / f32::from(channels.max(1));
        let count = u32::try_from(frames).unwrap_or(u32::MAX);
        let room = self.samples.write_chunk_uninit(frames);
        let (Ok(room), false) = (room, self.chunks.is_full()) else {
            self.lost += frames as u64;
            return;
        };
        let mono = interleaved.chunks_exact(width).map(|frame| {
            let sum: f32 = frame.iter().map(|&sample| f32::from_sample(sample)).sum();
            sum * scale
        });
        room.fill_from_iter(mono);
        let chunk = Chunk { at, latency_ns, frames: count, lost_before: std::mem::take(&mut self.lost) };
        // The samples go first: whoever sees a chunk finds its samples. There was room for it just now.
        if self.chunks.push(chunk).is_err() {
            unreachable!("only this side fills the ring");
        }
    }
}

impl Intake {
    /// The next chunk; its samples are appended to `samples`.
    pub(crate) fn pop(&mut self, samples: &mut std::collections::VecDeque<f32>) -> Option<Chunk> {
        let chunk = self.chunks.pop().ok()?;
        let sound = self.samples.read_chunk(chunk.frames as usize).expect("samples are in the ring before their chunk");
        // A driver that delivers what is no number must not poison the filters behind.
        samples.extend(sound.into_iter().map(|sample| if sample.is_finite() { sample } else { 0.0 }));
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn channels_are_mixed_and_formats_converted() {
        let (mut feeder, mut intake) = feed(48_000);
        feeder.push(&[i16::MAX / 2, 0, 0, i16::MIN], 2, ClockNs(5), 7);
        let mut samples = VecDeque::new();
        let chunk = intake.pop(&mut samples).unwrap();
        assert_eq!(chunk, Chunk { at: ClockNs(5), latency_ns: 7, frames: 2, lost_before: 0 });
        assert!((samples[0] - 0.25).abs() < 1e-4 && (samples[1] + 0.5).abs() < 1e-4, "{samples:?}");
        assert_eq!(intake.pop(&mut samples), None);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_told() {
        let (mut feeder, mut intake) = feed(1_000);
        for n in 0..12 {
            feeder.push(&[0.5_f32; 1_000], 1, ClockNs(n), 0);
        }
        let mut samples = VecDeque::new();
        assert_eq!(std::iter::from_fn(|| intake.pop(&mut samples)).map(|c| c.lost_before).sum::<u64>(), 0);
        assert_eq!(samples.len(), 10_000);
        feeder.push(&[0.5_f32; 10], 1, ClockNs(20), 0);
        assert_eq!(intake.pop(&mut samples).unwrap().lost_before, 2_000);
    }

    #[test]
    fn what_is_no_number_becomes_silence() {
        let (mut feeder, mut intake) = feed(48_000);
        feeder.push(&[f32::NAN, f32::INFINITY, 0.5], 1, ClockNs(0), 0);
        let mut samples = VecDeque::new();
        intake.pop(&mut samples);
        assert_eq!(samples, [0.0, 0.0, 0.5]);
    }
}
