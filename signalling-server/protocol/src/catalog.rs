//! The list of recordings as people see it.

use serde::{Deserialize, Serialize};

use crate::RecordingId;

/// One audio object of the bucket, or a finished recording on its way there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[ts(export)]
pub struct CatalogEntry {
    /// The recording, where its metadata is known; an object that somebody else put there has none.
    pub recording: Option<RecordingId>,
    /// The object's key in the bucket.
    pub key: String,
    /// The recording's title.
    pub title: Option<String>,
    /// The room's name, where known.
    pub room: Option<String>,
    /// When it began, or when the object was last changed: RFC 3339, UTC.
    pub started_at: String,
    /// Length in milliseconds, where known.
    #[ts(type = "number | null")]
    pub duration_ms: Option<u64>,
    /// Number of channels, where known.
    pub channels: Option<u16>,
    /// Size in bytes.
    #[ts(type = "number")]
    pub size: u64,
    /// Whether nothing is missing from it, where known.
    pub gapless: Option<bool>,
    /// Whether it can be downloaded.
    pub state: EntryState,
    /// Who can fetch it.
    pub reach: Reach,
}

/// Whether an entry can be downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum EntryState {
    /// Finalized, not in the bucket yet.
    Uploading,
    /// In the bucket.
    Ready,
}

/// From where a link to an entry works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum Reach {
    /// From wherever the bucket, or the host's relay, can be reached.
    Everyone,
    /// On the host's own computer only: a folder bucket behind a relay elsewhere.
    HostOnly,
}

/// A link to an object: it works for whoever holds it until it expires, and carries no credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[ts(export)]
pub struct Link {
    /// The address.
    pub link: String,
    /// RFC 3339, UTC.
    pub expires_at: String,
}
