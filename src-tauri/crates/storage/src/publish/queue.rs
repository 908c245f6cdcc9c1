//! The queue on the disk: one JSON file a job, a newer version of a take and a discarded recording each, written whole
//! or not at all, and a receipt for every job done.
//!
//! | file | says |
//! |---|---|
//! | `{id}.json` | this take is to be published for the first time |
//! | `growing/{id}.json` | this recording may go up to this key while it grows |
//! | `published/{id}.json` | it was: where, and as which version |
//! | `revisions/{id}.json` | this take is to replace what was published |
//! | `discarded/{id}.json` | nothing of this recording may be in the bucket, now and for ever |

use std::path::{Path, PathBuf};

use roomtone_disk::{SystemDisk, create_dirs};
use roomtone_protocol::metadata::Metadata;
use roomtone_protocol::{ErrorReport, RecordingId};
use serde::{Deserialize, Serialize};

use super::Job;
use super::file::{self, SCHEMA};
use crate::off_thread::off_thread;
use crate::{BucketError, ObjectInfo};

const GROWING: &str = "growing";
const PUBLISHED: &str = "published";
const REVISIONS: &str = "revisions";
const DISCARDED: &str = "discarded";

/// The queue could not be kept: what was handed in is not safe.
#[derive(Debug, thiserror::Error)]
#[error("the upload queue cannot be kept: {0}")]
pub struct QueueError(#[from] BucketError);

impl From<QueueError> for ErrorReport {
    fn from(error: QueueError) -> Self {
        error.0.report()
    }
}

/// A version of the audio object as the store named it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) size: u64,
    /// Empty in the files of earlier programs.
    #[serde(default)]
    pub(super) etag: String,
}

impl From<ObjectInfo> for Stored {
    fn from(object: ObjectInfo) -> Self {
        Self { size: object.size, etag: object.etag }
    }
}

impl Stored {
    /// Whether the object is this version.
    pub(super) fn is(&self, object: &ObjectInfo) -> bool {
        self.size == object.size && self.etag == object.etag
    }

    /// Whether nothing speaks against the object being this version.
    pub(super) fn may_be(&self, object: &ObjectInfo) -> bool {
        self.size == object.size && (self.etag.is_empty() || self.etag == object.etag)
    }
}

/// How far a job is. Written to the disk before each step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(super) enum Stage {
    /// No key yet.
    Waiting,
    /// This key was free and is this job's.
    Reserved {
        key: String,
        /// Whether an upload to it was begun: an object found there may be this job's own.
        begun: bool,
    },
    /// The audio is in the bucket, checked.
    AudioStored {
        key: String,
        #[serde(flatten)]
        audio: Stored,
    },
}

impl Stage {
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Waiting => None,
            Self::Reserved { key, .. } | Self::AudioStored { key, .. } => Some(key),
        }
    }

    /// Whether something of it may be in the bucket.
    pub(super) fn begun(&self) -> bool {
        !matches!(self, Self::Waiting | Self::Reserved { begun: false, .. })
    }
}

/// A job as it stands on the disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredJob {
    schema: u32,
    pub(super) recording: RecordingId,
    pub(super) take: PathBuf,
    pub(super) metadata: Metadata,
    #[serde(flatten)]
    pub(super) stage: Stage,
}

impl StoredJob {
    pub(super) fn new(job: Job) -> Self {
        Self { schema: SCHEMA, recording: job.recording, take: job.take, metadata: job.metadata, stage: Stage::Waiting }
    }
}

/// The key of a take that goes up while it grows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reservation {
    schema: u32,
    pub(super) recording: RecordingId,
    pub(super) key: String,
}

impl Reservation {
    pub(super) fn new(recording: RecordingId, key: String) -> Self {
        Self { schema: SCHEMA, recording, key }
    }
}

/// A newer version as it stands on the disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Revision {
    schema: u32,
    pub(super) recording: RecordingId,
    pub(super) take: PathBuf,
    pub(super) metadata: Metadata,
    /// Whether an upload of this or of an earlier version was begun: the object found may be of it.
    pub(super) begun: bool,
    /// The audio is in the bucket, checked.
    pub(super) stored: Option<Stored>,
}

impl Revision {
    pub(super) fn new(job: Job, begun: bool) -> Self {
        let Job { recording, take, metadata } = job;
        Self { schema: SCHEMA, recording, take, metadata, begun, stored: None }
    }
}

/// What stays of a job that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Receipt {
    schema: u32,
    pub(super) recording: RecordingId,
    pub(super) key: String,
    #[serde(flatten)]
    pub(super) audio: Stored,
    /// As published: what differs from it in the bucket was edited there.
    #[serde(default)]
    pub(super) title: Option<String>,
    #[serde(default)]
    pub(super) notes: Option<String>,
    /// The local file.
    #[serde(default)]
    pub(super) take: Option<PathBuf>,
}

impl Receipt {
    pub(super) fn new(key: &str, audio: Stored, take: &Path, metadata: &Metadata) -> Self {
        Self {
            take: Some(take.to_owned()),
            schema: SCHEMA,
            recording: metadata.id,
            key: key.to_owned(),
            audio,
            title: metadata.title.clone(),
            notes: metadata.notes.clone(),
        }
    }
}

/// A recording that was discarded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tombstone {
    schema: u32,
    pub(super) recording: RecordingId,
    /// Nothing of it is left in the bucket and in the queue.
    pub(super) done: bool,
}

/// What a queue holds when it is opened.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Oldest first.
    pub(super) jobs: Vec<StoredJob>,
    pub(super) revisions: Vec<RecordingId>,
    pub(super) tombstones: Vec<Tombstone>,
    pub(super) reservations: Vec<Reservation>,
}

/// The folder of the queue.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    folder: PathBuf,
}

impl Queue {
    /// Opens the folder and reads what is to be done.
    pub(super) async fn open(folder: PathBuf) -> Result<(Self, Contents), QueueError> {
        off_thread(move || {
            let queue = Self { folder };
            for part in [GROWING, PUBLISHED, REVISIONS, DISCARDED] {
                let part = queue.folder.join(part);
                create_dirs(&SystemDisk, &part).map_err(|error| BucketError::io(part, error))?;
            }
            let contents = queue.read_all()?;
            Ok((queue, contents))
        })
        .await
    }

    pub(super) async fn save(&self, job: &StoredJob) -> Result<(), QueueError> {
        self.write(self.job_path(job.recording), job).await
    }

    pub(super) async fn job(&self, recording: RecordingId) -> Result<Option<StoredJob>, QueueError> {
        self.read(self.job_path(recording)).await
    }

    /// Puts a receipt in the place of the job.
    pub(super) async fn finish(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.write(self.receipt_path(receipt.recording), receipt).await?;
        self.remove(vec![self.job_path(receipt.recording)]).await
    }

    /// The receipt of a recording that was published before.
    pub(super) async fn receipt(&self, recording: RecordingId) -> Result<Option<Receipt>, QueueError> {
        self.read(self.receipt_path(recording)).await
    }

    pub(super) async fn save_receipt(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.write(self.receipt_path(receipt.recording), receipt).await
    }

    /// Remembers the key of a take that grows.
    pub(super) async fn reserve(&self, reservation: &Reservation) -> Result<(), QueueError> {
        self.write(self.reservation_path(reservation.recording), reservation).await
    }

    pub(super) async fn reservation(&self, recording: RecordingId) -> Result<Option<Reservation>, QueueError> {
        self.read(self.reservation_path(recording)).await
    }

    pub(super) async fn reservations(&self) -> Result<Vec<Reservation>, QueueError> {
        let folder = self.folder.join(GROWING);
        off_thread(move || Ok(file::read_all(&folder)?)).await
    }

    pub(super) async fn remove_reservation(&self, recording: RecordingId) -> Result<(), QueueError> {
        self.remove(vec![self.reservation_path(recording)]).await
    }

    pub(super) async fn revision(&self, recording: RecordingId) -> Result<Option<Revision>, QueueError> {
        self.read(self.revision_path(recording)).await
    }

    pub(super) async fn save_revision(&self, revision: &Revision) -> Result<(), QueueError> {
        self.write(self.revision_path(revision.recording), revision).await
    }

    pub(super) async fn remove_revision(&self, recording: RecordingId) -> Result<(), QueueError> {
        self.remove(vec![self.revision_path(recording)]).await
    }

    /// Notes that the recording is to be discarded.
    pub(super) async fn entomb(&self, recording: RecordingId) -> Result<(), QueueError> {
        let tombstone = Tombstone { schema: SCHEMA, recording, done: false };
        self.write(self.tombstone_path(recording), &tombstone).await
    }

    /// Forgets everything about a discarded recording but that it was discarded.
    pub(super) async fn bury(&self, recording: RecordingId) -> Result<(), QueueError> {
        let paths = [Self::job_path, Self::revision_path, Self::receipt_path, Self::reservation_path];
        self.remove(paths.iter().map(|path| path(self, recording)).collect()).await?;
        let tombstone = Tombstone { schema: SCHEMA, recording, done: true };
        self.write(self.tombstone_path(recording), &tombstone).await
    }

    async fn write(&self, path: PathBuf, value: &(impl Serialize + Sync)) -> Result<(), QueueError> {
        let text = file::serialized(&path, value)?;
        off_thread(move || {
            file::refuse_newer(&path)?;
            Ok(file::write(&path, &text)?)
        })
        .await
    }

    async fn read<T: serde::de::DeserializeOwned + Send + 'static>(
        &self,
        path: PathBuf,
    ) -> Result<Option<T>, QueueError> {
        off_thread(move || Ok(file::read(&path)?)).await
    }

    async fn remove(&self, paths: Vec<PathBuf>) -> Result<(), QueueError> {
        off_thread(move || Ok(paths.iter().try_for_each(|path| file::remove(path))?)).await
    }

    fn job_path(&self, recording: RecordingId) -> PathBuf {
        self.folder.join(name(recording))
    }

    fn reservation_path(&self, recording: RecordingId) -> PathBuf {
        self.folder.join(GROWING).join(name(recording))
    }

    fn receipt_path(&self, recording: RecordingId) -> PathBuf {
        self.folder.join(PUBLISHED).join(name(recording))
    }

    fn revision_path(&self, recording: RecordingId) -> PathBuf {
        self.folder.join(REVISIONS).join(name(recording))
    }

    fn tombstone_path(&self, recording: RecordingId) -> PathBuf {
        self.folder.join(DISCARDED).join(name(recording))
    }

    fn read_all(&self) -> Result<Contents, BucketError> {
        let mut contents =
            Contents { tombstones: file::read_all(&self.folder.join(DISCARDED))?, ..Contents::default() };
        for reservation in file::read_all::<Reservation>(&self.folder.join(GROWING))? {
            if self.receipt_path(reservation.recording).exists() {
                // A job had taken over.
                file::remove(&self.reservation_path(reservation.recording))?;
            } else {
                contents.reservations.push(reservation);
            }
        }
        let discarded = |recording| contents.tombstones.iter().any(|tombstone| tombstone.recording == recording);
        for job in file::read_all::<StoredJob>(&self.folder)? {
            if self.receipt_path(job.recording).exists() {
                // Done, but for the removal of the job.
                file::remove(&self.job_path(job.recording))?;
            } else if !discarded(job.recording) {
                contents.jobs.push(job);
            }
        }
        contents.jobs.sort_by_key(|job| (job.metadata.started_at.clone(), job.recording));
        let revisions = file::read_all::<Revision>(&self.folder.join(REVISIONS))?;
        contents.revisions =
            revisions.into_iter().map(|revision| revision.recording).filter(|id| !discarded(*id)).collect();
        Ok(contents)
    }
}

fn name(recording: RecordingId) -> String {
    format!("{recording}.json")
}
