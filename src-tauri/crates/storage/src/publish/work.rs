//! The steps of one job: reserve a key, upload the audio, then the metadata. Each is written down before the next, and
//! begun again after an interruption.

use std::collections::BTreeSet;

use roomtone_protocol::{ErrorReport, RecordingId, code};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::hashes::PartHashes;
use super::queue::{Receipt, Reservation, Stage, StoredJob};
use super::{Shared, beside};
use crate::key::{companion_keys, metadata_key};
use crate::{BucketError, FileUpload, KeyFields, PutMode};

/// Carries the job on until it is published or something goes wrong. None: there is no such job (any more).
pub(super) async fn advance(shared: &Shared, recording: RecordingId) -> Result<Option<Receipt>, ErrorReport> {
    let Some(mut job) = shared.queue.job(recording).await? else {
        tracing::warn!(%recording, "the job is gone from the queue");
        return Ok(None);
    };
    let job = &mut job;
    take_newest(shared, job).await?;
    take_reservation(shared, job).await?;
    // Keys that turned out to be taken although they looked free.
    let mut taken = BTreeSet::new();
    loop {
        let next = match job.stage.clone() {
            Stage::Waiting => Stage::Reserved { key: reserve_for(shared, job, &taken).await?, begun: false },
            Stage::Reserved { key, begun } => upload(shared, job, key, begun, &mut taken).await?,
            Stage::AudioStored { key, audio } => {
                take_newest(shared, job).await?;
                put_metadata(shared, job, &key).await?;
                let receipt = Receipt::new(&key, audio, &job.take, &job.metadata);
                shared.queue.finish(&receipt).await?;
                return Ok(Some(receipt));
            }
        };
        enter(shared, job, next).await?;
    }
}

/// Before anything went up, a newer version simply is the version to be published. Later, it still may be the same file
/// with hashes that were not known before.
async fn take_newest(shared: &Shared, job: &mut StoredJob) -> Result<(), ErrorReport> {
    let _turn = shared.turn.lock().await;
    let newest = shared.queue.revision(job.recording).await?;
    if let Some(newest) = newest.filter(|newest| !job.stage.begun() || newest.take == job.take) {
        (job.take, job.metadata) = (newest.take, newest.metadata);
        shared.queue.save(job).await?;
        shared.queue.remove_revision(job.recording).await?;
        shared.desk.send_modify(|desk| desk.drop_revision(job.recording));
    }
    Ok(())
}

async fn enter(shared: &Shared, job: &mut StoredJob, stage: Stage) -> Result<(), ErrorReport> {
    job.stage = stage;
    Ok(shared.queue.save(job).await?)
}

/// What went up while the take grew is this job's.
async fn take_reservation(shared: &Shared, job: &mut StoredJob) -> Result<(), ErrorReport> {
    let Some(Reservation { key, .. }) = shared.queue.reservation(job.recording).await? else { return Ok(()) };
    if job.stage == Stage::Waiting && claim(shared, &key, job.recording) {
        enter(shared, job, Stage::Reserved { key, begun: true }).await?;
    }
    Ok(shared.queue.remove_reservation(job.recording).await?)
}

async fn reserve_for(shared: &Shared, job: &StoredJob, taken: &BTreeSet<String>) -> Result<String, ErrorReport> {
    let started_at = OffsetDateTime::parse(&job.metadata.started_at, &Rfc3339).map_err(|error| {
        let message = format!("the recording's start {:?} is no time: {error}", job.metadata.started_at);
        ErrorReport::new(code::BAD_REQUEST, message, "report this as a defect; the take is kept")
    })?;
    let fields = KeyFields { room: &job.metadata.room, started_at, recording: job.recording };
    reserve(shared, &fields, taken).await
}

/// A key that no object, nothing beside one and no other job has.
pub(super) async fn reserve(
    shared: &Shared,
    fields: &KeyFields<'_>,
    taken: &BTreeSet<String>,
) -> Result<String, ErrorReport> {
    let recording = fields.recording;
    let candidates = shared.settings.key_template.candidates(fields).map(|name| shared.settings.prefix.key(&name));
    for key in &candidates {
        if taken.contains(key) || !claim(shared, key, recording) {
            continue;
        }
        if is_free(shared, key).await? {
            return Ok(key.clone());
        }
        release(shared, key, recording);
    }
    let [key, ..] = candidates;
    Err(BucketError::AlreadyExists { key }.into())
}

/// Whether nothing is at the key, nor where something of the recording will lie beside it: it would be without.
async fn is_free(shared: &Shared, key: &str) -> Result<bool, ErrorReport> {
    for place in companion_keys(key).iter().map(String::as_str).chain([key]) {
        if shared.bucket.head(place).await?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the key is now this recording's among the jobs of this queue.
fn claim(shared: &Shared, key: &str, recording: RecordingId) -> bool {
    *shared.reserved().entry(key.to_owned()).or_insert(recording) == recording
}

pub(super) fn release(shared: &Shared, key: &str, recording: RecordingId) {
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
    let hashes = PartHashes::default();
    let upload = first_upload(job, &key);
    let put = shared.bucket.put_file(upload, hashes.of(shared.progress(job.recording))).await;
    match put {
        Ok(object) => {
            hashes.complete(&mut job.metadata);
            Ok(Stage::AudioStored { audio: object.into(), key })
        }
        Err(BucketError::AlreadyExists { .. }) => {
            // An upload that succeeded without its answer reaching us left our own object there.
            if begun_before
                && shared.bucket.holds(upload).await?
                && let Some(object) = shared.bucket.head(&key).await?
            {
                hashes.complete(&mut job.metadata);
                return Ok(Stage::AudioStored { audio: object.into(), key });
            }
            tracing::info!("the key was taken by another object meanwhile; choosing another");
            release(shared, &key, job.recording);
            taken.insert(key);
            Ok(Stage::Waiting)
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn first_upload<'a>(job: &'a StoredJob, key: &'a str) -> FileUpload<'a> {
    FileUpload {
        key,
        path: &job.take,
        recording: job.recording,
        sha256: job.metadata.sha256.as_deref(),
        mode: PutMode::CreateNew,
        unchanged: &[],
    }
}

/// Puts the metadata beside the audio. What is there already may be our own; anybody else's stays.
async fn put_metadata(shared: &Shared, job: &StoredJob, key: &str) -> Result<(), ErrorReport> {
    let key = metadata_key(key);
    let content = beside::serialized(&job.metadata)?;
    match shared.bucket.put_bytes(&key, content, PutMode::CreateNew).await {
        Ok(_) => Ok(()),
        Err(error @ BucketError::AlreadyExists { .. }) => match beside::read(&*shared.bucket, &key).await? {
            Some(there) if there.recording == Some(job.recording) => Ok(()),
            _ => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}
