//! The journal of a recording that is over is opened again, because somebody came back with more of it.

use std::path::Path;

use roomtone_engine::{Moment, RecorderInput, Reopened};
use roomtone_packets::{Interval, IntervalEdge};
use roomtone_protocol::{ClockNs, RecordingId};
use roomtone_recorder::Journal;

use super::engine::{Engine, Input, moment};
use super::folder;

/// Clocks of one boot keep their distance from the wall clock, but for what people and time servers set it by. More than
/// this means another boot, whose instants only the wall clock relates: 2 s.
const SAME_BOOT_NS: i64 = 2_000_000_000;

/// A journal that is open again, and what it holds.
pub(super) struct Opened {
    journal: Journal,
    reopened: Reopened,
}

impl Engine {
    /// Opens a journal beside whatever else is going on: hours of audio are read.
    pub(super) fn reopen_journal(&self, recording: RecordingId) {
        let (folder, inbox) = (self.folder(recording), self.parts.inbox.clone());
        tokio::task::spawn_blocking(move || {
            let result = open(&folder).map(Box::new);
            // Without an engine nobody needs it.
            drop(inbox.blocking_send(Input::Reopened { recording, result }));
        });
    }

    pub(super) fn reopened(&mut self, recording: RecordingId, result: Result<Box<Opened>, String>) {
        let result = result.and_then(|opened| {
            let Opened { journal, reopened } = *opened;
            let adopted = self.parts.desk.writer.adopt(recording, journal, None);
            adopted.then_some(reopened).ok_or_else(|| "the disk is too far behind".to_owned())
        });
        self.handle(RecorderInput::JournalReopened { recording, result });
    }
}

fn open(folder: &Path) -> Result<Opened, String> {
    let path = folder::journal_path(folder);
    if !path.is_dir() {
        return Err("there is no journal of it".to_owned());
    }
    let journal = Journal::open(&path).map_err(|error| error.to_string())?;
    // Before anything is written: whatever happens from here on, the next start looks whether there is more to show.
    folder::mark_repairing(folder).map_err(|error| error.to_string())?;
    let notes = journal.notes();
    let stop = notes.intervals.iter().filter(|interval| interval.edge == IntervalEdge::Stop).max_by_key(|stop| stop.at);
    let until = stop.map_or(moment().clock, on_this_clock);
    let vouched = |participant| journal.track(participant).and_then(|track| track.inventory.as_ref());
    let tracks = journal.participants().map(|participant| {
        let complete = vouched(participant).is_some_and(|inventory| inventory.complete);
        (participant, journal.coverage(participant).clone(), complete)
    });
    let cuts = cuts(&notes.intervals);
    let reopened =
        Reopened { until, cuts, channels: notes.channels.values().copied().collect(), tracks: tracks.collect() };
    Ok(Opened { journal, reopened })
}

/// The pauses of a recording, on this run's timeline clock.
fn cuts(edges: &[Interval]) -> Vec<(ClockNs, Option<ClockNs>)> {
    let mut cuts: Vec<(ClockNs, Option<ClockNs>)> = Vec::new();
    for edge in edges {
        match edge.edge {
            IntervalEdge::Pause => cuts.push((on_this_clock(edge), None)),
            IntervalEdge::Resume => {
                if let Some((_, until @ None)) = cuts.last_mut() {
                    *until = Some(on_this_clock(edge));
                }
            }
            IntervalEdge::Start | IntervalEdge::Stop => {}
        }
    }
    cuts
}

/// When an edge was, on this run's timeline clock.
fn on_this_clock(edge: &Interval) -> ClockNs {
    ClockNs(edge.at.0 - moved(edge, moment()))
}

/// How far the timeline clock lies off from that of an edge that was noted earlier, in nanoseconds: 0 within one boot.
pub(super) fn moved(edge: &Interval, now: Moment) -> i64 {
    let moved = (now.wall_ns - now.clock.0) - (edge.wall_ns - edge.at.0);
    if moved.abs() < SAME_BOOT_NS { 0 } else { moved }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_one_boot_instants_stay_and_across_boots_the_wall_clock_relates_them() {
        const SECOND: i64 = 1_000_000_000;
        let edge = Interval { edge: IntervalEdge::Stop, at: ClockNs(100 * SECOND), wall_ns: 5_000 * SECOND };
        // Twenty seconds later, the wall clock set by half a second meanwhile.
        let same = Moment { clock: ClockNs(120 * SECOND), wall_ns: 5_020 * SECOND + SECOND / 2 };
        assert_eq!(moved(&edge, same), 0);
        // A minute later, ten seconds after a start of the computer: the edge lies 50 s before that.
        let other = Moment { clock: ClockNs(10 * SECOND), wall_ns: 5_060 * SECOND };
        assert_eq!(edge.at.0 - moved(&edge, other), -50 * SECOND);
    }
}
