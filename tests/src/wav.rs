//! Reads and writes WAVs for the checks.

use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use crate::signal::SAMPLE_RATE;

/// A WAV in memory.
#[derive(Debug, Clone)]
pub struct Wav {
    /// Hertz.
    pub rate: u32,
    /// Bits a sample.
    pub bits: u16,
    /// A list of samples for each channel, full scale at 1.
    pub channels: Vec<Vec<f32>>,
}

impl Wav {
    /// Reads a WAV of integers.
    ///
    /// # Panics
    /// It is not one.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let file = WavReader::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let spec = file.spec();
        let width = usize::from(spec.channels);
        let full_scale = (1_u32 << (spec.bits_per_sample - 1)) as f32;
        let mut channels = vec![Vec::with_capacity(file.duration() as usize); width];
        for (at, sample) in file.into_samples::<i32>().enumerate() {
            let sample = sample.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            channels[at % width].push(sample as f32 / full_scale);
        }
        Self { rate: spec.sample_rate, bits: spec.bits_per_sample, channels }
    }

    /// Length in frames.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }
}

/// Writes a mono WAV of 16 bits at 48 kHz, as a sound server takes it.
///
/// # Panics
/// It cannot be written.
pub fn write_mono(path: &Path, samples: &[f32]) {
    let rate = u32::try_from(SAMPLE_RATE).expect("it is 48,000");
    let spec = WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let written = WavWriter::create(path, spec).and_then(|mut file| {
        for sample in samples {
            #[expect(clippy::cast_possible_truncation, reason = "samples lie within -1 and 1")]
            file.write_sample((sample * 32_767.0) as i16)?;
        }
        file.finalize()
    });
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
