//! The recording in progress, and its time: pauses do not count.

use std::time::Duration;

use roomtone_protocol::state::{RecordingState, RecordingStatus};
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId};

use crate::timing::{after, between, milliseconds};

/// How long before the time limit everyone is warned: time to bring a conversation to an end, and its last sentence.
const LIMIT_WARNINGS: [Duration; 2] = [Duration::from_secs(5 * 60), Duration::from_secs(60)];

/// How long before the disk is full the host is warned: time to fetch another disk, and to delete a few files.
const DISK_WARNINGS: [Duration; 2] = [Duration::from_secs(30 * 60), Duration::from_secs(5 * 60)];

/// What a recording is called and what people noted about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) title: Option<String>,
    pub(crate) notes: Option<String>,
}

/// The recording in progress.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    pub(crate) recording: RecordingId,
    pub(crate) described: Description,
    pub(crate) started_by: Option<ParticipantId>,
    pub(crate) begun: ClockNs,
    /// Whether its journal is open.
    pub(crate) prepared: bool,
    /// Whose channels, by index.
    pub(crate) channels: Vec<ParticipantId>,
    /// Markers that people set.
    pub(crate) markers: u32,
    /// Pauses so far, with the one that goes on.
    pub(crate) pauses: u32,
    /// Recorded time before `running_since`.
    pub(crate) recorded: Duration,
    /// None while it is paused.
    pub(crate) running_since: Option<ClockNs>,
    /// The last warning about the time limit, and that about the disk.
    warned: (Option<Duration>, Option<Duration>),
}

impl Current {
    /// A recording that begins now.
    pub(crate) fn new(
        recording: RecordingId,
        described: Description,
        started_by: Option<ParticipantId>,
        now: ClockNs,
    ) -> Self {
        Self {
            recording,
            described,
            started_by,
            begun: now,
            prepared: false,
            channels: Vec::new(),
            markers: 0,
            pauses: 0,
            recorded: Duration::ZERO,
            running_since: Some(now),
            warned: (None, None),
        }
    }

    /// Recorded time at an instant that does not lie before the last pause or resumption.
    pub(crate) fn elapsed(&self, at: ClockNs) -> Duration {
        self.recorded + self.running_since.map_or(Duration::ZERO, |since| between(since, at))
    }

    /// When so much will have been recorded, if nobody pauses; None while it is paused.
    pub(crate) fn reaches(&self, elapsed: Duration) -> Option<ClockNs> {
        Some(after(self.running_since?, elapsed.saturating_sub(self.recorded)))
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.running_since.is_none()
    }

    pub(crate) fn pause(&mut self, at: ClockNs) {
        self.recorded = self.elapsed(at);
        self.running_since = None;
        self.pauses = self.pauses.saturating_add(1);
    }

    pub(crate) fn resume(&mut self, at: ClockNs) {
        self.running_since = Some(at);
    }

    /// Recorded time that is left until the limit, if that is a new reason to warn everyone.
    pub(crate) fn warn_of_limit(&mut self, at: ClockNs, limit: Duration) -> Option<Duration> {
        let left = limit.saturating_sub(self.elapsed(at));
        let ahead = LIMIT_WARNINGS.into_iter().filter(|&step| step < limit);
        warn(&mut self.warned.0, ahead, left).then_some(left)
    }

    /// When [`Self::warn_of_limit`] is to be asked next.
    pub(crate) fn next_limit_warning(&self, limit: Duration) -> Option<ClockNs> {
        let open = |step: &Duration| *step < limit && self.warned.0.is_none_or(|warned| *step < warned);
        let next = LIMIT_WARNINGS.into_iter().filter(open).max()?;
        self.reaches(limit - next)
    }

    /// Whether so little room on the disk is a new reason to warn the host.
    pub(crate) fn warn_of_disk(&mut self, left: Duration) -> bool {
        warn(&mut self.warned.1, DISK_WARNINGS.into_iter(), left)
    }

    /// The recording as everyone sees it.
    pub(crate) fn status(&self, now: ClockNs, limit: Option<Duration>) -> RecordingStatus {
        let elapsed = self.elapsed(now);
        RecordingStatus {
            recording: self.recording,
            state: if self.is_paused() {
                RecordingState::Paused
            } else if self.prepared {
                RecordingState::Recording
            } else {
                RecordingState::Preparing
            },
            elapsed_ms: milliseconds(elapsed),
            title: self.described.title.clone(),
            started_by: self.started_by,
            failure: None,
            notes: self.described.notes.clone(),
            markers: self.markers,
            remaining_ms: limit.map(|limit| milliseconds(limit.saturating_sub(elapsed))),
            waiting: None,
            upload: None,
        }
    }
}

/// Whether a warning is due that is closer to the end than the last one.
fn warn(last: &mut Option<Duration>, steps: impl Iterator<Item = Duration>, left: Duration) -> bool {
    let Some(step) = steps.filter(|&step| left <= step).min() else { return false };
    let due = last.is_none_or(|last| step < last);
    if due {
        *last = Some(step);
    }
    due
}
