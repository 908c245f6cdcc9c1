//! Events that the store writes into a queue (SQS): long polling.

use std::convert::Infallible;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Region;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message};
use futures_util::future::{BoxFuture, FutureExt as _};

use super::address::QueueAddress;
use super::event::Ours;
use super::explain::explain;
use crate::changes::{News, Setback, Source};
use crate::s3::settings::{ATTEMPTS, CONNECT};
use crate::{BucketError, Operation};

/// How long a request waits for messages: the longest there is, so that an idle host asks three times a minute.
const LONG_POLL: Duration = Duration::from_secs(20);

/// How much longer an answer may take than it was asked to wait.
const ANSWER: Duration = Duration::from_secs(15);

/// Messages in one answer and in one deletion: the most that SQS allows.
const BATCH: i32 = 10;

/// A receipt that no message has: whoever may not delete is told so, and nothing is deleted.
const NO_RECEIPT: &str = "roomtone-asks-whether-it-may";

/// The queue that a bucket tells of changes.
#[derive(Debug)]
pub(crate) struct Queue {
    client: Client,
    pub(super) address: QueueAddress,
    bucket: String,
}

/// A client for queues at this origin.
pub(super) fn client(shared: &SdkConfig, origin: Option<&str>, region: Option<&str>) -> Client {
    let mut config = aws_sdk_sqs::config::Builder::from(shared)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build());
    if let Some(origin) = origin {
        config = config.endpoint_url(origin);
    }
    if let Some(region) = region {
        config = config.region(Region::new(region.to_owned()));
    }
    Client::from_conf(config.build())
}

impl Queue {
    /// Nothing is sent yet.
    pub(crate) fn new(shared: &SdkConfig, address: QueueAddress, bucket: &str) -> Self {
        let client = client(shared, Some(&address.origin), address.region.as_deref());
        Self { client, address, bucket: bucket.to_owned() }
    }

    /// Whether events can be received and removed. Nothing is removed, and what is there stays visible to others.
    pub(super) async fn try_out(&self) -> Result<(), BucketError> {
        let look = self.client.receive_message().queue_url(&self.address.url);
        let look = look.max_number_of_messages(1).visibility_timeout(0).wait_time_seconds(0);
        self.answered(Operation::ReceiveEvents, Duration::ZERO, look.send()).await?;
        self.delete(vec![NO_RECEIPT.to_owned()]).await
    }

    async fn receive(&self, wait: Duration) -> Result<Vec<Message>, BucketError> {
        let seconds = i32::try_from(wait.as_secs()).unwrap_or(0);
        let receive = self.client.receive_message().queue_url(&self.address.url);
        let receive = receive.max_number_of_messages(BATCH).wait_time_seconds(seconds);
        let received = self.answered(Operation::ReceiveEvents, wait, receive.send()).await?;
        Ok(received.messages.unwrap_or_default())
    }

    /// Removes messages. Those that stay come again, and are a reason to list once more.
    async fn delete(&self, receipts: Vec<String>) -> Result<(), BucketError> {
        let entries = receipts.into_iter().enumerate().map(|(number, receipt)| {
            DeleteMessageBatchRequestEntry::builder().id(number.to_string()).receipt_handle(receipt).build()
        });
        let entries: Vec<_> = entries
            .collect::<Result<_, _>>()
            .map_err(|error| BucketError::Refused { operation: Operation::DeleteEvents, detail: error.to_string() })?;
        let delete = self.client.delete_message_batch().queue_url(&self.address.url).set_entries(Some(entries));
        let deleted = self.answered(Operation::DeleteEvents, Duration::ZERO, delete.send()).await?;
        for failed in deleted.failed() {
            tracing::debug!(code = failed.code(), "an event stays in the queue");
        }
        Ok(())
    }

    async fn answered<T, E>(
        &self,
        operation: Operation,
        wait: Duration,
        request: impl Future<Output = Result<T, SdkError<E>>>,
    ) -> Result<T, BucketError>
    where
        E: aws_sdk_sqs::error::ProvideErrorMetadata + std::error::Error + 'static,
    {
        let bound = wait + ANSWER;
        let late = |_| {
            BucketError::Unreachable(format!(
                "the queue {:?} gave no answer within {} s",
                self.address.name,
                bound.as_secs()
            ))
        };
        let answer = tokio::time::timeout(bound, request).await.map_err(late)?;
        answer.map_err(|error| explain(operation, &self.bucket, &self.address.name, &error))
    }

    async fn tell(&self, prefix: &str, news: &News) -> Result<Infallible, BucketError> {
        let ours = Ours { bucket: &self.bucket, prefix };
        // The first look tells at once whether the queue is there.
        let mut wait = Duration::ZERO;
        loop {
            let messages = self.receive(wait).await?;
            if wait.is_zero() {
                news.connected().await;
            }
            wait = LONG_POLL;
            if messages.is_empty() {
                continue;
            }
            if messages.iter().any(|message| message.body().is_none_or(|body| ours.concerns(body))) {
                news.changed().await;
            }
            self.delete(messages.into_iter().filter_map(|message| message.receipt_handle).collect()).await?;
        }
    }
}

impl Source for Queue {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn was_set_up(&self) -> bool {
        true
    }

    fn follow<'a>(&'a self, prefix: &'a str, news: &'a News) -> BoxFuture<'a, (Setback, BucketError)> {
        async move {
            // Somebody named this queue: it is tried again soon, whatever is wrong with it.
            let Err(error) = self.tell(prefix, news).await;
            (Setback::Gone, error)
        }
        .boxed()
    }
}
