//! Sets up the AWS side: a queue of this host's own, its policy, and the bucket's notifications. Looks first, changes only
//! what is missing, and says all of it.

mod destinations;
mod policy;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_s3::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_bucket_notification_configuration::GetBucketNotificationConfigurationOutput;
use aws_sdk_s3::types::NotificationConfiguration;
use aws_sdk_sqs::types::QueueAttributeName;
use roomtone_protocol::ParticipantId;
use serde::Serialize;
use serde_json::{Value, json};

use super::explain::explain;
use super::{Notifications, queue};
use crate::s3::errors::{Failure, code};
use crate::{BucketError, Operation};

/// What the names of queues and settings begin with that Roomtone made.
const NAME: &str = "roomtone-";

/// The longest name that a queue can have.
const LONGEST_NAME: usize = 80;

/// Stands for the account's number where there is no queue yet that would tell it.
const ACCOUNT: &str = "ACCOUNT";

/// How a queue is made. Events are kept for an hour: they only say "list again", and a host that was away longer lists
/// anyway. Requests wait for 20 s, the longest there is, unless they say otherwise.
const ATTRIBUTES: [(QueueAttributeName, &str); 2] =
    [(QueueAttributeName::MessageRetentionPeriod, "3600"), (QueueAttributeName::ReceiveMessageWaitTimeSeconds, "20")];

/// How long S3 may not know yet that the queue lets it in, and the pause between attempts.
const UNTIL_KNOWN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(2);

/// What was done, or would be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetupReport {
    /// The address for `S3_NOTIFICATION_QUEUE_URL`; none where the queue was not made yet.
    pub queue_url: Option<String>,
    /// The queue's name.
    pub queue_name: String,
    /// In order; none: everything was as it should be.
    pub steps: Vec<SetupStep>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetupStep {
    /// The request in the words of AWS.
    pub action: &'static str,
    /// On what.
    pub target: String,
    /// What it is set to: `ACCOUNT` stands for the account's number.
    pub content: Value,
}

/// The host for which a queue was set up, where its name tells: the first digits of its id.
pub(super) fn owner(queue: &str) -> Option<&str> {
    let (_, host) = queue.strip_prefix(NAME)?.rsplit_once('-')?;
    let is_id = host.len() == 8 && host.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(host)
}

/// The name of a host's queue for a bucket. Long names of buckets are cut off.
fn queue_name(bucket: &str, host: &str) -> String {
    let room = LONGEST_NAME - NAME.len() - 1 - host.len();
    // Buckets may have dots, which queues may not.
    let bucket: String = bucket.chars().take(room).map(|c| if c == '.' { '-' } else { c }).collect();
    format!("{NAME}{bucket}-{host}")
}

/// The part of AWS to which a region belongs, as it stands in names of resources.
fn partition(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// Whether S3 could not send its test event: the one refusal of this code that passes by itself.
fn is_too_early<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message);
    message.is_some_and(|message| message.contains("Unable to validate"))
}

/// A queue that is there.
#[derive(Debug)]
struct Found {
    url: String,
    arn: String,
    policy: Option<String>,
}

impl Notifications {
    /// See [`crate::S3Bucket::set_up_notifications`].
    pub(in crate::s3) async fn set_up(
        &self,
        prefix: &str,
        host: ParticipantId,
        dry_run: bool,
    ) -> Result<SetupReport, BucketError> {
        let name = queue_name(&self.bucket, &host.short());
        let queues = queue::client(&self.shared, self.endpoint.as_deref(), None);
        let setup = Setup { notifications: self, queues, name };
        // Nothing but AWS, and what stands in for it, has queues.
        let found = setup.find().await.map_err(|error| match error {
            BucketError::Refused { detail, .. }
            | BucketError::Denied { detail, .. }
            | BucketError::Credentials(detail)
                if self.endpoint.is_some() =>
            {
                BucketError::NoQueues(detail)
            }
            error => error,
        })?;
        let told = setup.told().await?;
        let (before, mut steps) = (found.is_some(), Vec::new());
        if !before {
            let attributes: HashMap<_, _> = ATTRIBUTES.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            steps.push(setup.step("CreateQueue", json!({"QueueName": setup.name, "Attributes": attributes})));
        }
        // What the store would refuse is refused before anything is made.
        let id = format!("{NAME}{}", host.short());
        let arn = found.as_ref().map_or_else(|| setup.arn_to_be(), |found| found.arn.clone());
        setup.wanted(&told, &id, &arn, prefix)?;
        let found = match found {
            None if !dry_run => Some(setup.create().await?),
            found => found,
        };
        let arn = found.as_ref().map_or_else(|| setup.arn_to_be(), |found| found.arn.clone());
        let policy = found.as_ref().and_then(|found| found.policy.as_deref());
        if let Some(policy) = policy::with(policy, &setup.statement(&arn)) {
            if let Some(found) = found.as_ref().filter(|_| !dry_run) {
                setup.let_in(&found.url, &policy).await?;
            }
            steps.push(setup.step("SetQueueAttributes", json!({"Policy": policy})));
        }
        if let Some(configuration) = setup.wanted(&told, &id, &arn, prefix)? {
            if !dry_run {
                setup.tell(&configuration).await?;
            }
            let content = json!({"NotificationConfiguration": destinations::as_json(&configuration)});
            let target = self.bucket.clone();
            steps.push(SetupStep { action: "PutBucketNotificationConfiguration", target, content });
        }
        Ok(SetupReport { queue_url: found.map(|found| found.url), queue_name: setup.name, steps })
    }
}

struct Setup<'a> {
    notifications: &'a Notifications,
    queues: aws_sdk_sqs::Client,
    name: String,
}

impl Setup<'_> {
    fn step(&self, action: &'static str, content: Value) -> SetupStep {
        SetupStep { action, target: self.name.clone(), content }
    }

    fn arn_to_be(&self) -> String {
        let region = &self.notifications.region;
        format!("arn:{}:sqs:{region}:{ACCOUNT}:{}", partition(region), self.name)
    }

    fn statement(&self, queue_arn: &str) -> Value {
        let bucket = format!("arn:{}:s3:::{}", partition(&self.notifications.region), self.notifications.bucket);
        // arn:aws:sqs:REGION:ACCOUNT:NAME
        let account = queue_arn.split(':').nth(4).unwrap_or(ACCOUNT);
        policy::statement(queue_arn, &bucket, account)
    }

    fn wanted(
        &self,
        told: &GetBucketNotificationConfigurationOutput,
        id: &str,
        queue_arn: &str,
        prefix: &str,
    ) -> Result<Option<NotificationConfiguration>, BucketError> {
        let refused = |error: BuildError| BucketError::Refused {
            operation: Operation::WriteNotifications,
            detail: error.to_string(),
        };
        destinations::with(told, &destinations::ours(id, queue_arn, prefix).map_err(refused)?)
    }

    /// Whom the bucket tells so far.
    async fn told(&self) -> Result<GetBucketNotificationConfigurationOutput, BucketError> {
        let Notifications { client, bucket, .. } = self.notifications;
        let asked = client.get_bucket_notification_configuration().bucket(bucket).send();
        let failure = Failure { operation: Operation::ReadNotifications, bucket };
        crate::s3::bounded(asked).await?.map_err(|error| failure.explain(&error))
    }

    async fn tell(&self, configuration: &NotificationConfiguration) -> Result<(), BucketError> {
        let Notifications { client, bucket, .. } = self.notifications;
        let failure = Failure { operation: Operation::WriteNotifications, bucket };
        for _ in 0..UNTIL_KNOWN.as_secs() / PAUSE.as_secs() {
            let put = client.put_bucket_notification_configuration().bucket(bucket);
            let put = crate::s3::bounded(put.notification_configuration(configuration.clone()).send()).await?;
            match put {
                Ok(_) => return Ok(()),
                // S3 sends a test event, and the queue's policy needs a moment until it holds everywhere.
                Err(error) if code(&error) == Some("InvalidArgument") && is_too_early(&error) => {
                    tracing::debug!(%error, "the queue does not let the bucket in yet");
                }
                Err(error) => return Err(failure.explain(&error)),
            }
            tokio::time::sleep(PAUSE).await;
        }
        let put = client.put_bucket_notification_configuration().bucket(bucket);
        let put = crate::s3::bounded(put.notification_configuration(configuration.clone()).send()).await?;
        put.map(drop).map_err(|error| failure.explain(&error))
    }

    async fn find(&self) -> Result<Option<Found>, BucketError> {
        let asked = self.queues.get_queue_url().queue_name(&self.name).send();
        match crate::s3::bounded(asked).await? {
            Ok(found) => self.look(found.queue_url().unwrap_or_default().to_owned()).await.map(Some),
            Err(error) => match self.explain(Operation::FindQueue, &error) {
                BucketError::NoSuchQueue(_) => Ok(None),
                error => Err(error),
            },
        }
    }

    async fn look(&self, url: String) -> Result<Found, BucketError> {
        let asked = self.queues.get_queue_attributes().queue_url(&url);
        let asked = asked.attribute_names(QueueAttributeName::QueueArn).attribute_names(QueueAttributeName::Policy);
        let answer = crate::s3::bounded(asked.send()).await?;
        let answer = answer.map_err(|error| self.explain(Operation::ReadQueue, &error))?;
        let attribute = |name| answer.attributes().and_then(|all| all.get(&name)).cloned();
        let arn = attribute(QueueAttributeName::QueueArn).ok_or_else(|| BucketError::Refused {
            operation: Operation::ReadQueue,
            detail: "it does not tell the queue's ARN".to_owned(),
        })?;
        Ok(Found { url, arn, policy: attribute(QueueAttributeName::Policy) })
    }

    async fn create(&self) -> Result<Found, BucketError> {
        let mut create = self.queues.create_queue().queue_name(&self.name);
        for (name, value) in ATTRIBUTES {
            create = create.attributes(name, value);
        }
        let created = crate::s3::bounded(create.send()).await?;
        let created = created.map_err(|error| self.explain(Operation::CreateQueue, &error))?;
        self.look(created.queue_url().unwrap_or_default().to_owned()).await
    }

    async fn let_in(&self, url: &str, policy: &Value) -> Result<(), BucketError> {
        let set = self.queues.set_queue_attributes().queue_url(url);
        let set = crate::s3::bounded(set.attributes(QueueAttributeName::Policy, policy.to_string()).send()).await?;
        set.map(drop).map_err(|error| self.explain(Operation::WriteQueue, &error))
    }

    fn explain<E>(&self, operation: Operation, error: &SdkError<E>) -> BucketError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        explain(operation, &self.notifications.bucket, &self.name, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queues_name_tells_the_bucket_and_the_host() {
        assert_eq!(queue_name("talks.example.org", "1a2b3c4d"), "roomtone-talks-example-org-1a2b3c4d");
        assert_eq!(owner("roomtone-talks-example-org-1a2b3c4d"), Some("1a2b3c4d"));
        let long = queue_name(&"b".repeat(63), "1a2b3c4d");
        assert!(long.len() <= LONGEST_NAME && owner(&long) == Some("1a2b3c4d"), "{long}");
        for other in ["talks-1a2b3c4d", "roomtone-talks", "roomtone-talks-recordings", "roomtone-1a2b3c4d"] {
            assert_eq!(owner(other), None, "{other}");
        }
    }

    #[test]
    fn a_region_tells_how_resources_are_named() {
        assert_eq!(partition("eu-central-1"), "aws");
        assert_eq!(partition("cn-north-1"), "aws-cn");
        assert_eq!(partition("us-gov-west-1"), "aws-us-gov");
    }
}
