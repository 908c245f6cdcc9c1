//! The one recording in progress, and those that ended and are not yet out of everybody's sight.

use std::collections::VecDeque;
use std::time::Duration;

use roomtone_protocol::state::{RecordingStatus, UploadProgress};
use roomtone_protocol::{ClockNs, ErrorReport, ParticipantId, RecordingId};

use crate::current::{Current, Description};
use crate::ended::{Ended, Stage};
use crate::failures;
use crate::texts::json_bytes;

/// Most channels of one recording: far above any conversation, and what the readers of its file still open
/// (libsndfile stops at 1024). Whoever comes later has none.
pub const MAX_CHANNELS: usize = 256;

/// Failed recordings that are remembered; a host that fails more often than that has told so long ago.
const MAX_FAILED: usize = 256;

/// What ended recordings may take of a published state, in bytes of JSON.
const MAX_SHOWN_BYTES: usize = 16 * 1024;

/// What a recording without texts takes of it, in bytes, and somebody who is waited for.
const RECORDING_BYTES: usize = 360;
const ID_BYTES: usize = 36;

/// What the course of an upload takes, in bytes.
const UPLOAD_BYTES: usize = 140;

/// All recordings that the room knows of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recordings {
    current: Option<Current>,
    /// Oldest first.
    ended: VecDeque<Ended>,
    /// Recorded time after which a recording ends by itself.
    limit: Option<Duration>,
}

impl Recordings {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(crate) fn current(&self) -> Option<&Current> {
        self.current.as_ref()
    }

    pub(crate) fn current_mut(&mut self) -> Option<&mut Current> {
        self.current.as_mut()
    }

    pub(crate) fn current_id(&self) -> Option<RecordingId> {
        self.current.as_ref().map(|current| current.recording)
    }

    pub(crate) fn knows(&self, recording: RecordingId) -> bool {
        self.current_id() == Some(recording) || self.ended(recording).is_some()
    }

    /// Who started a recording, as far as that is known; None if there is no such recording.
    pub(crate) fn started_by(&self, recording: RecordingId) -> Option<Option<ParticipantId>> {
        let current = self.current.as_ref().filter(|current| current.recording == recording);
        current.map(|current| current.started_by).or_else(|| self.ended(recording).map(|ended| ended.started_by))
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
            length: current.elapsed(at),
            described: current.described,
            started_by: current.started_by,
            markers: current.markers,
            cut_short: None,
            stage: Stage::Finalizing,
            waits: None,
            upload: None,
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
        self.ended_mut(recording).is_some_and(|ended| ended.advance(stage))
    }

    /// Discards an ended recording.
    ///
    /// # Errors
    /// See [`Ended::cancel`]; `recording_not_found` if there is none of this id.
    pub(crate) fn cancel(&mut self, recording: RecordingId, at: ClockNs) -> Result<(), ErrorReport> {
        self.ended_mut(recording).ok_or_else(failures::recording_not_found)?.cancel(at)
    }

    /// What is said about a recording, to be changed.
    ///
    /// # Errors
    /// See [`Ended::describable`]; `recording_not_found` if there is none of this id.
    pub(crate) fn describable(&mut self, recording: RecordingId) -> Result<&mut Description, ErrorReport> {
        match &mut self.current {
            Some(current) if current.recording == recording => Ok(&mut current.described),
            _ => {
                let ended = self.ended.iter_mut().find(|ended| ended.recording == recording);
                ended.ok_or_else(failures::recording_not_found)?.describable()
            }
        }
    }

    /// Notes why a recording ended although nobody wanted that.
    pub(crate) fn cut_short(&mut self, recording: RecordingId, why: String) {
        if let Some(ended) = self.ended_mut(recording) {
            ended.cut_short = Some(why);
        }
    }

    /// Notes whom a recording that is over waits for; nobody: its file is made.
    pub(crate) fn waits(&mut self, recording: RecordingId, people: Vec<ParticipantId>, until: ClockNs) {
        if let Some(ended) = self.ended_mut(recording) {
            ended.waits = (!people.is_empty()).then_some((people, until));
        }
    }

    /// Notes how an upload goes.
    pub(crate) fn goes_up(&mut self, recording: RecordingId, upload: UploadProgress) {
        if let Some(ended) = self.ended_mut(recording) {
            ended.upload = Some(upload);
        }
    }

    /// Notes what holds up an upload.
    pub(crate) fn trouble(&mut self, recording: RecordingId, text: Option<String>) {
        if let Some(Stage::Uploading { trouble }) = self.ended_mut(recording).map(|ended| &mut ended.stage) {
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

    pub(crate) fn instants(&mut self) -> impl Iterator<Item = &mut ClockNs> {
        self.current.iter_mut().flat_map(Current::instants).chain(self.ended.iter_mut().flat_map(Ended::instants))
    }

    /// When the next recording leaves the state.
    pub(crate) fn next_drop(&self) -> Option<ClockNs> {
        self.ended.iter().filter_map(Ended::shown_until).min()
    }

    /// The current recording as everyone sees it.
    pub(crate) fn current_status(&self, now: ClockNs) -> Option<RecordingStatus> {
        self.current.as_ref().map(|current| current.status(now, self.limit))
    }

    /// Ended recordings as everyone sees them, oldest first: the newest ones that a state has room for.
    pub(crate) fn ended_statuses(&self, now: ClockNs) -> Vec<RecordingStatus> {
        let mut bytes = 0;
        let newest = self.ended.iter().rev().map(|ended| ended.status(now)).take_while(|status| {
            let texts = [&status.title, &status.notes, &status.failure].into_iter().flatten();
            let waited_for = status.waiting.as_ref().map_or(0, |waiting| waiting.people.len());
            let upload = if status.upload.is_some() { UPLOAD_BYTES } else { 0 };
            bytes += RECORDING_BYTES + upload + waited_for * ID_BYTES;
            bytes += texts.map(|text| json_bytes(text)).sum::<usize>();
            bytes <= MAX_SHOWN_BYTES
        });
        let mut shown: Vec<_> = newest.collect();
        shown.reverse();
        shown
    }

    /// One recording as everyone sees it.
    pub(crate) fn status(&self, recording: RecordingId, now: ClockNs) -> Option<RecordingStatus> {
        let current = self.current_status(now).filter(|status| status.recording == recording);
        current.or_else(|| self.ended(recording).map(|ended| ended.status(now)))
    }

    /// Whether a recording may be downloaded; what is unknown here is for the bucket to tell.
    pub(crate) fn may_download(&self, recording: RecordingId) -> Result<(), ErrorReport> {
        if self.current_id() == Some(recording) {
            return Err(failures::not_finalized());
        }
        self.ended(recording).map_or(Ok(()), Ended::may_download)
    }

    fn ended(&self, recording: RecordingId) -> Option<&Ended> {
        self.ended.iter().find(|ended| ended.recording == recording)
    }

    fn ended_mut(&mut self, recording: RecordingId) -> Option<&mut Ended> {
        self.ended.iter_mut().find(|ended| ended.recording == recording)
    }
}
