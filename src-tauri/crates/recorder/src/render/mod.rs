//! Journals, maps and a layout in; PCM out.
//!
//! The output is a pure function of what the journal holds: whatever range is asked for, in whatever order, every frame
//! comes out with the same bits. Nothing is carried from one range to the next but what would be computed again:
//!
//! * decoding happens in chunks on a fixed grid, each of them from a fresh decoder that starts 100 packets earlier
//!   (`decode` says why);
//! * positions come from exact fixed-point maps, and interpolation from a fixed table;
//! * ramps are a function of the sample index.

mod channel;
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

pub(crate) use pcm::interleave;
pub(crate) use plan::{Piece, pieces_of};

use crate::timeline::{FileFrame, Timeline};
use channel::ChannelReader;

/// Where a track's packets come from.
pub trait PacketSource {
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
        let frames = usize::try_from(to.0.saturating_sub(from.0)).expect("ranges fit in memory");
        planar.resize_with(self.channels.len(), Vec::new);
        for (channel, samples) in self.channels.iter_mut().zip(planar) {
            samples.clear();
            samples.resize(frames, 0.0);
            for piece in self.timeline.pieces(from, to) {
                let start = usize::try_from(piece.file.0 - from.0).expect("ranges fit in memory");
                let length = usize::try_from(piece.frames).expect("ranges fit in memory");
                channel.render(piece.timeline, &mut samples[start..start + length])?;
            }
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
        let mut bytes = Vec::new();
        interleave(&planar, depth, &mut bytes);
        Ok(bytes)
    }
}
