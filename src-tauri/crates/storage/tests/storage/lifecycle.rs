//! What a real store does by itself: its rules, its versions, and the links it signs.

use std::time::Duration;

use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketVersioningStatus, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleFilter, VersioningConfiguration,
};
use bytes::Bytes;
use roomtone_protocol::catalog::Kept;
use roomtone_storage::{Bucket as _, BucketError, FolderBucket, LifecycleChange, LifecycleRules, PutMode};

use crate::support::{links, now};
use crate::weed::{BUCKET, Weed};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The ids and prefixes of all rules, as another client sees them.
async fn rules(weed: &Weed) -> Vec<(String, String)> {
    let answer = weed.client().get_bucket_lifecycle_configuration().bucket(BUCKET).send().await.unwrap();
    let shown = |rule: &LifecycleRule| {
        let prefix = rule.filter().and_then(LifecycleRuleFilter::prefix).unwrap_or_default();
        (rule.id().unwrap_or_default().to_owned(), prefix.to_owned())
    };
    let mut rules: Vec<_> = answer.rules().iter().map(shown).collect();
    rules.sort();
    rules
}

#[tokio::test]
async fn own_rules_come_and_go_among_those_of_others() {
    let (weed, disk) = (Weed::start().await, tempfile::tempdir().unwrap());
    let bucket = weed.bucket(disk.path()).await;
    let theirs = LifecycleRule::builder()
        .id("theirs")
        .filter(LifecycleRuleFilter::builder().prefix("tmp/").build())
        .status(ExpirationStatus::Enabled)
        .expiration(LifecycleExpiration::builder().days(3).build())
        .build()
        .unwrap();
    let configuration = BucketLifecycleConfiguration::builder().rules(theirs).build().unwrap();
    let put = weed.client().put_bucket_lifecycle_configuration().bucket(BUCKET);
    put.lifecycle_configuration(configuration).send().await.unwrap();

    let ninety = LifecycleRules::new("recordings/", Some(90 * DAY));
    let planned = bucket.lifecycle(&ninety, false).await.unwrap();
    assert_eq!((planned.changes.len(), planned.others), (2, 1), "{planned:?}");
    assert_eq!(rules(&weed).await.len(), 1, "a plan changes nothing");
    assert!(!planned.deletes_by_itself(&ninety));

    let done = bucket.lifecycle(&ninety, true).await.unwrap();
    assert_eq!(done.not_kept, [], "{done:?}");
    let of = |id: &str, prefix: &str| (id.to_owned(), prefix.to_owned());
    let own = [of("roomtone-retention", "recordings/"), of("roomtone-unfinished-uploads", "recordings/")];
    assert_eq!(rules(&weed).await, [own[0].clone(), own[1].clone(), of("theirs", "tmp/")]);
    let again = bucket.lifecycle(&ninety, false).await.unwrap();
    assert_eq!(again.changes, []);
    assert!(again.deletes_by_itself(&ninety));

    let thirty = LifecycleRules::new("recordings/", Some(30 * DAY));
    let changes = bucket.lifecycle(&thirty, true).await.unwrap().changes;
    assert!(
        matches!(&changes[..], [LifecycleChange::Replace { rule }] if rule.id == "roomtone-retention"),
        "{changes:?}"
    );
    assert!(bucket.lifecycle(&thirty, false).await.unwrap().deletes_by_itself(&thirty));

    let none = LifecycleRules::new("recordings/", None);
    let changes = bucket.lifecycle(&none, true).await.unwrap().changes;
    assert_eq!(changes, [LifecycleChange::Remove { id: "roomtone-retention".into() }]);
    assert_eq!(rules(&weed).await, [own[1].clone(), of("theirs", "tmp/")]);
}

#[tokio::test]
async fn a_folder_has_no_rules_and_keeps_nothing() {
    let root = tempfile::tempdir().unwrap();
    let bucket = FolderBucket::open(root.path(), links()).await.unwrap();
    let asked = bucket.lifecycle(&LifecycleRules::new("recordings/", None), false).await;
    assert!(matches!(asked, Err(BucketError::NoLifecycle)));
    assert_eq!(bucket.kept_of_deleted().await, Kept::Nothing);
}

#[tokio::test]
async fn what_a_versioned_bucket_keeps_is_told() {
    let (weed, disk) = (Weed::start().await, tempfile::tempdir().unwrap());
    let bucket = weed.bucket(disk.path()).await;
    assert_eq!(bucket.kept_of_deleted().await, Kept::Nothing);
    let set = async |status| {
        let configuration = VersioningConfiguration::builder().status(status).build();
        let put = weed.client().put_bucket_versioning().bucket(BUCKET).versioning_configuration(configuration);
        put.send().await.unwrap();
    };
    set(BucketVersioningStatus::Enabled).await;
    assert_eq!(bucket.kept_of_deleted().await, Kept::Versions);
    bucket.put_bytes("r/a.wav", Bytes::from_static(b"one"), PutMode::CreateNew).await.unwrap();
    bucket.delete("r/a.wav").await.unwrap();
    assert_eq!(bucket.head("r/a.wav").await.unwrap(), None);
    let versions = weed.client().list_object_versions().bucket(BUCKET).prefix("r/").send().await.unwrap();
    assert_eq!(versions.versions().len(), 1, "it is kept, as was told: {versions:?}");
    set(BucketVersioningStatus::Suspended).await;
    assert_eq!(bucket.kept_of_deleted().await, Kept::EarlierVersions);
}

#[tokio::test]
async fn a_link_names_its_file_and_resumes_only_the_same_object() {
    let (weed, disk) = (Weed::start().await, tempfile::tempdir().unwrap());
    let bucket = weed.bucket(disk.path()).await;
    let object =
        bucket.put_bytes("r/größe 1.wav", Bytes::from_static(b"0123456789"), PutMode::CreateNew).await.unwrap();
    for lifetime in [Duration::ZERO, Duration::from_millis(999), 7 * DAY + Duration::from_secs(1)] {
        let refused = bucket.link("r/größe 1.wav", lifetime, now()).await;
        assert!(matches!(refused, Err(BucketError::InvalidLifetime(_))), "{lifetime:?}");
    }
    bucket.link("r/größe 1.wav", 7 * DAY, now()).await.unwrap();
    let link = bucket.link("r/größe 1.wav", Duration::from_secs(600), now()).await.unwrap().link;
    let client = reqwest::Client::new();
    let whole = client.get(&link).send().await.unwrap();
    let disposition = whole.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert_eq!(disposition, "attachment; filename=\"gr__e 1.wav\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%201.wav");
    let resumed = async |etag: &str| {
        let asked = client.get(&link).header("range", "bytes=4-").header("if-range", etag).send().await.unwrap();
        (asked.status().as_u16(), asked.bytes().await.unwrap())
    };
    let same = resumed(&format!("\"{}\"", object.etag)).await;
    assert_eq!(same, (206, Bytes::from_static(b"456789")));
}
