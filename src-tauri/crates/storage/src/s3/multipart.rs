//! The requests of an upload in parts.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{BoxError, SdkError};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use roomtone_protocol::RecordingId;

use super::body::{Gate, Patience, paced};
use super::condition::Condition;
use super::errors::{self, Operation};
use super::ledger::{Ledger, Part};
use super::plan::PartRange;
use super::source::PartContent;
use super::upload::patiently;
use super::{S3Bucket, bounded, etag, size};
use crate::{BucketError, FileUpload, Progress, PutMode};

/// How long a store may take to put parts together before it answers. Asked again, it goes on, or says that it is done.
const PUTTING_TOGETHER: Duration = Duration::from_secs(120);

/// Whether the parts were put together.
pub(super) enum Completed {
    Yes,
    /// The store knows nothing of the upload, or of its parts.
    Lost,
}

/// What the store says about the parts it has.
pub(super) enum Held {
    /// By number; a store may list what was sent before under the same number, in any order.
    Parts(BTreeMap<i32, Vec<Part>>),
    /// It gave no answer that could be read.
    Unknown,
    /// It does not know the upload.
    NoSuchUpload,
}

/// Signs a request with a hash of its body (hexadecimal SHA-256) that is known already: the store refuses other bytes, and
/// nothing is hashed twice.
#[derive(Debug)]
pub(super) struct Signed(pub(super) String);

impl Intercept for Signed {
    fn name(&self) -> &'static str {
        "Signed"
    }

    fn modify_before_signing(
        &self,
        _request: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        settings.interceptor_state().store_put(PayloadSigningOverride::Precomputed(self.0.clone()));
        Ok(())
    }
}

/// What guards the bytes of a part on their way to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    Tls,
    /// `x-amz-checksum-sha256`, of a hash that is known anyway.
    Checksum,
    /// `Content-MD5`, which costs three times as much.
    Md5,
}

impl Held {
    /// Forgets the parts that the store does not have; completing names the version that is meant.
    pub(super) fn keep_held(self, parts: &mut BTreeMap<i32, Part>) {
        if let Self::Parts(held) = self {
            parts.retain(|number, part| held.get(number).is_some_and(|held| held.iter().any(|held| part.is(held))));
        }
    }
}

impl S3Bucket {
    /// Begins an upload of an object with these notes; the store's id of it.
    pub(super) async fn create(&self, key: &str, notes: HashMap<String, String>) -> Result<String, BucketError> {
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .content_type("audio/wav")
            .set_metadata(Some(notes));
        let created = bounded(request.send()).await?.map_err(|error| self.failure(Operation::Write).explain(&error))?;
        created.upload_id().map(ToOwned::to_owned).ok_or_else(|| BucketError::Refused {
            operation: Operation::Write,
            detail: "the store began an upload without an id".into(),
        })
    }

    /// Asks the store which parts it has.
    pub(super) async fn held(&self, key: &str, id: &str) -> Result<Held, BucketError> {
        let request = self.client.list_parts().bucket(&self.bucket).key(key).upload_id(id);
        let mut pages = request.into_paginator().send();
        let mut parts: BTreeMap<i32, Vec<Part>> = BTreeMap::new();
        while let Some(page) = bounded(pages.next()).await? {
            match page {
                Ok(page) => {
                    for part in page.parts() {
                        let held = Part { size: size(part.size()), etag: etag(part.e_tag()), md5: None, sha256: None };
                        parts.entry(part.part_number().unwrap_or_default()).or_default().push(held);
                    }
                }
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

    /// Sends one part; none if the store no longer knows the upload.
    pub(super) async fn send_part(
        &self,
        key: &str,
        id: &str,
        range: PartRange,
        content: &PartContent,
        gates: &[&Gate],
        progress: &Progress,
    ) -> Result<Option<Part>, BucketError> {
        loop {
            let guard = self.guard();
            let patience = Patience::new();
            let request = self
                .client
                .upload_part()
                .bucket(&self.bucket)
                .key(key)
                .upload_id(id)
                .part_number(range.number)
                .set_checksum_sha256((guard == Guard::Checksum).then(|| content.checksum()))
                .set_content_md5((guard == Guard::Md5).then(|| content.content_md5()))
                .body(paced(&content.bytes, gates, &patience, progress))
                .customize()
                .interceptor(Signed(content.sha256()));
            match patience.with(request.send()).await? {
                Ok(answer) => {
                    let part = Part {
                        size: range.length,
                        etag: etag(answer.e_tag()),
                        // One tells how the store names its parts.
                        md5: (range.number == 1).then(|| content.md5()),
                        sha256: Some(content.sha256()),
                    };
                    if guard == Guard::Checksum && answer.checksum_sha256().is_none() {
                        self.passes_over_checksums(content, &part)?;
                    }
                    return Ok(Some(part));
                }
                Err(error) if errors::upload_is_lost(&error) => return Ok(None),
                Err(error) if guard == Guard::Checksum && errors::lacks_checksums(&error) => {
                    tracing::info!("the store has no checksums of parts; MD5 has to do");
                    self.without_checksums.store(true, Ordering::Relaxed);
                }
                Err(error) => return Err(self.failure(Operation::Write).explain(&error)),
            }
        }
    }

    /// What guards the bytes of a part on their way. TLS does; and the signature does, where the store compares it with
    /// what arrives, which not all do.
    fn guard(&self) -> Guard {
        match (self.plain, self.without_checksums.load(Ordering::Relaxed)) {
            (false, _) => Guard::Tls,
            (true, false) => Guard::Checksum,
            (true, true) => Guard::Md5,
        }
    }

    /// The store has taken a part without a look at its checksum: its name must tell.
    fn passes_over_checksums(&self, content: &PartContent, part: &Part) -> Result<(), BucketError> {
        tracing::info!("the store passes over checksums of parts; MD5 has to do");
        self.without_checksums.store(true, Ordering::Relaxed);
        let named_by_md5 = part.etag.len() == 32 && part.etag.bytes().all(|digit| digit.is_ascii_hexdigit());
        if named_by_md5 && part.etag != content.md5() {
            let detail = "a part did not arrive as it was sent".to_owned();
            return Err(BucketError::Refused { operation: Operation::Write, detail });
        }
        Ok(())
    }

    /// Has the parts put together.
    pub(super) async fn complete(
        &self,
        upload: &FileUpload<'_>,
        id: &str,
        parts: &[(i32, &Part)],
    ) -> Result<Completed, BucketError> {
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
            match patiently(PUTTING_TOGETHER, request.send()).await? {
                Ok(_) => return Ok(Completed::Yes),
                Err(error) => match condition.unmet(&error, upload.key) {
                    Some(unmet) => return Err(unmet),
                    None if self.gives_up(&condition, &error) => {}
                    None if errors::upload_is_lost(&error) => return Ok(Completed::Lost),
                    None => return Err(self.failure(Operation::Write).explain(&error)),
                },
            }
        }
    }

    /// Discards an upload that is of no use. Parts that stay behind cost money and nothing else: a failure is told in
    /// the log only.
    pub(super) async fn abort_or_leave(&self, key: &str, id: &str) {
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
