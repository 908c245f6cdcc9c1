//! Journals, maps and a layout in; PCM out.
//!
//! The output is a pure function of what the journal holds: whatever range is asked for, in whatever order, every frame
//! comes out with the same bits. Nothing is carried from one range to the next but what would be computed again:
//!
//! * decoding happens in chunks on a fixed grid, each of them from a fresh decoder that starts 100 packets earlier
//!   (`decode` says why);
//! * positions come from exact fixed-point maps, and interpolation from a fixed table;
//! * ramps are a function of the sample index.

mod changes;
mod channel;
mod chunk;
mod decode;
mod filter;
mod pcm;
mod plan;
#[cfg(test)]
mod spectrum;

use std::io;
use std::panic::resume_unwind;
use std::thread::{self, ScopedJoinHandle};

use roomtone_packets::Packet;
use roomtone_protocol::IndexRange;

pub use pcm::BitDepth;
pub use plan::TrackPlan;

pub(crate) use changes::{FrameRange, REACH_SAMPLES};
pub(crate) use pcm::{interleave, replace_channel};
pub(crate) use plan::{Piece, pieces_of};

use crate::timeline::{FileFrame, Timeline};
use channel::ChannelReader;

/// Where a track's packets come from.
pub trait PacketSource: Send {
    /// The packets that hold any sample of a range, by rising index, no index twice.
    ///
    /// # Errors
    /// What the system said.
    fn packets(&mut self, range: IndexRange) -> io::Result<Vec<Packet>>;
}

/// Audio that could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The packets could not be read; check the disk and try again.
    #[error("reading packets: {0}")]
    Read(#[from] io::Error),
    /// No decoder could be made: memory is short.
    #[error("making a decoder: {0}")]
    Decoder(#[from] opus::Error),
}

/// Raised with every change after which the same journal gives other bytes: another grid, filter, ramp or rounding.
const RENDER_EPOCH: u32 = 1;

/// What the bytes of a take depend on besides the journal. Two builds with the same text render the same bytes.
pub(crate) fn epoch() -> String {
    format!("{RENDER_EPOCH}, {}, {}", opus::version(), std::env::consts::ARCH)
}

/// A recording's channels, ready to be rendered.
#[derive(Debug)]
pub struct Renderer<'a> {
    timeline: Timeline,
    channels: Vec<ChannelReader<'a>>,
}

impl<'a> Renderer<'a> {
    /// A recording without channels yet.
    #[must_use]
    pub fn new(timeline: Timeline) -> Self {
        Self { timeline, channels: Vec::new() }
    }

    /// Adds the next channel of the layout. Without a source it is silent.
    ///
    /// # Errors
    /// [`RenderError::Decoder`].
    pub fn push_channel(
        &mut self,
        plan: TrackPlan,
        source: Option<Box<dyn PacketSource + 'a>>,
    ) -> Result<(), RenderError> {
        self.channels.push(ChannelReader::new(plan, source)?);
        Ok(())
    }

    /// More is known of a channel. Gives the timeline frames that come out otherwise from here on.
    pub(crate) fn update_channel(
        &mut self,
        number: usize,
        plan: TrackPlan,
        source: Option<Box<dyn PacketSource + 'a>>,
    ) -> Vec<FrameRange> {
        self.channels[number].update(plan, source)
    }

    /// What a channel is rendered from.
    pub(crate) fn plan(&self, number: usize) -> &TrackPlan {
        self.channels[number].plan()
    }

    /// The recorded time is another: it went on, or it ended earlier than was known.
    pub(crate) fn set_timeline(&mut self, timeline: Timeline) {
        self.timeline = timeline;
    }

    /// Renders file frames `from..to` as one vector of floats a channel; ±1.0 is full scale. Frames behind the
    /// recording's end are silent. Channels are shared out among `threads`: one where the machine has other things to do,
    /// more where somebody waits.
    ///
    /// # Errors
    /// [`RenderError::Read`]. The same range may be asked for again.
    pub fn render_planar(
        &mut self,
        from: FileFrame,
        to: FileFrame,
        threads: usize,
        planar: &mut Vec<Vec<f32>>,
    ) -> Result<(), RenderError> {
        planar.resize_with(self.channels.len(), Vec::new);
        let timeline = &self.timeline;
        let render = |channels: &mut [ChannelReader<'a>], planar: &mut [Vec<f32>]| {
            let mut both = channels.iter_mut().zip(planar);
            both.try_for_each(|(channel, samples)| render_channel(timeline, channel, from, to, samples))
        };
        let each = self.channels.len().div_ceil(threads.max(1)).max(1);
        if each < self.channels.len() {
            let shared_out = thread::scope(|scope| {
                let parts = self.channels.chunks_mut(each).zip(planar.chunks_mut(each));
                let started = parts.map(|(channels, planar)| {
                    thread::Builder::new().spawn_scoped(scope, move || render(channels, planar))
                });
                let started: Result<Vec<_>, io::Error> = started.collect();
                let join = |part: ScopedJoinHandle<'_, _>| part.join().unwrap_or_else(|panic| resume_unwind(panic));
                started.map(|parts| parts.into_iter().try_for_each(join))
            });
            match shared_out {
                Ok(rendered) => return rendered,
                // Then this one does it all.
                Err(error) => tracing::debug!(%error, "there is no other thread to render on"),
            }
        }
        render(&mut self.channels, planar)
    }

    /// Renders file frames `from..to` of one channel.
    ///
    /// # Errors
    /// [`RenderError::Read`]. The same range may be asked for again.
    pub(crate) fn render_channel(
        &mut self,
        number: usize,
        from: FileFrame,
        to: FileFrame,
        samples: &mut Vec<f32>,
    ) -> Result<(), RenderError> {
        render_channel(&self.timeline, &mut self.channels[number], from, to, samples)
    }

    /// Renders file frames `from..to` as interleaved little-endian PCM.
    ///
    /// # Errors
    /// [`RenderError::Read`]. The same range may be asked for again.
    pub fn render(&mut self, from: FileFrame, to: FileFrame, depth: BitDepth) -> Result<Vec<u8>, RenderError> {
        let mut planar = Vec::new();
        self.render_planar(from, to, 1, &mut planar)?;
        let mut bytes = vec![0; planar.iter().map(Vec::len).sum::<usize>() * depth.bytes()];
        interleave(&planar, depth, &mut bytes);
        Ok(bytes)
    }
}

fn render_channel(
    timeline: &Timeline,
    channel: &mut ChannelReader<'_>,
    from: FileFrame,
    to: FileFrame,
    samples: &mut Vec<f32>,
) -> Result<(), RenderError> {
    let fits = |frames: u64| usize::try_from(frames).expect("ranges fit in memory");
    samples.clear();
    samples.resize(fits(to.0.saturating_sub(from.0)), 0.0);
    for piece in timeline.pieces(from, to) {
        let start = fits(piece.file.0 - from.0);
        channel.render(piece.timeline, &mut samples[start..start + fits(piece.frames)])?;
    }
    Ok(())
}
