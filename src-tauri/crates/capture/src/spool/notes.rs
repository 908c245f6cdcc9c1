//! What a recorder must know besides packets: where segments stand on the clock, what is muted, what never came.

use std::collections::BTreeMap;

use roomtone_packets::{MutedFrom, Record};
use roomtone_protocol::channel::{Anchor, Hole, Inventory, Segment};
use roomtone_protocol::{RecordingId, SegmentKey};

/// Something about a segment.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// The segment itself.
    Segment(Segment),
    /// Where it stands on the clock of the program that captured it.
    Anchor(Anchor),
    /// It is muted from a sample on, or no longer.
    Muted(MutedFrom),
    /// What the device never delivered.
    Hole(Hole),
}

impl Note {
    /// The segment that it is about.
    #[must_use]
    pub fn segment(&self) -> SegmentKey {
        match self {
            Self::Segment(segment) => segment.segment,
            Self::Anchor(anchor) => anchor.segment,
            Self::Muted(muted) => muted.segment,
            Self::Hole(hole) => hole.range.segment,
        }
    }

    /// The sample that it is about, or the first of them.
    pub(crate) fn index(&self) -> u64 {
        match self {
            Self::Segment(segment) => segment.first.0,
            Self::Anchor(anchor) => anchor.index.0,
            Self::Muted(muted) => muted.from.0,
            Self::Hole(hole) => hole.range.from.0,
        }
    }

    /// As it stands on disk. A hole is an inventory that names nothing else.
    pub(crate) fn record(self, recording: RecordingId) -> Record {
        match self {
            Self::Segment(segment) => Record::Segment(segment),
            Self::Anchor(anchor) => Record::Anchor(anchor),
            Self::Muted(muted) => Record::Muted(muted),
            Self::Hole(hole) => {
                Record::Inventory(Inventory { recording, held: Vec::new(), holes: vec![hole], complete: false })
            }
        }
    }

    /// What a record says; nothing if it is none of ours.
    pub(crate) fn read(record: Record) -> Vec<Self> {
        match record {
            Record::Segment(segment) => vec![Self::Segment(segment)],
            Record::Anchor(anchor) => vec![Self::Anchor(anchor)],
            Record::Muted(muted) => vec![Self::Muted(muted)],
            Record::Inventory(inventory) => inventory.holes.into_iter().map(Self::Hole).collect(),
            _ => Vec::new(),
        }
    }
}

/// Notes by segment. Of anchors only the first and the newest stay: they give a segment's rate and its place.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    segments: BTreeMap<SegmentKey, Described>,
}

#[derive(Debug, Default)]
struct Described {
    segment: Option<Segment>,
    first: Option<Anchor>,
    newest: Option<Anchor>,
    muted: Vec<MutedFrom>,
    holes: Vec<Hole>,
}

impl Notes {
    /// Takes a note; false if it is known.
    pub(crate) fn take(&mut self, note: &Note) -> bool {
        let of = self.segments.entry(note.segment()).or_default();
        match note {
            Note::Segment(_) if of.segment.is_some() => false,
            Note::Segment(segment) => {
                of.segment = Some(segment.clone());
                true
            }
            Note::Anchor(anchor) => {
                let new = of.newest.is_none_or(|newest| anchor.index > newest.index);
                if new {
                    of.first.get_or_insert(*anchor);
                    of.newest = Some(*anchor);
                }
                new
            }
            Note::Muted(muted) => add(&mut of.muted, muted),
            Note::Hole(hole) => add(&mut of.holes, hole),
        }
    }

    /// What is known of a segment: the segment itself first.
    pub(crate) fn of(&self, segment: SegmentKey) -> impl Iterator<Item = Note> + '_ {
        self.segments.get(&segment).into_iter().flat_map(Described::notes)
    }

    /// Everything, by segment.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Note> + '_ {
        self.segments.values().flat_map(Described::notes)
    }

    /// The holes, in order.
    pub(crate) fn holes(&self) -> impl Iterator<Item = Hole> + '_ {
        self.segments.values().flat_map(|of| of.holes.iter().copied())
    }
}

impl Described {
    fn notes(&self) -> impl Iterator<Item = Note> + '_ {
        let newest = self.newest.filter(|newest| Some(*newest) != self.first);
        let anchors = self.first.into_iter().chain(newest).map(Note::Anchor);
        let muted = self.muted.iter().copied().map(Note::Muted);
        let holes = self.holes.iter().copied().map(Note::Hole);
        self.segment.clone().map(Note::Segment).into_iter().chain(anchors).chain(muted).chain(holes)
    }
}

fn add<T: PartialEq + Copy>(known: &mut Vec<T>, new: &T) -> bool {
    let add = !known.contains(new);
    if add {
        known.push(*new);
    }
    add
}
