//! Deletes objects, and tells what the bucket keeps of them.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::BucketVersioningStatus;
use roomtone_protocol::catalog::Kept;

use super::errors::{self, Operation};
use super::{S3Bucket, bounded};
use crate::BucketError;

impl S3Bucket {
    pub(super) async fn remove(&self, key: &str) -> Result<(), BucketError> {
        let asked = self.client.delete_object().bucket(&self.bucket).key(key).send();
        match bounded(asked).await? {
            Ok(_) => Ok(()),
            Err(error) if errors::code(&error) == Some("NoSuchKey") => Ok(()),
            Err(error) => match held_back(&error) {
                Some(detail) => Err(BucketError::Locked { key: key.to_owned(), detail }),
                None => Err(self.failure(Operation::Delete).explain(&error)),
            },
        }
    }

    /// Asked each time: somebody may switch versioning on at any moment.
    pub(super) async fn kept_of_deleted(&self) -> Kept {
        let asked = self.client.get_bucket_versioning().bucket(&self.bucket).send();
        match bounded(asked).await {
            Ok(Ok(answer)) => match answer.status() {
                None => Kept::Nothing,
                Some(BucketVersioningStatus::Enabled) => Kept::Versions,
                Some(BucketVersioningStatus::Suspended) => Kept::EarlierVersions,
                Some(_) => Kept::Unknown,
            },
            Ok(Err(error)) => {
                tracing::debug!(code = errors::code(&error), "the store does not tell whether it keeps versions");
                Kept::Unknown
            }
            Err(error) => {
                tracing::debug!(%error, "the store does not tell whether it keeps versions");
                Kept::Unknown
            }
        }
    }
}

/// The store's words, if it holds the object back: object lock, a legal hold, a retention policy. Each store has a code of
/// its own for it, or none but words.
fn held_back<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<String> {
    let (code, message) = (errors::code(error).unwrap_or_default(), error.message().unwrap_or_default());
    is_held_back(code, message).then(|| if message.is_empty() { code.to_owned() } else { message.to_owned() })
}

fn is_held_back(code: &str, message: &str) -> bool {
    let message = message.to_lowercase();
    matches!(code, "ObjectLocked" | "RetentionPolicyNotMet" | "ObjectUnderActiveHold" | "ObjectImmutable")
        || ["object lock", "worm", "legal hold", "retention", "immutable"].iter().any(|word| message.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_told_from_a_missing_permission() {
        assert!(is_held_back("AccessDenied", "Access Denied because object protected by object lock."));
        assert!(is_held_back("InvalidRequest", "Object is WORM protected and cannot be overwritten"));
        assert!(is_held_back("RetentionPolicyNotMet", ""));
        assert!(!is_held_back("AccessDenied", "Access Denied"));
    }
}
