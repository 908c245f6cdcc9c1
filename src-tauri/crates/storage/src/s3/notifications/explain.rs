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
        Some(code @ ("AccessDenied" | "AccessDeniedException")) => {
            BucketError::Denied { operation, detail: code.to_owned() }
        }
        Some(code) if code.to_ascii_lowercase().starts_with("kms") => BucketError::Refused {
            operation,
            detail: format!("{}; these access keys need kms:Decrypt on the key of the queue", told(code)),
        },
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

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sqs::config::http::HttpResponse;
    use aws_sdk_sqs::error::ErrorMetadata;
    use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;

    fn report(operation: Operation, code: &str) -> String {
        let error = ReceiveMessageError::generic(ErrorMetadata::builder().code(code).message("no").build());
        let answer = HttpResponse::new(400.try_into().unwrap(), aws_sdk_s3::primitives::SdkBody::empty());
        explain(operation, "talks", "q", &SdkError::service_error(error, answer)).report().to_string()
    }

    #[test]
    fn a_refusal_names_the_permission_or_setting_behind_it() {
        for (operation, permission) in [
            (Operation::ReceiveEvents, "sqs:ReceiveMessage on the queue"),
            (Operation::DeleteEvents, "sqs:DeleteMessage on the queue"),
            (Operation::CreateQueue, "sqs:CreateQueue on queues whose names begin with `roomtone-`"),
            (Operation::WriteQueue, "sqs:SetQueueAttributes on the queue"),
        ] {
            let report = report(operation, "AccessDeniedException");
            assert!(report.contains(permission), "{report}");
        }
        let receive = |code| report(Operation::ReceiveEvents, code);
        assert!(receive("QueueDoesNotExist").contains("S3_NOTIFICATION_QUEUE_URL"));
        assert!(receive("AWS.SimpleQueueService.NonExistentQueue").contains("no queue \"q\""));
        assert!(receive("InvalidSignatureException").contains("secret key"));
        assert!(receive("KmsAccessDenied").contains("kms:Decrypt"));
        assert!(receive("OverLimit").contains("OverLimit: no"));
    }
}
