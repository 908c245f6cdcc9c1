//! The one shape in which an error reaches a person or a script.

use serde::{Deserialize, Serialize};

/// What went wrong and what to do about it. `code` is stable; texts are for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, ts_rs::TS)]
#[error("{message}; {hint}")]
#[ts(export)]
pub struct ErrorReport {
    /// One of [`code`].
    pub code: String,
    /// What happened.
    pub message: String,
    /// What the reader can do.
    pub hint: String,
}

impl ErrorReport {
    /// Puts an error together.
    pub fn new(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), hint: hint.into() }
    }
}

/// Stable error codes. The README lists them with their meaning.
pub mod code {
    /// The relay knows no room of this id.
    pub const ROOM_NOT_FOUND: &str = "room_not_found";
    /// A signature, token or secret does not fit.
    pub const UNAUTHORIZED: &str = "unauthorized";
    /// The person may not do this in this room.
    pub const NOT_ALLOWED: &str = "not_allowed";
    /// A message broke the protocol or a limit.
    pub const BAD_REQUEST: &str = "bad_request";
    /// The other side speaks another version.
    pub const VERSION_MISMATCH: &str = "version_mismatch";
    /// A limit of rooms, people or messages is reached.
    pub const LIMIT_REACHED: &str = "limit_reached";
    /// The same identity is in the room from elsewhere.
    pub const ALREADY_PRESENT: &str = "already_present";
    /// The room was closed by its host.
    pub const ROOM_CLOSED: &str = "room_closed";
    /// The relay cannot be reached.
    pub const RELAY_UNREACHABLE: &str = "relay_unreachable";
    /// The relay is there, the recorder is not.
    pub const RECORDER_UNREACHABLE: &str = "recorder_unreachable";
    /// The recorder's key is not the one that the invite names.
    pub const WRONG_RECORDER: &str = "wrong_recorder";
    /// The command was based on a state that is no longer current.
    pub const ALREADY_CHANGED: &str = "already_changed";
    /// Nothing is being recorded.
    pub const NOT_RECORDING: &str = "not_recording";
    /// The host's disk has no room for a recording.
    pub const DISK_FULL: &str = "disk_full";
    /// Recording is switched off by a setting.
    pub const RECORDING_DISABLED: &str = "recording_disabled";
    /// This version does not do that yet.
    pub const NOT_YET_SUPPORTED: &str = "not_yet_supported";
    /// No recording of that id or key.
    pub const RECORDING_NOT_FOUND: &str = "recording_not_found";
    /// The recording is still in progress.
    pub const NOT_FINALIZED: &str = "not_finalized";
    /// The recording is finished and still on its way to the bucket.
    pub const NOT_UPLOADED: &str = "not_uploaded";
    /// The recording failed; its audio is kept.
    pub const RECORDING_FAILED: &str = "recording_failed";
    /// An offer held a video section.
    pub const VIDEO_REFUSED: &str = "video_refused";
    /// An offer held more than one audio section.
    pub const SECOND_AUDIO_REFUSED: &str = "second_audio_refused";
    /// An offer held no codec that the recorder takes.
    pub const CODEC_REFUSED: &str = "codec_refused";
    /// The data directory is in use by another program.
    pub const DATA_DIR_IN_USE: &str = "data_dir_in_use";
    /// A file could not be read or written.
    pub const IO: &str = "io";
    /// The microphone cannot be opened.
    pub const MICROPHONE: &str = "microphone";
    /// An argument or setting is not valid.
    pub const INVALID_SETTING: &str = "invalid_setting";
    /// The invite is not one.
    pub const INVALID_INVITE: &str = "invalid_invite";
    /// The bucket refused or failed.
    pub const STORAGE: &str = "storage";
    /// The bucket cannot be reached.
    pub const STORAGE_UNREACHABLE: &str = "storage_unreachable";
    /// The link to a recording was good for a limited time, which is over.
    pub const LINK_EXPIRED: &str = "link_expired";
    /// Another program listens on the address.
    pub const ADDRESS_IN_USE: &str = "address_in_use";
    /// Something was written by a newer version of Roomtone.
    pub const NEWER_VERSION: &str = "newer_version";
    /// The operation needs a confirmation that was not given.
    pub const CONFIRMATION_NEEDED: &str = "confirmation_needed";
}
