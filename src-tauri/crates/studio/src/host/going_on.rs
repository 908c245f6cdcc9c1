//! What a recorder that starts again finds in the journal of a recording in progress.

use std::path::{Path, PathBuf};
use std::time::Duration;

use roomtone_engine::{GoingOn, RecorderInput};
use roomtone_packets::{Interval, IntervalEdge, Record};
use roomtone_protocol::{ClockNs, RecordingId};
use roomtone_recorder::{Journal, JournalError};
use roomtone_session::Continued;

use super::engine::{Engine, moment};
use super::folder;
use super::reopen::moved;

impl Engine {
    /// Goes on with the newest of these recordings if it was in progress less than the grace time ago; the others are
    /// brought to an end.
    pub(super) fn take_up(&mut self, journals: &[(RecordingId, PathBuf)]) {
        let now = moment().clock;
        let in_progress = journals.iter().filter_map(|(recording, folder)| {
            let found = read(folder, *recording).unwrap_or_else(|error| {
                tracing::warn!(%recording, %error, "the journal of an earlier start cannot be read");
                None
            });
            found.filter(|found| self.parts.config.goes_on(found.going_on.continued.last_there, now))
        });
        let newest = in_progress.max_by_key(|found| found.going_on.continued.last_there);
        let goes_on = newest.and_then(|InProgress { journal, going_on }| {
            let recording = going_on.continued.recording;
            // Its take goes on where the disk has it.
            let take = self.parts.desk.take(recording);
            let adopted = self.parts.desk.writer.adopt(recording, journal, Some(take));
            adopted.then_some(going_on)
        });
        let recording = goes_on.as_ref().map(|going_on| going_on.continued.recording);
        if let Some(going_on) = goes_on {
            let away_s = (now.0 - going_on.continued.last_there.0) / 1_000_000_000;
            tracing::info!(recording = %going_on.continued.recording, away_s, "going on with what was being recorded");
            self.handle(RecorderInput::GoingOn(Box::new(going_on)));
        }
        for &(ended, _) in journals.iter().filter(|(other, _)| Some(*other) != recording) {
            self.handle(RecorderInput::FoundJournal { recording: ended });
        }
    }
}

/// A recording in progress: its journal, ready to be written to, and what is in it.
pub(super) struct InProgress {
    pub(super) journal: Journal,
    pub(super) going_on: GoingOn,
}

/// Reads the journal of a recording that may be in progress. None: it was stopped, it never began, or its instants are
/// those of another boot of this computer, on whose timeline nothing of this one has a place.
pub(super) fn read(folder: &Path, recording: RecordingId) -> Result<Option<InProgress>, JournalError> {
    let journal = Journal::open(&folder::journal_path(folder))?;
    let notes = journal.notes();
    let edges = &notes.intervals;
    let Some(start) = edges.first().filter(|first| first.edge == IntervalEdge::Start) else { return Ok(None) };
    if edges.iter().any(|edge| edge.edge == IntervalEdge::Stop) || moved(start, moment()) != 0 {
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
            Record::Segment(_) | Record::Anchor(_) | Record::MapStretch(_) | Record::Muted(_) => records.push(record),
            _ => {}
        })?;
        tracks.push((participant, journal.coverage(participant).clone(), records));
    }
    let continued = Continued {
        recording,
        title: journal.title().map(str::to_owned),
        notes: journal.description().map(str::to_owned),
        started_by: journal.header().started_by,
        begun: start.at,
        recorded,
        running_since,
        channels: notes.channels.values().copied().collect(),
        markers: u32::try_from(notes.markers.len()).unwrap_or(u32::MAX),
        pauses: u32::try_from(cuts.len()).unwrap_or(u32::MAX),
        last_there,
    };
    Ok(Some(InProgress { going_on: GoingOn { continued, cuts, tracks }, journal }))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(edge: IntervalEdge, seconds: i64) -> Interval {
        Interval { edge, at: ClockNs(seconds * 1_000_000_000), wall_ns: 0 }
    }

    #[test]
    fn recorded_time_leaves_pauses_out() {
        use IntervalEdge::{Pause, Resume, Start};
        let at = |seconds: i64| ClockNs(seconds * 1_000_000_000);
        let edges = [edge(Start, 10), edge(Pause, 15), edge(Resume, 40)];
        let five = Duration::from_secs(5);
        let expected = |cuts, recorded, running_since| Time { cuts, recorded, running_since };
        assert_eq!(time(&edges[..1], at(10)), expected(vec![], Duration::ZERO, Some(at(10))));
        assert_eq!(time(&edges[..2], at(10)), expected(vec![(at(15), None)], five, None));
        assert_eq!(time(&edges, at(10)), expected(vec![(at(15), Some(at(40)))], five, Some(at(40))));
    }
}
