//! What a queue's refusals mean.

use std::error::Error;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

use crate::s3::errors::{Failure, code};
use crate::{BucketError, Operation};

/// Names the permission or setting behind a failure.
pub(super) fn explain<E>(operation: Operation, bucket: &str, queue: &str, error: &SdkError<E>) -> BucketError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let told = |code: &str| match error.as_service_error().and_then(ProvideErrorMetadata::message) {
        Some(message) => format!("{code}: {message}"),
        None => code.to_owned(),
    };
    match code(error) {
        Some("AWS.SimpleQueueService.NonExistentQueue" | "QueueDoesNotExist") => {
            BucketError::NoSuchQueue(queue.to_owned())
        }
        // Queues answer 400 to this.
        Some(code @ ("AccessDenied" | "AccessDeniedException" | "KmsAccessDenied" | "KMS.AccessDeniedException")) => {
            BucketError::Denied { operation, detail: code.to_owned() }
        }
        Some(code @ ("InvalidSignatureException" | "ExpiredTokenException" | "MissingAuthenticationToken")) => {
            BucketError::Credentials(code.to_owned())
        }
        Some(code @ ("AWS.SimpleQueueService.QueueDeletedRecently" | "QueueDeletedRecently")) => {
            BucketError::Refused { operation, detail: format!("{}; it can be made again after a minute", told(code)) }
        }
        _ => match (Failure { operation, bucket }).explain(error) {
            BucketError::Unreachable(why) => {
                BucketError::Unreachable(format!("the queue {queue:?} does not answer: {why}"))
            }
            explained => explained,
        },
    }
}
