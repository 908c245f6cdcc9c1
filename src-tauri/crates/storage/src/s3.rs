//! A bucket in any S3-compatible store.

mod body;
mod condition;
mod copying;
mod errors;
mod growing;
mod ledger;
mod lifecycle;
mod multipart;
mod notifications;
mod plan;
mod planner;
mod removing;
mod retry;
mod settings;
mod source;
mod throttle;
mod upload;
mod whole;

use std::future::Future;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::DateTime;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::BoxStream;
use roomtone_disk::{SystemDisk, create_dirs};
use roomtone_protocol::catalog::{Kept, Link, Reach};
use roomtone_protocol::{ErrorReport, ParticipantId, RecordingId, attachment};
use time::OffsetDateTime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

pub use self::notifications::{SetupReport, SetupStep};
pub use self::settings::{S3Keys, S3Settings};

use self::errors::{Failure, Operation};
use self::notifications::Notifications;
use self::source::Source;
use crate::bucket::{check_lifetime, link};
use crate::{
    Bucket, BucketError, ChangeReport, ChangeSource, FileUpload, GrowingUpload, Growth, LifecycleReport,
    LifecycleRules, ObjectInfo, Prefix, Progress, PutMode, changes,
};

/// How long a small request may take. The SDK itself waits for ever on a store that accepts and never answers.
const SMALL_REQUEST: Duration = Duration::from_secs(30);

/// How long a store may take to carry out a request that it has in full. A completion that takes longer belongs to an
/// upload in parts, and discarding that makes it fail.
const LINGERS: Duration = Duration::from_secs(10);

/// The note on an object that says whose take it is.
const RECORDING_NOTE: &str = "roomtone-recording";

/// The note on an object that says which version of the take it is.
const SHA256_NOTE: &str = "roomtone-sha256";

/// Objects in a bucket of an S3-compatible store. Keys given to it are whole keys, prefix included.
#[derive(Debug)]
pub struct S3Bucket {
    client: Client,
    bucket: String,
    /// Tells ledgers of different stores apart.
    store: String,
    ledgers: PathBuf,
    notifications: Notifications,
    lacking: condition::Lacking,
    /// The store does not copy parts.
    without_copies: AtomicBool,
    /// The bucket has been seen.
    exists: AtomicBool,
    /// Nothing but the store's own care guards what goes to it.
    plain: bool,
    /// The store does not look at checksums of parts.
    without_checksums: AtomicBool,
    /// Through which everything goes up.
    gate: body::Gate,
}

impl S3Bucket {
    /// Prepares to talk to the store; nothing is sent yet. `ledgers` is a folder of this computer in which the progress
    /// of uploads is kept across restarts.
    ///
    /// # Errors
    /// [`BucketError::InvalidSetting`], and when the folder cannot be made.
    pub async fn connect(settings: S3Settings, ledgers: impl Into<PathBuf>) -> Result<Self, BucketError> {
        settings.check()?;
        let ledgers = ledgers.into();
        create_dirs(&SystemDisk, &ledgers).map_err(|error| BucketError::io(&ledgers, error))?;
        let shared = settings.shared_config().await;
        let client = Client::from_conf(retry::heeding_stores(&settings.client_config(&shared)));
        Ok(Self {
            notifications: Notifications::new(&settings, &shared, &client)?,
            client,
            store: settings.endpoint.clone().unwrap_or_else(|| settings.region.clone()),
            bucket: settings.bucket,
            ledgers,
            lacking: condition::Lacking::default(),
            without_copies: AtomicBool::new(false),
            exists: AtomicBool::new(false),
            plain: settings.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://")),
            without_checksums: AtomicBool::new(false),
            gate: body::Gate::default(),
        })
    }

    /// Lets the bucket tell a queue of `host`'s own of every change under `prefix`: makes the queue, lets the bucket send to
    /// it, and adds it to whom the bucket tells, each where it is not so yet. Nothing else is changed. With `dry_run` it only
    /// says what it would do.
    ///
    /// # Errors
    /// [`BucketError::EventsTaken`], and whatever the store says, with the permission that is missing.
    pub async fn set_up_notifications(
        &self,
        prefix: &Prefix,
        host: ParticipantId,
        dry_run: bool,
    ) -> Result<SetupReport, BucketError> {
        self.notifications.set_up(prefix.as_str(), host, dry_run).await
    }

    fn failure(&self, operation: Operation) -> Failure<'_> {
        Failure { operation, bucket: &self.bucket }
    }

    /// Asked before the first write: some stores make a bucket of any name that is written to, and a slip in the
    /// settings would go unnoticed. Keys that may not list are let through; the write itself will tell.
    async fn check_exists(&self) -> Result<(), BucketError> {
        if self.exists.load(Ordering::Relaxed) {
            return Ok(());
        }
        let list = self.client.list_objects_v2().bucket(&self.bucket).max_keys(1).send();
        match bounded(list).await?.map_err(|error| self.failure(Operation::List).explain(&error)) {
            Ok(_) | Err(BucketError::Denied { .. } | BucketError::Refused { .. }) => {
                self.exists.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// One object with the recording it says it belongs to.
    async fn look(&self, key: &str) -> Result<Option<Found>, BucketError> {
        let asked = self.client.head_object().bucket(&self.bucket).key(key).send();
        match bounded(asked).await? {
            Ok(answer) => Ok(Some(Found {
                recording: answer.metadata().and_then(|notes| notes.get(RECORDING_NOTE)).cloned(),
                sha256: answer.metadata().and_then(|notes| notes.get(SHA256_NOTE)).cloned(),
                object: ObjectInfo {
                    key: key.to_owned(),
                    size: size(answer.content_length()),
                    modified: modified(answer.last_modified()),
                    etag: etag(answer.e_tag()),
                },
            })),
            Err(error) if errors::status(&error) == Some(404) => Ok(None),
            Err(error) if errors::status(&error) == Some(403) => {
                // An answer to HEAD has no body to say why; one to a listing has.
                let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(key).max_keys(1).send();
                bounded(list).await?.map_err(|error| self.failure(Operation::List).explain(&error))?;
                Err(self.failure(Operation::Read).explain(&error))
            }
            Err(error) => Err(self.failure(Operation::Read).explain(&error)),
        }
    }

    async fn list_all(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BucketError> {
        let mut objects = Vec::new();
        let mut pages = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).into_paginator().send();
        while let Some(page) = bounded(pages.next()).await? {
            let page = page.map_err(|error| self.failure(Operation::List).explain(&error))?;
            objects.extend(page.contents().iter().filter_map(|object| {
                // Some stores list folders as empty objects.
                let key = object.key().filter(|key| !key.ends_with('/'))?;
                Some(ObjectInfo {
                    key: key.to_owned(),
                    size: size(object.size()),
                    modified: modified(object.last_modified()),
                    etag: etag(object.e_tag()),
                })
            }));
        }
        objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }

    async fn read(&self, key: &str, limit: u64) -> Result<Bytes, BucketError> {
        let asked = self.client.get_object().bucket(&self.bucket).key(key).send();
        let mut answer = match bounded(asked).await? {
            Ok(answer) => answer,
            Err(error) if errors::status(&error) == Some(404) => {
                return Err(BucketError::NotFound { key: key.to_owned() });
            }
            Err(error) => return Err(self.failure(Operation::Read).explain(&error)),
        };
        let mut content = Vec::new();
        let broken_off = |error| BucketError::Unreachable(format!("the answer broke off: {error}"));
        while let Some(chunk) = bounded(answer.body.try_next()).await?.map_err(broken_off)? {
            content.extend_from_slice(&chunk);
            if content.len() as u64 > limit {
                return Err(BucketError::TooLarge { key: key.to_owned(), limit });
            }
        }
        Ok(content.into())
    }

    async fn sign(&self, key: &str, lifetime: Duration, now: OffsetDateTime) -> Result<Link, BucketError> {
        check_lifetime(lifetime)?;
        let presigning = PresigningConfig::builder()
            .start_time(SystemTime::from(now))
            .expires_in(lifetime)
            .build()
            .map_err(|error| BucketError::InvalidLifetime(error.to_string()))?;
        // Saved under the object's name, whatever a browser would make of its address.
        let asked =
            self.client.get_object().bucket(&self.bucket).key(key).response_content_disposition(attachment(key));
        let request = asked.presigned(presigning).await;
        let request = request.map_err(|error| self.failure(Operation::Read).explain(&error))?;
        link(request.uri().to_owned(), now + lifetime)
    }
}

/// What HEAD tells.
struct Found {
    object: ObjectInfo,
    recording: Option<String>,
    sha256: Option<String>,
}

impl Found {
    /// Whether it is a whole copy of that file, put there for that recording.
    fn is_copy(&self, upload: &FileUpload<'_>, source: &Source) -> bool {
        let same_version = match (upload.sha256, self.sha256.as_deref()) {
            (Some(ours), Some(theirs)) => ours == theirs,
            // Without hashes only a first version can be told: there is no other.
            _ => upload.mode == PutMode::CreateNew,
        };
        same_version && self.object.size == source.size && self.recording == Some(upload.recording.to_string())
    }
}

async fn bounded<T>(request: impl Future<Output = T>) -> Result<T, BucketError> {
    tokio::time::timeout(SMALL_REQUEST, request)
        .await
        .map_err(|_| BucketError::Unreachable(format!("no answer within {} s", SMALL_REQUEST.as_secs())))
}

fn size(length: Option<i64>) -> u64 {
    length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0)
}

fn modified(time: Option<&DateTime>) -> OffsetDateTime {
    time.and_then(|time| OffsetDateTime::from_unix_timestamp_nanos(time.as_nanos()).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Without the quotes, which some answers have and others lack.
fn etag(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}

impl Bucket for S3Bucket {
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<ObjectInfo>, BucketError>> {
        self.list_all(prefix).boxed()
    }

    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<ObjectInfo>, BucketError>> {
        async move { Ok(self.look(key).await?.map(|found| found.object)) }.boxed()
    }

    fn get<'a>(&'a self, key: &'a str, limit: u64) -> BoxFuture<'a, Result<Bytes, BucketError>> {
        self.read(key, limit).boxed()
    }

    fn put_file<'a>(
        &'a self,
        upload: FileUpload<'a>,
        progress: Progress,
    ) -> BoxFuture<'a, Result<ObjectInfo, BucketError>> {
        self.upload(upload, progress).boxed()
    }

    fn limit(&self, bytes_per_s: Option<NonZero<u64>>) {
        self.gate.set(bytes_per_s);
    }

    fn takes_growing(&self) -> bool {
        true
    }

    fn grow<'a>(
        &'a self,
        upload: GrowingUpload<'a>,
        file: UnboundedReceiver<Growth>,
        handed_over: CancellationToken,
    ) -> BoxFuture<'a, Result<(), BucketError>> {
        self.send_growing(upload, file, handed_over).boxed()
    }

    fn holds<'a>(&'a self, upload: FileUpload<'a>) -> BoxFuture<'a, Result<bool, BucketError>> {
        async move {
            let source = Source::open(upload.path).await?;
            Ok(self.look(upload.key).await?.is_some_and(|found| found.is_copy(&upload, &source)))
        }
        .boxed()
    }

    fn owner<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<RecordingId>, BucketError>> {
        async move {
            let note = self.look(key).await?.and_then(|found| found.recording);
            Ok(note.and_then(|note| note.parse().ok()))
        }
        .boxed()
    }

    fn discard_unfinished<'a>(
        &'a self,
        key: &'a str,
        recording: RecordingId,
    ) -> BoxFuture<'a, Result<(), BucketError>> {
        self.discard(key, recording).boxed()
    }

    fn put_bytes<'a>(
        &'a self,
        key: &'a str,
        content: Bytes,
        mode: PutMode<'a>,
    ) -> BoxFuture<'a, Result<ObjectInfo, BucketError>> {
        async move {
            self.put_object(key, mode, upload::Content::Bytes(&content)).await?;
            self.verify(key, content.len() as u64).await
        }
        .boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), BucketError>> {
        self.remove(key).boxed()
    }

    fn kept_of_deleted(&self) -> BoxFuture<'_, Kept> {
        S3Bucket::kept_of_deleted(self).boxed()
    }

    fn lifecycle<'a>(
        &'a self,
        wanted: &'a LifecycleRules,
        apply: bool,
    ) -> BoxFuture<'a, Result<LifecycleReport, BucketError>> {
        self.bring_rules_together(wanted, apply).boxed()
    }

    fn link<'a>(
        &'a self,
        key: &'a str,
        lifetime: Duration,
        now: OffsetDateTime,
    ) -> BoxFuture<'a, Result<Link, BucketError>> {
        self.sign(key, lifetime, now).boxed()
    }

    fn lingers(&self) -> Duration {
        LINGERS
    }

    fn reach(&self) -> Reach {
        Reach::Everyone
    }

    fn change_source(&self) -> ChangeSource {
        self.notifications.source()
    }

    fn find_change_source<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, ChangeReport> {
        self.notifications.find(prefix).boxed()
    }

    fn change_troubles(&self) -> BoxStream<'static, ErrorReport> {
        self.notifications.troubles()
    }

    fn changes(self: Arc<Self>, prefix: String) -> BoxStream<'static, ()> {
        let (source, pace, standing) = self.notifications.parts();
        changes::changes(self, prefix, pace, source, standing)
    }
}
