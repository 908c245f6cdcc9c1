//! What a write demands of the object that is there, and which such demands the store understands.

use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::{S3Bucket, errors};
use crate::{BucketError, PutMode};

/// Which conditions the store has said that it lacks.
#[derive(Debug, Default)]
pub(super) struct Lacking {
    if_none_match: AtomicBool,
    if_match: AtomicBool,
}

/// The condition that a request carries (RFC 9110, section 13.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// None: any object may be replaced, or the store knows no conditions.
    Absent,
    /// `If-None-Match: *`: there is no object.
    Free,
    /// `If-Match`: it is the version with this etag, in quotes.
    Version(String),
}

impl Condition {
    pub(super) fn if_none_match(&self) -> Option<String> {
        (*self == Self::Free).then(|| "*".to_owned())
    }

    pub(super) fn if_match(&self) -> Option<String> {
        if let Self::Version(etag) = self { Some(etag.clone()) } else { None }
    }

    /// What a refusal means, if it is the condition that was not met.
    pub(super) fn unmet<E: ProvideErrorMetadata>(&self, error: &SdkError<E>, key: &str) -> Option<BucketError> {
        let key = key.to_owned();
        match self {
            Self::Free if errors::condition_failed(error) => Some(BucketError::AlreadyExists { key }),
            // Some stores answer that there is nothing to match.
            Self::Version(_) if errors::condition_failed(error) || errors::code(error) == Some("NoSuchKey") => {
                Some(BucketError::Changed { key })
            }
            Self::Absent | Self::Free | Self::Version(_) => None,
        }
    }
}

impl S3Bucket {
    /// The condition for this mode, unless the store has said that it knows none of the kind.
    pub(super) fn condition(&self, mode: PutMode<'_>) -> Condition {
        match mode {
            PutMode::CreateNew if !self.lacking.if_none_match.load(Ordering::Relaxed) => Condition::Free,
            PutMode::ReplaceVersion(etag) if !self.lacking.if_match.load(Ordering::Relaxed) => {
                Condition::Version(format!("\"{etag}\""))
            }
            PutMode::CreateNew | PutMode::Replace | PutMode::ReplaceVersion(_) => Condition::Absent,
        }
    }

    /// Whether the store refused only because it does not know the condition; it is not sent again.
    pub(super) fn gives_up<E: ProvideErrorMetadata>(&self, condition: &Condition, error: &SdkError<E>) -> bool {
        if !errors::lacks_conditions(error) {
            return false;
        }
        let (lacking, name) = match condition {
            Condition::Absent => return false,
            Condition::Free => (&self.lacking.if_none_match, "If-None-Match"),
            Condition::Version(_) => (&self.lacking.if_match, "If-Match"),
        };
        tracing::info!("the store has no {name}; asking for the object before writing has to do");
        lacking.store(true, Ordering::Relaxed);
        true
    }

    /// Asks whether the object there is what the mode demands. Spares sending what cannot be kept, and stands in for
    /// conditions where the store has none.
    pub(super) async fn check_place(&self, key: &str, mode: PutMode<'_>) -> Result<(), BucketError> {
        match mode {
            PutMode::Replace => Ok(()),
            PutMode::CreateNew => match self.look(key).await? {
                None => Ok(()),
                Some(_) => Err(BucketError::AlreadyExists { key: key.to_owned() }),
            },
            PutMode::ReplaceVersion(etag) => match self.look(key).await? {
                Some(found) if found.object.etag == etag => Ok(()),
                _ => Err(BucketError::Changed { key: key.to_owned() }),
            },
        }
    }
}
