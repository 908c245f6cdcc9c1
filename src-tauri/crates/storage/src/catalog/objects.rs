//! What a listing of the bucket says, put together with what was read of it before.

use std::collections::BTreeMap;

use roomtone_protocol::catalog::{CatalogEntry, EntryState, MetadataState, Reach};
use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcOffset};

use super::Listed;
use super::enrich::Reading;
use crate::key::{companion_of, is_audio_key, is_recording_key, metadata_key};
use crate::{KeyTemplate, ObjectInfo, Prefix};

/// How far the clock of a store may be behind the one that named an object: a name that tells a later start tells
/// something else.
const CLOCKS_APART: Duration = Duration::DAY;

/// An audio object and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) object: ObjectInfo,
    pub(super) beside: Beside,
}

/// The metadata beside an audio object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Beside {
    /// There is none.
    Nothing,
    /// There is one of this version.
    Unread {
        version: Version,
        /// What an earlier version said. Shown until this one is read.
        before: Option<Reading>,
    },
    /// This version says this.
    Read { version: Version, reading: Reading },
}

/// Tells contents of an object apart: a content has one, and another one another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    etag: String,
    pub(super) size: u64,
    modified_ns: i128,
}

impl Version {
    pub(super) fn of(object: &ObjectInfo) -> Self {
        // An etag changes with the content and says it all. Times of the same object differ: listings have whole seconds
        // where HEAD has more, or the other way round.
        let modified_ns = if object.etag.is_empty() { object.modified.unix_timestamp_nanos() } else { 0 };
        Self { etag: object.etag.clone(), size: object.size, modified_ns }
    }
}

impl Beside {
    /// Of the metadata object that is there now, after what was known.
    fn after(before: Option<Self>, metadata: Option<&ObjectInfo>) -> Self {
        let Some(version) = metadata.map(Version::of) else { return Self::Nothing };
        match before {
            Some(known @ (Self::Unread { .. } | Self::Read { .. })) if known.version() == Some(&version) => known,
            Some(Self::Read { reading, .. }) => Self::Unread { version, before: Some(reading) },
            Some(Self::Unread { before, .. }) => Self::Unread { version, before },
            Some(Self::Nothing) | None => Self::Unread { version, before: None },
        }
    }

    pub(super) const fn version(&self) -> Option<&Version> {
        match self {
            Self::Nothing => None,
            Self::Unread { version, .. } | Self::Read { version, .. } => Some(version),
        }
    }

    /// What the entry shows.
    const fn shown(&self) -> Option<&Reading> {
        match self {
            Self::Nothing => None,
            Self::Unread { before, .. } => before.as_ref(),
            Self::Read { reading, .. } => Some(reading),
        }
    }

    const fn state(&self) -> MetadataState {
        match self {
            Self::Nothing => MetadataState::Missing,
            Self::Unread { before: None, .. } => MetadataState::Unread,
            Self::Unread { before: Some(reading), .. } | Self::Read { reading, .. } => reading.state(),
        }
    }
}

/// Every audio object under the prefix, by key.
#[derive(Debug, Default)]
pub(super) struct Objects(BTreeMap<String, Item>);

impl Objects {
    pub(super) fn of_items(items: impl IntoIterator<Item = Item>) -> Self {
        Self(items.into_iter().map(|item| (item.object.key.clone(), item)).collect())
    }

    /// All of it in the order of the list.
    pub(super) fn in_order(&self, listed: &[Listed]) -> Vec<Item> {
        listed.iter().filter_map(|listed| self.0.get(&listed.entry.key)).cloned().collect()
    }

    /// Takes over a listing of everything, in any order.
    pub(super) fn list(&mut self, listing: Vec<ObjectInfo>) {
        let mut before = std::mem::take(&mut self.0);
        let (audio, others): (Vec<_>, Vec<_>) = listing.into_iter().partition(|object| is_audio_key(&object.key));
        let others: BTreeMap<&str, &ObjectInfo> = others.iter().map(|other| (other.key.as_str(), other)).collect();
        let recordings: std::collections::BTreeSet<String> =
            audio.iter().filter(|object| is_recording_key(&object.key)).map(|object| object.key.clone()).collect();
        for object in audio {
            if companion_of(&object.key).is_some_and(|owner| recordings.contains(&owner)) {
                continue;
            }
            let metadata = is_recording_key(&object.key).then(|| metadata_key(&object.key));
            let metadata = metadata.and_then(|key| others.get(key.as_str()).copied());
            let known = before.remove(&object.key).map(|item| item.beside);
            let beside = Beside::after(known, metadata);
            self.0.insert(object.key.clone(), Item { object, beside });
        }
    }

    /// Takes over what is now at one audio key, and at the key of its metadata.
    pub(super) fn look(&mut self, key: &str, audio: Option<ObjectInfo>, metadata: Option<&ObjectInfo>) {
        let before = self.0.remove(key);
        if let Some(object) = audio {
            let beside = Beside::after(before.map(|item| item.beside), metadata);
            self.0.insert(key.to_owned(), Item { object, beside });
        }
    }

    /// Takes over what a version of metadata says, unless there is another one by now.
    pub(super) fn read(&mut self, audio: &str, of: &Version, reading: Reading) {
        let Some(item) = self.0.get_mut(audio) else { return };
        if item.beside.version() == Some(of) {
            item.beside = Beside::Read { version: of.clone(), reading };
        }
    }

    /// Audio keys whose metadata is to be read, with its version, as the list stands: newest first.
    pub(super) fn unread(&self, listed: &[Listed]) -> Vec<(String, Version)> {
        let unread = |listed: &Listed| match &self.0.get(&listed.entry.key)?.beside {
            Beside::Unread { version, .. } => Some((listed.entry.key.clone(), version.clone())),
            Beside::Nothing | Beside::Read { .. } => None,
        };
        listed.iter().filter_map(unread).collect()
    }

    /// The list: newest first.
    pub(super) fn listed(&self, prefix: &Prefix, template: &KeyTemplate, reach: Reach) -> Vec<Listed> {
        let mut listed: Vec<Listed> = self.0.values().map(|item| item.listed(prefix, template, reach)).collect();
        listed.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.entry.key.cmp(&b.entry.key)));
        listed
    }
}

impl Item {
    fn listed(&self, prefix: &Prefix, template: &KeyTemplate, reach: Reach) -> Listed {
        let object = &self.object;
        let metadata = self.beside.shown().and_then(Reading::enrichment);
        let name = prefix.name(&object.key).unwrap_or(&object.key);
        let named = || template.started_at(name).filter(|named| *named <= object.modified + CLOCKS_APART);
        let told = metadata.and_then(|told| OffsetDateTime::from_unix_timestamp_nanos(told.started_ns).ok());
        let at = told.or_else(named).unwrap_or(object.modified).to_offset(UtcOffset::UTC);
        Listed {
            entry: CatalogEntry {
                recording: metadata.map(|metadata| metadata.recording),
                key: object.key.clone(),
                title: metadata.and_then(|metadata| metadata.title.clone()),
                room: metadata.map(|metadata| metadata.room.clone()),
                started_at: at.format(&Rfc3339).unwrap_or_default(),
                duration_ms: metadata.and_then(|metadata| metadata.duration_ms),
                channels: metadata.map(|metadata| metadata.channels),
                size: object.size,
                gapless: metadata.map(|metadata| metadata.gapless),
                state: EntryState::Ready,
                reach,
                metadata: self.beside.state(),
            },
            room_id: metadata.map(|metadata| metadata.room_id),
            name: name.to_owned(),
            at,
            modified: object.modified,
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn object(key: &str, etag: &str) -> ObjectInfo {
        ObjectInfo { key: key.into(), size: 1, modified: datetime!(2026-11-21 0:00 UTC), etag: etag.into() }
    }

    fn listed(objects: &Objects) -> Vec<(String, MetadataState)> {
        let listed = objects.listed(&Prefix::default(), &KeyTemplate::default(), Reach::Everyone);
        listed.into_iter().map(|listed| (listed.entry.key, listed.entry.metadata)).collect()
    }

    fn reading(title: &str) -> Reading {
        let text = serde_json::json!({
            "schema": 1, "id": "ab".repeat(16), "room": "R", "room_id": "cd".repeat(16), "title": title,
            "started_at": "2026-11-21T01:02:03Z", "sample_rate": 48000, "frames": 1, "gapless": true, "channels": [],
        });
        Reading::parse(text.to_string().as_bytes())
    }

    #[test]
    fn audio_is_listed_and_what_belongs_to_it_is_not() {
        let mut objects = Objects::default();
        let keys = ["a.wav", "a.json", "a.png", "a.mix.wav", "a.mp3", "b.mix.wav", "b.json", "notes.txt"];
        objects.list(keys.map(|key| object(key, "1")).to_vec());
        use MetadataState::{Missing, Unread};
        // A mix without its recording is a file like any other; an MP3 of the same name has no part in the metadata.
        let expected = [("a.mp3", Missing), ("a.wav", Unread), ("b.mix.wav", Missing)];
        assert_eq!(listed(&objects), expected.map(|(key, state)| (key.to_owned(), state)));
    }

    #[test]
    fn what_was_read_stays_until_its_version_goes_and_is_shown_until_the_next_is_read() {
        let mut objects = Objects::default();
        let list = |etag: &str| vec![object("a.wav", "1"), object("a.json", etag)];
        objects.list(list("1"));
        let first = Version::of(&object("a.json", "1"));
        objects.read("a.wav", &first, reading("One"));
        let title = |objects: &Objects| {
            objects.listed(&Prefix::default(), &KeyTemplate::default(), Reach::Everyone)[0].entry.title.clone()
        };
        let unread = |objects: &Objects| {
            objects.unread(&objects.listed(&Prefix::default(), &KeyTemplate::default(), Reach::Everyone)).len()
        };
        objects.list(list("1"));
        assert_eq!((title(&objects).as_deref(), unread(&objects)), (Some("One"), 0));
        objects.list(list("2"));
        assert_eq!((title(&objects).as_deref(), unread(&objects)), (Some("One"), 1));
        // An answer about what is gone says nothing about what is there.
        objects.read("a.wav", &first, Reading::Damaged);
        assert_eq!((title(&objects).as_deref(), unread(&objects)), (Some("One"), 1));
        objects.read("a.wav", &Version::of(&object("a.json", "2")), reading("Two"));
        assert_eq!((title(&objects).as_deref(), unread(&objects)), (Some("Two"), 0));
    }

    #[test]
    fn before_metadata_is_read_the_name_tells_when_it_began() {
        let mut objects = Objects::default();
        let keys = ["recordings/band_20261101_120000.wav", "recordings/band_20991101_120000.wav", "jingle.wav"];
        objects.list(keys.map(|key| object(key, "1")).to_vec());
        let listed = objects.listed(&Prefix::default(), &KeyTemplate::default(), Reach::Everyone);
        let at = |key: &str| listed.iter().find(|listed| listed.entry.key == key).unwrap().entry.started_at.clone();
        assert_eq!(at(keys[0]), "2026-11-01T12:00:00Z");
        assert_eq!(at(keys[1]), "2026-11-21T00:00:00Z", "nothing was recorded in the future");
        assert_eq!(at(keys[2]), "2026-11-21T00:00:00Z");
    }
}
