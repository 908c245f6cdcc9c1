//! The queue on the disk: one JSON file a job, written whole or not at all, and a receipt for every job done.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use roomtone_protocol::metadata::Metadata;
use roomtone_protocol::{ErrorReport, RecordingId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Job;
use crate::BucketError;
use crate::off_thread::off_thread;

/// Version of the files.
const SCHEMA: u32 = 1;

/// Ending of files that are being written.
const UNFINISHED: &str = "tmp";

/// The queue could not be kept: what was handed in is not safe.
#[derive(Debug, thiserror::Error)]
#[error("the upload queue cannot be kept: {0}")]
pub struct QueueError(#[from] BucketError);

impl From<QueueError> for ErrorReport {
    fn from(error: QueueError) -> Self {
        error.0.report()
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
    AudioStored { key: String, size: u64 },
}

impl Stage {
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Waiting => None,
            Self::Reserved { key, .. } | Self::AudioStored { key, .. } => Some(key),
        }
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

/// What stays of a job that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Receipt {
    schema: u32,
    pub(super) recording: RecordingId,
    pub(super) key: String,
    pub(super) size: u64,
}

/// What every version's files say.
#[derive(Deserialize)]
struct Versioned {
    schema: u32,
}

/// The folder of the queue.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    folder: PathBuf,
}

impl Queue {
    /// Opens the folder and reads the jobs that are to be done, oldest id first.
    pub(super) async fn open(folder: PathBuf) -> Result<(Self, Vec<StoredJob>), QueueError> {
        off_thread(move || {
            let queue = Self { folder };
            let receipts = queue.receipts();
            fs::create_dir_all(&receipts).map_err(|error| BucketError::io(receipts, error))?;
            let jobs = queue.read_all()?;
            Ok((queue, jobs))
        })
        .await
    }

    pub(super) async fn save(&self, job: &StoredJob) -> Result<(), QueueError> {
        let path = self.job(job.recording);
        let text = serialized(&path, job)?;
        off_thread(move || {
            refuse_newer(&path)?;
            Ok(write(&path, &text)?)
        })
        .await
    }

    /// Puts a receipt in the place of the job.
    pub(super) async fn finish(&self, job: &StoredJob, key: &str, size: u64) -> Result<Receipt, QueueError> {
        let receipt = Receipt { schema: SCHEMA, recording: job.recording, key: key.to_owned(), size };
        let (path, job) = (self.receipts().join(name(job.recording)), self.job(job.recording));
        let text = serialized(&path, &receipt)?;
        off_thread(move || {
            write(&path, &text)?;
            fs::remove_file(&job).map_err(|error| BucketError::io(job, error))?;
            Ok(receipt)
        })
        .await
    }

    /// The receipt of a recording that was published before.
    pub(super) async fn receipt(&self, recording: RecordingId) -> Result<Option<Receipt>, QueueError> {
        let path = self.receipts().join(name(recording));
        off_thread(move || Ok(read(&path)?)).await
    }

    fn receipts(&self) -> PathBuf {
        self.folder.join("published")
    }

    fn job(&self, recording: RecordingId) -> PathBuf {
        self.folder.join(name(recording))
    }

    fn read_all(&self) -> Result<Vec<StoredJob>, BucketError> {
        let failed = |error| BucketError::io(&self.folder, error);
        let mut jobs = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            match read::<StoredJob>(&path)? {
                // Done, but for the removal of the job.
                Some(job) if self.receipts().join(name(job.recording)).exists() => {
                    fs::remove_file(&path).map_err(|error| BucketError::io(path, error))?;
                }
                Some(job) => jobs.push(job),
                None => {}
            }
        }
        jobs.sort_by_key(|job| (job.metadata.started_at.clone(), job.recording));
        Ok(jobs)
    }
}

fn name(recording: RecordingId) -> String {
    format!("{recording}.json")
}

fn serialized(path: &Path, value: &impl Serialize) -> Result<Vec<u8>, BucketError> {
    serde_json::to_vec_pretty(value).map_err(|error| BucketError::io(path, error.into()))
}

/// Whole or not at all, and still there after a power cut.
fn write(path: &Path, text: &[u8]) -> Result<(), BucketError> {
    let unfinished = path.with_extension(UNFINISHED);
    let written = File::create(&unfinished).and_then(|mut file| {
        file.write_all(text)?;
        file.sync_all()
    });
    written.map_err(|error| BucketError::io(&unfinished, error))?;
    fs::rename(&unfinished, path).map_err(|error| BucketError::io(path, error))?;
    // Windows cannot sync a folder.
    if cfg!(unix)
        && let Some(folder) = path.parent()
    {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| BucketError::io(folder, error))?;
    }
    Ok(())
}

/// Refuses to replace what a newer version wrote.
fn refuse_newer(path: &Path) -> Result<(), BucketError> {
    let Ok(text) = fs::read(path) else { return Ok(()) };
    match serde_json::from_slice::<Versioned>(&text) {
        Ok(Versioned { schema }) if schema > SCHEMA => {
            let newer = "a newer version of Roomtone wrote it, and it is left as it is; use that one";
            Err(BucketError::io(path, io::Error::other(newer)))
        }
        _ => Ok(()),
    }
}

/// None if there is no such file, or none that this version understands: it is left as it is.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, BucketError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BucketError::io(path, error)),
    };
    match serde_json::from_slice::<Versioned>(&text) {
        Ok(Versioned { schema }) if schema > SCHEMA => {
            tracing::warn!(schema, "a file of the upload queue was written by a newer version; it is left as it is");
            return Ok(None);
        }
        _ => {}
    }
    match serde_json::from_slice(&text) {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            tracing::error!(%error, "a file of the upload queue is damaged; it is left as it is");
            Ok(None)
        }
    }
}
