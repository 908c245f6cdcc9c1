//! What a speaker says.

use super::SAMPLE_RATE;
use super::noise::{Band, Noise};
use super::time_code::{CODE_FRAMES, identity_burst, sync_burst};

/// Programme of a speaker, root mean square while it sounds.
const LOUDNESS: f32 = 0.12;
/// Pause between the time code and the programme, so that neither smears into the other.
const GUARD_FRAMES: usize = 480;

/// Somebody; different numbers have nothing in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaker(pub u32);

impl Speaker {
    /// What they say, as long as it lasts.
    #[must_use]
    pub fn says(self, seconds: usize) -> Vec<f32> {
        let mut samples = self.programme(seconds * SAMPLE_RATE);
        let sync = sync_burst(self);
        for (second, samples) in samples.chunks_mut(SAMPLE_RATE).enumerate() {
            samples[..CODE_FRAMES + GUARD_FRAMES].fill(0.0);
            samples[..sync.len()].copy_from_slice(&sync);
            let number = u32::try_from(second).expect("a source is shorter than a century");
            samples[sync.len()..CODE_FRAMES].copy_from_slice(&identity_burst(self, number));
        }
        samples
    }

    /// Noise through three formants of the speaker's own, syllable by syllable.
    fn programme(self, length: usize) -> Vec<f32> {
        let mut noise = Noise::named([1, u64::from(self.0), 0]);
        let mut formants = [
            Band::around(noise.between(250.0, 800.0), 300.0),
            Band::around(noise.between(900.0, 2400.0), 500.0),
            Band::around(noise.between(2600.0, 4200.0), 700.0),
        ];
        let mut samples = Vec::with_capacity(length);
        while samples.len() < length {
            let syllable = noise.between(0.1, 0.35) * SAMPLE_RATE as f32;
            let loudness = noise.between(0.5, 1.5);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a syllable's length")]
            for n in 0..syllable as usize {
                let swell = (std::f32::consts::PI * n as f32 / syllable).sin();
                let input = noise.sample();
                let voiced: f32 = formants.iter_mut().map(|formant| formant.filter(input)).sum();
                samples.push(voiced * swell * loudness);
            }
        }
        samples.truncate(length);
        let power = samples.iter().map(|sample| f64::from(sample * sample)).sum::<f64>() / length.max(1) as f64;
        #[expect(clippy::cast_possible_truncation, reason = "a gain")]
        let gain = LOUDNESS / power.sqrt().max(1e-9) as f32;
        samples.iter_mut().for_each(|sample| *sample = (*sample * gain).clamp(-0.9, 0.9));
        samples
    }
}
