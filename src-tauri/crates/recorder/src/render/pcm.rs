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

/// Fills `out` with channels of equal length as interleaved little-endian samples.
pub(crate) fn interleave(planar: &[Vec<f32>], depth: BitDepth, out: &mut [u8]) {
    let stride = planar.len() * depth.bytes();
    debug_assert!(planar.iter().all(|channel| channel.len() * stride == out.len()), "all channels fill the block");
    if stride == 0 {
        return;
    }
    for (number, tile) in out.chunks_mut(TILE_FRAMES * stride).enumerate() {
        for (channel, samples) in planar.iter().enumerate() {
            let from = number * TILE_FRAMES;
            let to = samples.len().min(from + TILE_FRAMES);
            put(&samples[from..to], depth, stride, &mut tile[channel * depth.bytes()..]);
        }
    }
}

/// Writes one channel's samples over those that stand in an interleaved block of `channels`.
pub(crate) fn replace_channel(samples: &[f32], depth: BitDepth, channel: usize, channels: usize, block: &mut [u8]) {
    let stride = channels * depth.bytes();
    for (samples, tile) in samples.chunks(TILE_FRAMES).zip(block.chunks_mut(TILE_FRAMES * stride)) {
        put(samples, depth, stride, &mut tile[channel * depth.bytes()..]);
    }
}

/// At most a tile of samples, one every `stride` bytes.
fn put(samples: &[f32], depth: BitDepth, stride: usize, out: &mut [u8]) {
    match depth {
        BitDepth::Int16 => put_integers::<2>(samples, 32_768.0, stride, out),
        BitDepth::Int24 => put_integers::<3>(samples, 8_388_608.0, stride, out),
        BitDepth::Float32 => {
            for (place, sample) in out.chunks_mut(stride).zip(samples) {
                place[..4].copy_from_slice(&sample.to_le_bytes());
            }
        }
    }
}

fn put_integers<const BYTES: usize>(samples: &[f32], full: f32, stride: usize, out: &mut [u8]) {
    // Rounding apart from scattering: the compiler does the former with vectors.
    let mut numbers = [0i32; TILE_FRAMES];
    for (number, &sample) in numbers.iter_mut().zip(samples) {
        *number = rounded(sample, full);
    }
    for (place, number) in out.chunks_mut(stride).zip(&numbers[..samples.len()]) {
        place[..BYTES].copy_from_slice(&number.to_le_bytes()[..BYTES]);
    }
}

/// To the nearest integer, halves away from zero, clamped to `-full..full`, a power of two. Not a number is silence.
fn rounded(sample: f32, full: f32) -> i32 {
    // Scaling by a power of two is exact, and so is what is left of the whole part: nothing is rounded twice.
    let scaled = (sample * full).clamp(-full, full - 1.0);
    let whole = scaled as i32;
    let rest = scaled - whole as f32;
    whole + i32::from(rest >= 0.5) - i32::from(rest <= -0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_away_from_zero_and_nothing_wraps() {
        let full = 8_388_608.0f32;
        for (steps, expected) in [(0.5, 1), (0.49, 0), (-0.5, -1), (1.5, 2), (-1.49, -1)] {
            assert_eq!(rounded(steps / full, full), expected, "{steps}");
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
        let mut bytes = vec![0xee; frames * 3 * 2];
        interleave(&planar, BitDepth::Int16, &mut bytes);
        let read =
            |bytes: &[u8]| -> Vec<i16> { bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect() };
        let expected: Vec<i16> = (0..frames).flat_map(|f| (0..3).map(move |c| (c * 1_000 + f) as i16)).collect();
        assert_eq!(read(&bytes), expected);

        let other: Vec<f32> = (0..frames).map(|f| value(9, f)).collect();
        replace_channel(&other, BitDepth::Int16, 1, 3, &mut bytes);
        let channel = |c: usize| if c == 1 { 9 } else { c };
        let expected: Vec<i16> =
            (0..frames).flat_map(|f| (0..3).map(move |c| (channel(c) * 1_000 + f) as i16)).collect();
        assert_eq!(read(&bytes), expected);
    }

    #[test]
    fn every_depth_has_its_width() {
        for depth in [BitDepth::Int16, BitDepth::Int24, BitDepth::Float32] {
            let mut bytes = vec![0; 2 * depth.bytes()];
            interleave(&[vec![0.5, -0.5]], depth, &mut bytes);
            let (first, second) = bytes.split_at(depth.bytes());
            assert!(first != second && first.iter().any(|&byte| byte != 0), "{depth:?}");
        }
    }
}
