//! Where the bucket is and how to be let in.

use std::fmt;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};

use roomtone_protocol::ParticipantId;

use crate::{BucketError, Prefix};

/// How often listings are compared where nothing tells of changes: 1,440 requests a day, which AWS counts as a cent.
const LISTING_INTERVAL: Duration = Duration::from_secs(60);

/// How long to wait for a connection.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// How often the SDK sends a request before it gives up; the publisher begins again later anyway.
pub(super) const ATTEMPTS: u32 = 3;

/// A pair of keys, as typed into the settings.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Keys {
    /// Names the account; not secret.
    pub access_key: String,
    /// Signs requests.
    pub secret_key: String,
    /// Comes with temporary keys.
    pub session_token: Option<String>,
}

impl fmt::Debug for S3Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Keys(…)")
    }
}

/// Where the bucket is and how to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Settings {
    /// Address of the store, with `http://` or `https://`; none for AWS.
    pub endpoint: Option<String>,
    /// The bucket's region; stores without regions take any.
    pub region: String,
    /// The bucket's name.
    pub bucket: String,
    /// What the keys of all recordings begin with. The bucket itself takes whole keys: give this to the publisher's
    /// settings and to the catalog.
    pub prefix: Prefix,
    /// Whether the bucket's name stands in the path of addresses instead of the host name. None: exactly where an
    /// `endpoint` is given.
    pub force_path_style: Option<bool>,
    /// None: the standard chain of AWS (environment, profile, container, machine).
    pub keys: Option<S3Keys>,
    /// How often listings are compared to notice changes where nothing tells of them.
    pub listing_interval: Duration,
    /// Address of the SQS queue that the bucket tells of changes; none: it is listened to where it offers that.
    pub notification_queue: Option<String>,
    /// Whose queue it should be, where that can be told by its name.
    pub host: Option<ParticipantId>,
}

impl S3Settings {
    /// A bucket on AWS in `us-east-1`, with the standard chain's keys.
    #[must_use]
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            endpoint: None,
            region: "us-east-1".to_owned(),
            bucket: bucket.into(),
            prefix: Prefix::default(),
            force_path_style: None,
            keys: None,
            listing_interval: LISTING_INTERVAL,
            notification_queue: None,
            host: None,
        }
    }

    pub(super) fn check(&self) -> Result<(), BucketError> {
        let invalid = |text: String| Err(BucketError::InvalidSetting(text));
        if self.bucket.is_empty() || self.bucket.contains(['/', ' ']) {
            return invalid(format!("{:?} cannot be the name of a bucket", self.bucket));
        }
        if self.region.is_empty() {
            return invalid("the region of the bucket is empty".to_owned());
        }
        if let Some(endpoint) = &self.endpoint {
            let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
            if host.is_none_or(|host| host.is_empty() || host.contains(['@', ' ', '?', '#'])) {
                return invalid("the endpoint must be an address such as https://s3.example.org".to_owned());
            }
        }
        if self.listing_interval.is_zero() {
            return invalid("listings cannot be compared without a pause".to_owned());
        }
        Ok(())
    }

    /// What all clients of this store and its queue have in common.
    pub(super) async fn shared_config(&self) -> SdkConfig {
        let mut shared = aws_config::defaults(BehaviorVersion::latest()).region(Region::new(self.region.clone()));
        if let Some(keys) = &self.keys {
            let (key, secret, token) = (&keys.access_key, &keys.secret_key, keys.session_token.clone());
            shared = shared.credentials_provider(Credentials::new(key, secret, token, None, "Roomtone's settings"));
        }
        shared.load().await
    }

    pub(super) fn client_config(&self, shared: &SdkConfig) -> Config {
        let mut config = aws_sdk_s3::config::Builder::from(shared)
            .force_path_style(self.force_path_style.unwrap_or(self.endpoint.is_some()))
            // The default checksums cost twice the CPU, and some stores choke on them; Content-MD5 stands in.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build());
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint);
        }
        config.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused_before_anything_is_sent() {
        let good = S3Settings::new("recordings");
        good.check().unwrap();
        let endpoint = |text: &str| S3Settings { endpoint: Some(text.into()), ..good.clone() };
        endpoint("http://127.0.0.1:9000").check().unwrap();
        for bad in [
            S3Settings::new(""),
            S3Settings::new("a/b"),
            S3Settings { region: String::new(), ..good.clone() },
            endpoint("s3.example.org"),
            endpoint("https://"),
            endpoint("https://key:secret@s3.example.org"),
        ] {
            assert!(matches!(bad.check(), Err(BucketError::InvalidSetting(_))), "{bad:?}");
        }
    }

    #[test]
    fn keys_do_not_reach_logs() {
        let keys = S3Keys { access_key: "AKIA1".into(), secret_key: "hush".into(), session_token: Some("tok".into()) };
        let text = format!("{:?}", S3Settings { keys: Some(keys), ..S3Settings::new("b") });
        assert!(!text.contains("AKIA1") && !text.contains("hush") && !text.contains("tok\""), "{text}");
    }
}
