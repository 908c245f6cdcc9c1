//! Mono at any rate to mono at 48 kHz, without a delay: sample `k` of the output is what the input was at `k / 48000` s.
//!
//! The synchronous resampler works on blocks whose lengths have exactly the ratio of the rates, so nothing drifts in a
//! recording of days, and its delay is a whole number of samples that is simply dropped.

use roomtone_protocol::SAMPLE_RATE;
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

/// Shortest block in input samples: longer ones cut less of the highest octave; these are 20 ms of 44.1 kHz.
const MIN_BLOCK: usize = 882;

/// Rates of devices and files that exist.
pub(crate) const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// Converts a stream.
#[derive(Debug)]
pub(crate) enum Resampler {
    /// 48 kHz already.
    Same,
    /// Anything else.
    Blocks(Box<Blocks>),
}

#[derive(Debug)]
pub(crate) struct Blocks {
    rate: u32,
    fft: Fft<f32>,
    waiting: Vec<f32>,
    block: Vec<f32>,
    /// Samples of delay still to be dropped.
    delay: usize,
    taken: u64,
    given: u64,
}

impl Resampler {
    /// For input at `rate`, one of [`RATES`].
    pub(crate) fn new(rate: u32) -> Self {
        if rate == SAMPLE_RATE {
            return Self::Same;
        }
        let (from, to) = (rate as usize, SAMPLE_RATE as usize);
        let unit = from / gcd(from, to);
        // An even number of units: then the middle of the filter lies on a sample.
        let units = MIN_BLOCK.div_ceil(unit).next_multiple_of(2);
        let window = WindowFunction::BlackmanHarris2;
        let fft = Fft::new_custom(from, to, units * unit, 1, 1, window, FixedSync::Both)
            .expect("rates and block length are above zero");
        let (block, delay) = (vec![0.0; fft.output_frames_next()], fft.output_delay());
        Self::Blocks(Box::new(Blocks { rate, fft, waiting: Vec::new(), block, delay, taken: 0, given: 0 }))
    }

    /// Takes input and appends what comes out to `out`.
    pub(crate) fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        match self {
            Self::Same => out.extend_from_slice(input),
            Self::Blocks(blocks) => {
                blocks.taken += input.len() as u64;
                blocks.push(input, out);
            }
        }
    }

    /// Appends what is still inside, so that output and input are equally long.
    pub(crate) fn finish(&mut self, out: &mut Vec<f32>) {
        let Self::Blocks(blocks) = self else { return };
        let due = blocks.taken * u64::from(SAMPLE_RATE) / u64::from(blocks.rate);
        let start = out.len();
        let before = blocks.given;
        let silence = vec![0.0; blocks.fft.input_frames_next()];
        while blocks.given < due {
            blocks.push(&silence, out);
        }
        out.truncate(start + usize::try_from(due - before).expect("at most two blocks"));
    }
}

impl Blocks {
    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        self.waiting.extend_from_slice(input);
        let length = self.fft.input_frames_next();
        let mut used = 0;
        while self.waiting.len() - used >= length {
            let frames = self.block.len();
            let source = SequentialSlice::new(&self.waiting[used..used + length], 1, length);
            let target = SequentialSlice::new_mut(&mut self.block, 1, frames);
            let (source, mut target) = source.and_then(|s| Ok((s, target?))).expect("slices of just these lengths");
            self.fft.process_into_buffer(&source, &mut target, None).expect("blocks of the length it asked for");
            used += length;
            let dropped = self.delay.min(frames);
            self.delay -= dropped;
            out.extend_from_slice(&self.block[dropped..]);
            self.given += (frames - dropped) as u64;
        }
        self.waiting.drain(..used);
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(rate: u32, input: &[f32], piece: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(rate);
        let mut out = Vec::new();
        for piece in input.chunks(piece) {
            resampler.push(piece, &mut out);
        }
        resampler.finish(&mut out);
        out
    }

    #[test]
    fn an_impulse_lands_on_its_sample() {
        for rate in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 44_099, 48_000, 88_200, 96_000, 192_000] {
            for at in [0_usize, 1, 997, 5_000] {
                let mut input = vec![0.0; 12_000];
                input[at] = 1.0;
                let out = convert(rate, &input, 441);
                assert_eq!(out.len() as u64, 12_000 * 48_000 / u64::from(rate));
                let peak = (0..out.len()).max_by(|&a, &b| out[a].abs().total_cmp(&out[b].abs())).unwrap();
                let wanted = at as f64 * 48_000.0 / f64::from(rate);
                assert!((peak as f64 - wanted).abs() <= 0.75, "{rate} Hz: {at} -> {peak}, not {wanted}");
            }
        }
    }

    #[test]
    fn a_sine_stays_in_place() {
        for rate in [44_100_u32, 16_000, 96_000] {
            for hz in [100.0, 1_000.0, 6_000.0] {
                let sine = |n: usize, rate: f64| (std::f64::consts::TAU * hz * n as f64 / rate).sin();
                let input: Vec<f32> = (0..rate as usize * 2).map(|n| 0.5 * sine(n, f64::from(rate)) as f32).collect();
                let out = convert(rate, &input, 480);
                // Without the edges, where the sine begins and ends abruptly.
                let error = (4_800..91_200).map(|n| (f64::from(out[n]) - 0.5 * sine(n, 48_000.0)).abs());
                let worst = error.fold(0.0, f64::max);
                assert!(worst < 1e-4, "{rate} Hz, {hz} Hz: off by {worst}");
            }
        }
    }

    #[test]
    fn the_pieces_it_comes_in_do_not_matter() {
        let input: Vec<f32> = (0..9_000).map(|n| ((n * n) as f32 * 0.001).sin()).collect();
        let whole = convert(44_100, &input, 9_000);
        for piece in [1, 7, 441, 882, 4_000] {
            assert_eq!(convert(44_100, &input, piece), whole);
        }
    }
}
