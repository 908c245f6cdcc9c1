//! Samples between samples: a windowed sinc in a fixed table.
//!
//! Sampling again at almost the same rate needs no filter of its own against aliases, only one against the images that
//! lie on the other side of 24 kHz. Opus ends at 20 kHz, its images begin at 28 kHz, and there is room in between for
//! a short filter: flat to 18 kHz and further, everything else below -90 dB. At a whole position it passes the sample
//! as it is.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// Samples that one output is made of. The least for the width between 20 and 28 kHz; a multiple of the vectors'.
pub(super) const TAPS: usize = 40;

/// Rows of the table; between two of them coefficients are interpolated linearly, which errs by less than -97 dB at
/// 20 kHz, and less below.
const PHASES: usize = 256;
const PHASE_BITS: u32 = PHASES.ilog2();

/// Half of full gain lies here, in parts of the sampling rate: in the middle between a tone and its image.
const CUTOFF: f64 = 0.5;

/// Shape of the Kaiser window: -95 dB beside the main lobe.
const BETA: f64 = 9.5;

/// Accumulators side by side, so that the compiler can use vectors without changing the order of additions.
const LANES: usize = 4;

/// Coefficients at a phase, and what they grow by until the next one.
#[derive(Debug)]
struct Row {
    values: [f32; TAPS],
    slopes: [f32; TAPS],
}

static TABLE: LazyLock<Box<[Row]>> = LazyLock::new(|| (0..PHASES).map(row).collect());

/// The table, to be looked up once for many samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filter(&'static [Row]);

impl Filter {
    pub(super) fn get() -> Self {
        Self(&TABLE)
    }

    /// The value `fraction / 2^32` of the way from `samples[TAPS / 2 - 1]` to the one after it.
    #[inline]
    pub(super) fn interpolate(self, samples: &[f32; TAPS], fraction: u32) -> f32 {
        let row = &self.0[(fraction >> (32 - PHASE_BITS)) as usize];
        // 24 bits are all that a float holds; from a signed integer the conversion is one instruction.
        let between = ((fraction << PHASE_BITS) >> 8).cast_signed() as f32 * (1.0 / 16_777_216.0);
        let (mut values, mut slopes) = ([0.0f32; LANES], [0.0f32; LANES]);
        let rows = row.values.as_chunks::<LANES>().0.iter().zip(row.slopes.as_chunks::<LANES>().0);
        for (samples, (value, slope)) in samples.as_chunks::<LANES>().0.iter().zip(rows) {
            for lane in 0..LANES {
                values[lane] += samples[lane] * value[lane];
                slopes[lane] += samples[lane] * slope[lane];
            }
        }
        let both: [f32; LANES] = std::array::from_fn(|lane| values[lane] + slopes[lane] * between);
        (both[0] + both[1]) + (both[2] + both[3])
    }
}

fn row(phase: usize) -> Row {
    let (values, next) = (coefficients(phase), coefficients(phase + 1));
    Row {
        values: values.map(|value| value as f32),
        slopes: std::array::from_fn(|tap| (next[tap] - values[tap]) as f32),
    }
}

fn coefficients(phase: usize) -> [f64; TAPS] {
    let centre = (TAPS / 2 - 1) as f64 + phase as f64 / PHASES as f64;
    let exact: [f64; TAPS] = std::array::from_fn(|tap| {
        let x = tap as f64 - centre;
        let sinc = if x == 0.0 { 2.0 * CUTOFF } else { (2.0 * PI * CUTOFF * x).sin() / (PI * x) };
        let edge = x / (TAPS as f64 / 2.0);
        sinc * bessel(BETA * (1.0 - edge * edge).max(0.0).sqrt()) / bessel(BETA)
    });
    // Every row passes silence's neighbour, a constant, unchanged.
    let sum: f64 = exact.iter().sum();
    exact.map(|value| value / sum)
}

/// Modified Bessel function of the first kind, order 0.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..64 {
        term *= (x / 2.0 / f64::from(n)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest difference between a sine and what the filter makes of it at a thousand fractions: whatever is wrong
    /// with its level, and every image.
    fn worst_error_db(hertz: f64) -> f64 {
        let sine = |t: f64| (2.0 * PI * hertz / 48_000.0 * t).sin();
        let mut worst: f64 = 0.0;
        for step in 0..1_000u32 {
            let fraction = step.wrapping_mul(4_294_967);
            let start = f64::from(step) * 3.7;
            let samples = std::array::from_fn(|tap| sine(start + tap as f64) as f32);
            let exact = sine(start + (TAPS / 2 - 1) as f64 + f64::from(fraction) / 4_294_967_296.0);
            worst = worst.max((f64::from(Filter::get().interpolate(&samples, fraction)) - exact).abs());
        }
        20.0 * worst.log10()
    }

    #[test]
    fn what_lies_between_is_right_up_to_19_khz() {
        for hertz in [0.0, 100.0, 1_000.0, 8_000.0, 16_000.0, 18_000.0, 19_000.0] {
            let error = worst_error_db(hertz);
            println!("{hertz} Hz: {error:.1} dB");
            assert!(error < -90.0, "{hertz} Hz: {error} dB");
        }
        assert!(worst_error_db(20_000.0) < -80.0, "the end of what Opus passes");
    }

    #[test]
    fn a_whole_position_is_the_sample_itself() {
        let samples = std::array::from_fn(|tap| (tap as f32 * 0.7).sin());
        let value = Filter::get().interpolate(&samples, 0);
        assert!((value - samples[TAPS / 2 - 1]).abs() < 1e-7, "{value}");
    }

    #[test]
    fn half_way_is_half_way() {
        let samples = std::array::from_fn(|tap| tap as f32);
        let middle = (TAPS / 2) as f32 - 0.5;
        assert!((Filter::get().interpolate(&samples, 1 << 31) - middle).abs() < 1e-3);
    }
}
