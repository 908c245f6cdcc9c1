//! From sample indices to the recorder's timeline.
//!
//! Two measurements make a map: anchors say where samples lie on the participant's clock, exchanges say where that
//! clock lies on the recorder's. Both clocks and the device drift, and the map follows them. It holds within one segment
//! of one epoch, never across a start, a wake or a change of device.
//!
//! ```text
//! Anchors --+                Place                  Course
//!           +-- Drift --> where a sample lies --> stretches, decided once
//! Offset  --+             and how sure that is
//! ```
//!
//! Who cannot be asked for their clock is listened to: sender reports are anchors, and what comes, came after it was sent.
//!
//! A map is decided piece by piece, some 17 s of sound behind the newest measurement (its beginning: a minute), and never revised: what is
//! rendered stays as it is, two recordings of one continuous track agree about every sample, and the second begins
//! exactly where the first ended.

mod across;
mod anchors;
mod arrivals;
mod course;
mod drift;
mod envelope;
mod heard;
mod offset;
mod place;
mod state;

use std::collections::BTreeMap;

use roomtone_packets::{Arrival, ClockExchange, MapStretch, Record, SenderReport};
use roomtone_protocol::channel::{Anchor, Segment};
use roomtone_protocol::{ClockNs, SampleIndex, SegmentKey, WakeEpoch};

use crate::timeline::TimelineFrame;
pub use across::Across;
pub use arrivals::Arrivals;
use course::{Course, Expected};
use heard::{Heard, Hearing};
use offset::Offset;
use state::Rate;

/// Samples for which a decided stretch holds at least.
pub(crate) const NODE_SAMPLES: u64 = course::STEP;

/// One participant's clock and segments, for as long as the recorder runs.
#[derive(Debug, Clone, Default)]
pub struct TrackClock {
    epochs: BTreeMap<WakeEpoch, Offset>,
    /// What is heard of those who cannot be asked.
    heard: BTreeMap<WakeEpoch, Hearing>,
    courses: BTreeMap<SegmentKey, Course>,
    /// As they were announced; what [`Self::extend`] searches.
    segments: BTreeMap<SegmentKey, Segment>,
    /// The newest sample known of each epoch.
    newest: BTreeMap<WakeEpoch, SampleIndex>,
    /// In order of samples.
    decided: BTreeMap<SegmentKey, Vec<MapStretch>>,
}

impl TrackClock {
    /// A segment began; participants say it again on every new link.
    pub fn on_segment(&mut self, segment: &Segment) {
        self.courses.entry(segment.segment).or_insert_with(|| Course::new(segment));
        self.segments.entry(segment.segment).or_insert_with(|| segment.clone());
        self.saw(segment.segment.epoch, segment.first);
    }

    /// A sample's place on the participant's clock.
    pub fn on_anchor(&mut self, anchor: &Anchor) {
        if let Some(course) = self.courses.get_mut(&anchor.segment) {
            course.take(anchor);
            self.saw(anchor.segment.epoch, anchor.index);
        }
    }

    /// One measurement between the two clocks.
    pub fn on_exchange(&mut self, exchange: &ClockExchange) {
        self.epochs.entry(exchange.epoch).or_default().take(exchange);
    }

    /// A packet came, the least late one of its second ([`Arrivals`]), from somebody who is not asked for their clock.
    pub fn on_arrival(&mut self, arrival: &Arrival) {
        let epoch = arrival.segment.epoch;
        let Some(segment) = self.segments.get(&arrival.segment).filter(|_| self.may_hear(epoch)) else { return };
        let Some(course) = self.courses.get_mut(&arrival.segment) else { return };
        let heard = self.heard.entry(epoch).or_default().arrival(segment, arrival);
        course.saw(arrival.end);
        if let Some(&Heard { sent: at, by_report: false, .. }) = heard.last() {
            // Its samples are all the clock that there is.
            course.take(&Anchor { segment: arrival.segment, index: arrival.end, at });
        }
        self.hear(epoch, &heard);
        self.saw(epoch, arrival.end);
    }

    /// A sender report came from somebody who is not asked for their clock.
    pub fn on_report(&mut self, report: &SenderReport) {
        let (key, epoch) = (report.segment, report.segment.epoch);
        let may_hear = self.may_hear(epoch);
        let (Some(segment), Some(course)) = (self.segments.get(&key), self.courses.get_mut(&key)) else { return };
        let anchor = Anchor { segment: key, index: report.index, at: report.sent };
        if may_hear && course.take_report(&anchor) {
            let heard = self.heard.entry(epoch).or_default().report(segment, report);
            self.hear(epoch, &heard);
            self.saw(epoch, report.index);
        }
    }

    /// Whether somebody's clock is not asked for: if it is, that is better.
    fn may_hear(&self, epoch: WakeEpoch) -> bool {
        self.epochs.get(&epoch).is_none_or(Offset::is_heard)
    }

    fn hear(&mut self, epoch: WakeEpoch, heard: &[Heard]) {
        if !heard.is_empty() {
            let offset = self.epochs.entry(epoch).or_default();
            heard.iter().for_each(|heard| offset.hear(heard));
        }
    }

    /// What a journal kept: rebuilds the clock after a restart of the recorder. Decisions stay decided.
    pub fn restore(&mut self, record: &Record) {
        match record {
            Record::Segment(segment) => self.on_segment(segment),
            Record::Anchor(anchor) => self.on_anchor(anchor),
            Record::ClockExchange(exchange) => self.on_exchange(exchange),
            Record::Arrival(arrival) => self.on_arrival(arrival),
            Record::Report(report) => self.on_report(report),
            Record::MapStretch(stretch) => {
                let known = self.decided.entry(stretch.segment).or_default();
                // Decided once: what came first holds.
                if let Err(at) = known.binary_search_by_key(&stretch.from, |known| known.from) {
                    known.insert(at, *stretch);
                }
            }
            Record::Packet(packet) => {
                self.saw(packet.segment.epoch, packet.index);
                if let Some(course) = self.courses.get_mut(&packet.segment) {
                    course.saw(packet.range().to);
                }
            }
            Record::Epoch(_)
            | Record::Interval(_)
            | Record::Retract(_)
            | Record::Inventory(_)
            | Record::Marker(_)
            | Record::Name(_)
            | Record::Muted(_)
            | Record::Left(_)
            | Record::Channel(_)
            | Record::Described(_) => {}
        }
    }

    /// The segment and the whole index that an RTP timestamp means: the index closest to the newest one known of the
    /// newest epoch whose low 32 bits are the timestamp. None before the segment was announced.
    #[must_use]
    pub fn extend(&self, rtp: u32) -> Option<(SegmentKey, SampleIndex)> {
        let (&epoch, &newest) = self.newest.last_key_value()?;
        // The difference of the low halves, taken as signed, is right up to 12 hours either way (RFC 3550, A.1).
        let ahead = rtp.wrapping_sub(newest.0 as u32).cast_signed();
        let index = SampleIndex(newest.0.checked_add_signed(i64::from(ahead))?);
        let of_epoch = self.segments.iter().rev().take_while(|(key, _)| key.epoch == epoch);
        let (&segment, _) = of_epoch.into_iter().find(|(_, segment)| segment.first <= index)?;
        Some((segment, index))
    }

    /// An instant of the recorder's clock on the participant's, in the newest epoch. None before the first exchange.
    #[must_use]
    pub fn to_participant(&self, at: ClockNs) -> Option<ClockNs> {
        let (offset, _) = self.towards_participant(at)?;
        Some(ClockNs(at.0.saturating_sub(offset)))
    }

    /// The earliest instant of the participant's clock that an instant of the recorder's can be, as far as is known; the
    /// first exchanges of a link may have waited for seconds.
    #[must_use]
    pub fn to_participant_at_the_earliest(&self, at: ClockNs) -> Option<ClockNs> {
        let (offset, doubt) = self.towards_participant(at)?;
        Some(ClockNs(at.0.saturating_sub(offset).saturating_sub(doubt)))
    }

    /// The latest one.
    #[must_use]
    pub fn to_participant_at_the_latest(&self, at: ClockNs) -> Option<ClockNs> {
        let (offset, doubt) = self.towards_participant(at)?;
        Some(ClockNs(at.0.saturating_sub(offset).saturating_add(doubt)))
    }

    /// Recorder's clock minus participant's at an instant of the recorder's, and how far that may be off, in nanoseconds.
    fn towards_participant(&self, at: ClockNs) -> Option<(i64, i64)> {
        let newest = self.newest.keys().next_back().into_iter().chain(self.epochs.keys().next_back()).max()?;
        let offset = self.epochs.get(newest)?;
        // The offset hardly changes while it lasts: what holds there, holds for the instant itself.
        let near = ClockNs(at.0.saturating_sub(offset.base()?));
        Some((offset.at(near)?, offset.doubt(near)?))
    }

    /// An instant of the participant's clock of an epoch on the recorder's. None before the first exchange.
    #[must_use]
    pub fn to_recorder(&self, epoch: WakeEpoch, at: ClockNs) -> Option<ClockNs> {
        self.epochs.get(&epoch)?.at(at).map(|offset| ClockNs(at.0.saturating_add(offset)))
    }

    /// Decides what measurements from both sides allow to decide, and returns it, in order: stretches for the journals of
    /// all recordings that run. Call it whenever an exchange or an anchor has come.
    pub fn decide(&mut self) -> Vec<MapStretch> {
        // Anchors of a device come until the next one has taken over, exchanges until the next start.
        let lasting: Option<SegmentKey> =
            self.courses.iter().rev().find(|(_, course)| course.lasts()).map(|(&key, _)| key);
        self.each(|key, course, known, offset| {
            let later = lasting.filter(|&later| later > key);
            let expected =
                Expected { anchors: later.is_none(), exchanges: later.is_none_or(|later| later.epoch == key.epoch) };
            course.decide(known, offset, expected)
        })
    }

    /// Decides the rest of what lies before an instant of the recorder's clock with what is known: a recording ended
    /// there, and its file is to be made. Without an instant, everything up to the newest sample. Samples behind that go
    /// on from there.
    ///
    /// A segment without any exchange in its epoch stays without a map.
    pub fn conclude(&mut self, until: Option<ClockNs>) -> Vec<MapStretch> {
        let waited: Vec<_> = self.heard.iter_mut().map(|(&epoch, hearing)| (epoch, hearing.waited())).collect();
        waited.iter().for_each(|(epoch, heard)| self.hear(*epoch, heard));
        let until = until.map(TimelineFrame::at);
        self.each(|_, course, known, offset| course.conclude(known, offset, until))
    }

    /// Everything decided so far: what the journal of a new recording has to know, and what a finished one has to hold.
    pub fn stretches(&self) -> impl Iterator<Item = &MapStretch> + '_ {
        self.decided.values().flatten()
    }

    /// Samples of a segment before this one have their frames for good; those from it on must not be rendered into
    /// anything that is to last. None as long as nothing is decided.
    #[cfg(test)]
    fn decided_to(&self, segment: SegmentKey) -> Option<SampleIndex> {
        self.decided.get(&segment)?;
        self.courses.get(&segment).map(Course::decided_to)
    }

    /// Lets every segment decide, with what is known of it and the offset of its epoch.
    fn each(
        &mut self,
        mut decide: impl FnMut(SegmentKey, &mut Course, Option<&MapStretch>, &mut Offset) -> Vec<MapStretch>,
    ) -> Vec<MapStretch> {
        let mut all = Vec::new();
        let keys: Vec<SegmentKey> = self.courses.keys().copied().collect();
        for key in keys {
            let rate = self.rate_before(key);
            let (Some(course), Some(offset)) = (self.courses.get_mut(&key), self.epochs.get_mut(&key.epoch)) else {
                continue;
            };
            if let Some(rate) = rate {
                course.expect(rate);
            }
            let known = self.decided.get(&key).and_then(|known| known.last());
            let new = decide(key, course, known, offset);
            if !new.is_empty() {
                self.decided.entry(key).or_default().extend(&new);
                all.extend(new);
            }
        }
        all
    }

    /// How fast the device of a segment that has just begun ran when it was open before.
    fn rate_before(&self, key: SegmentKey) -> Option<Rate> {
        let course = self.courses.get(&key).filter(|course| course.is_new())?;
        self.courses.range(..key).rev().find_map(|(_, earlier)| earlier.rate_of(course))
    }

    fn saw(&mut self, epoch: WakeEpoch, index: SampleIndex) {
        let newest = self.newest.entry(epoch).or_insert(index);
        *newest = index.max(*newest);
    }
}

#[cfg(test)]
pub(crate) mod simulation;
#[cfg(test)]
mod tests;
