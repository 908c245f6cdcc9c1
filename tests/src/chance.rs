//! Chance that can be repeated.

use std::ops::Range;

use crate::now_unix_ms;

/// Random numbers (SplitMix64: Steele, Lea and Flood) from a seed.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The seed of a run: `ROOMTONE_SEED` to see one again, else another one each time. Tests print it.
    ///
    /// # Panics
    /// `ROOMTONE_SEED` is no number.
    #[must_use]
    pub fn seed() -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "any number will do")]
        std::env::var("ROOMTONE_SEED").map_or_else(
            |_| now_unix_ms() as u64,
            |seed| seed.parse().unwrap_or_else(|error| panic!("ROOMTONE_SEED={seed}: {error}")),
        )
    }

    /// Different seeds give unrelated numbers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number of a range.
    ///
    /// # Panics
    /// There is none in it.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.number() % (range.end - range.start)
    }
}
