//! The queue and a folder's bucket on a disk that fails at any operation and loses power: one whole object in the end, and
//! what was promised is kept.

use std::sync::Arc;
use std::time::Duration;

use roomtone_disk::{Cut, Fault, MountedDisk};
use roomtone_storage::{Bucket, FolderBucket, PublishEvent, Publisher, PublisherSettings};
use tokio::sync::mpsc;

use crate::disk::{Disk, KEY, METADATA, published};
use crate::support::{links, recording, soon};

/// A host's disk, the takes apart: they are the source, and no part of what is tried here.
struct Host {
    takes: Disk,
    mounted: MountedDisk,
}

impl Host {
    fn new() -> Self {
        Self { takes: Disk::new(), mounted: MountedDisk::new().unwrap() }
    }

    /// Starts the program; what the disk refuses at its start is for the next one.
    async fn starts(&self) -> Option<(Arc<FolderBucket>, Publisher, mpsc::Receiver<PublishEvent>)> {
        let settings = PublisherSettings {
            first_pause: Duration::from_millis(5),
            longest_pause: Duration::from_millis(20),
            gather: Duration::ZERO,
            ..PublisherSettings::default()
        };
        let bucket = Arc::new(FolderBucket::open(self.mounted.path().join("bucket"), links()).await.ok()?);
        let shared = Arc::clone(&bucket) as Arc<dyn Bucket>;
        let (publisher, events) = Publisher::open(self.mounted.path().join("uploads"), shared, settings).await.ok()?;
        Some((bucket, publisher, events))
    }

    /// One object, whole, with its metadata, and nothing else.
    async fn has_one_whole_object(&self, bucket: &FolderBucket, context: &str) {
        let objects = bucket.list("").await.unwrap();
        let keys: Vec<_> = objects.iter().map(|object| object.key.as_str()).collect();
        assert_eq!(keys, [METADATA, KEY], "{context}");
        let expected = std::fs::read(self.takes.takes.path().join("1.wav")).unwrap();
        assert!(bucket.get(KEY, 1 << 20).await.unwrap() == expected, "{context}");
        let metadata: serde_json::Value =
            serde_json::from_slice(&bucket.get(METADATA, 1 << 20).await.unwrap()).unwrap();
        assert_eq!(metadata["id"], recording(1).to_string(), "{context}");
    }
}

/// How many operations a publication takes, from the start of the program on.
async fn operations() -> u64 {
    let host = Host::new();
    let (bucket, publisher, mut events) = host.starts().await.unwrap();
    publisher.submit(host.takes.job(1)).await.unwrap();
    published(&mut events).await;
    host.has_one_whole_object(&bucket, "a disk that works").await;
    host.mounted.disk().operations()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_operation_fails_there_is_one_whole_object_in_the_end() {
    let operations = operations().await;
    assert!(operations > 20, "{operations}");
    for fault in [Fault::Full { written: 500 }, Fault::Io { written: 0 }] {
        for operation in 0..operations {
            let context = format!("{fault:?} of operation {operation}");
            let host = Host::new();
            let job = host.takes.job(1);
            host.mounted.disk().fail(operation..operation + 1, fault);
            let mut started = host.starts().await;
            if started.is_none() {
                started = host.starts().await;
            }
            let (bucket, publisher, mut events) = started.expect(&context);
            if publisher.submit(job.clone()).await.is_err() {
                // The host hands in again what it was not promised.
                publisher.submit(job).await.expect(&context);
            }
            assert_eq!(published(&mut events).await.1, KEY, "{context}");
            host.has_one_whole_object(&bucket, &context).await;
            assert!(publisher.drain(Duration::from_secs(20)).await, "{context}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_promised_is_kept_when_the_power_is_cut_after_any_operation() {
    for operation in 0..=operations().await {
        for cut in [Cut::Dropped, Cut::Torn { seed: operation }] {
            let context = format!("{cut:?} after operation {operation}");
            let host = Host::new();
            let job = host.takes.job(1);
            host.mounted.disk().fail(operation..u64::MAX, Fault::Io { written: 400 });
            let (mut promised, mut told) = (false, false);
            if let Some((_, publisher, mut events)) = host.starts().await {
                promised = publisher.submit(job.clone()).await.is_ok();
                // Published, or tried again because the disk fails.
                told = promised
                    && loop {
                        match soon(&context, events.recv()).await {
                            Some(PublishEvent::Published { .. }) => break true,
                            Some(PublishEvent::Retrying { .. }) | None => break false,
                            Some(_) => {}
                        }
                    };
            }
            host.mounted.power_cut(cut);
            host.mounted.disk().mend();
            let (bucket, publisher, mut events) = host.starts().await.expect(&context);
            let done = publisher.pending().is_empty();
            if told || promised && done {
                host.has_one_whole_object(&bucket, &format!("{context}: it was promised")).await;
            }
            if done {
                // What is done is told again to whoever hands it in; the rest goes on by itself.
                publisher.submit(job).await.expect(&context);
            }
            assert_eq!(published(&mut events).await.1, KEY, "{context}");
            host.has_one_whole_object(&bucket, &context).await;
        }
    }
}
