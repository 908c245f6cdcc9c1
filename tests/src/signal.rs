//! Sources for the tests: speakers that differ from each other, with the time in the sound itself.
//!
//! | part of each second | what | why |
//! |---|---|---|
//! | 0 to 30 ms | a noise burst that is the speaker's own | finds where a second begins |
//! | 30 to 70 ms | a noise burst of the speaker and the second | tells which second it is |
//! | 80 to 1000 ms | shaped noise with the rhythm of speech | what a recording has to keep |
//!
//! Noise does not repeat, so that no two speakers and no two seconds resemble each other by chance.

mod correlation;
mod noise;
mod overlay;
mod quality;
mod speaker;
mod stretch;
mod time_code;

pub use correlation::{Match, best_match, energy};
pub use overlay::laid_over;
pub use quality::Quality;
pub use speaker::Speaker;
pub use stretch::{Stretch, weakest_stretch};
pub use time_code::{CODE_FRAMES, Mark, constant_offset, read_time_code, steady_line};

/// Hertz, of everything here.
pub const SAMPLE_RATE: usize = 48_000;
