//! The parts of one upload: which the store has, and whether they are as the file is.

use std::collections::BTreeMap;

use roomtone_protocol::ClockNs;

use super::Known;
use crate::s3::plan::{MOST_NUMBER, PartRange};

/// The first part has the file's head, which is written last.
const HEAD: i32 = 1;

#[derive(Debug)]
pub(super) struct Parts {
    /// Bytes a part.
    pub(super) size: u64,
    /// Of the file that they are of.
    pub(super) channels: usize,
    /// Those that are not here were never sent, or did not arrive.
    parts: BTreeMap<i32, Part>,
    /// Bytes of parts that were sent, and of those that were sent for the first time.
    sent: u64,
    fresh: u64,
}

/// A part that is there or on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Sending {
        length: u64,
        /// When its bytes became others while they were on their way.
        rewritten: Option<ClockNs>,
        /// There is an earlier version of it.
        again: bool,
    },
    /// As the file has it.
    There {
        length: u64,
    },
    /// Its bytes became others.
    Stale {
        since: ClockNs,
    },
    /// Of an earlier run.
    Unsure {
        length: u64,
    },
    Checking {
        length: u64,
        rewritten: Option<ClockNs>,
    },
}

/// Long ago: nothing is to be waited for.
const EVER: ClockNs = ClockNs(i64::MIN);

impl Parts {
    pub(super) fn known(size: u64, channels: usize, known: impl IntoIterator<Item = Known>) -> Self {
        let mut parts = Self { size, channels, parts: BTreeMap::new(), sent: 0, fresh: 0 };
        for Known { number, length, sure } in known {
            parts.parts.insert(number, if sure { Part::There { length } } else { Part::Unsure { length } });
            parts.sent += length;
            parts.fresh += length;
        }
        parts
    }

    /// Bytes that became others make every part stale that has any of them.
    pub(super) fn rewritten(&mut self, now: ClockNs, from: u64, to: u64) {
        let size = self.size;
        let touched = |number: i32| {
            PartRange::of(number, u64::MAX, size).is_some_and(|part| from < part.end() && part.offset < to)
        };
        for (_, part) in self.parts.iter_mut().filter(|(number, _)| touched(**number)) {
            match part {
                Part::Sending { rewritten, .. } | Part::Checking { rewritten, .. } => *rewritten = Some(now),
                Part::There { .. } | Part::Stale { .. } => *part = Part::Stale { since: now },
                Part::Unsure { .. } => {}
            }
        }
    }

    /// A part arrived; its bytes.
    pub(super) fn sent(&mut self, number: i32) -> u64 {
        let Some(part) = self.parts.get_mut(&number) else { return 0 };
        let Part::Sending { length, rewritten, .. } = *part else { return 0 };
        *part = rewritten.map_or(Part::There { length }, |since| Part::Stale { since });
        length
    }

    /// A part may have arrived or not.
    pub(super) fn not_sent(&mut self, number: i32) {
        match self.parts.get(&number) {
            Some(Part::Sending { again: true, .. }) => drop(self.parts.insert(number, Part::Stale { since: EVER })),
            Some(Part::Sending { again: false, .. }) => drop(self.parts.remove(&number)),
            _ => {}
        }
    }

    pub(super) fn checked(&mut self, number: i32, same: bool) {
        let Some(part) = self.parts.get_mut(&number) else { return };
        let Part::Checking { length, rewritten } = *part else { return };
        *part = match rewritten {
            Some(since) => Part::Stale { since },
            None if same => Part::There { length },
            None => Part::Stale { since: EVER },
        };
    }

    pub(super) fn not_checked(&mut self, number: i32) {
        if let Some(part) = self.parts.get_mut(&number)
            && let Part::Checking { length, .. } = *part
        {
            *part = Part::Unsure { length };
        }
    }

    /// The next part of an earlier run to compare with the file; one at a time, as it only takes the disk.
    pub(super) fn check(&mut self, settled: u64, whole: Option<u64>) -> Option<PartRange> {
        if self.parts.values().any(|part| matches!(part, Part::Checking { .. })) {
            return None;
        }
        let (size, file) = (self.size, whole.unwrap_or(u64::MAX));
        let comparable = |(&number, part): (&i32, &Part)| {
            let Part::Unsure { length } = *part else { return None };
            let range = PartRange::of(number, file, size)?;
            let ready = range.length == length && range.end() <= settled && (whole.is_some() || number != HEAD);
            ready.then_some(range)
        };
        let range = self.parts.iter().find_map(comparable)?;
        self.parts.insert(range.number, Part::Checking { length: range.length, rewritten: None });
        Some(range)
    }

    /// Settled parts that were never sent.
    pub(super) fn fresh(&self, settled: u64) -> impl Iterator<Item = PartRange> {
        let count = i32::try_from(settled / self.size).unwrap_or(MOST_NUMBER).min(MOST_NUMBER);
        let missing = (HEAD + 1..=count).filter(|number| !self.parts.contains_key(number));
        missing.filter_map(move |number| PartRange::of(number, settled, self.size))
    }

    /// The next part of a file that still grows: one that was never sent if that can be afforded, else one whose bytes
    /// have been left alone since `quiet`.
    pub(super) fn send_while_growing(&mut self, settled: u64, affordable: bool, quiet: ClockNs) -> Option<PartRange> {
        let fresh = self.fresh(settled).next().filter(|_| affordable);
        let due = || {
            let stale = self.parts.iter().filter(|(number, _)| **number != HEAD);
            let due = stale.filter(|(_, part)| matches!(part, Part::Stale { since } if *since <= quiet));
            due.filter_map(|(number, _)| PartRange::of(*number, u64::MAX, self.size)).find(|part| part.end() <= settled)
        };
        let range = fresh.or_else(due)?;
        self.begin(range);
        Some(range)
    }

    /// The next part of a whole file: those that were never sent, then those that became others, and the head last.
    pub(super) fn send_of_whole(&mut self, bytes: u64) -> Option<PartRange> {
        let lacking = |range: &PartRange| match self.parts.get(&range.number) {
            None | Some(Part::Stale { .. }) => true,
            Some(Part::There { length } | Part::Unsure { length }) => *length != range.length,
            Some(Part::Sending { .. } | Part::Checking { .. }) => false,
        };
        let behind = || crate::s3::plan::parts(bytes, self.size).skip(1);
        let fresh = behind().find(|range| !self.parts.contains_key(&range.number));
        let head = || PartRange::of(HEAD, bytes, self.size).filter(lacking);
        let range = fresh.or_else(|| behind().find(lacking)).or_else(head)?;
        self.begin(range);
        Some(range)
    }

    fn begin(&mut self, range: PartRange) {
        let before = self.parts.get(&range.number);
        let part = Part::Sending { length: range.length, rewritten: None, again: before.is_some() };
        self.sent += range.length;
        self.fresh += if before.is_some() { 0 } else { range.length };
        self.parts.insert(range.number, part);
    }

    /// Parts on their way.
    pub(super) fn sending(&self) -> usize {
        self.parts.values().filter(|part| matches!(part, Part::Sending { .. })).count()
    }

    /// Whether any task is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.parts.values().any(|part| matches!(part, Part::Sending { .. } | Part::Checking { .. }))
    }

    pub(super) fn are_all_there(&self, bytes: u64) -> bool {
        let there = |range: PartRange| self.parts.get(&range.number) == Some(&Part::There { length: range.length });
        !self.is_busy() && crate::s3::plan::parts(bytes, self.size).all(there)
    }

    pub(super) fn bytes_there(&self) -> u64 {
        let length = |part: &Part| if let Part::There { length } = part { *length } else { 0 };
        self.parts.values().map(length).sum()
    }

    pub(super) fn bytes_sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn bytes_fresh(&self) -> u64 {
        self.fresh
    }

    /// When the bytes of a part became others, the first of them after an instant.
    pub(super) fn rewritten_after(&self, at: ClockNs) -> Option<ClockNs> {
        let since = |part: &Part| if let Part::Stale { since } = part { Some(*since) } else { None };
        self.parts.values().filter_map(since).filter(|&since| since > at).min()
    }

    pub(super) fn doubtful(&self) -> Vec<i32> {
        let doubtful = self.parts.iter().filter(|(_, part)| !matches!(part, Part::There { .. }));
        doubtful.map(|(number, _)| *number).collect()
    }
}
