//! What Roomtone needs of a store.

use std::num::NonZero;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use roomtone_protocol::catalog::{Kept, Link, Reach};
use roomtone_protocol::metadata::Parts;
use roomtone_protocol::{ErrorReport, RecordingId};
use time::OffsetDateTime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::{BucketError, ChangeReport, ChangeSource, LifecycleReport, LifecycleRules};

/// One object, as a listing tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The whole key, prefix included; segments are separated by `/`.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When it was last written, by the store's clock.
    pub modified: OffsetDateTime,
    /// Changes whenever the content does; opaque.
    pub etag: String,
}

/// What a put does with an object that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutMode<'a> {
    /// Leaves it alone and answers [`BucketError::AlreadyExists`].
    CreateNew,
    /// Takes its place at once and whole.
    Replace,
    /// Takes the place of the version with this etag, at once and whole. Another version, or none, is left alone and
    /// answered with [`BucketError::Changed`].
    ReplaceVersion(&'a str),
}

/// A file on its way up.
#[derive(Debug, Clone, Copy)]
pub struct FileUpload<'a> {
    /// Where it goes.
    pub key: &'a str,
    /// The local file. It is read, never changed, moved or linked.
    pub path: &'a Path,
    /// Whose take it is; the object carries it where the store keeps such notes.
    pub recording: RecordingId,
    /// SHA-256 of the file, hexadecimal: tells the versions of one recording's take apart. The object carries it where
    /// the store keeps such notes.
    pub sha256: Option<&'a str>,
    /// What to do with an object that is there already.
    pub mode: PutMode<'a>,
    /// With [`PutMode::ReplaceVersion`]: bytes of the file that are the same, at the same place, in the version that
    /// is replaced. A store that can copy them from there spares sending them.
    pub unchanged: &'a [Range<u64>],
}

/// A file on its way up while it grows.
#[derive(Debug, Clone, Copy)]
pub struct GrowingUpload<'a> {
    /// Where it goes. Nobody else's object is there.
    pub key: &'a str,
    /// Whose take it is.
    pub recording: RecordingId,
    /// Bytes a second that may be sent while it grows; none: four times what it grows by.
    pub limit: Option<NonZero<u64>>,
}

/// What happens to a file that grows. Told after it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Growth {
    /// It is another file from here on.
    Begun {
        /// Where it is.
        path: PathBuf,
        /// Another one of them makes it another file, that much longer.
        channels: usize,
        /// Bytes that it grows by in a second.
        bytes_per_s: u64,
    },
    /// So many bytes from its start on are written; those behind its head change only where that is told.
    Settled {
        /// May be fewer than before.
        bytes: u64,
    },
    /// These bytes are others now, or do not count any more.
    Rewritten {
        /// Counted from the file's start.
        bytes: Range<u64>,
    },
    /// It is whole, and grows no more.
    Whole {
        /// Where it is now.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
}

/// Told how many bytes of how many the store has confirmed, and in the end the hashes of what was sent. Cheap to clone;
/// called from any thread.
#[derive(Clone, Default)]
pub struct Progress {
    bytes: Option<Arc<dyn Fn(u64, u64) + Send + Sync>>,
    hashes: Option<Arc<dyn Fn(Parts) + Send + Sync>>,
    /// Bytes that went, whether or not they have been confirmed, and however often.
    moved: Arc<AtomicU64>,
}

impl Progress {
    /// Calls `report(bytes, total)`, which must not block.
    pub fn new(report: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        Self { bytes: Some(Arc::new(report)), ..Self::none() }
    }

    /// Calls `hashed` with the hashes of the file's parts, where the upload had to compute them anyway, before it
    /// answers. Must not block.
    #[must_use]
    pub fn with_hashes(self, hashed: impl Fn(Parts) + Send + Sync + 'static) -> Self {
        Self { hashes: Some(Arc::new(hashed)), ..self }
    }

    /// Nobody wants to know.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    pub(crate) fn report(&self, bytes: u64, total: u64) {
        if let Some(report) = &self.bytes {
            report(bytes, total);
        }
    }

    /// Counts the bytes that go, so that a rate can be told before they are confirmed.
    pub(crate) fn counting(self, moved: &Arc<AtomicU64>) -> Self {
        Self { moved: Arc::clone(moved), ..self }
    }

    /// So many bytes more went.
    pub(crate) fn moved(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn hashed(&self, parts: Parts) {
        if let Some(hashed) = &self.hashes {
            hashed(parts);
        }
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress(…)")
    }
}

/// A store of objects under keys. Dropping a future of any method stops the work; what was not confirmed may or may not
/// have happened, or happen within [`Bucket::lingers`]; asking again is safe.
pub trait Bucket: Send + Sync + 'static {
    /// Every object whose key begins with `prefix`, in the order of keys. Objects under `.roomtone/` folders may be
    /// left out unless `prefix` itself names one.
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<ObjectInfo>, BucketError>>;

    /// One object, or none.
    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<ObjectInfo>, BucketError>>;

    /// The content of a small object.
    ///
    /// # Errors
    /// [`BucketError::NotFound`], [`BucketError::TooLarge`] above `limit` bytes, and whatever the store says.
    fn get<'a>(&'a self, key: &'a str, limit: u64) -> BoxFuture<'a, Result<Bytes, BucketError>>;

    /// Uploads a file. When it answers `Ok`, the whole object is there and its size has been checked. Begun again
    /// after an interruption, it goes on from what the store already has. Where the store keeps the note of
    /// [`FileUpload::recording`], a whole copy put there before for the same recording counts as this upload's.
    fn put_file<'a>(
        &'a self,
        upload: FileUpload<'a>,
        progress: Progress,
    ) -> BoxFuture<'a, Result<ObjectInfo, BucketError>>;

    /// No more than this goes up a second from here on, everything together; none: as fast as it can.
    fn limit(&self, bytes_per_s: Option<NonZero<u64>>) {
        // What goes nowhere over a link needs no limit.
        let _ = bytes_per_s;
    }

    /// Whether files may be sent while they grow.
    fn takes_growing(&self) -> bool {
        false
    }

    /// Sends a file while it grows, and the rest once it is whole, until all of it is there, nobody tells any more what
    /// happens to it, or it is `handed_over`. What is on its way is waited for. The object appears only when
    /// [`Bucket::put_file`] of the whole file completes it, which goes on from here.
    fn grow<'a>(
        &'a self,
        upload: GrowingUpload<'a>,
        file: UnboundedReceiver<Growth>,
        handed_over: CancellationToken,
    ) -> BoxFuture<'a, Result<(), BucketError>> {
        // Stores that take none have nothing to do.
        drop((upload, file, handed_over));
        std::future::ready(Ok(())).boxed()
    }

    /// Whether the object at the upload's key is a whole copy of the upload's file, put there for this recording.
    /// Tells an upload whose confirmation was lost from somebody else's object under the same key, and from an
    /// earlier version of the same take.
    fn holds<'a>(&'a self, upload: FileUpload<'a>) -> BoxFuture<'a, Result<bool, BucketError>>;

    /// Whose take the object says it is. None without such an object, and where the store keeps no such notes.
    fn owner<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<RecordingId>, BucketError>>;

    /// Discards what the store has of this recording's upload to `key`, if that was never completed.
    fn discard_unfinished<'a>(&'a self, key: &'a str, recording: RecordingId)
    -> BoxFuture<'a, Result<(), BucketError>>;

    /// Writes a small object.
    fn put_bytes<'a>(
        &'a self,
        key: &'a str,
        content: Bytes,
        mode: PutMode<'a>,
    ) -> BoxFuture<'a, Result<ObjectInfo, BucketError>>;

    /// Removes an object. One that is not there is no error.
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), BucketError>>;

    /// What the store keeps of an object that is deleted.
    fn kept_of_deleted(&self) -> BoxFuture<'_, Kept> {
        std::future::ready(Kept::Nothing).boxed()
    }

    /// Compares the store's own rules for clearing away with those that are wanted, and brings them together if told to
    /// `apply`. Rules of others stay as they are.
    ///
    /// # Errors
    /// [`BucketError::NoLifecycle`] where the store has no such rules, and whatever it says.
    fn lifecycle<'a>(
        &'a self,
        wanted: &'a LifecycleRules,
        apply: bool,
    ) -> BoxFuture<'a, Result<LifecycleReport, BucketError>> {
        let _nothing_to_compare = (wanted, apply);
        std::future::ready(Err(BucketError::NoLifecycle)).boxed()
    }

    /// A link to the object that works for `lifetime` from `now` (UTC), from a second to seven days. Whether the object exists is not asked.
    fn link<'a>(
        &'a self,
        key: &'a str,
        lifetime: Duration,
        now: OffsetDateTime,
    ) -> BoxFuture<'a, Result<Link, BucketError>>;

    /// How long after a future was dropped the store may still carry out its request.
    fn lingers(&self) -> Duration;

    /// From where links work.
    fn reach(&self) -> Reach;

    /// How [`Bucket::changes`] learns of changes just now.
    fn change_source(&self) -> ChangeSource;

    /// Tries every way to learn of changes under `prefix`, and says which one works and why not another. It takes nothing
    /// away from whoever follows the changes.
    fn find_change_source<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, ChangeReport> {
        // Where there is only one way there is nothing to try.
        let _same_everywhere = prefix;
        std::future::ready(ChangeReport::of(self.change_source())).boxed()
    }

    /// What is wrong with a way to learn of changes that somebody set up, each time that something is. Ends with the bucket.
    fn change_troubles(&self) -> BoxStream<'static, ErrorReport> {
        // Where nobody set up anything nothing of that kind can go wrong.
        stream::empty().boxed()
    }

    /// An item whenever something under `prefix` may have appeared, changed or gone away: list again. The first item
    /// comes at once, so that nothing is missed between a listing and the start of the watch. Never ends by itself.
    fn changes(self: Arc<Self>, prefix: String) -> BoxStream<'static, ()>;
}

/// Signed links cannot last longer (AWS Signature Version 4), and what cannot is the same for every bucket.
const LONGEST_LINK: Duration = Duration::from_secs(7 * 24 * 3600);

/// Whether a link can be made for this long.
pub(crate) fn check_lifetime(lifetime: Duration) -> Result<(), BucketError> {
    if (Duration::from_secs(1)..=LONGEST_LINK).contains(&lifetime) {
        return Ok(());
    }
    Err(BucketError::InvalidLifetime(format!("{} seconds", lifetime.as_secs())))
}

pub(crate) fn link(address: String, expires: OffsetDateTime) -> Result<Link, BucketError> {
    let expires_at = expires
        .format(&time::format_description::well_known::Rfc3339)
        .map_err(|error| BucketError::InvalidLifetime(error.to_string()))?;
    Ok(Link { link: address, expires_at })
}
