//! Recordings that were discarded: the tombstone first, then everything.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use roomtone_engine::HostEvent;
use roomtone_protocol::{ErrorReport, RecordingId};
use roomtone_storage::Publisher;
use tokio::time::sleep;

use super::engine::{Engine, Input};
use super::folder;

/// How often a tombstone that cannot be written is tried again, a second apart, before the files go without one: then
/// there is nothing left on this disk that could come back.
const TRIES: u32 = 3;

impl Engine {
    /// Writes the tombstone, then closes and removes the journal and what grew beside it. The rest of the folder goes when the bucket has
    /// nothing of it any more: an object there may have to be recognised by the file.
    pub(super) fn discard(&mut self, recording: RecordingId) {
        self.made.remove(&recording);
        self.parts.desk.shelf.forget(recording);
        let (publisher, inbox) = (Arc::clone(&self.parts.publisher), self.parts.inbox.clone());
        let (writer, folder) = (self.parts.desk.writer.clone(), self.folder(recording));
        tokio::spawn(async move {
            let mut buried = publisher.discard(recording).await;
            for _ in 1..TRIES {
                if buried.is_err() {
                    sleep(Duration::from_secs(1)).await;
                    buried = publisher.discard(recording).await;
                }
            }
            let removing = tokio::task::spawn_blocking(move || {
                // Nothing is made of it.
                if let Some(growing) = writer.close(recording).and_then(|closed| closed.growing) {
                    growing.discard();
                }
                folder::remove_journal(&folder).map_err(|error| crate::data_dir::io(&folder, &error))
            });
            let removed = removing.await.unwrap_or(Ok(()));
            let result = buried.map_err(ErrorReport::from).and(removed);
            // The engine waits for this before it ends.
            drop(inbox.send(Input::Buried { recording, result }).await);
        });
    }

    pub(super) fn buried(&mut self, recording: RecordingId, result: Result<(), ErrorReport>) {
        if let Err(error) = result {
            self.tell(HostEvent::Problem { error });
        }
        self.handle(roomtone_engine::RecorderInput::Buried { recording });
    }

    /// Nothing of it is in the bucket: its folder goes.
    pub(super) fn remove_folder(&self, recording: RecordingId) {
        let folder = self.folder(recording);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = folder::remove_all(&folder) {
                tracing::error!(%recording, %error, "the folder of a discarded recording cannot be removed; the next start tries again");
            }
        });
    }
}

/// What went up of recordings that nobody can finish, because there is nothing of them on this disk, leaves the bucket.
pub(super) fn withdraw_orphans(publisher: Arc<Publisher>, recordings: PathBuf) {
    tokio::spawn(async move {
        let growing = publisher.growing().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "what went up of recordings in progress is not known");
            Vec::new()
        });
        for recording in growing {
            if !recordings.join(recording.to_string()).exists() {
                withdraw(&publisher, recording).await;
            }
        }
    });
}

/// Has the store discard what went up of a recording that there will be no file of.
pub(super) async fn withdraw(publisher: &Publisher, recording: RecordingId) {
    if let Err(error) = publisher.withdraw(recording).await {
        tracing::warn!(%recording, %error, "parts of a recording that is no more stay in the bucket until the next start");
    }
}
