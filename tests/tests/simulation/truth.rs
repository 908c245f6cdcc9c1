//! What really happened, as the world saw it. Nothing here comes from the product's own arithmetic.

use std::collections::BTreeMap;

use roomtone_packets::Coverage;
use roomtone_protocol::RecordingId;
use roomtone_protocol::channel::Hole;
use roomtone_protocol::metadata::GapCause;

use crate::clocks::{MachineClock, True};
use crate::microphone::Said;

/// Everything about one session.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) people: Vec<PersonTruth>,
    pub(crate) recordings: BTreeMap<RecordingId, RecordingTruth>,
    /// Who is in the room for good, in the order in which the recorder first met them.
    pub(crate) met: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct PersonTruth {
    /// In order of time.
    pub(crate) said: Vec<Said>,
    /// Spans without sound, and why: in order of time, the last one may be open.
    pub(crate) silent: Vec<(True, True, Silence)>,
    /// What the microphone said that it did not deliver.
    pub(crate) holes: Vec<Hole>,
    /// The recorder knows that they left, and not that they are back.
    pub(crate) left: bool,
    /// When the recorder heard of it.
    pub(crate) goodbyes: Vec<True>,
    /// When the recorder compared its clock with theirs, in order.
    pub(crate) measured: Vec<True>,
    /// Nothing between here and the recorder hides how far the clocks are apart.
    pub(crate) calm_path: bool,
    /// Their clock could not be asked for.
    pub(crate) only_heard: bool,
}

impl PersonTruth {
    /// Whether so many measurements lie so near, on either side.
    pub(crate) fn is_measured(&self, at: True, (count, near): (usize, i64)) -> bool {
        let next = self.measured.partition_point(|&measured| measured < at);
        let before = next.checked_sub(count).is_some_and(|first| self.measured[first] >= at.plus(-near));
        before && self.measured.get(next + count - 1).is_some_and(|&measured| measured <= at.plus(near))
    }

    /// Whether somebody was muted, or no longer, within this span.
    pub(crate) fn mutes_within(&self, from: True, until: True) -> bool {
        let first = self.said.partition_point(|said| said.to < from);
        let within = self.said[first..].iter().take_while(|said| said.from <= until);
        within.clone().any(|said| said.muted) && within.clone().any(|said| !said.muted)
    }
}

/// Why somebody's microphone gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// The program did not run yet.
    NotThere,
    /// It said goodbye.
    Left,
    /// It died.
    Crash,
    /// The device did not deliver.
    Device(GapCause),
}

/// A marker that the recorder agreed to.
#[derive(Debug)]
pub(crate) struct Mark {
    /// When; more than once if the recorder died and was asked again.
    pub(crate) set_at: Vec<True>,
    /// Nothing can have lost it.
    pub(crate) sure: bool,
}

#[derive(Debug)]
pub(crate) struct RecordingTruth {
    pub(crate) from: True,
    pub(crate) until: Option<True>,
    /// The clock of the host's computer, from one boot to the next.
    pub(crate) clock: MachineClock,
    /// From, until; None as long as it is paused.
    pub(crate) pauses: Vec<(True, Option<True>)>,
    /// Nobody pressed Stop: everybody had left, or nobody was there for long enough.
    pub(crate) by_rule: bool,
    /// In order.
    pub(crate) channels: Vec<usize>,
    /// Markers, by text; no two are the same.
    pub(crate) marks: BTreeMap<String, Mark>,
    /// Until when somebody had not been told of it: when their program first was.
    pub(crate) told: BTreeMap<usize, True>,
    /// What somebody was told to be safe.
    pub(crate) acknowledged: BTreeMap<usize, Coverage>,
    /// Packets that were only in memory when a program died.
    pub(crate) died: Vec<(usize, Said)>,
    /// The recorder's program died, and none went on with it.
    pub(crate) orphaned: Option<True>,
    /// When that was; a program that goes on sets it anew.
    pub(crate) died_at: Option<True>,
    /// Its journal was wiped.
    pub(crate) wiped: bool,
    /// Somebody discarded it.
    pub(crate) cancelled: Option<True>,
    /// Files that were made of it.
    pub(crate) versions: u32,
    /// What the newest of them holds.
    pub(crate) stored: BTreeMap<usize, Coverage>,
    /// The stretches of time that it shows for sure.
    pub(crate) spans_in_file: Vec<(True, True)>,
}

impl RecordingTruth {
    pub(crate) fn new(from: True, clock: MachineClock, channels: Vec<usize>) -> Self {
        Self {
            from,
            until: None,
            clock,
            pauses: Vec::new(),
            by_rule: false,
            channels,
            marks: BTreeMap::new(),
            told: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            died: Vec::new(),
            orphaned: None,
            died_at: None,
            wiped: false,
            cancelled: None,
            versions: 0,
            stored: BTreeMap::new(),
            spans_in_file: Vec::new(),
        }
    }

    /// Whether it is the one in progress.
    pub(crate) fn runs(&self) -> bool {
        self.until.is_none() && self.orphaned.is_none() && !self.wiped
    }

    /// It is over.
    pub(crate) fn ends(&mut self, at: True, by_rule: bool) {
        self.until = Some(at);
        self.by_rule = by_rule;
    }

    /// What was recorded: from, until.
    pub(crate) fn spans(&self, until: True) -> Vec<(True, True)> {
        let begins = std::iter::once(Some(self.from)).chain(self.pauses.iter().map(|(_, resumed)| *resumed));
        let ends = self.pauses.iter().map(|(paused, _)| *paused).chain([until]);
        begins.zip(ends).filter_map(|(from, until)| Some((from?, until))).filter(|(from, until)| from < until).collect()
    }
}
