//! True time, which only the world knows, and the clocks of machines and devices, which are all a little wrong.

use roomtone_protocol::ClockNs;

use crate::random::Random;

/// True time in nanoseconds since the world began.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct True(pub(crate) i64);

pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const MS: i64 = 1_000_000;

impl True {
    pub(crate) fn seconds(seconds: f64) -> Self {
        Self((seconds * 1e9) as i64)
    }

    pub(crate) fn plus(self, ns: i64) -> Self {
        Self(self.0 + ns)
    }

    pub(crate) fn as_seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

/// One machine's timeline clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MachineClock {
    offset_ns: i64,
    rate: f64,
}

impl MachineClock {
    /// Quartz of a computer: within 30 ppm, and counting from its boot.
    pub(crate) fn any(random: &mut Random) -> Self {
        let offset_ns = (random.between(1.0, 1e6) * 1e9) as i64;
        Self { offset_ns, rate: 1.0 + random.between(-30e-6, 30e-6) }
    }

    /// The same quartz behind a boot that began like that of another machine.
    pub(crate) fn booted(self, like: Self) -> Self {
        Self { offset_ns: like.offset_ns, ..self }
    }

    /// Half a second at most, either way, by the chance that there is in a boot: what its wall clock is off.
    pub(crate) fn wall_off_ns(self) -> i64 {
        self.offset_ns % SECOND - SECOND / 2
    }

    pub(crate) fn at(&self, time: True) -> ClockNs {
        ClockNs(self.offset_ns + (time.0 as f64 * self.rate).round() as i64)
    }

    /// The earliest true time at which the clock shows `clock` or more.
    pub(crate) fn when(&self, clock: ClockNs) -> True {
        let guess = ((clock.0.saturating_sub(self.offset_ns)) as f64 / self.rate).round() as i64;
        let mut time = True(guess);
        while self.at(time) < clock {
            time = time.plus(1);
        }
        time
    }
}

/// A microphone's own clock: samples come a little too fast or too slow, and not always by the same amount.
#[derive(Debug, Clone)]
pub(crate) struct DeviceClock {
    skew: f64,
    /// Amplitude, period in seconds and phase of its wander: temperature, mostly.
    wander: (f64, f64, f64),
}

impl DeviceClock {
    pub(crate) fn any(random: &mut Random, max_ppm: f64) -> Self {
        let skew = random.between(-max_ppm, max_ppm) * 1e-6;
        let wander = (
            random.between(0.0, (max_ppm / 50.0).min(2.0)) * 1e-6,
            random.between(200.0, 2_000.0),
            random.between(0.0, 6.0),
        );
        Self { skew, wander }
    }

    /// How long one sample takes at `time`, in nanoseconds of true time.
    pub(crate) fn sample_ns(&self, time: f64) -> f64 {
        let (amplitude, period, phase) = self.wander;
        let wander = amplitude * (time / 1e9 / period * std::f64::consts::TAU + phase).sin();
        1e9 / 48_000.0 / (1.0 + self.skew + wander)
    }
}
