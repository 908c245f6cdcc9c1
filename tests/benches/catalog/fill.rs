//! Buckets full of recordings, and what it takes to look through them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use roomtone_protocol::catalog::Reach;
use roomtone_protocol::metadata::{Alignment, Channel, Consent, Metadata, Parts, SCHEMA};
use roomtone_protocol::{FileLinkKey, ParticipantId, RecordingId, RoomId};
use roomtone_storage::{Bucket, FileLinks, FolderBucket, PutMode, S3Bucket, S3Keys, S3Settings};
use roomtone_tests::{SeaweedFs, Stopwatch};
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;

/// Objects written to the store at the same time.
const PARALLEL: usize = 32;

fn started(n: usize) -> time::OffsetDateTime {
    datetime!(2020-01-01 09:00 UTC) + time::Duration::hours(n as i64 * 5)
}

pub(crate) fn key(n: usize) -> String {
    let at = started(n);
    let (date, time) = (at.date(), at.time());
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    let (hour, minute, second) = time.as_hms();
    format!("recordings/first-light_{year:04}{month:02}{day:02}_{hour:02}{minute:02}{second:02}.wav")
}

pub(crate) fn metadata_key(n: usize) -> String {
    key(n).replace(".wav", ".json")
}

/// As a recording of an hour with four people has it.
pub(crate) fn metadata(n: usize, title: &str) -> bytes::Bytes {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(n as u64).to_be_bytes());
    let at = |hours| (started(n) + time::Duration::hours(hours)).format(&Rfc3339).unwrap();
    let alignment =
        Alignment { skew_ppm: Some(1.5), residual_us: Some(30.0), uncertainty_us: Some(200.0), measured_by: None };
    let channel = |index: u16| Channel {
        index,
        participant: ParticipantId::from_bytes([index as u8; 16]),
        name: format!("Guest {index}"),
        consent: Consent::Given,
        gapless: true,
        missing_frames: 0,
        gaps: vec![],
        alignment,
    };
    let metadata = Metadata {
        schema: SCHEMA,
        id: RecordingId::from_bytes(id),
        room: "First light".into(),
        room_id: RoomId::from_bytes([7; 16]),
        title: Some(title.to_owned()),
        notes: None,
        started_at: at(0),
        ended_at: at(1),
        sample_rate: 48_000,
        bit_depth: 24,
        frames: 48_000 * 3_600,
        size: 48_000 * 3_600 * 12,
        sha256: Some("ab".repeat(32)),
        parts: Parts { size: 8 << 20, sha256: vec!["cd".repeat(32); 248] },
        software: "roomtone".into(),
        gapless: true,
        channels: (0..4).map(channel).collect(),
        unrecorded: vec![],
        markers: vec![],
        clock_seams: vec![],
    };
    serde_json::to_vec_pretty(&metadata).unwrap().into()
}

pub(crate) fn folder(root: &Path, count: usize) {
    fs::create_dir_all(root.join("recordings")).unwrap();
    for n in 0..count {
        fs::write(root.join(key(n)), b"RIFF").unwrap();
        fs::write(root.join(metadata_key(n)), metadata(n, &format!("Talk {n}"))).unwrap();
    }
}

pub(crate) async fn folder_bucket(root: &Path) -> Arc<dyn Bucket> {
    let key = FileLinkKey::from_bytes([1; 32]);
    let links = FileLinks { base_url: String::new(), key, reach: Reach::HostOnly };
    Arc::new(FolderBucket::open(root, links).await.unwrap())
}

/// The floor of a folder: every file is named and sized.
pub(crate) fn walk(root: &Path) -> Duration {
    let watch = Stopwatch::start();
    let (mut folders, mut bytes) = (vec![root.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() { folders.push(entry.path()) } else { bytes += metadata.len() }
        }
    }
    assert!(bytes > 0);
    watch.elapsed()
}

pub(crate) async fn s3_bucket(server: &SeaweedFs, name: &str, place: &Path) -> Arc<dyn Bucket> {
    let keys = S3Keys {
        access_key: SeaweedFs::ACCESS_KEY.into(),
        secret_key: SeaweedFs::SECRET_KEY.into(),
        session_token: None,
    };
    let mut settings = S3Settings::new(name);
    (settings.endpoint, settings.keys) = (Some(server.endpoint()), Some(keys));
    Arc::new(S3Bucket::connect(settings, place.join("ledgers")).await.unwrap())
}

pub(crate) async fn s3(bucket: &Arc<dyn Bucket>, count: usize) {
    let put = |n: usize| async move {
        bucket.put_bytes(&key(n), bytes::Bytes::from_static(b"RIFF"), PutMode::Replace).await.unwrap();
        bucket.put_bytes(&metadata_key(n), metadata(n, &format!("Talk {n}")), PutMode::Replace).await.unwrap();
    };
    stream::iter(0..count).for_each_concurrent(PARALLEL, put).await;
}

/// The floor of a store: another client pages through the listing.
pub(crate) fn sweep(bucket: &roomtone_tests::Bucket) -> Duration {
    let watch = Stopwatch::start();
    assert!(!bucket.keys().unwrap().is_empty());
    watch.elapsed()
}
