//! A folder as a bucket, through its public face: objects, links, notifications, the publisher and the catalog.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use roomtone_protocol::code;
use roomtone_storage::{
    Bucket, BucketError, Catalog, FolderBucket, Listed, Prefix, Progress, PublishEvent, Publisher, PublisherSettings,
    PutMode, test_storage,
};
use time::macros::datetime;

use crate::support::{first, job, links, recording, room, soon, take};

struct Setup {
    root: tempfile::TempDir,
    takes: tempfile::TempDir,
    bucket: Arc<FolderBucket>,
}

async fn setup() -> Setup {
    let (root, takes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bucket = Arc::new(FolderBucket::open(root.path().join("bucket"), links()).await.unwrap());
    Setup { root, takes, bucket }
}

fn names(entries: &[Listed]) -> Vec<&str> {
    entries.iter().map(|listed| listed.name.as_str()).collect()
}

#[tokio::test]
async fn objects_come_back_as_they_went_in() {
    let Setup { root: _root, takes, bucket } = setup().await;
    let take = take(takes.path(), "t.wav", 1, 20_000_000);
    let reports = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&reports);
    let progress = Progress::new(move |bytes, total| seen.lock().unwrap().push((bytes, total)));
    let upload = first("r/a b.wav", &take, 1);
    let object = bucket.put_file(upload, progress).await.unwrap();
    assert_eq!(object.size, 20_000_000);
    assert_eq!(bucket.head("r/a b.wav").await.unwrap(), Some(object.clone()));
    assert_eq!(bucket.list("r/").await.unwrap(), [object]);
    assert_eq!(bucket.get("r/a b.wav", 20_000_000).await.unwrap(), std::fs::read(&take).unwrap());
    assert!(matches!(bucket.get("r/a b.wav", 19_999_999).await, Err(BucketError::TooLarge { .. })));
    assert!(bucket.holds(upload).await.unwrap());
    let again = bucket.put_file(upload, Progress::none()).await;
    assert!(matches!(again, Err(BucketError::AlreadyExists { .. })));
    let reports = reports.lock().unwrap().clone();
    assert!(reports.len() > 1 && reports.last() == Some(&(20_000_000, 20_000_000)), "{reports:?}");
    bucket.delete("r/a b.wav").await.unwrap();
    assert_eq!(bucket.head("r/a b.wav").await.unwrap(), None);
    assert!(matches!(bucket.get("r/a b.wav", 1).await, Err(BucketError::NotFound { .. })));
}

#[tokio::test]
async fn links_are_what_the_relay_checks() {
    let Setup { root: _root, takes: _takes, bucket } = setup().await;
    let now = datetime!(2026-11-21 00:00:00 UTC);
    let link = bucket.link("r/ü b.wav", Duration::from_secs(60), now).await.unwrap();
    assert_eq!(link.expires_at, "2026-11-21T00:01:00Z");
    let expires = now.unix_timestamp() + 60;
    let start = format!("http://127.0.0.1:7880/files/r/%C3%BC%20b.wav?expires={expires}&signature=");
    let signature = link.link.strip_prefix(&start).unwrap_or_else(|| panic!("{}", link.link));
    assert_eq!(links().key.check("r/ü b.wav", expires, signature, expires - 1), Ok(()));
    assert!(bucket.link("../x", Duration::from_secs(60), now).await.is_err());
    assert!(bucket.link("x", Duration::ZERO, now).await.is_err());
}

#[tokio::test]
async fn a_folder_that_is_gone_is_unreachable_and_not_made_anew() {
    let Setup { root, takes: _takes, bucket } = setup().await;
    std::fs::remove_dir_all(root.path().join("bucket")).unwrap();
    let error = bucket.list("").await.unwrap_err();
    assert_eq!(error.report().code, code::STORAGE_UNREACHABLE);
    let error = bucket.put_bytes("a.wav", Bytes::new(), PutMode::CreateNew).await.unwrap_err();
    assert_eq!(error.report().code, code::STORAGE_UNREACHABLE);
    assert!(!root.path().join("bucket").exists());
}

#[tokio::test]
async fn the_catalog_follows_the_publisher_and_everybody_else() {
    let Setup { root: _root, takes, bucket } = setup().await;
    let queue = tempfile::tempdir().unwrap();
    let catalog = Catalog::start(bucket.clone(), Prefix::default());
    let mut list = catalog.watch();
    let (publisher, mut events) =
        Publisher::open(queue.path(), bucket.clone(), PublisherSettings::default()).await.unwrap();
    publisher.submit(job(1, &take(takes.path(), "1.wav", 1, 1000))).await.unwrap();
    while !matches!(soon("publishing", events.recv()).await, Some(PublishEvent::Published { .. })) {}

    let named = |list: &Arc<Vec<Listed>>| list.len() == 1 && list[0].entry.recording == Some(recording(1));
    soon("the recording in the list", list.wait_for(named)).await.unwrap();
    let entry = catalog.entries()[0].entry.clone();
    assert_eq!((entry.room.as_deref(), entry.duration_ms, entry.size), (Some("Band"), Some(1000), 1000));

    std::fs::write(bucket.root().join("recordings/band-foreign.flac"), b"x").unwrap();
    std::fs::write(bucket.root().join("secret.mp3"), b"x").unwrap();
    std::fs::write(bucket.root().join("notes.txt"), b"x").unwrap();
    soon("foreign objects in the list", list.wait_for(|list| list.len() == 3)).await.unwrap();
    assert_eq!(names(&catalog.entries()).last().copied(), Some("recordings/band_20261121_010203.wav"));
    let keys = |host, room| {
        let mut keys: Vec<_> = catalog.visible_to(host, room, "Band").into_iter().map(|entry| entry.key).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(true, room(9)).len(), 3);
    assert_eq!(keys(false, room(1)), ["recordings/band-foreign.flac", "recordings/band_20261121_010203.wav"]);
    assert_eq!(keys(false, room(2)), ["recordings/band-foreign.flac"]);

    std::fs::remove_file(bucket.root().join("secret.mp3")).unwrap();
    soon("the deletion", list.wait_for(|list| list.len() == 2)).await.unwrap();

    let id = recording(1).to_string();
    catalog.rename(&id, Some("First take")).await.unwrap();
    assert_eq!(catalog.find(&id).unwrap().entry.title.as_deref(), Some("First take"));
    let foreign = catalog.rename("recordings/band-foreign.flac", Some("x")).await;
    assert!(matches!(foreign, Err(BucketError::NotFound { .. })));
    catalog.delete(&id).await.unwrap();
    assert_eq!(names(&catalog.entries()), ["recordings/band-foreign.flac"]);
    assert_eq!(bucket.list("recordings/band_").await.unwrap(), []);
    assert!(matches!(catalog.delete(&id).await, Err(BucketError::NotFound { .. })));
}

#[tokio::test]
async fn metadata_of_a_newer_version_is_neither_used_nor_touched() {
    let Setup { root: _root, takes: _takes, bucket } = setup().await;
    let newer = Bytes::from_static(br#"{"schema":2,"title":{"of":"another shape"}}"#);
    bucket.put_bytes("a.wav", Bytes::from_static(b"x"), PutMode::CreateNew).await.unwrap();
    bucket.put_bytes("a.json", newer.clone(), PutMode::CreateNew).await.unwrap();
    bucket.put_bytes("b.wav", Bytes::from_static(b"x"), PutMode::CreateNew).await.unwrap();
    bucket.put_bytes("b.json", Bytes::from_static(b"{dam"), PutMode::CreateNew).await.unwrap();
    let catalog = Catalog::start(bucket.clone(), Prefix::default());
    catalog.refresh().await.unwrap();
    assert_eq!(catalog.entries().len(), 2);
    assert!(catalog.entries().iter().all(|listed| listed.entry.recording.is_none()));
    assert_eq!(catalog.rename("a.wav", Some("x")).await.unwrap_err().report().code, code::NEWER_VERSION);
    assert_eq!(bucket.get("a.json", 1000).await.unwrap(), newer);
}

#[tokio::test]
async fn a_test_of_the_storage_leaves_nothing_behind() {
    let Setup { root: _root, takes: _takes, bucket } = setup().await;
    for prefix in ["", "team/audio"] {
        let report = test_storage(&*bucket, &prefix.parse().unwrap()).await;
        assert!(report.is_good() && report.steps.len() == 4, "{report:?}");
    }
    assert_eq!(bucket.list("").await.unwrap(), []);
    assert!(!bucket.root().join("team").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn equal_bytes_after_a_crash_before_the_note_are_recognised() {
    // A publisher that died between the object's appearing and the note about it: the job says that it had begun.
    let Setup { root: _root, takes, bucket } = setup().await;
    let queue = tempfile::tempdir().unwrap();
    let take = take(takes.path(), "1.wav", 1, 1000);
    let job = job(1, &take);
    let key = "recordings/band_20261121_010203.wav";
    let stored = serde_json::json!({
        "schema": 1, "recording": recording(1), "take": take, "metadata": job.metadata,
        "stage": "reserved", "key": key, "begun": true,
    });
    std::fs::write(queue.path().join(format!("{}.json", recording(1))), stored.to_string()).unwrap();
    let upload = first(key, &take, 1);
    bucket.put_file(upload, Progress::none()).await.unwrap();
    let (_publisher, mut events) =
        Publisher::open(queue.path(), bucket.clone(), PublisherSettings::default()).await.unwrap();
    let event = loop {
        match soon("publishing", events.recv()).await.unwrap() {
            PublishEvent::Progress { .. } => {}
            event => break event,
        }
    };
    assert_eq!(
        event,
        PublishEvent::Published { recording: recording(1), key: key.into(), size: 1000, take: Some(take) }
    );
    assert_eq!(bucket.list("").await.unwrap().len(), 2);
}
