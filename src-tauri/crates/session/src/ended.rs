//! A recording that is over and not yet out of everybody's sight.

use std::time::Duration;

use roomtone_protocol::state::{RecordingState, RecordingStatus, UploadProgress, Waiting};
use roomtone_protocol::{ClockNs, ErrorReport, ParticipantId, RecordingId};

use crate::current::Description;
use crate::failures;
use crate::timing::{after, between, milliseconds};

/// How long everyone sees that a recording is completed or cancelled before it leaves the state.
const SHOWN_FOR: Duration = Duration::from_secs(10);

/// How far an ended recording is. Stages only go forward, in this order; the last three are final, but for a failed
/// recording that is cancelled.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    Finalizing,
    Uploading { trouble: Option<String> },
    Completed { at: ClockNs },
    Cancelled { at: ClockNs },
    Failed { failure: String },
}

#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) recording: RecordingId,
    pub(crate) described: Description,
    pub(crate) started_by: Option<ParticipantId>,
    pub(crate) length: Duration,
    pub(crate) markers: u32,
    /// Why it ended although nobody wanted that.
    pub(crate) cut_short: Option<String>,
    pub(crate) stage: Stage,
    /// Whom it waits for before its file is made, and until when at most.
    pub(crate) waits: Option<(Vec<ParticipantId>, ClockNs)>,
    /// How it went up when that was told last.
    pub(crate) upload: Option<UploadProgress>,
}

/// Most people that a state names who are waited for: it stays below the longest message.
const MAX_WAITED_FOR: usize = 32;

impl Ended {
    /// Moves on. Whether it went: nothing goes back, and what is final stays.
    pub(crate) fn advance(&mut self, stage: Stage) -> bool {
        let goes = match (&self.stage, &stage) {
            (_, Stage::Finalizing) | (Stage::Completed { .. } | Stage::Cancelled { .. } | Stage::Failed { .. }, _) => {
                false
            }
            // It has a file already: there is something to keep.
            (Stage::Uploading { .. }, Stage::Uploading { .. } | Stage::Cancelled { .. }) => false,
            (Stage::Finalizing | Stage::Uploading { .. }, _) => true,
        };
        if goes {
            self.stage = stage;
        }
        goes
    }

    /// Somebody discards it.
    ///
    /// # Errors
    /// `already_changed` if the bucket has it, `recording_not_found` if it was discarded before.
    pub(crate) fn cancel(&mut self, at: ClockNs) -> Result<(), ErrorReport> {
        match self.stage {
            Stage::Finalizing | Stage::Uploading { .. } | Stage::Failed { .. } => {
                self.stage = Stage::Cancelled { at };
                Ok(())
            }
            Stage::Completed { .. } => Err(failures::completed_already()),
            Stage::Cancelled { .. } => Err(failures::cancelled()),
        }
    }

    /// Whether it may still be described here: what is completed is the bucket's, with its metadata.
    ///
    /// # Errors
    /// `bad_request` if the bucket has it, `recording_not_found` if it was discarded.
    pub(crate) fn describable(&mut self) -> Result<&mut Description, ErrorReport> {
        match self.stage {
            Stage::Finalizing | Stage::Uploading { .. } | Stage::Failed { .. } => Ok(&mut self.described),
            Stage::Completed { .. } => Err(failures::not_the_rooms_own()),
            Stage::Cancelled { .. } => Err(failures::cancelled()),
        }
    }

    /// Whether it may be downloaded.
    pub(crate) fn may_download(&self) -> Result<(), ErrorReport> {
        match &self.stage {
            Stage::Completed { .. } => Ok(()),
            Stage::Finalizing => Err(failures::not_finalized()),
            Stage::Uploading { .. } => Err(failures::not_uploaded()),
            Stage::Cancelled { .. } => Err(failures::cancelled()),
            Stage::Failed { failure } => Err(failures::recording_failed(failure)),
        }
    }

    pub(crate) fn shown_until(&self) -> Option<ClockNs> {
        match self.stage {
            Stage::Completed { at } | Stage::Cancelled { at } => Some(after(at, SHOWN_FOR)),
            Stage::Finalizing | Stage::Uploading { .. } | Stage::Failed { .. } => None,
        }
    }

    /// The recording as everyone sees it.
    pub(crate) fn status(&self, now: ClockNs) -> RecordingStatus {
        let (state, failure) = match &self.stage {
            Stage::Finalizing => (RecordingState::Finalizing, self.cut_short.clone()),
            Stage::Uploading { trouble } => {
                (RecordingState::Uploading, trouble.clone().or_else(|| self.cut_short.clone()))
            }
            Stage::Completed { .. } => (RecordingState::Completed, self.cut_short.clone()),
            Stage::Cancelled { .. } => (RecordingState::Cancelled, None),
            Stage::Failed { failure } => (RecordingState::Failed, Some(failure.clone())),
        };
        let waits = self.waits.as_ref().filter(|_| state == RecordingState::Finalizing);
        let waiting = waits.map(|(people, until)| Waiting {
            people: people.iter().copied().take(MAX_WAITED_FOR).collect(),
            left_ms: milliseconds(between(now, *until)),
        });
        RecordingStatus {
            recording: self.recording,
            state,
            elapsed_ms: milliseconds(self.length),
            title: self.described.title.clone(),
            started_by: self.started_by,
            failure,
            notes: self.described.notes.clone(),
            markers: self.markers,
            remaining_ms: None,
            waiting: waiting.map(Box::new),
            upload: self.upload.filter(|_| state == RecordingState::Uploading).map(Box::new),
        }
    }
}
