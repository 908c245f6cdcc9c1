//! One channel: pieces of a track, decoded, ramped and put on the timeline.

use std::fmt;

use roomtone_packets::MapStretch;

use super::changes::{Changes, FrameRange};
use super::decode::TrackDecoder;
use super::filter::{Filter, TAPS};
use super::plan::{Piece, TrackPlan};
use super::{PacketSource, RenderError};
use crate::stretch::StretchMap;
use crate::timeline::TimelineFrame;

/// Samples over which sound comes and goes at the edge of silence, 5 ms: too short to hear, long enough not to click.
pub(super) const RAMP_SAMPLES: u64 = 240;

/// Samples kept from one range for the next: those that its interpolation looks back at, and one for rounding.
const LOOK_BACK: usize = TAPS + 1;

pub(super) struct ChannelReader<'a> {
    plan: TrackPlan,
    source: Option<Box<dyn PacketSource + 'a>>,
    decoder: TrackDecoder,
    window: Window,
}

/// Samples as captured, of one piece: what was read last.
#[derive(Debug, Default)]
struct Window {
    piece: usize,
    /// Index of the first one; it may lie before the segment.
    from: i64,
    samples: Vec<f32>,
}

impl fmt::Debug for ChannelReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelReader").field("decoder", &self.decoder).finish_non_exhaustive()
    }
}

impl<'a> ChannelReader<'a> {
    pub(super) fn new(plan: TrackPlan, source: Option<Box<dyn PacketSource + 'a>>) -> Result<Self, RenderError> {
        Ok(Self { plan, source, decoder: TrackDecoder::new()?, window: Window::default() })
    }

    /// Goes on with another plan and other packets; what was kept of what they change is forgotten. Gives the frames
    /// that come out otherwise from here on.
    pub(super) fn update(&mut self, plan: TrackPlan, source: Option<Box<dyn PacketSource + 'a>>) -> Vec<FrameRange> {
        let changes = Changes::between(&self.plan, &plan);
        let reading = self.plan.pieces().get(self.window.piece).map(|piece| piece.segment);
        let window = (self.window.from, self.window.from + self.window.samples.len() as i64);
        let number = plan.pieces().iter().position(|piece| Some(piece.segment) == reading);
        match (number, reading) {
            (Some(number), Some(segment)) if !changes.touches(segment, window) => self.window.piece = number,
            _ => self.window = Window::default(),
        }
        self.decoder.update(|segment| changes.decoded(segment));
        self.plan = plan;
        self.source = source;
        changes.into_frames()
    }

    pub(super) fn plan(&self) -> &TrackPlan {
        &self.plan
    }

    /// Fills `out`, which is silent, with the timeline frames from `from` on.
    pub(super) fn render(&mut self, from: TimelineFrame, out: &mut [f32]) -> Result<(), RenderError> {
        let to = TimelineFrame(from.0 + out.len() as i64);
        let numbers: Vec<usize> = self.plan.within(from, to).collect();
        for number in numbers {
            let piece = self.plan.piece(number);
            let end = piece.ends.min(to);
            let mut at = piece.starts.max(from);
            while at < end {
                let (stretch, until) = self.plan.piece(number).stretch_at(at);
                let (stretch, until) = (*stretch, until.min(end));
                let part = &mut out[(at.0 - from.0) as usize..(until.0 - from.0) as usize];
                self.render_stretch(number, &stretch, at, part)?;
                at = until;
            }
        }
        Ok(())
    }

    fn render_stretch(
        &mut self,
        number: usize,
        stretch: &MapStretch,
        from: TimelineFrame,
        out: &mut [f32],
    ) -> Result<(), RenderError> {
        let first = stretch.position_of(from);
        if stretch.is_whole() {
            return self.fill(number, first.index, out.len(), |window| out.copy_from_slice(window));
        }
        let last = stretch.position_of(TimelineFrame(from.0 + out.len() as i64 - 1));
        let window_from = first.index - (TAPS as i64 / 2 - 1);
        let length = (last.index - first.index) as usize + TAPS;
        let filter = Filter::get();
        self.fill(number, window_from, length, |window| {
            for (sample, position) in out.iter_mut().zip(stretch.positions_from(from)) {
                let start = (position.index - first.index) as usize;
                let taps = window[start..].first_chunk().expect("the window reaches as far as the last position");
                *sample = filter.interpolate(taps, position.fraction);
            }
        })
    }

    /// Reads samples `from..from + length` of a piece and hands them over.
    fn fill(&mut self, number: usize, from: i64, length: usize, give: impl FnOnce(&[f32])) -> Result<(), RenderError> {
        let kept_from = self.window.from;
        let kept_to = kept_from + self.window.samples.len() as i64;
        if self.window.piece == number && (kept_from..=kept_to).contains(&from) {
            self.window.samples.drain(..(from - kept_from) as usize);
        } else {
            self.window.samples.clear();
        }
        self.window.piece = number;
        self.window.from = from;
        let known = self.window.samples.len();
        if known < length {
            self.window.samples.resize(length, 0.0);
            let read_from = from + known as i64;
            if let Err(error) = self.read(number, read_from, known) {
                self.window.samples.clear();
                return Err(error);
            }
        }
        give(&self.window.samples[..length]);
        let surplus = length.saturating_sub(LOOK_BACK);
        self.window.samples.drain(..surplus);
        self.window.from += surplus as i64;
        Ok(())
    }

    /// Fills the window from its sample number `known` on; what is not audible stays silent.
    fn read(&mut self, number: usize, from: i64, known: usize) -> Result<(), RenderError> {
        let Self { plan, source: Some(source), decoder, window } = self else { return Ok(()) };
        let piece = plan.piece(number);
        let out = &mut window.samples[known..];
        let start = u64::try_from(from).unwrap_or(0);
        let end = u64::try_from(from + out.len() as i64).unwrap_or(0);
        for (heard_from, heard_to) in piece.audible.within(start, end) {
            let island = island_of(piece, heard_from);
            let part = &mut out[(heard_from as i64 - from) as usize..(heard_to as i64 - from) as usize];
            decoder.read(source.as_mut(), piece, island, heard_from, part)?;
            ramp(piece, heard_from, part);
        }
        Ok(())
    }
}

/// The whole island that a sample belongs to.
fn island_of(piece: &Piece, sample: u64) -> (u64, u64) {
    whole_range(&piece.islands, sample)
}

fn whole_range(set: &roomtone_packets::RangeSet, sample: u64) -> (u64, u64) {
    set.range_of(sample).expect("what is heard lies in an island")
}

/// Scales samples near an edge of what is heard; a function of their index alone.
fn ramp(piece: &Piece, from: u64, samples: &mut [f32]) {
    let (first, end) = whole_range(&piece.audible, from);
    let to = from + samples.len() as u64;
    if from >= first + RAMP_SAMPLES && to + RAMP_SAMPLES <= end {
        return;
    }
    for (index, sample) in (from..).zip(samples) {
        let distance = (index - first).min(end - 1 - index);
        if distance < RAMP_SAMPLES {
            *sample *= (distance as f32 + 0.5) / RAMP_SAMPLES as f32;
        }
    }
}
