//! What the metadata beside a recording adds to the list.

use roomtone_protocol::catalog::MetadataState;
use roomtone_protocol::metadata::SCHEMA;
use roomtone_protocol::{RecordingId, RoomId};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The longest title or name of a room that the list shows, in characters. Ours are shorter; an entry has to fit into a
/// message, whoever wrote the metadata.
const LONGEST_TEXT: usize = 300;

/// What the list takes from a metadata JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Enrichment {
    pub(super) recording: RecordingId,
    pub(super) room: String,
    pub(super) room_id: RoomId,
    pub(super) title: Option<String>,
    /// Nanoseconds since 1970, UTC.
    pub(super) started_ns: i128,
    pub(super) duration_ms: Option<u64>,
    pub(super) channels: u16,
    pub(super) gapless: bool,
}

/// What became of reading a metadata JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reading {
    Good(Box<Enrichment>),
    Newer,
    Damaged,
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

impl Reading {
    pub(super) fn parse(content: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Versioned {
            schema: u32,
        }
        let versioned = serde_json::from_slice::<Versioned>(content);
        if versioned.as_ref().is_ok_and(|versioned| versioned.schema > SCHEMA) {
            return Self::Newer;
        }
        let parsed = versioned.and_then(|_| serde_json::from_slice::<Fields>(content));
        let parsed = parsed.map_err(|error| error.to_string()).and_then(Enrichment::from_fields);
        match parsed {
            Ok(enrichment) => Self::Good(Box::new(enrichment)),
            Err(reason) => {
                tracing::warn!(reason, "the metadata of a recording is damaged and is not used");
                Self::Damaged
            }
        }
    }

    pub(super) fn enrichment(&self) -> Option<&Enrichment> {
        if let Self::Good(enrichment) = self { Some(enrichment) } else { None }
    }

    pub(super) const fn state(&self) -> MetadataState {
        match self {
            Self::Good(_) => MetadataState::Good,
            Self::Newer => MetadataState::Newer,
            Self::Damaged => MetadataState::Damaged,
        }
    }
}

impl Enrichment {
    fn from_fields(fields: Fields) -> Result<Self, String> {
        let started_at = OffsetDateTime::parse(&fields.started_at, &Rfc3339).map_err(|error| error.to_string())?;
        let milliseconds = u128::from(fields.frames) * 1000;
        Ok(Self {
            recording: fields.id,
            room: short(fields.room),
            room_id: fields.room_id,
            title: fields.title.map(short),
            started_ns: started_at.unix_timestamp_nanos(),
            duration_ms: milliseconds.checked_div(fields.sample_rate.into()).and_then(|ms| ms.try_into().ok()),
            channels: u16::try_from(fields.channels.len()).unwrap_or(u16::MAX),
            gapless: fields.gapless,
        })
    }
}

fn short(text: String) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
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

    fn parse(value: &serde_json::Value) -> Reading {
        Reading::parse(value.to_string().as_bytes())
    }

    #[test]
    fn length_and_channels_come_from_the_metadata() {
        let reading = parse(&metadata());
        let enrichment = reading.enrichment().unwrap();
        assert_eq!((enrichment.duration_ms, enrichment.channels), (Some(1500), 2));
    }

    #[test]
    fn newer_and_damaged_metadata_add_nothing_and_are_told_apart() {
        let mut newer = metadata();
        newer["schema"] = json!(2);
        newer["channels"] = json!("of another shape");
        assert_eq!(parse(&newer), Reading::Newer);
        let mut dateless = metadata();
        dateless["started_at"] = json!("yesterday");
        assert_eq!(parse(&dateless), Reading::Damaged);
        assert_eq!(Reading::parse(b"{\"schema\":1,"), Reading::Damaged);
        let mut odd = metadata();
        odd["sample_rate"] = json!(0);
        assert_eq!(parse(&odd).enrichment().unwrap().duration_ms, None);
    }

    #[test]
    fn a_title_of_any_length_leaves_an_entry_that_fits_into_a_message() {
        let mut endless = metadata();
        endless["title"] = json!("ü".repeat(100_000));
        let reading = parse(&endless);
        assert_eq!(reading.enrichment().unwrap().title.as_ref().unwrap().chars().count(), LONGEST_TEXT + 1);
    }
}
