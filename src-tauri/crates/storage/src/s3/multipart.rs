//! Uploads in parts, which go on where they were interrupted.

use std::collections::BTreeMap;

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use roomtone_protocol::RecordingId;

use super::condition::Condition;
use super::errors::{self, Operation};
use super::ledger::{Ledger, Part, Subject};
use super::plan::{self, PartRange};
use super::source::Source;
use super::upload::{notes, patiently};
use super::{S3Bucket, bounded, etag, size};
use crate::{BucketError, FileUpload, Progress, PutMode};

/// Parts under way at the same time.
const PARALLEL: usize = 4;

/// How an attempt ended that was not cut off.
enum Outcome {
    /// The object is there.
    Complete,
    /// The store knows nothing of the upload, or of its parts: begin anew from the local file.
    Lost,
}

/// What the store says about the parts it has.
enum Held {
    Parts(BTreeMap<i32, Part>),
    /// It gave no answer that could be read.
    Unknown,
    /// It does not know the upload.
    NoSuchUpload,
}

impl S3Bucket {
    pub(super) async fn send_parts(
        &self,
        upload: FileUpload<'_>,
        source: &Source,
        progress: &Progress,
    ) -> Result<(), BucketError> {
        let part_size = plan::part_size(source.size);
        let subject = Subject::new(&self.store, &self.bucket, upload.key, upload.recording, source, part_size);
        let mut begun_anew = false;
        loop {
            let opened = Ledger::open(&self.ledgers, subject.clone()).await?;
            if let Some(outdated) = opened.outdated {
                self.abort_or_leave(upload.key, &outdated).await;
            }
            let mut ledger = opened.ledger;
            match self.attempt(upload, source, part_size, &mut ledger, progress).await {
                Ok(Outcome::Complete) => return ledger.remove(),
                Ok(Outcome::Lost) if begun_anew => {
                    return Err(BucketError::Refused {
                        operation: Operation::Write,
                        detail: "the store loses its uploads in parts".into(),
                    });
                }
                Ok(Outcome::Lost) => {
                    tracing::info!("the store no longer has the upload; beginning anew from the local file");
                    begun_anew = true;
                    ledger.remove()?;
                }
                // The place is somebody else's; these parts will never be needed.
                Err(error @ (BucketError::AlreadyExists { .. } | BucketError::Changed { .. })) => {
                    if let Some(id) = &ledger.upload {
                        self.abort_or_leave(upload.key, id).await;
                    }
                    ledger.remove()?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn attempt(
        &self,
        upload: FileUpload<'_>,
        source: &Source,
        part_size: u64,
        ledger: &mut Ledger,
        progress: &Progress,
    ) -> Result<Outcome, BucketError> {
        let id = match ledger.upload.clone() {
            Some(id) => {
                match self.held(upload.key, &id).await? {
                    Held::NoSuchUpload => return Ok(Outcome::Lost),
                    Held::Parts(held) => ledger.parts.retain(|number, part| held.get(number) == Some(part)),
                    // The ledger holds only what the store has confirmed; completing checks it once more.
                    Held::Unknown => {}
                }
                id
            }
            None => {
                self.check_exists().await?;
                self.check_place(upload.key, upload.mode).await?;
                let id = self.create(&upload).await?;
                ledger.begin(id.clone()).await?;
                id
            }
        };
        if !self.send_missing(&upload, &id, source, part_size, ledger, progress).await? {
            return Ok(Outcome::Lost);
        }
        source.check_unchanged().await?;
        self.complete(&upload, &id, &ledger.parts).await
    }

    async fn create(&self, upload: &FileUpload<'_>) -> Result<String, BucketError> {
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(upload.key)
            .content_type("audio/wav")
            .set_metadata(Some(notes(upload)));
        let created = bounded(request.send()).await?.map_err(|error| self.failure(Operation::Write).explain(&error))?;
        created.upload_id().map(ToOwned::to_owned).ok_or_else(|| BucketError::Refused {
            operation: Operation::Write,
            detail: "the store began an upload without an id".into(),
        })
    }

    /// Asks the store which parts it has.
    async fn held(&self, key: &str, id: &str) -> Result<Held, BucketError> {
        let request = self.client.list_parts().bucket(&self.bucket).key(key).upload_id(id);
        let mut pages = request.into_paginator().send();
        let mut parts = BTreeMap::new();
        while let Some(page) = bounded(pages.next()).await? {
            match page {
                Ok(page) => parts.extend(page.parts().iter().filter_map(|part| {
                    Some((part.part_number()?, Part { size: size(part.size()), etag: etag(part.e_tag()) }))
                })),
                Err(error) if errors::upload_is_lost(&error) => return Ok(Held::NoSuchUpload),
                Err(error) if matches!(error, SdkError::ServiceError(_) | SdkError::ResponseError(_)) => {
                    let error = self.failure(Operation::ListParts).explain(&error);
                    tracing::warn!(%error, "the store does not say which parts it has; trusting the ledger");
                    return Ok(Held::Unknown);
                }
                Err(error) => return Err(self.failure(Operation::ListParts).explain(&error)),
            }
        }
        Ok(Held::Parts(parts))
    }

    /// Sends what the ledger lacks; false if the store no longer knows the upload.
    async fn send_missing(
        &self,
        upload: &FileUpload<'_>,
        id: &str,
        source: &Source,
        part_size: u64,
        ledger: &mut Ledger,
        progress: &Progress,
    ) -> Result<bool, BucketError> {
        let mut confirmed: u64 = ledger.parts.values().map(|part| part.size).sum();
        progress.report(confirmed, source.size);
        let missing: Vec<PartRange> = plan::parts(source.size, part_size)
            .filter(|range| ledger.parts.get(&range.number).is_none_or(|part| part.size != range.length))
            .collect();
        let mut sent = stream::iter(missing)
            .map(|range| async move { Ok((range, self.put_part(upload, id, source, range).await?)) })
            .buffer_unordered(PARALLEL);
        while let Some((range, part)) = sent.try_next().await? {
            let Some(part) = part else { return Ok(false) };
            ledger.confirm(range.number, part).await?;
            confirmed += range.length;
            progress.report(confirmed, source.size);
        }
        Ok(true)
    }

    /// Copies or sends one part; none if the store no longer knows the upload.
    async fn put_part(
        &self,
        upload: &FileUpload<'_>,
        id: &str,
        source: &Source,
        range: PartRange,
    ) -> Result<Option<Part>, BucketError> {
        match self.copy_part(upload, id, range).await? {
            Some(part) => Ok(Some(part)),
            None => self.send_part(upload.key, id, source, range).await,
        }
    }

    async fn send_part(
        &self,
        key: &str,
        id: &str,
        source: &Source,
        range: PartRange,
    ) -> Result<Option<Part>, BucketError> {
        let request = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(id)
            .part_number(range.number)
            .content_md5(source.md5(range).await?)
            .body(source.body(range).await?);
        match patiently(range.length, request.send()).await? {
            Ok(answer) => Ok(Some(Part { size: range.length, etag: etag(answer.e_tag()) })),
            Err(error) if errors::upload_is_lost(&error) => Ok(None),
            Err(error) => Err(self.failure(Operation::Write).explain(&error)),
        }
    }

    async fn complete(
        &self,
        upload: &FileUpload<'_>,
        id: &str,
        parts: &BTreeMap<i32, Part>,
    ) -> Result<Outcome, BucketError> {
        let parts = parts.iter().map(|(number, part)| {
            CompletedPart::builder().part_number(*number).e_tag(format!("\"{}\"", part.etag)).build()
        });
        let whole = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        loop {
            let condition = self.condition(upload.mode);
            // Stores may also pass over `If-Match` without a word.
            if condition == Condition::Absent || matches!(upload.mode, PutMode::ReplaceVersion(_)) {
                self.check_place(upload.key, upload.mode).await?;
            }
            let request = self
                .client
                .complete_multipart_upload()
                .bucket(&self.bucket)
                .key(upload.key)
                .upload_id(id)
                .set_if_none_match(condition.if_none_match())
                .set_if_match(condition.if_match())
                .multipart_upload(whole.clone());
            // Stores may put the parts together before they answer: as patient as with the whole upload's tail.
            match patiently(plan::LEAST_PART, request.send()).await? {
                Ok(_) => return Ok(Outcome::Complete),
                Err(error) => match condition.unmet(&error, upload.key) {
                    Some(unmet) => return Err(unmet),
                    None if self.gives_up(&condition, &error) => {}
                    None if errors::upload_is_lost(&error) => return Ok(Outcome::Lost),
                    None => return Err(self.failure(Operation::Write).explain(&error)),
                },
            }
        }
    }

    /// Discards an upload that is of no use. Parts that stay behind cost money and nothing else: a failure is told in
    /// the log only.
    async fn abort_or_leave(&self, key: &str, id: &str) {
        if let Err(error) = self.abort(key, id).await {
            tracing::warn!(%error, "an unfinished upload stays in the bucket");
        }
    }

    async fn abort(&self, key: &str, id: &str) -> Result<(), BucketError> {
        let request = self.client.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(id);
        match bounded(request.send()).await? {
            Ok(_) => Ok(()),
            Err(error) if errors::upload_is_lost(&error) => Ok(()),
            Err(error) => Err(self.failure(Operation::AbortUpload).explain(&error)),
        }
    }

    /// Discards this recording's upload to the key, if one was begun and not completed.
    pub(super) async fn discard(&self, key: &str, recording: RecordingId) -> Result<(), BucketError> {
        let Some(ledger) = Ledger::find(&self.ledgers, (&self.store, &self.bucket, key), recording).await? else {
            return Ok(());
        };
        if let Some(id) = &ledger.upload {
            self.abort(key, id).await?;
        }
        ledger.remove()
    }
}
