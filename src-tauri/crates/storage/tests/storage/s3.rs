//! The S3 bucket against a real server.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use roomtone_protocol::{ParticipantId, code};
use roomtone_storage::{
    Bucket, BucketError, Catalog, ChangeSource, FileUpload, Operation, Prefix, Progress, PublishEvent, Publisher,
    PublisherSettings, PutMode, S3Bucket, S3Keys, S3Settings, test_storage,
};
use tokio::sync::Notify;

use crate::support::{first, job, now, recording, soon, take, until};
use crate::weed::{BUCKET, Weed};

const MIB: usize = 1024 * 1024;

fn upload<'a>(key: &'a str, path: &'a Path) -> FileUpload<'a> {
    first(key, path, 1)
}

#[tokio::test]
async fn small_objects_go_up_come_back_and_are_never_replaced_by_accident() {
    let (weed, disk) = (Weed::start().await, tempfile::tempdir().unwrap());
    let bucket = weed.bucket(disk.path()).await;
    let take = take(disk.path(), "t.wav", 1, 100_000);
    let object = bucket.put_file(upload("r/ü b.wav", &take), Progress::none()).await.unwrap();
    assert_eq!(object.size, 100_000);
    assert_eq!(bucket.get("r/ü b.wav", 100_000).await.unwrap(), std::fs::read(&take).unwrap());
    assert!(matches!(bucket.get("r/ü b.wav", 99_999).await, Err(BucketError::TooLarge { .. })));
    assert!(matches!(bucket.get("r/none.wav", 1).await, Err(BucketError::NotFound { .. })));
    let listed: Vec<_> = bucket.list("r/").await.unwrap().into_iter().map(|object| (object.key, object.size)).collect();
    assert_eq!(listed, [("r/ü b.wav".to_owned(), 100_000)]);

    // An answer that was lost: the same recording finds its own object there.
    assert_eq!(bucket.put_file(upload("r/ü b.wav", &take), Progress::none()).await.unwrap(), object);
    assert!(bucket.holds(upload("r/ü b.wav", &take)).await.unwrap());
    let of_another = FileUpload { recording: recording(2), ..upload("r/ü b.wav", &take) };
    assert!(!bucket.holds(of_another).await.unwrap());
    let refused = bucket.put_file(of_another, Progress::none()).await;
    assert!(matches!(refused, Err(BucketError::AlreadyExists { .. })), "{refused:?}");

    let put = |content: &'static [u8], mode| bucket.put_bytes("r/a.json", Bytes::from_static(content), mode);
    put(b"one", PutMode::CreateNew).await.unwrap();
    assert!(matches!(put(b"two", PutMode::CreateNew).await, Err(BucketError::AlreadyExists { .. })));
    put(b"three", PutMode::Replace).await.unwrap();
    assert_eq!(bucket.get("r/a.json", 100).await.unwrap(), "three");
    put(b"", PutMode::Replace).await.unwrap();
    bucket.delete("r/a.json").await.unwrap();
    bucket.delete("r/a.json").await.unwrap();
    assert_eq!(bucket.head("r/a.json").await.unwrap(), None);
}

/// The check by HEAD cannot see an object that appears after it; the condition on the request itself can.
#[tokio::test]
async fn an_object_that_appears_during_an_upload_in_parts_is_not_replaced() {
    let (weed, disk) = (Weed::start().await, tempfile::tempdir().unwrap());
    let bucket = weed.bucket(disk.path()).await;
    let take = take(disk.path(), "t.wav", 1, 40 * MIB);
    let first_part = Arc::new(Notify::new());
    let progress = Progress::new({
        let first_part = Arc::clone(&first_part);
        move |_, _| first_part.notify_one()
    });
    // Told at the beginning of the upload, after its HEAD; the parts take longer than one small put.
    let (uploaded, ()) = tokio::join!(bucket.put_file(upload("x.wav", &take), progress), async {
        first_part.notified().await;
        weed.put_foreign("x.wav", b"foreign").await;
    });
    assert!(matches!(uploaded, Err(BucketError::AlreadyExists { .. })), "{uploaded:?}");
    assert_eq!(bucket.get("x.wav", 100).await.unwrap(), "foreign");
    let left = weed.client().list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    assert_eq!(left.uploads().len(), 0, "the unfinished upload was discarded");
}

#[tokio::test]
async fn a_large_take_is_byte_identical_through_its_link_whole_and_in_ranges() {
    let (weed, disk) = (Weed::start().await, tempfile::tempdir().unwrap());
    let bucket = weed.bucket(disk.path()).await;
    let take = take(disk.path(), "t.wav", 1, 40 * MIB + 12_345);
    let content = std::fs::read(&take).unwrap();
    let object = bucket.put_file(upload("r/large one.wav", &take), Progress::none()).await.unwrap();
    assert_eq!(object.size, content.len() as u64);

    let link = bucket.link("r/large one.wav", Duration::from_secs(600), now()).await.unwrap();
    assert!(!link.link.contains(crate::weed::SECRET_KEY));
    let whole = reqwest::get(&link.link).await.unwrap();
    assert_eq!(whole.status(), 200);
    assert!(whole.bytes().await.unwrap() == content, "the download differs from the take");

    let client = reqwest::Client::new();
    let (from, to) = (8 * MIB - 7, 16 * MIB + 9);
    let range = format!("bytes={from}-{}", to - 1);
    let part = client.get(&link.link).header("range", range).send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert!(part.bytes().await.unwrap() == content[from..to], "the range differs from the take");

    assert!(bucket.link("x", Duration::from_millis(10), now()).await.is_err());
    assert!(bucket.link("x", Duration::from_secs(8 * 24 * 3600), now()).await.is_err());
}

#[tokio::test]
async fn an_expired_link_opens_nothing() {
    let (weed, disk) = (Weed::start().await, tempfile::tempdir().unwrap());
    let bucket = weed.bucket(disk.path()).await;
    bucket.put_bytes("a.wav", Bytes::from_static(b"x"), PutMode::CreateNew).await.unwrap();
    let link = bucket.link("a.wav", Duration::from_secs(2), now()).await.unwrap().link;
    let status = || async { reqwest::get(&link).await.unwrap().status() };
    assert_eq!(status().await, 200);
    let refused = until("the expiry", || async { Some(status().await).filter(|status| *status != 200) }).await;
    assert_eq!(refused, 403);
    let forged = link.replace("a.wav", "b.wav");
    assert_eq!(reqwest::get(&forged).await.unwrap().status(), 403);
}

#[tokio::test]
async fn an_interrupted_upload_goes_on_from_the_parts_that_arrived() {
    let (weed, disk) = (Weed::start().await, tempfile::tempdir().unwrap());
    let ledgers = disk.path().join("ledgers");
    let take = take(disk.path(), "t.wav", 1, 96 * MIB);
    let parts = 12;

    // Killed as soon as three parts are confirmed.
    let bucket = weed.bucket(&ledgers).await;
    let (reports, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let progress = Progress::new({
        let (reports, enough) = (Arc::clone(&reports), Arc::clone(&enough));
        move |_, _| {
            if reports.fetch_add(1, Ordering::Relaxed) == 3 {
                enough.notify_one();
            }
        }
    });
    tokio::select! {
        biased;
        () = enough.notified() => {}
        done = bucket.put_file(upload("x.wav", &take), progress) => panic!("not interrupted: {done:?}"),
    }
    drop(bucket);
    assert!(parts_in_ledger(&ledgers) >= 3);

    // Another process would know no more than the ledger and the store.
    let bucket = weed.bucket(&ledgers).await;
    let reports = Arc::new(std::sync::Mutex::new(Vec::new()));
    let progress = Progress::new({
        let reports = Arc::clone(&reports);
        move |bytes, _| reports.lock().unwrap().push(bytes as usize / (8 * MIB))
    });
    let held = parts_in_store(&weed).await;
    bucket.put_file(upload("x.wav", &take), progress).await.unwrap();
    let mut reports = reports.lock().unwrap().clone();
    // It is also told how far it is while nothing is confirmed.
    reports.dedup();
    // What is both in the ledger and in the store is there from the start; each report after that is one part sent.
    let kept = reports[0];
    assert!((3..parts).contains(&kept) && held.len() >= kept, "{reports:?}, {held:?}");
    assert_eq!(reports, (kept..=parts).collect::<Vec<_>>(), "every part that was missing was sent, and no other");
    assert!(bucket.get("x.wav", 96 * MIB as u64).await.unwrap() == std::fs::read(&take).unwrap());
    assert_eq!(std::fs::read_dir(&ledgers).unwrap().count(), 0, "a finished upload needs no ledger");
}

#[tokio::test]
async fn an_upload_that_the_store_forgot_begins_anew() {
    let (weed, disk) = (Weed::start().await, tempfile::tempdir().unwrap());
    let ledgers = disk.path().join("ledgers");
    let take = take(disk.path(), "t.wav", 1, 40 * MIB);
    let bucket = weed.bucket(&ledgers).await;
    let enough = Arc::new(Notify::new());
    let progress = Progress::new({
        let enough = Arc::clone(&enough);
        move |bytes, _| {
            if bytes > 0 {
                enough.notify_one();
            }
        }
    });
    tokio::select! {
        biased;
        () = enough.notified() => {}
        done = bucket.put_file(upload("x.wav", &take), progress) => panic!("not interrupted: {done:?}"),
    }
    let id = upload_id(&weed).await;
    weed.client().abort_multipart_upload().bucket(BUCKET).key("x.wav").upload_id(id).send().await.unwrap();
    bucket.put_file(upload("x.wav", &take), Progress::none()).await.unwrap();
    assert!(bucket.get("x.wav", 40 * MIB as u64).await.unwrap() == std::fs::read(&take).unwrap());
}

fn parts_in_ledger(ledgers: &Path) -> usize {
    let ledger = std::fs::read_dir(ledgers).unwrap().next().unwrap().unwrap().path();
    std::fs::read_to_string(ledger).unwrap().lines().filter(|line| line.contains("\"line\":\"part\"")).count()
}

async fn upload_id(weed: &Weed) -> String {
    let uploads = weed.client().list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    let [upload] = uploads.uploads() else { panic!("{uploads:?}") };
    upload.upload_id().unwrap().to_owned()
}

async fn parts_in_store(weed: &Weed) -> Vec<i32> {
    let id = upload_id(weed).await;
    let parts = weed.client().list_parts().bucket(BUCKET).key("x.wav").upload_id(id).send().await.unwrap();
    parts.parts().iter().filter_map(|part| part.part_number()).collect()
}

#[tokio::test]
async fn comparing_listings_notices_what_another_client_puts_and_deletes() {
    let (weed, disk) = (Weed::start().await, tempfile::tempdir().unwrap());
    let bucket = Arc::new(weed.bucket(disk.path()).await);
    let mut changes = Arc::clone(&bucket).changes("recordings/".into());
    soon("the first item", changes.next()).await;
    weed.put_foreign("recordings/band_x.wav", b"foreign").await;
    soon("the notification of a put", changes.next()).await;

    let catalog = Catalog::start(bucket, Prefix::default());
    let mut list = catalog.watch();
    soon("the foreign object", list.wait_for(|list| list.len() == 1)).await.unwrap();
    assert_eq!(catalog.visible_to(false, crate::support::room(1), "Band").len(), 1);
    weed.client().delete_object().bucket(BUCKET).key("recordings/band_x.wav").send().await.unwrap();
    soon("the notification of a deletion", changes.next()).await;
    soon("the deletion in the list", list.wait_for(|list| list.is_empty())).await.unwrap();
}

/// The request is not one of the SDK's own: that this store answers it at all shows that its signature is right.
#[tokio::test]
async fn a_store_without_notifications_is_asked_with_a_good_signature_and_compared() {
    let (weed, disk) = (Weed::start().await, tempfile::tempdir().unwrap());
    let bucket = weed.bucket(disk.path()).await;
    for prefix in ["", "team/audio/", "ü b+c&d/"] {
        let report = soon("an answer", bucket.find_change_source(prefix)).await;
        assert_eq!(report.source, ChangeSource::ComparingListings(Duration::from_millis(500)), "{report}");
        assert!(report.to_string().contains("does not let one listen"), "{report}");
    }
    let host = ParticipantId::from_bytes([7; 16]);
    let refused = bucket.set_up_notifications(&Prefix::default(), host, false).await.unwrap_err();
    assert!(matches!(refused, BucketError::NoQueues(_)), "{refused:?}");
    assert!(refused.report().hint.contains("nothing needs to be set up"));
}

#[tokio::test]
async fn wrong_keys_a_missing_bucket_and_missing_permissions_are_told_apart() {
    let (weed, disk) = (Weed::start().await, tempfile::tempdir().unwrap());
    let take = take(disk.path(), "t.wav", 1, 1000);
    let try_with = async |settings: S3Settings| {
        let bucket = S3Bucket::connect(settings, disk.path().join("ledgers")).await.unwrap();
        let put = bucket.put_file(upload("x.wav", &take), Progress::none()).await.unwrap_err();
        (put, test_storage(&bucket, &Prefix::default()).await)
    };
    let keys = |access: &str, secret: &str| {
        Some(S3Keys { access_key: access.into(), secret_key: secret.into(), session_token: None })
    };

    let unknown = S3Settings { keys: keys("nobody", "x"), ..weed.settings() };
    let (error, report) = try_with(unknown).await;
    assert!(matches!(error, BucketError::Credentials(_)), "{error:?}");
    assert_eq!(error.report().code, code::STORAGE);
    assert!(report.first_error().unwrap().hint.contains("access key"), "{report:?}");

    let wrong_secret = S3Settings { keys: keys(crate::weed::ACCESS_KEY, "x"), ..weed.settings() };
    let (error, _) = try_with(wrong_secret).await;
    assert!(matches!(error, BucketError::Credentials(_)), "{error:?}");

    let missing = S3Settings { bucket: "no-such-bucket".into(), ..weed.settings() };
    let (error, report) = try_with(missing).await;
    assert!(matches!(error, BucketError::NoSuchBucket(_)), "{error:?}");
    assert!(report.first_error().unwrap().message.contains("no-such-bucket"), "{report:?}");

    let reader = S3Settings { keys: keys("reader", "reader-secret"), ..weed.settings() };
    let (error, report) = try_with(reader).await;
    assert!(matches!(error, BucketError::Denied { operation: Operation::Write, .. }), "{error:?}");
    assert!(report.first_error().unwrap().hint.contains("s3:PutObject"), "{report:?}");

    let bucket = weed.bucket(disk.path()).await;
    let report = test_storage(&bucket, &"team".parse().unwrap()).await;
    assert!(report.is_good() && report.steps.len() == 4, "{report:?}");
    assert_eq!(bucket.list("").await.unwrap(), []);
}

#[tokio::test]
async fn a_store_that_is_down_is_tried_until_it_is_up() {
    let (weed, disk) = (Weed::start().await, tempfile::tempdir().unwrap());
    let bucket = Arc::new(weed.bucket(&disk.path().join("ledgers")).await);
    let stopped = weed.stop();
    let error = bucket.list("").await.unwrap_err();
    assert_eq!(error.report().code, code::STORAGE_UNREACHABLE, "{error:?}");

    let settings = PublisherSettings { longest_pause: Duration::from_secs(1), ..PublisherSettings::default() };
    let queue = disk.path().join("queue");
    let (publisher, mut events) = Publisher::open(&queue, bucket.clone(), settings).await.unwrap();
    let take = take(disk.path(), "t.wav", 1, 20 * MIB);
    publisher.submit(job(1, &take)).await.unwrap();
    match soon("a failed attempt", events.recv()).await {
        Some(PublishEvent::Retrying { error, .. }) => assert_eq!(error.code, code::STORAGE_UNREACHABLE),
        other => panic!("{other:?}"),
    }
    let _weed = stopped.start().await;
    let published = async {
        loop {
            if let Some(PublishEvent::Published { key, size, .. }) = events.recv().await {
                return (key, size);
            }
        }
    };
    let (key, size) = soon("publishing", published).await;
    assert_eq!(size, 20 * MIB as u64);
    assert!(bucket.get(&key, size).await.unwrap() == std::fs::read(&take).unwrap());
    assert!(take.exists());
}
