//! Uploads in one request, the choice between one and many, and the check afterwards.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use roomtone_protocol::RecordingId;

use super::body::{Patience, paced};
use super::errors::Operation;
use super::multipart::Signed;
use super::plan::LEAST_PART;
use super::source::{PartContent, Source};
use super::{RECORDING_NOTE, S3Bucket, SHA256_NOTE};
use crate::{BucketError, FileUpload, ObjectInfo, Progress, PutMode};

/// What goes up in one request.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    Bytes(&'a Bytes),
    File(&'a Source, &'a FileUpload<'a>),
}

impl Content<'_> {
    async fn read(self) -> Result<PartContent, BucketError> {
        match self {
            Self::Bytes(bytes) => Ok(PartContent::of_bytes(bytes.clone())),
            Self::File(source, _) => PartContent::read(&source.path, source.whole()).await,
        }
    }
}

/// What the object says about itself.
pub(super) fn notes(recording: RecordingId, sha256: Option<&str>) -> HashMap<String, String> {
    let mut notes = HashMap::from([(RECORDING_NOTE.to_owned(), recording.to_string())]);
    notes.extend(sha256.map(|hash| (SHA256_NOTE.to_owned(), hash.to_owned())));
    notes
}

/// Waits for the answer to a request that gives the store work to do, but not for ever.
pub(super) async fn patiently<T>(patience: Duration, request: impl Future<Output = T>) -> Result<T, BucketError> {
    tokio::time::timeout(patience, request)
        .await
        .map_err(|_| BucketError::Unreachable(format!("no answer within {} s", patience.as_secs())))
}

impl S3Bucket {
    pub(super) async fn upload(&self, upload: FileUpload<'_>, progress: Progress) -> Result<ObjectInfo, BucketError> {
        let source = Source::open(upload.path).await?;
        let sent = if source.size <= LEAST_PART {
            // It may have been longer while it grew.
            self.discard(upload.key, upload.recording).await?;
            let content = Content::File(&source, &upload);
            let sent = self.put_object(upload.key, upload.mode, content).await;
            sent.inspect(|()| progress.report(source.size, source.size))
        } else {
            self.send_parts(upload, &source, &progress).await
        };
        match sent {
            Ok(()) => self.verify(upload.key, source.size).await,
            // When an answer is lost, the request is repeated and finds what it did the first time.
            Err(error @ (BucketError::AlreadyExists { .. } | BucketError::Changed { .. })) => {
                match self.look(upload.key).await? {
                    Some(found) if found.is_copy(&upload, &source) => Ok(found.object),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// One PUT. What is there is asked for in two ways: HEAD first, which spares sending what cannot be kept, and a
    /// condition on the request, which leaves no moment between, where the store has it.
    pub(super) async fn put_object(
        &self,
        key: &str,
        mode: PutMode<'_>,
        content: Content<'_>,
    ) -> Result<(), BucketError> {
        self.check_exists().await?;
        self.check_place(key, mode).await?;
        let read = content.read().await?;
        let md5 = read.content_md5();
        loop {
            let condition = self.condition(mode);
            let mut request = self.client.put_object().bucket(&self.bucket).key(key);
            request = match content {
                Content::Bytes(_) => request.content_type("application/json"),
                Content::File(_, upload) => {
                    request.content_type("audio/wav").set_metadata(Some(notes(upload.recording, upload.sha256)))
                }
            };
            request = request.set_if_none_match(condition.if_none_match()).set_if_match(condition.if_match());
            let patience = Patience::new();
            let request =
                request.content_md5(&md5).body(paced(&read.bytes, &[&self.gate], &patience, &Progress::none()));
            match patience.with(request.customize().interceptor(Signed(read.sha256())).send()).await? {
                Ok(_) => return Ok(()),
                Err(error) => match condition.unmet(&error, key) {
                    Some(unmet) => return Err(unmet),
                    None if self.gives_up(&condition, &error) => {}
                    None => return Err(self.failure(Operation::Write).explain(&error)),
                },
            }
        }
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
