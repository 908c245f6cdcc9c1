//! Roomtone's own rules among those of a bucket.

use std::num::NonZero;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::get_bucket_lifecycle_configuration::GetBucketLifecycleConfigurationOutput;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleFilter, TransitionDefaultMinimumObjectSize,
};

use super::errors::{self, Operation};
use super::{S3Bucket, bounded};
use crate::lifecycle::changes;
use crate::{BucketError, LifecycleReport, LifecycleRules, OwnRule, RuleAction};

/// What the store answered.
struct Configuration {
    rules: Vec<LifecycleRule>,
    /// Goes back as it came: leaving it out would change it.
    smallest_moved: Option<TransitionDefaultMinimumObjectSize>,
}

impl Configuration {
    fn own(&self) -> Vec<(String, Option<OwnRule>)> {
        let own = self.rules.iter().filter(|rule| is_own(rule));
        own.map(|rule| (rule.id().unwrap_or_default().to_owned(), understood(rule))).collect()
    }
}

impl S3Bucket {
    /// Compares the bucket's rules with those that are wanted, and brings them together if told to.
    pub(super) async fn bring_rules_together(
        &self,
        wanted: &LifecycleRules,
        apply: bool,
    ) -> Result<LifecycleReport, BucketError> {
        let rules = wanted.wanted();
        let mut there = self.lifecycle_rules().await?;
        let changes = changes(&there.own(), &rules);
        let others = there.rules.iter().filter(|rule| !is_own(rule)).count();
        let mut report = LifecycleReport { changes, others, not_kept: Vec::new() };
        if !apply || report.changes.is_empty() {
            return Ok(report);
        }
        there.rules.retain(|rule| !is_own(rule));
        for rule in &rules {
            there.rules.push(sdk_rule(rule)?);
        }
        self.put_lifecycle_rules(there).await?;
        let kept: Vec<_> = self.lifecycle_rules().await?.own().into_iter().filter_map(|(_, rule)| rule).collect();
        report.not_kept = rules.into_iter().filter(|rule| !kept.contains(rule)).collect();
        Ok(report)
    }

    async fn lifecycle_rules(&self) -> Result<Configuration, BucketError> {
        let asked = self.client.get_bucket_lifecycle_configuration().bucket(&self.bucket).send();
        match bounded(asked).await? {
            Ok(GetBucketLifecycleConfigurationOutput { rules, transition_default_minimum_object_size, .. }) => {
                let smallest_moved = transition_default_minimum_object_size;
                Ok(Configuration { rules: rules.unwrap_or_default(), smallest_moved })
            }
            Err(error) if errors::code(&error) == Some("NoSuchLifecycleConfiguration") => {
                Ok(Configuration { rules: Vec::new(), smallest_moved: None })
            }
            Err(error) if knows_no_lifecycle(errors::status(&error), errors::code(&error)) => {
                Err(BucketError::NoLifecycle)
            }
            Err(error) => Err(self.failure(Operation::ReadLifecycle).explain(&error)),
        }
    }

    async fn put_lifecycle_rules(&self, configuration: Configuration) -> Result<(), BucketError> {
        let Configuration { rules, smallest_moved } = configuration;
        let configuration = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build().map_err(invalid)?;
        let put = self
            .client
            .put_bucket_lifecycle_configuration()
            .bucket(&self.bucket)
            .lifecycle_configuration(configuration)
            .set_transition_default_minimum_object_size(smallest_moved);
        match bounded(put.send()).await? {
            Ok(_) => Ok(()),
            Err(error) if knows_no_lifecycle(errors::status(&error), errors::code(&error)) => {
                Err(BucketError::NoLifecycle)
            }
            Err(error) => {
                tracing::debug!(message = error.message(), "the store does not take the rules");
                Err(self.failure(Operation::WriteLifecycle).explain(&error))
            }
        }
    }
}

fn knows_no_lifecycle(status: Option<u16>, code: Option<&str>) -> bool {
    matches!(status, Some(405 | 501))
        || matches!(code, Some("NotImplemented" | "MethodNotAllowed" | "UnsupportedOperation"))
}

fn is_own(rule: &LifecycleRule) -> bool {
    rule.id().is_some_and(LifecycleRules::is_own)
}

fn invalid(error: impl std::fmt::Display) -> BucketError {
    BucketError::InvalidSetting(format!("the lifecycle rules cannot be written: {error}"))
}

fn sdk_rule(rule: &OwnRule) -> Result<LifecycleRule, BucketError> {
    let days = |days: NonZero<u32>| i32::try_from(days.get()).unwrap_or(i32::MAX);
    let filter = LifecycleRuleFilter::builder().prefix(&rule.prefix).build();
    let built = LifecycleRule::builder().id(rule.id).filter(filter).status(ExpirationStatus::Enabled);
    let built = match rule.action {
        RuleAction::DeleteAfterDays(after) => {
            built.expiration(LifecycleExpiration::builder().days(days(after)).build())
        }
        RuleAction::DiscardUnfinishedAfterDays(after) => {
            let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(days(after)).build();
            built.abort_incomplete_multipart_upload(abort)
        }
    };
    built.build().map_err(invalid)
}

/// A rule of ours in the bucket's words. None where it does more or other things than one of ours.
fn understood(rule: &LifecycleRule) -> Option<OwnRule> {
    let id = LifecycleRules::own_id(rule.id()?)?;
    if *rule.status() != ExpirationStatus::Enabled || !rule.transitions().is_empty() {
        return None;
    }
    #[expect(deprecated, reason = "stores answer with the old place of the prefix")]
    let old = rule.prefix();
    let prefix = rule.filter().and_then(LifecycleRuleFilter::prefix).or(old).unwrap_or_default().to_owned();
    let days = |days: Option<i32>| days.and_then(|days| u32::try_from(days).ok()).and_then(NonZero::new);
    let delete = rule.expiration().and_then(|expiration| days(expiration.days()));
    let discard = rule.abort_incomplete_multipart_upload().and_then(|abort| days(abort.days_after_initiation()));
    let action = match (delete, discard) {
        (Some(after), None) => RuleAction::DeleteAfterDays(after),
        (None, Some(after)) => RuleAction::DiscardUnfinishedAfterDays(after),
        (Some(_), Some(_)) | (None, None) => return None,
    };
    Some(OwnRule { id, prefix, action })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_rule_that_was_written_is_understood_again() {
        let rules = LifecycleRules::new("team/recordings/", Some(Duration::from_secs(90 * 24 * 3600)));
        for rule in rules.wanted() {
            assert_eq!(understood(&sdk_rule(&rule).unwrap()), Some(rule));
        }
    }
}
