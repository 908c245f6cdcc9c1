//! Sets of samples, as sorted ranges: memory grows with the number of holes, not with time.

use std::collections::BTreeMap;

use roomtone_protocol::{IndexRange, SampleIndex, SegmentKey};

/// A set of numbers as disjoint, non-touching, half-open ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeSet {
    /// Start to end.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// Adds `from..to`; true if any of it is new.
    pub fn insert(&mut self, from: u64, to: u64) -> bool {
        if from >= to || self.covers(from, to) {
            return false;
        }
        let (mut start, mut end) = (from, to);
        if let Some((&before, &until)) = self.ranges.range(..=from).next_back()
            && until >= from
        {
            start = before;
            end = end.max(until);
        }
        while let Some((&next, &until)) = self.ranges.range(start..=end).next() {
            end = end.max(until);
            self.ranges.remove(&next);
        }
        self.ranges.insert(start, end);
        true
    }

    /// Takes `from..to` out.
    pub fn remove(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        if let Some((&start, &end)) = self.ranges.range(..from).next_back()
            && end > from
        {
            self.ranges.insert(start, from);
            self.ranges.insert(from, end);
        }
        while let Some((&start, &end)) = self.ranges.range(from..to).next() {
            self.ranges.remove(&start);
            if end > to {
                self.ranges.insert(to, end);
            }
        }
    }

    /// Whether all of `from..to` is in the set.
    #[must_use]
    pub fn covers(&self, from: u64, to: u64) -> bool {
        from >= to || self.ranges.range(..=from).next_back().is_some_and(|(_, &until)| until >= to)
    }

    /// The parts of `from..to` that are not in the set, in order.
    #[must_use]
    pub fn missing(&self, from: u64, to: u64) -> Vec<(u64, u64)> {
        let mut missing = Vec::new();
        let mut at = from;
        for (start, end) in self.within(from, to) {
            if start > at {
                missing.push((at, start));
            }
            at = end;
        }
        if at < to {
            missing.push((at, to));
        }
        missing
    }

    /// The parts of `from..to` that are in the set, in order.
    pub fn within(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let first = self.ranges.range(..=from).next_back().map_or(from, |(&start, _)| start);
        self.ranges
            .range(first..to.max(first))
            .map(move |(&start, &end)| (start.max(from), end.min(to)))
            .filter(|(start, end)| start < end)
    }

    /// The whole range that a number lies in.
    #[must_use]
    pub fn range_of(&self, number: u64) -> Option<(u64, u64)> {
        self.ranges.range(..=number).next_back().map(|(&start, &end)| (start, end)).filter(|&(_, end)| number < end)
    }

    /// All ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().map(|(&start, &end)| (start, end))
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

/// Which samples of which segments are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    segments: BTreeMap<SegmentKey, RangeSet>,
}

impl Coverage {
    /// Adds a range; true if any of it is new.
    pub fn insert(&mut self, range: IndexRange) -> bool {
        self.segments.entry(range.segment).or_default().insert(range.from.0, range.to.0)
    }

    /// Whether all of a range is there.
    #[must_use]
    pub fn covers(&self, range: IndexRange) -> bool {
        range.from >= range.to
            || self.segments.get(&range.segment).is_some_and(|set| set.covers(range.from.0, range.to.0))
    }

    /// The parts of a range that are not there, in order.
    #[must_use]
    pub fn missing(&self, range: IndexRange) -> Vec<IndexRange> {
        let missing = self.segments.get(&range.segment).map_or_else(
            || if range.from < range.to { vec![(range.from.0, range.to.0)] } else { Vec::new() },
            |set| set.missing(range.from.0, range.to.0),
        );
        missing.into_iter().map(|(from, to)| index_range(range.segment, from, to)).collect()
    }

    /// The ranges of one segment.
    #[must_use]
    pub fn segment(&self, segment: SegmentKey) -> Option<&RangeSet> {
        self.segments.get(&segment)
    }

    /// Everything, in order.
    pub fn iter(&self) -> impl Iterator<Item = IndexRange> + '_ {
        self.segments
            .iter()
            .flat_map(|(&segment, set)| set.iter().map(move |(from, to)| index_range(segment, from, to)))
    }

    /// Whether nothing is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.values().all(RangeSet::is_empty)
    }
}

fn index_range(segment: SegmentKey, from: u64, to: u64) -> IndexRange {
    IndexRange { segment, from: SampleIndex(from), to: SampleIndex(to) }
}
