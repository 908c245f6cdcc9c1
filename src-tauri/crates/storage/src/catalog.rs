//! The list of what is in the bucket, renewed whenever the bucket changes.
//!
//! A listing says at once what there is; the metadata of each recording is read once per version, newest first, and
//! remembered over restarts. What this program changes itself is looked at alone.

mod cache;
mod edit;
mod enrich;
mod objects;
mod page;
mod read;
mod remove;
mod visible;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use roomtone_protocol::catalog::CatalogEntry;
use roomtone_protocol::{ErrorReport, RecordingId, RoomId};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::edit::Edit;
pub use self::page::{Cursor, CursorError, page};
pub use self::remove::Removal;
pub use self::visible::Viewer;

use self::objects::{Objects, Version};
use crate::key::{is_recording_key, metadata_key};
use crate::off_thread::off_thread;
use crate::{Bucket, BucketError, KeyTemplate, Prefix};

/// How long to wait before a listing that failed, or that lacks metadata, is tried again; twice as long after every further
/// failure.
const RETRY: Duration = Duration::from_secs(5);

/// The longest such pause: who lacks a permission is not asked ten thousand times every few seconds.
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// Metadata objects that are read before a listing counts as taken over: what people see first.
const FIRST: usize = 100;

/// Metadata objects after which the list is published again while there are more to read.
const BATCH: usize = 500;

/// How often what is remembered is brought up to date on the disk, where it changed. What is lost is read again.
const SAVE_EVERY: Duration = Duration::from_secs(3);

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
    /// When the object was last changed, by the store's clock.
    pub modified: OffsetDateTime,
}

/// Whose objects the catalogue lists, and where it remembers them.
#[derive(Debug, Clone, Default)]
pub struct CatalogSettings {
    /// What every key begins with.
    pub prefix: Prefix,
    /// How recordings are named below it: tells their times before any metadata is read.
    pub key_template: KeyTemplate,
    /// A file of this computer in which the list is kept over restarts; None keeps nothing.
    pub memory: Option<PathBuf>,
}

/// Every audio object under a prefix, newest first. Follows the bucket until it is dropped.
#[derive(Debug)]
pub struct Catalog {
    shared: Arc<Shared>,
    _stop_when_dropped: DropGuard,
}

struct Shared {
    bucket: Arc<dyn Bucket>,
    settings: CatalogSettings,
    /// Held while the bucket is listed: two listings at once could overtake each other.
    objects: tokio::sync::Mutex<Objects>,
    entries: watch::Sender<Arc<Vec<Listed>>>,
    /// A listing of this run was taken over.
    listed: AtomicBool,
    /// Something is to be remembered.
    news: AtomicBool,
    problem: Mutex<Option<ErrorReport>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Begins to list and to follow the bucket. The list is empty until the first listing has arrived.
    #[must_use]
    pub fn start(bucket: Arc<dyn Bucket>, prefix: Prefix) -> Self {
        Self::start_with(bucket, CatalogSettings { prefix, ..CatalogSettings::default() })
    }

    /// Begins to list and to follow the bucket. Until the first listing has arrived the list is what was remembered.
    #[must_use]
    pub fn start_with(bucket: Arc<dyn Bucket>, settings: CatalogSettings) -> Self {
        let shared = Arc::new(Shared {
            bucket,
            settings,
            objects: tokio::sync::Mutex::default(),
            entries: watch::Sender::default(),
            listed: AtomicBool::new(false),
            news: AtomicBool::new(false),
            problem: Mutex::new(None),
        });
        let stop = CancellationToken::new();
        let (following, stopped) = (Arc::clone(&shared), stop.clone());
        tokio::spawn(async move { stopped.run_until_cancelled(following.follow()).await });
        if let Some(path) = shared.settings.memory.clone() {
            let (remembering, stopped) = (Arc::clone(&shared), stop.clone());
            tokio::spawn(async move { stopped.run_until_cancelled(remembering.keep(path)).await });
        }
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

    /// Whether the list is what the bucket said in this run of the program, not only what was remembered.
    #[must_use]
    pub fn has_listed(&self) -> bool {
        self.shared.listed.load(Ordering::Acquire)
    }

    /// Why the list may be out of date, if the last listing failed.
    #[must_use]
    pub fn problem(&self) -> Option<ErrorReport> {
        self.shared.problem().clone()
    }

    /// Lists now; when it answers, the new list is published, with what the newest metadata says.
    ///
    /// # Errors
    /// Whatever the bucket says; the list stays as it was.
    pub async fn refresh(&self) -> Result<(), BucketError> {
        self.shared.refresh().await.map(drop)
    }

    /// Looks at one audio object and its metadata alone; when it answers, the new list is published.
    ///
    /// # Errors
    /// Whatever the bucket says; the list stays as it was.
    pub async fn look(&self, key: &str) -> Result<(), BucketError> {
        self.shared.look(key).await
    }

    /// What somebody may see: the host everything, others what belongs to their room.
    #[must_use]
    pub fn visible_to(&self, host: bool, room: RoomId, room_name: &str) -> Vec<CatalogEntry> {
        let viewer = Viewer::new(host, room, room_name);
        self.entries().iter().filter(|listed| viewer.sees(listed)).map(|listed| listed.entry.clone()).collect()
    }

    /// The entry of a recording's id or of a key.
    #[must_use]
    pub fn find(&self, id_or_key: &str) -> Option<Listed> {
        let id = id_or_key.parse::<RecordingId>().ok();
        let is_wanted =
            |listed: &&Listed| listed.entry.key == id_or_key || (id.is_some() && listed.entry.recording == id);
        self.entries().iter().find(is_wanted).cloned()
    }

    async fn find_or_refresh(&self, id_or_key: &str) -> Result<Listed, BucketError> {
        if let Some(found) = self.find(id_or_key) {
            return Ok(found);
        }
        self.refresh().await?;
        self.find(id_or_key).ok_or_else(|| BucketError::NotFound { key: id_or_key.to_owned() })
    }
}

impl Shared {
    async fn follow(self: Arc<Self>) {
        self.remember().await;
        let mut changes = Arc::clone(&self.bucket).changes(self.settings.prefix.as_str().to_owned());
        let mut pause = RETRY;
        loop {
            let mut whole = self.refresh().await.is_ok();
            let mut tried = BTreeSet::new();
            let mut changed = false;
            while whole && !changed {
                match self.read_more(&mut tried).await {
                    Progress::Done => break,
                    Progress::Lacking => whole = false,
                    Progress::More => match changes.next().now_or_never() {
                        Some(None) => return,
                        Some(Some(())) => changed = true,
                        None => {}
                    },
                }
            }
            if changed {
                continue;
            }
            if whole {
                pause = RETRY;
            }
            tokio::select! {
                change = changes.next() => if change.is_none() { return },
                () = tokio::time::sleep(pause), if !whole => pause = (pause * 2).min(LONGEST_RETRY),
            }
        }
    }

    /// Shows what was remembered, unless a listing was quicker.
    async fn remember(&self) {
        let Some(path) = self.settings.memory.clone() else { return };
        let remembered = off_thread(move || Ok::<_, BucketError>(cache::load(&path))).await.unwrap_or_default();
        let mut objects = self.objects.lock().await;
        if !self.listed.load(Ordering::Acquire) {
            let below = remembered.into_iter().filter(|item| self.settings.prefix.name(&item.object.key).is_some());
            *objects = Objects::of_items(below);
            self.publish(&objects);
        }
    }

    /// Brings what is remembered up to date on the disk, for ever.
    async fn keep(&self, path: PathBuf) {
        let mut every = tokio::time::interval(SAVE_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            if !self.news.swap(false, Ordering::AcqRel) {
                continue;
            }
            let items = {
                let objects = self.objects.lock().await;
                objects.in_order(&self.entries.borrow())
            };
            let path = path.clone();
            let saved = off_thread(move || cache::save(&path, &items).map_err(|error| BucketError::io(&path, error)));
            if let Err(error) = saved.await {
                tracing::warn!(%error, "the list is not remembered; the next start reads all metadata again");
            }
        }
    }

    /// Whether all metadata that was to be read first could be.
    async fn refresh(&self) -> Result<bool, BucketError> {
        let unread = {
            let mut objects = self.objects.lock().await;
            let listing = self.bucket.list(self.settings.prefix.as_str()).await;
            *self.problem() = listing.as_ref().err().map(BucketError::report);
            let mut listing = listing?;
            listing.retain(|object| self.settings.prefix.name(&object.key).is_some());
            objects.list(listing);
            self.listed.store(true, Ordering::Release);
            self.publish(&objects);
            objects.unread(&self.entries.borrow())
        };
        Ok(self.read(unread.into_iter().take(FIRST).collect()).await)
    }

    async fn look(&self, key: &str) -> Result<(), BucketError> {
        let unread = {
            let mut objects = self.objects.lock().await;
            let metadata =
                async { if is_recording_key(key) { self.bucket.head(&metadata_key(key)).await } else { Ok(None) } };
            let (audio, metadata) = futures_util::try_join!(self.bucket.head(key), metadata)?;
            objects.look(key, audio, metadata.as_ref());
            self.publish(&objects);
            objects.unread(&self.entries.borrow())
        };
        self.read(unread.into_iter().filter(|(audio, _)| audio == key).collect()).await;
        Ok(())
    }

    /// Reads the next metadata that nobody tried to read since the last listing.
    async fn read_more(&self, tried: &mut BTreeSet<String>) -> Progress {
        let unread = self.objects.lock().await.unread(&self.entries.borrow());
        let any = !unread.is_empty();
        let batch: Vec<_> = unread.into_iter().filter(|(audio, _)| !tried.contains(audio)).take(BATCH).collect();
        if batch.is_empty() {
            return if any { Progress::Lacking } else { Progress::Done };
        }
        tried.extend(batch.iter().map(|(audio, _)| audio.clone()));
        self.read(batch).await;
        Progress::More
    }

    /// Reads metadata and publishes what it says; whether all of it could be read.
    async fn read(&self, wanted: Vec<(String, Version)>) -> bool {
        if wanted.is_empty() {
            return true;
        }
        let readings = read::read(&*self.bucket, wanted).await;
        let mut objects = self.objects.lock().await;
        for (audio, version, reading) in readings.read {
            objects.read(&audio, &version, reading);
        }
        self.publish(&objects);
        readings.all
    }

    fn publish(&self, objects: &Objects) {
        let CatalogSettings { prefix, key_template, .. } = &self.settings;
        let entries = objects.listed(prefix, key_template, self.bucket.reach());
        self.entries.send_if_modified(|before| {
            let changed = **before != entries;
            if changed {
                *before = Arc::new(entries);
            }
            changed
        });
        self.news.store(true, Ordering::Release);
    }

    fn problem(&self) -> std::sync::MutexGuard<'_, Option<ErrorReport>> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far reading metadata is.
enum Progress {
    /// All of it is read.
    Done,
    /// Some was read; there is more.
    More,
    /// What is left could not be read.
    Lacking,
}
