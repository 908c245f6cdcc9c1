//! Uploads in one request, the choice between one and many, and the check afterwards.

use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use roomtone_protocol::RecordingId;

use super::errors::{self, Operation};
use super::plan::LEAST_PART;
use super::source::{self, Source};
use super::{RECORDING_NOTE, S3Bucket};
use crate::{BucketError, FileUpload, ObjectInfo, Progress, PutMode};

/// The slowest link that an upload is expected to get through, in bytes a second. Below it, no answer counts as none.
const SLOWEST: u64 = 16 * 1024;

/// What an upload of nothing may take.
const LEAST_PATIENCE: Duration = Duration::from_secs(60);

/// What goes up in one request.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    Bytes(&'a Bytes),
    File(&'a Source, RecordingId),
}

impl Content<'_> {
    fn size(self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(source, _) => source.size,
        }
    }

    async fn md5(self) -> Result<String, BucketError> {
        match self {
            Self::Bytes(bytes) => Ok(source::md5_of(bytes)),
            Self::File(source, _) => source.md5(source.whole()).await,
        }
    }

    async fn body(self) -> Result<ByteStream, BucketError> {
        match self {
            Self::Bytes(bytes) => Ok(ByteStream::from(bytes.clone())),
            Self::File(source, _) => source.body(source.whole()).await,
        }
    }
}

/// How long sending this many bytes may take.
pub(super) fn patience(bytes: u64) -> Duration {
    LEAST_PATIENCE + Duration::from_secs(bytes / SLOWEST)
}

/// Waits for an upload's answer, but not for ever.
pub(super) async fn patiently<T>(bytes: u64, request: impl Future<Output = T>) -> Result<T, BucketError> {
    let patience = patience(bytes);
    tokio::time::timeout(patience, request)
        .await
        .map_err(|_| BucketError::Unreachable(format!("no answer within {} s", patience.as_secs())))
}

impl S3Bucket {
    pub(super) async fn upload(&self, upload: FileUpload<'_>, progress: Progress) -> Result<ObjectInfo, BucketError> {
        let source = Source::open(upload.path).await?;
        let sent = if source.size <= LEAST_PART {
            let content = Content::File(&source, upload.recording);
            let sent = self.put_object(upload.key, upload.mode, content).await;
            sent.inspect(|()| progress.report(source.size, source.size))
        } else {
            self.send_parts(upload, &source, &progress).await
        };
        match sent {
            Ok(()) => self.verify(upload.key, source.size).await,
            // When an answer is lost, the request is repeated and finds what it did the first time.
            Err(error @ BucketError::AlreadyExists { .. }) => match self.look(upload.key).await? {
                Some(found) if found.is_copy(&upload, &source) => Ok(found.object),
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// One PUT. A new object is asked for in two ways: HEAD first, which spares sending what cannot be kept, and
    /// `If-None-Match`, which leaves no moment between, where the store has it.
    pub(super) async fn put_object(&self, key: &str, mode: PutMode, content: Content<'_>) -> Result<(), BucketError> {
        self.check_exists().await?;
        self.check_free(key, mode).await?;
        let md5 = content.md5().await?;
        loop {
            let condition = self.condition(mode);
            let mut request = self.client.put_object().bucket(&self.bucket).key(key);
            request = match content {
                Content::Bytes(_) => request.content_type("application/json"),
                Content::File(_, recording) => {
                    request.content_type("audio/wav").metadata(RECORDING_NOTE, recording.to_string())
                }
            };
            let request = request.content_md5(&md5).set_if_none_match(condition.clone()).body(content.body().await?);
            match patiently(content.size(), request.send()).await? {
                Ok(_) => return Ok(()),
                Err(error) if condition.is_some() && errors::is_taken(&error) => {
                    return Err(BucketError::AlreadyExists { key: key.to_owned() });
                }
                Err(error) if condition.is_some() && errors::lacks_conditions(&error) => self.give_up_conditions(),
                Err(error) => return Err(self.failure(Operation::Write).explain(&error)),
            }
        }
    }

    /// For a new object: whether its key is free.
    pub(super) async fn check_free(&self, key: &str, mode: PutMode) -> Result<(), BucketError> {
        if mode == PutMode::CreateNew && self.look(key).await?.is_some() {
            return Err(BucketError::AlreadyExists { key: key.to_owned() });
        }
        Ok(())
    }

    /// The value of `If-None-Match`, unless the store has said that it knows none.
    pub(super) fn condition(&self, mode: PutMode) -> Option<String> {
        let wanted = mode == PutMode::CreateNew && !self.without_conditions.load(Ordering::Relaxed);
        wanted.then(|| "*".to_owned())
    }

    pub(super) fn give_up_conditions(&self) {
        tracing::info!("the store has no If-None-Match; asking for the object before writing has to do");
        self.without_conditions.store(true, Ordering::Relaxed);
    }

    /// Nothing counts as uploaded before the store itself has told its size.
    pub(super) async fn verify(&self, key: &str, expected: u64) -> Result<ObjectInfo, BucketError> {
        match self.look(key).await? {
            Some(found) if found.object.size == expected => Ok(found.object),
            found => Err(BucketError::Incomplete {
                key: key.to_owned(),
                expected,
                found: found.map_or(0, |found| found.object.size),
            }),
        }
    }
}
