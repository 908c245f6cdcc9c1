//! Somebody who talks without saying anything: tone bursts with a speaker's pitch and the rhythm of speech.

use std::path::Path;

use hound::{SampleFormat, WavSpec, WavWriter};

use crate::failure::Failure;

const SAMPLE_RATE: u32 = 48_000;

/// A synthetic speaker.
pub(crate) struct Voice {
    /// What they are called.
    pub(crate) name: &'static str,
    /// Fundamental frequency in hertz.
    pub(crate) pitch: f32,
    /// How long they talk, in seconds.
    pub(crate) seconds: u32,
}

impl Voice {
    /// Writes what they say as a mono WAV.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let spec =
            WavSpec { channels: 1, sample_rate: SAMPLE_RATE, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let written = WavWriter::create(path, spec).and_then(|mut file| {
            for sample in self.samples() {
                #[expect(clippy::cast_possible_truncation, reason = "samples lie within -1 and 1")]
                file.write_sample((sample * 32_000.0) as i16)?;
            }
            file.finalize()
        });
        written.map_err(|error| Failure::new(format!("{} cannot be written: {error}", path.display()), ""))
    }

    /// Syllables with pauses between them, and a longer pause after every few.
    fn samples(&self) -> Vec<f32> {
        let length = (self.seconds * SAMPLE_RATE) as usize;
        let mut random = Random(self.pitch.to_bits());
        let mut samples = Vec::with_capacity(length);
        let mut syllable = 0;
        while samples.len() < length {
            syllable += 1;
            self.syllable(&mut samples, &mut random);
            let pause = if syllable % 7 == 0 { random.between(0.5, 0.9) } else { random.between(0.03, 0.1) };
            samples.resize(samples.len() + frames(pause), 0.0);
        }
        samples.truncate(length);
        samples
    }

    fn syllable(&self, samples: &mut Vec<f32>, random: &mut Random) {
        let length = frames(random.between(0.12, 0.32));
        let pitch = self.pitch * random.between(0.92, 1.12);
        let loudness = random.between(0.18, 0.34);
        // Two formants, as a vowel has; a harmonic is the louder the nearer it lies to one.
        let formants = [random.between(350.0, 800.0), random.between(1000.0, 2300.0)];
        let harmonics: Vec<(f32, f32)> = (1..=24)
            .map(|number| {
                let hertz = pitch * number as f32;
                let nearness = formants.map(|formant| (-((hertz - formant) / 260.0).powi(2)).exp());
                (hertz, 0.08 / number as f32 + nearness[0] + 0.5 * nearness[1])
            })
            .collect();
        let total: f32 = harmonics.iter().map(|(_, weight)| weight).sum();
        for n in 0..length {
            let time = n as f32 / SAMPLE_RATE as f32;
            let swell = (std::f32::consts::PI * n as f32 / length as f32).sin();
            let tone: f32 =
                harmonics.iter().map(|(hertz, weight)| weight * (std::f32::consts::TAU * hertz * time).sin()).sum();
            samples.push(loudness * swell * tone / total * 2.0);
        }
    }
}

fn frames(seconds: f32) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a syllable's length")]
    let frames = (seconds * SAMPLE_RATE as f32) as usize;
    frames
}

/// Marsaglia's xorshift, so that a speaker always says the same.
struct Random(u32);

impl Random {
    fn between(&mut self, low: f32, high: f32) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        low + (high - low) * (self.0 as f32 / u32::MAX as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_is_loud_enough_never_clips_and_lasts_as_long_as_it_says() {
        let samples = Voice { name: "Ada", pitch: 210.0, seconds: 3 }.samples();
        assert_eq!(samples.len(), 3 * SAMPLE_RATE as usize);
        let peak = samples.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        assert!((0.1..0.9).contains(&peak), "peak {peak}");
    }
}
