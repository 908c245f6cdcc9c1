//! The publisher against a bucket that fails as told.

use std::sync::Arc;
use std::time::Duration;

use roomtone_protocol::code;
use roomtone_storage::Job;

use crate::disk::{Disk, KEY, METADATA, published, retrying};
use crate::fake::{FakeBucket, Fate};
use crate::support::{BOUND, job, metadata, recording, room, soon, take};

#[tokio::test]
async fn audio_goes_first_then_metadata_and_the_take_stays() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    let (publisher, mut events) = disk.open(&bucket).await;
    let job = disk.job(1);
    publisher.submit(job.clone()).await.unwrap();
    assert_eq!(published(&mut events).await, (1, KEY.to_owned()));
    assert_eq!(bucket.writes(), [KEY.to_owned(), METADATA.to_owned()]);
    assert_eq!(bucket.content(KEY).unwrap(), std::fs::read(&job.take).unwrap());
    let beside = bucket.content(METADATA).unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&beside).unwrap()["id"], recording(1).to_string());
    assert!(publisher.drain(BOUND).await && publisher.pending().is_empty());

    // Handed in again, it is told again and nothing is sent.
    publisher.submit(job).await.unwrap();
    assert_eq!(published(&mut events).await.0, 1);
    assert_eq!(bucket.uploads(), 1);
}

#[tokio::test]
async fn failures_are_told_and_tried_again_until_it_works() {
    let disk = Disk::new();
    let bucket = FakeBucket::with_fates([Fate::Unreachable, Fate::Unreachable]);
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.submit(disk.job(1)).await.unwrap();
    assert_eq!(retrying(&mut events).await.code, code::STORAGE_UNREACHABLE);
    assert_eq!(retrying(&mut events).await.code, code::STORAGE_UNREACHABLE);
    assert_eq!(published(&mut events).await.1, KEY);
}

#[tokio::test]
async fn a_queue_survives_the_program_and_the_bucket_being_away() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    bucket.set_down(true);
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.submit(disk.job(1)).await.unwrap();
    publisher.submit(disk.job(2)).await.unwrap();
    retrying(&mut events).await;
    assert!(!publisher.drain(Duration::from_millis(20)).await);
    drop(publisher);

    let (publisher, mut events) = disk.open(&bucket).await;
    assert_eq!(publisher.pending(), [recording(1), recording(2)]);
    retrying(&mut events).await;
    bucket.set_down(false);
    let mut done = [published(&mut events).await.0, published(&mut events).await.0];
    done.sort_unstable();
    assert_eq!(done, [1, 2]);
    drop(publisher);

    let (publisher, _events) = disk.open(&bucket).await;
    assert!(publisher.pending().is_empty());
}

#[tokio::test]
async fn a_program_that_dies_in_an_upload_goes_on_under_the_same_key() {
    let disk = Disk::new();
    let bucket = FakeBucket::with_fates([Fate::Hangs]);
    let (publisher, _events) = disk.open(&bucket).await;
    publisher.submit(disk.job(1)).await.unwrap();
    soon("the upload", bucket.hanging.notified()).await;
    drop(publisher);

    let (_publisher, mut events) = disk.open(&bucket).await;
    assert_eq!(published(&mut events).await.1, KEY);
    assert_eq!(bucket.uploads(), 2);
}

#[tokio::test]
async fn an_upload_whose_answer_was_lost_is_recognised_and_not_published_twice() {
    let disk = Disk::new();
    let bucket = FakeBucket::with_fates([Fate::AnswerLost]);
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.submit(disk.job(1)).await.unwrap();
    assert_eq!(published(&mut events).await.1, KEY);
    assert_eq!(bucket.keys().len(), 2, "{:?}", bucket.keys());
}

#[tokio::test]
async fn two_recordings_of_one_second_and_a_foreign_object_all_keep_their_content() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    bucket.put_foreign(KEY, b"foreign");
    let (publisher, mut events) = disk.open(&bucket).await;
    let (one, two) = (disk.job(1), disk.job(2));
    publisher.submit(one.clone()).await.unwrap();
    publisher.submit(two.clone()).await.unwrap();
    for _ in 0..2 {
        let (n, key) = published(&mut events).await;
        let job = if n == 1 { &one } else { &two };
        assert_eq!(key, format!("recordings/band_20261121_010203_{}.wav", recording(n).short()));
        assert_eq!(bucket.content(&key).unwrap(), std::fs::read(&job.take).unwrap());
    }
    assert_eq!(bucket.content(KEY).unwrap(), "foreign");
    assert_eq!(bucket.keys().len(), 5);
}

#[tokio::test]
async fn two_recordings_of_one_second_with_equal_bytes_stay_two() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    let take = take(disk.takes.path(), "same.wav", 1, 1000);
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.submit(job(1, &take)).await.unwrap();
    publisher.submit(job(2, &take)).await.unwrap();
    let keys = [published(&mut events).await.1, published(&mut events).await.1];
    assert_ne!(keys[0], keys[1]);
    assert_eq!(bucket.keys().len(), 4);
}

#[tokio::test]
async fn a_place_whose_metadata_is_taken_is_not_used() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    bucket.put_foreign("recordings/band_20261121_010203.json", b"{}");
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.submit(disk.job(1)).await.unwrap();
    assert_eq!(published(&mut events).await.1, "recordings/band_20261121_010203_01010101.wav");
    assert_eq!(bucket.content("recordings/band_20261121_010203.json").unwrap(), "{}");
}

#[tokio::test]
async fn a_job_of_a_newer_version_is_left_as_it_is() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    let newer = disk.queue.path().join("newer.json");
    std::fs::write(&newer, br#"{"schema":99,"what":"ever"}"#).unwrap();
    let (publisher, _events) = disk.open(&bucket).await;
    assert!(publisher.pending().is_empty());
    assert!(newer.exists());
    // Nor is one of a recording that is handed in again.
    let newer = disk.queue.path().join(format!("{}.json", recording(1)));
    let text = br#"{"schema":99,"what":"ever"}"#;
    std::fs::write(&newer, text).unwrap();
    publisher.submit(disk.job(1)).await.unwrap_err();
    assert_eq!(std::fs::read(&newer).unwrap(), text);
    assert!(publisher.pending().is_empty());
}

#[tokio::test]
async fn a_recording_without_a_valid_start_is_told_and_kept() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    let (publisher, mut events) = disk.open(&bucket).await;
    let mut broken = metadata(recording(1), "Band", room(1));
    broken.started_at = "yesterday".into();
    publisher.submit(Job { metadata: broken, ..disk.job(1) }).await.unwrap();
    assert_eq!(retrying(&mut events).await.code, code::BAD_REQUEST);
    assert_eq!(publisher.pending(), [recording(1)]);
}
