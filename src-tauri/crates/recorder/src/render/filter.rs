//! Samples between samples: a windowed sinc in a fixed table.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// Samples that one output is made of.
pub(super) const TAPS: usize = 64;

/// Rows of the table; between two of them coefficients are interpolated linearly, which errs by less than -100 dB.
const PHASES: usize = 256;
const PHASE_BITS: u32 = PHASES.ilog2();

/// Half of full gain lies here, in parts of the sampling rate: Opus ends at 20 kHz, and above 24 kHz nothing may alias.
const CUTOFF: f64 = 22.0 / 48.0;

/// Shape of the Kaiser window: -100 dB beside the main lobe.
const BETA: f64 = 10.06;

/// Accumulators side by side, so that the compiler can use vectors without changing the order of additions.
const LANES: usize = 8;

type Row = [f32; TAPS];

static TABLE: LazyLock<Box<[Row]>> = LazyLock::new(|| (0..=PHASES).map(row).collect());

/// The value `fraction / 2^32` of the way from `samples[TAPS / 2 - 1]` to the one after it.
pub(super) fn interpolate(samples: &[f32; TAPS], fraction: u32) -> f32 {
    let phase = (fraction >> (32 - PHASE_BITS)) as usize;
    let between = (fraction << PHASE_BITS) as f32 / 4_294_967_296.0;
    let (before, after) = (dot(samples, &TABLE[phase]), dot(samples, &TABLE[phase + 1]));
    before + (after - before) * between
}

fn dot(samples: &[f32; TAPS], row: &Row) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (samples, row) in samples.chunks_exact(LANES).zip(row.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] += samples[lane] * row[lane];
        }
    }
    sums.iter().sum()
}

fn row(phase: usize) -> Row {
    let centre = (TAPS / 2 - 1) as f64 + phase as f64 / PHASES as f64;
    let exact: [f64; TAPS] = std::array::from_fn(|tap| {
        let x = tap as f64 - centre;
        let sinc = if x == 0.0 { 2.0 * CUTOFF } else { (2.0 * PI * CUTOFF * x).sin() / (PI * x) };
        let edge = x / (TAPS as f64 / 2.0);
        sinc * bessel(BETA * (1.0 - edge * edge).max(0.0).sqrt()) / bessel(BETA)
    });
    // Every row passes silence's neighbour, a constant, unchanged.
    let sum: f64 = exact.iter().sum();
    exact.map(|value| (value / sum) as f32)
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

    fn worst_error_db(hertz: f64) -> f64 {
        let sine = |t: f64| (2.0 * PI * hertz / 48_000.0 * t).sin();
        let mut worst: f64 = 0.0;
        for step in 0..1_000u32 {
            let fraction = step.wrapping_mul(4_294_967);
            let start = f64::from(step) * 3.7;
            let samples = std::array::from_fn(|tap| sine(start + tap as f64) as f32);
            let exact = sine(start + (TAPS / 2 - 1) as f64 + f64::from(fraction) / 4_294_967_296.0);
            worst = worst.max((f64::from(interpolate(&samples, fraction)) - exact).abs());
        }
        20.0 * worst.log10()
    }

    #[test]
    fn what_lies_between_is_right_up_to_19_khz() {
        for hertz in [0.0, 100.0, 1_000.0, 8_000.0, 16_000.0, 19_000.0] {
            let error = worst_error_db(hertz);
            assert!(error < -85.0, "{hertz} Hz: {error} dB");
        }
    }

    #[test]
    fn a_whole_step_is_the_next_sample_of_a_slow_signal() {
        let samples = std::array::from_fn(|tap| tap as f32);
        assert!((interpolate(&samples, 0) - 31.0).abs() < 1e-3);
        assert!((interpolate(&samples, 1 << 31) - 31.5).abs() < 1e-3);
    }
}
