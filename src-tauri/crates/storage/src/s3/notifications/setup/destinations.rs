//! Whom a bucket tells of changes: what is there stays, ours comes to it, and what the store would refuse is seen before.
//!
//! S3 lets two destinations have events of one kind only where no key can belong to both (Amazon S3 user guide, "Configuring
//! event notifications using object key name filtering").

use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::operation::get_bucket_notification_configuration::GetBucketNotificationConfigurationOutput;
use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration,
    S3KeyFilter,
};
use serde_json::{Value, json};

use crate::BucketError;

/// What is told: objects that appear, change, go away, and those that a rule of the bucket removes when they are old.
pub(super) const EVENTS: [&str; 3] = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"];

/// Our own entry.
pub(super) fn ours(id: &str, queue_arn: &str, prefix: &str) -> Result<QueueConfiguration, BuildError> {
    let mut entry = QueueConfiguration::builder().id(id).queue_arn(queue_arn);
    for event in EVENTS {
        entry = entry.events(Event::from(event));
    }
    if !prefix.is_empty() {
        let rule = FilterRule::builder().name(FilterRuleName::Prefix).value(prefix).build();
        let key = S3KeyFilter::builder().filter_rules(rule).build();
        entry = entry.filter(NotificationConfigurationFilter::builder().key(key).build());
    }
    entry.build()
}

/// What the bucket is to be told to do: none where it does so already.
///
/// # Errors
/// [`BucketError::EventsTaken`].
pub(super) fn with(
    found: &GetBucketNotificationConfigurationOutput,
    ours: &QueueConfiguration,
) -> Result<Option<NotificationConfiguration>, BucketError> {
    // An entry of ours for another prefix is of an earlier setting.
    let is_ours = |entry: &&QueueConfiguration| entry.queue_arn == ours.queue_arn || entry.id == ours.id;
    let (mine, others): (Vec<_>, Vec<_>) = found.queue_configurations().iter().partition(is_ours);
    let wanted = Entry::of(ours.id(), ours.queue_arn(), ours.events(), ours.filter());
    if let [one] = mine[..]
        && Entry::of(ours.id(), one.queue_arn(), one.events(), one.filter()).is_same(&wanted)
    {
        return Ok(None);
    }
    let topics = found.topic_configurations().iter();
    let topics = topics.map(|entry| Entry::of(entry.id(), entry.topic_arn(), entry.events(), entry.filter()));
    let functions = found.lambda_function_configurations().iter();
    let functions =
        functions.map(|entry| Entry::of(entry.id(), entry.lambda_function_arn(), entry.events(), entry.filter()));
    let queues = others.iter().map(|entry| Entry::of(entry.id(), entry.queue_arn(), entry.events(), entry.filter()));
    if let Some(taken) = topics.chain(functions).chain(queues).find(|entry| entry.overlaps(&wanted)) {
        let name = taken.id.map(|id| format!(" (setting {id:?})")).unwrap_or_default();
        return Err(BucketError::EventsTaken { by: format!("{}{name}", taken.target) });
    }
    let queues = others.into_iter().cloned().chain([ours.clone()]).collect();
    Ok(Some(
        NotificationConfiguration::builder()
            .set_topic_configurations(found.topic_configurations.clone())
            .set_lambda_function_configurations(found.lambda_function_configurations.clone())
            .set_event_bridge_configuration(found.event_bridge_configuration.clone())
            .set_queue_configurations(Some(queues))
            .build(),
    ))
}

/// As the store's own tools write it.
pub(super) fn as_json(configuration: &NotificationConfiguration) -> Value {
    let entry = |arn: &str, id, target, events, filter| Entry::of(id, target, events, filter).as_json(arn);
    let topics = configuration.topic_configurations().iter();
    let queues = configuration.queue_configurations().iter();
    let functions = configuration.lambda_function_configurations().iter();
    let mut json = json!({
        "TopicConfigurations": topics.map(|one| entry("TopicArn", one.id(), one.topic_arn(), one.events(), one.filter())).collect::<Vec<_>>(),
        "QueueConfigurations": queues.map(|one| entry("QueueArn", one.id(), one.queue_arn(), one.events(), one.filter())).collect::<Vec<_>>(),
        "LambdaFunctionConfigurations": functions.map(|one| entry("LambdaFunctionArn", one.id(), one.lambda_function_arn(), one.events(), one.filter())).collect::<Vec<_>>(),
    });
    if let Some(fields) = json.as_object_mut() {
        fields.retain(|_, list| list.as_array().is_none_or(|list| !list.is_empty()));
        if configuration.event_bridge_configuration().is_some() {
            fields.insert("EventBridgeConfiguration".to_owned(), json!({}));
        }
    }
    json
}

/// Somebody who is told.
struct Entry<'a> {
    id: Option<&'a str>,
    target: &'a str,
    events: Vec<&'a str>,
    prefix: &'a str,
    suffix: &'a str,
}

impl<'a> Entry<'a> {
    fn of(
        id: Option<&'a str>,
        target: &'a str,
        events: &'a [Event],
        filter: Option<&'a NotificationConfigurationFilter>,
    ) -> Self {
        let rules =
            filter.and_then(NotificationConfigurationFilter::key).map(S3KeyFilter::filter_rules).unwrap_or_default();
        // S3 answers with other capitals than it is asked with.
        let named = |name: &str| {
            let rule = rules.iter().find(|rule| rule.name().is_some_and(|is| is.as_str().eq_ignore_ascii_case(name)));
            rule.and_then(FilterRule::value).unwrap_or_default()
        };
        let events = events.iter().map(Event::as_str).collect();
        Self { id, target, events, prefix: named("prefix"), suffix: named("suffix") }
    }

    fn is_same(&self, other: &Self) -> bool {
        let sorted = |events: &[&'a str]| {
            let mut events = events.to_vec();
            events.sort_unstable();
            events
        };
        (self.target, self.prefix, self.suffix) == (other.target, other.prefix, other.suffix)
            && sorted(&self.events) == sorted(&other.events)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let within = |a: &str, b: &str| b.strip_suffix('*').map_or(a == b, |kind| a.starts_with(kind));
        let same_kind = self.events.iter().any(|a| other.events.iter().any(|b| within(a, b) || within(b, a)));
        let both = |a: &str, b: &str, begins: fn(&str, &str) -> bool| begins(a, b) || begins(b, a);
        same_kind
            && both(self.prefix, other.prefix, |a, b| a.starts_with(b))
            && both(self.suffix, other.suffix, |a, b| a.ends_with(b))
    }

    fn as_json(&self, arn: &str) -> Value {
        let rules: Vec<Value> = [("prefix", self.prefix), ("suffix", self.suffix)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| json!({"Name": name, "Value": value}))
            .collect();
        let mut json = json!({arn: self.target, "Events": self.events});
        if let Some(fields) = json.as_object_mut() {
            if let Some(id) = self.id {
                fields.insert("Id".to_owned(), id.into());
            }
            if !rules.is_empty() {
                fields.insert("Filter".to_owned(), json!({"Key": {"FilterRules": rules}}));
            }
        }
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::types::{EventBridgeConfiguration, LambdaFunctionConfiguration, TopicConfiguration};

    const QUEUE: &str = "arn:aws:sqs:eu-central-1:1:roomtone-talks-1a2b3c4d";

    fn filter(prefix: &str, suffix: &str) -> NotificationConfigurationFilter {
        // As S3 answers.
        let rule = |name, value| FilterRule::builder().name(FilterRuleName::from(name)).value(value).build();
        let key =
            S3KeyFilter::builder().filter_rules(rule("Prefix", prefix)).filter_rules(rule("Suffix", suffix)).build();
        NotificationConfigurationFilter::builder().key(key).build()
    }

    fn function(event: &str, prefix: &str, suffix: &str) -> LambdaFunctionConfiguration {
        let entry = LambdaFunctionConfiguration::builder().id("thumbnails").lambda_function_arn("arn:aws:lambda:x");
        entry.events(Event::from(event)).filter(filter(prefix, suffix)).build().unwrap()
    }

    fn found(function: LambdaFunctionConfiguration) -> GetBucketNotificationConfigurationOutput {
        let topic = TopicConfiguration::builder().topic_arn("arn:aws:sns:x").events(Event::from("s3:Replication:*"));
        GetBucketNotificationConfigurationOutput::builder()
            .topic_configurations(topic.build().unwrap())
            .lambda_function_configurations(function)
            .event_bridge_configuration(EventBridgeConfiguration::builder().build())
            .build()
    }

    #[test]
    fn what_is_there_stays_and_a_second_time_changes_nothing() {
        let found = found(function("s3:ObjectCreated:*", "photos/", ".jpg"));
        let ours = ours("roomtone-1a2b3c4d", QUEUE, "team/").unwrap();
        let merged = with(&found, &ours).unwrap().unwrap();
        assert_eq!(merged.topic_configurations, found.topic_configurations);
        assert_eq!(merged.lambda_function_configurations, found.lambda_function_configurations);
        assert!(merged.event_bridge_configuration().is_some());
        assert_eq!(merged.queue_configurations(), std::slice::from_ref(&ours));
        let set = GetBucketNotificationConfigurationOutput::builder()
            .set_topic_configurations(merged.topic_configurations.clone())
            .set_queue_configurations(merged.queue_configurations.clone())
            .build();
        assert_eq!(with(&set, &ours).unwrap(), None);
    }

    #[test]
    fn another_prefix_takes_the_place_of_the_earlier_one() {
        let before = ours("roomtone-1a2b3c4d", QUEUE, "").unwrap();
        let set = GetBucketNotificationConfigurationOutput::builder().queue_configurations(before).build();
        let after = ours("roomtone-1a2b3c4d", QUEUE, "team/").unwrap();
        assert_eq!(with(&set, &after).unwrap().unwrap().queue_configurations(), [after]);
    }

    #[test]
    fn what_the_store_would_refuse_is_named_before() {
        let ours = ours("roomtone-1a2b3c4d", QUEUE, "team/").unwrap();
        for (event, prefix, suffix, overlaps) in [
            ("s3:ObjectCreated:*", "", "", true),
            ("s3:ObjectCreated:Put", "team/audio/", ".wav", true),
            ("s3:ObjectRemoved:Delete", "te", "", true),
            ("s3:ObjectCreated:*", "photos/", "", false),
            ("s3:ObjectRestore:Completed", "", "", false),
        ] {
            let result = with(&found(function(event, prefix, suffix)), &ours);
            match result {
                Err(BucketError::EventsTaken { by }) => {
                    assert!(overlaps && by.contains("arn:aws:lambda:x") && by.contains("thumbnails"), "{event} {by}");
                }
                Ok(Some(_)) => assert!(!overlaps, "{event} {prefix} {suffix}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_would_be_written_can_be_read() {
        let ours = ours("roomtone-1a2b3c4d", QUEUE, "team/").unwrap();
        let merged = with(&found(function("s3:ObjectCreated:*", "photos/", ".jpg")), &ours).unwrap().unwrap();
        let json = as_json(&merged);
        assert_eq!(
            json["QueueConfigurations"],
            json!([{"Id": "roomtone-1a2b3c4d", "QueueArn": QUEUE, "Events": EVENTS,
                    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "team/"}]}}}])
        );
        assert_eq!(json["LambdaFunctionConfigurations"][0]["Filter"]["Key"]["FilterRules"][1]["Value"], ".jpg");
        assert_eq!(json["EventBridgeConfiguration"], json!({}));
    }
}
