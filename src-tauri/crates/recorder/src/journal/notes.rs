//! What a journal knows besides packets, kept in memory because it is small.

use std::collections::BTreeMap;

use roomtone_packets::{
    Arrival, Coverage, Described, EpochStart, Interval, MapStretch, MarkerSet, MutedFrom, Record, SenderReport,
};
use roomtone_protocol::channel::{Inventory, Segment};
use roomtone_protocol::{ClockNs, ParticipantId, SegmentKey};

use super::RecordingHeader;

/// What holds for the whole recording.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionNotes {
    /// Starts of the recorder's program.
    pub epochs: Vec<EpochStart>,
    /// Edges of recorded time.
    pub intervals: Vec<Interval>,
    /// Remarks, in the order in which they came.
    pub markers: Vec<MarkerSet>,
    /// The last name of everybody.
    pub names: BTreeMap<ParticipantId, String>,
    /// Explicit goodbyes.
    pub left: BTreeMap<ParticipantId, Vec<ClockNs>>,
    /// Whose channel is which.
    pub channels: BTreeMap<u16, ParticipantId>,
    /// The last title and notes; None if they are as the header says.
    pub described: Option<Described>,
}

impl SessionNotes {
    pub(super) fn take(&mut self, record: Record) {
        match record {
            Record::Epoch(epoch) => self.begin_epoch(epoch),
            Record::Interval(interval) => self.intervals.push(interval),
            Record::Marker(marker) => self.markers.push(marker),
            Record::Name(given) => {
                self.names.insert(given.participant, given.name);
            }
            Record::Left(left) => self.left.entry(left.participant).or_default().push(left.at),
            Record::Channel(given) => {
                self.channels.insert(given.index, given.participant);
            }
            Record::Described(described) => self.described = Some(described),
            // These belong to a track; a later version may have its reasons.
            Record::Packet(_)
            | Record::Segment(_)
            | Record::ClockExchange(_)
            | Record::MapStretch(_)
            | Record::Retract(_)
            | Record::Inventory(_)
            | Record::Anchor(_)
            | Record::Arrival(_)
            | Record::Report(_)
            | Record::Muted(_) => {}
        }
    }

    /// What the recording is called: as it was described last, else as it began.
    pub(super) fn title<'a>(&'a self, header: &'a RecordingHeader) -> Option<&'a str> {
        self.described.as_ref().map_or(&header.title, |described| &described.title).as_deref()
    }

    /// What people noted about it.
    pub(super) fn description(&self) -> Option<&str> {
        self.described.as_ref()?.notes.as_deref()
    }

    /// Everything again as records, for a file that replaces one that failed.
    pub(super) fn records(&self) -> Vec<Record> {
        use roomtone_packets::{ChannelGiven, NameGiven, PersonLeft};
        let epochs = self.epochs.iter().cloned().map(Record::Epoch);
        let intervals = self.intervals.iter().copied().map(Record::Interval);
        let markers = self.markers.iter().cloned().map(Record::Marker);
        let names =
            self.names.iter().map(|(&participant, name)| Record::Name(NameGiven { participant, name: name.clone() }));
        let left = self.left.iter().flat_map(|(&participant, instants)| {
            instants.iter().map(move |&at| Record::Left(PersonLeft { participant, at }))
        });
        let channels =
            self.channels.iter().map(|(&index, &participant)| Record::Channel(ChannelGiven { participant, index }));
        let described = self.described.iter().cloned().map(Record::Described);
        epochs.chain(intervals).chain(markers).chain(names).chain(left).chain(channels).chain(described).collect()
    }

    /// A note that stands there already, word for word: it was written into two files, or told twice.
    pub(super) fn knows(&self, record: &Record) -> bool {
        match record {
            Record::Epoch(epoch) => self.epochs.contains(epoch),
            Record::Interval(interval) => self.intervals.contains(interval),
            Record::Marker(marker) => self.markers.contains(marker),
            Record::Name(given) => self.names.get(&given.participant) == Some(&given.name),
            Record::Left(left) => self.left.get(&left.participant).is_some_and(|known| known.contains(&left.at)),
            Record::Channel(given) => self.channels.get(&given.index) == Some(&given.participant),
            Record::Described(described) => self.described.as_ref() == Some(described),
            Record::Packet(_)
            | Record::Segment(_)
            | Record::ClockExchange(_)
            | Record::MapStretch(_)
            | Record::Retract(_)
            | Record::Inventory(_)
            | Record::Anchor(_)
            | Record::Arrival(_)
            | Record::Report(_)
            | Record::Muted(_) => false,
        }
    }
}

/// What holds for one track.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrackNotes {
    /// Stretches of capture.
    pub segments: BTreeMap<SegmentKey, Segment>,
    /// Decided pieces of their maps, in order of samples.
    pub stretches: BTreeMap<SegmentKey, Vec<MapStretch>>,
    /// What the participant said last that it holds.
    pub inventory: Option<Inventory>,
    /// Where the participant muted and unmuted themselves, in the order in which it came.
    pub muted: Vec<MutedFrom>,
    /// What the participant took back.
    pub retracted: Coverage,
    /// The newest packet whose arrival was noted: their clock was not asked for, but listened to.
    pub arrival: Option<Arrival>,
    /// The newest sender report, likewise.
    pub report: Option<SenderReport>,
}

impl TrackNotes {
    pub(super) fn take(&mut self, record: Record) {
        match record {
            Record::Segment(segment) => {
                self.segments.insert(segment.segment, segment);
            }
            Record::MapStretch(stretch) => {
                let known = self.stretches.entry(stretch.segment).or_default();
                // Decided once: what came first holds.
                if let Err(at) = known.binary_search_by_key(&stretch.from, |known| known.from) {
                    known.insert(at, stretch);
                }
            }
            Record::Inventory(inventory) => self.inventory = Some(inventory),
            Record::Muted(muted) => self.muted.push(muted),
            Record::Retract(range) => {
                self.retracted.insert(range);
            }
            Record::Arrival(arrival) => self.arrival = Some(arrival),
            Record::Report(report) => self.report = Some(report),
            // Measurements are wanted only where a clock map is rebuilt, and read from the files then.
            Record::ClockExchange(_) | Record::Anchor(_) => {}
            // Packets are indexed; the rest belongs to the whole recording.
            Record::Packet(_)
            | Record::Epoch(_)
            | Record::Interval(_)
            | Record::Marker(_)
            | Record::Name(_)
            | Record::Left(_)
            | Record::Channel(_)
            | Record::Described(_) => {}
        }
    }

    /// A note that stands there already: participants repeat themselves on every new link.
    pub(super) fn knows(&self, record: &Record) -> bool {
        match record {
            Record::Segment(segment) => self.segments.get(&segment.segment) == Some(segment),
            Record::MapStretch(stretch) => self
                .stretches
                .get(&stretch.segment)
                .is_some_and(|known| known.binary_search_by_key(&stretch.from, |known| known.from).is_ok()),
            Record::Inventory(inventory) => self.inventory.as_ref() == Some(inventory),
            Record::Muted(muted) => self.muted.last() == Some(muted),
            Record::Retract(range) => self.retracted.covers(*range),
            Record::Arrival(arrival) => self.arrival.as_ref() == Some(arrival),
            Record::Report(report) => self.report.as_ref() == Some(report),
            Record::ClockExchange(_)
            | Record::Anchor(_)
            | Record::Packet(_)
            | Record::Epoch(_)
            | Record::Interval(_)
            | Record::Marker(_)
            | Record::Name(_)
            | Record::Left(_)
            | Record::Channel(_)
            | Record::Described(_) => false,
        }
    }

    /// Everything again as records, for a file that replaces one that failed.
    pub(super) fn records(&self) -> Vec<Record> {
        let segments = self.segments.values().cloned().map(Record::Segment);
        let stretches = self.stretches.values().flatten().copied().map(Record::MapStretch);
        let muted = self.muted.iter().copied().map(Record::Muted);
        let retracted = self.retracted.iter().map(Record::Retract);
        let inventory = self.inventory.iter().cloned().map(Record::Inventory);
        let heard = self.arrival.map(Record::Arrival).into_iter().chain(self.report.map(Record::Report));
        segments.chain(stretches).chain(muted).chain(retracted).chain(inventory).chain(heard).collect()
    }
}
