//! The one recording in progress, and those that ended and are not yet out of everybody's sight.

use std::collections::VecDeque;
use std::time::Duration;

use roomtone_protocol::state::{RecordingState, RecordingStatus};
use roomtone_protocol::{ClockNs, ErrorReport, ParticipantId, RecordingId};

use crate::failures;
use crate::texts::json_bytes;
use crate::timing::{after, between, milliseconds};

/// Most channels of one recording: far above any conversation, and what the readers of its file still open
/// (libsndfile stops at 1024). Whoever comes later has none.
pub const MAX_CHANNELS: usize = 256;

/// How long everyone sees that a recording is completed or cancelled before it leaves the state.
pub(crate) const SHOWN_FOR: Duration = Duration::from_secs(10);

/// Failed recordings that are remembered; a host that fails more often than that has told so long ago.
const MAX_FAILED: usize = 256;

/// What ended recordings may take of a published state, in bytes of JSON.
const MAX_SHOWN_BYTES: usize = 16 * 1024;

/// What a recording without texts takes of it, in bytes.
const RECORDING_BYTES: usize = 220;

/// The recording in progress.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    pub(crate) recording: RecordingId,
    pub(crate) title: Option<String>,
    pub(crate) started_by: Option<ParticipantId>,
    pub(crate) begun: ClockNs,
    /// Whether its journal is open.
    pub(crate) prepared: bool,
    /// Whose channels, by index.
    pub(crate) channels: Vec<ParticipantId>,
}

/// How far an ended recording is. Stages only go forward, in this order; the last three are final.
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
    pub(crate) title: Option<String>,
    pub(crate) started_by: Option<ParticipantId>,
    pub(crate) length: Duration,
    /// Why it ended although nobody wanted that.
    pub(crate) cut_short: Option<String>,
    pub(crate) stage: Stage,
}

/// All recordings that the room knows of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recordings {
    current: Option<Current>,
    /// Oldest first.
    ended: VecDeque<Ended>,
}

impl Recordings {
    pub(crate) fn current(&self) -> Option<&Current> {
        self.current.as_ref()
    }

    pub(crate) fn current_id(&self) -> Option<RecordingId> {
        self.current.as_ref().map(|current| current.recording)
    }

    pub(crate) fn knows(&self, recording: RecordingId) -> bool {
        self.current_id() == Some(recording) || self.ended.iter().any(|ended| ended.recording == recording)
    }

    /// Makes a recording the current one. There is none: the caller ended it.
    pub(crate) fn begin(&mut self, current: Current) {
        self.current = Some(current);
    }

    /// The current recording's journal is open.
    pub(crate) fn prepared(&mut self, recording: RecordingId) {
        if let Some(current) = self.current.as_mut().filter(|current| current.recording == recording) {
            current.prepared = true;
        }
    }

    /// The index of somebody's channel in the current recording.
    pub(crate) fn channel(&self, participant: ParticipantId) -> Option<u16> {
        let index = self.current.as_ref()?.channels.iter().position(|&of| of == participant)?;
        u16::try_from(index).ok()
    }

    /// Gives somebody the next channel of the current recording, if there is one and they have none.
    pub(crate) fn give_channel(&mut self, participant: ParticipantId) -> Option<(RecordingId, u16)> {
        let current = self.current.as_mut()?;
        if current.channels.contains(&participant) || current.channels.len() >= MAX_CHANNELS {
            return None;
        }
        let index = u16::try_from(current.channels.len()).ok()?;
        current.channels.push(participant);
        Some((current.recording, index))
    }

    /// Ends the current recording: there is none afterwards, and its file is to be made.
    pub(crate) fn end(&mut self, at: ClockNs) -> Option<RecordingId> {
        let current = self.current.take()?;
        self.ended.push_back(Ended {
            recording: current.recording,
            title: current.title,
            started_by: current.started_by,
            length: between(current.begun, at),
            cut_short: None,
            stage: Stage::Finalizing,
        });
        Some(current.recording)
    }

    /// Adds a recording that an earlier run of the recorder left behind.
    pub(crate) fn recover(&mut self, ended: Ended) {
        if !self.knows(ended.recording) {
            self.ended.push_back(ended);
        }
    }

    /// Moves an ended recording on. Whether it went: nothing goes back, and what is final stays.
    pub(crate) fn advance(&mut self, recording: RecordingId, stage: Stage) -> bool {
        let Some(ended) = self.ended.iter_mut().find(|ended| ended.recording == recording) else { return false };
        let goes = match (&ended.stage, &stage) {
            (_, Stage::Finalizing) | (Stage::Completed { .. } | Stage::Cancelled { .. } | Stage::Failed { .. }, _) => {
                false
            }
            // It has a file already: there is something to keep.
            (Stage::Uploading { .. }, Stage::Uploading { .. } | Stage::Cancelled { .. }) => false,
            (Stage::Finalizing | Stage::Uploading { .. }, _) => true,
        };
        if goes {
            ended.stage = stage;
        }
        goes
    }

    /// Notes why a recording ended although nobody wanted that.
    pub(crate) fn cut_short(&mut self, recording: RecordingId, why: String) {
        if let Some(ended) = self.ended.iter_mut().find(|ended| ended.recording == recording) {
            ended.cut_short = Some(why);
        }
    }

    /// Notes what holds up an upload.
    pub(crate) fn trouble(&mut self, recording: RecordingId, text: Option<String>) {
        let uploading = self.ended.iter_mut().find(|ended| ended.recording == recording);
        if let Some(Stage::Uploading { trouble }) = uploading.map(|ended| &mut ended.stage) {
            *trouble = text;
        }
    }

    /// Drops what was shown for long enough, and the oldest failures beyond all measure.
    pub(crate) fn drop_shown(&mut self, now: ClockNs) {
        self.ended.retain(|ended| ended.shown_until().is_none_or(|until| until > now));
        let failed = |ended: &Ended| matches!(ended.stage, Stage::Failed { .. });
        while self.ended.iter().filter(|ended| failed(ended)).count() > MAX_FAILED {
            if let Some(oldest) = self.ended.iter().position(failed) {
                self.ended.remove(oldest);
            }
        }
    }

    /// When the next recording leaves the state.
    pub(crate) fn next_drop(&self) -> Option<ClockNs> {
        self.ended.iter().filter_map(Ended::shown_until).min()
    }

    /// The current recording as everyone sees it.
    pub(crate) fn current_status(&self, now: ClockNs) -> Option<RecordingStatus> {
        self.current.as_ref().map(|current| RecordingStatus {
            recording: current.recording,
            state: if current.prepared { RecordingState::Recording } else { RecordingState::Preparing },
            elapsed_ms: milliseconds(between(current.begun, now)),
            title: current.title.clone(),
            started_by: current.started_by,
            failure: None,
        })
    }

    /// Ended recordings as everyone sees them, oldest first: the newest ones that a state has room for.
    pub(crate) fn ended_statuses(&self) -> Vec<RecordingStatus> {
        let mut bytes = 0;
        let newest = self.ended.iter().rev().map(Ended::status).take_while(|status| {
            let texts = [&status.title, &status.failure].into_iter().flatten();
            bytes += RECORDING_BYTES + texts.map(|text| json_bytes(text)).sum::<usize>();
            bytes <= MAX_SHOWN_BYTES
        });
        let mut shown: Vec<_> = newest.collect();
        shown.reverse();
        shown
    }

    /// One recording as everyone sees it.
    pub(crate) fn status(&self, recording: RecordingId, now: ClockNs) -> Option<RecordingStatus> {
        let current = self.current_status(now).filter(|status| status.recording == recording);
        current.or_else(|| self.ended.iter().find(|ended| ended.recording == recording).map(Ended::status))
    }

    /// Whether a recording may be downloaded; what is unknown here is for the bucket to tell.
    pub(crate) fn may_download(&self, recording: RecordingId) -> Result<(), ErrorReport> {
        if self.current_id() == Some(recording) {
            return Err(failures::not_finalized());
        }
        match self.ended.iter().find(|ended| ended.recording == recording).map(|ended| &ended.stage) {
            None | Some(Stage::Completed { .. }) => Ok(()),
            Some(Stage::Finalizing) => Err(failures::not_finalized()),
            Some(Stage::Uploading { .. }) => Err(failures::not_uploaded()),
            Some(Stage::Cancelled { .. }) => Err(failures::cancelled()),
            Some(Stage::Failed { failure }) => Err(failures::recording_failed(failure)),
        }
    }
}

impl Ended {
    fn shown_until(&self) -> Option<ClockNs> {
        match self.stage {
            Stage::Completed { at } | Stage::Cancelled { at } => Some(after(at, SHOWN_FOR)),
            Stage::Finalizing | Stage::Uploading { .. } | Stage::Failed { .. } => None,
        }
    }

    fn status(&self) -> RecordingStatus {
        let (state, failure) = match &self.stage {
            Stage::Finalizing => (RecordingState::Finalizing, self.cut_short.clone()),
            Stage::Uploading { trouble } => {
                (RecordingState::Uploading, trouble.clone().or_else(|| self.cut_short.clone()))
            }
            Stage::Completed { .. } => (RecordingState::Completed, self.cut_short.clone()),
            Stage::Cancelled { .. } => (RecordingState::Cancelled, None),
            Stage::Failed { failure } => (RecordingState::Failed, Some(failure.clone())),
        };
        RecordingStatus {
            recording: self.recording,
            state,
            elapsed_ms: milliseconds(self.length),
            title: self.title.clone(),
            started_by: self.started_by,
            failure,
        }
    }
}
