//! The metadata JSON beside an audio object: whose it is, and what a newer version keeps of it.

use std::ops::Range;

use bytes::Bytes;
use roomtone_protocol::metadata::{Metadata, Parts, SCHEMA};
use roomtone_protocol::{ErrorReport, RecordingId, code};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::queue::Receipt;
use crate::{Bucket, BucketError};

/// The largest metadata JSON that is read back.
const LARGEST_METADATA: u64 = 64 * 1024 * 1024;

/// A metadata JSON as found in the bucket.
#[derive(Debug)]
pub(super) struct Beside {
    pub(super) etag: String,
    /// Whose it is; none if it does not say.
    pub(super) recording: Option<RecordingId>,
    content: Map<String, Value>,
}

/// What is at the key; none without an object. Anything but a metadata JSON is nobody's.
pub(super) async fn read(bucket: &dyn Bucket, key: &str) -> Result<Option<Beside>, BucketError> {
    // The etag first: if the content changes in between, replacing that version fails, and it is read again.
    let Some(object) = bucket.head(key).await? else { return Ok(None) };
    let content = match bucket.get(key, LARGEST_METADATA).await {
        Ok(content) => content,
        Err(BucketError::NotFound { .. }) => return Ok(None),
        Err(BucketError::TooLarge { .. }) => Bytes::new(),
        Err(error) => return Err(error),
    };
    Ok(Some(Beside::parse(object.etag, &content)))
}

/// As it is published.
pub(super) fn serialized(content: &impl Serialize) -> Result<Bytes, ErrorReport> {
    let text = serde_json::to_vec_pretty(content);
    text.map(Bytes::from)
        .map_err(|error| ErrorReport::new(code::IO, error.to_string(), "report this as a defect; the take is kept"))
}

impl Beside {
    fn parse(etag: String, content: &[u8]) -> Self {
        let content: Map<String, Value> = serde_json::from_slice(content).unwrap_or_default();
        let recording = content.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
        Self { etag, recording, content }
    }

    /// Whether a newer version of Roomtone wrote it.
    pub(super) fn is_newer(&self) -> bool {
        self.content.get("schema").and_then(Value::as_u64).is_some_and(|schema| schema > u64::from(SCHEMA))
    }

    fn field<T: for<'a> Deserialize<'a>>(&self, name: &str) -> Option<T> {
        self.content.get(name).and_then(|value| T::deserialize(value).ok())
    }

    /// Whether it describes a file of the very same bytes.
    pub(super) fn describes(&self, metadata: &Metadata) -> bool {
        metadata.sha256.is_some()
            && self.field::<String>("sha256") == metadata.sha256
            && self.field("size") == Some(metadata.size)
    }

    /// Whether it describes a file of that size, before its hash was known.
    pub(super) fn lacks_hash(&self, metadata: &Metadata) -> bool {
        self.field::<Option<String>>("sha256") == Some(None) && self.field("size") == Some(metadata.size)
    }

    /// The bytes of the new file that are the same in the one described here.
    pub(super) fn unchanged(&self, metadata: &Metadata) -> Vec<Range<u64>> {
        match (self.field::<Parts>("parts"), self.field("size")) {
            (Some(parts), Some(size)) => unchanged((&parts, size), (&metadata.parts, metadata.size)),
            _ => Vec::new(),
        }
    }

    /// The metadata of the new version, with what was edited in the bucket since the last one was published, and with
    /// what this version of Roomtone does not know.
    pub(super) fn revised(&self, metadata: &Metadata, published: &Receipt) -> Result<Map<String, Value>, ErrorReport> {
        let defect = |error: serde_json::Error| {
            ErrorReport::new(code::IO, error.to_string(), "report this as a defect; the take is kept")
        };
        let mut new = Map::deserialize(serde_json::to_value(metadata).map_err(defect)?).map_err(defect)?;
        for (name, published) in [("title", &published.title), ("notes", &published.notes)] {
            let there = self.content.get(name).cloned().unwrap_or(Value::Null);
            if there != Value::from(published.clone()) {
                new.insert(name.to_owned(), there);
            }
        }
        for (name, value) in &self.content {
            new.entry(name.clone()).or_insert_with(|| value.clone());
        }
        Ok(new)
    }
}

/// The bytes that two files have in common at the same places, as the hashes of their parts and their lengths tell.
fn unchanged((old, old_size): (&Parts, u64), (new, new_size): (&Parts, u64)) -> Vec<Range<u64>> {
    let mut same: Vec<Range<u64>> = Vec::new();
    if old.size != new.size || new.size == 0 {
        return same;
    }
    for (start, (ours, theirs)) in
        (0..).step_by(usize::try_from(new.size).unwrap_or(usize::MAX)).zip(new.sha256.iter().zip(&old.sha256))
    {
        let end = |size: u64| size.min(start + new.size);
        if ours != theirs || end(old_size) != end(new_size) || end(new_size) <= start {
            continue;
        }
        match same.last_mut() {
            Some(before) if before.end == start => before.end = end(new_size),
            _ => same.push(start..end(new_size)),
        }
    }
    same
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parts(hashes: &[&str]) -> Parts {
        Parts { size: 10, sha256: hashes.iter().map(|hash| (*hash).to_owned()).collect() }
    }

    #[test]
    fn equal_parts_at_equal_places_are_unchanged() {
        let old = parts(&["head", "b", "c", "d", "tail"]);
        let new = parts(&["HEAD", "b", "c", "D", "tail"]);
        assert_eq!(unchanged((&old, 45), (&new, 45)), [10..30, 40..45]);
        // A file that grew: its last part is another, whatever the hashes say.
        assert_eq!(unchanged((&old, 45), (&new, 50)), vec![(10..30)]);
        let longer = parts(&["HEAD", "b", "c", "D", "e", "f"]);
        assert_eq!(unchanged((&old, 45), (&longer, 60)), vec![(10..30)]);
        let cut_otherwise = Parts { size: 20, ..new };
        assert_eq!(unchanged((&old, 45), (&cut_otherwise, 45)), []);
    }

    #[test]
    fn edits_in_the_bucket_and_unknown_fields_survive_a_new_version() {
        let metadata: Metadata = serde_json::from_value(json!({
            "schema": 1, "id": "ab".repeat(16), "room": "R", "room_id": "cd".repeat(16), "title": "Take 2",
            "notes": "new notes", "started_at": "", "ended_at": "", "sample_rate": 48000, "bit_depth": 24,
            "frames": 1, "size": 5, "sha256": "new", "parts": {"size": 10, "sha256": []}, "software": "",
            "gapless": true, "channels": [], "unrecorded": [], "markers": [],
        }))
        .unwrap();
        let published = Receipt::new(
            "k.wav",
            super::super::queue::Stored { size: 4, etag: "e".into() },
            std::path::Path::new("take.wav"),
            &Metadata { title: Some("Take 1".into()), notes: None, ..metadata.clone() },
        );
        let there = json!({"schema": 1, "id": "ab".repeat(16), "title": "Take 1", "notes": "of the bucket",
            "sha256": "old", "gapless": false, "of_tomorrow": [1]});
        let beside = Beside::parse("e".into(), there.to_string().as_bytes());
        assert_eq!(beside.recording, Some(metadata.id));
        let revised = beside.revised(&metadata, &published).unwrap();
        assert_eq!(revised["title"], "Take 2", "not edited in the bucket");
        assert_eq!(revised["notes"], "of the bucket", "edited in the bucket");
        assert_eq!((&revised["gapless"], &revised["sha256"]), (&json!(true), &json!("new")));
        assert_eq!(revised["of_tomorrow"], json!([1]));
    }

    #[test]
    fn what_is_no_metadata_is_nobodys() {
        for content in [&b""[..], b"{", b"[]", b"{\"id\":5}"] {
            assert_eq!(Beside::parse("e".into(), content).recording, None);
        }
    }
}
