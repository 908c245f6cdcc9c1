//! How long after Stop a recording can be downloaded, after ten minutes and after three hours of eight channels: generated
//! takes that go up while they grow, as those of a host do, as fast as the link carries them.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use roomtone_protocol::RecordingId;
use roomtone_storage::{
    Bucket as _, FileUpload, GrowingTake, Growth, Job, Progress, PublishEvent, Publisher, PublisherSettings, PutMode,
    S3Bucket, S3Keys, S3Settings,
};
use roomtone_tests::{SeaweedFs, Stopwatch, fetch};
use tempfile::TempDir;
use time::OffsetDateTime;

use super::take::{self, Content, SECOND};
use super::{line, shown};

const SHORT_S: u64 = 600;
const LONG_S: u64 = 3 * 3600;

/// Both, as often as this: the middle one counts.
const RUNS: usize = 5;

/// What the server needs of the disk for the long one, and some room beside it.
const DISK: u64 = 15_000_000_000;

/// Bytes a part of eight channels.
const PART: u64 = 11 << 20;

/// How long a take may take to go up.
const BOUND: Duration = Duration::from_secs(900);

/// Where a take lies, and goes.
struct Stage {
    server: SeaweedFs,
    place: TempDir,
}

impl Stage {
    async fn bucket(&self) -> Arc<S3Bucket> {
        let keys = S3Keys {
            access_key: SeaweedFs::ACCESS_KEY.to_owned(),
            secret_key: SeaweedFs::SECRET_KEY.to_owned(),
            session_token: None,
        };
        let settings =
            S3Settings { endpoint: Some(self.server.endpoint()), keys: Some(keys), ..S3Settings::new("bench") };
        Arc::new(S3Bucket::connect(settings, self.place.path().join("ledgers")).await.unwrap())
    }

    /// From Stop until somebody with a link gets the file, for each of the runs, in seconds. Only what Stop leaves is done
    /// again for another run: the parts before it are there.
    async fn waits(&self, number: u8, seconds: u64) -> f64 {
        let recording = RecordingId::from_bytes([number; 16]);
        let bucket = self.bucket().await;
        let settings = PublisherSettings { limit: NonZero::new(u64::MAX), ..PublisherSettings::default() };
        let queue = self.place.path().join("queue");
        let (publisher, mut events) = Publisher::open(queue, bucket.clone(), settings).await.unwrap();
        let path = self.place.path().join("take.wav.partial");
        let bytes = seconds * SECOND;
        take::write(&path, bytes, Content::Sparse);
        let growing = GrowingTake { recording, room: "Bench".into(), started_at: OffsetDateTime::UNIX_EPOCH };
        let growth = publisher.grow(growing).unwrap();
        growth.send(Growth::Begun { path: path.clone(), channels: 8, bytes_per_s: SECOND }).unwrap();
        // The rest of a part, and a part that is not settled: all that there can be.
        growth.send(Growth::Settled { bytes: bytes - SECOND }).unwrap();
        self.went_up((bytes - SECOND) / PART - 1).await;

        let watch = Stopwatch::start();
        // The end is rendered by others; the head and the name are what is left.
        let whole = self.place.path().join("take.wav");
        let mut file = File::options().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(b"RIFF").unwrap();
        file.sync_all().unwrap();
        fs::rename(&path, &whole).unwrap();
        growth.send(Growth::Whole { path: whole.clone(), bytes }).unwrap();
        let metadata = serde_json::from_value(take::metadata(&recording.to_string(), bytes)).unwrap();
        publisher.submit(Job { recording, take: whole.clone(), metadata }).await.unwrap();
        let key = loop {
            match events.recv().await.unwrap() {
                PublishEvent::Published { key, .. } => break key,
                PublishEvent::Progress { .. } => {}
                other => panic!("{other:?}"),
            }
        };
        let now = OffsetDateTime::from_unix_timestamp_nanos(roomtone_tests::now_unix_ms() as i128 * 1_000_000).unwrap();
        let link = bucket.link(&key, Duration::from_secs(60), now).await.unwrap().link;
        let first = tokio::task::spawn_blocking(move || fetch(&link, Some("bytes=0-3")).unwrap()).await.unwrap();
        let took = watch.elapsed().as_secs_f64();
        assert_eq!(first.status, 206);
        fs::remove_file(&whole).unwrap();
        bucket.delete(&key).await.unwrap();
        took
    }

    /// Waits until so many parts are in the ledger.
    async fn went_up(&self, parts: u64) {
        let watch = Stopwatch::start();
        while self.noted() < parts {
            assert!(watch.elapsed() < BOUND, "{} of {parts} parts", self.noted());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn noted(&self) -> u64 {
        let ledgers = fs::read_dir(self.place.path().join("ledgers")).into_iter().flatten().flatten();
        let lines =
            |path: &Path| fs::read_to_string(path).unwrap_or_default().matches("\"line\":\"part\"").count() as u64;
        ledgers.map(|ledger| lines(&ledger.path())).sum()
    }

    /// What nobody can do without: two parts, put together and looked at, with nothing before and nothing beside.
    async fn least(&self) -> f64 {
        let bucket = self.bucket().await;
        let path = self.place.path().join("two.wav");
        take::write(&path, 2 * PART, Content::Drawn);
        let mut figures = Vec::new();
        for run in 0..RUNS {
            let key = format!("least-{run}.wav");
            let recording = RecordingId::from_bytes([9; 16]);
            let upload = FileUpload {
                key: &key,
                path: &path,
                recording,
                sha256: None,
                mode: PutMode::CreateNew,
                unchanged: &[],
            };
            let watch = Stopwatch::start();
            bucket.put_file(upload, Progress::none()).await.unwrap();
            figures.push(watch.elapsed().as_secs_f64());
        }
        middle(figures)
    }

    /// The time of a small request.
    async fn round_trip(&self) -> f64 {
        let bucket = self.bucket().await;
        let mut figures = Vec::new();
        for _ in 0..RUNS {
            let watch = Stopwatch::start();
            join_all([bucket.head("nothing")]).await;
            figures.push(watch.elapsed().as_secs_f64());
        }
        middle(figures)
    }
}

fn middle(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

pub(crate) fn measure() {
    let place = tempfile::Builder::new().prefix("roomtone-bench-").tempdir().unwrap();
    let free = roomtone_tests::free_bytes(place.path());
    let long_s = if free.is_none_or(|free| free > DISK) { LONG_S } else { LONG_S / 3 };
    let server = SeaweedFs::start(place.path());
    server.bucket("bench").create().unwrap();
    let stage = Stage { server, place };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut short = Vec::new();
        for run in 0..RUNS {
            short.push(stage.waits(10 + u8::try_from(run).unwrap(), SHORT_S).await);
        }
        let long = stage.waits(30, long_s).await;
        let (least, round_trip) = (stage.least().await, stage.round_trip().await);
        let hours = long_s / 3600;
        line("Stop to downloadable, SeaweedFS, 10 min of 8 channels, s", &shown(Some(middle(short.clone())), 3));
        line(&format!("  {hours} h of 8 channels, s"), &shown(Some(long), 3));
        if long_s < LONG_S {
            line("  (the disk has no room for three hours)", "");
        }
        line("  longer to shorter (bar 1.5, aim 1.1)", &shown(Some(long / middle(short)), 2));
        line("  floor: two parts alone, put together, s", &shown(Some(least), 3));
        line("  floor: a round trip, s", &shown(Some(round_trip), 4));
    });
}
