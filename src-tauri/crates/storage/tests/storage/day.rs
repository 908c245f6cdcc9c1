//! A bad day: one recording on its way to a bucket of its own in a real server, with a proxy between that does what the
//! test plans.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use roomtone_storage::{Job, PublishEvent, Publisher, PublisherSettings, S3Bucket};
use roomtone_tests::FaultProxy;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::{Mutex, mpsc};

use crate::support::{job, soon, take};
use crate::weed::{BUCKET, Weed, settings};

pub(crate) const MIB: usize = 1 << 20;

/// Three parts, of which the last one is shorter.
pub(crate) const SIZE: usize = 20 * MIB + 4_321;

const KEY: &str = "recordings/band_20261121_010203.wav";

/// One server for all who need it at the same time.
async fn server() -> Arc<Weed> {
    static SERVER: Mutex<Weak<Weed>> = Mutex::const_new(Weak::new());
    let mut server = SERVER.lock().await;
    if let Some(running) = server.upgrade() {
        return running;
    }
    let started = Arc::new(Weed::start().await);
    *server = Arc::downgrade(&started);
    started
}

/// A recording on its way to a place of its own in the bucket: each bucket would take the server some of its volumes.
pub(crate) struct Day {
    pub(crate) weed: Arc<Weed>,
    pub(crate) proxy: FaultProxy,
    pub(crate) disk: TempDir,
    pub(crate) take: PathBuf,
    pub(crate) bucket: Arc<S3Bucket>,
    pub(crate) name: &'static str,
    /// What the publisher said.
    pub(crate) errors: Vec<String>,
}

impl Day {
    pub(crate) async fn new(name: &'static str) -> Self {
        let weed = server().await;
        let proxy = FaultProxy::start(&weed.endpoint());
        let disk = tempfile::tempdir().unwrap();
        let take = take(disk.path(), "take.wav", 7, SIZE);
        let bucket =
            Arc::new(S3Bucket::connect(settings(proxy.endpoint()), disk.path().join("ledgers")).await.unwrap());
        Self { weed, proxy, disk, take, bucket, name, errors: Vec::new() }
    }

    pub(crate) async fn publisher(&self) -> (Publisher, mpsc::Receiver<PublishEvent>) {
        let pause = Duration::from_millis(100);
        let prefix = self.name.parse().unwrap();
        let settings =
            PublisherSettings { prefix, first_pause: pause, longest_pause: pause, ..PublisherSettings::default() };
        Publisher::open(self.disk.path().join("queue"), self.bucket.clone(), settings).await.unwrap()
    }

    /// What all keys of this day begin with.
    pub(crate) fn prefix(&self) -> String {
        format!("{}/", self.name)
    }

    pub(crate) fn key(&self) -> String {
        self.prefix() + KEY
    }

    pub(crate) fn metadata_key(&self) -> String {
        self.key().replace(".wav", ".json")
    }

    pub(crate) fn job(&self) -> Job {
        let mut job = job(1, &self.take);
        job.metadata.size = SIZE as u64;
        job
    }

    /// The recording is published in spite of everything that is planned.
    pub(crate) async fn passes(mut self) -> Self {
        let (publisher, mut events) = self.publisher().await;
        publisher.submit(self.job()).await.unwrap();
        let published = async {
            loop {
                match events.recv().await.unwrap() {
                    PublishEvent::Published { key, size, .. } => return (key, size),
                    PublishEvent::Retrying { error, .. } => self.errors.push(error.code),
                    PublishEvent::Progress { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        assert_eq!(soon("publishing", published).await, (self.key(), SIZE as u64));
        assert!(self.proxy.all_came(), "a fault that was planned did not happen");
        self.is_valid().await;
        self
    }

    /// As another client sees it, past the proxy: these two objects, whole. What stands in the metadata.
    pub(crate) async fn is_whole(&self) -> serde_json::Value {
        let client = self.weed.client();
        let listed = client.list_objects_v2().bucket(BUCKET).prefix(self.prefix()).send().await.unwrap();
        let keys: Vec<&str> = listed.contents().iter().filter_map(|object| object.key()).collect();
        assert_eq!(keys, [self.metadata_key(), self.key()]);
        let get = async |key: String| {
            let object = client.get_object().bucket(BUCKET).key(key).send().await.unwrap();
            object.body.collect().await.unwrap().to_vec()
        };
        let content = std::fs::read(&self.take).unwrap();
        assert!(get(self.key()).await == content, "another object than the file");
        serde_json::from_slice(&get(self.metadata_key()).await).unwrap()
    }

    /// The same, with the hashes of the parts from the start.
    pub(crate) async fn is_valid(&self) {
        let beside = self.is_whole().await;
        let content = std::fs::read(&self.take).unwrap();
        let hashes: Vec<String> = content.chunks(8 * MIB).map(|part| hexadecimal(&Sha256::digest(part))).collect();
        assert_eq!(beside["parts"], serde_json::json!({"size": 8 * MIB, "sha256": hashes}));
        assert_eq!(beside["sha256"], serde_json::Value::Null, "nobody has computed it");
    }

    /// Whether the audio is there, whatever the program knows.
    pub(crate) async fn stored(&self) -> bool {
        self.weed.client().head_object().bucket(BUCKET).key(self.key()).send().await.is_ok()
    }

    pub(crate) async fn open_uploads(&self) -> usize {
        let uploads = self.weed.client().list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
        uploads
            .uploads()
            .iter()
            .filter(|upload| upload.key().is_some_and(|key| key.starts_with(&self.prefix())))
            .count()
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
