//! Where a device's chunks lie on the timeline clock. Pure: it sees when the device called and with how much.
//!
//! A call shows when the device's frame 0 must have been captured, if the device counted without a break: its *offset*.
//! Calls come late, never early, so offsets scatter upwards; they drift slowly with the device's clock; and when frames
//! got lost they jump up and stay there. A jump is believed after it has lasted for a second, and until then the chunks
//! concerned are held back, so that they end up on the right side of the gap.
//!
//! Sound servers split what they have into several calls, one right after the other. Only the first one's latency is
//! true then (PulseAudio's counts what was just delivered once more), and only the first one is looked at.

use std::collections::VecDeque;

use roomtone_protocol::ClockNs;

use crate::feed::Chunk;

/// Lateness that is still jitter: above what nearly every call shows (tenths of a millisecond with PulseAudio), below
/// the 20 ms that a sound server typically loses at a time.
const TOLERANCE_NS: f64 = 15e6;

/// How long a jump must last to be a gap, in nanoseconds and in calls.
const CONFIRM_NS: i64 = 1_000_000_000;
const CONFIRM_CALLS: usize = 5;

/// What is seen before the first frame is placed: the first calls of a stream carry wild latencies.
const WARM_UP_NS: i64 = 400_000_000;
const WARM_UP_CALLS: usize = 4;

/// A call that follows the last one faster than half the sound that one brought belongs to the same delivery.
const SAME_DELIVERY: f64 = 0.5;

/// What the device delivered, in order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Placed {
    /// A run without a break begins; its first frame was captured at `at`. Frames got lost before it, unless it is the
    /// first run.
    Run { at: ClockNs },
    /// The run's next frames.
    Frames(u32),
    /// The run's frame `frame` was captured at `at`.
    Anchor { frame: u64, at: ClockNs },
}

/// Places one stream's chunks.
#[derive(Debug)]
pub(crate) struct Placement {
    frame_ns: f64,
    rate: u64,
    /// Frames that the device delivered or is known to have lost.
    counted: u64,
    /// Of those, the first of the current run.
    run: u64,
    /// Offset in use, nanoseconds on the timeline clock; None before the first run.
    offset: Option<f64>,
    held: VecDeque<Held>,
    /// The last call, and how long the sound was that it brought.
    last_call: Option<(ClockNs, f64)>,
    /// Sightings since the last anchor.
    seen: Vec<Sighting>,
    next_anchor: u64,
    placed: VecDeque<Placed>,
}

#[derive(Debug, Clone, Copy)]
struct Sighting {
    frame: u64,
    offset: f64,
}

#[derive(Debug)]
struct Held {
    at: ClockNs,
    first: u64,
    frames: u32,
    /// None for a call that shows nothing.
    sighting: Option<Sighting>,
}

impl Placement {
    /// For a device at `rate`.
    pub(crate) fn new(rate: u32) -> Self {
        Self {
            frame_ns: 1e9 / f64::from(rate),
            rate: u64::from(rate),
            counted: 0,
            run: 0,
            offset: None,
            held: VecDeque::new(),
            last_call: None,
            seen: Vec::new(),
            next_anchor: u64::from(rate),
            placed: VecDeque::new(),
        }
    }

    /// What is placed by now.
    pub(crate) fn poll_placed(&mut self) -> Option<Placed> {
        self.placed.pop_front()
    }

    /// Whether anything is placed.
    pub(crate) fn has_placed(&self) -> bool {
        !self.placed.is_empty()
    }

    /// Takes a chunk.
    pub(crate) fn push(&mut self, chunk: Chunk) {
        if chunk.lost_before > 0 {
            self.settle();
            self.counted += chunk.lost_before;
            if let Some(offset) = self.offset {
                self.begin_run(self.counted, offset);
            }
        }
        let first = self.counted;
        self.counted += u64::from(chunk.frames);
        let sighting = self.sight(chunk, first);
        self.held.push_back(Held { at: chunk.at, first, frames: chunk.frames, sighting });
        let lasted = self.held.front().map_or(0, |held| chunk.at.0 - held.at.0);
        let calls = self.held.iter().filter(|held| held.sighting.is_some()).count();
        match (self.offset, sighting) {
            (None, _) if lasted >= WARM_UP_NS && calls >= WARM_UP_CALLS => self.settle(),
            // Nothing speaks against it.
            (Some(_), None) if calls == 0 => self.release(),
            (Some(in_use), Some(seen)) if (seen.offset - in_use).abs() <= TOLERANCE_NS => self.release(),
            (Some(in_use), Some(_)) if lasted >= CONFIRM_NS && calls >= CONFIRM_CALLS => self.believe(in_use),
            _ => {}
        }
    }

    /// Places what is held back with what is known: nothing more will come, or something certain did.
    pub(crate) fn settle(&mut self) {
        if self.offset.is_none()
            && let Some(first) = self.held.front().map(|held| held.first)
            && let Some(seen) = self.typical_held()
        {
            self.begin_run(first, seen.offset);
        }
        self.release();
    }

    /// What a call shows about the device's frame 0.
    fn sight(&mut self, chunk: Chunk, first: u64) -> Option<Sighting> {
        let duration = f64::from(chunk.frames) * self.frame_ns;
        let last = self.last_call.replace((chunk.at, duration));
        if last.is_some_and(|(at, duration)| ((chunk.at.0 - at.0) as f64) < duration * SAME_DELIVERY) {
            return None;
        }
        // The last frame cannot have been captured after the call that brought it.
        let latency = (chunk.latency_ns as f64).max(duration);
        Some(Sighting { frame: first, offset: chunk.at.0 as f64 - latency - first as f64 * self.frame_ns })
    }

    fn typical_held(&self) -> Option<Sighting> {
        typical(self.held.iter().filter_map(|held| held.sighting).collect())
    }

    /// Everything that is held back lies elsewhere than thought, and has for a while.
    fn believe(&mut self, in_use: f64) {
        let Some(first) = self.held.front().map(|held| held.first) else { return };
        let Some(now) = self.typical_held() else { return };
        if now.offset > in_use + TOLERANCE_NS {
            self.begin_run(first, now.offset);
        } else {
            // Earlier than thought: it was the old offset that was late. No frame is missing.
            self.offset = Some(now.offset);
        }
        self.release();
    }

    fn begin_run(&mut self, frame: u64, offset: f64) {
        self.offset = Some(offset);
        self.run = frame;
        self.seen.clear();
        self.next_anchor = frame + self.rate;
        self.placed.push_back(Placed::Run { at: self.time(frame, offset) });
    }

    fn release(&mut self) {
        while let Some(held) = self.held.pop_front() {
            self.placed.push_back(Placed::Frames(held.frames));
            let (Some(in_use), Some(sighting)) = (self.offset, held.sighting) else { continue };
            if (sighting.offset - in_use).abs() <= TOLERANCE_NS {
                self.seen.push(sighting);
            }
            if held.first >= self.next_anchor
                && let Some(sighting) = typical(std::mem::take(&mut self.seen))
            {
                self.next_anchor = held.first + self.rate;
                self.offset = Some(sighting.offset);
                let at = self.time(sighting.frame, sighting.offset);
                self.placed.push_back(Placed::Anchor { frame: sighting.frame - self.run, at });
            }
        }
    }

    fn time(&self, frame: u64, offset: f64) -> ClockNs {
        ClockNs((offset + frame as f64 * self.frame_ns).round() as i64)
    }
}

/// The sighting to trust: lateness only adds, so it is among the early ones; the very earliest may be an outlier of a
/// sound system that guessed its latency too high.
fn typical(mut sightings: Vec<Sighting>) -> Option<Sighting> {
    sightings.sort_by(|a, b| a.offset.total_cmp(&b.offset));
    sightings.get(sightings.len() / 4).copied()
}

#[cfg(test)]
mod tests;
