//! The clock of somebody who cannot be asked for it, as RTP lets it be heard.
//!
//! Their clock is the one that their sender reports show. A report pairs it with a sample, so a device is known against
//! its own computer's clock apart from the network; and whatever comes, came after it was sent. Until the first report of
//! a segment its beginning is all that is known of it, so arrivals wait for that a while.

use std::collections::VecDeque;

use roomtone_packets::{Arrival, SenderReport};
use roomtone_protocol::channel::Segment;
use roomtone_protocol::{ClockNs, SAMPLE_RATE, SampleIndex, SegmentKey};

/// How long a segment's first report is waited for, in nanoseconds: 10 s. Browsers send one every five seconds.
const PATIENCE_NS: i64 = 10_000_000_000;

/// Reports that tell where a device stands against its own computer's clock: its rate hardly changes in the 16 to 80 s
/// that they span.
const REPORTS: usize = 16;

/// How much a few reports may bend a nominal rate, in seconds squared: they scatter by half a millisecond, and devices
/// lie within 1,000 ppm.
const STIFFNESS: f64 = 0.25;

/// How long a round trip counts, in nanoseconds: a minute. It is the path's own only while nothing waits.
const TRIP_HOLDS_NS: i64 = 60_000_000_000;

/// Taken for the round trip of a path of which none is known: 100 ms, as between most people of one continent.
const UNKNOWN_TRIP_NS: u64 = 100_000_000;

/// What a sender takes at most from a packet's last sample until it is sent, in nanoseconds: 10 ms. Nobody tells; browsers
/// cut sound into tens of milliseconds before they encode it.
const SENDING_NS: u64 = 10_000_000;

/// Something was sent on their clock and came on ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) sent: ClockNs,
    pub(super) at: ClockNs,
    /// Of which half is taken for the way here, sending included, and may be wrong by as much.
    pub(super) round_trip_ns: u64,
    /// Whether their clock is the computer's, as reports show it. Without any it is the microphone's, whose rate is not
    /// known.
    pub(super) by_report: bool,
}

/// What is heard of one epoch.
#[derive(Debug, Clone, Default)]
pub(super) struct Hearing {
    device: Option<Device>,
    trips: Trips,
}

/// The newest segment's device against its computer's clock.
#[derive(Debug, Clone)]
struct Device {
    segment: SegmentKey,
    first: SampleIndex,
    captured_at: ClockNs,
    /// Seconds at a nominal rate, and microseconds by which the clock was later, of the last reports.
    reports: VecDeque<(f64, f64)>,
    /// What came before the first of them, and since when.
    waiting: Vec<Arrival>,
    since: Option<ClockNs>,
}

/// The least round trips of the current minute and of the one before.
#[derive(Debug, Clone, Copy, Default)]
struct Trips {
    since: Option<ClockNs>,
    current: Option<u64>,
    before: Option<u64>,
}

impl Hearing {
    /// A report of a sample that its segment can have.
    pub(super) fn report(&mut self, segment: &Segment, report: &SenderReport) -> Vec<Heard> {
        self.trips.take(report);
        let device = Self::device(&mut self.device, segment);
        device.take(report);
        let waited = std::mem::take(&mut device.waiting);
        let sent = waited.iter().map(|arrival| (device.clock_at(arrival.end), arrival.at));
        let sent = sent.chain([(report.sent, report.at)]);
        let round_trip_ns = self.trips.least();
        sent.map(|(sent, at)| Heard { sent, at, round_trip_ns, by_report: true }).collect()
    }

    /// A packet came. What it tells, or those before it, as soon as it can be told.
    pub(super) fn arrival(&mut self, segment: &Segment, arrival: &Arrival) -> Vec<Heard> {
        let device = Self::device(&mut self.device, segment);
        device.waiting.push(*arrival);
        let since = *device.since.get_or_insert(arrival.at);
        if device.reports.is_empty() && arrival.at.0.saturating_sub(since.0) < PATIENCE_NS {
            return Vec::new();
        }
        self.waited()
    }

    /// What packets tell that still wait for a report.
    pub(super) fn waited(&mut self) -> Vec<Heard> {
        let round_trip_ns = self.trips.least();
        let Some(device) = &mut self.device else { return Vec::new() };
        let waited = std::mem::take(&mut device.waiting);
        let by_report = !device.reports.is_empty();
        let heard =
            |arrival: &Arrival| Heard { sent: device.clock_at(arrival.end), at: arrival.at, round_trip_ns, by_report };
        waited.iter().map(heard).collect()
    }

    fn device<'a>(known: &'a mut Option<Device>, segment: &Segment) -> &'a mut Device {
        let new = || Device {
            segment: segment.segment,
            first: segment.first,
            captured_at: segment.captured_at,
            reports: VecDeque::new(),
            waiting: Vec::new(),
            since: None,
        };
        if known.as_ref().is_some_and(|device| device.segment != segment.segment) {
            *known = None;
        }
        known.get_or_insert_with(new)
    }
}

impl Device {
    fn take(&mut self, report: &SenderReport) {
        let late = i128::from(report.sent.0) - i128::from(self.captured_at.0) - self.nominal_ns(report.index);
        if self.reports.len() == REPORTS {
            self.reports.pop_front();
        }
        self.reports.push_back((self.seconds(report.index), late as f64 / 1e3));
    }

    /// Their clock when a sample was captured.
    fn clock_at(&self, index: SampleIndex) -> ClockNs {
        let late_ns = (self.late_us(self.seconds(index)) * 1e3).round() as i128;
        let at = i128::from(self.captured_at.0) + self.nominal_ns(index) + late_ns;
        ClockNs(at.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }

    /// Microseconds behind a nominal rate: the line through the last reports, held to that rate where they are few.
    fn late_us(&self, at: f64) -> f64 {
        if self.reports.is_empty() {
            return 0.0;
        }
        let count = self.reports.len() as f64;
        let (x, y) =
            self.reports.iter().fold((0.0, 0.0), |(x, y), report| (x + report.0 / count, y + report.1 / count));
        let spread: f64 = self.reports.iter().map(|report| (report.0 - x).powi(2)).sum();
        let both: f64 = self.reports.iter().map(|report| (report.0 - x) * (report.1 - y)).sum();
        y + both / (spread + STIFFNESS) * (at - x)
    }

    fn nominal_ns(&self, index: SampleIndex) -> i128 {
        (i128::from(index.0) - i128::from(self.first.0)) * 1_000_000_000 / i128::from(SAMPLE_RATE)
    }

    fn seconds(&self, index: SampleIndex) -> f64 {
        self.nominal_ns(index) as f64 / 1e9
    }
}

impl Trips {
    fn take(&mut self, report: &SenderReport) {
        let since = *self.since.get_or_insert(report.at);
        if report.at.0.saturating_sub(since.0) > TRIP_HOLDS_NS {
            *self = Self { since: Some(report.at), current: None, before: self.current };
        }
        self.current = [self.current, report.round_trip_ns].into_iter().flatten().min();
    }

    fn least(&self) -> u64 {
        [self.current, self.before].into_iter().flatten().min().unwrap_or(UNKNOWN_TRIP_NS).saturating_add(SENDING_NS)
    }
}
