//! Finished recordings: what is on its way to the bucket, what is there, and what people may have of it.

mod asked;
mod shown;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roomtone_protocol::catalog::{CatalogEntry, CatalogPage, EntryState, MetadataState};
use roomtone_protocol::channel::PAGE_ENTRIES;
use roomtone_protocol::metadata::Metadata;
use roomtone_protocol::{ErrorReport, RecordingId, RoomId, code};
use roomtone_storage::{Bucket, Catalog, Cursor, Edit, Listed, Viewer, page};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;

use self::shown::LastShown;
use crate::data_dir::DataDir;

/// What the room keeps and gives out. Cheap to clone.
#[derive(Clone)]
pub(super) struct Shelf {
    bucket: Arc<dyn Bucket>,
    catalog: Arc<Catalog>,
    room: RoomId,
    room_name: String,
    /// Finalized and not in the bucket's list yet.
    pending: Arc<Mutex<Pending>>,
    /// The newest pages: everybody in the room is sent one whenever the list changes.
    fronts: Arc<Mutex<Option<Fronts>>>,
    /// The metadata that somebody reads piece by piece.
    shown: Arc<Mutex<Option<LastShown>>>,
    takes: PathBuf,
}

#[derive(Default)]
struct Pending {
    entries: BTreeMap<RecordingId, Listed>,
    /// Grows with every change.
    changes: u64,
}

/// The newest pages of one state of the list.
struct Fronts {
    list: Arc<Vec<Listed>>,
    /// [`Pending::changes`] of that state.
    changes: u64,
    hosts: CatalogPage,
    others: CatalogPage,
}

impl Shelf {
    pub(super) fn new(
        bucket: Arc<dyn Bucket>,
        catalog: Arc<Catalog>,
        room: RoomId,
        room_name: String,
        data_dir: &DataDir,
    ) -> Self {
        Self {
            bucket,
            catalog,
            room,
            room_name,
            pending: Arc::default(),
            fronts: Arc::default(),
            shown: Arc::default(),
            takes: data_dir.path("recordings"),
        }
    }

    /// A finished recording goes to the bucket from here on.
    pub(super) fn uploading(&self, metadata: &Metadata) {
        let entry = CatalogEntry {
            recording: Some(metadata.id),
            // Its key is chosen when the bucket takes it; until then it goes by its id.
            key: metadata.id.to_string(),
            title: metadata.title.clone(),
            room: Some(metadata.room.clone()),
            started_at: metadata.started_at.clone(),
            duration_ms: Some(duration_ms(metadata)),
            channels: u16::try_from(metadata.channels.len()).ok(),
            size: metadata.size,
            gapless: Some(metadata.gapless),
            state: EntryState::Uploading,
            reach: self.bucket.reach(),
            metadata: MetadataState::Good,
        };
        let at = OffsetDateTime::parse(&metadata.started_at, &Rfc3339).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (name, room_id) = (entry.key.clone(), Some(self.room));
        let mut pending = self.pending();
        pending.entries.insert(metadata.id, Listed { entry, room_id, name, at, modified: at });
        pending.changes += 1;
    }

    /// The bucket has confirmed it: looks, so that whoever learns of it finds it in the list.
    pub(super) async fn published(&self, recording: RecordingId, key: &str) {
        if let Err(error) = self.catalog.look(key).await {
            tracing::warn!(%error, "the list is renewed later");
        }
        self.forget(recording);
    }

    /// The recording was discarded on its way to the bucket.
    pub(super) fn forget(&self, recording: RecordingId) {
        let mut pending = self.pending();
        pending.entries.remove(&recording);
        pending.changes += 1;
    }

    /// The newest part of the list as the host or somebody else in the room may see it.
    pub(super) fn newest(&self, host: bool) -> CatalogPage {
        let (list, changes) = (self.catalog.entries(), self.pending().changes);
        let mut fronts = lock(&self.fronts);
        let current = fronts.take().filter(|front| Arc::ptr_eq(&front.list, &list) && front.changes == changes);
        let current = current.unwrap_or_else(|| Fronts {
            hosts: self.page_of(&list, true, None, PAGE_ENTRIES),
            others: self.page_of(&list, false, None, PAGE_ENTRIES),
            list,
            changes,
        });
        let page = if host { current.hosts.clone() } else { current.others.clone() };
        *fronts = Some(current);
        page
    }

    /// A part of the list as the host or somebody else in the room may see it.
    fn page(&self, host: bool, after: Option<&Cursor>, limit: u32) -> CatalogPage {
        self.page_of(&self.catalog.entries(), host, after, limit.min(PAGE_ENTRIES))
    }

    fn page_of(&self, list: &[Listed], host: bool, after: Option<&Cursor>, limit: u32) -> CatalogPage {
        let viewer = self.viewer(host);
        let waiting = self.waiting(list);
        let mut visible: Vec<&Listed> = list.iter().filter(|listed| viewer.sees(listed)).collect();
        for waiting in &waiting {
            let order = |listed: &Listed| Reverse((listed.at, Reverse(listed.entry.key.clone())));
            let place = visible.partition_point(|listed| order(listed) < order(waiting));
            visible.insert(place, waiting);
        }
        page(&visible, after, usize::try_from(limit).unwrap_or(usize::MAX))
    }

    /// What is on its way and not in this list yet.
    fn waiting(&self, list: &[Listed]) -> Vec<Listed> {
        let there = |waiting: &&Listed| !list.iter().any(|known| known.entry.recording == waiting.entry.recording);
        self.pending().entries.values().filter(there).cloned().collect()
    }

    fn viewer(&self, host: bool) -> Viewer {
        Viewer::new(host, self.room, &self.room_name)
    }

    /// Gives a recording that was described on its way its title and notes.
    pub(super) async fn describe(&self, recording: RecordingId, title: Option<String>, notes: Option<String>) {
        let edit = Edit { title: Some(title), notes: Some(notes) };
        if let Err(error) = self.catalog.describe(&recording.to_string(), edit).await {
            tracing::warn!(%recording, %error, "a recording keeps the title and notes that it was finalized with");
        }
    }

    /// Whether the bucket has a file of this recording.
    pub(super) fn is_in_bucket(&self, recording: RecordingId) -> bool {
        self.has(|listed| listed.entry.recording == Some(recording))
    }

    /// Whether the bucket has a file of this recording that lacks nothing.
    pub(super) fn is_archived(&self, recording: RecordingId) -> bool {
        self.has(|listed| listed.entry.recording == Some(recording) && listed.entry.gapless == Some(true))
    }

    /// What was only remembered of the bucket is no evidence.
    fn has(&self, wanted: impl Fn(&Listed) -> bool) -> bool {
        self.catalog.has_listed() && self.catalog.entries().iter().any(wanted)
    }

    /// The whole list, and every new one.
    pub(super) fn watch(&self) -> watch::Receiver<Arc<Vec<Listed>>> {
        self.catalog.watch()
    }

    pub(super) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(super) fn bucket(&self) -> &dyn Bucket {
        &*self.bucket
    }

    /// Whether the recording is on its way to the bucket.
    pub(super) fn is_on_its_way(&self, recording: RecordingId) -> bool {
        self.pending().entries.contains_key(&recording)
    }

    /// Where the file of a recording lies on this disk, if it still does.
    pub(super) fn take(&self, recording: RecordingId) -> Option<PathBuf> {
        Some(super::folder::take_path(&self.takes.join(recording.to_string()))).filter(|path| path.is_file())
    }

    /// By id, or by key where the object is somebody else's.
    fn find(&self, host: bool, name: &str) -> Result<CatalogEntry, ErrorReport> {
        let id = RecordingId::from_str(name).ok();
        let fits = |entry: &CatalogEntry| entry.key == name || (id.is_some() && entry.recording == id);
        let viewer = self.viewer(host);
        let list = self.catalog.entries();
        let found = list.iter().find(|listed| fits(&listed.entry) && viewer.sees(listed)).cloned();
        let found = found.or_else(|| self.waiting(&list).into_iter().find(|listed| fits(&listed.entry)));
        found.map(|listed| listed.entry).ok_or_else(|| {
            ErrorReport::new(
                code::RECORDING_NOT_FOUND,
                format!("there is no recording `{name}` here"),
                "`roomtone recordings INVITE list` shows ids and keys",
            )
        })
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        lock(&self.pending)
    }
}

/// What is behind these locks is replaced whole, so one that panicked in between left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Length in milliseconds, rounded down.
pub(super) fn duration_ms(metadata: &Metadata) -> u64 {
    metadata.frames * 1_000 / u64::from(metadata.sample_rate.max(1))
}
