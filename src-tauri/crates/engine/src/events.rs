//! What host and participant report to whoever drives them. Serialised, these are the lines of `roomtone … --json`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use roomtone_protocol::catalog::CatalogPage;
pub use roomtone_protocol::channel::AlarmKind;
use roomtone_protocol::metadata::GapCause;
use roomtone_protocol::state::{RecordingState, RoomState, UploadProgress, Waiting};
use roomtone_protocol::{ErrorReport, ParticipantId, RecordingId, RoomId};
use roomtone_session::Warning;
use serde::Serialize;

/// From a host.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum HostEvent {
    /// The room is open.
    Ready {
        /// Its name.
        room: String,
        /// Its id on the relay.
        room_id: RoomId,
        /// The link for everyone.
        invite: String,
        /// The link with the host's rights.
        host_invite: String,
        /// Recordings of an earlier start that are being finished now.
        recovered: Vec<RecordingId>,
    },
    /// Somebody came.
    ParticipantJoined(PersonLine),
    /// Somebody came back.
    ParticipantReturned(PersonLine),
    /// Somebody vanished without a word.
    ParticipantAway(PersonLine),
    /// Somebody said goodbye.
    ParticipantLeft(PersonLine),
    /// Somebody goes by another name.
    ParticipantRenamed(PersonLine),
    /// A recording changed its state, or a second of it went by.
    RecordingState(RecordingLine),
    /// A finished recording goes to the bucket.
    UploadProgress {
        /// Which.
        recording: RecordingId,
        /// How it goes: `bytes` of `total`, `rate` and `left_ms`.
        #[serde(flatten)]
        upload: UploadProgress,
    },
    /// An upload does not get through and is tried again.
    UploadRetrying {
        /// Which.
        recording: RecordingId,
        /// Why.
        error: ErrorReport,
    },
    /// Verified in the bucket.
    RecordingCompleted {
        /// Which.
        recording: RecordingId,
        /// The file on this disk.
        path: PathBuf,
        /// The object's key.
        key: String,
        /// Bytes.
        size: u64,
        /// Channels.
        channels: u16,
        /// Length.
        duration_ms: u64,
        /// Whether nothing is missing.
        gapless: bool,
    },
    /// The list of recordings changed.
    RecordingsChanged,
    /// These recordings were older than they may get, and are deleted from the bucket.
    RecordingsExpired {
        /// Their keys.
        keys: Vec<String>,
    },
    /// Something is wrong with somebody's microphone, or no longer.
    Alarm {
        /// What.
        kind: AlarmKind,
        /// Whose.
        participant: ParticipantId,
        /// Whether it is so, or over.
        active: bool,
        /// What happened and what to do.
        message: String,
    },
    /// So much of somebody's channel of the recording in progress is missing just now for this reason; 0: all of it is here
    /// by now. What the network holds back is asked for until it is here; what a device never delivered stays missing.
    Gap {
        /// Of which recording.
        recording: RecordingId,
        /// Whose channel.
        participant: ParticipantId,
        /// Why.
        cause: GapCause,
        /// Milliseconds.
        missing_ms: u64,
    },
    /// A recording is about to end by itself, or just did.
    RecordingWarning {
        /// Which.
        recording: RecordingId,
        /// Why.
        kind: WarningKind,
        /// Recorded time that is left; 0 if it has ended.
        left_ms: u64,
    },
    /// Something went wrong that does not end the room.
    Problem {
        /// What, and what to do.
        error: ErrorReport,
    },
    /// The room is over.
    RoomClosed,
}

/// Why a recording is about to end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// The time limit.
    TimeLimit,
    /// The host's disk fills up.
    Disk,
}

impl HostEvent {
    /// A warning of the room's rules.
    pub(crate) fn warning(recording: RecordingId, warning: Warning) -> Self {
        let (kind, left) = match warning {
            Warning::TimeLimit { left } => (WarningKind::TimeLimit, left),
            Warning::Disk { left } => (WarningKind::Disk, left),
            Warning::DiskFull => (WarningKind::Disk, Duration::ZERO),
        };
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        Self::RecordingWarning { recording, kind, left_ms }
    }
}

/// Somebody, in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PersonLine {
    /// Who.
    pub participant: ParticipantId,
    /// The name they gave themselves.
    pub name: Option<String>,
    /// Their channel in the current recording.
    pub channel: Option<u16>,
}

/// A recording's state, in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordingLine {
    /// Which.
    pub recording: RecordingId,
    /// Its state.
    pub state: RecordingState,
    /// Recorded time so far.
    pub elapsed_ms: u64,
    /// Why it failed, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Whom it waits for, once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
}

/// From a participant.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ParticipantEvent {
    /// The recorder has let this participant in.
    Joined {
        /// Who this is.
        participant: ParticipantId,
    },
    /// Who speaks how loud, in dBFS.
    Speaking {
        /// By participant.
        levels: BTreeMap<ParticipantId, f32>,
    },
    /// A recording changed its state, or a second of it went by.
    RecordingState(RecordingLine),
    /// The whole state of the room.
    #[serde(skip)]
    State(Box<RoomState>),
    /// Whether all that was said has arrived at the recorder for good.
    SafeToQuit {
        /// Whether.
        value: bool,
    },
    /// Something is wrong with a microphone.
    Alarm {
        /// What.
        kind: AlarmKind,
        /// Whose.
        participant: ParticipantId,
        /// Whether it is so, or over.
        active: bool,
        /// What happened and what to do.
        message: String,
    },
    /// What was kept of a recording for too long, or takes too much room, is dropped now.
    SpoolExpired {
        /// Which.
        recording: RecordingId,
        /// Its size on this disk.
        bytes: u64,
    },
    /// The recorder cannot be reached; what is said is kept here.
    HostUnreachable,
    /// The recorder can be reached again.
    HostReachable,
    /// The list of recordings changed.
    RecordingsChanged {
        /// The newest part of the list; not part of the line. Parts behind it may have changed as well.
        #[serde(skip)]
        newest: CatalogPage,
    },
    /// Another microphone is in use.
    #[serde(skip)]
    Microphone {
        /// Its name.
        device: String,
    },
    /// The end.
    Left {
        /// Why.
        reason: String,
        /// The error behind it, if it was one.
        #[serde(skip)]
        error: Option<ErrorReport>,
    },
}
