//! How a segment's map goes on: which stretch comes next, decided once.
//!
//! A device that shares the recorder's clock is copied: its map has a slope of exactly one and starts on a whole frame,
//! and measurements have to contradict it beyond doubt before anything changes. All others are followed from node to
//! node: each stretch ends where the measurements put the next node, as far as the limits of a correction allow.

use roomtone_packets::MapStretch;
use roomtone_protocol::channel::{Anchor, Segment};
use roomtone_protocol::{SAMPLE_RATE, SampleIndex, SegmentKey};

use super::anchors::Anchors;
use super::offset::Offset;
use super::place::{FRAMES_PER_US, Place, clamp, seconds_on_participant};
use super::state::Rate;
use crate::stretch::ONE;
use crate::timeline::TimelineFrame;

/// Samples from node to node, 5.5 s: short beside the minutes in which devices wander. A power of two, so that a shift
/// by whole frames is exact in fixed point.
pub(super) const STEP: u64 = 1 << 18;

/// Evidence from behind a node that is waited for, in seconds.
const LAG_S: f64 = 10.0;

/// The same for a segment's beginning: where it is put is where it stays for a while, because corrections are slow. A
/// minute brings a sound server that scatters by milliseconds on a busy machine under a third of one.
const FIRST_LAG_S: f64 = 60.0;

/// Nodes in a gap without evidence are as far apart as this part of it, so that their number stays small.
const GAP_NODES: f64 = 16.0;

/// What is decided behind the end of a recording: interpolation looks ahead by less than this, 100 ms.
const MARGIN: u64 = 4_800;

/// Deviations from a nominal map that are let be, in microseconds: about what the answers of a machine under changing
/// load shift. Drift shows up sooner or later, however slow it is.
const TOLERANCE_US: f64 = 150.0;

/// Fastest correction, beside the device's own rate: 100 ppm, a fiftieth of the smallest change of pitch that anybody
/// can hear.
const MOST_SLEW: i128 = (ONE / 10_000) as i128;

/// How far a device that is opened again may run from how it ran before, in parts per million: it has become warmer, or
/// its sound server corrects it in another way.
const REOPENED_PPM: f64 = 20.0;

/// Fastest device and clock that are believed, 1.2 % off.
const MOST_SKEW_PPM: f64 = 12_000.0;

/// The map of one segment as far as it is decided, and the anchors for what follows.
#[derive(Debug, Clone)]
pub(super) struct Course {
    segment: SegmentKey,
    /// The device, and how fast it runs once that is known.
    device: Device,
    rate: Option<Rate>,
    anchors: Anchors,
    /// The newest sample known of.
    newest: SampleIndex,
    pace: Option<Pace>,
    /// Samples before this one have their frames for good.
    decided_to: SampleIndex,
    /// Where that sample lies: timeline frame in 2^-32.
    position: i128,
    /// Microseconds by which the last node lay behind a nominal rate, and its skew.
    late: f64,
    skew: f64,
    /// How far the map may lie from the truth at the last node, in nanoseconds.
    doubt_ns: u32,
    /// What the newest stretch says of that.
    stated_ns: u32,
}

/// A device as its system calls it, and what it delivers a second.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Device {
    name: String,
    rate: u32,
}

#[derive(Debug, Clone, Copy)]
enum Pace {
    /// Sample for frame. What the map was when that began, as the frame of sample 0, and how far that could be off.
    Nominal { origin: i128, doubt: f64, shifting: bool },
    /// At the device's own rate.
    Drifting,
}

/// What will still be measured of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) anchors: bool,
    pub(super) exchanges: bool,
}

impl Course {
    pub(super) fn new(segment: &Segment) -> Self {
        Self {
            segment: segment.segment,
            device: Device { name: segment.device.clone(), rate: segment.device_rate },
            rate: None,
            anchors: Anchors::new(segment),
            newest: segment.first,
            pace: None,
            decided_to: segment.first,
            position: 0,
            late: 0.0,
            skew: 0.0,
            doubt_ns: 0,
            stated_ns: 0,
        }
    }

    pub(super) fn take(&mut self, anchor: &Anchor) {
        self.anchors.take(anchor);
        self.saw(self.anchors.newest());
    }

    /// Takes an anchor from a sender report; false if it cannot be one of this segment.
    pub(super) fn take_report(&mut self, anchor: &Anchor) -> bool {
        let possible = self.anchors.take_report(anchor);
        self.saw(self.anchors.newest());
        possible
    }

    /// How fast the device runs, if this is it as well: it hardly changes from one time that it is opened to the next.
    pub(super) fn rate_of(&self, other: &Self) -> Option<Rate> {
        let rate = self.rate.filter(|_| self.device == other.device && !self.device.name.is_empty())?;
        Some(Rate { error: rate.error.hypot(REOPENED_PPM), ..rate })
    }

    /// Whether nothing of it is decided yet.
    pub(super) fn is_new(&self) -> bool {
        self.pace.is_none()
    }

    /// What is known of the device before anything of it is decided.
    pub(super) fn expect(&mut self, rate: Rate) {
        self.anchors.expect(rate);
    }

    /// There is a sample.
    pub(super) fn saw(&mut self, index: SampleIndex) {
        self.newest = self.newest.max(index);
    }

    /// Samples before this one have their frames for good.
    #[cfg(test)]
    pub(super) fn decided_to(&self) -> SampleIndex {
        self.decided_to
    }

    /// Whether the device has delivered for long enough that the one before it will not be heard of again.
    pub(super) fn lasts(&self) -> bool {
        self.anchors.seconds(self.anchors.newest()) >= LAG_S
    }

    /// Decides as far as evidence from both sides reaches.
    pub(super) fn decide(
        &mut self,
        known: Option<&MapStretch>,
        offset: &mut Offset,
        expected: Expected,
    ) -> Vec<MapStretch> {
        let mut decided = Vec::new();
        self.resume(known, offset);
        while let Some(to) = self.next_node(offset) {
            let to = if expected.anchors { to } else { to.min(self.newest) };
            if to <= self.decided_to
                || !self.is_evident(to, offset, expected)
                || !self.advance(to, offset, &mut decided)
            {
                break;
            }
        }
        if !expected.anchors && self.is_evident(self.newest, offset, expected) {
            self.finish(offset, &mut decided);
        }
        decided
    }

    /// Decides up to a frame, or up to the newest sample, with what is known.
    pub(super) fn conclude(
        &mut self,
        known: Option<&MapStretch>,
        offset: &mut Offset,
        until: Option<TimelineFrame>,
    ) -> Vec<MapStretch> {
        let mut decided = Vec::new();
        self.resume(known, offset);
        let limit = match until {
            None => Some(SampleIndex(self.newest.0.saturating_add(MARGIN))),
            Some(until) => self.sample_at(until, offset),
        };
        if let Some(limit) = limit {
            self.advance_to(limit, offset, &mut decided);
        }
        decided
    }

    /// No more of it will come: whatever is still missing lies on the last stretch.
    fn finish(&mut self, offset: &mut Offset, decided: &mut Vec<MapStretch>) {
        self.advance_to(SampleIndex(self.newest.0.saturating_add(STEP)), offset, decided);
        if self.pace.is_some() {
            self.decided_to = SampleIndex(u64::MAX);
            self.anchors.forget();
        }
    }

    fn advance_to(&mut self, limit: SampleIndex, offset: &mut Offset, decided: &mut Vec<MapStretch>) {
        while self.decided_to < limit {
            // Where nothing is measured any more, a straight line is all there is.
            let to = self.next_node(offset).map_or(limit, |node| node.min(limit));
            if !self.advance(to, offset, decided) {
                return;
            }
        }
    }

    /// The sample at a frame, and a little more; None if the segment begins later, or nobody knows where.
    fn sample_at(&self, frame: TimelineFrame, offset: &Offset) -> Option<SampleIndex> {
        let position = match self.pace {
            Some(_) => self.position,
            None => Place::of(self.decided_to, &self.anchors, offset)?.position,
        };
        let frames = u64::try_from(i128::from(frame.0) - (position >> 32)).ok()?;
        // The position is exact enough; the margin is for the rest.
        let samples = (frames as f64 * (1.0 - self.skew * 1e-6)) as u64;
        Some(SampleIndex(self.decided_to.0.saturating_add(samples).saturating_add(MARGIN)))
    }

    /// The next node; None where no measurement follows. The first one is not before the clocks were compared: a line back
    /// from there is all that can be known of what was captured earlier, and nobody recorded it.
    fn next_node(&self, offset: &Offset) -> Option<SampleIndex> {
        let seconds = self.anchors.seconds(self.decided_to);
        let on_participant = self.on_participant(self.decided_to, offset);
        let anchor = self.anchors.next_after(seconds).map(|at| at - seconds);
        let exchange = offset.next_after(on_participant).map(|at| at - on_participant);
        let next = [anchor, exchange].into_iter().flatten().min_by(f64::total_cmp)?;
        let step = ((next / GAP_NODES * f64::from(SAMPLE_RATE)) as u64).max(STEP);
        let node = SampleIndex(self.decided_to.0.saturating_add(step));
        Some(if self.pace.is_none() { node.max(self.first_exchanged(offset)) } else { node })
    }

    /// Whether what is expected of a node has been measured: a while of it, behind the first of it.
    fn is_evident(&self, node: SampleIndex, offset: &Offset, expected: Expected) -> bool {
        let begins = self.pace.is_none() && expected.anchors;
        let lag = if begins { FIRST_LAG_S } else { LAG_S };
        let reaches = |first: Option<f64>, newest: Option<f64>| {
            first.zip(newest).is_some_and(|(first, newest)| newest >= first + lag)
        };
        let on_participant = self.on_participant(node, offset);
        let anchors = self.anchors.next_after(self.anchors.seconds(node));
        let one_clock = offset.newest() == Some(f64::INFINITY);
        let exchanges = offset.next_after(on_participant).or(one_clock.then_some(on_participant));
        (!expected.anchors || reaches(anchors, Some(self.anchors.seconds(self.anchors.newest()))))
            && (!expected.exchanges || reaches(exchanges, offset.newest()))
    }

    fn on_participant(&self, index: SampleIndex, offset: &Offset) -> f64 {
        seconds_on_participant(index, &self.anchors, offset, self.late)
    }

    /// Decides up to a node; false if the measurements say nothing about it.
    fn advance(&mut self, node: SampleIndex, offset: &mut Offset, decided: &mut Vec<MapStretch>) -> bool {
        let Some(place) = Place::of(node, &self.anchors, offset) else { return false };
        let begins = self.pace.is_none();
        let Some(pace) = self.pace.or_else(|| self.begin(node, &place, offset)) else { return false };
        let (next_pace, rate) = self.follow(pace, node, &place);
        let position = self.position + i128::from(node.0 - self.decided_to.0) * rate;
        let is_copied = |pace: Pace| matches!(pace, Pace::Nominal { shifting: false, .. });
        // Between two nodes nothing is less sure than at one of them.
        let doubt_ns = place.uncertainty_ns(us(place.position - position));
        let worst_ns = self.doubt_ns.max(doubt_ns);
        let goes_on = !begins && is_copied(pace) && is_copied(next_pace);
        if !goes_on || worst_ns > self.stated_ns {
            let residual_ns = place.residual_ns();
            // Said anew of a map that only goes on: with some room, so that it is not said at every node.
            let room = if goes_on { (TOLERANCE_US * 1e3) as u32 } else { 0 };
            let uncertainty_ns = worst_ns.saturating_add(room);
            self.stated_ns = uncertainty_ns;
            decided.push(MapStretch {
                segment: self.segment,
                from: self.decided_to,
                frame: clamp(self.position >> 32),
                fraction: (self.position & i128::from(u32::MAX)) as u32,
                frames_per_sample: u64::try_from(rate).expect("rates lie around one"),
                residual_ns,
                uncertainty_ns,
            });
        }
        self.position = position;
        self.doubt_ns = doubt_ns;
        self.decided_to = node;
        self.pace = Some(next_pace);
        self.late = place.late();
        self.rate = Some(place.device());
        self.skew = place.skew;
        place.settle(&mut self.anchors, offset);
        true
    }

    /// The first decision: where the segment lies, and whether its device drifts.
    fn begin(&mut self, node: SampleIndex, place: &Place, offset: &Offset) -> Option<Pace> {
        let first = Place::of(self.decided_to, &self.anchors, offset)?;
        if place.drifts(LAG_S) {
            self.position = first.position;
            self.doubt_ns = first.uncertainty_ns(0.0);
            return Some(Pace::Drifting);
        }
        // At a nominal rate every sample tells where the segment lies: one in the middle of the first measurements does
        // best. They may have come long after its beginning.
        let until = self.anchors.newest().min(self.first_exchanged(offset).plus(2 * STEP));
        let middle = SampleIndex(self.first_exchanged(offset).0.midpoint(until.0));
        let best = if middle > node { Place::of(middle, &self.anchors, offset)? } else { place.clone() };
        let samples = i128::from(middle.max(node).0 - self.decided_to.0);
        self.position = (i128::from(best.nearest().0) - samples) << 32;
        self.doubt_ns = first.uncertainty_ns(us(first.position - self.position));
        Some(self.nominal(&best))
    }

    /// The sample that was captured when the clocks were compared first, or the segment's first one.
    fn first_exchanged(&self, offset: &Offset) -> SampleIndex {
        let first = self.anchors.first();
        let seconds = (-self.on_participant(first, offset)).max(0.0);
        first.plus((seconds * f64::from(SAMPLE_RATE)) as u64).min(self.anchors.newest())
    }

    /// Sample for frame from the current position on.
    fn nominal(&self, place: &Place) -> Pace {
        let origin = self.position - (i128::from(self.decided_to.0) << 32);
        Pace::Nominal { origin, doubt: place.doubt(), shifting: false }
    }

    /// After a restart: goes on from what was decided. The newest measurements cannot have been used for that; before
    /// them anything may have been.
    fn resume(&mut self, known: Option<&MapStretch>, offset: &Offset) {
        let (None, Some(last)) = (self.pace, known) else { return };
        let lag = (LAG_S * f64::from(SAMPLE_RATE)) as u64;
        let exchanged =
            offset.newest().map_or(0.0, |newest| newest - self.on_participant(self.anchors.first(), offset));
        let exchanged = self.anchors.first().0.saturating_add((exchanged * f64::from(SAMPLE_RATE)) as u64);
        let evident = self.anchors.newest().0.min(exchanged).saturating_sub(lag);
        self.decided_to = SampleIndex(evident.max(last.from.0.saturating_add(STEP)));
        self.position = (i128::from(last.frame) << 32)
            + i128::from(last.fraction)
            + i128::from(self.decided_to.0 - last.from.0) * i128::from(last.frames_per_sample);
        let nominal = last.frames_per_sample == ONE && last.fraction == 0;
        let place = Place::of(self.decided_to, &self.anchors, offset);
        self.stated_ns = last.uncertainty_ns;
        self.pace = place.map(|place| {
            self.late = place.late();
            self.doubt_ns = place.uncertainty_ns(us(place.position - self.position));
            if nominal { self.nominal(&place) } else { Pace::Drifting }
        });
    }

    /// The rate up to a node, in timeline frames a sample, 2^-32.
    fn follow(&self, pace: Pace, node: SampleIndex, place: &Place) -> (Pace, i128) {
        let samples = i128::from(node.0 - self.decided_to.0);
        let Pace::Nominal { origin, doubt, .. } = pace else { return (pace, self.rate_to(samples, place)) };
        let copied = Pace::Nominal { origin, doubt, shifting: false };
        let off = us(place.position - self.position - (samples << 32));
        let moved = us(place.position - (i128::from(node.0) << 32) - origin);
        if place.drifts(LAG_S) {
            return (Pace::Drifting, self.rate_to(samples, place));
        }
        if off.abs() <= TOLERANCE_US.max(place.doubt()) {
            return (copied, i128::from(ONE));
        }
        if moved.abs() > doubt + place.doubt() {
            return (Pace::Drifting, self.rate_to(samples, place));
        }
        // It began at the wrong place, as far as could be told then. A shift by whole frames, and on it goes.
        let most = (samples * MOST_SLEW) >> 32;
        let frames = ((off * FRAMES_PER_US).round() as i128).clamp(-most, most) << 32;
        if frames % samples != 0 {
            return (copied, i128::from(ONE));
        }
        (Pace::Nominal { origin, doubt, shifting: true }, i128::from(ONE) + frames / samples)
    }

    fn rate_to(&self, samples: i128, place: &Place) -> i128 {
        let most = (MOST_SKEW_PPM * 1e-6 * ONE as f64) as i128;
        let skew = (place.skew * 1e-6 * ONE as f64) as i128;
        let own = i128::from(ONE) + skew.clamp(-most, most);
        let wanted = (place.position - self.position) / samples;
        wanted.clamp(own - MOST_SLEW, own + MOST_SLEW)
    }
}

/// 2^-32 frames as microseconds.
fn us(frames: i128) -> f64 {
    frames as f64 / ONE as f64 / FRAMES_PER_US
}
