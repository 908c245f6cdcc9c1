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
    /// recording's end are silent.
    ///
    /// # Errors
    /// [`RenderError::Read`]. The same range may be asked for again.
    pub fn render_planar(
        &mut self,
        from: FileFrame,
        to: FileFrame,
        planar: &mut Vec<Vec<f32>>,
    ) -> Result<(), RenderError> {
        planar.resize_with(self.channels.len(), Vec::new);
        for (number, samples) in planar.iter_mut().enumerate() {
            self.render_channel(number, from, to, samples)?;
        }
        Ok(())
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
        let fits = |frames: u64| usize::try_from(frames).expect("ranges fit in memory");
        samples.clear();
        samples.resize(fits(to.0.saturating_sub(from.0)), 0.0);
        for piece in self.timeline.pieces(from, to) {
            let start = fits(piece.file.0 - from.0);
            self.channels[number].render(piece.timeline, &mut samples[start..start + fits(piece.frames)])?;
        }
        Ok(())
    }

    /// Renders file frames `from..to` as interleaved little-endian PCM.
    ///
    /// # Errors
    /// [`RenderError::Read`]. The same range may be asked for again.
    pub fn render(&mut self, from: FileFrame, to: FileFrame, depth: BitDepth) -> Result<Vec<u8>, RenderError> {
        let mut planar = Vec::new();
        self.render_planar(from, to, &mut planar)?;
        let mut bytes = vec![0; planar.iter().map(Vec::len).sum::<usize>() * depth.bytes()];
        interleave(&planar, depth, &mut bytes);
        Ok(bytes)
    }
}
