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
    /// What is known of the metadata beside it.
    #[serde(default)]
    pub metadata: MetadataState,
}

/// What is known of the metadata beside an audio object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum MetadataState {
    /// Read: the entry shows what it says.
    Good,
    /// There is none: a plain file that somebody put there.
    Missing,
    /// It cannot be understood.
    Damaged,
    /// A newer Roomtone wrote it. It is left as it is.
    Newer,
    /// Not read yet, or told by a program that does not say. What the entry shows comes from the listing.
    #[default]
    #[serde(other)]
    Unread,
}

/// Part of the list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogPage {
    /// The entries of this part.
    pub entries: Vec<CatalogEntry>,
    /// Names the place after the last entry: what to ask for to go on. None: nothing comes after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Entries of the whole list; None where an earlier version sent all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// What goes, or went, when a recording is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// The recording's entry.
    pub entry: CatalogEntry,
    /// Keys of all its objects in the bucket.
    pub objects: Vec<String>,
    /// What the bucket keeps of them.
    pub kept: Kept,
    /// Whether the host's computer has a copy of its own, which stays.
    pub local_copy: bool,
}

/// What a bucket keeps of an object that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// Its versions: versioning is on, and somebody with the right to can bring them back.
    Versions,
    /// Those versions that were written while versioning was on: it is suspended.
    EarlierVersions,
    /// The store did not say, or may not be asked.
    #[serde(other)]
    Unknown,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Answer, Command, ToParticipant};

    /// An entry as it was sent before lists had pages.
    const ENTRY: &str = r#"{"recording":null,"key":"a.wav","title":null,"room":null,"started_at":"2026-11-21T01:02:03Z",
        "duration_ms":null,"channels":null,"size":4,"gapless":null,"state":"ready","reach":"everyone"}"#;

    #[test]
    fn messages_of_earlier_versions_are_read() {
        let asked: Command = serde_json::from_str(r#"{"do":"recordings"}"#).unwrap();
        assert_eq!(asked, Command::Recordings { after: None, limit: None });
        let Answer::Recordings(page) =
            serde_json::from_str(&format!(r#"{{"is":"recordings","entries":[{ENTRY}]}}"#)).unwrap()
        else {
            panic!("another answer")
        };
        assert_eq!((page.entries.len(), page.next, page.total), (1, None, None));
        assert_eq!(page.entries[0].metadata, MetadataState::Unread);
        let pushed: ToParticipant =
            serde_json::from_str(&format!(r#"{{"type":"recordings","entries":[{ENTRY}]}}"#)).unwrap();
        assert!(matches!(pushed, ToParticipant::Recordings(page) if page.entries.len() == 1));
    }

    #[test]
    fn what_is_asked_for_without_a_place_is_what_earlier_versions_ask_for() {
        let asked = serde_json::to_string(&Command::Recordings { after: None, limit: None }).unwrap();
        assert_eq!(asked, r#"{"do":"recordings"}"#);
    }

    #[test]
    fn states_of_later_versions_are_as_good_as_none() {
        assert_eq!(serde_json::from_str::<MetadataState>(r#""of_tomorrow""#).unwrap(), MetadataState::Unread);
        assert_eq!(serde_json::from_str::<Kept>(r#""of_tomorrow""#).unwrap(), Kept::Unknown);
    }
}
