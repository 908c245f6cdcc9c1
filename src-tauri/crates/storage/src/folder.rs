//! A bucket in a local folder: works with nothing configured.

mod path;
mod place;
mod watch;
mod write;

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::BoxStream;
use roomtone_disk::{SystemDisk, create_dirs};
use roomtone_protocol::catalog::{Link, Reach};
use roomtone_protocol::{FileLinkKey, RecordingId};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use self::place::Target;
use self::watch::FolderWatcher;
use crate::address::percent_encode;
use crate::bucket::{check_lifetime, link};
use crate::changes::{self, Pace, Standing};
use crate::off_thread::off_thread;
use crate::{Bucket, BucketError, ChangeReport, ChangeSource, FileUpload, ObjectInfo, Progress, PutMode};

/// How often the folder is listed although its watcher saw nothing: watchers miss changes on network drives, and when
/// the system runs out of watches.
const BACKSTOP: Duration = Duration::from_secs(10);

/// Where links to a folder's objects lead: a relay that serves them.
#[derive(Debug, Clone)]
pub struct FileLinks {
    /// The relay's address as people reach it, without a slash at the end.
    pub base_url: String,
    /// Signs; the relay holds the same.
    pub key: FileLinkKey,
    /// [`Reach::HostOnly`] where only this computer can reach `base_url`.
    pub reach: Reach,
}

/// Objects are files below a root folder, keys their paths. `.roomtone` folders are Roomtone's own.
#[derive(Debug)]
pub struct FolderBucket {
    root: PathBuf,
    links: FileLinks,
    /// Whether the watcher works.
    standing: Arc<Standing>,
}

impl FolderBucket {
    /// Opens the folder, makes it if needed, and removes what interrupted writes left behind.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub async fn open(root: impl Into<PathBuf>, links: FileLinks) -> Result<Self, BucketError> {
        let root = root.into();
        off_thread(move || {
            create_dirs(&SystemDisk, &root).map_err(|error| BucketError::io(&root, error))?;
            // Watchers report real paths: with the root resolved once, theirs and ours agree.
            let root = root.canonicalize().map_err(|error| BucketError::io(&root, error))?;
            place::prepare(&root)?;
            Ok(Self { root, links, standing: Arc::default() })
        })
        .await
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file of a key; a root that is gone (an unplugged drive) is never made anew.
    fn locate(&self, key: &str) -> Result<PathBuf, BucketError> {
        if !self.root.is_dir() {
            return Err(BucketError::Unreachable(format!("the folder {} is not there", self.root.display())));
        }
        path::of_key(&self.root, key)
    }
}

/// What a file is as an object.
fn info(key: String, metadata: &fs::Metadata) -> Result<ObjectInfo, io::Error> {
    let modified = OffsetDateTime::from(metadata.modified()?);
    let etag = format!("{:x}-{:x}", metadata.len(), modified.unix_timestamp_nanos());
    Ok(ObjectInfo { key, size: metadata.len(), modified, etag })
}

fn head(path: &Path, key: &str) -> Result<Option<ObjectInfo>, BucketError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => {
            info(key.to_owned(), &metadata).map(Some).map_err(|error| BucketError::io(path, error))
        }
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(BucketError::io(path, error)),
    }
}

fn get(path: &Path, key: &str, limit: u64) -> Result<Bytes, BucketError> {
    if head(path, key)?.is_none() {
        return Err(BucketError::NotFound { key: key.to_owned() });
    }
    let mut content = Vec::new();
    let file = fs::File::open(path).map_err(|error| BucketError::io(path, error))?;
    file.take(limit.saturating_add(1)).read_to_end(&mut content).map_err(|error| BucketError::io(path, error))?;
    if content.len() as u64 > limit {
        return Err(BucketError::TooLarge { key: key.to_owned(), limit });
    }
    Ok(content.into())
}

impl Bucket for FolderBucket {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<ObjectInfo>, BucketError>> {
        let (root, prefix) = (self.root.clone(), prefix.to_owned());
        off_thread(move || path::list(&root, &prefix)).boxed()
    }

    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<ObjectInfo>, BucketError>> {
        async move {
            let (path, key) = (self.locate(key)?, key.to_owned());
            off_thread(move || head(&path, &key)).await
        }
        .boxed()
    }

    fn get<'a>(&'a self, key: &'a str, limit: u64) -> BoxFuture<'a, Result<Bytes, BucketError>> {
        async move {
            let (path, key) = (self.locate(key)?, key.to_owned());
            off_thread(move || get(&path, &key, limit)).await
        }
        .boxed()
    }

    fn put_file<'a>(
        &'a self,
        upload: FileUpload<'a>,
        progress: Progress,
    ) -> BoxFuture<'a, Result<ObjectInfo, BucketError>> {
        async move {
            let target = Target::new(&self.root, self.locate(upload.key)?, upload.key, upload.mode);
            let source = upload.path.to_owned();
            let cancelled = CancellationToken::new();
            let _cancel_when_dropped = cancelled.clone().drop_guard();
            off_thread(move || write::copy_file(&target, &source, &progress, &cancelled)).await
        }
        .boxed()
    }

    fn holds<'a>(&'a self, upload: FileUpload<'a>) -> BoxFuture<'a, Result<bool, BucketError>> {
        async move {
            let (object, source) = (self.locate(upload.key)?, upload.path.to_owned());
            off_thread(move || write::same_content(&object, &source)).await
        }
        .boxed()
    }

    fn owner<'a>(&'a self, _key: &'a str) -> BoxFuture<'a, Result<Option<RecordingId>, BucketError>> {
        // A file says nothing about itself but its content.
        std::future::ready(Ok(None)).boxed()
    }

    fn discard_unfinished<'a>(
        &'a self,
        _key: &'a str,
        _recording: RecordingId,
    ) -> BoxFuture<'a, Result<(), BucketError>> {
        // An unfinished copy is removed by whoever was making it, or by the next start.
        std::future::ready(Ok(())).boxed()
    }

    fn put_bytes<'a>(
        &'a self,
        key: &'a str,
        content: Bytes,
        mode: PutMode<'a>,
    ) -> BoxFuture<'a, Result<ObjectInfo, BucketError>> {
        async move {
            let target = Target::new(&self.root, self.locate(key)?, key, mode);
            let cancelled = CancellationToken::new();
            let _cancel_when_dropped = cancelled.clone().drop_guard();
            off_thread(move || write::put_bytes(&target, &content, &cancelled)).await
        }
        .boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), BucketError>> {
        async move {
            let (root, path) = (self.root.clone(), self.locate(key)?);
            off_thread(move || write::delete(&root, &path)).await
        }
        .boxed()
    }

    fn link<'a>(
        &'a self,
        key: &'a str,
        lifetime: Duration,
        now: OffsetDateTime,
    ) -> BoxFuture<'a, Result<Link, BucketError>> {
        async move {
            path::of_key(&self.root, key)?;
            check_lifetime(lifetime)?;
            let lifetime = i64::try_from(lifetime.as_secs()).ok();
            let expires = lifetime.and_then(|seconds| now.unix_timestamp().checked_add(seconds));
            let expires = expires.ok_or_else(|| BucketError::InvalidLifetime("not a number of seconds".into()))?;
            let at = OffsetDateTime::from_unix_timestamp(expires)
                .map_err(|error| BucketError::InvalidLifetime(error.to_string()))?;
            let base = self.links.base_url.trim_end_matches('/');
            let signature = self.links.key.sign(key, expires);
            let address = format!("{base}/files/{}?expires={expires}&signature={signature}", percent_encode(key));
            link(address, at)
        }
        .boxed()
    }

    fn lingers(&self) -> Duration {
        // A deletion waits for the write under way, and later ones see that they were cancelled.
        Duration::ZERO
    }

    fn reach(&self) -> Reach {
        self.links.reach
    }

    fn change_source(&self) -> ChangeSource {
        if self.standing.is_connected() {
            ChangeSource::FolderWatcher
        } else {
            ChangeSource::ComparingListings(BACKSTOP)
        }
    }

    fn find_change_source<'a>(&'a self, _prefix: &'a str) -> BoxFuture<'a, ChangeReport> {
        let root = self.root.clone();
        async move {
            let tried = off_thread(move || watch::try_out(&root)).await;
            let comparing = ChangeSource::ComparingListings(BACKSTOP);
            let source = if tried.is_ok() { ChangeSource::FolderWatcher } else { comparing };
            let remarks =
                tried.err().map(|error| format!("the system cannot watch it ({error})")).into_iter().collect();
            ChangeReport { remarks, ..ChangeReport::of(source) }
        }
        .boxed()
    }

    fn changes(self: Arc<Self>, prefix: String) -> BoxStream<'static, ()> {
        let watcher = Arc::new(FolderWatcher { root: self.root.clone() });
        let (pace, standing) = (Pace { alone: BACKSTOP, beside: BACKSTOP }, Arc::clone(&self.standing));
        changes::changes(self, prefix, pace, Some(watcher), standing)
    }
}
