//! Where a sample lies on the recorder's timeline, as both measurements together say.

use roomtone_protocol::{ClockNs, SAMPLE_RATE, SampleIndex};

use super::anchors::{Anchors, AnchorsFit};
use super::offset::{CLOCK_PPM, DOUBTED, Offset, OffsetFit};
use super::state::Rate;
use crate::stretch::ONE;
use crate::timeline::TimelineFrame;

/// Standard errors that are no longer chance. Measurements that follow each other go wrong together, so the usual two
/// or three are too few.
const SIGNIFICANT: f64 = 4.0;

/// The same for a skew, which two lucky measurements can feign where a path is bad; what is missed shows in the position.
const SIGNIFICANT_SKEW: f64 = 6.0;

/// How many times the usual standard error may be the truth where the scatter of the anchors is not known yet: time
/// stamps come 5 ms late now and then, ten times what is assumed, and one of four or five of them bends the line.
const FEW: f64 = 4.0;

/// A skew that is not looked at before it has had an effect, in parts per million.
const UNSEEN_SKEW_PPM: f64 = 5.0;

/// Frames that no clock is off, whoever says so: 600 years. Fixed point holds them.
const MOST_FRAMES: f64 = 1e15;

/// Timeline frames in a microsecond.
pub(super) const FRAMES_PER_US: f64 = SAMPLE_RATE as f64 / 1e6;

/// A sample, measured.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Timeline frame in 2^-32.
    pub(super) position: i128,
    /// How much longer than a frame a sample takes, in parts per million.
    pub(super) skew: f64,
    /// Standard error of `skew`.
    skew_error: f64,
    /// Standard error of the position, in microseconds.
    error: f64,
    /// The same as it is told: of few anchors, one that came late counts for much.
    told_error: f64,
    /// What queues that all wait in one direction can have moved it, in microseconds.
    bias: f64,
    /// Spread of the measurements, in microseconds.
    spread: f64,
    /// Half of the least round trip, in microseconds.
    asymmetry: f64,
    anchors: AnchorsFit,
    offset: OffsetFit,
    /// When it was captured: seconds since the segment's first sample, and since the first exchange.
    at: (f64, f64),
}

impl Place {
    /// None without an exchange, or if the measurements say nothing.
    pub(super) fn of(index: SampleIndex, anchors: &Anchors, offset: &Offset) -> Option<Self> {
        let seconds = anchors.seconds(index);
        let on_device = anchors.fit(seconds)?;
        let late = on_device.fit.state.offset;
        let on_participant = seconds_on_participant(index, anchors, offset, late);
        let between = offset.fit(on_participant)?;
        // Whole and exact: the sample at a rate of one, and where the clocks stood when measuring began.
        let samples = i128::from(index.0) - i128::from(anchors.first().0);
        let began = i128::from(anchors.captured_at().0) + i128::from(offset.base()?);
        let nominal = (samples << 32) + ((began * i128::from(SAMPLE_RATE)) << 32).div_euclid(1_000_000_000);
        let measured = (late + between.fit.state.offset) * FRAMES_PER_US;
        let (device, clock) = (&on_device.fit.state, &between.fit.state);
        Some(Self {
            position: nominal + (measured.clamp(-MOST_FRAMES, MOST_FRAMES) * ONE as f64).round() as i128,
            skew: device.skew + clock.skew + device.skew * clock.skew * 1e-6,
            skew_error: device.skew_error().hypot(clock.skew_error()),
            error: device.error().hypot(clock.error()),
            told_error: (device.error() * few(&on_device)).hypot(clock.error()),
            bias: between.bias,
            spread: on_device.spread.hypot(between.spread),
            asymmetry: between.asymmetry,
            anchors: on_device,
            offset: between,
            at: (seconds, on_participant),
        })
    }

    /// Uses up what was measured until there.
    pub(super) fn settle(&self, anchors: &mut Anchors, offset: &mut Offset) {
        anchors.settle(self.at.0, &self.anchors);
        offset.settle(self.at.1, &self.offset);
    }

    /// Microseconds by which the sample was captured behind a nominal rate, on the participant's clock.
    pub(super) fn late(&self) -> f64 {
        self.anchors.fit.state.offset
    }

    /// How fast the device runs beside its participant's clock.
    pub(super) fn device(&self) -> Rate {
        let Rate { skew, error } = self.anchors.fit.state.rate();
        Rate { skew, error: error * few(&self.anchors) }
    }

    /// Deviations up to this many microseconds may be chance, or queues.
    pub(super) fn doubt(&self) -> f64 {
        (SIGNIFICANT * self.error).max(self.bias)
    }

    /// Whether the device runs at another rate than the recorder, beyond doubt, with this many seconds of evidence.
    pub(super) fn drifts(&self, seconds: f64) -> bool {
        // Queues may have moved both ends of the line, one up and one down.
        let doubt = (SIGNIFICANT_SKEW * self.skew_error).max(2.0 * self.bias / seconds);
        // Beside its own computer's clock a device is measured without any path between them.
        let Rate { skew, error } = self.device();
        self.skew.abs() > doubt.max(UNSEEN_SKEW_PPM) || skew.abs() > SIGNIFICANT_SKEW * error + CLOCK_PPM
    }

    /// Spread of the measurements, in nanoseconds.
    pub(super) fn residual_ns(&self) -> u32 {
        ns(self.spread)
    }

    /// How far the map may lie from the truth here at most, in nanoseconds, where it lies `off` microseconds from the
    /// measured place because corrections are slow.
    ///
    /// Half of the least round trip can hide in a path that is longer one way, queues can all have waited on the same
    /// side, and the rest is chance.
    pub(super) fn uncertainty_ns(&self, off: f64) -> u32 {
        ns(self.asymmetry + self.bias + DOUBTED * self.told_error + off.abs())
    }

    /// The timeline frame that begins closest.
    pub(super) fn nearest(&self) -> TimelineFrame {
        TimelineFrame(clamp((self.position + (1 << 31)) >> 32))
    }
}

/// When a sample was captured, in seconds since the first exchange, if it was `late` microseconds behind nominal.
pub(super) fn seconds_on_participant(index: SampleIndex, anchors: &Anchors, offset: &Offset, late: f64) -> f64 {
    let began = offset.seconds(ClockNs(anchors.captured_at().0));
    began + anchors.seconds(index) + late / 1e6
}

/// How many times the standard error counts.
fn few(anchors: &AnchorsFit) -> f64 {
    if anchors.spread > 0.0 { 1.0 } else { FEW }
}

/// Microseconds as nanoseconds. Floats that are too large become the largest integer.
fn ns(us: f64) -> u32 {
    (us * 1e3).round() as u32
}

pub(super) fn clamp(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}
