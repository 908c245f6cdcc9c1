//! Boots of the recorder's computer while a recording is in progress: its clock begins anew, the timeline goes on.
//!
//! Everything in a journal is on the timeline; its epochs say how the clock of each boot lies on it, the last one of a
//! boot for good.

use std::collections::BTreeMap;

use roomtone_packets::{EpochStart, Placed, PlacedBy};
use roomtone_protocol::ClockNs;
use roomtone_protocol::metadata::{ClockSeam, SeamPlacedBy};

use crate::journal::SessionNotes;
use crate::timeline::{Timeline, TimelineFrame};

impl SessionNotes {
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
    fn a_recording_that_began_behind_a_boot_has_no_seam() {
        let mut notes = SessionNotes::default();
        notes.epochs.push(epoch(5, Some((160_000, 300_000, PlacedBy::Participants, 0))));
        assert_eq!(seams(&notes, &Timeline::default()), []);
    }
}
