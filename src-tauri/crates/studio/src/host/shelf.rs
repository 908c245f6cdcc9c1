//! Finished recordings: what is on its way to the bucket, what is there, and what people may have of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roomtone_protocol::catalog::{CatalogEntry, EntryState, Link};
use roomtone_protocol::channel::{Answer, Command};
use roomtone_protocol::metadata::Metadata;
use roomtone_protocol::{ErrorReport, RecordingId, RoomId, code};
use roomtone_session::{clean_notes, clean_title};
use roomtone_storage::{Bucket, Catalog, Edit, Listed};
use time::OffsetDateTime;

use crate::data_dir::DataDir;

/// How long a link works where nobody says otherwise.
const LINK_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// What the room keeps and gives out. Cheap to clone.
#[derive(Clone)]
pub(super) struct Shelf {
    bucket: Arc<dyn Bucket>,
    catalog: Arc<Catalog>,
    room: RoomId,
    room_name: String,
    /// Finalized and not in the bucket's list yet.
    pending: Arc<Mutex<BTreeMap<RecordingId, CatalogEntry>>>,
    takes: PathBuf,
}

impl Shelf {
    pub(super) fn new(
        bucket: Arc<dyn Bucket>,
        catalog: Arc<Catalog>,
        room: RoomId,
        room_name: String,
        data_dir: &DataDir,
    ) -> Self {
        Self { bucket, catalog, room, room_name, pending: Arc::default(), takes: data_dir.path("recordings") }
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
        };
        self.pending().insert(metadata.id, entry);
    }

    /// The bucket has confirmed it: lists anew, so that whoever learns of it finds it in the list.
    pub(super) async fn published(&self, recording: RecordingId) {
        if let Err(error) = self.catalog.refresh().await {
            tracing::warn!(%error, "the list is renewed later");
        }
        self.pending().remove(&recording);
    }

    /// The list as the host or somebody else in the room may see it, newest first.
    pub(super) fn entries(&self, host: bool) -> Vec<CatalogEntry> {
        let mut entries = self.catalog.visible_to(host, self.room, &self.room_name);
        let pending = self.pending();
        let waiting = pending.values().filter(|entry| !entries.iter().any(|known| known.recording == entry.recording));
        let mut waiting: Vec<_> = waiting.cloned().collect();
        drop(pending);
        waiting.append(&mut entries);
        waiting.sort_by(|a, b| b.started_at.cmp(&a.started_at));
        waiting
    }

    /// The recording was discarded on its way to the bucket.
    pub(super) fn forget(&self, recording: RecordingId) {
        self.pending().remove(&recording);
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
        self.catalog.entries().iter().any(|listed| listed.entry.recording == Some(recording))
    }

    /// Whether the bucket has a file of this recording that lacks nothing.
    pub(super) fn is_archived(&self, recording: RecordingId) -> bool {
        let whole = |listed: &Listed| listed.entry.recording == Some(recording) && listed.entry.gapless == Some(true);
        self.catalog.entries().iter().any(whole)
    }

    /// Where the file of a recording lies on this disk, if it still does.
    pub(super) fn take(&self, recording: RecordingId) -> Option<PathBuf> {
        Some(super::folder::take_path(&self.takes.join(recording.to_string()))).filter(|path| path.is_file())
    }

    /// Carries out what concerns finished recordings, once the room has nothing against it.
    pub(super) async fn answer(&self, host: bool, command: Command) -> Result<Answer, ErrorReport> {
        match command {
            Command::Recordings => Ok(Answer::Recordings { entries: self.entries(host) }),
            Command::Outcome { recording } => self.outcome(recording),
            Command::Link { recording, ttl_s } => {
                let entry = self.find(host, &recording)?;
                if entry.state == EntryState::Uploading {
                    return Err(not_uploaded());
                }
                let lifetime = ttl_s.map_or(LINK_LIFETIME, Duration::from_secs);
                self.link(&entry.key, lifetime).await.map(Answer::Link)
            }
            Command::Delete { recording } => {
                host_only(host)?;
                let entry = self.find(host, &recording)?;
                self.catalog.delete(&entry.key).await.map_err(ErrorReport::from)?;
                Ok(Answer::Done)
            }
            Command::Rename { recording, title } => {
                host_only(host)?;
                let entry = self.find(host, &recording)?;
                let edit = Edit { title: Some(clean_title(Some(&title))?), notes: None };
                self.catalog.describe(&entry.key, edit).await.map_err(ErrorReport::from)?;
                Ok(Answer::Done)
            }
            Command::Describe { recording: Some(recording), title, notes } => {
                host_only(host)?;
                let entry = self.find(host, &recording.to_string())?;
                let edit = Edit {
                    title: title.map(|title| clean_title(Some(&title))).transpose()?,
                    notes: notes.map(|notes| clean_notes(Some(&notes))).transpose()?,
                };
                self.catalog.describe(&entry.key, edit).await.map_err(ErrorReport::from)?;
                Ok(Answer::Done)
            }
            _ => Err(ErrorReport::new(code::BAD_REQUEST, "that is not about finished recordings", "ask the room")),
        }
    }

    fn outcome(&self, recording: RecordingId) -> Result<Answer, ErrorReport> {
        let entry = self.find(true, &recording.to_string())?;
        if entry.state == EntryState::Uploading {
            return Err(not_uploaded());
        }
        let path = self.take(recording).map(|path| path.display().to_string());
        Ok(Answer::Outcome { entry: Box::new(entry), path })
    }

    /// By id, or by key where the object is somebody else's.
    fn find(&self, host: bool, name: &str) -> Result<CatalogEntry, ErrorReport> {
        let id = RecordingId::from_str(name).ok();
        let fits = |entry: &CatalogEntry| entry.key == name || (id.is_some() && entry.recording == id);
        self.entries(host).into_iter().find(fits).ok_or_else(|| {
            ErrorReport::new(
                code::RECORDING_NOT_FOUND,
                format!("there is no recording `{name}` here"),
                "`roomtone recordings INVITE list` shows ids and keys",
            )
        })
    }

    async fn link(&self, key: &str, lifetime: Duration) -> Result<Link, ErrorReport> {
        let now = OffsetDateTime::from_unix_timestamp_nanos(i128::from(roomtone_clock::wall_ns()));
        let now = now.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        self.bucket.link(key, lifetime, now).await.map_err(ErrorReport::from)
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, BTreeMap<RecordingId, CatalogEntry>> {
        // Entries are inserted and removed whole, so one that panicked in between left nothing half done.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Length in milliseconds, rounded down.
pub(super) fn duration_ms(metadata: &Metadata) -> u64 {
    metadata.frames * 1_000 / u64::from(metadata.sample_rate.max(1))
}

fn host_only(host: bool) -> Result<(), ErrorReport> {
    if host {
        return Ok(());
    }
    Err(ErrorReport::new(code::NOT_ALLOWED, "only the host may do that", "ask the host, or use the host's invite"))
}

fn not_uploaded() -> ErrorReport {
    ErrorReport::new(
        code::NOT_UPLOADED,
        "the recording is finished and still on its way to the bucket",
        "try again when its state is `completed`",
    )
}
