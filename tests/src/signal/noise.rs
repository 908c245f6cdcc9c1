//! Noise that is the same whenever it is made again.

/// Steele, Lea and Flood's SplitMix64: good enough for sound, and any seed will do.
pub(super) struct Noise(u64);

impl Noise {
    /// Different names give unrelated noise.
    pub(super) fn named(name: [u64; 3]) -> Self {
        let mut noise = Self(0x526f_6f6d_746f_6e65);
        for part in name {
            noise.0 ^= part;
            noise.0 = noise.bits();
        }
        noise
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next sample, between -1 and 1.
    pub(super) fn sample(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    /// The next number between `low` and `high`.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.sample() + 1.0) / 2.0
    }
}

/// A band of frequencies, cut out by a second-order filter (R. Bristow-Johnson's audio EQ cookbook, constant peak gain).
pub(super) struct Band {
    gain: f32,
    back: [f32; 2],
    inputs: [f32; 2],
    outputs: [f32; 2],
}

impl Band {
    /// Around `centre` hertz, `width` hertz wide.
    pub(super) fn around(centre: f32, width: f32) -> Self {
        let omega = std::f32::consts::TAU * centre / super::SAMPLE_RATE as f32;
        let alpha = omega.sin() * width / (2.0 * centre);
        let scale = 1.0 / (1.0 + alpha);
        let back = [-2.0 * omega.cos() * scale, (1.0 - alpha) * scale];
        Self { gain: alpha * scale, back, inputs: [0.0; 2], outputs: [0.0; 2] }
    }

    /// The next sample out for the next sample in.
    pub(super) fn filter(&mut self, input: f32) -> f32 {
        let output =
            self.gain * (input - self.inputs[1]) - self.back[0] * self.outputs[0] - self.back[1] * self.outputs[1];
        self.inputs = [input, self.inputs[0]];
        self.outputs = [output, self.outputs[0]];
        output
    }
}
