//! Boots of the recorder's computer while a recording is in progress: its clock begins anew, the timeline goes on.
//!
//! Everything in a journal is on the timeline; its epochs say how the clock of each boot lies on it, the last one of a
//! boot for good. What was noted under a provisional one is moved when the last word is read or written.

use std::collections::BTreeMap;

use roomtone_packets::{EpochStart, Placed, PlacedBy};
use roomtone_protocol::ClockNs;
use roomtone_protocol::metadata::{ClockSeam, SeamPlacedBy};

use crate::journal::SessionNotes;
use crate::timeline::{Timeline, TimelineFrame};

impl SessionNotes {
    /// Takes an epoch, and moves what was noted while its clock had no place yet.
    pub(crate) fn begin_epoch(&mut self, epoch: EpochStart) {
        if let Some((since, by_ns)) = self.provisional_since(&epoch).zip(self.moves_by(&epoch)) {
            let edges = self.intervals.iter_mut().map(|edge| &mut edge.at);
            let markers = self.markers.iter_mut().map(|marker| &mut marker.at);
            let goodbyes = self.left.values_mut().flatten();
            for at in edges.chain(markers).chain(goodbyes).filter(|at| **at >= since) {
                at.0 = at.0.saturating_add(by_ns);
            }
        }
        self.epochs.push(epoch);
    }

    /// From which instant on what is noted is provisional, as long as the newest epoch's clock has no place.
    #[must_use]
    pub fn provisional(&self) -> Option<ClockNs> {
        let placed = self.epochs.last()?.placed?;
        let of_boot = |placed: &Placed| placed.boots == self.boots() && placed.by == PlacedBy::Provisional;
        let since = self.epochs.iter().filter_map(|epoch| epoch.placed).find(of_boot)?.timeline;
        (placed.by == PlacedBy::Provisional).then_some(since)
    }

    fn provisional_since(&self, epoch: &EpochStart) -> Option<ClockNs> {
        self.provisional().filter(|_| epoch.placed.is_some_and(|placed| placed.boots == self.boots()))
    }

    /// How much later an epoch places its clock than the one before it.
    fn moves_by(&self, epoch: &EpochStart) -> Option<i64> {
        let thought = moved(self.epochs.last()?, epoch.at);
        Some(epoch.placed?.timeline.0.saturating_sub(thought.0))
    }

    /// An instant of the clock that the newest epoch is of, on the recording's timeline.
    #[must_use]
    pub fn on_timeline(&self, clock: ClockNs) -> ClockNs {
        self.epochs.last().map_or(clock, |epoch| moved(epoch, clock))
    }

    /// Boots since the recording began.
    #[must_use]
    pub fn boots(&self) -> u32 {
        self.epochs.last().and_then(|epoch| epoch.placed).map_or(0, |placed| placed.boots)
    }
}

/// An instant of an epoch's clock on the timeline.
fn moved(epoch: &EpochStart, clock: ClockNs) -> ClockNs {
    let shift = epoch.placed.map_or(0, |placed| placed.timeline.0.saturating_sub(epoch.at.0));
    ClockNs(clock.0.saturating_add(shift))
}

/// Where the clock began anew, in order.
pub(crate) fn seams(notes: &SessionNotes, timeline: &Timeline) -> Vec<ClockSeam> {
    let mut boots: BTreeMap<u32, (ClockNs, &EpochStart, Placed)> = BTreeMap::new();
    for epoch in &notes.epochs {
        let Some(placed) = epoch.placed.filter(|placed| placed.boots > 0) else { continue };
        let began = boots.get(&placed.boots).map_or(epoch.at, |(began, ..)| *began);
        boots.insert(placed.boots, (began, epoch, placed));
    }
    let seams = boots.into_values().map(|(began, epoch, placed)| ClockSeam {
        frame: timeline.to_file_or_next(TimelineFrame::at(moved(epoch, began))).0,
        uncertainty_us: placed.uncertainty_ns as f64 / 1e3,
        by: match placed.by {
            PlacedBy::Participants => SeamPlacedBy::Participants,
            PlacedBy::Provisional | PlacedBy::WallClock => SeamPlacedBy::WallClock,
        },
    });
    seams.collect()
}

#[cfg(test)]
mod tests {
    use roomtone_packets::{Interval, IntervalEdge};
    use roomtone_protocol::WakeEpoch;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn epoch(at_s: i64, placed: Option<(i64, u64, PlacedBy, u32)>) -> EpochStart {
        let placed = placed.map(|(timeline_ms, uncertainty_ns, by, boots)| Placed {
            timeline: ClockNs(timeline_ms * 1_000_000),
            uncertainty_ns,
            by,
            boots,
        });
        EpochStart { epoch: WakeEpoch(1), boot_id: None, at: ClockNs(at_s * SECOND), wall_ns: 0, placed }
    }

    #[test]
    fn the_last_word_on_a_boot_says_where_its_clock_lies() {
        let mut notes = SessionNotes::default();
        assert_eq!((notes.on_timeline(ClockNs(7)), notes.boots()), (ClockNs(7), 0));
        notes.epochs.push(epoch(100, None));
        assert_eq!(notes.on_timeline(ClockNs(7)), ClockNs(7));
        notes.epochs.push(epoch(5, Some((160_000, 2_000_000_000, PlacedBy::Provisional, 1))));
        assert_eq!((notes.on_timeline(ClockNs(6 * SECOND)), notes.boots()), (ClockNs(161 * SECOND), 1));
        notes.epochs.push(epoch(8, Some((162_600, 300_000, PlacedBy::Participants, 1))));
        notes.epochs.push(epoch(3, Some((200_000, 2_000_000_000, PlacedBy::WallClock, 2))));

        let edge = |edge, at_s: i64| Interval { edge, at: ClockNs(at_s * SECOND), wall_ns: 0 };
        let timeline = Timeline::new(&[edge(IntervalEdge::Start, 100), edge(IntervalEdge::Stop, 300)], None);
        let seam = |ms: u64, uncertainty_us, by| ClockSeam { frame: ms * 48, uncertainty_us, by };
        let expected =
            [seam(59_600, 300.0, SeamPlacedBy::Participants), seam(100_000, 2_000_000.0, SeamPlacedBy::WallClock)];
        assert_eq!(seams(&notes, &timeline), expected);
    }

    #[test]
    fn what_was_noted_under_a_provisional_place_is_moved_by_the_last_word() {
        let edge = |edge, ms: i64| Interval { edge, at: ClockNs(ms * 1_000_000), wall_ns: 0 };
        let mut notes = SessionNotes::default();
        notes.intervals.push(edge(IntervalEdge::Start, 100_000));
        notes.begin_epoch(epoch(5, Some((160_000, 2_000_000_000, PlacedBy::Provisional, 1))));
        assert_eq!(notes.provisional(), Some(ClockNs(160 * SECOND)));
        notes.intervals.push(edge(IntervalEdge::Pause, 161_000));
        // The program is killed, and the next one thinks the same.
        notes.begin_epoch(epoch(8, Some((163_000, 2_000_000_000, PlacedBy::Provisional, 1))));
        notes.intervals.push(edge(IntervalEdge::Resume, 163_500));
        let thought = notes.intervals.clone();
        assert_eq!(notes.provisional(), Some(ClockNs(160 * SECOND)));
        notes.begin_epoch(epoch(9, Some((163_250, 300_000, PlacedBy::Participants, 1))));
        let at: Vec<i64> = notes.intervals.iter().map(|edge| edge.at.0 / 1_000_000).collect();
        assert_eq!((at, notes.provisional()), (vec![100_000, 160_250, 162_750], None), "instead of {thought:?}");
        // The wall clock was set, or the computer boots again: what is there stays.
        let placed = notes.intervals.clone();
        notes.begin_epoch(epoch(20, Some((174_250, 300_000, PlacedBy::Participants, 1))));
        notes.begin_epoch(epoch(2, Some((190_000, 2_000_000_000, PlacedBy::Provisional, 2))));
        assert_eq!((notes.provisional(), notes.intervals), (Some(ClockNs(190 * SECOND)), placed));
    }

    #[test]
    fn a_recording_that_began_behind_a_boot_has_no_seam() {
        let mut notes = SessionNotes::default();
        notes.epochs.push(epoch(5, Some((160_000, 300_000, PlacedBy::Participants, 0))));
        assert_eq!(seams(&notes, &Timeline::default()), []);
    }
}
