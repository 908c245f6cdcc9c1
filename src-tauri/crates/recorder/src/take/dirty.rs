//! Which rendered frames of a channel have become others.

use roomtone_packets::RangeSet;

/// File frames of one channel to be rendered again.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    pending: RangeSet,
    /// What the latest update said. More may be on its way: packets of one hole come one after the other, and each of
    /// them changes the rest of its chunk.
    latest: RangeSet,
}

impl Dirty {
    /// What a saved state listed.
    pub(super) fn restored(pending: RangeSet) -> Self {
        Self { pending, latest: RangeSet::default() }
    }

    /// Takes what an update changed.
    pub(super) fn update(&mut self, changed: RangeSet) {
        for (from, to) in changed.iter() {
            self.pending.insert(from, to);
        }
        self.latest = changed;
    }

    /// Frames from here on are not rendered after all.
    pub(super) fn cut(&mut self, from: u64) {
        self.pending.remove(from, u64::MAX);
    }

    /// Rendered again.
    pub(super) fn done(&mut self, from: u64, to: u64) {
        self.pending.remove(from, to);
    }

    /// The first frames to render again; those that the latest update changed only if nothing more is to come.
    pub(super) fn due(&self, nothing_more: bool) -> Option<(u64, u64)> {
        let mut pending = self.pending.iter();
        if nothing_more {
            return pending.next();
        }
        pending.find_map(|(from, to)| self.latest.missing(from, to).first().copied())
    }

    pub(super) fn pending(&self) -> &RangeSet {
        &self.pending
    }

    pub(super) fn frames(&self) -> u64 {
        self.pending.iter().map(|(from, to)| to - from).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u64, u64)]) -> RangeSet {
        let mut set = RangeSet::default();
        for &(from, to) in ranges {
            set.insert(from, to);
        }
        set
    }

    #[test]
    fn what_still_changes_waits_for_an_update_that_leaves_it_alone() {
        let mut dirty = Dirty::default();
        dirty.update(set(&[(10, 20)]));
        assert_eq!((dirty.due(false), dirty.due(true)), (None, Some((10, 20))));
        dirty.update(set(&[(15, 20)]));
        assert_eq!(dirty.due(false), Some((10, 15)));
        dirty.done(10, 15);
        assert_eq!(dirty.due(false), None);
        dirty.update(RangeSet::default());
        assert_eq!(dirty.due(false), Some((15, 20)));
        dirty.cut(17);
        assert_eq!((dirty.frames(), dirty.due(false)), (2, Some((15, 17))));
    }
}
