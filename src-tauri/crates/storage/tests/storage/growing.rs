//! Takes that go up to a real server while they grow.

use std::collections::BTreeSet;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;

use roomtone_storage::{Bucket as _, GrowingTake, Growth, Job, PublishEvent, Publisher, PublisherSettings, S3Bucket};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;

use crate::disk::{KEY, discarded, published};
use crate::support::{BOUND, job, metadata, recording, room, soon, take, until};
use crate::unconditional::{Conditions, Proxy, proxied};
use crate::weed::{BUCKET, Weed};

/// The part of two channels.
const PART: usize = 8 << 20;
/// What a request that sends nothing has in its body, all of a test's together.
const TALK: usize = 100_000;

/// A host with one recording in progress.
struct Host {
    weed: Weed,
    disk: TempDir,
    bucket: Arc<S3Bucket>,
    proxy: Arc<Proxy>,
    path: PathBuf,
    content: Vec<u8>,
}

impl Host {
    async fn new() -> Self {
        let (weed, disk) = (Weed::start().await, tempfile::tempdir().unwrap());
        let (bucket, proxy) = proxied(&weed, &disk.path().join("ledgers"), Conditions::Passed).await;
        let content = std::fs::read(take(disk.path(), "source", 1, 6 * PART + 12_345)).unwrap();
        let path = disk.path().join("take.wav.partial");
        std::fs::write(&path, b"").unwrap();
        Self { weed, disk, bucket: Arc::new(bucket), proxy, path, content }
    }

    async fn publisher(&self) -> (Publisher, mpsc::Receiver<PublishEvent>) {
        // As fast as it goes.
        let settings = PublisherSettings { limit: NonZero::new(u64::MAX), ..PublisherSettings::default() };
        Publisher::open(self.disk.path().join("queue"), self.bucket.clone(), settings).await.unwrap()
    }

    /// The take grows to so many bytes, in a file of two channels.
    fn grows(&self, publisher: &Publisher, bytes: usize) -> mpsc::UnboundedSender<Growth> {
        let started_at = metadata(recording(1), "Band", room(1)).started_at;
        let started_at = OffsetDateTime::parse(&started_at, &Rfc3339).unwrap();
        let take = GrowingTake { recording: recording(1), room: "Band".into(), started_at };
        let growth = publisher.grow(take).unwrap();
        growth.send(Growth::Begun { path: self.path.clone(), channels: 2, bytes_per_s: 288_000 }).unwrap();
        self.settles(&growth, bytes);
        growth
    }

    /// So many bytes are there; the head is not written yet.
    fn settles(&self, growth: &mpsc::UnboundedSender<Growth>, bytes: usize) {
        let mut file = std::fs::File::options().write(true).open(&self.path).unwrap();
        file.seek(SeekFrom::Start(4_096)).unwrap();
        file.write_all(&self.content[4_096..bytes]).unwrap();
        growth.send(Growth::Settled { bytes: bytes as u64 }).unwrap();
    }

    /// Other bytes there.
    fn writes(&mut self, at: usize) {
        self.content[at] ^= 0xff;
        let mut file = std::fs::File::options().write(true).open(&self.path).unwrap();
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&self.content[at..=at]).unwrap();
    }

    fn job(&mut self) -> Job {
        let whole = self.disk.path().join("take.wav");
        std::fs::write(&self.path, &self.content).unwrap();
        std::fs::rename(&self.path, &whole).unwrap();
        self.path = whole.clone();
        let mut job = job(1, &whole);
        job.metadata.size = self.content.len() as u64;
        job
    }

    /// The upload that is open, and its parts.
    async fn open_upload(&self) -> Option<(String, BTreeSet<i32>)> {
        let uploads = self.weed.client().list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
        let [upload] = uploads.uploads() else {
            assert!(uploads.uploads().is_empty(), "{uploads:?}");
            return None;
        };
        let id = upload.upload_id().unwrap().to_owned();
        // It may be discarded just now.
        let parts = self.weed.client().list_parts().bucket(BUCKET).key(KEY).upload_id(&id).send().await.ok()?;
        Some((id, parts.parts().iter().filter_map(|part| part.part_number()).collect()))
    }

    /// Waits until just these parts are there; the store's id of the upload.
    async fn has_parts(&self, numbers: &[i32]) -> String {
        let wanted = BTreeSet::from_iter(numbers.iter().copied());
        let there = || async { self.open_upload().await.filter(|(_, parts)| *parts == wanted) };
        until(&format!("{numbers:?}"), there).await.0
    }

    /// Waits until so many parts are in the ledger: what the store has and the ledger lacks is sent again.
    async fn are_noted(&self, parts: usize) {
        let noted = || async {
            let ledger = std::fs::read_dir(self.disk.path().join("ledgers")).unwrap().next()?.unwrap().path();
            let lines = std::fs::read_to_string(ledger).unwrap();
            (lines.lines().filter(|line| line.contains("\"line\":\"part\"")).count() >= parts).then_some(())
        };
        until("the parts in the ledger", noted).await;
    }

    async fn is_published(&self, events: &mut mpsc::Receiver<PublishEvent>) {
        assert_eq!(published(events).await, (1, KEY.to_owned()));
        assert!(self.bucket.get(KEY, u64::MAX).await.unwrap() == self.content, "another object than the file");
        assert_eq!(self.open_upload().await, None);
        assert_eq!(std::fs::read_dir(self.disk.path().join("ledgers")).unwrap().count(), 0);
        assert_eq!(std::fs::read_dir(self.disk.path().join("queue/growing")).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn parts_are_there_before_the_end_and_only_the_end_is_left() {
    let mut host = Host::new().await;
    let (publisher, mut events) = host.publisher().await;
    let growth = host.grows(&publisher, 3 * PART - 1);
    let upload = host.has_parts(&[2]).await;
    assert!(host.bucket.head(KEY).await.unwrap().is_none(), "an object appears whole or not at all");
    host.settles(&growth, 6 * PART);
    assert_eq!(host.has_parts(&[2, 3, 4, 5, 6]).await, upload);
    assert!(host.proxy.sent() <= 5 * PART + TALK);

    // A repair, also of the first part, which has not gone up yet.
    for at in [5_000, 3 * PART] {
        host.writes(at);
        growth.send(Growth::Rewritten { bytes: at as u64..at as u64 + 1 }).unwrap();
    }
    let before = host.proxy.sent();
    let job = host.job();
    growth.send(Growth::Whole { path: host.path.clone(), bytes: host.content.len() as u64 }).unwrap();
    publisher.submit(job).await.unwrap();
    host.is_published(&mut events).await;
    let after = host.proxy.sent() - before;
    assert!(after <= 2 * PART + 12_345 + TALK, "{after}: the head, the repaired part and the rest are left");
}

#[tokio::test]
async fn a_program_that_dies_goes_on_with_the_parts_that_are_still_the_files() {
    let mut host = Host::new().await;
    let (publisher, events) = host.publisher().await;
    let growth = host.grows(&publisher, 5 * PART);
    let upload = host.has_parts(&[2, 3, 4, 5]).await;
    host.are_noted(4).await;
    drop((publisher, events));
    drop(growth);
    // Written after the part was sent, and nobody was told any more.
    host.writes(3 * PART + 7);
    let before = host.proxy.sent();
    let (publisher, mut events) = host.publisher().await;
    let growth = host.grows(&publisher, 6 * PART);
    assert_eq!(host.has_parts(&[2, 3, 4, 5, 6]).await, upload);

    let job = host.job();
    growth.send(Growth::Whole { path: host.path.clone(), bytes: host.content.len() as u64 }).unwrap();
    publisher.submit(job).await.unwrap();
    host.is_published(&mut events).await;
    let after = host.proxy.sent() - before;
    assert!(after <= 3 * PART + 12_345 + TALK, "{after}: the head, the part that changed and two more");
}

#[tokio::test]
async fn a_program_that_dies_at_the_end_sends_only_what_is_missing_or_changed() {
    let mut host = Host::new().await;
    let (publisher, _events) = host.publisher().await;
    let growth = host.grows(&publisher, 6 * PART);
    host.has_parts(&[2, 3, 4, 5, 6]).await;
    host.are_noted(5).await;
    drop(publisher);
    drop(growth);
    host.writes(4 * PART);
    let before = host.proxy.sent();
    // The next start finds a journal, and makes the file of it at once.
    let (publisher, mut events) = host.publisher().await;
    assert_eq!(publisher.growing().await.unwrap(), [recording(1)]);
    publisher.submit(host.job()).await.unwrap();
    host.is_published(&mut events).await;
    let after = host.proxy.sent() - before;
    assert!(after <= 2 * PART + 12_345 + TALK, "{after}: the head, the part that changed and the rest");
}

#[tokio::test]
async fn somebody_who_joins_makes_what_went_up_worthless_and_it_leaves_the_bucket() {
    let mut host = Host::new().await;
    let (publisher, mut events) = host.publisher().await;
    let growth = host.grows(&publisher, 4 * PART);
    host.has_parts(&[2, 3, 4]).await;
    growth.send(Growth::Begun { path: host.path.clone(), channels: 3, bytes_per_s: 432_000 }).unwrap();
    host.settles(&growth, 5 * PART);
    until("the end of the upload", || async { host.open_upload().await.is_none().then_some(()) }).await;
    let job = host.job();
    growth.send(Growth::Whole { path: host.path.clone(), bytes: host.content.len() as u64 }).unwrap();
    publisher.submit(job).await.unwrap();
    host.is_published(&mut events).await;
    assert!(host.proxy.sent() <= host.content.len() + 3 * PART + TALK);
}

#[tokio::test]
async fn a_recording_that_is_cancelled_while_it_grows_leaves_no_upload() {
    for dies in [false, true] {
        let host = Host::new().await;
        let (publisher, mut events) = host.publisher().await;
        let growth = host.grows(&publisher, 4 * PART);
        host.has_parts(&[2, 3, 4]).await;
        publisher.discard(recording(1)).await.unwrap();
        let publisher = if dies {
            // Before anything was done about it.
            drop((publisher, events));
            let (publisher, again) = host.publisher().await;
            events = again;
            publisher
        } else {
            publisher
        };
        assert_eq!(discarded(&mut events).await, 1);
        assert!(publisher.drain(BOUND).await);
        assert_eq!(host.open_upload().await, None);
        assert_eq!(std::fs::read_dir(host.disk.path().join("ledgers")).unwrap().count(), 0);
        assert_eq!(publisher.growing().await.unwrap(), []);
        soon("the end of it", growth.closed()).await;
        // Nor does anything go up again.
        let take = GrowingTake { recording: recording(1), room: "Band".into(), started_at: OffsetDateTime::UNIX_EPOCH };
        assert!(publisher.grow(take).is_none());
    }
}

#[tokio::test]
async fn what_nobody_will_finish_is_withdrawn_and_may_come_back() {
    let mut host = Host::new().await;
    let (publisher, events) = host.publisher().await;
    let growth = host.grows(&publisher, 4 * PART);
    host.has_parts(&[2, 3, 4]).await;
    drop((publisher, events, growth));
    let (publisher, mut events) = host.publisher().await;
    publisher.withdraw(recording(1)).await.unwrap();
    assert_eq!((host.open_upload().await, publisher.growing().await.unwrap()), (None, vec![]));
    publisher.submit(host.job()).await.unwrap();
    host.is_published(&mut events).await;
}

#[tokio::test]
async fn a_store_that_forgets_the_upload_gets_all_of_it_after_the_end() {
    let mut host = Host::new().await;
    let (publisher, mut events) = host.publisher().await;
    let growth = host.grows(&publisher, 4 * PART);
    let upload = host.has_parts(&[2, 3, 4]).await;
    host.weed.client().abort_multipart_upload().bucket(BUCKET).key(KEY).upload_id(upload).send().await.unwrap();
    host.settles(&growth, 5 * PART);
    let job = host.job();
    growth.send(Growth::Whole { path: host.path.clone(), bytes: host.content.len() as u64 }).unwrap();
    publisher.submit(job).await.unwrap();
    host.is_published(&mut events).await;
}

/// Once, which the SDK notices by itself, and so often that the whole attempt fails.
#[tokio::test]
async fn a_completion_whose_answer_is_lost_is_found_by_looking() {
    for lost in [1, 4] {
        let mut host = Host::new().await;
        let (publisher, mut events) = host.publisher().await;
        let growth = host.grows(&publisher, 4 * PART);
        host.has_parts(&[2, 3, 4]).await;
        let job = host.job();
        growth.send(Growth::Whole { path: host.path.clone(), bytes: host.content.len() as u64 }).unwrap();
        host.proxy.loses_completions(lost);
        publisher.submit(job).await.unwrap();
        host.is_published(&mut events).await;
        assert!(lost > 1 || host.proxy.has_lost_completions());
        assert_eq!(host.bucket.list("recordings/").await.unwrap().len(), 2, "the file and its metadata");
        assert!(host.proxy.sent() <= host.content.len() + TALK, "nothing was sent again");
    }
}

#[tokio::test]
async fn a_key_that_somebody_else_takes_meanwhile_is_theirs() {
    let mut host = Host::new().await;
    let (publisher, mut events) = host.publisher().await;
    let growth = host.grows(&publisher, 4 * PART);
    host.has_parts(&[2, 3, 4]).await;
    host.weed.put_foreign(KEY, b"foreign").await;
    let job = host.job();
    growth.send(Growth::Whole { path: host.path.clone(), bytes: host.content.len() as u64 }).unwrap();
    publisher.submit(job).await.unwrap();
    let (_, key) = published(&mut events).await;
    assert_ne!(key, KEY);
    assert!(host.bucket.get(&key, u64::MAX).await.unwrap() == host.content);
    assert_eq!(host.bucket.get(KEY, 100).await.unwrap(), "foreign");
    assert_eq!(host.open_upload().await, None);
}

#[tokio::test]
async fn nothing_goes_up_before_the_end_where_the_settings_say_so() {
    let mut host = Host::new().await;
    let settings = PublisherSettings { grow: false, ..PublisherSettings::default() };
    let queue = host.disk.path().join("queue");
    let (publisher, mut events) = Publisher::open(queue, host.bucket.clone(), settings).await.unwrap();
    let take = GrowingTake { recording: recording(1), room: "Band".into(), started_at: OffsetDateTime::UNIX_EPOCH };
    assert!(publisher.grow(take).is_none());
    publisher.submit(host.job()).await.unwrap();
    host.is_published(&mut events).await;
}
