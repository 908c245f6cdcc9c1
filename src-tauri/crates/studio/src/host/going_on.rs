//! What a recorder that starts again finds in the journal of a recording in progress.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use roomtone_engine::{GoingOn, RecorderInput, Run};
use roomtone_protocol::RecordingId;
use roomtone_recorder::{Journal, JournalError};

use super::engine::{Engine, moment};
use super::folder;

impl Engine {
    /// Goes on with the newest of these recordings if it was in progress less than the grace time ago; the others are
    /// brought to an end.
    pub(super) fn take_up(&mut self, journals: &[(RecordingId, PathBuf)]) {
        let (now, run) = (moment(), &self.parts.run);
        let in_progress = journals.iter().filter_map(|(recording, folder)| {
            let found = read(folder, run).unwrap_or_else(|error| {
                tracing::warn!(%recording, %error, "the journal of an earlier start cannot be read");
                None
            });
            found.filter(|found| {
                let (last_there, now) = (found.going_on.continued.last_there, found.going_on.on_timeline(now));
                let goes_on = self.parts.config.goes_on(last_there, now);
                if !goes_on {
                    let away_s = (now.0 - last_there.0) / 1_000_000_000;
                    tracing::info!(%recording, away_s, "away for longer than the grace time: a recording comes to its end");
                }
                goes_on
            })
        });
        let away_ns = |going_on: &GoingOn| going_on.on_timeline(now).0 - going_on.continued.last_there.0;
        // What was in progress until the same instant was begun by the other one's end.
        let newest =
            in_progress.min_by_key(|found| (away_ns(&found.going_on), Reverse(found.going_on.continued.begun)));
        let goes_on = newest.and_then(|InProgress { journal, going_on }| {
            let recording = going_on.continued.recording;
            // Its take goes on where the disk has it.
            let take = self.parts.desk.take(recording);
            let adopted = self.parts.desk.writer.adopt(recording, journal, Some(take));
            adopted.then_some(going_on)
        });
        let recording = goes_on.as_ref().map(|going_on| going_on.continued.recording);
        if let Some(going_on) = goes_on {
            let away_s = away_ns(&going_on) / 1_000_000_000;
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

/// Reads the journal of a recording that may be in progress; None if it is not.
pub(super) fn read(folder: &Path, run: &Run) -> Result<Option<InProgress>, JournalError> {
    let journal = Journal::open(&folder::journal_path(folder))?;
    let going_on = GoingOn::of(&journal, moment(), run)?;
    Ok(going_on.map(|going_on| InProgress { journal, going_on }))
}
