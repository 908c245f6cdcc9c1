//! What the metadata beside a recording adds to the list. Read once per version of the object.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};
use roomtone_protocol::metadata::SCHEMA;
use roomtone_protocol::{RecordingId, RoomId};
use serde::Deserialize;
use serde::de::IgnoredAny;
use time::OffsetDateTime;

use super::Completeness;
use crate::key::{is_audio_key, metadata_key};
use crate::{Bucket, BucketError, ObjectInfo};

/// The largest metadata JSON that is read. A day with thirty-two channels and a gap a minute has some 5 MB.
pub(super) const LARGEST_METADATA: u64 = 64 * 1024 * 1024;

/// Metadata objects read at the same time.
const PARALLEL: usize = 8;

/// What the list takes from a metadata JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Enrichment {
    pub(super) recording: RecordingId,
    pub(super) room: String,
    pub(super) room_id: RoomId,
    pub(super) title: Option<String>,
    pub(super) started_at: OffsetDateTime,
    pub(super) duration_ms: Option<u64>,
    pub(super) channels: u16,
    pub(super) gapless: bool,
}

/// Why a metadata JSON adds nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Unreadable {
    #[error("a newer version of Roomtone wrote it (schema {0})")]
    Newer(u32),
    #[error("it is damaged: {0}")]
    Damaged(String),
}

/// Only what the list needs, so that a field it does not show cannot hide a recording.
#[derive(Deserialize)]
struct Fields {
    id: RecordingId,
    room: String,
    room_id: RoomId,
    title: Option<String>,
    started_at: String,
    sample_rate: u32,
    frames: u64,
    gapless: bool,
    channels: Vec<IgnoredAny>,
}

impl Enrichment {
    fn parse(content: &[u8]) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        struct Versioned {
            schema: u32,
        }
        let damaged = |error: &dyn std::fmt::Display| Unreadable::Damaged(error.to_string());
        let Versioned { schema } = serde_json::from_slice(content).map_err(|error| damaged(&error))?;
        if schema > SCHEMA {
            return Err(Unreadable::Newer(schema));
        }
        let fields: Fields = serde_json::from_slice(content).map_err(|error| damaged(&error))?;
        let started_at = OffsetDateTime::parse(&fields.started_at, &time::format_description::well_known::Rfc3339)
            .map_err(|error| damaged(&error))?;
        let milliseconds = u128::from(fields.frames) * 1000;
        Ok(Self {
            recording: fields.id,
            room: fields.room,
            room_id: fields.room_id,
            title: fields.title,
            started_at,
            duration_ms: milliseconds.checked_div(fields.sample_rate.into()).and_then(|ms| ms.try_into().ok()),
            channels: u16::try_from(fields.channels.len()).unwrap_or(u16::MAX),
            gapless: fields.gapless,
        })
    }
}

/// Metadata by key, as of an etag; none for what cannot be read.
#[derive(Debug, Default)]
pub(super) struct Cache(BTreeMap<String, (String, Option<Enrichment>)>);

impl Cache {
    /// Reads what is new or changed, and forgets what is gone.
    pub(super) async fn renew(&mut self, bucket: &dyn Bucket, listing: &[ObjectInfo]) -> Completeness {
        let wanted: BTreeSet<String> =
            listing.iter().filter(|object| is_audio_key(&object.key)).map(|object| metadata_key(&object.key)).collect();
        self.0.retain(|key, _| wanted.contains(key));
        let mut missing = Vec::new();
        let mut there = BTreeSet::new();
        for object in listing.iter().filter(|object| wanted.contains(&object.key)) {
            there.insert(&object.key);
            if self.0.get(&object.key).is_none_or(|(etag, _)| *etag != object.etag) {
                missing.push(object.clone());
            }
        }
        self.0.retain(|key, _| there.contains(key));
        let mut read = stream::iter(missing)
            .map(|object| async move {
                let content = bucket.get(&object.key, LARGEST_METADATA).await;
                (object, content)
            })
            .buffer_unordered(PARALLEL);
        let mut completeness = Completeness::Whole;
        while let Some((object, content)) = read.next().await {
            let parsed = match content {
                Ok(content) => Enrichment::parse(&content),
                Err(BucketError::TooLarge { limit, .. }) => Err(Unreadable::Damaged(format!("over {limit} bytes"))),
                // Gone again; a change is on its way.
                Err(BucketError::NotFound { .. }) => continue,
                Err(error) => {
                    tracing::warn!(code = error.report().code, "the metadata of a recording could not be read");
                    completeness = Completeness::LacksMetadata;
                    continue;
                }
            };
            if let Err(reason) = &parsed {
                tracing::warn!(%reason, "the metadata of a recording is not used");
            }
            self.0.insert(object.key, (object.etag, parsed.ok()));
        }
        completeness
    }

    /// What is known about an audio object.
    pub(super) fn of(&self, audio: &str) -> Option<&Enrichment> {
        self.0.get(&metadata_key(audio)).and_then(|(_, enrichment)| enrichment.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metadata() -> serde_json::Value {
        json!({
            "schema": 1, "id": "ab".repeat(16), "room": "R", "room_id": "cd".repeat(16), "title": null,
            "started_at": "2026-11-21T01:02:03Z", "sample_rate": 48000, "frames": 72000, "gapless": true,
            "channels": [{"whatever": 1}, {}], "unknown": {"field": []},
        })
    }

    fn parse(value: &serde_json::Value) -> Result<Enrichment, Unreadable> {
        Enrichment::parse(value.to_string().as_bytes())
    }

    #[test]
    fn length_and_channels_come_from_the_metadata() {
        let enrichment = parse(&metadata()).unwrap();
        assert_eq!((enrichment.duration_ms, enrichment.channels), (Some(1500), 2));
    }

    #[test]
    fn newer_and_damaged_metadata_add_nothing_and_say_why() {
        let mut newer = metadata();
        newer["schema"] = json!(2);
        newer["channels"] = json!("of another shape");
        assert_eq!(parse(&newer), Err(Unreadable::Newer(2)));
        let mut dateless = metadata();
        dateless["started_at"] = json!("yesterday");
        assert!(matches!(parse(&dateless), Err(Unreadable::Damaged(_))));
        assert!(matches!(Enrichment::parse(b"{\"schema\":1,"), Err(Unreadable::Damaged(_))));
        let mut odd = metadata();
        odd["sample_rate"] = json!(0);
        assert_eq!(parse(&odd).unwrap().duration_ms, None);
    }
}
