//! Multichannel WAV with the things that studios look for.
//!
//! ```text
//! 0      RIFF or RF64, ds64 (RF64 only), bext, fmt, fact (floats only), JUNK, head of data
//! 4096   samples
//! ...    cue, LIST adtl, iXML
//! ```
//!
//! The head has a fixed size, so that samples never move, and is written last. Above 4 GiB the file is RF64
//! (EBU Tech 3306). Two channels or fewer have the plain format, more WAVE_FORMAT_EXTENSIBLE without speaker positions.

mod bext;
mod chunks;
mod head;

pub use bext::Origination;

use crate::render::BitDepth;
use chunks::Chunk;

/// Bytes in front of the samples.
pub(crate) const HEADER_BYTES: u64 = 4_096;

/// Everything that stands in a WAV besides samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WavDescription {
    /// How samples stand in it.
    pub depth: BitDepth,
    /// Names of the channels, in order.
    pub channels: Vec<String>,
    /// Length in frames.
    pub frames: u64,
    /// When and by what it was made.
    pub origination: Origination,
    /// File frame and text.
    pub cues: Vec<(u64, String)>,
}

/// The bytes of a WAV around its samples. All of them are known before the first sample is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WavFrame {
    /// In front of the samples: 4096 bytes.
    pub head: Vec<u8>,
    /// What comes behind the samples, padding included.
    pub tail: Vec<u8>,
    /// Bytes of the samples.
    pub data_bytes: u64,
}

impl WavFrame {
    /// Lays a file out.
    #[must_use]
    pub fn new(description: &WavDescription) -> Self {
        let block = description.channels.len() as u64 * description.depth.bytes() as u64;
        let data_bytes = description.frames * block;
        let mut tail = Vec::new();
        if !data_bytes.is_multiple_of(2) {
            tail.push(0);
        }
        for chunk in [chunks::cue(&description.cues), chunks::labels(&description.cues), chunks::ixml(description)]
            .into_iter()
            .flatten()
        {
            chunk.write(&mut tail);
        }
        let head = head::head(description, data_bytes, tail.len() as u64);
        Self { head, tail, data_bytes }
    }

    /// Size of the whole file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        HEADER_BYTES + self.data_bytes + self.tail.len() as u64
    }
}
