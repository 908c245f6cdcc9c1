//! Which packets lie where, as runs: memory grows by a few bytes for every ten seconds.

use std::collections::BTreeMap;

use roomtone_packets::{Coverage, Packet};
use roomtone_protocol::{IndexRange, SegmentKey};

/// Packets of a run: what is read at most to find one.
const RUN_PACKETS: u32 = 512;

/// Packets that follow each other without a gap, in one stretch of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// The file's place in the recording's list.
    pub(crate) file: usize,
    /// First byte.
    pub(crate) offset: u64,
    /// Length.
    pub(crate) bytes: u64,
    /// One past the last sample.
    to: u64,
    packets: u32,
}

/// One recording's packets.
#[derive(Debug, Default)]
pub(crate) struct Index {
    held: Coverage,
    /// By first sample.
    runs: BTreeMap<SegmentKey, BTreeMap<u64, Run>>,
}

impl Index {
    /// Notes a packet; false if all of it is there already.
    pub(crate) fn insert(&mut self, packet: &Packet, file: usize, offset: u64, bytes: u64) -> bool {
        let range = packet.range();
        if !self.held.insert(range) {
            return false;
        }
        let runs = self.runs.entry(range.segment).or_default();
        let (from, to) = (range.from.0, range.to.0);
        if let Some((_, run)) = runs.range_mut(..from).next_back()
            && (run.file, run.to, run.offset + run.bytes) == (file, from, offset)
            && run.packets < RUN_PACKETS
        {
            run.bytes += bytes;
            run.to = to;
            run.packets += 1;
            return true;
        }
        runs.insert(from, Run { file, offset, bytes, to, packets: 1 });
        true
    }

    /// Whether all of a packet is there.
    pub(crate) fn holds(&self, packet: &Packet) -> bool {
        self.held.covers(packet.range())
    }

    /// The samples that are there, in order.
    pub(crate) fn held(&self) -> &Coverage {
        &self.held
    }

    /// The runs that hold some of a range, in order.
    pub(crate) fn runs(&self, range: IndexRange) -> impl Iterator<Item = Run> + '_ {
        let (from, to) = (range.from.0, range.to.0);
        let runs = self.runs.get(&range.segment);
        // A run that begins before the range may reach into it.
        let first = runs.and_then(|runs| runs.range(..=from).next_back()).map_or(from, |(&first, _)| first);
        let within = runs.map(|runs| runs.range(first..to.max(first)));
        within.into_iter().flatten().map(|(_, &run)| run).filter(move |run| run.to > from)
    }
}
