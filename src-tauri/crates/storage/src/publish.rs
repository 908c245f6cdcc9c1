//! Brings finished takes into the bucket and does not rest until they are there.
//!
//! The queue is on the disk: a job outlives the program, and is gone only when the bucket has confirmed the audio object
//! and the metadata beside it. The take itself is read and never touched.

mod queue;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roomtone_protocol::metadata::Metadata;
use roomtone_protocol::{ErrorReport, RecordingId};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::queue::QueueError;

use self::queue::{Queue, Receipt, StoredJob};
use crate::{Bucket, KeyTemplate, Prefix, Progress};

/// Events that wait for their reader. Progress is left out once half of them do, so that the rest never has to wait for
/// a reader that is busy draining.
const EVENTS: usize = 256;

/// How takes are published.
#[derive(Debug, Clone)]
pub struct PublisherSettings {
    /// What every key begins with.
    pub prefix: Prefix,
    /// How recordings are named below the prefix.
    pub key_template: KeyTemplate,
    /// Jobs worked on at the same time.
    pub parallel: usize,
    /// Pause after the first failure; doubled after every further one.
    pub first_pause: Duration,
    /// The longest pause between attempts.
    pub longest_pause: Duration,
}

impl Default for PublisherSettings {
    fn default() -> Self {
        Self {
            prefix: Prefix::default(),
            key_template: KeyTemplate::default(),
            parallel: 2,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
        }
    }
}

/// A finished take.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The recording.
    pub recording: RecordingId,
    /// Its file on this computer, whole and synced. It must stay where it is until it is published.
    pub take: PathBuf,
    /// What goes beside it.
    pub metadata: Metadata,
}

/// What happens to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishEvent {
    /// The store has confirmed so much of the audio. Some of these may be left out when they come fast.
    Progress {
        /// The recording.
        recording: RecordingId,
        /// Bytes confirmed.
        bytes: u64,
        /// Bytes of the take.
        total: u64,
    },
    /// Audio and metadata are in the bucket, checked. Told at least once: also when the job is handed in again.
    Published {
        /// The recording.
        recording: RecordingId,
        /// The audio object's key.
        key: String,
        /// Its size in bytes.
        size: u64,
    },
    /// It did not work; it is tried again by itself.
    Retrying {
        /// The recording.
        recording: RecordingId,
        /// What went wrong and what a person could do.
        error: ErrorReport,
        /// How long until the next attempt.
        after: Duration,
    },
}

/// The durable queue. Dropping it stops the work where it is; the next one opened on the same folder goes on.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    _stop_when_dropped: DropGuard,
}

/// What the tasks of all jobs share.
struct Shared {
    bucket: Arc<dyn Bucket>,
    queue: Queue,
    settings: PublisherSettings,
    permits: Semaphore,
    /// Keys given to jobs that are still in the queue.
    reserved: Mutex<BTreeMap<String, RecordingId>>,
    pending: watch::Sender<BTreeSet<RecordingId>>,
    /// Ends the pauses between attempts.
    nudge: Notify,
    events: mpsc::Sender<PublishEvent>,
    stop: CancellationToken,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Publisher {
    /// Opens the queue in a folder of its own, and goes on with every job that is in it.
    ///
    /// # Errors
    /// When the folder cannot be made or read. A job that a newer version wrote is left as it is, with a warning.
    pub async fn open(
        folder: impl Into<PathBuf>,
        bucket: Arc<dyn Bucket>,
        settings: PublisherSettings,
    ) -> Result<(Self, mpsc::Receiver<PublishEvent>), QueueError> {
        let (queue, jobs) = Queue::open(folder.into()).await?;
        let (events, receiver) = mpsc::channel(EVENTS);
        let stop = CancellationToken::new();
        let reserved = jobs.iter().filter_map(|job| Some((job.stage.key()?.to_owned(), job.recording))).collect();
        let shared = Arc::new(Shared {
            bucket,
            queue,
            permits: Semaphore::new(settings.parallel.max(1)),
            settings,
            reserved: Mutex::new(reserved),
            pending: watch::Sender::default(),
            nudge: Notify::new(),
            events,
            stop: stop.clone(),
        });
        for job in jobs {
            shared.start(job);
        }
        Ok((Self { shared, _stop_when_dropped: stop.drop_guard() }, receiver))
    }

    /// Takes a job over. When it answers `Ok`, the job is on the disk and will be done, whatever happens to the program.
    /// A recording that is in the queue already stays as it is; one that was published before is told again.
    ///
    /// # Errors
    /// When the job cannot be written.
    pub async fn submit(&self, job: Job) -> Result<(), QueueError> {
        if let Some(receipt) = self.shared.queue.receipt(job.recording).await? {
            self.shared.tell(published(receipt)).await;
            return Ok(());
        }
        // Taken before the file is written, so that a second submission meanwhile finds it taken.
        if !self.shared.pending.send_if_modified(|pending| pending.insert(job.recording)) {
            return Ok(());
        }
        let recording = job.recording;
        let stored = StoredJob::new(job);
        if let Err(error) = self.shared.queue.save(&stored).await {
            self.shared.done(recording);
            return Err(error);
        }
        self.shared.start(stored);
        Ok(())
    }

    /// The recordings that are not published yet.
    #[must_use]
    pub fn pending(&self) -> Vec<RecordingId> {
        self.shared.pending.borrow().iter().copied().collect()
    }

    /// Tries at once what waits for its next attempt: the settings were mended, or the network is back.
    pub fn retry_now(&self) {
        self.shared.nudge.notify_waiters();
    }

    /// Waits until the queue is empty, but no longer than this; whether it is empty.
    pub async fn drain(&self, timeout: Duration) -> bool {
        let mut pending = self.shared.pending.subscribe();
        matches!(tokio::time::timeout(timeout, pending.wait_for(BTreeSet::is_empty)).await, Ok(Ok(_)))
    }
}

impl Shared {
    fn start(self: &Arc<Self>, job: StoredJob) {
        self.pending.send_if_modified(|pending| pending.insert(job.recording));
        let (shared, stop) = (Arc::clone(self), self.stop.clone());
        tokio::spawn(async move { stop.run_until_cancelled(shared.until_published(job)).await });
    }

    async fn until_published(self: Arc<Self>, mut job: StoredJob) {
        let recording = job.recording;
        let mut pause = self.settings.first_pause;
        loop {
            match self.attempt(&mut job).await {
                Ok(receipt) => {
                    // Told first: whoever waits for the queue to drain finds the event there.
                    self.tell(published(receipt)).await;
                    return self.done(recording);
                }
                Err(error) => {
                    tracing::warn!(code = %error.code, ?pause, "publishing a recording did not work; trying again");
                    self.tell(PublishEvent::Retrying { recording, error, after: pause }).await;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(self.settings.longest_pause),
                () = self.nudge.notified() => pause = self.settings.first_pause,
            }
        }
    }

    async fn attempt(&self, job: &mut StoredJob) -> Result<Receipt, ErrorReport> {
        let _permit = self.permits.acquire().await.expect("invariant: the semaphore is never closed");
        work::advance(self, job).await
    }

    /// Tells how far the audio is.
    fn progress(&self, recording: RecordingId) -> Progress {
        let events = self.events.clone();
        Progress::new(move |bytes, total| {
            let told = events.capacity() > EVENTS / 2
                && events.try_send(PublishEvent::Progress { recording, bytes, total }).is_ok();
            if !told {
                tracing::trace!("progress is left out: nobody keeps up, or nobody listens");
            }
        })
    }

    async fn tell(&self, event: PublishEvent) {
        if self.events.send(event).await.is_err() {
            tracing::debug!("nobody listens to the publisher any more");
        }
    }

    /// Takes the job out of the queue in memory.
    fn done(&self, recording: RecordingId) {
        self.reserved().retain(|_, owner| *owner != recording);
        self.pending.send_if_modified(|pending| pending.remove(&recording));
    }

    fn reserved(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, RecordingId>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn published(receipt: Receipt) -> PublishEvent {
    PublishEvent::Published { recording: receipt.recording, key: receipt.key, size: receipt.size }
}
