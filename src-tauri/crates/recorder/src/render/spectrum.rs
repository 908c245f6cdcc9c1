//! What a sine sounds like that came through a drifting device, measured clocks and the filter.

use std::f64::consts::TAU;

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use super::filter::{Filter, TAPS};
use crate::clock_map::simulation::{FIRST, Rate, Run, World};
use crate::stretch::StretchMap;
use crate::timeline::TimelineFrame;

/// Frames looked at, 10.9 s: two stretches at least.
const FRAMES: usize = 1 << 19;

/// Where the looking begins: behind the corrections of the start, which last up to two minutes on a bad path.
const FROM: i64 = 120 * 48_000;

/// Lines closer to a tone than this are the tone itself, in Hz: its pitch changes by some millionths from stretch to
/// stretch, a tenth of a hertz at 18 kHz, and what that leaves falls off with the square of the distance.
const NEAR: f64 = 30.0;

/// A tone of the world as its device samples it, resampled along the map that was decided.
fn heard(run: &Run, hertz: f64) -> Vec<f64> {
    let first = FROM * 99 / 100;
    let taken: Vec<f32> = (first..FROM + FRAMES as i64 * 101 / 100)
        .map(|index| (TAU * hertz * run.truth((index + FIRST as i64) as f64)).sin() as f32)
        .collect();
    let mut out = Vec::with_capacity(FRAMES);
    for (number, stretch) in run.decided.iter().enumerate() {
        let begins = stretch.frame_of(stretch.from).0.max(FROM);
        let ends = run.decided.get(number + 1).map_or(i64::MAX, |next| next.frame_of(next.from).0);
        for (_, position) in (begins..ends.min(FROM + FRAMES as i64)).zip(stretch.positions_from(TimelineFrame(begins)))
        {
            let start = position.index - FIRST as i64 - first - (TAPS as i64 / 2 - 1);
            let samples = taken[start as usize..].first_chunk().unwrap();
            out.push(f64::from(Filter::get().interpolate(samples, position.fraction)));
        }
    }
    assert_eq!(out.len(), FRAMES, "every frame once");
    out
}

/// The strongest line and all lines together that do not lie near a tone, in dB beside it.
fn spurious(samples: &[f64], hertz: f64) -> (f64, f64) {
    // Four terms of Nuttall's, -98 dB beside the main lobe.
    let window = |n: usize| {
        let x = TAU * n as f64 / samples.len() as f64;
        0.355_768 - 0.487_396 * x.cos() + 0.144_232 * (2.0 * x).cos() - 0.012_604 * (3.0 * x).cos()
    };
    let mut lines: Vec<_> = samples.iter().enumerate().map(|(n, s)| Complex::new(s * window(n), 0.0)).collect();
    FftPlanner::new().plan_fft_forward(lines.len()).process(&mut lines);
    let width = 48_000.0 / samples.len() as f64;
    let powers = lines[..samples.len() / 2].iter().enumerate().map(|(n, line)| (n as f64 * width, line.norm_sqr()));
    let (mut tone, mut strongest, mut all) = (0.0, 0.0f64, 0.0);
    for (frequency, power) in powers {
        if (frequency - hertz).abs() <= NEAR {
            tone += power;
        } else {
            strongest = strongest.max(power);
            all += power;
        }
    }
    (10.0 * (strongest / tone).log10(), 10.0 * (all / tone).log10())
}

#[test]
fn a_drifting_sine_is_a_sine_and_has_no_splices() {
    let run = Run::new(World {
        seconds: 170,
        device: Rate { ppm: 100.0, sine: (2.0, 600.0), walk: 0.05 },
        queue: 0.002,
        late: 0.000_3,
        very_late_every: 9,
        ..World::default()
    })
    .all();
    let seams = run.decided.iter().filter(|stretch| (FROM..FROM + FRAMES as i64).contains(&stretch.frame)).count();
    assert!(seams >= 2 && run.decided[0].from.0 == FIRST, "{seams} seams");
    for hertz in [997.0, 6_000.0, 18_000.0] {
        let (strongest, all) = spurious(&heard(&run, hertz), hertz);
        println!("{hertz} Hz: strongest {strongest:.1} dB, all {all:.1} dB");
        assert!(strongest < -100.0 && all < -88.0, "{hertz} Hz: {strongest} dB, {all} dB");
    }
}

#[test]
fn a_sample_too_many_would_be_seen() {
    let splice = |n: usize| if n < FRAMES / 2 { 0.0 } else { 1.0 };
    let samples: Vec<f64> = (0..FRAMES).map(|n| (TAU * 997.0 * (n as f64 + splice(n)) / 48_000.0).sin()).collect();
    let (strongest, all) = spurious(&samples, 997.0);
    assert!(strongest > -95.0 && all > -80.0, "{strongest} dB, {all} dB");
}
