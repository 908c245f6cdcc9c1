//! The steps of discarding a recording: whatever is in the bucket of it goes, and nothing that is somebody else's.

use roomtone_protocol::{ErrorReport, RecordingId};

use super::queue::{Receipt, Stage, StoredJob};
use super::work::first_upload;
use super::{Shared, beside};
use crate::key::{companion_keys, metadata_key};
use crate::{BucketError, ObjectInfo};

/// Clears away what there may be, and forgets the recording. Begun again after an interruption.
pub(super) async fn advance(shared: &Shared, recording: RecordingId) -> Result<(), ErrorReport> {
    let job = shared.queue.job(recording).await?;
    let receipt = shared.queue.receipt(recording).await?;
    let revision = shared.queue.revision(recording).await?;
    let begun = job.as_ref().is_some_and(|job| job.stage.begun());
    let reservation = shared.queue.reservation(recording).await?;
    let revised = revision.is_some_and(|revision| revision.begun);
    let remove = async || {
        if let Some(growing) = &reservation {
            // It was never completed: there are parts, and no object.
            shared.bucket.discard_unfinished(&growing.key, recording).await?;
        }
        remove(shared, recording, job.as_ref().filter(|_| begun), receipt.as_ref()).await
    };
    remove().await?;
    if begun || revised || reservation.is_some() {
        // A request that was dropped after it was sent may have been carried out behind the first look.
        tokio::time::sleep(shared.bucket.lingers()).await;
        remove().await?;
    }
    Ok(shared.queue.bury(recording).await?)
}

async fn remove(
    shared: &Shared,
    recording: RecordingId,
    job: Option<&StoredJob>,
    receipt: Option<&Receipt>,
) -> Result<(), BucketError> {
    let keys = [job.and_then(|job| job.stage.key()), receipt.map(|receipt| receipt.key.as_str())];
    for key in keys.into_iter().flatten() {
        shared.bucket.discard_unfinished(key, recording).await?;
        let metadata = metadata_key(key);
        let described = beside::read(&*shared.bucket, &metadata).await?.and_then(|beside| beside.recording);
        let described = described == Some(recording);
        let audio = shared.bucket.head(key).await?;
        let ours = match &audio {
            _ if described => true,
            Some(audio) => is_ours(shared, recording, job, receipt, audio).await?,
            None => false,
        };
        if ours {
            let [mix, picture, _] = companion_keys(key);
            for place in [&mix, &picture, key] {
                shared.bucket.delete(place).await?;
            }
        } else if audio.is_some() {
            tracing::warn!("an object under the key of a discarded recording is somebody else's, and stays");
        }
        // Last: until then it says whose the audio is.
        if described {
            shared.bucket.delete(&metadata).await?;
        }
    }
    Ok(())
}

/// Whether an audio object without our metadata is ours: by what the store or the queue noted, or by its content.
async fn is_ours(
    shared: &Shared,
    recording: RecordingId,
    job: Option<&StoredJob>,
    receipt: Option<&Receipt>,
    audio: &ObjectInfo,
) -> Result<bool, BucketError> {
    let noted = match job.map(|job| &job.stage) {
        Some(Stage::AudioStored { audio, .. }) => Some(audio),
        _ => receipt.map(|receipt| &receipt.audio),
    };
    if noted.is_some_and(|noted| noted.is(audio)) {
        return Ok(true);
    }
    if let Some(owner) = shared.bucket.owner(&audio.key).await? {
        return Ok(owner == recording);
    }
    let Some(job) = job else { return Ok(false) };
    match shared.bucket.holds(first_upload(job, &audio.key)).await {
        // Without the take nothing can be compared.
        Err(BucketError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(false),
        held => held,
    }
}
