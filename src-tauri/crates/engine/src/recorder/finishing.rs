//! From a settled take to a recording that everybody can download.

use std::collections::BTreeMap;
use std::time::Duration;

use roomtone_packets::{Described, Interval, IntervalEdge, MapStretch, Record};
use roomtone_protocol::channel::{Command, ToParticipant};
use roomtone_protocol::state::UploadProgress;
use roomtone_protocol::{ClockNs, CommandId, ErrorReport, ParticipantId, RecordingId, SAMPLE_RATE};
use roomtone_recorder::{Journal, JournalError, TrackClock};
use roomtone_session::{Caller, Input as RoomInput};

use super::{Desk, FinalizeFailure, Finished, Output, RecorderEnd};
use crate::events::HostEvent;

impl RecorderEnd {
    /// Has the journal of a settled take closed and its file made, beside whatever else is going on.
    pub(super) fn finish(&mut self, desk: &mut dyn Desk, recording: RecordingId) {
        let Some(take) = self.takes.remove(&recording) else { return };
        if !take.waits_for.is_empty() {
            self.room(RoomInput::Waiting { recording, people: Vec::new(), until: self.now.clock });
        }
        if take.failed {
            return;
        }
        if let Some(changed) = take.repair.as_ref().map(|repair| repair.changed) {
            return self.finish_repair(take, changed);
        }
        let mut maps = Vec::new();
        for participant in &take.channels {
            if let Some(track) = self.tracks.get_mut(participant) {
                let decided = track.clock.conclude(take.until);
                maps.extend(track.clock.stretches().map(|stretch| (*participant, *stretch)));
                // The next recording of the same track goes on from there, also if this program dies before its end.
                for stretch in decided {
                    self.journal_track(desk, *participant, &Record::MapStretch(stretch));
                }
            }
        }
        self.unwritten.insert(recording, self.file_bytes(&take));
        self.finalizing.insert(recording);
        self.outputs.push_back(Output::Finalize { recording, maps });
    }

    /// A file of an earlier start is on its way to the bucket again.
    pub(super) fn found_take(
        &mut self,
        recording: RecordingId,
        (title, notes): (Option<String>, Option<String>),
        finished: Finished,
        submitted: bool,
    ) {
        let length = Duration::from_millis(finished.duration_ms);
        self.room(RoomInput::Recovered { recording, title, notes, started_by: None, length, finalized: true });
        self.uploading.insert(recording, finished);
        if !submitted {
            self.finalizing.insert(recording);
            self.outputs.push_back(Output::Publish { recording });
        }
    }

    pub(super) fn found_journal(&mut self, recording: RecordingId) {
        let (title, notes, started_by, length) = (None, None, None, Duration::ZERO);
        self.room(RoomInput::Recovered { recording, title, notes, started_by, length, finalized: false });
        self.finalizing.insert(recording);
        self.outputs.push_back(Output::FinalizeFound { recording });
    }

    pub(super) fn found_repair(&mut self, recording: RecordingId) {
        self.finalizing.insert(recording);
        self.outputs.push_back(Output::FinalizeAgain { recording });
    }

    /// A file is whole: it goes to the bucket.
    pub(super) fn finalized(&mut self, recording: RecordingId, result: Result<Finished, FinalizeFailure>) {
        self.unwritten.remove(&recording);
        if self.discarded.contains(&recording) {
            // It was discarded meanwhile, and its files came behind that.
            self.finalizing.remove(&recording);
            self.burying.insert(recording);
            self.outputs.push_back(Output::Discard { recording });
            return;
        }
        match result {
            Ok(finished) => {
                self.room(RoomInput::Finalized { recording });
                self.uploading.insert(recording, finished);
                self.outputs.push_back(Output::Publish { recording });
            }
            Err(FinalizeFailure::Empty) => {
                self.finalizing.remove(&recording);
                self.late.remove(&recording);
                self.room(RoomInput::Empty { recording });
            }
            Err(FinalizeFailure::Failed(reason)) => {
                self.finalizing.remove(&recording);
                self.late.remove(&recording);
                let hint =
                    "its audio is kept in the data folder; mend what is said here and start the host again".to_owned();
                self.room(RoomInput::Failed { recording, reason, hint });
            }
        }
    }

    pub(super) fn submitted(&mut self, recording: RecordingId, result: Result<(), ErrorReport>) {
        self.finalizing.remove(&recording);
        if self.discarded.contains(&recording) {
            return;
        }
        if let Err(error) = result {
            self.uploading.remove(&recording);
            self.room(RoomInput::Failed { recording, reason: error.message, hint: error.hint });
        }
        self.reopen(recording);
    }

    /// Everybody sees how far it is, and that what held it up is over.
    pub(super) fn goes_up(&mut self, recording: RecordingId, upload: UploadProgress) {
        // A newer version of what is in the bucket already goes up unseen.
        if !self.uploading.contains_key(&recording) {
            return;
        }
        if upload.rate.is_some_and(|rate| rate > 0) {
            self.room(RoomInput::Trouble { recording, trouble: None });
        }
        self.room(RoomInput::GoesUp { recording, upload });
        self.tell(HostEvent::UploadProgress { recording, upload });
    }

    pub(super) fn completed(&mut self, desk: &mut dyn Desk, recording: RecordingId, key: String, size: u64) {
        self.room(RoomInput::Completed { recording });
        self.drain(desk);
        let Some(finished) = self.uploading.remove(&recording) else { return };
        let Finished { path, channels, duration_ms, gapless } = finished;
        self.tell(HostEvent::RecordingCompleted { recording, path, key, size, channels, duration_ms, gapless });
        if let Some(Described { title, notes }) = self.described.remove(&recording) {
            self.outputs.push_back(Output::Describe { recording, title, notes });
        }
        if gapless {
            self.archived.insert(recording);
            self.send_to_all(&ToParticipant::Archived { recording });
        }
    }

    /// The program ends: what runs is finalized, as if its host had pressed Stop.
    pub(super) fn stop_for_good(&mut self, id: CommandId, fresh: RecordingId) {
        let caller = Caller { participant: self.setup.me, host: true, passing: true };
        self.room(RoomInput::Command { caller, id, based_on: None, command: Command::Stop, fresh });
    }
}

/// Notes the maps of a recording that is over in its journal, and makes it durable. `decided` is what
/// [`Output::Finalize`] says; after a restart there is nothing of it, and the journal's own measurements tell.
///
/// # Errors
/// If the journal cannot be read or written.
pub fn note_maps(
    journal: &mut Journal,
    decided: Option<Vec<(ParticipantId, MapStretch)>>,
) -> Result<Vec<(ParticipantId, MapStretch)>, JournalError> {
    let maps = match decided {
        Some(maps) => maps,
        None => maps_of(journal)?,
    };
    for (participant, stretch) in &maps {
        journal.append(*participant, &Record::MapStretch(*stretch))?;
    }
    journal.sync()?;
    Ok(maps)
}

/// After a restart: what the journal's measurements say about every segment.
fn maps_of(journal: &Journal) -> Result<Vec<(ParticipantId, MapStretch)>, JournalError> {
    let mut maps = Vec::new();
    for participant in journal.participants() {
        let mut clock = TrackClock::default();
        journal.replay(participant, |record| clock.restore(&record))?;
        clock.conclude(None);
        maps.extend(clock.stretches().map(|map| (participant, *map)));
    }
    Ok(maps)
}

/// The end of the newest audio on the recorder's clock: where a recording ends that nobody stopped.
#[must_use]
pub fn last_audio(journal: &Journal, maps: &[(ParticipantId, MapStretch)]) -> Option<ClockNs> {
    // Of the stretches of a segment the last one says where it ends.
    let last: BTreeMap<_, _> = maps.iter().map(|(participant, map)| ((*participant, map.segment), map)).collect();
    let ends = last.into_iter().filter_map(|((participant, _), map)| {
        let (_, end) = journal.coverage(participant).segment(map.segment)?.iter().last()?;
        let samples = i64::try_from(end.checked_sub(map.from.0)?).ok()?;
        Some(map.frame + samples)
    });
    let frame = ends.max()?;
    Some(ClockNs(i64::try_from(i128::from(frame) * 1_000_000_000 / i128::from(SAMPLE_RATE)).ok()?))
}

/// Nobody stopped it: the end that its file is given is noted, so that what people bring later does not move it.
///
/// # Errors
/// If the journal cannot be written.
pub fn note_end(journal: &mut Journal, end: Option<ClockNs>) -> Result<(), JournalError> {
    let edges = &journal.notes().intervals;
    let (Some(start), Some(at)) = (edges.first().copied(), end.and_then(|end| end_of(edges, end))) else {
        return Ok(());
    };
    let wall_ns = start.wall_ns + (at.0 - start.at.0);
    journal.note(&Record::Interval(Interval { edge: IntervalEdge::Stop, at, wall_ns }))?;
    journal.sync()
}

/// The end of a recording that nobody stopped and whose newest audio ends at `end`. It lies behind everything that was
/// agreed on: who was paused, and brings what was said before that only later, was not stopped before the pause.
fn end_of(edges: &[Interval], end: ClockNs) -> Option<ClockNs> {
    let stopped = edges.iter().any(|edge| edge.edge == IntervalEdge::Stop);
    let agreed = edges.iter().map(|edge| edge.at).max().filter(|_| !stopped)?;
    let begun = edges.first().is_some_and(|start| end.max(agreed) > start.at);
    begun.then_some(end.max(agreed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_that_nobody_stopped_ends_behind_its_last_pause() {
        use IntervalEdge::{Pause, Resume, Start, Stop};
        let edges = |edges: &[(IntervalEdge, i64)]| -> Vec<Interval> {
            edges.iter().map(|&(edge, at)| Interval { edge, at: ClockNs(at), wall_ns: at }).collect()
        };
        let end = |told: &[(IntervalEdge, i64)], audio| end_of(&edges(told), ClockNs(audio)).map(|end| end.0);
        assert_eq!(end(&[(Start, 10)], 50), Some(50));
        assert_eq!(end(&[(Start, 10)], 5), None, "nothing was recorded");
        assert_eq!(end(&[(Start, 10), (Pause, 60)], 50), Some(60), "the rest lies in spools");
        assert_eq!(end(&[(Start, 10), (Pause, 60), (Resume, 70)], 90), Some(90));
        assert_eq!(end(&[(Start, 10), (Stop, 60)], 90), None, "somebody did");
    }
}
