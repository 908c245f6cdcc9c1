//! What a store's refusals mean.

use std::error::Error;

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::BucketError;
pub(super) use crate::Operation;

/// What was being done when it failed, for the explanation.
pub(super) struct Failure<'a> {
    pub(super) operation: Operation,
    pub(super) bucket: &'a str,
}

/// The HTTP status of an answer, if there was one.
pub(super) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|answer| answer.status().as_u16())
}

/// The store's own code of a refusal, if it gave one.
pub(super) fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// Whether the condition of the request was not met.
pub(super) fn condition_failed<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    status(error) == Some(412) || code(error) == Some("PreconditionFailed")
}

/// Whether the store has no such condition on writing.
pub(super) fn lacks_conditions<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    status(error) == Some(501) || code(error) == Some("NotImplemented")
}

/// Whether the store takes no checksums of parts, or not where none were announced.
pub(super) fn lacks_checksums<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    status(error) == Some(501)
        || matches!(code(error), Some("NotImplemented" | "InvalidRequest" | "InvalidArgument" | "UnsupportedArgument"))
}

/// Whether the store knows nothing of the upload, or holds other parts than the ledger says: begin anew.
pub(super) fn upload_is_lost<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    matches!(code(error), Some("NoSuchUpload" | "InvalidPart" | "InvalidPartOrder" | "EntityTooSmall"))
}

impl Failure<'_> {
    pub(super) fn explain<E>(&self, error: &SdkError<E>) -> BucketError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let Some(status) = status(error) else { return Self::no_answer(error) };
        let code = code(error);
        let detail = match code {
            Some(code) => code.to_owned(),
            None => format!("HTTP {status}"),
        };
        match code {
            Some(
                "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "ExpiredToken"
                | "InvalidToken"
                | "TokenRefreshRequired"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException"
                | "NotSignedUp"
                | "Unauthorized",
            ) => BucketError::Credentials(detail),
            Some("RequestTimeTooSkewed") => BucketError::ClockSkew,
            Some("NoSuchBucket") => BucketError::NoSuchBucket(self.bucket.to_owned()),
            Some("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                BucketError::WrongRegion(detail)
            }
            _ if status == 301 => BucketError::WrongRegion(detail),
            _ if status == 401 => BucketError::Credentials(detail),
            _ if status == 403 => BucketError::Denied { operation: self.operation, detail },
            _ => {
                let message = error.as_service_error().and_then(ProvideErrorMetadata::message);
                let detail = message.map_or(detail.clone(), |message| format!("{detail}: {message}"));
                BucketError::Refused { operation: self.operation, detail }
            }
        }
    }

    /// Nothing came back: either nobody is there, or the SDK had no keys to sign with and sent nothing.
    fn no_answer<E: Error + 'static>(error: &SdkError<E>) -> BucketError {
        let text = DisplayErrorContext(error).to_string();
        // The type of the SDK's credential error is not part of its public face; its words are.
        if text.contains("CredentialsNotLoaded") || text.contains("no providers in chain provided credentials") {
            return BucketError::Credentials(
                "none were found: not in the settings, the environment or a profile".into(),
            );
        }
        BucketError::Unreachable(innermost(error))
    }
}

/// The last of the chain of causes says what happened; the rest says where in the SDK.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
