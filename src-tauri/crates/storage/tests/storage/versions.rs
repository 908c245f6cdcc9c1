//! Newer versions and discarded recordings in real buckets: a folder, and SeaweedFS.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use roomtone_storage::{
    Bucket, BucketError, Catalog, FileUpload, FolderBucket, Prefix, Progress, PublishEvent, PutMode,
};
use serde_json::Value;
use tokio::sync::Notify;

use crate::disk::{Disk, KEY, METADATA, abandoned, discarded, published};
use crate::support::{BOUND, first, links, now, recording, soon, take};
use crate::unconditional::{Conditions, proxied};
use crate::weed::{BUCKET, Weed};

const MIB: usize = 1024 * 1024;

async fn described(bucket: &dyn Bucket) -> Value {
    serde_json::from_slice(&bucket.get(METADATA, 1 << 20).await.unwrap()).unwrap()
}

async fn folder() -> (tempfile::TempDir, Arc<FolderBucket>) {
    let root = tempfile::tempdir().unwrap();
    let bucket = Arc::new(FolderBucket::open(root.path().join("bucket"), links()).await.unwrap());
    (root, bucket)
}

#[tokio::test]
async fn in_a_folder_a_newer_version_shows_in_the_list_and_readers_keep_theirs() {
    let ((_root, bucket), disk) = (folder().await, Disk::new());
    let catalog = Catalog::start(bucket.clone(), Prefix::default());
    let mut list = catalog.watch();
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.submit(disk.version(1, "a", b"the first version")).await.unwrap();
    published(&mut events).await;
    soon("the first version", list.wait_for(|list| list.len() == 1)).await.unwrap();
    let mut reader = std::fs::File::open(bucket.root().join(KEY)).unwrap();
    let mut begin = [0; 4];
    reader.read_exact(&mut begin).unwrap();

    let mut second = disk.version(1, "b", b"SECOND");
    second.metadata.gapless = false;
    publisher.revise(second.clone()).await.unwrap();
    published(&mut events).await;
    assert_eq!(bucket.get(KEY, 100).await.unwrap(), "SECOND");
    assert_eq!(described(&*bucket).await["sha256"], Value::from(second.metadata.sha256.clone()));
    assert_eq!(std::io::read_to_string(reader).unwrap(), "first version"[..].to_owned());
    let listed = soon("the newer version", list.wait_for(|list| list[0].entry.gapless == Some(false))).await.unwrap();
    assert_eq!((listed.len(), listed[0].entry.size), (1, 6));
}

#[tokio::test]
async fn in_a_folder_a_file_that_somebody_edited_is_not_replaced() {
    let ((_root, bucket), disk) = (folder().await, Disk::new());
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.submit(disk.version(1, "a", b"first")).await.unwrap();
    published(&mut events).await;
    std::fs::write(bucket.root().join(KEY), b"mixed").unwrap();
    publisher.revise(disk.version(1, "b", b"second")).await.unwrap();
    abandoned(&mut events).await;
    assert_eq!(bucket.get(KEY, 100).await.unwrap(), "mixed");
}

#[tokio::test]
async fn in_a_folder_a_cancelled_recording_leaves_nothing_while_it_is_copied_and_after() {
    let ((_root, bucket), disk) = (folder().await, Disk::new());
    bucket.put_bytes("recordings/band_x.wav", Bytes::from_static(b"foreign"), PutMode::CreateNew).await.unwrap();
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.submit(disk.version(1, "a", &vec![7; 64 * MIB])).await.unwrap();
    // In the middle of the copy, wherever that is by now.
    loop {
        match soon("progress", events.recv()).await.unwrap() {
            PublishEvent::Progress { going, .. } if going.bytes > 0 => break,
            _ => {}
        }
    }
    publisher.discard(recording(1)).await.unwrap();
    discarded(&mut events).await;
    assert!(publisher.drain(BOUND).await);
    let keys = || async { bucket.list("").await.unwrap().into_iter().map(|object| object.key).collect::<Vec<_>>() };
    assert_eq!(keys().await, ["recordings/band_x.wav"]);

    publisher.submit(disk.version(2, "a", b"another")).await.unwrap();
    published(&mut events).await;
    assert_eq!(keys().await.len(), 3);
    publisher.discard(recording(2)).await.unwrap();
    discarded(&mut events).await;
    assert_eq!(keys().await, ["recordings/band_x.wav"]);
}

/// A file without metadata beside it says nothing about whose it is: its content has to.
#[tokio::test]
async fn in_a_folder_an_upload_cut_off_before_its_note_is_recognised_by_its_content() {
    for (content, left) in [(&b"ours"[..], 0), (b"somebody else's", 1)] {
        let ((_root, bucket), disk) = (folder().await, Disk::new());
        let job = disk.version(1, "a", b"ours");
        drop(disk.open(&bucket).await);
        let stored = serde_json::json!({
            "schema": 1, "recording": recording(1), "take": job.take, "metadata": job.metadata,
            "stage": "reserved", "key": KEY, "begun": true,
        });
        std::fs::write(disk.queue.path().join(format!("{}.json", recording(1))), stored.to_string()).unwrap();
        let tombstone = serde_json::json!({"schema": 1, "recording": recording(1), "done": false});
        let path = disk.queue.path().join("discarded").join(format!("{}.json", recording(1)));
        std::fs::write(path, tombstone.to_string()).unwrap();
        bucket.put_bytes(KEY, Bytes::from_static(content), PutMode::CreateNew).await.unwrap();
        let (_publisher, mut events) = disk.open(&bucket).await;
        discarded(&mut events).await;
        assert_eq!(bucket.list("").await.unwrap().len(), left);
    }
}

#[tokio::test]
async fn in_s3_only_the_parts_that_changed_are_sent_again() {
    let (weed, disk) = (Weed::start().await, Disk::new());
    let (bucket, proxy) = proxied(&weed, &disk.takes.path().join("ledgers"), Conditions::Passed).await;
    let bucket = Arc::new(bucket);
    let (publisher, mut events) = disk.open(&bucket).await;
    let content = std::fs::read(take(disk.takes.path(), "t.wav", 1, 60 * MIB + 12_345)).unwrap();
    publisher.submit(disk.version(1, "a", &content)).await.unwrap();
    published(&mut events).await;
    let old = bucket.head(KEY).await.unwrap().unwrap();

    let mut repaired = content.clone();
    repaired[0] ^= 1;
    repaired[33 * MIB..34 * MIB].fill(9);
    let before = proxy.sent();
    let second = disk.version(1, "b", &repaired);
    publisher.revise(second.clone()).await.unwrap();
    published(&mut events).await;
    let sent = proxy.sent() - before;
    assert!(bucket.get(KEY, 1 << 30).await.unwrap() == repaired, "the object is not the repaired take");
    assert!((16 * MIB..17 * MIB).contains(&sent), "two of eight parts changed, and {sent} bytes were sent");
    assert_eq!(described(&*bucket).await["sha256"], Value::from(second.metadata.sha256.clone()));
    assert_ne!(bucket.head(KEY).await.unwrap().unwrap().etag, old.etag);

    // Who resumes a download gets the rest of the version that was begun, or the whole new one.
    let link = bucket.link(KEY, Duration::from_secs(600), now()).await.unwrap().link;
    let resumed = reqwest::Client::new().get(&link).header("range", "bytes=1000-");
    let resumed = resumed.header("if-match", format!("\"{}\"", old.etag)).send().await.unwrap();
    assert_eq!(resumed.status(), 412);
}

#[tokio::test]
async fn in_s3_an_interrupted_newer_version_goes_on_and_one_without_copies_is_whole() {
    let (weed, disk) = (Weed::start().await, Disk::new());
    let ledgers = disk.takes.path().join("ledgers");
    let bucket = Arc::new(weed.bucket(&ledgers).await);
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.submit(disk.version(1, "a", &vec![1; 1000])).await.unwrap();
    published(&mut events).await;

    let content = std::fs::read(take(disk.takes.path(), "t.wav", 2, 96 * MIB)).unwrap();
    publisher.revise(disk.version(1, "b", &content)).await.unwrap();
    loop {
        match soon("progress", events.recv()).await.unwrap() {
            PublishEvent::Progress { going, .. } if going.bytes > 0 => break,
            _ => {}
        }
    }
    drop(publisher);
    assert_eq!(bucket.get(KEY, 1000).await.unwrap(), vec![1; 1000], "until it is whole, the old version is there");
    let (publisher, mut events) = disk.open(&bucket).await;
    published(&mut events).await;
    assert!(bucket.get(KEY, 1 << 30).await.unwrap() == content);
    assert!(publisher.drain(BOUND).await);
    assert_eq!(std::fs::read_dir(&ledgers).unwrap().count(), 0);
}

#[tokio::test]
async fn in_s3_an_object_that_changes_during_the_upload_of_a_newer_version_is_kept() {
    let (weed, disk) = (Weed::start().await, tempfile::tempdir().unwrap());
    let bucket = weed.bucket(&disk.path().join("ledgers")).await;
    let take = take(disk.path(), "t.wav", 1, 40 * MIB);
    let there = bucket.put_bytes("x.wav", Bytes::from_static(b"old"), PutMode::CreateNew).await.unwrap();
    let begun = Arc::new(Notify::new());
    let progress = Progress::new({
        let begun = Arc::clone(&begun);
        move |_, _| begun.notify_one()
    });
    let upload = FileUpload { mode: PutMode::ReplaceVersion(&there.etag), ..first("x.wav", &take, 1) };
    let (uploaded, ()) = tokio::join!(bucket.put_file(upload, progress), async {
        begun.notified().await;
        weed.put_foreign("x.wav", b"foreign").await;
    });
    assert!(matches!(uploaded, Err(BucketError::Changed { .. })), "{uploaded:?}");
    assert_eq!(bucket.get("x.wav", 100).await.unwrap(), "foreign");
    assert_eq!(unfinished(&weed).await, 0, "the unfinished upload was discarded");
    let stale = bucket.put_bytes("x.wav", Bytes::from_static(b"new"), PutMode::ReplaceVersion(&there.etag)).await;
    assert!(matches!(stale, Err(BucketError::Changed { .. })), "{stale:?}");
}

#[tokio::test]
async fn in_s3_a_cancelled_recording_leaves_no_object_and_no_unfinished_upload() {
    let (weed, disk) = (Weed::start().await, Disk::new());
    let ledgers = disk.takes.path().join("ledgers");
    let bucket = Arc::new(weed.bucket(&ledgers).await);
    weed.put_foreign("recordings/band_x.wav", b"foreign").await;
    let (publisher, mut events) = disk.open(&bucket).await;
    let content = std::fs::read(take(disk.takes.path(), "t.wav", 1, 96 * MIB)).unwrap();
    publisher.submit(disk.version(1, "a", &content)).await.unwrap();
    loop {
        match soon("progress", events.recv()).await.unwrap() {
            PublishEvent::Progress { going, .. } if going.bytes > 0 => break,
            _ => {}
        }
    }
    assert_eq!(unfinished(&weed).await, 1);
    publisher.discard(recording(1)).await.unwrap();
    discarded(&mut events).await;
    assert_eq!(unfinished(&weed).await, 0);
    assert_eq!(bucket.list("").await.unwrap().len(), 1);
    assert_eq!(std::fs::read_dir(&ledgers).unwrap().count(), 0);
    assert!(bucket.owner("recordings/band_x.wav").await.unwrap().is_none());
}

async fn unfinished(weed: &Weed) -> usize {
    let uploads = weed.client().list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    uploads.uploads().len()
}
