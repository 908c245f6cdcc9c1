//! What the journal of an earlier run, or of a recording that is over, says.
//!
//! Timeline clocks keep going while a computer sleeps and begin anew when it boots. A recording in progress keeps its
//! timeline over that ([`super::placement`]). One that is over is brought to this run's: within one boot instants are what
//! they were; across boots only the wall clock relates them.

use std::time::Duration;

use roomtone_packets::{Arrival, Interval, IntervalEdge, Record, SenderReport};
use roomtone_protocol::ClockNs;
use roomtone_recorder::{Journal, JournalError};
use roomtone_session::Continued;

use super::placement::{Placement, Unplaced};
use super::{GoingOn, Moment, Reopened, Run};

/// Clocks of one boot keep their distance from the wall clock, but for what people and time servers set it by. More than
/// this means another boot, whose instants only the wall clock relates: 2 s.
const SAME_BOOT_NS: i64 = 2_000_000_000;

impl GoingOn {
    /// Of a recording that may be in progress. None: it was stopped, it never began, or nothing of this run has a place on
    /// its timeline, because the computer was booted and its wall clock is wrong.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn of(journal: &Journal, now: Moment, run: &Run) -> Result<Option<Self>, JournalError> {
        let notes = journal.notes();
        let edges = &notes.intervals;
        let Some(start) = edges.first().filter(|first| first.edge == IntervalEdge::Start) else { return Ok(None) };
        if edges.iter().any(|edge| edge.edge == IntervalEdge::Stop) {
            return Ok(None);
        }
        let Time { cuts, recorded, running_since } = time(edges, start.at);
        let mut last_there = edges.iter().map(|edge| edge.at).max().unwrap_or(start.at);
        let mut tracks = Vec::new();
        for participant in journal.participants() {
            let mut records = Vec::new();
            journal.replay(participant, |record| match record {
                Record::ClockExchange(exchange) => {
                    // Measured once a second with everybody who is there: the journal's own sign of life.
                    last_there = last_there.max(exchange.t3);
                    records.push(Record::ClockExchange(exchange));
                }
                // As often with those who cannot be asked.
                Record::Arrival(Arrival { at, .. }) | Record::Report(SenderReport { at, .. }) => {
                    last_there = last_there.max(at);
                    records.push(record);
                }
                Record::Segment(_) | Record::Anchor(_) | Record::MapStretch(_) | Record::Muted(_) => {
                    records.push(record);
                }
                _ => {}
            })?;
            tracks.push((participant, journal.coverage(participant).clone(), records));
        }
        let continued = Continued {
            recording: journal.header().recording,
            title: journal.title().map(str::to_owned),
            notes: journal.description().map(str::to_owned),
            started_by: journal.header().started_by,
            begun: start.at,
            recorded,
            running_since,
            channels: notes.channels.values().copied().collect(),
            markers: u32::try_from(notes.markers.len()).unwrap_or(u32::MAX),
            marked: notes.markers.iter().filter_map(|marker| marker.asked).collect(),
            pauses: u32::try_from(cuts.len()).unwrap_or(u32::MAX),
            last_there,
        };
        match Placement::find(notes, start, last_there, now, run) {
            Ok(placement) => {
                let provisional = notes.provisional().filter(|_| placement.boots == notes.boots());
                Ok(Some(Self { continued, placement, provisional, cuts, tracks }))
            }
            Err(Unplaced { behind_s }) => {
                let recording = journal.header().recording;
                tracing::warn!(%recording, behind_s, "the wall clock lies before the recording's last second: it ends there");
                Ok(None)
            }
        }
    }
}

impl Reopened {
    /// Of a recording that is over. One without an end ends now: at a moment of the timeline
    /// ([`super::RecorderEnd::on_timeline`]).
    #[must_use]
    pub fn of(journal: &Journal, now: Moment) -> Self {
        let notes = journal.notes();
        let stops = notes.intervals.iter().filter(|interval| interval.edge == IntervalEdge::Stop);
        let until = stops.max_by_key(|stop| stop.at).map_or(now.clock, |stop| on_this_clock(stop, now));
        let vouched = |participant| journal.track(participant).and_then(|track| track.inventory.as_ref());
        let tracks = journal.participants().map(|participant| {
            let complete = vouched(participant).is_some_and(|inventory| inventory.complete);
            (participant, journal.coverage(participant).clone(), complete)
        });
        let mapped = journal.participants().flat_map(|participant| {
            let segments = journal.track(participant).into_iter().flat_map(|notes| notes.stretches.keys());
            segments.map(move |&segment| (participant, segment))
        });
        Self {
            until,
            same_clock: notes.intervals.iter().all(|edge| moved(edge, now) == 0),
            mapped: mapped.collect(),
            cuts: cuts(&notes.intervals, now),
            channels: notes.channels.values().copied().collect(),
            tracks: tracks.collect(),
        }
    }
}

/// The time of a recording in progress.
#[derive(Debug, PartialEq)]
struct Time {
    /// Pauses: from, until.
    cuts: Vec<(ClockNs, Option<ClockNs>)>,
    /// Recorded before `running_since`.
    recorded: Duration,
    /// None while it is paused.
    running_since: Option<ClockNs>,
}

/// What the edges of recorded time add up to, in order.
fn time(edges: &[Interval], begun: ClockNs) -> Time {
    let mut time = Time { cuts: Vec::new(), recorded: Duration::ZERO, running_since: Some(begun) };
    for edge in edges {
        match (edge.edge, time.running_since) {
            (IntervalEdge::Pause, Some(from)) => {
                time.recorded += Duration::from_nanos(u64::try_from(edge.at.0 - from.0).unwrap_or(0));
                time.running_since = None;
                time.cuts.push((edge.at, None));
            }
            (IntervalEdge::Resume, None) => {
                time.running_since = Some(edge.at);
                if let Some((_, until)) = time.cuts.last_mut() {
                    *until = Some(edge.at);
                }
            }
            _ => {}
        }
    }
    time
}

/// The pauses of a recording, on this run's timeline clock.
fn cuts(edges: &[Interval], now: Moment) -> Vec<(ClockNs, Option<ClockNs>)> {
    let mut cuts: Vec<(ClockNs, Option<ClockNs>)> = Vec::new();
    for edge in edges {
        match edge.edge {
            IntervalEdge::Pause => cuts.push((on_this_clock(edge, now), None)),
            IntervalEdge::Resume => {
                if let Some((_, until @ None)) = cuts.last_mut() {
                    *until = Some(on_this_clock(edge, now));
                }
            }
            IntervalEdge::Start | IntervalEdge::Stop => {}
        }
    }
    cuts
}

/// When an edge was, on this run's timeline clock.
fn on_this_clock(edge: &Interval, now: Moment) -> ClockNs {
    ClockNs(edge.at.0 - moved(edge, now))
}

/// How far the timeline clock lies off from that of an edge that was noted earlier, in nanoseconds: 0 within one boot.
fn moved(edge: &Interval, now: Moment) -> i64 {
    let moved = (now.wall_ns - now.clock.0) - (edge.wall_ns - edge.at.0);
    if moved.abs() < SAME_BOOT_NS { 0 } else { moved }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn edge(edge: IntervalEdge, seconds: i64) -> Interval {
        Interval { edge, at: ClockNs(seconds * SECOND), wall_ns: 0 }
    }

    #[test]
    fn recorded_time_leaves_pauses_out() {
        use IntervalEdge::{Pause, Resume, Start};
        let at = |seconds: i64| ClockNs(seconds * SECOND);
        let edges = [edge(Start, 10), edge(Pause, 15), edge(Resume, 40)];
        let five = Duration::from_secs(5);
        let expected = |cuts, recorded, running_since| Time { cuts, recorded, running_since };
        assert_eq!(time(&edges[..1], at(10)), expected(vec![], Duration::ZERO, Some(at(10))));
        assert_eq!(time(&edges[..2], at(10)), expected(vec![(at(15), None)], five, None));
        assert_eq!(time(&edges, at(10)), expected(vec![(at(15), Some(at(40)))], five, Some(at(40))));
    }

    #[test]
    fn within_one_boot_instants_stay_and_across_boots_the_wall_clock_relates_them() {
        let edge = Interval { edge: IntervalEdge::Stop, at: ClockNs(100 * SECOND), wall_ns: 5_000 * SECOND };
        // Twenty seconds later, the wall clock set by half a second meanwhile.
        let same = Moment { clock: ClockNs(120 * SECOND), wall_ns: 5_020 * SECOND + SECOND / 2 };
        assert_eq!(moved(&edge, same), 0);
        // A minute later, ten seconds after a start of the computer: the edge lies 50 s before that.
        let other = Moment { clock: ClockNs(10 * SECOND), wall_ns: 5_060 * SECOND };
        assert_eq!(on_this_clock(&edge, other), ClockNs(-50 * SECOND));
    }
}
