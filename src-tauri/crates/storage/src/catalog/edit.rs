//! Titles and notes of recordings in the bucket: read, change, and write back what nobody else changed meanwhile.

use roomtone_protocol::metadata::SCHEMA;
use serde_json::{Map, Value};

use super::Catalog;
use super::read::LARGEST_METADATA;
use crate::key::{is_recording_key, metadata_key};
use crate::{BucketError, Operation, PutMode};

/// How often metadata is read again because somebody else changed it in between. Each time somebody got theirs in.
const ATTEMPTS: usize = 20;

/// What is to change in a recording's metadata: None leaves a text, `Some(None)` takes it away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// The title.
    pub title: Option<Option<String>>,
    /// The notes.
    pub notes: Option<Option<String>>,
}

impl Edit {
    /// The metadata with this change. As a bare value, so that nothing this version does not know is lost.
    fn of(&self, key: &str, content: &[u8]) -> Result<Vec<u8>, BucketError> {
        let damaged = |reason: &dyn std::fmt::Display| BucketError::Refused {
            operation: Operation::Read,
            detail: format!("the metadata {key:?} is damaged: {reason}"),
        };
        let mut metadata: Map<String, Value> = serde_json::from_slice(content).map_err(|error| damaged(&error))?;
        match metadata.get("schema").and_then(Value::as_u64) {
            Some(schema) if schema <= u64::from(SCHEMA) => {}
            Some(_) => return Err(BucketError::NewerVersion(format!("the metadata {key:?}"))),
            None => return Err(damaged(&"it has no schema number")),
        }
        for (field, text) in [("title", &self.title), ("notes", &self.notes)] {
            if let Some(text) = text {
                metadata.insert(field.to_owned(), text.clone().into());
            }
        }
        serde_json::to_vec_pretty(&metadata).map_err(|error| damaged(&error))
    }
}

impl Catalog {
    /// Gives a recording, given by id or key, another title, or none. Only its metadata is written.
    ///
    /// # Errors
    /// See [`Catalog::describe`].
    pub async fn rename(&self, id_or_key: &str, title: Option<&str>) -> Result<(), BucketError> {
        self.describe(id_or_key, Edit { title: Some(title.map(str::to_owned)), notes: None }).await
    }

    /// Gives a recording, given by id or key, another title or other notes. Only its metadata is written, in the place of
    /// the version that was read: of edits at the same time none is lost.
    ///
    /// # Errors
    /// [`BucketError::NotFound`] for what is not in the list or has no metadata, [`BucketError::NewerVersion`] for
    /// metadata of a newer version, [`BucketError::Changed`] if others never stop changing it, and whatever the bucket says.
    pub async fn describe(&self, id_or_key: &str, edit: Edit) -> Result<(), BucketError> {
        let audio = self.find_or_refresh(id_or_key).await?.entry.key;
        let key = metadata_key(&audio);
        if !is_recording_key(&audio) {
            return Err(BucketError::NotFound { key });
        }
        let bucket = &*self.shared.bucket;
        for _ in 0..ATTEMPTS {
            // The version first: if the content changes in between, its place is not taken, and it is read again.
            let there = bucket.head(&key).await?.ok_or_else(|| BucketError::NotFound { key: key.clone() })?;
            let content = edit.of(&key, &bucket.get(&key, LARGEST_METADATA).await?)?;
            match bucket.put_bytes(&key, content.into(), PutMode::ReplaceVersion(&there.etag)).await {
                Ok(_) => return self.look(&audio).await,
                Err(BucketError::Changed { .. }) => tracing::debug!("somebody else changed the metadata first"),
                Err(error) => return Err(error),
            }
        }
        Err(BucketError::Changed { key })
    }

    /// The whole metadata of a recording, given by id or key, and what tells its version. None where there is none.
    ///
    /// # Errors
    /// [`BucketError::NotFound`] for what is not in the list, and whatever the bucket says.
    pub async fn metadata(&self, id_or_key: &str) -> Result<Option<(bytes::Bytes, String)>, BucketError> {
        let audio = self.find_or_refresh(id_or_key).await?.entry.key;
        if !is_recording_key(&audio) {
            return Ok(None);
        }
        let key = metadata_key(&audio);
        let Some(there) = self.shared.bucket.head(&key).await? else { return Ok(None) };
        match self.shared.bucket.get(&key, LARGEST_METADATA).await {
            Ok(content) => Ok(Some((content, there.etag))),
            Err(BucketError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_keeps_what_it_does_not_know_and_refuses_what_a_newer_version_wrote() {
        let edit = Edit { title: Some(Some("New".into())), notes: Some(None) };
        let edited = edit.of("k", br#"{"schema":1,"title":"Old","notes":"n","of_tomorrow":[1]}"#).unwrap();
        let edited: Value = serde_json::from_slice(&edited).unwrap();
        assert_eq!(edited, serde_json::json!({"schema": 1, "title": "New", "notes": null, "of_tomorrow": [1]}));
        assert!(matches!(edit.of("k", br#"{"schema":2}"#), Err(BucketError::NewerVersion(_))));
        for damaged in [&b"{"[..], b"[]", b"{}"] {
            assert!(matches!(edit.of("k", damaged), Err(BucketError::Refused { .. })));
        }
    }
}
