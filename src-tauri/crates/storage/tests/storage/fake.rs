//! A bucket in memory that fails as told. For tests only.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use roomtone_protocol::RecordingId;
use roomtone_protocol::catalog::{Link, Reach};
use roomtone_storage::{Bucket, BucketError, ChangeSource, FileUpload, ObjectInfo, Operation, Progress, PutMode};
use time::OffsetDateTime;
use tokio::sync::Notify;

/// What happens to the next upload of a file.
pub(crate) enum Fate {
    /// Nothing arrives.
    Unreachable,
    /// It arrives, but the answer is lost.
    AnswerLost,
    /// It is on its way for ever.
    Hangs,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, (Bytes, Option<RecordingId>)>,
    fates: VecDeque<Fate>,
    /// Keys in the order in which they were written.
    writes: Vec<String>,
    uploads: usize,
    down: bool,
}

#[derive(Default)]
pub(crate) struct FakeBucket {
    state: Mutex<State>,
    pub(crate) hanging: Notify,
}

impl FakeBucket {
    pub(crate) fn with_fates(fates: impl IntoIterator<Item = Fate>) -> Arc<Self> {
        let fake = Self::default();
        fake.state.lock().unwrap().fates.extend(fates);
        Arc::new(fake)
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.state.lock().unwrap().down = down;
    }

    pub(crate) fn put_foreign(&self, key: &str, content: &'static [u8]) {
        self.state.lock().unwrap().objects.insert(key.into(), (Bytes::from_static(content), None));
    }

    pub(crate) fn content(&self, key: &str) -> Option<Bytes> {
        self.state.lock().unwrap().objects.get(key).map(|(content, _)| content.clone())
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.state.lock().unwrap().objects.keys().cloned().collect()
    }

    pub(crate) fn writes(&self) -> Vec<String> {
        self.state.lock().unwrap().writes.clone()
    }

    pub(crate) fn uploads(&self) -> usize {
        self.state.lock().unwrap().uploads
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> Result<T, BucketError>) -> Result<T, BucketError> {
        let mut state = self.state.lock().unwrap();
        if state.down { Err(unreachable()) } else { work(&mut state) }
    }
}

fn unreachable() -> BucketError {
    BucketError::Unreachable("as told".into())
}

fn info(key: &str, content: &Bytes) -> ObjectInfo {
    let etag =
        content.iter().fold(content.len() as u64, |hash, byte| hash.wrapping_mul(31).wrapping_add((*byte).into()));
    ObjectInfo {
        key: key.into(),
        size: content.len() as u64,
        modified: OffsetDateTime::UNIX_EPOCH,
        etag: etag.to_string(),
    }
}

impl State {
    fn put(
        &mut self,
        key: &str,
        content: Bytes,
        owner: Option<RecordingId>,
        mode: PutMode,
    ) -> Result<ObjectInfo, BucketError> {
        if mode == PutMode::CreateNew && self.objects.contains_key(key) {
            return Err(BucketError::AlreadyExists { key: key.into() });
        }
        let object = info(key, &content);
        self.objects.insert(key.into(), (content, owner));
        self.writes.push(key.into());
        Ok(object)
    }
}

impl Bucket for FakeBucket {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<ObjectInfo>, BucketError>> {
        async move {
            self.with(|state| {
                let below = state.objects.iter().filter(|(key, _)| key.starts_with(prefix));
                Ok(below.map(|(key, (content, _))| info(key, content)).collect())
            })
        }
        .boxed()
    }

    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<ObjectInfo>, BucketError>> {
        async move { self.with(|state| Ok(state.objects.get(key).map(|(content, _)| info(key, content)))) }.boxed()
    }

    fn get<'a>(&'a self, key: &'a str, _limit: u64) -> BoxFuture<'a, Result<Bytes, BucketError>> {
        async move {
            self.with(|state| {
                let found = state.objects.get(key).map(|(content, _)| content.clone());
                found.ok_or_else(|| BucketError::NotFound { key: key.into() })
            })
        }
        .boxed()
    }

    fn put_file<'a>(
        &'a self,
        upload: FileUpload<'a>,
        progress: Progress,
    ) -> BoxFuture<'a, Result<ObjectInfo, BucketError>> {
        async move {
            drop(progress);
            let content = Bytes::from(std::fs::read(upload.path).unwrap());
            let owner = Some(upload.recording);
            let fate = self.with(|state| {
                state.uploads += 1;
                Ok(state.fates.pop_front())
            })?;
            match fate {
                None => self.with(|state| state.put(upload.key, content, owner, upload.mode)),
                Some(Fate::Unreachable) => Err(unreachable()),
                Some(Fate::AnswerLost) => {
                    self.with(|state| state.put(upload.key, content, owner, upload.mode))?;
                    Err(unreachable())
                }
                Some(Fate::Hangs) => {
                    self.hanging.notify_one();
                    std::future::pending().await
                }
            }
        }
        .boxed()
    }

    fn holds<'a>(&'a self, upload: FileUpload<'a>) -> BoxFuture<'a, Result<bool, BucketError>> {
        async move {
            self.with(|state| {
                Ok(state.objects.get(upload.key).is_some_and(|(_, owner)| *owner == Some(upload.recording)))
            })
        }
        .boxed()
    }

    fn put_bytes<'a>(
        &'a self,
        key: &'a str,
        content: Bytes,
        mode: PutMode,
    ) -> BoxFuture<'a, Result<ObjectInfo, BucketError>> {
        async move { self.with(|state| state.put(key, content, None, mode)) }.boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), BucketError>> {
        async move {
            self.with(|state| {
                state.objects.remove(key);
                Ok(())
            })
        }
        .boxed()
    }

    fn link<'a>(
        &'a self,
        key: &'a str,
        _lifetime: Duration,
        _now: OffsetDateTime,
    ) -> BoxFuture<'a, Result<Link, BucketError>> {
        async move { Err(BucketError::Refused { operation: Operation::Read, detail: format!("no links to {key}") }) }
            .boxed()
    }

    fn reach(&self) -> Reach {
        Reach::Everyone
    }

    fn change_source(&self) -> ChangeSource {
        ChangeSource::FolderWatcher
    }

    fn changes(self: Arc<Self>, _prefix: String) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }
}
