//! An S3 bucket as somebody else sees it: the SDK, with its own credentials, and none of Roomtone's code.

use std::fmt::Debug;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::types::{
    BucketVersioningStatus, CompletedMultipartUpload, CompletedPart, Event, FilterRule, FilterRuleName,
    NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration, S3KeyFilter, TopicConfiguration,
    VersioningConfiguration,
};
use tokio::runtime::Runtime;

/// Another client of a bucket.
#[derive(Debug)]
pub struct Bucket {
    runtime: Runtime,
    client: Client,
    name: String,
}

/// An upload in parts that was neither completed nor discarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Where the object would be.
    pub key: String,
    /// The store's id of it.
    pub id: String,
    /// What arrived, by number and time. Some stores list what was sent again twice.
    pub parts: Vec<UnfinishedPart>,
}

/// A part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedPart {
    /// Counted from 1.
    pub number: i32,
    /// Bytes.
    pub size: i64,
    /// Tells its content.
    pub etag: String,
    /// When it arrived, in nanoseconds of unix time.
    pub arrived: i128,
}

impl Unfinished {
    /// The numbers of its parts.
    #[must_use]
    pub fn numbers(&self) -> Vec<i32> {
        let mut numbers: Vec<i32> = self.parts.iter().map(|part| part.number).collect();
        numbers.dedup();
        numbers
    }
}

impl Bucket {
    /// Speaks to the bucket `name` at `endpoint`.
    ///
    /// # Panics
    /// This process can start no runtime.
    #[must_use]
    pub fn at(endpoint: &str, name: &str, access_key: &str, secret_key: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(Region::new("us-east-1"))
            .force_path_style(true)
            .credentials_provider(Credentials::new(access_key, secret_key, None, None, "test"))
            .build();
        Self {
            runtime: runtime.expect("a runtime can be made"),
            client: Client::from_conf(config),
            name: name.to_owned(),
        }
    }

    /// The bucket's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the bucket, unless it is there.
    ///
    /// # Errors
    /// What the store says.
    pub fn create(&self) -> Result<(), String> {
        let made = self.runtime.block_on(self.client.create_bucket().bucket(&self.name).send());
        match made.map_err(SdkError::into_service_error) {
            Ok(_) => Ok(()),
            // Also after a first try whose answer was lost on a busy machine: the SDK tries again by itself.
            Err(error) if error.is_bucket_already_owned_by_you() => Ok(()),
            Err(error) => Err(told(error)),
        }
    }

    /// Keeps every version of every object from here on.
    ///
    /// # Errors
    /// What the store says.
    pub fn keep_versions(&self) -> Result<(), String> {
        let versioning = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let put = self.client.put_bucket_versioning().bucket(&self.name).versioning_configuration(versioning);
        self.runtime.block_on(put.send()).map(drop).map_err(told)
    }

    /// Puts an object.
    ///
    /// # Errors
    /// What the store says.
    pub fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), String> {
        let put = self.client.put_object().bucket(&self.name).key(key).body(bytes.into());
        self.runtime.block_on(put.send()).map(drop).map_err(told)
    }

    /// Puts an object in parts.
    ///
    /// # Errors
    /// What the store says.
    pub fn put_in_parts(&self, key: &str, parts: Vec<Vec<u8>>) -> Result<(), String> {
        self.runtime.block_on(async {
            let (client, name) = (&self.client, &self.name);
            let begun = client.create_multipart_upload().bucket(name).key(key).send().await.map_err(told)?;
            let id = begun.upload_id().unwrap_or_default();
            let mut upload = CompletedMultipartUpload::builder();
            for (number, part) in (1..).zip(parts) {
                let put =
                    client.upload_part().bucket(name).key(key).upload_id(id).part_number(number).body(part.into());
                let etag = put.send().await.map_err(told)?.e_tag;
                upload = upload.parts(CompletedPart::builder().part_number(number).set_e_tag(etag).build());
            }
            let complete = client.complete_multipart_upload().bucket(name).key(key).upload_id(id);
            complete.multipart_upload(upload.build()).send().await.map(drop).map_err(told)
        })
    }

    /// Lets the bucket tell a queue, given by its name among all resources (ARN), of everything, and nobody else.
    ///
    /// # Errors
    /// What the store says.
    pub fn tell_queue(&self, arn: &str) -> Result<(), String> {
        let queue = QueueConfiguration::builder().id("by hand").queue_arn(arn);
        let queue = queue.events(Event::S3ObjectCreated).events(Event::S3ObjectRemoved).build().map_err(told)?;
        self.tell(NotificationConfiguration::builder().queue_configurations(queue).build())
    }

    /// Lets the bucket tell a topic, given by its name among all resources (ARN), of everything below `prefix`, and nobody
    /// else.
    ///
    /// # Errors
    /// What the store says.
    pub fn tell_topic(&self, arn: &str, prefix: &str) -> Result<(), String> {
        let rule = FilterRule::builder().name(FilterRuleName::Prefix).value(prefix).build();
        let filter = NotificationConfigurationFilter::builder();
        let filter = filter.key(S3KeyFilter::builder().filter_rules(rule).build()).build();
        let topic = TopicConfiguration::builder().id("somebody else's").topic_arn(arn).filter(filter);
        let topic = topic.events(Event::S3ObjectCreated).events(Event::S3ObjectRemoved).build().map_err(told)?;
        self.tell(NotificationConfiguration::builder().topic_configurations(topic).build())
    }

    fn tell(&self, whom: NotificationConfiguration) -> Result<(), String> {
        let put =
            self.client.put_bucket_notification_configuration().bucket(&self.name).notification_configuration(whom);
        self.runtime.block_on(put.send()).map(drop).map_err(told)
    }

    /// Whom the bucket tells: names among all resources (ARN), topics before queues.
    ///
    /// # Errors
    /// What the store says.
    pub fn tells(&self) -> Result<Vec<String>, String> {
        let asked = self.client.get_bucket_notification_configuration().bucket(&self.name).send();
        let found = self.runtime.block_on(asked).map_err(told)?;
        let topics = found.topic_configurations().iter().map(|topic| topic.topic_arn().to_owned());
        Ok(topics.chain(found.queue_configurations().iter().map(|queue| queue.queue_arn().to_owned())).collect())
    }

    /// Fetches an object.
    ///
    /// # Errors
    /// What the store says.
    pub fn get(&self, key: &str) -> Result<Vec<u8>, String> {
        self.runtime.block_on(async {
            let object = self.client.get_object().bucket(&self.name).key(key).send().await.map_err(told)?;
            Ok(object.body.collect().await.map_err(|error| error.to_string())?.to_vec())
        })
    }

    /// Removes an object.
    ///
    /// # Errors
    /// What the store says.
    pub fn delete(&self, key: &str) -> Result<(), String> {
        self.runtime.block_on(self.client.delete_object().bucket(&self.name).key(key).send()).map(drop).map_err(told)
    }

    /// Every upload that is under way, or was left.
    ///
    /// # Errors
    /// What the store says.
    pub fn unfinished(&self) -> Result<Vec<Unfinished>, String> {
        self.runtime.block_on(async {
            let listed = self.client.list_multipart_uploads().bucket(&self.name).send().await.map_err(told)?;
            let mut unfinished = Vec::new();
            for upload in listed.uploads() {
                let (key, id) = (upload.key().unwrap_or_default(), upload.upload_id().unwrap_or_default());
                let parts = self.client.list_parts().bucket(&self.name).key(key).upload_id(id);
                let parts = match parts.send().await {
                    Ok(parts) => parts,
                    // It came to its end between the two questions.
                    Err(error) if error.code() == Some("NoSuchUpload") => continue,
                    Err(error) => return Err(told(error)),
                };
                let parts = parts.parts().iter().map(|part| UnfinishedPart {
                    number: part.part_number().unwrap_or_default(),
                    size: part.size().unwrap_or_default(),
                    etag: part.e_tag().unwrap_or_default().trim_matches('"').to_owned(),
                    arrived: part.last_modified().map_or(0, |time| time.as_nanos()),
                });
                let mut parts: Vec<UnfinishedPart> = parts.collect();
                parts.sort_by_key(|part| (part.number, part.arrived));
                unfinished.push(Unfinished { key: key.to_owned(), id: id.to_owned(), parts });
            }
            Ok(unfinished)
        })
    }

    /// Every key.
    ///
    /// # Errors
    /// What the store says.
    pub fn keys(&self) -> Result<Vec<String>, String> {
        self.runtime.block_on(async {
            let mut pages = self.client.list_objects_v2().bucket(&self.name).into_paginator().send();
            let mut keys = Vec::new();
            while let Some(page) = pages.next().await {
                keys.extend(page.map_err(told)?.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
            }
            Ok(keys)
        })
    }
}

/// The SDK's errors say what happened only when they are asked for everything.
fn told(error: impl Debug) -> String {
    format!("{error:?}")
}
