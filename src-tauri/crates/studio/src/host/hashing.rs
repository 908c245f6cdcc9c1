//! Hashes of long recordings: computed once the bucket has the file, so that nobody waits for them.
//!
//! ```text
//! handed in without a hash -> `unhashed` -> in the bucket -> hashed beside everything else -> metadata renewed, here and there
//! ```

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use roomtone_protocol::RecordingId;
use roomtone_protocol::metadata::Metadata;
use roomtone_recorder::hash_take;
use roomtone_storage::{Job, Publisher};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::folder::{self, Version};
use super::take::stand_back;

/// Files up to this size have their hash when they are handed in, 64 MiB: it takes a twentieth of a second.
const AT_ONCE: u64 = 64 << 20;

/// Whether the hash of a file is computed before it is handed in. What takes the place of an earlier version always has
/// one: nobody waits for it, and its hashes tell which parts the store has already.
pub(super) fn is_due_at_once(metadata: &Metadata, version: Version) -> bool {
    metadata.size <= AT_ONCE || version != Version::FIRST
}

/// Computes hashes, one file at a time a recording. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Hashing {
    recordings: PathBuf,
    publisher: Arc<Publisher>,
    /// On which the publisher is asked.
    runtime: Handle,
    under_way: Arc<Mutex<BTreeSet<RecordingId>>>,
    stop: CancellationToken,
}

impl Hashing {
    /// For the recordings of this folder, until `stop`.
    pub(super) fn new(recordings: PathBuf, publisher: Arc<Publisher>, stop: CancellationToken) -> Self {
        Self { recordings, publisher, runtime: Handle::current(), under_way: Arc::default(), stop }
    }

    /// The bucket has a recording: computes its hashes if that is still to be done.
    pub(super) fn begin(&self, recording: RecordingId) {
        if !self.under_way().insert(recording) {
            return;
        }
        let hashing = self.clone();
        let thread = thread::Builder::new().name("hash".into()).spawn(move || {
            stand_back();
            let folder = hashing.recordings.join(recording.to_string());
            if let Err(error) = hashing.hash(recording, &folder) {
                tracing::warn!(%recording, %error, "a recording has no hash yet; the next start tries again");
            }
            hashing.under_way().remove(&recording);
        });
        if let Err(error) = thread {
            tracing::warn!(%recording, %error, "a recording has no hash yet; the next start tries again");
            self.under_way().remove(&recording);
        }
    }

    fn hash(&self, recording: RecordingId, folder: &Path) -> io::Result<()> {
        if !folder::is_unhashed(folder) {
            return Ok(());
        }
        // A newer version brings its own, and it takes this one's place.
        let take = Version::FIRST.take(folder);
        let metadata = folder::read_version(folder, Version::FIRST).filter(|_| take.is_file());
        let Some(mut metadata) = metadata else { return folder::unmark_unhashed(folder) };
        let Some((whole, parts)) = hash_take(&take, || !self.stop.is_cancelled())? else { return Ok(()) };
        (metadata.sha256, metadata.parts) = (Some(whole), parts);
        folder::write_metadata(folder, Version::FIRST, &metadata)?;
        let handed_in = self.publisher.hashed(Job { recording, take, metadata });
        self.runtime.block_on(handed_in).map_err(io::Error::other)?;
        folder::unmark_unhashed(folder)
    }

    /// What an earlier start left to be done, of what the bucket has.
    pub(super) fn go_on(&self) -> io::Result<()> {
        for (recording, folder) in folder::all(&self.recordings)? {
            if folder::is_submitted(&folder) && folder::is_unhashed(&folder) && self.publisher.is_settled(recording) {
                self.begin(recording);
            }
        }
        Ok(())
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeSet<RecordingId>> {
        // Inserted and removed whole.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
