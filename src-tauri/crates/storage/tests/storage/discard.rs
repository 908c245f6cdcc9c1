//! Recordings that are cancelled on their way into the bucket, or in it.

use std::sync::Arc;
use std::time::Duration;

use roomtone_storage::{Bucket as _, PutMode};

use crate::disk::{Disk, KEY, METADATA, discarded, published};
use crate::fake::{FakeBucket, Fate, Fault};
use crate::support::{BOUND, recording, soon};

/// Somebody else's, next to ours.
const FOREIGN: &str = "recordings/band_20261121_010203.flac";

/// Nothing is left of the recording, in the bucket and in the queue, and nothing comes back.
async fn stays_away(disk: &Disk, bucket: &Arc<FakeBucket>) {
    assert_eq!(bucket.keys(), [FOREIGN]);
    let uploads = bucket.uploads();
    let (publisher, mut events) = disk.open(bucket).await;
    assert!(publisher.is_discarded(recording(1)) && !publisher.is_discarded(recording(2)));
    assert_eq!((publisher.pending(), disk.waiting()), (vec![], 0));
    // Whoever hands it in again, or discards it again, is told.
    publisher.submit(disk.job(1)).await.unwrap();
    assert_eq!(discarded(&mut events).await, 1);
    publisher.revise(disk.job(1)).await.unwrap();
    assert_eq!(discarded(&mut events).await, 1);
    publisher.discard(recording(1)).await.unwrap();
    assert_eq!(discarded(&mut events).await, 1);
    assert!(publisher.drain(BOUND).await);
    assert_eq!((bucket.keys(), bucket.uploads(), disk.waiting()), (vec![FOREIGN.to_owned()], uploads, 0));
}

fn bucket() -> Arc<FakeBucket> {
    let bucket = Arc::new(FakeBucket::default());
    bucket.put_foreign(FOREIGN, b"foreign");
    bucket
}

#[tokio::test]
async fn a_published_recording_goes_with_its_metadata_and_nothing_else_does() {
    let (disk, bucket) = (Disk::new(), bucket());
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.submit(disk.job(1)).await.unwrap();
    published(&mut events).await;
    publisher.discard(recording(1)).await.unwrap();
    assert_eq!(discarded(&mut events).await, 1);
    assert!(publisher.drain(BOUND).await);
    drop(publisher);
    stays_away(&disk, &bucket).await;
}

#[tokio::test]
async fn what_the_publisher_never_saw_is_refused_from_then_on() {
    let (disk, bucket) = (Disk::new(), bucket());
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.discard(recording(1)).await.unwrap();
    assert_eq!(discarded(&mut events).await, 1);
    drop(publisher);
    stays_away(&disk, &bucket).await;
}

#[tokio::test]
async fn an_upload_under_way_ends_and_is_discarded_in_the_store_too() {
    let disk = Disk::new();
    let bucket = FakeBucket::with_fates([Fate::Hangs]);
    bucket.put_foreign(FOREIGN, b"foreign");
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.submit(disk.job(1)).await.unwrap();
    soon("the upload", bucket.hanging.notified()).await;
    publisher.discard(recording(1)).await.unwrap();
    assert_eq!(publisher.pending(), []);
    assert_eq!(discarded(&mut events).await, 1);
    // Before and after the time in which a dropped request may still be carried out.
    assert_eq!(bucket.discarded_uploads(), [KEY, KEY]);
    drop(publisher);
    stays_away(&disk, &bucket).await;
}

/// At every request of a publication, or of a newer version, the recording is discarded; with the program going on, and
/// with it dying first.
#[tokio::test]
async fn wherever_a_recording_is_on_its_way_nothing_of_it_is_left() {
    for revised in [false, true] {
        for fault in [Fault::HangsBefore, Fault::HangsAfter] {
            for dies in [false, true] {
                for request in 1.. {
                    if !discarded_at(request, fault, revised, dies).await {
                        assert!(request > 4, "the fault was never met");
                        break;
                    }
                }
            }
        }
    }
}

/// Whether there was such a request.
async fn discarded_at(request: usize, fault: Fault, revised: bool, dies: bool) -> bool {
    let (disk, bucket) = (Disk::new(), bucket());
    let (mut publisher, mut events) = disk.open(&bucket).await;
    if revised {
        publisher.submit(disk.version(1, "a", b"first")).await.unwrap();
        published(&mut events).await;
    }
    bucket.set_fault(request, fault);
    publisher.revise(disk.version(1, "b", b"second")).await.unwrap();
    let hung = tokio::select! {
        empty = publisher.drain(BOUND) => !empty,
        () = soon("the end or the fault", bucket.hanging.notified()) => true,
    };
    assert_eq!(bucket.fault_happened(), hung);
    publisher.discard(recording(1)).await.unwrap();
    if dies {
        drop(publisher);
        (publisher, events) = disk.open(&bucket).await;
    }
    if !publisher.is_discarded(recording(1)) || !publisher.drain(BOUND).await {
        panic!("{fault:?} at {request}: not discarded");
    }
    if !dies {
        assert_eq!(discarded(&mut events).await, 1, "{fault:?} at {request}");
    }
    drop(publisher);
    stays_away(&disk, &bucket).await;
    hung
}

/// Discarding itself goes wrong at each of its requests.
#[tokio::test]
async fn discarding_goes_on_until_it_is_done_whatever_goes_wrong() {
    for fault in [Fault::Lost, Fault::AnswerLost, Fault::HangsBefore, Fault::HangsAfter] {
        for request in 1.. {
            let (disk, bucket) = (Disk::new(), bucket());
            let (publisher, mut events) = disk.open(&bucket).await;
            publisher.submit(disk.job(1)).await.unwrap();
            published(&mut events).await;
            bucket.set_fault(request, fault);
            publisher.discard(recording(1)).await.unwrap();
            let hung = tokio::select! {
                _ = discarded(&mut events) => false,
                () = soon("the end or the fault", bucket.hanging.notified()) => true,
            };
            drop(publisher);
            if hung {
                let (_publisher, mut events) = disk.open(&bucket).await;
                assert_eq!(discarded(&mut events).await, 1, "{fault:?} at {request}");
            }
            let met = bucket.fault_happened();
            stays_away(&disk, &bucket).await;
            if !met {
                assert!(request > 4, "the fault was never met");
                break;
            }
        }
    }
}

#[tokio::test]
async fn while_a_newer_version_is_gathered_the_recording_can_be_discarded() {
    let (disk, bucket) = (Disk::new(), bucket());
    let (publisher, mut events) = disk.open_gathering(&bucket, Duration::from_secs(3600)).await;
    publisher.submit(disk.version(1, "a", b"first")).await.unwrap();
    published(&mut events).await;
    publisher.revise(disk.version(1, "b", b"second")).await.unwrap();
    publisher.discard(recording(1)).await.unwrap();
    assert_eq!(discarded(&mut events).await, 1);
    drop(publisher);
    stays_away(&disk, &bucket).await;
}

#[tokio::test]
async fn somebody_elses_object_under_our_key_stays() {
    let (disk, bucket) = (Disk::new(), Arc::new(FakeBucket::default()));
    let (publisher, mut events) = disk.open(&bucket).await;
    publisher.submit(disk.job(1)).await.unwrap();
    published(&mut events).await;
    bucket.delete(METADATA).await.unwrap();
    bucket.put_foreign(KEY, b"foreign");
    let theirs = format!("{{\"id\":\"{}\"}}", recording(2));
    bucket.put_bytes(METADATA, theirs.into(), PutMode::CreateNew).await.unwrap();
    publisher.discard(recording(1)).await.unwrap();
    assert_eq!(discarded(&mut events).await, 1);
    assert_eq!(bucket.keys(), [METADATA, KEY]);
}
