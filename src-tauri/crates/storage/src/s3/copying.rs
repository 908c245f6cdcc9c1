//! Parts of a new version that did not change are copied inside the store from the version that is replaced.

use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_s3::error::SdkError;

use super::errors::{self, Operation};
use super::ledger::Part;
use super::plan::PartRange;
use super::upload::patiently;
use super::{S3Bucket, etag};
use crate::address::percent_encode;
use crate::{BucketError, FileUpload, PutMode};

/// How long a store may take to copy a part.
const COPYING: Duration = Duration::from_secs(120);

impl S3Bucket {
    /// Copies a part if the version that is replaced has the same bytes there; none: it has to be sent.
    pub(super) async fn copy_part(
        &self,
        upload: &FileUpload<'_>,
        id: &str,
        range: PartRange,
    ) -> Result<Option<Part>, BucketError> {
        let PutMode::ReplaceVersion(version) = upload.mode else { return Ok(None) };
        let end = range.offset + range.length;
        let unchanged = upload.unchanged.iter().any(|same| same.start <= range.offset && end <= same.end);
        if !unchanged || self.without_copies.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let request = self
            .client
            .upload_part_copy()
            .bucket(&self.bucket)
            .key(upload.key)
            .upload_id(id)
            .part_number(range.number)
            .copy_source(format!("{}/{}", self.bucket, percent_encode(upload.key)))
            .copy_source_range(format!("bytes={}-{}", range.offset, end - 1))
            // Never a mix of two versions.
            .copy_source_if_match(format!("\"{version}\""));
        match patiently(COPYING, request.send()).await? {
            Ok(answer) => {
                let copied = answer.copy_part_result().and_then(|copied| copied.e_tag());
                Ok(copied.map(|tag| Part { size: range.length, etag: etag(Some(tag)), md5: None, sha256: None }))
            }
            Err(error) if errors::condition_failed(&error) => Err(BucketError::Changed { key: upload.key.to_owned() }),
            // Sending the part finds the same, and says so.
            Err(error) if errors::upload_is_lost(&error) => Ok(None),
            Err(error) if matches!(error, SdkError::ServiceError(_) | SdkError::ResponseError(_)) => {
                let error = self.failure(Operation::Write).explain(&error);
                tracing::info!(%error, "the store does not copy parts; they are sent instead");
                self.without_copies.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(error) => Err(self.failure(Operation::Write).explain(&error)),
        }
    }
}
