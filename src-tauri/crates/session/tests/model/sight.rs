//! What everyone sees, and may download, by the model.

use roomtone_protocol::state::{Person, RecordingState, RecordingStatus, Role, RoomState, Waiting};
use roomtone_protocol::{RecordingId, code};

use super::rules::{Model, Version, Who};

/// Completed and cancelled recordings stay in everybody's sight for so many nanoseconds.
const IN_SIGHT: i64 = 10_000_000_000;

impl Model {
    pub(super) fn is(&self, recording: RecordingId, state: RecordingState) -> bool {
        self.life(recording) == Some(state)
    }

    /// Where a recording is, whether or not it is still in sight.
    pub(crate) fn life(&self, recording: RecordingId) -> Option<RecordingState> {
        let ended = self.ended.contains(&recording);
        Some(match () {
            () if self.current == Some(recording) && !self.takes[&recording].runs() => RecordingState::Paused,
            () if self.current == Some(recording) && self.prepared.contains(&recording) => RecordingState::Recording,
            () if self.current == Some(recording) => RecordingState::Preparing,
            () if self.cancelled.contains_key(&recording) => RecordingState::Cancelled,
            () if self.failed.contains_key(&recording) => RecordingState::Failed,
            () if self.bucket.contains_key(&recording) => RecordingState::Completed,
            () if self.finalized.contains(&recording) => RecordingState::Uploading,
            () if ended => RecordingState::Finalizing,
            () => return None,
        })
    }

    /// Whether everybody still sees it.
    pub(crate) fn in_sight(&self, recording: RecordingId) -> bool {
        let over = [&self.bucket, &self.cancelled].into_iter().find_map(|when| when.get(&recording));
        self.life(recording).is_some() && over.is_none_or(|since| since + IN_SIGHT > self.now)
    }

    pub(crate) fn may_download(&self, recording: RecordingId) -> Result<(), &'static str> {
        match self.life(recording).filter(|_| self.in_sight(recording)) {
            None | Some(RecordingState::Completed) => Ok(()),
            Some(RecordingState::Uploading) => Err(code::NOT_UPLOADED),
            Some(RecordingState::Failed) => Err(code::RECORDING_FAILED),
            Some(RecordingState::Cancelled) => Err(code::RECORDING_NOT_FOUND),
            Some(_) => Err(code::NOT_FINALIZED),
        }
    }

    /// The current recording and its recorded time, in nanoseconds.
    pub(crate) fn elapsed(&self) -> Option<(RecordingId, i64)> {
        self.current.map(|current| (current, self.takes[&current].elapsed(self.now)))
    }

    /// The state that everyone is to see.
    pub(crate) fn state(&self, version: Version) -> RoomState {
        let person = |(index, &who): (usize, &Who)| Person {
            participant: who,
            name: self.names.get(&who).cloned(),
            label: self.names.get(&who).cloned().unwrap_or_else(|| format!("Guest {}", index + 1)),
            role: if self.observers.contains(&who) { Role::Observer } else { Role::Participant },
            host: self.hosts.contains(&who),
            presence: self.presence(who),
            muted: self.muted.contains(&who),
            channel: self.current.and_then(|current| self.channel(current, who)),
        };
        RoomState {
            epoch: version.0,
            sequence: version.1,
            room: self.config.room,
            name: self.config.name.clone(),
            record_by: self.config.record_by,
            people: self.arrivals.iter().enumerate().map(person).collect(),
            current: self.current.map(|current| self.status(current)),
            finalizing: self.ended.iter().filter(|ended| self.in_sight(**ended)).map(|&id| self.status(id)).collect(),
            auto_record: self.config.auto_record.filter(|&people| people > 0),
            disk_left_ms: self.disk_left().map(|left| left / 60_000 * 60_000),
        }
    }

    fn status(&self, recording: RecordingId) -> RecordingStatus {
        let take = &self.takes[&recording];
        let state = self.life(recording).expect("it was begun");
        let elapsed = take.elapsed(self.now);
        let limit = self.config.time_limit.filter(|_| self.current == Some(recording));
        RecordingStatus {
            recording,
            state,
            elapsed_ms: (elapsed / 1_000_000) as u64,
            title: take.title.clone(),
            started_by: take.by,
            failure: match state {
                RecordingState::Failed => self.failed.get(&recording).cloned(),
                RecordingState::Uploading if self.trouble.contains_key(&recording) => {
                    self.trouble.get(&recording).cloned()
                }
                RecordingState::Finalizing | RecordingState::Uploading | RecordingState::Completed => {
                    self.cut_short.get(&recording).cloned()
                }
                _ => None,
            },
            notes: take.notes.clone(),
            markers: take.markers,
            remaining_ms: limit.map(|limit| ((limit.as_nanos() as i64 - elapsed).max(0) / 1_000_000) as u64),
            waiting: self.waits.get(&recording).filter(|_| state == RecordingState::Finalizing).map(
                |(people, until)| {
                    let left_ms = ((until - self.now).max(0) / 1_000_000) as u64;
                    Box::new(Waiting { people: people.clone(), left_ms })
                },
            ),
            upload: self.goes_up.get(&recording).copied().filter(|_| state == RecordingState::Uploading).map(Box::new),
        }
    }
}

/// A state without what is left of anybody's patience, which moves by itself.
pub(super) fn without_patience(mut state: RoomState) -> RoomState {
    state.finalizing.iter_mut().filter_map(|ended| ended.waiting.as_mut()).for_each(|waiting| waiting.left_ms = 0);
    state
}
