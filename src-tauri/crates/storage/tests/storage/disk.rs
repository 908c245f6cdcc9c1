//! The disk of a host whose takes are published: takes, versions of them, and the publisher's queue.

use std::sync::Arc;
use std::time::Duration;

use roomtone_protocol::ErrorReport;
use roomtone_protocol::metadata::Parts;
use roomtone_storage::{Bucket, Job, PublishEvent, Publisher, PublisherSettings};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::support::{job, soon, take};

/// Where the first recording of the tests goes.
pub(crate) const KEY: &str = "recordings/band_20261121_010203.wav";
pub(crate) const METADATA: &str = "recordings/band_20261121_010203.json";

pub(crate) struct Disk {
    pub(crate) takes: TempDir,
    pub(crate) queue: TempDir,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self { takes: tempfile::tempdir().unwrap(), queue: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn job(&self, n: u8) -> Job {
        job(n, &take(self.takes.path(), &format!("{n}.wav"), n.into(), 1000))
    }

    /// A version of recording `n`, in a file of its own, with this content.
    pub(crate) fn version(&self, n: u8, version: &str, content: &[u8]) -> Job {
        let path = self.takes.path().join(format!("{n}-{version}.wav"));
        std::fs::write(&path, content).unwrap();
        let mut job = job(n, &path);
        let hash = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let part = 8 << 20;
        job.metadata.size = content.len() as u64;
        job.metadata.sha256 = Some(hash(content));
        job.metadata.parts = Parts { size: part as u64, sha256: content.chunks(part).map(hash).collect() };
        job
    }

    /// Newer versions go up at once.
    pub(crate) async fn open(&self, bucket: &Arc<impl Bucket>) -> (Publisher, mpsc::Receiver<PublishEvent>) {
        self.open_gathering(bucket, Duration::ZERO).await
    }

    pub(crate) async fn open_gathering(
        &self,
        bucket: &Arc<impl Bucket>,
        gather: Duration,
    ) -> (Publisher, mpsc::Receiver<PublishEvent>) {
        let settings = PublisherSettings {
            first_pause: Duration::from_millis(10),
            longest_pause: Duration::from_millis(40),
            gather,
            ..PublisherSettings::default()
        };
        Publisher::open(self.queue.path(), Arc::clone(bucket) as Arc<dyn Bucket>, settings).await.unwrap()
    }

    /// The files of the queue, but for receipts and tombstones, which stay.
    pub(crate) fn waiting(&self) -> usize {
        let jobs = |folder: &std::path::Path| {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            entries.filter(|path| path.is_file()).count()
        };
        jobs(self.queue.path()) + jobs(&self.queue.path().join("revisions"))
    }
}

pub(crate) async fn next(events: &mut mpsc::Receiver<PublishEvent>) -> PublishEvent {
    soon("an event", events.recv()).await.expect("the publisher lives")
}

pub(crate) async fn published(events: &mut mpsc::Receiver<PublishEvent>) -> (u8, String) {
    loop {
        if let PublishEvent::Published { recording, key, .. } = next(events).await {
            return (recording.as_bytes()[0], key);
        }
    }
}

pub(crate) async fn retrying(events: &mut mpsc::Receiver<PublishEvent>) -> ErrorReport {
    loop {
        if let PublishEvent::Retrying { error, .. } = next(events).await {
            return error;
        }
    }
}

pub(crate) async fn abandoned(events: &mut mpsc::Receiver<PublishEvent>) -> ErrorReport {
    loop {
        if let PublishEvent::Abandoned { error, .. } = next(events).await {
            return error;
        }
    }
}

pub(crate) async fn discarded(events: &mut mpsc::Receiver<PublishEvent>) -> u8 {
    loop {
        if let PublishEvent::Discarded { recording } = next(events).await {
            return recording.as_bytes()[0];
        }
    }
}
