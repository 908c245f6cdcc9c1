//! How much of a sound a copy keeps, by two measures that speech coding is judged by.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex32;

use super::SAMPLE_RATE;
use super::correlation::energy;

/// Frames of a segment: 20 ms.
const SEGMENT: usize = 960;
/// Segments beyond these count as this bad or this good, in dB: neither silence nor a perfect copy may outweigh the
/// rest (the usual bounds of the segmental SNR).
const BOUNDS_DB: (f64, f64) = (-10.0, 35.0);
/// Segments whose source is quieter than this, root mean square, do not count: -46 dBFS.
const AUDIBLE: f64 = 0.005;
/// Frames of a spectrum.
const WINDOW: usize = 1_024;
/// Spectra are compared up to here, in hertz: what a recording should keep, and less than Opus' own 20 kHz.
const HIGHEST: usize = 18_000;
/// Powers below this count as this: the noise of 16 bits in a bin of a window.
const FLOOR: f32 = 1e-7;

/// How near a copy comes to what it is a copy of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Segmental signal-to-noise ratio, in dB: the more the better.
    pub snr_db: f64,
    /// Log-spectral distance, in dB: the less the better.
    pub distance_db: f64,
}

impl Quality {
    /// Compares a copy with what it is a copy of, frame by frame.
    ///
    /// # Panics
    /// They are not equally long, or nothing can be heard.
    #[must_use]
    pub fn of(copy: &[f32], original: &[f32]) -> Self {
        assert_eq!(copy.len(), original.len(), "a copy is as long as what it is a copy of");
        Self { snr_db: segmental_snr(copy, original), distance_db: spectral_distance(copy, original) }
    }
}

fn audible(samples: &[f32]) -> bool {
    (energy(samples) / samples.len() as f64).sqrt() >= AUDIBLE
}

fn segmental_snr(copy: &[f32], original: &[f32]) -> f64 {
    let segments = copy.chunks_exact(SEGMENT).zip(original.chunks_exact(SEGMENT));
    let ratios = segments.filter(|(_, original)| audible(original)).map(|(copy, original)| {
        let noise: f64 = copy.iter().zip(original).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        (10.0 * (energy(original) / noise.max(1e-12)).log10()).clamp(BOUNDS_DB.0, BOUNDS_DB.1)
    });
    mean(ratios)
}

fn spectral_distance(copy: &[f32], original: &[f32]) -> f64 {
    let fft = FftPlanner::new().plan_fft_forward(WINDOW);
    let highest = HIGHEST * WINDOW / SAMPLE_RATE;
    let hann = |n: usize| 0.5 - 0.5 * (std::f32::consts::TAU * n as f32 / WINDOW as f32).cos();
    let spectrum = |samples: &[f32]| {
        let windowed = samples.iter().enumerate().map(|(n, &sample)| Complex32::new(sample * hann(n), 0.0));
        let mut values: Vec<Complex32> = windowed.collect();
        fft.process(&mut values);
        values.truncate(highest);
        values.iter().map(|value| value.norm_sqr().max(FLOOR)).collect::<Vec<f32>>()
    };
    let windows = copy.chunks_exact(WINDOW).zip(original.chunks_exact(WINDOW));
    let distances = windows.filter(|(_, original)| audible(original)).map(|(copy, original)| {
        let (copy, original) = (spectrum(copy), spectrum(original));
        let squares = copy.iter().zip(&original).map(|(a, b)| f64::from(10.0 * (a / b).log10()).powi(2));
        mean(squares).sqrt()
    });
    mean(distances)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    assert!(count > 0, "there is nothing to be heard");
    sum / f64::from(count)
}

#[cfg(test)]
mod tests {
    use super::super::Speaker;
    use super::*;

    /// A copy with noise of a constant level, `level_db` below the sound's mean.
    fn noisy(original: &[f32], level_db: f64) -> Vec<f32> {
        let noise = Speaker(99).says(original.len() / SAMPLE_RATE + 1);
        let gain = (energy(original) / energy(&noise[..original.len()])).sqrt() * 10_f64.powf(level_db / 20.0);
        #[expect(clippy::cast_possible_truncation, reason = "a sample")]
        original.iter().zip(&noise).map(|(a, b)| a + b * gain as f32).collect()
    }

    #[test]
    fn a_perfect_copy_is_as_good_as_can_be_and_noise_makes_it_worse() {
        let original = Speaker(1).says(3);
        let perfect = Quality::of(&original, &original);
        assert_eq!(perfect, Quality { snr_db: BOUNDS_DB.1, distance_db: 0.0 });
        let (good, bad) =
            (Quality::of(&noisy(&original, -30.0), &original), Quality::of(&noisy(&original, -10.0), &original));
        assert!(perfect.snr_db > good.snr_db && good.snr_db > bad.snr_db + 10.0, "{good:?} {bad:?}");
        assert!(good.distance_db > 0.0 && bad.distance_db > good.distance_db, "{good:?} {bad:?}");
    }

    #[test]
    fn a_dull_copy_is_found_by_its_spectrum() {
        let original = Speaker(1).says(3);
        let dull: Vec<f32> = original.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).chain([0.0]).collect();
        let quality = Quality::of(&dull, &original);
        assert!(quality.distance_db > 3.0, "{quality:?}");
    }
}
