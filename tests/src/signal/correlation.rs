//! Where in a recording a source lies, and how faithfully it was kept.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex32;

/// The best fit of a source in a recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// Frame of the recording at which the source's first sample lies; negative where the recording begins later.
    pub lag: i64,
    /// 1 for a perfect copy at any level, 0 for nothing in common, -1 for a copy upside down; over what overlaps.
    pub correlation: f64,
}

/// Tries every lag.
#[must_use]
pub fn best_match(recording: &[f32], source: &[f32]) -> Match {
    let size = (recording.len() + source.len()).next_power_of_two();
    let products = products(&mut FftPlanner::new(), size, recording, source);
    let best = (0..size).max_by(|&a, &b| products[a].re.abs().total_cmp(&products[b].re.abs()));
    let best = best.expect("a power of two is at least 1");
    // The second half of a circular correlation holds the negative lags.
    let signed = |at: usize| i64::try_from(at).expect("a lag fits");
    let lag = if best < recording.len() { signed(best) } else { signed(best) - signed(size) };
    let from = usize::try_from(lag).unwrap_or(0);
    let skipped = usize::try_from(-lag).unwrap_or(0);
    let overlap = recording.len().saturating_sub(from).min(source.len().saturating_sub(skipped));
    let (heard, said) = (&recording[from..from + overlap], &source[skipped..skipped + overlap]);
    let product: f64 = heard.iter().zip(said).map(|(a, b)| f64::from(a * b)).sum();
    Match { lag, correlation: product / (energy(heard) * energy(said)).sqrt().max(1e-12) }
}

/// Sum of squares.
#[must_use]
pub fn energy(samples: &[f32]) -> f64 {
    samples.iter().map(|sample| f64::from(sample * sample)).sum()
}

/// Cross-correlation by FFT: entry `n` is the sum of `recording[n + k] * source[k]`, lags counted modulo `size`.
pub(super) fn products(
    planner: &mut FftPlanner<f32>,
    size: usize,
    recording: &[f32],
    source: &[f32],
) -> Vec<Complex32> {
    let forward = planner.plan_fft_forward(size);
    let spectrum = |samples: &[f32]| {
        let mut values: Vec<Complex32> = samples.iter().map(|&sample| Complex32::new(sample, 0.0)).collect();
        values.resize(size, Complex32::default());
        forward.process(&mut values);
        values
    };
    let mut values = spectrum(recording);
    let other = spectrum(source);
    #[expect(clippy::cast_precision_loss, reason = "a power of two is exact")]
    let scale = 1.0 / size as f32;
    values.iter_mut().zip(&other).for_each(|(a, b)| *a = *a * b.conj() * scale);
    planner.plan_fft_inverse(size).process(&mut values);
    values
}
