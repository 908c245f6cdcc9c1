//! An S3 bucket as somebody else sees it: the SDK, with its own credentials, and none of Roomtone's code.

use std::fmt::Debug;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::SdkError;
use tokio::runtime::Runtime;

/// Another client of a bucket.
#[derive(Debug)]
pub struct Bucket {
    runtime: Runtime,
    client: Client,
    name: String,
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

    /// Puts an object.
    ///
    /// # Errors
    /// What the store says.
    pub fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), String> {
        let put = self.client.put_object().bucket(&self.name).key(key).body(bytes.into());
        self.runtime.block_on(put.send()).map(drop).map_err(told)
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

    /// Every key.
    ///
    /// # Errors
    /// What the store says.
    pub fn keys(&self) -> Result<Vec<String>, String> {
        let listed = self.runtime.block_on(self.client.list_objects_v2().bucket(&self.name).send()).map_err(told)?;
        Ok(listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect())
    }
}

/// The SDK's errors say what happened only when they are asked for everything.
fn told(error: impl Debug) -> String {
    format!("{error:?}")
}
