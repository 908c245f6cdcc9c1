//! Floats to bytes, always the same bytes.

use serde::{Deserialize, Serialize};

/// Frames that are interleaved at once: 32 channels of them, in and out, stay in the first-level cache. A loop with a
/// stride over whole blocks costs four times as much.
const TILE_FRAMES: usize = 128;

/// How samples stand in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BitDepth {
    /// 16-bit integers, rounded, without dither so that the same journal gives the same bytes.
    Int16,
    /// 24-bit integers.
    #[default]
    Int24,
    /// 32-bit IEEE floats, not clamped.
    Float32,
}

impl BitDepth {
    /// Bits a sample.
    #[must_use]
    pub const fn bits(self) -> u16 {
        match self {
            Self::Int16 => 16,
            Self::Int24 => 24,
            Self::Float32 => 32,
        }
    }

    /// Bytes a sample.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.bits() as usize / 8
    }
}

/// Appends channels of equal length as interleaved little-endian samples.
pub(crate) fn interleave(planar: &[Vec<f32>], depth: BitDepth, out: &mut Vec<u8>) {
    match depth {
        BitDepth::Int16 => tiles(planar, out, |sample| {
            let [a, b, ..] = rounded(sample, 32_768.0).to_le_bytes();
            [a, b]
        }),
        BitDepth::Int24 => tiles(planar, out, |sample| {
            let [a, b, c, _] = rounded(sample, 8_388_608.0).to_le_bytes();
            [a, b, c]
        }),
        BitDepth::Float32 => tiles(planar, out, f32::to_le_bytes),
    }
}

fn tiles<const BYTES: usize>(planar: &[Vec<f32>], out: &mut Vec<u8>, convert: impl Fn(f32) -> [u8; BYTES]) {
    let frames = planar.first().map_or(0, Vec::len);
    let stride = planar.len() * BYTES;
    let start = out.len();
    out.resize(start + frames * stride, 0);
    if stride == 0 {
        return;
    }
    let mut tile_from = 0;
    for tile in out[start..].chunks_mut(TILE_FRAMES * stride) {
        for (number, channel) in planar.iter().enumerate() {
            let samples = &channel[tile_from..];
            let places = tile[number * BYTES..].chunks_mut(stride);
            for (place, &sample) in places.zip(samples) {
                place[..BYTES].copy_from_slice(&convert(sample));
            }
        }
        tile_from += TILE_FRAMES;
    }
}

/// To the nearest integer, halves away from zero, clamped to `-full..full`. Not a number is silence.
fn rounded(sample: f32, full: f64) -> i32 {
    // In 64 bits scaling and adding a half are exact.
    let scaled = f64::from(sample) * full;
    (scaled + 0.5f64.copysign(scaled)).clamp(-full, full - 1.0) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_away_from_zero_and_nothing_wraps() {
        let full = 8_388_608.0;
        for (steps, expected) in [(0.5, 1), (0.49, 0), (-0.5, -1), (1.5, 2), (-1.49, -1)] {
            assert_eq!(rounded((steps / full) as f32, full), expected, "{steps}");
        }
        assert_eq!(rounded(1.0, full), 8_388_607);
        assert_eq!(rounded(9.0, full), 8_388_607);
        assert_eq!(rounded(-9.0, full), -8_388_608);
        assert_eq!(rounded(f32::NAN, full), 0);
    }

    #[test]
    fn channels_are_interleaved_across_tiles() {
        let frames = 3 * TILE_FRAMES + 7;
        let value = |channel: usize, frame: usize| (channel * 1_000 + frame) as f32 / 32_768.0;
        let planar: Vec<Vec<f32>> = (0..3).map(|c| (0..frames).map(|f| value(c, f)).collect()).collect();
        let mut bytes = vec![0xee];
        interleave(&planar, BitDepth::Int16, &mut bytes);
        let samples: Vec<i16> = bytes[1..].chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
        let expected: Vec<i16> = (0..frames).flat_map(|f| (0..3).map(move |c| (c * 1_000 + f) as i16)).collect();
        assert_eq!((bytes[0], samples), (0xee, expected));
    }

    #[test]
    fn every_depth_has_its_width() {
        for depth in [BitDepth::Int16, BitDepth::Int24, BitDepth::Float32] {
            let mut bytes = Vec::new();
            interleave(&[vec![0.5, -0.5]], depth, &mut bytes);
            assert_eq!(bytes.len(), 2 * depth.bytes());
        }
    }
}
