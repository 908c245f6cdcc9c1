//! The list of what is in the bucket, renewed whenever the bucket changes.

mod enrich;
mod visible;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use roomtone_protocol::catalog::{CatalogEntry, EntryState};
use roomtone_protocol::metadata::SCHEMA;
use roomtone_protocol::{ErrorReport, RoomId};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::visible::visible_to;

use self::enrich::{Cache, Enrichment, LARGEST_METADATA};
use crate::key::{is_audio_key, metadata_key};
use crate::{Bucket, BucketError, ObjectInfo, Prefix, PutMode};

/// How long to wait before a listing that failed, or that lacks metadata, is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// One audio object of the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// As people see it.
    pub entry: CatalogEntry,
    /// The room that its metadata names.
    pub room_id: Option<RoomId>,
    /// The key below the prefix.
    pub name: String,
    /// What it is sorted by: the start, or when the object was last changed.
    pub at: OffsetDateTime,
}

/// What is to change in a recording's metadata: None leaves a text, `Some(None)` takes it away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// The title.
    pub title: Option<Option<String>>,
    /// The notes.
    pub notes: Option<Option<String>>,
}

/// Every audio object under a prefix, newest first. Follows the bucket until it is dropped.
#[derive(Debug)]
pub struct Catalog {
    shared: Arc<Shared>,
    _stop_when_dropped: DropGuard,
}

struct Shared {
    bucket: Arc<dyn Bucket>,
    prefix: Prefix,
    /// Held while the bucket is listed: two listings at once could overtake each other.
    cache: tokio::sync::Mutex<Cache>,
    entries: watch::Sender<Arc<Vec<Listed>>>,
    problem: Mutex<Option<ErrorReport>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Begins to list and to follow the bucket. The list is empty until the first listing has arrived.
    #[must_use]
    pub fn start(bucket: Arc<dyn Bucket>, prefix: Prefix) -> Self {
        let shared = Arc::new(Shared {
            bucket,
            prefix,
            cache: tokio::sync::Mutex::default(),
            entries: watch::Sender::default(),
            problem: Mutex::new(None),
        });
        let stop = CancellationToken::new();
        let (following, stopped) = (Arc::clone(&shared), stop.clone());
        tokio::spawn(async move { stopped.run_until_cancelled(following.follow()).await });
        Self { shared, _stop_when_dropped: stop.drop_guard() }
    }

    /// The list as last seen, newest first.
    #[must_use]
    pub fn entries(&self) -> Arc<Vec<Listed>> {
        self.shared.entries.borrow().clone()
    }

    /// The list, and every new one.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Vec<Listed>>> {
        self.shared.entries.subscribe()
    }

    /// Why the list may be out of date, if the last listing failed.
    #[must_use]
    pub fn problem(&self) -> Option<ErrorReport> {
        self.shared.problem().clone()
    }

    /// Lists now; when it answers, the new list is published.
    ///
    /// # Errors
    /// Whatever the bucket says; the list stays as it was.
    pub async fn refresh(&self) -> Result<(), BucketError> {
        self.shared.refresh().await.map(drop)
    }

    /// What somebody may see: the host everything, others what belongs to their room.
    #[must_use]
    pub fn visible_to(&self, host: bool, room: RoomId, room_name: &str) -> Vec<CatalogEntry> {
        visible_to(&self.entries(), host, room, room_name)
    }

    /// The entry of a recording's id or of a key.
    #[must_use]
    pub fn find(&self, id_or_key: &str) -> Option<Listed> {
        let is_wanted = |listed: &&Listed| {
            listed.entry.key == id_or_key || listed.entry.recording.is_some_and(|id| id.to_string() == id_or_key)
        };
        self.entries().iter().find(is_wanted).cloned()
    }

    /// Removes a recording, given by id or key, with its metadata.
    ///
    /// # Errors
    /// [`BucketError::NotFound`] for what is not in the list, and whatever the bucket says.
    pub async fn delete(&self, id_or_key: &str) -> Result<(), BucketError> {
        let audio = self.find_or_refresh(id_or_key).await?.entry.key;
        let metadata = metadata_key(&audio);
        let shared_with_another =
            self.entries().iter().any(|other| other.entry.key != audio && metadata_key(&other.entry.key) == metadata);
        // Metadata first: cut off in between, the recording is still in the list and can be deleted again.
        if !shared_with_another {
            self.shared.bucket.delete(&metadata).await?;
        }
        self.shared.bucket.delete(&audio).await?;
        self.refresh().await
    }

    /// Gives a recording, given by id or key, another title, or none. Only its metadata is written.
    ///
    /// # Errors
    /// [`BucketError::NotFound`] for what is not in the list or has no metadata, [`BucketError::NewerVersion`] for
    /// metadata of a newer version, and whatever the bucket says.
    pub async fn rename(&self, id_or_key: &str, title: Option<&str>) -> Result<(), BucketError> {
        self.describe(id_or_key, Edit { title: Some(title.map(str::to_owned)), notes: None }).await
    }

    /// Gives a recording, given by id or key, another title or other notes. Only its metadata is written.
    ///
    /// # Errors
    /// See [`Catalog::rename`].
    pub async fn describe(&self, id_or_key: &str, edit: Edit) -> Result<(), BucketError> {
        let key = metadata_key(&self.find_or_refresh(id_or_key).await?.entry.key);
        let content = self.shared.bucket.get(&key, LARGEST_METADATA).await?;
        let damaged = |reason: String| BucketError::Refused {
            operation: crate::Operation::Read,
            detail: format!("the metadata {key:?} is damaged: {reason}"),
        };
        // As a bare value, so that nothing this version does not know is lost.
        let mut metadata: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&content).map_err(|error| damaged(error.to_string()))?;
        match metadata.get("schema").and_then(serde_json::Value::as_u64) {
            Some(schema) if schema <= u64::from(SCHEMA) => {}
            Some(_) => return Err(BucketError::NewerVersion(format!("the metadata {key:?}"))),
            None => return Err(damaged("it has no schema number".to_owned())),
        }
        for (field, text) in [("title", edit.title), ("notes", edit.notes)] {
            if let Some(text) = text {
                metadata.insert(field.to_owned(), text.into());
            }
        }
        let content = serde_json::to_vec_pretty(&metadata).map_err(|error| damaged(error.to_string()))?;
        self.shared.bucket.put_bytes(&key, content.into(), PutMode::Replace).await?;
        self.refresh().await
    }

    async fn find_or_refresh(&self, id_or_key: &str) -> Result<Listed, BucketError> {
        if let Some(found) = self.find(id_or_key) {
            return Ok(found);
        }
        self.refresh().await?;
        self.find(id_or_key).ok_or_else(|| BucketError::NotFound { key: id_or_key.to_owned() })
    }
}

/// Whether a list says all there is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Completeness {
    Whole,
    /// Some metadata could not be read just now.
    LacksMetadata,
}

impl Shared {
    async fn follow(self: Arc<Self>) {
        let mut changes = Arc::clone(&self.bucket).changes(self.prefix.as_str().to_owned());
        loop {
            let again = !matches!(self.refresh().await, Ok(Completeness::Whole));
            tokio::select! {
                change = changes.next() => if change.is_none() { return },
                () = tokio::time::sleep(RETRY), if again => {}
            }
        }
    }

    async fn refresh(&self) -> Result<Completeness, BucketError> {
        let mut cache = self.cache.lock().await;
        let listing = self.bucket.list(self.prefix.as_str()).await;
        *self.problem() = listing.as_ref().err().map(BucketError::report);
        let mut listing = listing?;
        listing.retain(|object| self.prefix.name(&object.key).is_some());
        let completeness = cache.renew(&*self.bucket, &listing).await;
        let mut entries: Vec<Listed> = listing
            .iter()
            .filter(|object| is_audio_key(&object.key))
            .map(|object| self.listed(object, cache.of(&object.key)))
            .collect();
        entries.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.entry.key.cmp(&b.entry.key)));
        self.entries.send_if_modified(|before| {
            let changed = **before != entries;
            if changed {
                *before = Arc::new(entries);
            }
            changed
        });
        Ok(completeness)
    }

    fn listed(&self, object: &ObjectInfo, metadata: Option<&Enrichment>) -> Listed {
        let at = metadata.map_or(object.modified, |metadata| metadata.started_at);
        let at = at.to_offset(time::UtcOffset::UTC);
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
                reach: self.bucket.reach(),
            },
            room_id: metadata.map(|metadata| metadata.room_id),
            name: self.prefix.name(&object.key).unwrap_or(&object.key).to_owned(),
            at,
        }
    }

    fn problem(&self) -> std::sync::MutexGuard<'_, Option<ErrorReport>> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
