//! One open stream, from the ring into the track: placed on the clock, cut where time is covered already, converted.

use std::collections::VecDeque;

use roomtone_protocol::metadata::GapCause;
use roomtone_protocol::{ClockNs, SAMPLE_RATE, SampleIndex};

use crate::device::OpenDevice;
use crate::placement::{Placed, Placement};
use crate::resampler::Resampler;
use crate::sound_check::{Complaint, SoundCheck};
use crate::track::{IndexClock, Start, Track};

/// One open stream.
pub(crate) struct Line {
    pub(crate) device: OpenDevice,
    placement: Placement,
    /// What came and is not placed yet.
    waiting: VecDeque<f32>,
    resampler: Resampler,
    converted: Vec<f32>,
    run: Option<Run>,
    /// Why the next run begins.
    cause: Option<GapCause>,
    check: SoundCheck,
    /// When the device last called.
    pub(crate) last_call: Option<ClockNs>,
}

/// A stretch without a break.
struct Run {
    /// Index of its first sample in the track.
    first: u64,
    /// Device frames at its beginning that were left out.
    skipped: u64,
    /// Of those, still to come.
    skip: u64,
}

impl Line {
    /// A stream that was just opened; `cause` is why there is a new one.
    pub(crate) fn new(device: OpenDevice, cause: Option<GapCause>) -> Self {
        let rate = device.identity.rate;
        Self {
            device,
            placement: Placement::new(rate),
            waiting: VecDeque::new(),
            resampler: Resampler::new(rate),
            converted: Vec::new(),
            run: None,
            cause,
            check: SoundCheck::new(rate),
            last_call: None,
        }
    }

    /// Empties the ring.
    pub(crate) fn receive(&mut self) {
        let before = self.waiting.len();
        while let Some(chunk) = self.device.intake.pop(&mut self.waiting) {
            self.last_call = Some(chunk.at);
            self.placement.push(chunk);
        }
        for &sample in self.waiting.range(before..) {
            self.check.push(sample);
        }
    }

    /// Whether there is something to give.
    pub(crate) fn has_sound(&self) -> bool {
        self.placement.has_placed()
    }

    /// What is wrong with what it delivers.
    pub(crate) fn complaint(&self) -> Option<Complaint> {
        self.check.complaint()
    }

    /// Whether nothing but zeros came for a while.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.complaint(), Some(Complaint::Silent { .. }))
    }

    /// Whether nothing but zeros came so far.
    pub(crate) fn is_flat(&self) -> bool {
        self.check.is_flat()
    }

    /// Gives the track what is placed by now.
    pub(crate) fn deliver(&mut self, track: &mut Track) {
        while let Some(placed) = self.placement.poll_placed() {
            match placed {
                Placed::Run { at } => self.begin(at, track),
                Placed::Frames(frames) => self.give(frames as usize, track),
                Placed::Anchor { frame, at } => self.anchor(frame, at, track),
            }
        }
    }

    /// Gives the track everything and ends its segment.
    pub(crate) fn finish(mut self, track: &mut Track) {
        self.receive();
        self.placement.settle();
        self.deliver(track);
        self.end_run(track);
        track.end();
    }

    fn begin(&mut self, at: ClockNs, track: &mut Track) {
        self.end_run(track);
        let rate = self.device.identity.rate;
        // Two streams of a device change overlap, and clocks disagree by a hair: time is given out once.
        let covered = track.covered_until().filter(|&until| until > at);
        let skip = covered.map_or(0, |until| IndexClock::samples(f64::from(rate), at, until).unsigned_abs() + 1);
        let at = ClockNs(at.0 + (skip as f64 * 1e9 / f64::from(rate)).round() as i64);
        let cause = self.cause.replace(GapCause::CaptureStall);
        let device = &self.device.identity.name;
        track.begin(&Start { at, rate: f64::from(SAMPLE_RATE), device, device_rate: rate, cause });
        self.resampler = Resampler::new(rate);
        let first = track.next_index().map_or(0, |SampleIndex(index)| index);
        self.run = Some(Run { first, skipped: skip, skip });
    }

    fn give(&mut self, frames: usize, track: &mut Track) {
        let mut frames = frames;
        if let Some(run) = &mut self.run
            && run.skip > 0
        {
            let skip = frames.min(usize::try_from(run.skip).unwrap_or(usize::MAX));
            self.waiting.drain(..skip);
            run.skip -= skip as u64;
            frames -= skip;
        }
        self.converted.clear();
        let (head, tail) = self.waiting.as_slices();
        let in_head = frames.min(head.len());
        self.resampler.push(&head[..in_head], &mut self.converted);
        self.resampler.push(&tail[..frames - in_head], &mut self.converted);
        self.waiting.drain(..frames);
        track.push(&self.converted);
    }

    fn anchor(&self, frame: u64, at: ClockNs, track: &mut Track) {
        let Some(run) = &self.run else { return };
        let Some(frame) = frame.checked_sub(run.skipped) else { return };
        let rate = u64::from(self.device.identity.rate);
        // The sample at or before the frame, and how much earlier it is.
        let scaled = u128::from(frame) * u128::from(SAMPLE_RATE);
        let index = u64::try_from(scaled / u128::from(rate)).unwrap_or(u64::MAX);
        let rest = (scaled % u128::from(rate)) as f64 / rate as f64;
        let at = ClockNs(at.0 - (rest * 1e9 / f64::from(SAMPLE_RATE)).round() as i64);
        track.anchor(SampleIndex(run.first + index), at);
    }

    fn end_run(&mut self, track: &mut Track) {
        if self.run.take().is_some() {
            self.converted.clear();
            self.resampler.finish(&mut self.converted);
            track.push(&self.converted);
        }
    }
}
