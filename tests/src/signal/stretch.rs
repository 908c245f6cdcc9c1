//! Looks at a recording stretch by stretch, so that a single packet that was made up is found.

use std::ops::Range;

use super::correlation::energy;

/// Frames of a stretch: 20 ms, a packet.
const STRETCH: usize = 960;
/// Stretches begin this often, so that one of them lies in three quarters of any packet.
const STEP: usize = STRETCH / 2;
/// Root mean square below which a source says too little to be recognised by: -34 dBFS.
const AUDIBLE: f64 = 0.02;

/// 20 ms of a recording, beside what they should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    /// Its first frame in the recording.
    pub at: usize,
    /// 1 for a perfect copy at any level, 0 for nothing in common.
    pub likeness: f64,
}

/// The stretch of some frames of a recording that resembles its source least, and how many were looked at. The source
/// begins at frame `origin`; where it says nothing, and where it is over, nothing is looked at.
#[must_use]
pub fn weakest_stretch(
    recording: &[f32],
    within: Range<usize>,
    source: &[f32],
    origin: i64,
) -> (Option<Stretch>, usize) {
    let likeness = |at: usize| {
        let from = usize::try_from(i64::try_from(at).ok()? - origin).ok()?;
        let said = source.get(from..from + STRETCH)?;
        let heard = recording.get(at..at + STRETCH)?;
        let power = energy(said);
        if (power / STRETCH as f64).sqrt() < AUDIBLE {
            return None;
        }
        let product: f64 = heard.iter().zip(said).map(|(a, b)| f64::from(a * b)).sum();
        Some(Stretch { at, likeness: product / (energy(heard) * power).sqrt().max(1e-12) })
    };
    let last = within.end.saturating_sub(STRETCH);
    let stretches: Vec<Stretch> = (within.start..=last).step_by(STEP).filter_map(likeness).collect();
    let weakest = stretches.iter().copied().min_by(|a, b| a.likeness.total_cmp(&b.likeness));
    (weakest, stretches.len())
}
