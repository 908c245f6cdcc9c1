//! From sample indices to the recorder's timeline.
//!
//! Two measurements make a map: anchors say where samples lie on the participant's clock, exchanges say where that
//! clock lies on the recorder's. A map holds within one segment of one epoch, never across a start, a wake or a change
//! of device. In this version every device is taken to run at the recorder's rate, and a segment's position is rounded
//! to whole frames, so that a nominal device's samples are copied and not resampled.
//!
//! A map is decided once. Two recordings of one continuous track then agree about every sample, and the second begins
//! exactly where the first ended.

mod anchors;
mod offset;

use std::collections::BTreeMap;

use roomtone_packets::{ClockExchange, MapStretch, Record};
use roomtone_protocol::channel::{Anchor, Segment};
use roomtone_protocol::{ClockNs, SampleIndex, SegmentKey, WakeEpoch};

use crate::stretch::ONE;
use crate::timeline::TimelineFrame;
use anchors::Anchors;
use offset::Offset;

/// One participant's clock and segments, for as long as the recorder runs.
#[derive(Debug, Clone, Default)]
pub struct TrackClock {
    epochs: BTreeMap<WakeEpoch, Offset>,
    segments: BTreeMap<SegmentKey, Anchors>,
    /// First samples by segment; what [`Self::extend`] searches.
    firsts: BTreeMap<SegmentKey, SampleIndex>,
    /// The newest sample known of each epoch.
    newest: BTreeMap<WakeEpoch, SampleIndex>,
    decided: BTreeMap<SegmentKey, MapStretch>,
}

impl TrackClock {
    /// A segment began; participants say it again on every new link.
    pub fn on_segment(&mut self, segment: &Segment) {
        self.segments.entry(segment.segment).or_insert_with(|| Anchors::new(segment));
        self.firsts.entry(segment.segment).or_insert(segment.first);
        self.saw(segment.segment.epoch, segment.first);
    }

    /// A sample's place on the participant's clock.
    pub fn on_anchor(&mut self, anchor: &Anchor) {
        if let Some(anchors) = self.segments.get_mut(&anchor.segment) {
            anchors.take(anchor);
            self.saw(anchor.segment.epoch, anchor.index);
        }
    }

    /// One measurement between the two clocks.
    pub fn on_exchange(&mut self, exchange: &ClockExchange) {
        self.epochs.entry(exchange.epoch).or_default().take(exchange);
    }

    /// What a journal kept: rebuilds the clock after a restart of the recorder. Decisions stay decided.
    pub fn restore(&mut self, record: &Record) {
        match record {
            Record::Segment(segment) => self.on_segment(segment),
            Record::Anchor(anchor) => self.on_anchor(anchor),
            Record::ClockExchange(exchange) => self.on_exchange(exchange),
            Record::MapStretch(stretch) => {
                self.decided.entry(stretch.segment).or_insert(*stretch);
            }
            Record::Packet(packet) => self.saw(packet.segment.epoch, packet.index),
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
        let of_epoch = self.firsts.iter().rev().take_while(|(key, _)| key.epoch == epoch);
        let (&segment, _) = of_epoch.into_iter().find(|(_, first)| **first <= index)?;
        Some((segment, index))
    }

    /// An instant of the recorder's clock on the participant's, in the newest epoch. None before the first exchange.
    #[must_use]
    pub fn to_participant(&self, at: ClockNs) -> Option<ClockNs> {
        let newest = self.newest.keys().next_back().into_iter().chain(self.epochs.keys().next_back()).max()?;
        self.epochs.get(newest)?.estimate().map(|offset| ClockNs(at.0.saturating_sub(offset)))
    }

    /// An instant of the participant's clock of an epoch on the recorder's. None before the first exchange.
    #[must_use]
    pub fn to_recorder(&self, epoch: WakeEpoch, at: ClockNs) -> Option<ClockNs> {
        self.epochs.get(&epoch)?.estimate().map(|offset| ClockNs(at.0.saturating_add(offset)))
    }

    /// The segment's map. The first call that finds the measurements for it decides, for good: ask when the recording
    /// is over and everything is known, and note the answer in the journal.
    pub fn stretch(&mut self, segment: SegmentKey) -> Option<MapStretch> {
        if let Some(&decided) = self.decided.get(&segment) {
            return Some(decided);
        }
        let fit = self.segments.get(&segment)?.fit();
        let first = *self.firsts.get(&segment)?;
        let offset = self.epochs.get(&segment.epoch)?;
        let first_at = ClockNs(fit.first_at.0.saturating_add(offset.estimate()?));
        let stretch = MapStretch {
            segment,
            from: first,
            frame: TimelineFrame::nearest(first_at).0,
            fraction: 0,
            frames_per_sample: ONE,
            residual_ns: u32::try_from(fit.residual_ns).unwrap_or(u32::MAX),
            uncertainty_ns: u32::try_from(offset.uncertainty_ns()?).unwrap_or(u32::MAX),
        };
        self.decided.insert(segment, stretch);
        Some(stretch)
    }

    /// Every segment announced so far, in order.
    pub fn segments(&self) -> impl Iterator<Item = SegmentKey> + '_ {
        self.firsts.keys().copied()
    }

    fn saw(&mut self, epoch: WakeEpoch, index: SampleIndex) {
        let newest = self.newest.entry(epoch).or_insert(index);
        *newest = index.max(*newest);
    }
}

#[cfg(test)]
mod tests;
