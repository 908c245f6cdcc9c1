//! Listening to a store as MinIO lets one: a request that is answered as long as the store and the line live.
//!
//! `GET /{bucket}?events=…&events=…&prefix=…&ping=10`. The SDK knows no such operation, so one that it knows and whose
//! answer it hands on as it comes is made into it before it is signed: keys, addresses, certificates and proxies are then
//! those of all other requests. Nothing that happened while nobody listened is told afterwards.

#[cfg(test)]
mod tests;

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use futures_util::future::{BoxFuture, FutureExt as _};

use super::event::Ours;
use super::lines::{Came, Lines};
use crate::address::percent_encode;
use crate::changes::{News, Setback, Source};
use crate::s3::errors::{Failure, code, status};
use crate::{BucketError, Operation};

/// How often a store gives a sign of life. A dead line is noticed after three of them, and an idle one costs nothing.
pub(super) const PING: Duration = Duration::from_secs(10);

/// Stands where the key would be in the request that is made into another one.
const NO_KEY: &str = "-";

/// A store that may let one listen to a bucket.
#[derive(Debug)]
pub(crate) struct Listening {
    client: Client,
    bucket: String,
    ping: Duration,
}

/// Why it does not work.
type Failed = (Setback, BucketError);

impl Listening {
    /// Nothing is sent yet. The store is asked for a sign of life so often, in whole seconds.
    pub(crate) fn new(client: Client, bucket: &str, ping: Duration) -> Self {
        Self { client, bucket: bucket.to_owned(), ping }
    }

    /// Without any sign of life for so long the line is dead.
    fn patience(&self) -> Duration {
        self.ping * 3
    }

    fn silent(&self) -> Failed {
        let seconds = self.patience().as_secs();
        (Setback::Gone, BucketError::Unreachable(format!("the store gave no sign of life for {seconds} s")))
    }

    async fn open(&self, prefix: &str) -> Result<ByteStream, Failed> {
        let query = format!(
            "events=s3%3AObjectCreated%3A%2A&events=s3%3AObjectRemoved%3A%2A&ping={}&prefix={}",
            self.ping.as_secs(),
            // In a query a slash is encoded as well, or signatures differ.
            percent_encode(prefix).replace('/', "%2F")
        );
        let override_settings = aws_sdk_s3::config::Builder::new()
            // The rules say when it is tried again, and a stream of events is mostly silence.
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let request = self.client.get_object().bucket(&self.bucket).key(NO_KEY).customize();
        let request = request.config_override(override_settings).mutate_request(move |request| {
            let uri = listening_uri(request.uri(), &query);
            if let Err(error) = request.set_uri(uri) {
                tracing::error!(%error, "the store cannot be listened to");
            }
        });
        let answered = tokio::time::timeout(self.patience(), request.send()).await.map_err(|_| self.silent())?;
        let answer = answered.map_err(|error| self.refused(&error))?;
        if answer.content_type().is_some_and(|kind| kind.contains("xml")) {
            return Err(unsupported("it answers with a listing"));
        }
        Ok(answer.body)
    }

    fn refused(&self, error: &SdkError<GetObjectError>) -> Failed {
        let explained = Failure { operation: Operation::Listen, bucket: &self.bucket }.explain(error);
        // Too many requests, and requests that took too long, are no answer to the question.
        let answers = |status: u16| status == 501 || (status < 500 && ![408, 429].contains(&status));
        match explained {
            BucketError::Denied { .. } => (Setback::Unsupported, explained),
            BucketError::Refused { .. } if status(error).is_some_and(answers) => {
                let status = status(error).map(|status| format!("HTTP {status}")).unwrap_or_default();
                unsupported(code(error).unwrap_or(&status))
            }
            _ => (Setback::Gone, explained),
        }
    }

    /// Tells of changes until the line is dead.
    async fn tell(&self, prefix: &str, news: &News) -> Failed {
        let mut stream = match self.open(prefix).await {
            Ok(stream) => stream,
            Err(failed) => return failed,
        };
        let ours = Ours { bucket: &self.bucket, prefix };
        let (mut lines, mut connected) = (Lines::default(), false);
        loop {
            let bytes = match tokio::time::timeout(self.patience(), stream.next()).await {
                Err(_) => return self.silent(),
                Ok(None) => return (Setback::Gone, BucketError::Unreachable("the store ended the answer".into())),
                Ok(Some(Err(error))) => {
                    return (Setback::Gone, BucketError::Unreachable(format!("the answer broke off: {error}")));
                }
                Ok(Some(Ok(bytes))) => bytes,
            };
            let Came::Lines(lines) = lines.push(&bytes) else { return unsupported("it answers with a listing") };
            if !std::mem::replace(&mut connected, true) {
                news.connected().await;
            }
            if lines.iter().any(|line| ours.concerns(line)) {
                news.changed().await;
            }
        }
    }

    /// Whether the store lets one listen; waits for its first sign of life.
    pub(super) async fn try_out(&self, prefix: &str) -> Result<(), Failed> {
        let mut stream = self.open(prefix).await?;
        let bytes = tokio::time::timeout(self.patience(), stream.next()).await.map_err(|_| self.silent())?;
        match bytes {
            Some(Ok(bytes)) if Lines::default().push(&bytes) != Came::AnotherAnswer => Ok(()),
            Some(Ok(_)) => Err(unsupported("it answers with a listing")),
            Some(Err(_)) | None => Err((Setback::Gone, BucketError::Unreachable("the store ended the answer".into()))),
        }
    }
}

impl Source for Listening {
    fn name(&self) -> &'static str {
        "listening"
    }

    fn was_set_up(&self) -> bool {
        false
    }

    fn follow<'a>(&'a self, prefix: &'a str, news: &'a News) -> BoxFuture<'a, Failed> {
        self.tell(prefix, news).boxed()
    }
}

fn unsupported(detail: &str) -> Failed {
    let detail = detail.to_owned();
    (Setback::Unsupported, BucketError::Refused { operation: Operation::Listen, detail })
}

/// The address of the bucket instead of a key in it, and another query.
fn listening_uri(uri: &str, query: &str) -> String {
    let path = uri.split('?').next().unwrap_or(uri);
    let bucket = path.strip_suffix(NO_KEY).unwrap_or(path);
    // In the path of an address the bucket's name has no slash behind it; where it is in the host's name there is only that.
    let bucket = match bucket.strip_suffix('/') {
        Some(bucket) if bucket.split_once("://").is_none_or(|(_, rest)| rest.contains('/')) => bucket,
        _ => bucket,
    };
    format!("{bucket}?{query}")
}
