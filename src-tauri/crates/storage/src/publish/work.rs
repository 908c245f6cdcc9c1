//! The steps of one job: reserve a key, upload the audio, then the metadata. Each is written down before the next, and
//! begun again after an interruption.

use std::collections::BTreeSet;

use roomtone_protocol::{ErrorReport, RecordingId, code};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Shared;
use super::queue::{Receipt, Stage, StoredJob};
use crate::key::metadata_key;
use crate::{BucketError, FileUpload, KeyFields, PutMode};

/// The largest metadata JSON that is read back.
const LARGEST_METADATA: u64 = 64 * 1024 * 1024;

/// Carries the job on until it is published or something goes wrong.
pub(super) async fn advance(shared: &Shared, job: &mut StoredJob) -> Result<Receipt, ErrorReport> {
    // Keys that turned out to be taken although they looked free.
    let mut taken = BTreeSet::new();
    loop {
        let next = match job.stage.clone() {
            Stage::Waiting => Stage::Reserved { key: reserve(shared, job, &taken).await?, begun: false },
            Stage::Reserved { key, begun: false } => upload(shared, job, key, false, &mut taken).await?,
            Stage::Reserved { key, begun: true } => upload(shared, job, key, true, &mut taken).await?,
            Stage::AudioStored { key, size } => {
                put_metadata(shared, job, &key).await?;
                return Ok(shared.queue.finish(job, &key, size).await?);
            }
        };
        enter(shared, job, next).await?;
    }
}

async fn enter(shared: &Shared, job: &mut StoredJob, stage: Stage) -> Result<(), ErrorReport> {
    job.stage = stage;
    Ok(shared.queue.save(job).await?)
}

/// A key that no object, no metadata and no other job has.
async fn reserve(shared: &Shared, job: &StoredJob, taken: &BTreeSet<String>) -> Result<String, ErrorReport> {
    let started_at = OffsetDateTime::parse(&job.metadata.started_at, &Rfc3339).map_err(|error| {
        let message = format!("the recording's start {:?} is no time: {error}", job.metadata.started_at);
        ErrorReport::new(code::BAD_REQUEST, message, "report this as a defect; the take is kept")
    })?;
    let fields = KeyFields { room: &job.metadata.room, started_at, recording: job.recording };
    let candidates = shared.settings.key_template.candidates(&fields).map(|name| shared.settings.prefix.key(&name));
    for key in &candidates {
        if taken.contains(key) || !claim(shared, key, job.recording) {
            continue;
        }
        // With the metadata's place taken, the recording would be without.
        let free = shared.bucket.head(key).await?.is_none() && shared.bucket.head(&metadata_key(key)).await?.is_none();
        if free {
            return Ok(key.clone());
        }
        release(shared, key, job.recording);
    }
    let [key, ..] = candidates;
    Err(BucketError::AlreadyExists { key }.into())
}

/// Whether the key is now this recording's among the jobs of this queue.
fn claim(shared: &Shared, key: &str, recording: RecordingId) -> bool {
    *shared.reserved().entry(key.to_owned()).or_insert(recording) == recording
}

fn release(shared: &Shared, key: &str, recording: RecordingId) {
    let mut reserved = shared.reserved();
    if reserved.get(key) == Some(&recording) {
        reserved.remove(key);
    }
}

/// Uploads the audio; the stage that follows.
async fn upload(
    shared: &Shared,
    job: &mut StoredJob,
    key: String,
    begun_before: bool,
    taken: &mut BTreeSet<String>,
) -> Result<Stage, ErrorReport> {
    if !begun_before {
        enter(shared, job, Stage::Reserved { key: key.clone(), begun: true }).await?;
    }
    let upload = FileUpload { key: &key, path: &job.take, recording: job.recording, mode: PutMode::CreateNew };
    match shared.bucket.put_file(upload, shared.progress(job.recording)).await {
        Ok(object) => Ok(Stage::AudioStored { size: object.size, key }),
        Err(BucketError::AlreadyExists { .. }) => {
            // An upload that succeeded without its answer reaching us left our own object there.
            if begun_before
                && shared.bucket.holds(upload).await?
                && let Some(object) = shared.bucket.head(&key).await?
            {
                return Ok(Stage::AudioStored { size: object.size, key });
            }
            tracing::info!("the key was taken by another object meanwhile; choosing another");
            release(shared, &key, job.recording);
            taken.insert(key);
            Ok(Stage::Waiting)
        }
        Err(error) => Err(error.into()),
    }
}

/// Puts the metadata beside the audio. What is there already may be our own; anybody else's stays.
async fn put_metadata(shared: &Shared, job: &StoredJob, key: &str) -> Result<(), ErrorReport> {
    #[derive(Deserialize)]
    struct Identified {
        id: RecordingId,
    }
    let key = metadata_key(key);
    let content = serde_json::to_vec_pretty(&job.metadata)
        .map_err(|error| ErrorReport::new(code::IO, error.to_string(), "report this as a defect; the take is kept"))?;
    match shared.bucket.put_bytes(&key, content.into(), PutMode::CreateNew).await {
        Ok(_) => Ok(()),
        Err(error @ BucketError::AlreadyExists { .. }) => {
            let there = shared.bucket.get(&key, LARGEST_METADATA).await?;
            match serde_json::from_slice::<Identified>(&there) {
                Ok(there) if there.id == job.recording => Ok(()),
                _ => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}
