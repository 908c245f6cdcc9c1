//! What stands in front of the samples.

use super::chunks::Chunk;
use super::{HEADER_BYTES, WavDescription, bext};
use crate::render::BitDepth;

const FORMAT_PCM: u16 = 1;
const FORMAT_FLOAT: u16 = 3;
const FORMAT_EXTENSIBLE: u16 = 0xfffe;

/// What a sub-format's GUID has behind its first two bytes (KSDATAFORMAT_SUBTYPE).
const SUB_FORMAT_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

/// Instead of sizes that do not fit into 32 bits (EBU Tech 3306).
const SEE_DS64: u32 = u32::MAX;

const CHUNK_HEAD_BYTES: usize = 8;

pub(super) fn head(description: &WavDescription, data_bytes: u64, tail_bytes: u64) -> Vec<u8> {
    let riff_bytes = HEADER_BYTES - CHUNK_HEAD_BYTES as u64 + data_bytes + tail_bytes;
    let short = u32::try_from(riff_bytes).ok().filter(|&bytes| bytes != SEE_DS64);
    let mut head = Vec::with_capacity(HEADER_BYTES as usize);
    head.extend_from_slice(if short.is_some() { b"RIFF" } else { b"RF64" });
    head.extend_from_slice(&short.unwrap_or(SEE_DS64).to_le_bytes());
    head.extend_from_slice(b"WAVE");
    if short.is_none() {
        ds64(riff_bytes, data_bytes, description.frames).write(&mut head);
    }
    bext::bext(&description.origination, description.depth.bits(), description.channels.len()).write(&mut head);
    format(description).write(&mut head);
    if description.depth == BitDepth::Float32 {
        let frames = u32::try_from(description.frames).unwrap_or(SEE_DS64);
        Chunk { id: *b"fact", body: frames.to_le_bytes().to_vec() }.write(&mut head);
    }
    // Filler behind fmt: several readers stumble over it in front.
    let filler = HEADER_BYTES as usize - head.len() - 2 * CHUNK_HEAD_BYTES;
    Chunk { id: *b"JUNK", body: vec![0; filler] }.write(&mut head);
    head.extend_from_slice(b"data");
    let data = if short.is_some() { u32::try_from(data_bytes).unwrap_or(SEE_DS64) } else { SEE_DS64 };
    head.extend_from_slice(&data.to_le_bytes());
    debug_assert_eq!(head.len() as u64, HEADER_BYTES);
    head
}

fn ds64(riff_bytes: u64, data_bytes: u64, frames: u64) -> Chunk {
    let mut body = Vec::new();
    for number in [riff_bytes, data_bytes, frames] {
        body.extend_from_slice(&number.to_le_bytes());
    }
    // No table of other chunks: only data is long.
    body.extend_from_slice(&0u32.to_le_bytes());
    Chunk { id: *b"ds64", body }
}

fn format(description: &WavDescription) -> Chunk {
    let channels = u16::try_from(description.channels.len()).expect("far fewer channels than 65536");
    let bits = description.depth.bits();
    let block = channels * (bits / 8);
    let samples = if description.depth == BitDepth::Float32 { FORMAT_FLOAT } else { FORMAT_PCM };
    let extensible = channels > 2;
    let mut body = Vec::new();
    body.extend_from_slice(&if extensible { FORMAT_EXTENSIBLE } else { samples }.to_le_bytes());
    body.extend_from_slice(&channels.to_le_bytes());
    body.extend_from_slice(&48_000u32.to_le_bytes());
    body.extend_from_slice(&(48_000 * u32::from(block)).to_le_bytes());
    body.extend_from_slice(&block.to_le_bytes());
    body.extend_from_slice(&bits.to_le_bytes());
    if extensible {
        body.extend_from_slice(&22u16.to_le_bytes());
        body.extend_from_slice(&bits.to_le_bytes());
        // Channel mask: people have no speaker positions.
        body.extend_from_slice(&0u32.to_le_bytes());
        body.extend_from_slice(&samples.to_le_bytes());
        body.extend_from_slice(&SUB_FORMAT_TAIL);
    } else if samples == FORMAT_FLOAT {
        // Formats other than PCM tell the size of their extension.
        body.extend_from_slice(&0u16.to_le_bytes());
    }
    Chunk { id: *b"fmt ", body }
}
