//! What the recorder tells everyone about the room. The recorder alone owns it; relay and apps show copies.

use serde::{Deserialize, Serialize};

use crate::{ParticipantId, RecordingId, RoomId};

/// The room as its recorder sees it.
///
/// Of two states the one with the higher `(epoch, sequence)` is the newer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ts_rs::TS)]
#[ts(export)]
pub struct RoomState {
    /// Counts the starts of the recorder.
    pub epoch: u32,
    /// Counts the changes within an epoch.
    #[ts(type = "number")]
    pub sequence: u64,
    /// The room on its relay.
    pub room: RoomId,
    /// What people call it.
    pub name: String,
    /// Who may start, stop, pause, resume and describe.
    pub record_by: RecordBy,
    /// Everybody who is or was in the room, in order of joining.
    pub people: Vec<Person>,
    /// The recording in progress.
    pub current: Option<RecordingStatus>,
    /// Recordings that are finished but not completed yet, oldest first; also failed ones.
    pub finalizing: Vec<RecordingStatus>,
    /// A recording begins by itself when so many participants with microphones are present; None: never.
    #[serde(default)]
    pub auto_record: Option<u32>,
    /// How much longer the recorder's disk has room for, in milliseconds of recorded time, by the number of channels
    /// that there are or would be now: whole minutes. None as long as nobody knows.
    #[serde(default)]
    #[ts(type = "number | null")]
    pub disk_left_ms: Option<u64>,
}

impl RoomState {
    /// Orders states of one room.
    #[must_use]
    pub fn version(&self) -> (u32, u64) {
        (self.epoch, self.sequence)
    }

    /// The person of this id.
    #[must_use]
    pub fn person(&self, participant: ParticipantId) -> Option<&Person> {
        self.people.iter().find(|person| person.participant == participant)
    }
}

/// Who may start, stop, pause, resume and describe recordings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum RecordBy {
    /// Everyone in the room.
    #[default]
    Everyone,
    /// The host only.
    Host,
}

/// What somebody is in the room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum Role {
    /// Sends a microphone.
    Participant,
    /// Indicators, state and downloads; no microphone and no channel.
    Observer,
}

/// Whether somebody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum Presence {
    /// In the room.
    Present,
    /// Vanished without a word, and may be back.
    Away,
    /// Said goodbye.
    Left,
}

/// Somebody in the room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[ts(export)]
pub struct Person {
    /// Who.
    pub participant: ParticipantId,
    /// The name they gave themselves.
    pub name: Option<String>,
    /// What to call them: the name, or "Guest 3".
    pub label: String,
    /// What they are here for.
    pub role: Role,
    /// Whether they hold the host's rights.
    pub host: bool,
    /// Whether they are there.
    pub presence: Presence,
    /// Whether they muted themselves.
    pub muted: bool,
    /// Their channel in the current recording, counted from 0.
    pub channel: Option<u16>,
}

/// Where a recording is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum RecordingState {
    /// Asked for; the journal is being opened.
    Preparing,
    /// Running.
    Recording,
    /// Interrupted on purpose.
    Paused,
    /// Over; the file is being written.
    Finalizing,
    /// The file is whole and on its way to the bucket.
    Uploading,
    /// Verified in the bucket.
    Completed,
    /// Discarded on purpose.
    Cancelled,
    /// Stuck; `failure` says why and what to do. The audio is kept.
    Failed,
}

impl std::fmt::Display for RecordingState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Preparing => "preparing",
            Self::Recording => "recording",
            Self::Paused => "paused",
            Self::Finalizing => "finalizing",
            Self::Uploading => "uploading",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        })
    }
}

/// Whose audio a recording that is over still waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[ts(export)]
pub struct Waiting {
    /// Who: they hold some of it, or have not said that this is all. Their programs should not be quit.
    pub people: Vec<ParticipantId>,
    /// How long it waits at most, in milliseconds. What comes later makes a new version of the file.
    #[ts(type = "number")]
    pub left_ms: u64,
}

/// How a finished recording goes to its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[ts(export)]
pub struct UploadProgress {
    /// Bytes that the bucket has confirmed.
    #[ts(type = "number")]
    pub bytes: u64,
    /// Bytes in all.
    #[ts(type = "number")]
    pub total: u64,
    /// Bytes a second, of late; None before that was seen.
    #[serde(default)]
    #[ts(type = "number | null")]
    pub rate: Option<u64>,
    /// How long the rest takes at that rate, in milliseconds; None if nobody knows.
    #[serde(default)]
    #[ts(type = "number | null")]
    pub left_ms: Option<u64>,
}

/// One recording's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[ts(export)]
pub struct RecordingStatus {
    /// Which.
    pub recording: RecordingId,
    /// Where it is in its life.
    pub state: RecordingState,
    /// Recorded time so far, without pauses, in milliseconds.
    #[ts(type = "number")]
    pub elapsed_ms: u64,
    /// Its title, if it has one.
    pub title: Option<String>,
    /// Who started it; None if it began by itself, or nobody knows any more.
    pub started_by: Option<ParticipantId>,
    /// Why it failed, what holds it up, or why it ended although nobody wanted that; and what to do.
    pub failure: Option<String>,
    /// What people noted about it.
    #[serde(default)]
    pub notes: Option<String>,
    /// Markers that people set in it so far.
    #[serde(default)]
    pub markers: u32,
    /// Recorded time that is left until the time limit ends it, in milliseconds; None without a limit, and when it is
    /// over.
    #[serde(default)]
    #[ts(type = "number | null")]
    pub remaining_ms: Option<u64>,
    /// Whom it waits for, once it is over; None if nothing is missing, or nothing more is waited for.
    #[serde(default)]
    pub waiting: Option<Box<Waiting>>,
    /// How it goes up, once something is known of that and as long as it does.
    #[serde(default)]
    pub upload: Option<Box<UploadProgress>>,
}
