//! Lays a recording over its source so exactly that the two can be subtracted.

use std::sync::OnceLock;

use super::correlation::energy;
use super::{Mark, SAMPLE_RATE};

/// Frames on either side that a value between two frames is made of.
const REACH: usize = 24;
/// Kaiser's beta: side lobes below -100 dB, and flat to 20 kHz with this reach (J. Kaiser, 1974).
const BETA: f64 = 10.0;
/// Entries of the filter's table for each frame: what lies between them is wrong by less than -120 dB.
const ENTRIES: usize = 1_024;
/// A mark is exact to a tenth of a frame or so; better places are looked for this far from it, in frames.
const NEAR: f64 = 0.4;
/// In steps of this.
const FINE: f64 = 0.02;
/// Frames of the source by which places are compared, from behind the time code on.
const PROBE: std::ops::Range<usize> = 4_800..14_400;

/// The seconds of a source that are whole in its recording, and beside them what was recorded, sample by sample on the
/// source's own clock. That runs `rate` times as fast as the recording's, or, where the next second can be found, as much
/// as lies between the two: how exactly a recording keeps time is another question than how it sounds.
///
/// # Panics
/// The recording holds no whole second.
#[must_use]
pub fn laid_over(recording: &[f32], marks: &[Mark], source: &[f32], rate: f64) -> (Vec<f32>, Vec<f32>) {
    let (mut heard, mut said) = (Vec::new(), Vec::new());
    for (number, mark) in marks.iter().enumerate() {
        let next = marks.get(number + 1).filter(|next| next.second == mark.second + 1);
        let step = next.map_or(1.0 / rate, |next| (next.frame - mark.frame) / SAMPLE_RATE as f64);
        let first = mark.second as usize * SAMPLE_RATE;
        let end = mark.frame + SAMPLE_RATE as f64 * step;
        let fits = mark.frame >= (REACH + 1) as f64 && end + (REACH + 1) as f64 <= recording.len() as f64;
        let Some(second) = source.get(first..first + SAMPLE_RATE).filter(|_| fits) else { continue };
        let from = best_place(recording, mark.frame, step, second);
        heard.extend((0..SAMPLE_RATE).map(|n| between(recording, from + n as f64 * step)));
        said.extend_from_slice(second);
    }
    assert!(!said.is_empty(), "no second of the source is whole in the recording: {marks:?}");
    (heard, said)
}

/// Where the second begins, near where its mark says.
fn best_place(recording: &[f32], frame: f64, step: f64, second: &[f32]) -> f64 {
    let said = &second[PROBE];
    let difference = |from: f64| {
        let heard = PROBE.map(|n| between(recording, from + n as f64 * step));
        energy(&heard.zip(said).map(|(a, b)| a - b).collect::<Vec<f32>>())
    };
    #[expect(clippy::cast_possible_truncation, reason = "a few dozen steps")]
    let steps = (NEAR / FINE) as i32;
    let places = (-steps..=steps).map(|n| frame + f64::from(n) * FINE).map(|from| (from, difference(from)));
    places.min_by(|a, b| a.1.total_cmp(&b.1)).expect("there are steps").0
}

/// The recording's value at a place between two frames (windowed sinc).
fn between(recording: &[f32], at: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a frame of the recording")]
    let whole = at.floor() as usize;
    let fraction = at - at.floor();
    let kernel = kernel();
    let value: f64 = (whole + 1 - REACH..=whole + REACH)
        .zip(1..)
        .map(|(frame, place)| f64::from(recording[frame]) * weight(kernel, f64::from(place) - REACH as f64 - fraction))
        .sum();
    #[expect(clippy::cast_possible_truncation, reason = "a sample")]
    let value = value as f32;
    value
}

/// The filter at a distance, in frames: between two entries of the table on the line through them.
fn weight(kernel: &[f64], distance: f64) -> f64 {
    let at = distance.abs() * ENTRIES as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an entry of the table")]
    let entry = at as usize;
    let (here, next) = (kernel[entry], kernel[entry + 1]);
    here + (next - here) * (at - at.floor())
}

/// A sinc under Kaiser's window, from its middle to its end and one entry beyond.
fn kernel() -> &'static [f64] {
    static KERNEL: OnceLock<Vec<f64>> = OnceLock::new();
    KERNEL.get_or_init(|| {
        let value = |entry: usize| {
            let x = entry as f64 / ENTRIES as f64;
            let window = bessel(BETA * (1.0 - (x / REACH as f64).powi(2)).max(0.0).sqrt()) / bessel(BETA);
            let angle = std::f64::consts::PI * x;
            if entry == 0 { 1.0 } else { window * angle.sin() / angle }
        };
        (0..=REACH * ENTRIES + 1).map(value).collect()
    })
}

/// The modified Bessel function of order zero, by its power series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..40 {
        term *= (x / 2.0 / f64::from(n)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::super::{Quality, Speaker};
    use super::*;

    #[test]
    fn a_recording_on_a_clock_of_its_own_is_laid_over_its_source() {
        let source = Speaker(1).says(4);
        let rate = 1.0003;
        // Begins between two frames, and is played by a clock that is fast.
        let recording: Vec<f32> = (0..4 * SAMPLE_RATE - 200)
            .map(|n| (n as f64 - 1_000.37) * rate)
            .map(|at| if at < 100.0 { 0.0 } else { between(&source, at) })
            .collect();
        let mark = |second: u32| Mark { second, frame: 1_000.4 + f64::from(second) * SAMPLE_RATE as f64 / rate };
        let (heard, said) = laid_over(&recording, &[mark(1), mark(2)], &source, rate);
        assert_eq!(said.len(), 2 * SAMPLE_RATE);
        let quality = Quality::of(&heard, &said);
        assert!(quality.snr_db > 30.0 && quality.distance_db < 0.2, "{quality:?}");
    }
}
