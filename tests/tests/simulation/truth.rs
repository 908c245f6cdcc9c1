//! What really happened, as the world saw it. Nothing here comes from the product's own arithmetic.

use std::collections::BTreeMap;

use roomtone_packets::Coverage;
use roomtone_protocol::RecordingId;
use roomtone_protocol::metadata::GapCause;

use crate::clocks::True;
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
    /// The recorder knows that they left, and not that they are back.
    pub(crate) left: bool,
    /// When the recorder heard of it.
    pub(crate) goodbyes: Vec<True>,
    /// Nothing between here and the recorder hides how far the clocks are apart.
    pub(crate) calm_path: bool,
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

#[derive(Debug)]
pub(crate) struct RecordingTruth {
    pub(crate) from: True,
    pub(crate) until: Option<True>,
    /// Nobody pressed Stop: everybody had left, or nobody was there for long enough.
    pub(crate) by_rule: bool,
    /// In order.
    pub(crate) channels: Vec<usize>,
    /// Until when somebody had not been told of it: when their program first was.
    pub(crate) told: BTreeMap<usize, True>,
    /// What somebody was told to be safe.
    pub(crate) acknowledged: BTreeMap<usize, Coverage>,
    /// Packets that were only in memory when a program died.
    pub(crate) died: Vec<(usize, Said)>,
    /// The recorder's program died while packets were still taken.
    pub(crate) orphaned: Option<True>,
    /// Its journal was wiped.
    pub(crate) wiped: bool,
    /// Its journal was closed.
    pub(crate) closed: Option<True>,
    pub(crate) checked: bool,
}

impl RecordingTruth {
    pub(crate) fn new(from: True, channels: Vec<usize>) -> Self {
        Self {
            from,
            until: None,
            by_rule: false,
            channels,
            told: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            died: Vec::new(),
            orphaned: None,
            wiped: false,
            closed: None,
            checked: false,
        }
    }
}
