//! Where a run's clock lies on the timeline of a recording that an earlier run began.
//!
//! Timeline clocks go on while a computer sleeps and begin anew when it boots; a recording's timeline goes on over the
//! boot. Within one boot the clock says where. Over a boot the wall clock says it first, because everybody can see at once
//! then that the recording goes on; within seconds the clocks of participants, which went on meanwhile, say it far
//! better ([`super::placing`]).

use roomtone_packets::{EpochStart, Interval, Placed, PlacedBy};
use roomtone_protocol::{ClockNs, WakeEpoch};
use roomtone_recorder::SessionNotes;

use super::Moment;

/// Clocks of one boot keep their distance from the wall clock, but for what people and time servers set it by. More than
/// this means another boot, where boots have no names: 2 s.
const SAME_BOOT_NS: i64 = 2_000_000_000;

/// What is said of a wall clock over a boot: 2 s. Clocks on batteries count whole seconds and lose or gain a second or two
/// a day; that of a computer that asks a time server is better, but by the time it has asked, it was read.
const WALL_CLOCK_NS: u64 = 2_000_000_000;

/// The wall clock was set, if it goes by more than this beside the timeline clock: 50 ms, so that a few of these sum up to
/// less than what is said of it.
const SET_NS: i64 = 50_000_000;

/// Which run this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Counted on the recorder's disk.
    pub epoch: WakeEpoch,
    /// The computer's boot, where it has a name.
    pub boot_id: Option<String>,
}

/// A run's clock on a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// What the timeline is ahead of the clock, in nanoseconds.
    pub(super) shift_ns: i64,
    pub(super) uncertainty_ns: u64,
    /// None as long as there was no boot: the clock is the timeline.
    pub(super) by: Option<PlacedBy>,
    /// Boots since the recording began.
    pub(super) boots: u32,
}

/// No instant of this run has a place on a recording's timeline: the computer was booted, and its wall clock says that it
/// is not yet as late as it was then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unplaced {
    /// By how much, in seconds.
    pub(super) behind_s: i64,
}

impl Placement {
    /// The clock is the timeline.
    pub(super) const NONE: Self = Self { shift_ns: 0, uncertainty_ns: 0, by: None, boots: 0 };

    /// Of a recording that began at `start` and gave its last sign of life at `last_there`.
    pub(super) fn find(
        notes: &SessionNotes,
        start: &Interval,
        last_there: ClockNs,
        now: Moment,
        run: &Run,
    ) -> Result<Self, Unplaced> {
        let known = notes.epochs.last();
        // An earlier version noted no epochs; its instants are those of one boot.
        let (before, wall_ns) = known.map_or((start.at, start.wall_ns), |epoch| (epoch.at, epoch.wall_ns));
        let placed = known.and_then(|epoch| epoch.placed);
        let shift_ns = placed.map_or(0, |placed| placed.timeline.0.saturating_sub(before.0));
        let boots = placed.map_or(0, |placed| placed.boots);
        let set_ns = (now.wall_ns - wall_ns) - (now.clock.0 - before.0);
        let names = (known.and_then(|epoch| epoch.boot_id.as_ref()), run.boot_id.as_ref());
        let same = match names {
            // A name alone will not do: programs can be given another clock within one boot.
            (Some(before), Some(now)) if before != now => false,
            (Some(_), Some(_)) => true,
            _ => set_ns.abs() < SAME_BOOT_NS,
        };
        if same && now.clock >= before {
            let uncertainty_ns = placed.map_or(0, |placed| placed.uncertainty_ns);
            return Ok(Self { shift_ns, uncertainty_ns, by: placed.map(|placed| placed.by), boots });
        }
        let there = Self {
            shift_ns: shift_ns.saturating_add(set_ns),
            uncertainty_ns: WALL_CLOCK_NS,
            by: Some(PlacedBy::Provisional),
            boots: boots + 1,
        };
        let behind = last_there.0.saturating_sub(there.on_timeline(now.clock).0);
        if behind > 0 { Err(Unplaced { behind_s: behind / 1_000_000_000 }) } else { Ok(there) }
    }

    /// An instant of the clock on the timeline.
    pub(super) fn on_timeline(&self, clock: ClockNs) -> ClockNs {
        ClockNs(clock.0.saturating_add(self.shift_ns))
    }

    /// An instant of the timeline on the clock.
    pub(super) fn on_clock(&self, timeline: ClockNs) -> ClockNs {
        ClockNs(timeline.0.saturating_sub(self.shift_ns))
    }

    /// What a recording's journal is told, `boots` boots behind its beginning. `now` is on the run's own clock.
    pub(super) fn epoch(&self, run: &Run, now: Moment, boots: u32) -> EpochStart {
        let timeline = self.on_timeline(now.clock);
        let placed = self.by.map(|by| Placed { timeline, uncertainty_ns: self.uncertainty_ns, by, boots });
        let Run { epoch, boot_id } = run.clone();
        EpochStart { epoch, boot_id, at: now.clock, wall_ns: now.wall_ns, placed }
    }
}

/// Whether the wall clock was set between two moments of one run.
pub(super) fn was_set(before: Moment, now: Moment) -> bool {
    let by = (now.wall_ns - before.wall_ns).saturating_sub(now.clock.0 - before.clock.0);
    by.abs() > SET_NS
}

#[cfg(test)]
mod tests {
    use roomtone_packets::IntervalEdge;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn run(boot: Option<&str>) -> Run {
        Run { epoch: WakeEpoch(3), boot_id: boot.map(str::to_owned) }
    }

    fn moment(clock_s: i64, wall_s: i64) -> Moment {
        Moment { clock: ClockNs(clock_s * SECOND), wall_ns: wall_s * SECOND }
    }

    /// Begun at 100 s and wall 5,000 s, last heard of at 160 s; now at `clock_s` and `wall_s`.
    fn find(epochs: &[EpochStart], boot: Option<&str>, clock_s: i64, wall_s: i64) -> Result<Placement, Unplaced> {
        let start = Interval { edge: IntervalEdge::Start, at: ClockNs(100 * SECOND), wall_ns: 5_000 * SECOND };
        let mut notes = SessionNotes::default();
        notes.epochs.extend_from_slice(epochs);
        Placement::find(&notes, &start, ClockNs(160 * SECOND), moment(clock_s, wall_s), &run(boot))
    }

    fn begun(boot: Option<&str>) -> EpochStart {
        Placement::NONE.epoch(&run(boot), moment(100, 5_000), 0)
    }

    fn by_the_wall(shift_s: i64, boots: u32) -> Placement {
        let by = Some(PlacedBy::Provisional);
        Placement { shift_ns: shift_s * SECOND, uncertainty_ns: WALL_CLOCK_NS, by, boots }
    }

    #[test]
    fn within_one_boot_the_clock_is_the_timeline_whatever_the_wall_clock_was_set_to() {
        let named = [begun(Some("a"))];
        for wall_s in [5_070, 9_000, 0] {
            assert_eq!(find(&named, Some("a"), 170, wall_s), Ok(Placement::NONE));
        }
        // Where boots have no names, or an earlier version wrote the journal, a small step is all that is believed.
        assert_eq!(find(&[begun(None)], None, 170, 5_071), Ok(Placement::NONE));
        assert_eq!(find(&[], Some("a"), 170, 5_071), Ok(Placement::NONE));
        assert_eq!(find(&[], None, 170, 5_080), Ok(by_the_wall(10, 1)));
    }

    #[test]
    fn over_a_boot_the_wall_clock_says_how_long_it_took() {
        // Up for 20 s, 120 s after the recording began: that is 220 s on its timeline.
        for (epochs, boot) in [(vec![begun(Some("a"))], Some("b")), (vec![begun(None)], None), (vec![], Some("b"))] {
            assert_eq!(find(&epochs, boot, 20, 5_120), Ok(by_the_wall(200, 1)));
        }
        let placed = find(&[begun(Some("a"))], Some("b"), 20, 5_120).unwrap();
        assert_eq!(placed.on_timeline(ClockNs(21 * SECOND)), ClockNs(221 * SECOND));
        assert_eq!(placed.on_clock(ClockNs(221 * SECOND)), ClockNs(21 * SECOND));
    }

    #[test]
    fn a_clock_that_goes_back_is_another_one_whatever_the_boot_is_called() {
        assert_eq!(find(&[begun(Some("a"))], Some("a"), 20, 5_120), Ok(by_the_wall(200, 1)));
    }

    #[test]
    fn a_wall_clock_that_lies_before_the_last_second_places_nothing() {
        let unplaced = find(&[begun(Some("a"))], Some("b"), 20, 5_050).unwrap_err();
        assert_eq!(unplaced, Unplaced { behind_s: 10 });
        assert!(find(&[begun(Some("a"))], Some("b"), 20, 0).is_err());
    }

    #[test]
    fn boots_add_up_and_a_run_of_the_second_one_goes_on_where_it_was_placed() {
        let placed =
            Placement { shift_ns: 201 * SECOND, uncertainty_ns: 7, by: Some(PlacedBy::Participants), boots: 1 };
        let second = placed.epoch(&run(Some("b")), moment(25, 5_124), placed.boots);
        assert_eq!(find(&[begun(Some("a")), second.clone()], Some("b"), 40, 7), Ok(placed));
        let third = find(&[begun(Some("a")), second], Some("c"), 5, 5_200);
        assert_eq!(third, Ok(by_the_wall(297, 2)), "226 s, 76 s later, are 302 s");
    }

    #[test]
    fn a_wall_clock_that_is_set_is_noticed_and_its_usual_wander_is_not() {
        assert!(!was_set(moment(0, 0), moment(3_600, 3_600)));
        let later = |ns: i64| Moment { clock: ClockNs(SECOND), wall_ns: SECOND + ns };
        assert!(!was_set(moment(0, 0), later(SET_NS)));
        assert!(was_set(moment(0, 0), later(SET_NS + 1)) && was_set(moment(0, 0), later(-SET_NS - 1)));
    }
}
