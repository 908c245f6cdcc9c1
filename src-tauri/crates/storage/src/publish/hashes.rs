//! Hashes that became known after a take was handed in: its metadata is renewed, and nothing else.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roomtone_clock::now;
use roomtone_protocol::RecordingId;
use roomtone_protocol::metadata::{Metadata, Parts};

use super::queue::Revision;
use super::{Job, Publisher, QueueError, Shared, Standing};
use crate::Progress;

impl Publisher {
    /// The metadata of a take that was handed in is known better now: the same file, with its hashes. When it answers
    /// `Ok`, they will be in the bucket, whatever happens to the program. Where a newer version of the take was handed in
    /// meanwhile, that brings its own; of what was discarded nothing is said any more.
    ///
    /// # Errors
    /// When that cannot be written down.
    pub async fn hashed(&self, job: Job) -> Result<(), QueueError> {
        let shared = &self.shared;
        let _turn = shared.turn.lock().await;
        let recording = job.recording;
        match shared.standing(recording).await? {
            Standing::Unknown | Standing::Discarding => return Ok(()),
            Standing::Publishing | Standing::Settled(_) if self.is_discarded(recording) => return Ok(()),
            Standing::Publishing | Standing::Settled(_) => {}
        }
        let revision = shared.queue.revision(recording).await?;
        if let Some(revision) = revision.as_ref().filter(|revision| revision.take != job.take) {
            tracing::debug!(%recording, newer = %revision.take.display(), "a newer version brings its own hashes");
            return Ok(());
        }
        if !shared.newest_is(recording, &job.take).await? {
            return Ok(());
        }
        let begun = revision.is_some_and(|revision| revision.begun);
        shared.queue.save_revision(&Revision::new(job, begun)).await?;
        // There is nothing to gather them with.
        shared.assign(recording, |desk, recording| desk.revise(recording, now(), Duration::ZERO));
        Ok(())
    }
}

impl Shared {
    /// Whether what is published, or on its way, is this file.
    async fn newest_is(&self, recording: RecordingId, take: &Path) -> Result<bool, QueueError> {
        if let Some(job) = self.queue.job(recording).await? {
            return Ok(job.take == take);
        }
        let receipt = self.queue.receipt(recording).await?;
        Ok(receipt.is_some_and(|receipt| receipt.take.as_deref() == Some(take)))
    }
}

/// Hashes of the parts of an upload, once it has computed them.
#[derive(Debug, Clone, Default)]
pub(super) struct PartHashes(Arc<Mutex<Option<Parts>>>);

impl PartHashes {
    /// Has them noted here.
    pub(super) fn of(&self, progress: Progress) -> Progress {
        let hashes = Arc::clone(&self.0);
        progress.with_hashes(move |parts| *hashes.lock().unwrap_or_else(PoisonError::into_inner) = Some(parts))
    }

    /// Puts them into metadata that has none.
    pub(super) fn complete(&self, metadata: &mut Metadata) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(parts) = known.filter(|_| metadata.parts.sha256.is_empty()) {
            metadata.parts = parts;
        }
    }
}
