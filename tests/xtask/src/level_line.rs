//! A channel of a WAV as a line of text: how loud it is, and when.

use std::path::Path;

use hound::{SampleFormat, WavReader};

use crate::failure::Failure;

/// Columns of the picture.
const COLUMNS: usize = 40;
/// Quietest level that shows, in dBFS.
const FLOOR_DB: f64 = -60.0;
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What a file holds.
pub(crate) struct Picture {
    /// Its length in seconds.
    pub(crate) seconds: f64,
    /// A line for each channel: level over all, and a bar for each fortieth of the file.
    pub(crate) channels: Vec<String>,
}

/// Reads a WAV.
pub(crate) fn read(path: &Path) -> Result<Picture, Failure> {
    let unreadable = |error: hound::Error| Failure::new(format!("{} cannot be read: {error}", path.display()), "");
    let mut file = WavReader::open(path).map_err(unreadable)?;
    let spec = file.spec();
    let frames = file.duration() as usize;
    let width = usize::from(spec.channels);
    let mut energy = vec![[0.0_f64; COLUMNS]; width];
    let mut add = |at: usize, sample: f64| {
        energy[at % width][at / width * COLUMNS / frames.max(1)] += sample * sample;
    };
    match spec.sample_format {
        SampleFormat::Int => {
            let full_scale = f64::from(1_u32 << (spec.bits_per_sample - 1));
            for (at, sample) in file.samples::<i32>().enumerate() {
                add(at, f64::from(sample.map_err(unreadable)?) / full_scale);
            }
        }
        SampleFormat::Float => {
            for (at, sample) in file.samples::<f32>().enumerate() {
                add(at, f64::from(sample.map_err(unreadable)?));
            }
        }
    }
    let channels = energy.iter().map(|energy| line(energy, frames)).collect();
    Ok(Picture { seconds: frames as f64 / f64::from(spec.sample_rate), channels })
}

fn line(energy: &[f64; COLUMNS], frames: usize) -> String {
    let bars: String = energy.iter().map(|energy| bar(decibels(energy * COLUMNS as f64, frames))).collect();
    let total = decibels(energy.iter().sum(), frames);
    if total > f64::NEG_INFINITY { format!("{total:6.1} dBFS  {bars}") } else { format!("silent       {bars}") }
}

fn decibels(energy: f64, frames: usize) -> f64 {
    10.0 * (energy / frames.max(1) as f64).log10()
}

fn bar(decibels: f64) -> char {
    let height = ((decibels - FLOOR_DB) / -FLOOR_DB).clamp(0.0, 1.0) * (BARS.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 8")]
    let height = height.ceil() as usize;
    BARS[height]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_blank_and_full_scale_is_full() {
        assert_eq!(bar(f64::NEG_INFINITY), ' ');
        assert_eq!(bar(FLOOR_DB - 1.0), ' ');
        assert_eq!(bar(-59.0), '▁');
        assert_eq!(bar(0.0), '█');
        let mut energy = [0.0; COLUMNS];
        energy[0] = 1000.0;
        let text = line(&energy, 1000 * COLUMNS);
        assert_eq!(text.trim_end(), " -16.0 dBFS  █");
    }
}
