//! What a microphone's sound alone tells about it: nothing but zeros, clipping, or far less than usual. Pure.

use std::collections::VecDeque;

/// Blocks a second: levels are those of 20 ms.
const BLOCKS: u64 = 50;

/// Seconds of exact zeros that are no room: every analogue input has noise. A second remains of the five within which
/// people are to know.
const SILENT_SECONDS: u64 = 4;

/// What counts as full scale: one step of a 16-bit converter below it, and what a driver's rounding makes of that.
const FULL_SCALE: f32 = 0.9995;

/// Samples in a row at full scale that no wave has by itself.
const FLAT_SAMPLES: u32 = 3;

/// Blocks with flat tops within [`CLIP_WINDOW`] that are an alarm: a single knock on the table is none.
const CLIPPED_BLOCKS: usize = 5;
const CLIP_WINDOW: u64 = 3 * BLOCKS;

/// Without a flat top for this long the alarm is over.
const CLIP_OVER: u64 = 10 * BLOCKS;

/// Stretches of which the quietest block is known: the noise of a room shows in every pause for breath.
const STRETCH: u64 = 4 * BLOCKS;

/// Stretches that are the usual noise, and how many must be known before anything is said.
const USUAL: usize = 8;
const USUAL_LEAST: usize = 5;

/// How far below the usual noise even the loudest block must stay: a fan that stops takes less away, the voice modes of
/// calls take more.
const QUIET_DB: f64 = 12.0;

/// Nothing is quieter than this, in dB: below it lies silence itself.
const FLOOR_DB: f64 = -120.0;

/// What is wrong with the sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// Exact zeros for seconds; `ever_heard` tells whether there was anything else before.
    Silent { ever_heard: bool },
    /// It reaches full scale again and again.
    Clipping,
    /// Even its loudest is far below what its own noise used to be.
    Quiet,
}

/// Listens to one stream, at the device's own rate and before any muting.
#[derive(Debug)]
pub(crate) struct SoundCheck {
    rate: u64,
    zeros: u64,
    heard: bool,
    flat: u32,
    block: Block,
    blocks: u64,
    /// The blocks with flat tops.
    clipped: VecDeque<u64>,
    clipping: bool,
    stretch: Stretch,
    /// The quietest blocks of earlier stretches.
    usual: VecDeque<f64>,
    quiet: bool,
}

#[derive(Debug, Default)]
struct Block {
    samples: u64,
    power: f64,
    clipped: bool,
}

#[derive(Debug)]
struct Stretch {
    blocks: u64,
    quietest: f64,
    loudest: f64,
}

impl Default for Stretch {
    fn default() -> Self {
        Self { blocks: 0, quietest: f64::INFINITY, loudest: FLOOR_DB }
    }
}

impl SoundCheck {
    /// For a device at `rate`.
    pub(crate) fn new(rate: u32) -> Self {
        Self {
            rate: u64::from(rate),
            zeros: 0,
            heard: false,
            flat: 0,
            block: Block::default(),
            blocks: 0,
            clipped: VecDeque::new(),
            clipping: false,
            stretch: Stretch::default(),
            usual: VecDeque::new(),
            quiet: false,
        }
    }

    /// Takes a sample.
    pub(crate) fn push(&mut self, sample: f32) {
        if sample == 0.0 {
            self.zeros += 1;
        } else {
            self.zeros = 0;
            self.heard = true;
        }
        self.flat = if sample.abs() >= FULL_SCALE { self.flat + 1 } else { 0 };
        self.block.clipped |= self.flat >= FLAT_SAMPLES;
        self.block.power += f64::from(sample) * f64::from(sample);
        self.block.samples += 1;
        if self.block.samples >= self.rate / BLOCKS {
            self.end_block();
        }
    }

    /// Whether nothing but zeros came so far.
    pub(crate) fn is_flat(&self) -> bool {
        !self.heard
    }

    /// What is wrong now.
    pub(crate) fn complaint(&self) -> Option<Complaint> {
        if self.zeros >= self.rate * SILENT_SECONDS {
            Some(Complaint::Silent { ever_heard: self.heard })
        } else if self.clipping {
            Some(Complaint::Clipping)
        } else {
            self.quiet.then_some(Complaint::Quiet)
        }
    }

    fn end_block(&mut self) {
        let block = std::mem::take(&mut self.block);
        self.blocks += 1;
        if block.clipped {
            self.clipped.push_back(self.blocks);
        }
        let newest = self.clipped.back().copied();
        while self.clipped.front().is_some_and(|&at| at + CLIP_WINDOW < newest.unwrap_or(0)) {
            self.clipped.pop_front();
        }
        self.clipping |= self.clipped.len() >= CLIPPED_BLOCKS;
        if newest.is_none_or(|at| at + CLIP_OVER < self.blocks) {
            self.clipping = false;
            self.clipped.clear();
        }
        self.weigh((10.0 * (block.power / block.samples as f64).log10()).max(FLOOR_DB));
    }

    fn weigh(&mut self, level: f64) {
        self.stretch.blocks += 1;
        self.stretch.quietest = self.stretch.quietest.min(level);
        self.stretch.loudest = self.stretch.loudest.max(level);
        let usual = self.usual();
        // What is loud enough ends the alarm at once.
        if usual.is_none_or(|usual| level > usual - QUIET_DB) {
            self.quiet = false;
        }
        if self.stretch.blocks < STRETCH {
            return;
        }
        let stretch = std::mem::take(&mut self.stretch);
        // Zeros alone are another complaint.
        let sounds = stretch.loudest > FLOOR_DB;
        self.quiet |= sounds && usual.is_some_and(|usual| stretch.loudest < usual - QUIET_DB);
        if !self.quiet {
            self.usual.push_back(stretch.quietest);
            if self.usual.len() > USUAL {
                self.usual.pop_front();
            }
        }
    }

    /// The noise that it usually has, if that is known and more than nothing.
    fn usual(&self) -> Option<f64> {
        let mut usual: Vec<_> = self.usual.iter().copied().collect();
        usual.sort_by(f64::total_cmp);
        let middle = usual.get(usual.len() / 2).copied().filter(|_| usual.len() >= USUAL_LEAST)?;
        (middle - QUIET_DB > FLOOR_DB).then_some(middle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 8_000;

    /// Seconds of noise whose peak is `peak`; the time in seconds at which `complaint` first appears in it.
    fn noise(check: &mut SoundCheck, seconds: f64, peak: f32, complaint: Option<Complaint>) -> Option<f64> {
        let mut state = 1_u32;
        let mut first = None;
        for n in 0..(seconds * f64::from(RATE)) as u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            check.push(peak * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0));
            if check.complaint() == complaint && first.is_none() {
                first = Some(f64::from(n) / f64::from(RATE));
            }
        }
        first
    }

    fn zeros(check: &mut SoundCheck, seconds: u32) {
        (0..seconds * RATE).for_each(|_| check.push(0.0));
    }

    #[test]
    fn zeros_are_silence_after_four_seconds_and_noise_is_none() {
        let mut check = SoundCheck::new(RATE);
        noise(&mut check, 20.0, 1e-5, None);
        assert_eq!(check.complaint(), None);
        zeros(&mut check, 3);
        assert_eq!(check.complaint(), None);
        zeros(&mut check, 1);
        assert_eq!(check.complaint(), Some(Complaint::Silent { ever_heard: true }));
        check.push(1e-6);
        assert_eq!(check.complaint(), None);
    }

    #[test]
    fn who_was_never_heard_is_told_apart() {
        let mut check = SoundCheck::new(RATE);
        zeros(&mut check, 4);
        assert_eq!(check.complaint(), Some(Complaint::Silent { ever_heard: false }));
        assert!(check.is_flat());
    }

    #[test]
    fn a_sine_beyond_full_scale_clips_within_five_seconds_and_one_below_does_not() {
        let sine = |check: &mut SoundCheck, seconds: u32, gain: f32| {
            let mut first = None;
            for n in 0..seconds * RATE {
                let wave = (n as f32 * std::f32::consts::TAU * 220.0 / RATE as f32).sin();
                check.push((gain * wave).clamp(-1.0, 1.0));
                if check.complaint() == Some(Complaint::Clipping) && first.is_none() {
                    first = Some(n / RATE);
                }
            }
            first
        };
        let mut check = SoundCheck::new(RATE);
        assert_eq!(sine(&mut check, 30, 0.99), None);
        assert!(sine(&mut check, 5, 1.5).is_some_and(|second| second < 5));
        assert_eq!(check.complaint(), Some(Complaint::Clipping));
        sine(&mut check, 11, 0.5);
        assert_eq!(check.complaint(), None, "it ends too");
    }

    #[test]
    fn one_knock_is_no_clipping() {
        let mut check = SoundCheck::new(RATE);
        for _ in 0..5 {
            (0..20).for_each(|_| check.push(1.0));
            assert_eq!(noise(&mut check, 4.0, 0.01, Some(Complaint::Clipping)), None);
        }
    }

    #[test]
    fn less_than_the_usual_noise_is_quiet_and_louder_ends_it() {
        let mut check = SoundCheck::new(RATE);
        // A voice over the noise of a room, with pauses.
        for _ in 0..20 {
            noise(&mut check, 1.5, 0.3, None);
            noise(&mut check, 1.0, 0.01, None);
        }
        assert_eq!(check.complaint(), None);
        // Nobody speaks for a minute: that is no less than usual.
        assert_eq!(noise(&mut check, 60.0, 0.01, Some(Complaint::Quiet)), None);
        // A voice mode takes 30 dB away, from the voice as well.
        let told = noise(&mut check, 9.0, 0.01 / 31.0, Some(Complaint::Quiet));
        assert!(told.is_some_and(|second| second < 8.1), "{told:?}");
        noise(&mut check, 600.0, 0.01 / 31.0, None);
        assert_eq!(check.complaint(), Some(Complaint::Quiet), "it does not become usual");
        noise(&mut check, 0.1, 0.1, None);
        assert_eq!(check.complaint(), None);
    }

    #[test]
    fn a_microphone_with_a_gate_of_its_own_is_not_quiet() {
        let mut check = SoundCheck::new(RATE);
        for _ in 0..30 {
            noise(&mut check, 1.5, 0.3, None);
            zeros(&mut check, 2);
        }
        assert_eq!(noise(&mut check, 30.0, 0.001, Some(Complaint::Quiet)), None);
    }
}
