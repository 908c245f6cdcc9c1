//! Writes the time into a sound, and reads it from a recording of it.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex32;

use super::noise::{Band, Noise};
use super::{SAMPLE_RATE, Speaker, correlation};

/// Frames of the burst that finds a second.
const SYNC_FRAMES: usize = 1440;
/// Frames of the whole code at the beginning of a second.
pub const CODE_FRAMES: usize = 3360;
/// Level of the bursts, root mean square.
const LEVEL: f32 = 0.2;
/// Likeness from which on a burst counts as found; another speaker's, or noise, stays below 0.2.
const THRESHOLD: f32 = 0.6;
/// Seconds that are looked for.
const SECONDS: u32 = 300;

/// A second of the source, found in a recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// Which second of the source.
    pub second: u32,
    /// Frame of the recording at which it begins; between two frames where the truth lies between.
    pub frame: f64,
}

impl Mark {
    /// Frame of the recording at which the source itself would begin, going by this mark.
    #[must_use]
    pub fn origin(&self) -> f64 {
        self.frame - f64::from(self.second) * SAMPLE_RATE as f64
    }
}

/// Finds every second of a speaker's source in a recorded channel, in the order of the recording.
#[must_use]
pub fn read_time_code(channel: &[f32], speaker: Speaker) -> Vec<Mark> {
    let sync = sync_burst(speaker);
    let likeness = likeness(channel, &sync);
    let identities: Vec<Vec<f32>> = (0..SECONDS).map(|second| identity_burst(speaker, second)).collect();
    let mut marks = Vec::new();
    let mut at = 0;
    while at < likeness.len() {
        if likeness[at] < THRESHOLD {
            at += 1;
            continue;
        }
        // The peak lies within a burst's length of where the threshold was passed.
        let until = (at + SYNC_FRAMES).min(likeness.len());
        let peak = (at..until).max_by(|&a, &b| likeness[a].total_cmp(&likeness[b])).expect("the range is not empty");
        if let Some(second) = identify(channel, peak + SYNC_FRAMES, &identities) {
            marks.push(Mark { second, frame: peak as f64 + between(&likeness, peak) });
        }
        at = until;
    }
    marks
}

/// Where the source begins, if all marks agree on that to within `tolerance` frames and miss no second in between.
///
/// # Errors
/// What does not fit.
pub fn constant_offset(marks: &[Mark], tolerance: f64) -> Result<f64, String> {
    let first = marks.first().ok_or("no second of the source was found")?;
    let mean = marks.iter().map(Mark::origin).sum::<f64>() / marks.len() as f64;
    for (number, mark) in (0_u32..).zip(marks) {
        if mark.second != first.second + number {
            return Err(format!("second {} is missing: {mark:?} is there instead", first.second + number));
        }
        if (mark.origin() - mean).abs() > tolerance {
            return Err(format!("{mark:?} lies {:.1} frames from where the others put it", mark.origin() - mean));
        }
    }
    Ok(mean)
}

/// The line that marks lie on to within `tolerance` frames, missing no second in between: where the source begins, and
/// how many frames of the recording a second of it takes. A source that a device plays has the device's clock.
///
/// # Errors
/// What does not fit.
pub fn steady_line(marks: &[Mark], tolerance: f64) -> Result<(f64, f64), String> {
    let count = marks.len() as f64;
    let mean = |value: fn(&Mark) -> f64| marks.iter().map(value).sum::<f64>() / count;
    let (second, frame) = (mean(|mark| f64::from(mark.second)), mean(|mark| mark.frame));
    let spread: f64 = marks.iter().map(|mark| (f64::from(mark.second) - second).powi(2)).sum();
    let together: f64 = marks.iter().map(|mark| (f64::from(mark.second) - second) * (mark.frame - frame)).sum();
    let frames_per_second = if spread > 0.0 { together / spread } else { SAMPLE_RATE as f64 };
    let origin = frame - second * frames_per_second;
    // As if every second had the length that it nominally has.
    let nominal = |mark: &Mark| {
        let off = mark.frame - origin - f64::from(mark.second) * frames_per_second;
        Mark { frame: origin + f64::from(mark.second) * SAMPLE_RATE as f64 + off, ..*mark }
    };
    let nominal: Vec<Mark> = marks.iter().map(nominal).collect();
    constant_offset(&nominal, tolerance).map(|origin| (origin, frames_per_second))
}

pub(super) fn sync_burst(speaker: Speaker) -> Vec<f32> {
    burst(Noise::named([2, u64::from(speaker.0), 0]), SYNC_FRAMES)
}

pub(super) fn identity_burst(speaker: Speaker, second: u32) -> Vec<f32> {
    burst(Noise::named([3, u64::from(speaker.0), u64::from(second)]), CODE_FRAMES - SYNC_FRAMES)
}

/// Noise around 2.5 kHz, where every codec is at home, with soft edges.
fn burst(mut noise: Noise, frames: usize) -> Vec<f32> {
    const EDGE: usize = 96;
    let mut bands = [Band::around(2500.0, 3000.0), Band::around(2500.0, 3000.0)];
    let mut samples: Vec<f32> =
        (0..frames).map(|_| bands.iter_mut().fold(noise.sample(), |sample, band| band.filter(sample))).collect();
    for n in 0..EDGE {
        let gain = n as f32 / EDGE as f32;
        samples[n] *= gain;
        samples[frames - 1 - n] *= gain;
    }
    let power = samples.iter().map(|sample| sample * sample).sum::<f32>() / frames as f32;
    samples.iter_mut().for_each(|sample| *sample = (*sample * LEVEL / power.sqrt()).clamp(-0.95, 0.95));
    samples
}

/// How much the channel resembles `burst` from each frame on: -1 to 1, whatever the level.
fn likeness(channel: &[f32], burst: &[f32]) -> Vec<f32> {
    if channel.len() < burst.len() {
        return Vec::new();
    }
    let size = (channel.len() + burst.len()).next_power_of_two();
    let mut planner = FftPlanner::new();
    let products = correlation::products(&mut planner, size, channel, burst);
    let own = correlation::energy(burst).sqrt();
    // Energy of the channel under the burst, kept up from frame to frame.
    let mut under = correlation::energy(&channel[..burst.len()]);
    let mut likeness = Vec::with_capacity(channel.len() - burst.len() + 1);
    for at in 0..=channel.len() - burst.len() {
        // A silent stretch resembles nothing, not even where rounding left a little of something.
        let norm = own * under.max(1e-4).sqrt();
        #[expect(clippy::cast_possible_truncation, reason = "a likeness")]
        likeness.push((f64::from(real(&products, at)) / norm) as f32);
        if let Some(next) = channel.get(at + burst.len()) {
            under += f64::from(next * next) - f64::from(channel[at] * channel[at]);
        }
    }
    likeness
}

fn real(products: &[Complex32], at: usize) -> f32 {
    products[at].re
}

fn identify(channel: &[f32], from: usize, identities: &[Vec<f32>]) -> Option<u32> {
    let heard = channel.get(from..from + CODE_FRAMES - SYNC_FRAMES)?;
    let norm = correlation::energy(heard).sqrt();
    let likeness = |burst: &Vec<f32>| {
        let product: f64 = heard.iter().zip(burst).map(|(a, b)| f64::from(a * b)).sum();
        product / (norm * correlation::energy(burst).sqrt()).max(1e-9)
    };
    let best = (0_u32..).zip(identities).map(|(second, burst)| (second, likeness(burst)));
    let best = best.max_by(|a, b| a.1.total_cmp(&b.1))?;
    (best.1 > f64::from(THRESHOLD)).then_some(best.0)
}

/// How far beside a peak the true one lies: the top of the parabola through it and its neighbours.
fn between(values: &[f32], peak: usize) -> f64 {
    let (Some(before), Some(after)) = (peak.checked_sub(1).and_then(|at| values.get(at)), values.get(peak + 1)) else {
        return 0.0;
    };
    let (before, top, after) = (f64::from(*before), f64::from(values[peak]), f64::from(*after));
    let curve = before - 2.0 * top + after;
    if curve < 0.0 { (before - after) / (2.0 * curve) } else { 0.0 }
}
