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
use time::macros::datetime;
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

/// What happens to one request, whichever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is lost.
    Lost,
    /// It is carried out, but the answer is lost.
    AnswerLost,
    /// It gets no answer and is lost when nobody waits any more, as if the program had died before.
    HangsBefore,
    /// It is carried out, and then there is no answer until nobody waits any more, as if the program had died after.
    HangsAfter,
}

struct Object {
    content: Bytes,
    owner: Option<RecordingId>,
    version: u64,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    fates: VecDeque<Fate>,
    /// Keys in the order in which they were written.
    writes: Vec<String>,
    uploads: usize,
    down: bool,
    requests: usize,
    /// The number of the request that goes wrong, from 1.
    fault: Option<(usize, Fault)>,
    /// Counts versions of objects.
    versions: u64,
    discarded_uploads: Vec<String>,
    /// Keys in the order in which their content was asked for.
    reads: Vec<String>,
    /// Objects can be listed and not read.
    unreadable: bool,
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

    /// The request of this number, counted from now and from 1, goes wrong.
    pub(crate) fn set_fault(&self, request: usize, fault: Fault) {
        let mut state = self.state.lock().unwrap();
        (state.requests, state.fault) = (0, Some((request, fault)));
    }

    /// Whether the request that was to go wrong has come. If not, it goes well from here on.
    pub(crate) fn fault_happened(&self) -> bool {
        self.state.lock().unwrap().fault.take().is_none()
    }

    pub(crate) fn discarded_uploads(&self) -> Vec<String> {
        self.state.lock().unwrap().discarded_uploads.clone()
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.state.lock().unwrap().down = down;
    }

    pub(crate) fn set_unreadable(&self, unreadable: bool) {
        self.state.lock().unwrap().unreadable = unreadable;
    }

    /// What was read since the last call.
    pub(crate) fn take_reads(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().reads)
    }

    pub(crate) fn put_foreign(&self, key: &str, content: &'static [u8]) {
        self.put_content(key, Bytes::from_static(content));
    }

    pub(crate) fn put_content(&self, key: &str, content: Bytes) {
        let mut state = self.state.lock().unwrap();
        state.versions += 1;
        let object = Object { content, owner: None, version: state.versions };
        state.objects.insert(key.into(), object);
    }

    pub(crate) fn content(&self, key: &str) -> Option<Bytes> {
        self.state.lock().unwrap().objects.get(key).map(|object| object.content.clone())
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

    /// One request: the fault, if it is this one's, and what it does.
    async fn request<T>(&self, work: impl FnOnce(&mut State) -> Result<T, BucketError>) -> Result<T, BucketError> {
        let (result, fault) = {
            let mut state = self.state.lock().unwrap();
            state.requests += 1;
            let number = state.requests;
            let fault = state.fault.take_if(|(at, _)| *at == number).map(|(_, fault)| fault);
            let result = match fault {
                _ if state.down => Err(unreachable()),
                Some(Fault::Lost | Fault::HangsBefore) => Err(unreachable()),
                Some(Fault::AnswerLost | Fault::HangsAfter) | None => work(&mut state),
            };
            (result, fault)
        };
        match fault {
            None => result,
            Some(Fault::Lost | Fault::AnswerLost) => Err(unreachable()),
            Some(Fault::HangsBefore | Fault::HangsAfter) => {
                self.hanging.notify_one();
                std::future::pending().await
            }
        }
    }
}

fn unreachable() -> BucketError {
    BucketError::Unreachable("as told".into())
}

fn info(key: &str, object: &Object) -> ObjectInfo {
    ObjectInfo {
        key: key.into(),
        size: object.content.len() as u64,
        modified: datetime!(2026-12-01 0:00 UTC),
        etag: object.version.to_string(),
    }
}

impl State {
    fn put(
        &mut self,
        key: &str,
        content: Bytes,
        owner: Option<RecordingId>,
        mode: PutMode<'_>,
    ) -> Result<ObjectInfo, BucketError> {
        let there = self.objects.get(key);
        match mode {
            PutMode::CreateNew if there.is_some() => return Err(BucketError::AlreadyExists { key: key.into() }),
            PutMode::ReplaceVersion(etag) if there.is_none_or(|there| there.version.to_string() != etag) => {
                return Err(BucketError::Changed { key: key.into() });
            }
            _ => {}
        }
        self.versions += 1;
        let object = Object { content, owner, version: self.versions };
        let info = info(key, &object);
        self.objects.insert(key.into(), object);
        self.writes.push(key.into());
        Ok(info)
    }
}

impl Bucket for FakeBucket {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<ObjectInfo>, BucketError>> {
        async move {
            self.request(|state| {
                let below = state.objects.iter().filter(|(key, _)| key.starts_with(prefix));
                Ok(below.map(|(key, object)| info(key, object)).collect())
            })
            .await
        }
        .boxed()
    }

    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<ObjectInfo>, BucketError>> {
        async move { self.request(|state| Ok(state.objects.get(key).map(|object| info(key, object)))).await }.boxed()
    }

    fn get<'a>(&'a self, key: &'a str, _limit: u64) -> BoxFuture<'a, Result<Bytes, BucketError>> {
        async move {
            self.request(|state| {
                state.reads.push(key.into());
                if state.unreadable {
                    return Err(unreachable());
                }
                let found = state.objects.get(key).map(|object| object.content.clone());
                found.ok_or_else(|| BucketError::NotFound { key: key.into() })
            })
            .await
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
            let fate = {
                let mut state = self.state.lock().unwrap();
                state.uploads += 1;
                state.fates.pop_front()
            };
            match fate {
                None => self.request(|state| state.put(upload.key, content, owner, upload.mode)).await,
                Some(Fate::Unreachable) => Err(unreachable()),
                Some(Fate::AnswerLost) => {
                    self.request(|state| state.put(upload.key, content, owner, upload.mode)).await?;
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
            let content = std::fs::read(upload.path).unwrap();
            let same = |object: &Object| object.owner == Some(upload.recording) && object.content == content;
            self.request(|state| Ok(state.objects.get(upload.key).is_some_and(same))).await
        }
        .boxed()
    }

    fn owner<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<RecordingId>, BucketError>> {
        async move { self.request(|state| Ok(state.objects.get(key).and_then(|object| object.owner))).await }.boxed()
    }

    fn discard_unfinished<'a>(
        &'a self,
        key: &'a str,
        _recording: RecordingId,
    ) -> BoxFuture<'a, Result<(), BucketError>> {
        async move {
            self.request(|state| {
                state.discarded_uploads.push(key.into());
                Ok(())
            })
            .await
        }
        .boxed()
    }

    fn put_bytes<'a>(
        &'a self,
        key: &'a str,
        content: Bytes,
        mode: PutMode<'a>,
    ) -> BoxFuture<'a, Result<ObjectInfo, BucketError>> {
        async move { self.request(|state| state.put(key, content, None, mode)).await }.boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), BucketError>> {
        async move {
            self.request(|state| {
                state.objects.remove(key);
                Ok(())
            })
            .await
        }
        .boxed()
    }

    fn lingers(&self) -> Duration {
        Duration::from_millis(5)
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
