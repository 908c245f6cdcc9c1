//! Where a device's chunks lie on the timeline clock. Pure: it sees when the device called and with how much.
//!
//! Two questions are kept apart. *Is anything missing?* is answered by counting alone: frames that never came make
//! every later call late, for good, whatever the sound system says about its latency. [`Punctuality`] has the rule.
//! *When was a frame captured?* is answered by what calls say about their latency: each shows when the device's frame 0
//! must have been captured, if the device counted without a break: its *offset*. Offsets scatter upwards, because calls
//! come late and never early, and drift slowly with the device's clock. A sound system that corrects its idea of its
//! own latency moves offsets up or down without a frame missing.
//!
//! Calls that look as if frames got lost are held back until it is sure, so that they end up on the right side of the
//! gap. Sound servers split what they have into several calls, one right after the other; only the first one's latency
//! is true then (PulseAudio's counts what was just delivered once more).

mod punctuality;

use std::collections::VecDeque;

use roomtone_protocol::ClockNs;

use crate::feed::Chunk;
use punctuality::{Call, Punctuality, TOLERANCE_NS, Verdict};

/// What is seen before the first frame is placed: the first calls of a stream carry wild latencies.
const WARM_UP_NS: i64 = 1_000_000_000;
const WARM_UP_CALLS: usize = 4;

/// Of the warm-up, what is looked away from as soon as there is anything else.
const WILD_NS: i64 = 400_000_000;

/// A call that follows the last one faster than half the sound that one brought belongs to the same delivery.
const SAME_DELIVERY: f64 = 0.5;

/// Seconds that a latency must have changed for before it is believed.
const NEW_LATENCY_SECONDS: u32 = 3;

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
    /// Frames that the device delivered, or the ring lost.
    counted: u64,
    /// Of those, the first of the current run.
    run: u64,
    /// Offset in use, nanoseconds on the timeline clock; None before the first run.
    offset: Option<f64>,
    punctuality: Punctuality,
    held: VecDeque<Held>,
    /// The last call, and how long the sound was that it brought.
    last_call: Option<(ClockNs, f64)>,
    /// Sightings since the last anchor.
    seen: Vec<Sighting>,
    /// How many seconds in a row the offset in use was not the one that was seen.
    strayed: u32,
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
    first: u64,
    frames: u32,
    call: Call,
    /// None for a call that shows nothing about the offset.
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
            punctuality: Punctuality::default(),
            held: VecDeque::new(),
            last_call: None,
            seen: Vec::new(),
            strayed: 0,
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
        let duration = f64::from(chunk.frames) * self.frame_ns;
        let end = self.counted as f64 * self.frame_ns;
        let call = Call { at: chunk.at, lateness: chunk.at.0 as f64 - end, duration };
        let sighting = self.sight(chunk, first, duration);
        self.held.push_back(Held { first, frames: chunk.frames, call, sighting });
        if self.offset.is_none() {
            let lasted = self.held.front().map_or(0, |held| chunk.at.0 - held.call.at.0);
            let calls = self.held.iter().filter(|held| held.sighting.is_some()).count();
            if lasted >= WARM_UP_NS && calls >= WARM_UP_CALLS {
                self.settle();
            }
            return;
        }
        match self.punctuality.judge(self.held.iter().map(|held| held.call)) {
            Verdict::Punctual => self.release(),
            Verdict::Late => {}
            Verdict::Lost { calls_before, ns } => self.lose(calls_before, ns),
        }
    }

    /// Places what is held back with what is known: nothing more will come, or something certain did.
    pub(crate) fn settle(&mut self) {
        if self.offset.is_none()
            && let Some(first) = self.held.front().map(|held| held.first)
            && let Some(seen) = self.first_offset()
        {
            self.punctuality.start(self.held.iter().map(|held| held.call));
            self.begin_run(first, seen.offset);
        }
        self.release();
    }

    /// What a call shows about the device's frame 0.
    fn sight(&mut self, chunk: Chunk, first: u64, duration: f64) -> Option<Sighting> {
        let last = self.last_call.replace((chunk.at, duration));
        if last.is_some_and(|(at, duration)| ((chunk.at.0 - at.0) as f64) < duration * SAME_DELIVERY) {
            return None;
        }
        // The last frame cannot have been captured after the call that brought it.
        let latency = (chunk.latency_ns as f64).max(duration);
        Some(Sighting { frame: first, offset: chunk.at.0 as f64 - latency - first as f64 * self.frame_ns })
    }

    /// What the warm-up shows: without its wild beginning, if anything is left then.
    fn first_offset(&self) -> Option<Sighting> {
        let begun = self.held.front()?.call.at.0;
        let all = || self.held.iter().filter_map(move |held| Some((held.call.at.0 - begun, held.sighting?)));
        let tame: Vec<_> = all().filter(|(after, _)| *after >= WILD_NS).map(|(_, seen)| seen).collect();
        typical(if tame.is_empty() { all().map(|(_, seen)| seen).collect() } else { tame })
    }

    /// Frames worth `ns` never came; the first `calls_before` of the calls that are held back came before them.
    fn lose(&mut self, calls_before: usize, ns: f64) {
        let after = self.held.split_off(calls_before);
        // They were late for a reason of their own, and show nothing.
        self.held.iter_mut().for_each(|held| held.sighting = None);
        self.release();
        self.held = after;
        if let (Some(first), Some(in_use)) = (self.held.front().map(|held| held.first), self.offset) {
            self.begin_run(first, in_use + ns);
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
            let Some(sighting) = held.sighting.filter(|_| self.punctuality.is_punctual(&held.call)) else { continue };
            self.seen.push(sighting);
            if held.first >= self.next_anchor {
                self.anchor(held.first);
            }
        }
    }

    /// A second is over: where it lies.
    fn anchor(&mut self, now: u64) {
        let (Some(in_use), Some(seen)) = (self.offset, typical(std::mem::take(&mut self.seen))) else { return };
        self.next_anchor = now + self.rate;
        // One second's latencies may be wrong; those of several are what the sound system has come to think.
        self.strayed = if (seen.offset - in_use).abs() <= TOLERANCE_NS { 0 } else { self.strayed + 1 };
        if (1..NEW_LATENCY_SECONDS).contains(&self.strayed) {
            return;
        }
        self.strayed = 0;
        self.offset = Some(seen.offset);
        if let Some(frame) = seen.frame.checked_sub(self.run) {
            let at = self.time(seen.frame, seen.offset);
            self.placed.push_back(Placed::Anchor { frame, at });
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
