//! Stores that say when to come back are asked again then, and not before.

use aws_sdk_s3::Config;
use aws_sdk_s3::config::interceptors::{BeforeDeserializationInterceptorContextMut, InterceptorContext};
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

/// Answers with which a store says that it is only for now (RFC 9110 and RFC 6585).
const FOR_NOW: [u16; 4] = [429, 500, 502, 503];

/// "Too many requests", which the SDK takes for a mistake of ours.
const TOO_MANY: u16 = 429;

/// What AWS calls the time to wait, in milliseconds; the SDK heeds it.
const RETRY_AFTER_MS: &str = "x-amz-retry-after";

/// The same settings, with an ear for `Retry-After`. The SDK waits twenty seconds of it at most; whoever began the request
/// tries again later anyway.
pub(super) fn heeding_stores(config: &Config) -> Config {
    config.to_builder().interceptor(RetryAfter).retry_classifier(TooMany).build()
}

/// Says it in the words of AWS.
#[derive(Debug)]
struct RetryAfter;

impl Intercept for RetryAfter {
    fn name(&self) -> &'static str {
        "Retry-After"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response_mut();
        if let Some(wait) = wait_ms(answer.status().as_u16(), answer.headers().get("retry-after")) {
            answer.headers_mut().insert(RETRY_AFTER_MS, wait.to_string());
        }
        Ok(())
    }
}

/// How long to wait, in milliseconds. A date, which RFC 9110 allows too, is nothing that stores send.
fn wait_ms(status: u16, retry_after: Option<&str>) -> Option<u64> {
    let seconds: u64 = retry_after?.trim().parse().ok()?;
    FOR_NOW.contains(&status).then(|| seconds.saturating_mul(1_000))
}

/// Has too many requests tried again.
#[derive(Debug)]
struct TooMany;

impl ClassifyRetry for TooMany {
    fn name(&self) -> &'static str {
        "too many requests"
    }

    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let too_many = context.response().is_some_and(|answer| answer.status().as_u16() == TOO_MANY);
        if too_many { RetryAction::throttling_error() } else { RetryAction::NoActionIndicated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_says_when_to_come_back() {
        assert_eq!(wait_ms(503, Some("7")), Some(7_000));
        assert_eq!(wait_ms(429, Some(" 2 ")), Some(2_000));
        for (status, retry_after) in [(503, None), (503, Some("soon")), (403, Some("7")), (200, Some("7"))] {
            assert_eq!(wait_ms(status, retry_after), None, "{status} {retry_after:?}");
        }
    }
}
