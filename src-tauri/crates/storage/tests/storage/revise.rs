//! Newer versions of published recordings, against a bucket that fails as told.

use std::sync::Arc;
use std::time::Duration;

use roomtone_protocol::code;
use roomtone_storage::{Bucket as _, Job, PutMode};
use serde_json::Value;

use crate::disk::{Disk, KEY, METADATA, abandoned, published, retrying};
use crate::fake::{FakeBucket, Fate, Fault};
use crate::support::{BOUND, recording, soon};

const HOUR: Duration = Duration::from_secs(3600);

fn beside(bucket: &FakeBucket) -> Value {
    serde_json::from_slice(&bucket.content(METADATA).unwrap()).unwrap()
}

/// Whether exactly this version is in the bucket, audio and metadata.
fn holds(bucket: &FakeBucket, version: &Job) -> bool {
    bucket.keys() == [METADATA, KEY]
        && bucket.content(KEY).unwrap() == std::fs::read(&version.take).unwrap()
        && beside(bucket)["sha256"] == Value::from(version.metadata.sha256.clone())
}

#[tokio::test]
async fn a_newer_version_takes_the_place_of_the_one_published_audio_first() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    let (first, second) = (disk.version(1, "a", b"first"), disk.version(1, "b", b"second"));
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.submit(first.clone()).await.unwrap();
    published(&mut events).await;
    publisher.revise(second.clone()).await.unwrap();
    assert_eq!(published(&mut events).await, (1, KEY.to_owned()));
    assert!(holds(&bucket, &second));
    assert_eq!(bucket.writes(), [KEY, METADATA, KEY, METADATA]);
    assert!(publisher.drain(BOUND).await);
    assert_eq!(disk.waiting(), 0);
    assert!(first.take.exists() && second.take.exists(), "local files are never touched");
}

/// Every request of the way is lost, or its answer is, or the program dies before or after it.
#[tokio::test]
async fn whatever_goes_wrong_at_any_step_the_newer_version_arrives_whole() {
    for fault in [Fault::Lost, Fault::AnswerLost, Fault::HangsBefore, Fault::HangsAfter] {
        for request in 1.. {
            let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
            let (first, second) = (disk.version(1, "a", b"first"), disk.version(1, "b", b"second"));
            let (publisher, mut events) = disk.open(&bucket).await;
            publisher.submit(first).await.unwrap();
            published(&mut events).await;
            bucket.set_fault(request, fault);
            publisher.revise(second.clone()).await.unwrap();
            let hung = tokio::select! {
                _ = published(&mut events) => false,
                () = soon("the end or the fault", bucket.hanging.notified()) => true,
            };
            let publisher = if hung {
                drop(publisher);
                let (publisher, mut events) = disk.open(&bucket).await;
                published(&mut events).await;
                publisher
            } else {
                publisher
            };
            assert!(publisher.drain(BOUND).await);
            assert!(holds(&bucket, &second), "{fault:?} at {request}: {:?}", bucket.writes());
            let writes = bucket.writes();
            let last = |key| writes.iter().rposition(|written| written == key);
            assert!(last(KEY) < last(METADATA), "{fault:?} at {request}: {writes:?}");
            assert_eq!(disk.waiting(), 0, "{fault:?} at {request}");
            if !bucket.fault_happened() {
                assert!(request > 5, "the fault was never met");
                break;
            }
        }
    }
}

/// As above, with a third version handed in while the second is stuck in the middle.
#[tokio::test]
async fn a_version_handed_in_behind_one_that_was_cut_off_follows_it() {
    for fault in [Fault::HangsBefore, Fault::HangsAfter] {
        for request in 1.. {
            let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
            let (publisher, mut events) = disk.open(&bucket).await;
            publisher.submit(disk.version(1, "a", b"first")).await.unwrap();
            published(&mut events).await;
            bucket.set_fault(request, fault);
            publisher.revise(disk.version(1, "b", b"second")).await.unwrap();
            let third = disk.version(1, "c", b"the third");
            let hung = tokio::select! {
                _ = published(&mut events) => false,
                () = soon("the end or the fault", bucket.hanging.notified()) => true,
            };
            let met = bucket.fault_happened();
            publisher.revise(third.clone()).await.unwrap();
            let publisher = if hung {
                drop(publisher);
                disk.open(&bucket).await.0
            } else {
                publisher
            };
            assert!(publisher.drain(BOUND).await);
            assert!(holds(&bucket, &third), "{fault:?} at {request}: {:?}", bucket.writes());
            if !met {
                assert!(request > 5, "the fault was never met");
                break;
            }
        }
    }
}

#[tokio::test]
async fn versions_are_gathered_and_only_the_newest_goes_up() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    let (publisher, mut events) = disk.open_gathering(&bucket, HOUR).await;
    publisher.submit(disk.version(1, "a", b"first")).await.unwrap();
    published(&mut events).await;
    for version in ["b", "c"] {
        publisher.revise(disk.version(1, version, b"between")).await.unwrap();
    }
    let newest = disk.version(1, "d", b"newest");
    publisher.revise(newest.clone()).await.unwrap();
    assert_eq!(publisher.pending(), [], "it is in the bucket already");
    assert_eq!(bucket.uploads(), 1);
    // The program ends: nothing more will come.
    assert!(publisher.drain(BOUND).await);
    assert_eq!(bucket.uploads(), 2);
    assert!(holds(&bucket, &newest));
}

#[tokio::test]
async fn the_time_of_gathering_ends_by_itself_and_survives_a_restart() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    let (publisher, mut events) = disk.open_gathering(&bucket, Duration::from_millis(20)).await;
    publisher.submit(disk.version(1, "a", b"first")).await.unwrap();
    published(&mut events).await;
    publisher.revise(disk.version(1, "b", b"second")).await.unwrap();
    published(&mut events).await;
    drop(publisher);

    let (publisher, _events) = disk.open_gathering(&bucket, HOUR).await;
    let third = disk.version(1, "c", b"the third");
    publisher.revise(third.clone()).await.unwrap();
    drop(publisher);
    let (_publisher, mut events) = disk.open_gathering(&bucket, HOUR).await;
    published(&mut events).await;
    assert!(holds(&bucket, &third));
}

#[tokio::test]
async fn before_the_first_upload_a_newer_version_is_the_one_that_is_published() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    bucket.set_down(true);
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.submit(disk.version(1, "a", b"first")).await.unwrap();
    retrying(&mut events).await;
    let second = disk.version(1, "b", b"second");
    publisher.revise(second.clone()).await.unwrap();
    assert_eq!(publisher.pending(), [recording(1)]);
    bucket.set_down(false);
    published(&mut events).await;
    assert!(publisher.drain(BOUND).await);
    assert!(holds(&bucket, &second));
    assert_eq!(bucket.uploads(), 1);
}

#[tokio::test]
async fn a_newer_version_waits_for_a_first_one_that_is_on_its_way() {
    let disk = Disk::new();
    let bucket = FakeBucket::with_fates([Fate::Hangs]);
    let (publisher, _events) = disk.open(&bucket).await;
    publisher.submit(disk.version(1, "a", b"first")).await.unwrap();
    soon("the upload", bucket.hanging.notified()).await;
    let second = disk.version(1, "b", b"second");
    publisher.revise(second.clone()).await.unwrap();
    drop(publisher);
    let (publisher, _events) = disk.open(&bucket).await;
    assert!(publisher.drain(BOUND).await);
    assert!(holds(&bucket, &second));
}

#[tokio::test]
async fn what_was_never_handed_in_is_published() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    let (publisher, mut events) = disk.open_gathering(&bucket, HOUR).await;
    let only = disk.version(1, "a", b"only");
    publisher.revise(only.clone()).await.unwrap();
    published(&mut events).await;
    assert!(holds(&bucket, &only));
}

#[tokio::test]
async fn a_new_title_alone_sends_no_audio() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    let (publisher, mut events) = disk.open(&bucket).await;
    let mut version = disk.version(1, "a", b"first");
    publisher.submit(version.clone()).await.unwrap();
    published(&mut events).await;
    version.metadata.title = Some("Take 1".into());
    publisher.revise(version).await.unwrap();
    published(&mut events).await;
    assert_eq!(bucket.writes(), [KEY, METADATA, METADATA]);
    assert_eq!(beside(&bucket)["title"], "Take 1");
}

#[tokio::test]
async fn what_somebody_edited_in_the_bucket_stays_edited() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.submit(disk.version(1, "a", b"first")).await.unwrap();
    published(&mut events).await;
    let mut edited = beside(&bucket);
    edited["title"] = "Renamed".into();
    edited["rating"] = 5.into();
    let edited = serde_json::to_vec(&edited).unwrap();
    bucket.put_bytes(METADATA, edited.into(), PutMode::Replace).await.unwrap();
    let second = disk.version(1, "b", b"second");
    publisher.revise(second.clone()).await.unwrap();
    published(&mut events).await;
    assert!(holds(&bucket, &second));
    assert_eq!((&beside(&bucket)["title"], &beside(&bucket)["rating"]), (&"Renamed".into(), &5.into()));
}

#[tokio::test]
async fn a_recording_that_was_deleted_from_the_bucket_stays_away() {
    for gone in [&[KEY, METADATA][..], &[METADATA], &[KEY]] {
        let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
        let (publisher, mut events) = disk.open(&bucket).await;
        publisher.submit(disk.version(1, "a", b"first")).await.unwrap();
        published(&mut events).await;
        for key in gone {
            bucket.delete(key).await.unwrap();
        }
        let second = disk.version(1, "b", b"second");
        publisher.revise(second.clone()).await.unwrap();
        assert_eq!(abandoned(&mut events).await.code, code::RECORDING_NOT_FOUND);
        assert!(publisher.drain(BOUND).await);
        assert_eq!((bucket.uploads(), bucket.keys().len(), disk.waiting()), (1, 2 - gone.len(), 0));
        assert!(second.take.exists());
    }
}

#[tokio::test]
async fn nobody_elses_object_is_replaced() {
    let another = format!("{{\"schema\":1,\"id\":\"{}\"}}", recording(9)).leak().as_bytes();
    for (key, content) in [(METADATA, another), (METADATA, b"no metadata"), (KEY, b"edited by hand")] {
        let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
        let (publisher, mut events) = disk.open(&bucket).await;
        publisher.submit(disk.version(1, "a", b"first")).await.unwrap();
        published(&mut events).await;
        bucket.put_foreign(key, content);
        publisher.revise(disk.version(1, "b", b"second")).await.unwrap();
        abandoned(&mut events).await;
        assert_eq!(bucket.content(key).unwrap(), content);
        assert_eq!(bucket.uploads(), 1);
    }
}

#[tokio::test]
async fn metadata_of_a_newer_program_is_left_alone() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.submit(disk.version(1, "a", b"first")).await.unwrap();
    published(&mut events).await;
    let newer = format!("{{\"schema\":99,\"id\":\"{}\"}}", recording(1)).leak().as_bytes();
    bucket.put_foreign(METADATA, newer);
    publisher.revise(disk.version(1, "b", b"second")).await.unwrap();
    assert_eq!(retrying(&mut events).await.code, code::NEWER_VERSION);
    assert_eq!((bucket.content(METADATA).unwrap(), bucket.uploads()), (newer.into(), 1));
}

/// Files that the program wrote before it knew newer versions.
#[tokio::test]
async fn a_queue_of_an_earlier_program_goes_on() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    let first = disk.version(1, "a", b"first");
    let (publisher, _events) = disk.open(&bucket).await;
    drop(publisher);
    bucket.put_foreign(KEY, b"first");
    let stored = serde_json::json!({
        "schema": 1, "recording": recording(1), "take": first.take, "metadata": first.metadata,
        "stage": "audio_stored", "key": KEY, "size": 5,
    });
    std::fs::write(disk.queue.path().join(format!("{}.json", recording(1))), stored.to_string()).unwrap();
    let (publisher, mut events) = disk.open(&bucket).await;
    published(&mut events).await;
    assert!(publisher.drain(BOUND).await);
    drop(publisher);

    let receipt = serde_json::json!({"schema": 1, "recording": recording(1), "key": KEY, "size": 5});
    let path = disk.queue.path().join("published").join(format!("{}.json", recording(1)));
    std::fs::write(path, receipt.to_string()).unwrap();
    let (publisher, mut events) = disk.open(&bucket).await;
    let second = disk.version(1, "b", b"second");
    publisher.revise(second.clone()).await.unwrap();
    published(&mut events).await;
    assert!(holds(&bucket, &second));
}
