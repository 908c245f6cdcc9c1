//! What a journal says of boots of the recorder's computer.

use std::collections::BTreeMap;

use roomtone_recorder::Journal;

/// How far a boot, and those before it, may have moved what follows, in nanoseconds.
pub(super) fn stated_ns(journal: &Journal) -> f64 {
    let placed = journal.notes().epochs.iter().filter_map(|epoch| epoch.placed);
    // The last word on each of them counts.
    let boots: BTreeMap<u32, u64> = placed.map(|placed| (placed.boots, placed.uncertainty_ns)).collect();
    boots.values().sum::<u64>() as f64
}
