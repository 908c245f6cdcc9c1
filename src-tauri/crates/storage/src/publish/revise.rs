//! The steps of a newer version: make sure that what is there is ours, put the audio in its place, then the metadata.
//! Each is written down before the next, and begun again after an interruption.

use roomtone_protocol::{ErrorReport, RecordingId, code};

use super::beside::{self, Beside};
use super::queue::{Receipt, Revision, Stored};
use super::{PublishEvent, Shared, published};
use crate::key::metadata_key;
use crate::{BucketError, FileUpload, ObjectInfo, PutMode};

/// How often the metadata is read again because somebody edited it in between.
const EDITS: usize = 5;

/// What of the recording is in the bucket.
enum Found {
    Ours {
        audio: ObjectInfo,
        beside: Beside,
    },
    /// There is nothing to take the place of; what a person is told.
    Gone(ErrorReport),
}

/// Carries the newest version on until it is in the bucket, or there is nothing to replace. None: there is no newer
/// version (any more).
pub(super) async fn advance(
    shared: &Shared,
    recording: RecordingId,
    version: u64,
) -> Result<Option<PublishEvent>, ErrorReport> {
    let Some(mut revision) = shared.queue.revision(recording).await? else {
        tracing::warn!(%recording, "the newer version is gone from the queue");
        return Ok(None);
    };
    let Some(mut receipt) = shared.queue.receipt(recording).await? else {
        let error = gone("where the recording was published is no longer known");
        return abandon(shared, recording, version, error).await.map(Some);
    };
    let (audio, mut there) = match find(shared, &receipt, &revision).await? {
        Found::Ours { audio, beside } => (audio, beside),
        Found::Gone(_) if receipt.take.as_deref() == Some(revision.take.as_path()) => {
            // Only its hashes were to be told, and nobody is there any more who would read them.
            let _turn = shared.turn.lock().await;
            clear(shared, recording, version).await?;
            return Ok(None);
        }
        Found::Gone(error) => return abandon(shared, recording, version, error).await.map(Some),
    };
    let stored = put_audio(shared, &mut revision, version, &receipt, &audio, &there).await?;
    let key = metadata_key(&receipt.key);
    for _ in 0..EDITS {
        let content = beside::serialized(&there.revised(&revision.metadata, &receipt)?)?;
        match shared.bucket.put_bytes(&key, content, PutMode::ReplaceVersion(&there.etag)).await {
            Ok(_) => {
                receipt = Receipt::new(&receipt.key, stored, &revision.take, &revision.metadata);
                finish(shared, &receipt, version).await?;
                return Ok(Some(published(receipt)));
            }
            Err(BucketError::Changed { .. }) => match beside::read(&*shared.bucket, &key).await? {
                Some(again) if again.recording == Some(recording) => there = again,
                _ => {
                    let error = gone("the recording was deleted from the bucket");
                    return abandon(shared, recording, version, error).await.map(Some);
                }
            },
            Err(error) => return Err(error.into()),
        }
    }
    Err(BucketError::Changed { key }.into())
}

/// Looks whether what is there is this recording's.
async fn find(shared: &Shared, receipt: &Receipt, revision: &Revision) -> Result<Found, ErrorReport> {
    let key = metadata_key(&receipt.key);
    let there = (shared.bucket.head(&receipt.key).await?, beside::read(&*shared.bucket, &key).await?);
    let (Some(audio), Some(beside)) = there else {
        return Ok(Found::Gone(gone("the recording was deleted from the bucket")));
    };
    if beside.recording != Some(receipt.recording) {
        return Ok(Found::Gone(gone("something else is in the recording's place in the bucket")));
    }
    if beside.is_newer() {
        return Err(BucketError::NewerVersion(format!("the metadata {key:?}")).into());
    }
    let ours = revision.begun
        || receipt.audio.may_be(&audio)
        || shared.bucket.owner(&receipt.key).await? == Some(receipt.recording);
    if !ours {
        return Ok(Found::Gone(gone("somebody changed the recording's audio in the bucket")));
    }
    Ok(Found::Ours { audio, beside })
}

/// The audio of the new version is in the bucket, checked, when this answers.
async fn put_audio(
    shared: &Shared,
    revision: &mut Revision,
    version: u64,
    receipt: &Receipt,
    there: &ObjectInfo,
    beside: &Beside,
) -> Result<Stored, ErrorReport> {
    if let Some(stored) = revision.stored.clone().filter(|stored| stored.is(there)) {
        return Ok(stored);
    }
    let described = !revision.begun && receipt.audio.is(there);
    let same_file = receipt.take.as_deref() == Some(revision.take.as_path()) && beside.lacks_hash(&revision.metadata);
    if described && (same_file || beside.describes(&revision.metadata)) {
        // Only what stands beside it is new.
        return Ok(there.clone().into());
    }
    if !revision.begun {
        note(shared, revision, version, |revision| revision.begun = true).await?;
    }
    let unchanged = if described { beside.unchanged(&revision.metadata) } else { Vec::new() };
    let upload = FileUpload {
        key: &receipt.key,
        path: &revision.take,
        recording: revision.recording,
        sha256: revision.metadata.sha256.as_deref(),
        mode: PutMode::ReplaceVersion(&there.etag),
        unchanged: &unchanged,
    };
    let object = shared.bucket.put_file(upload, shared.progress(revision.recording)).await?;
    let stored = Stored::from(object);
    note(shared, revision, version, |revision| revision.stored = Some(stored.clone())).await?;
    Ok(stored)
}

/// Writes down how far the version is. Of one that is no longer the newest, only that something of it was begun.
async fn note(
    shared: &Shared,
    revision: &mut Revision,
    version: u64,
    step: impl FnOnce(&mut Revision),
) -> Result<(), ErrorReport> {
    let _turn = shared.turn.lock().await;
    step(revision);
    if shared.desk.borrow().is_newest(revision.recording, version) {
        shared.queue.save_revision(revision).await?;
    } else if let Some(mut newest) = shared.queue.revision(revision.recording).await? {
        newest.begun = true;
        shared.queue.save_revision(&newest).await?;
    }
    Ok(())
}

/// Writes the receipt. A version that was handed in meanwhile begins from it.
async fn finish(shared: &Shared, receipt: &Receipt, version: u64) -> Result<(), ErrorReport> {
    let _turn = shared.turn.lock().await;
    shared.queue.save_receipt(receipt).await?;
    clear(shared, receipt.recording, version).await
}

async fn abandon(
    shared: &Shared,
    recording: RecordingId,
    version: u64,
    error: ErrorReport,
) -> Result<PublishEvent, ErrorReport> {
    let _turn = shared.turn.lock().await;
    clear(shared, recording, version).await?;
    Ok(PublishEvent::Abandoned { recording, error })
}

/// Takes the version out of the queue; a newer one stays, and nothing of it is begun. Called in turn.
async fn clear(shared: &Shared, recording: RecordingId, version: u64) -> Result<(), ErrorReport> {
    if shared.desk.borrow().is_newest(recording, version) {
        shared.queue.remove_revision(recording).await?;
    } else if let Some(mut newest) = shared.queue.revision(recording).await? {
        newest.begun = false;
        shared.queue.save_revision(&newest).await?;
    }
    Ok(())
}

fn gone(what: &str) -> ErrorReport {
    let hint = "nothing is lost: the repaired file is on the host's computer, from where it can be put into the bucket";
    ErrorReport::new(code::RECORDING_NOT_FOUND, format!("a repaired file was not published: {what}"), hint)
}
