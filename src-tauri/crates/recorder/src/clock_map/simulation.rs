//! A device, two clocks and a path between them, simulated for the tests. The truth comes from here: in seconds, in
//! floats, and from nothing that the maps are made with.

use roomtone_packets::{ClockExchange, MapStretch};
use roomtone_protocol::channel::{Anchor, Segment};
use roomtone_protocol::{ClockNs, SampleIndex, SegmentId, SegmentKey, WakeEpoch};

use super::TrackClock;

pub(crate) const FIRST: u64 = 48_000;

pub(crate) fn key(epoch: u32, segment: u32) -> SegmentKey {
    SegmentKey { epoch: WakeEpoch(epoch), segment: SegmentId(segment) }
}

pub(crate) fn segment(segment: SegmentKey, first: u64, captured_at: i64) -> Segment {
    Segment {
        segment,
        first: SampleIndex(first),
        captured_at: ClockNs(captured_at),
        codec_delay: 312,
        device: String::new(),
        device_rate: 48_000,
        cause: None,
    }
}

/// Random numbers, the same for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Noise(pub(super) u64);

impl Noise {
    /// From 0 to 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut mixed = self.0 ^ (self.0 >> 31);
        mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 11) as f64 / (1u64 << 53) as f64
    }

    /// With a mean of one.
    pub(crate) fn exponential(&mut self) -> f64 {
        -(1.0 - self.uniform()).ln()
    }

    /// With a standard deviation of one, about normal.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// How a clock runs beside the recorder's.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rate {
    pub(crate) ppm: f64,
    /// A sine on it: ppm and period in seconds.
    pub(crate) sine: (f64, f64),
    /// A random walk on it: ppm a square root of a second.
    pub(crate) walk: f64,
}

/// What everything is made of. Times in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) seconds: usize,
    pub(crate) device: Rate,
    /// The participant's clock.
    pub(crate) clock: Rate,
    pub(crate) ahead: f64,
    pub(crate) one_way: f64,
    /// Mean of what a message waits in queues, each way.
    pub(crate) queue: f64,
    /// Mean of what a callback is late, most of the time.
    pub(crate) late: f64,
    /// One callback in so many is late by up to 20 ms.
    pub(crate) very_late_every: usize,
    /// The link is down in these seconds: neither anchors nor exchanges.
    pub(crate) outage: (usize, usize),
}

impl Default for World {
    fn default() -> Self {
        Self {
            seed: 1,
            seconds: 120,
            device: Rate::default(),
            clock: Rate::default(),
            ahead: -98_765.432_1,
            one_way: 0.010,
            queue: 0.0,
            late: 0.0,
            very_late_every: usize::MAX,
            outage: (0, 0),
        }
    }
}

/// A world that has run, one entry a second of the recorder's clock.
pub(crate) struct Run {
    world: World,
    /// Samples that the device had taken.
    samples: Vec<f64>,
    /// The participant's clock.
    clock: Vec<f64>,
    noise: Noise,
    pub(crate) track: TrackClock,
    pub(crate) decided: Vec<MapStretch>,
}

impl Run {
    /// The device starts at second 0, with sample [`FIRST`].
    pub(crate) fn new(world: World) -> Self {
        let mut noise = Noise(world.seed);
        let mut pass = |rate: Rate, start: f64, per_second: f64| {
            let (mut value, mut walk) = (start, 0.0);
            (0..world.seconds + 2)
                .map(|second| {
                    let before = value;
                    // The middle of the second stands for all of it.
                    let t = second as f64 + 0.5;
                    let (swing, period) = rate.sine;
                    let sine = if swing == 0.0 { 0.0 } else { swing * (std::f64::consts::TAU * t / period).sin() };
                    walk += rate.walk * noise.normal();
                    value += per_second * (1.0 + (rate.ppm + sine + walk) * 1e-6);
                    before
                })
                .collect::<Vec<f64>>()
        };
        let samples = pass(world.device, FIRST as f64, 48_000.0);
        let clock = pass(world.clock, world.ahead, 1.0);
        let mut run = Self { world, samples, clock, noise, track: TrackClock::default(), decided: Vec::new() };
        let captured_at = run.clock_at(0.0) + run.lateness(0);
        run.track.on_segment(&segment(key(1, 0), FIRST, ns(captured_at)));
        run
    }

    /// The participant's clock at an instant of the recorder's.
    fn clock_at(&self, t: f64) -> f64 {
        between(&self.clock, t)
    }

    /// When a sample was captured, on the recorder's clock.
    pub(crate) fn truth(&self, sample: f64) -> f64 {
        let second = self.samples.partition_point(|&taken| taken <= sample).clamp(1, self.samples.len() - 1) - 1;
        let (from, to) = (self.samples[second], self.samples[second + 1]);
        second as f64 + (sample - from) / (to - from)
    }

    /// The sample that is taken at an instant of the recorder's clock.
    pub(crate) fn sample_at(&self, t: f64) -> f64 {
        between(&self.samples, t)
    }

    fn lateness(&mut self, second: usize) -> f64 {
        if second % self.world.very_late_every == 1 {
            return 0.020 * self.noise.uniform();
        }
        self.world.late * self.noise.exponential()
    }

    fn exchange(&mut self, t0: f64) {
        let world = self.world;
        let there = world.one_way + world.queue * self.noise.exponential();
        let thought = 30e-6 * self.noise.uniform();
        let back = world.one_way + world.queue * self.noise.exponential();
        let [t1, t2] = [t0 + there, t0 + there + thought].map(|t| ClockNs(ns(self.clock_at(t))));
        let exchange = ClockExchange {
            epoch: WakeEpoch(1),
            t0: ClockNs(ns(t0)),
            t1,
            t2,
            t3: ClockNs(ns(t0 + there + thought + back)),
        };
        self.track.on_exchange(&exchange);
    }

    /// A second passes; what is decided in it is added to `decided`.
    pub(crate) fn second(&mut self, second: usize) {
        self.measure(second);
        let decided = self.track.decide();
        self.decided.extend(decided);
    }

    /// What is measured in a second.
    pub(crate) fn measure(&mut self, second: usize) {
        if second == 0 {
            (0..8).for_each(|n| self.exchange(f64::from(n) * 0.05));
        }
        if (self.world.outage.0..self.world.outage.1).contains(&second) {
            return;
        }
        self.exchange(second as f64 + 0.4);
        let index = self.samples[second + 1].floor();
        let at = self.clock_at(self.truth(index)) + self.lateness(second);
        let anchor = Anchor { segment: key(1, 0), index: SampleIndex(index as u64), at: ClockNs(ns(at)) };
        self.track.on_anchor(&anchor);
    }

    pub(crate) fn all(mut self) -> Self {
        (0..self.world.seconds).for_each(|second| self.second(second));
        let decided = self.track.conclude(None);
        self.decided.extend(decided);
        self
    }

    /// What the decided map is wrong at a sample, in seconds.
    pub(crate) fn error(&self, sample: f64) -> f64 {
        frame(&self.decided, sample) / 48_000.0 - self.truth(sample)
    }

    /// How far the decided map may be wrong at a sample, as it says itself, in seconds.
    pub(crate) fn stated(&self, sample: f64) -> f64 {
        let begun = self.decided.partition_point(|stretch| stretch.from.0 as f64 <= sample).max(1);
        f64::from(self.decided[begun - 1].uncertainty_ns) * 1e-9
    }

    /// The largest error between two instants.
    pub(crate) fn worst(&self, from: f64, to: f64) -> f64 {
        (0..)
            .map(|n| from + f64::from(n) * 0.731)
            .take_while(|t| *t < to)
            .map(|t| self.error(self.sample_at(t)).abs())
            .fold(0.0, f64::max)
    }
}

/// Timeline frame of a sample, as the format of stretches says.
pub(crate) fn frame(stretches: &[MapStretch], sample: f64) -> f64 {
    let begun = stretches.partition_point(|stretch| stretch.from.0 as f64 <= sample).max(1);
    let stretch = &stretches[begun - 1];
    let two_32 = (1u64 << 32) as f64;
    let whole = (sample - stretch.from.0 as f64) * (stretch.frames_per_sample as f64 / two_32);
    stretch.frame as f64 + f64::from(stretch.fraction) / two_32 + whole
}

fn between(values: &[f64], t: f64) -> f64 {
    let second = (t.max(0.0) as usize).min(values.len() - 2);
    values[second] + (values[second + 1] - values[second]) * (t - second as f64)
}

fn ns(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64
}
