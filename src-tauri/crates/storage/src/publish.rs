//! Brings takes into the bucket and does not rest until they are there. Where the store has it so, a take goes up while it
//! grows, and only its end is left to its job.
//!
//! The queue is on the disk: a job outlives the program, and is gone only when the bucket has confirmed the audio object
//! and the metadata beside it. A take that was repaired takes the place of its earlier version in the same way. What was
//! discarded stays away. The take itself is read and never touched.

mod beside;
mod desk;
mod discard;
mod file;
mod growing;
mod hashes;
mod job;
mod pace;
mod queue;
mod revise;
mod run;
mod work;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roomtone_clock::now;
use roomtone_protocol::RecordingId;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::growing::GrowingTake;
pub use self::job::{Going, Job, PublishEvent, PublisherSettings};
pub use self::queue::QueueError;

use self::desk::Desk;
use self::pace::Pace;
use self::queue::{Queue, Receipt, Revision, StoredJob};
use crate::{Bucket, Progress};

/// Events that wait for their reader. Progress is left out once half of them do, so that the rest never has to wait for
/// a reader that is busy draining.
const EVENTS: usize = 256;

/// The durable queue. Dropping it stops the work where it is; the next one opened on the same folder goes on.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    _stop_when_dropped: DropGuard,
}

/// What the tasks of all recordings share.
struct Shared {
    bucket: Arc<dyn Bucket>,
    queue: Queue,
    settings: PublisherSettings,
    permits: Semaphore,
    /// Keys given to jobs that are still in the queue.
    reserved: Mutex<BTreeMap<String, RecordingId>>,
    /// A recording on it has a task.
    desk: watch::Sender<Desk>,
    /// Held while a file of the queue is changed because of what another says.
    turn: tokio::sync::Mutex<()>,
    /// How many wait for the queue to be empty: nothing is gathered meanwhile.
    draining: watch::Sender<usize>,
    /// Who sends takes that grow.
    senders: Mutex<BTreeMap<RecordingId, growing::Sender>>,
    /// On which they do.
    runtime: tokio::runtime::Handle,
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
    /// Opens the queue in a folder of its own, and goes on with everything that is in it.
    ///
    /// # Errors
    /// When the folder cannot be made or read. A job that a newer version wrote is left as it is, with a warning.
    pub async fn open(
        folder: impl Into<PathBuf>,
        bucket: Arc<dyn Bucket>,
        settings: PublisherSettings,
    ) -> Result<(Self, mpsc::Receiver<PublishEvent>), QueueError> {
        let (queue, contents) = Queue::open(folder.into()).await?;
        let (events, receiver) = mpsc::channel(EVENTS);
        let stop = CancellationToken::new();
        let keys = contents.jobs.iter().filter_map(|job| Some((job.stage.key()?.to_owned(), job.recording)));
        let keys = keys.chain(contents.reservations.into_iter().map(|reserved| (reserved.key, reserved.recording)));
        let shared = Arc::new(Shared {
            bucket,
            queue,
            permits: Semaphore::new(settings.parallel.max(1)),
            settings,
            reserved: Mutex::new(keys.collect()),
            desk: watch::Sender::default(),
            turn: tokio::sync::Mutex::default(),
            draining: watch::Sender::new(0),
            senders: Mutex::default(),
            runtime: tokio::runtime::Handle::current(),
            nudge: Notify::new(),
            events,
            stop: stop.clone(),
        });
        shared.limit(false);
        for tombstone in contents.tombstones {
            if tombstone.done {
                shared.desk.send_modify(|desk| desk.remember_discarded(tombstone.recording));
            } else {
                shared.assign(tombstone.recording, Desk::discard);
            }
        }
        for job in contents.jobs {
            shared.assign(job.recording, Desk::publish);
        }
        for recording in contents.revisions {
            // Gathered long enough: the start of a program takes its time.
            shared.assign(recording, |desk, recording| desk.revise(recording, now(), Duration::ZERO));
        }
        Ok((Self { shared, _stop_when_dropped: stop.drop_guard() }, receiver))
    }

    /// Takes a job over. When it answers `Ok`, the job is on the disk and will be done, whatever happens to the program.
    /// A recording that is in the queue already stays as it is; one that was published or discarded before is told
    /// again.
    ///
    /// # Errors
    /// When the job cannot be written.
    pub async fn submit(&self, job: Job) -> Result<(), QueueError> {
        let turn = self.shared.turn.lock().await;
        let recording = job.recording;
        match self.shared.standing(recording).await? {
            Standing::Settled(told) => {
                drop(turn);
                self.shared.tell(told).await;
            }
            Standing::Unknown => {
                self.shared.queue.save(&StoredJob::new(job)).await?;
                self.shared.assign(recording, Desk::publish);
            }
            Standing::Publishing | Standing::Discarding => {}
        }
        Ok(())
    }

    /// Takes a newer version of a take over, with the same promise as [`Self::submit`]. It takes the place of what the
    /// bucket has of this recording, under the same key, after it was gathered for a while with others that may come;
    /// only the newest goes up. Title and notes that were edited in the bucket meanwhile stay. A recording that
    /// was never handed in is published; one that was discarded is told again.
    ///
    /// # Errors
    /// When the version cannot be written.
    pub async fn revise(&self, job: Job) -> Result<(), QueueError> {
        let turn = self.shared.turn.lock().await;
        let recording = job.recording;
        match self.shared.standing(recording).await? {
            Standing::Settled(PublishEvent::Published { .. }) | Standing::Publishing => {
                let before = self.shared.queue.revision(recording).await?;
                let begun = before.is_some_and(|before| before.begun);
                self.shared.queue.save_revision(&Revision::new(job, begun)).await?;
                let gather = self.shared.settings.gather;
                self.shared.assign(recording, |desk, recording| desk.revise(recording, now(), gather));
                Ok(())
            }
            Standing::Settled(_) | Standing::Discarding | Standing::Unknown => {
                drop(turn);
                self.submit(job).await
            }
        }
    }

    /// Makes sure that nothing of the recording is in the bucket, now and for ever: takes it out of the queue, discards
    /// its unfinished upload and removes its objects; nobody else's. When it answers `Ok`, this will be done, whatever
    /// happens to the program. The takes may go once [`PublishEvent::Discarded`] is told: objects of a folder are
    /// recognised by them.
    ///
    /// # Errors
    /// When the note of it cannot be written.
    pub async fn discard(&self, recording: RecordingId) -> Result<(), QueueError> {
        let turn = self.shared.turn.lock().await;
        match self.shared.standing(recording).await? {
            Standing::Settled(told @ PublishEvent::Discarded { .. }) => {
                drop(turn);
                self.shared.tell(told).await;
            }
            Standing::Discarding => {}
            Standing::Settled(_) | Standing::Publishing | Standing::Unknown => {
                self.shared.queue.entomb(recording).await?;
                self.shared.assign(recording, Desk::discard);
            }
        }
        Ok(())
    }

    /// The recordings that are not published yet.
    #[must_use]
    pub fn pending(&self) -> Vec<RecordingId> {
        self.shared.desk.borrow().publishing()
    }

    /// Whether anything is left to be done about the recording: it is not published yet, or a newer version of it is not.
    #[must_use]
    pub fn is_at_work_on(&self, recording: RecordingId) -> bool {
        self.shared.desk.borrow().has(recording)
    }

    /// Whether the recording was discarded: nothing of it will be published any more.
    #[must_use]
    pub fn is_discarded(&self, recording: RecordingId) -> bool {
        self.shared.desk.borrow().is_discarded(recording)
    }

    /// Something is being recorded from here on, or nothing any more: what goes up keeps to the limit meanwhile.
    pub fn recording(&self, running: bool) {
        self.shared.limit(running);
    }

    /// Whether nothing is to be done about a recording: what the bucket has of it is the newest version.
    #[must_use]
    pub fn is_settled(&self, recording: RecordingId) -> bool {
        self.shared.desk.borrow().is_settled(recording)
    }

    /// Tries at once what waits for its next attempt: the settings were mended, or the network is back.
    pub fn retry_now(&self) {
        self.shared.nudge.notify_waiters();
    }

    /// Waits until nothing is left to be done, but no longer than this; whether nothing is left. Meanwhile nothing is
    /// gathered.
    pub async fn drain(&self, timeout: Duration) -> bool {
        let _draining = Draining::begin(&self.shared.draining);
        let mut desk = self.shared.desk.subscribe();
        matches!(tokio::time::timeout(timeout, desk.wait_for(Desk::is_empty)).await, Ok(Ok(_)))
    }
}

/// Counts who waits for the queue to be empty.
struct Draining<'a>(&'a watch::Sender<usize>);

impl<'a> Draining<'a> {
    fn begin(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// What the queue knows of a recording.
enum Standing {
    Unknown,
    Publishing,
    Discarding,
    /// It was published or discarded; to be told again.
    Settled(PublishEvent),
}

impl Shared {
    /// Puts an errand on the desk; the first of a recording brings a task with it.
    fn assign(self: &Arc<Self>, recording: RecordingId, errand: impl FnOnce(&mut Desk, RecordingId) -> bool) {
        let mut fresh = false;
        self.desk.send_modify(|desk| fresh = errand(desk, recording));
        if fresh {
            let (shared, stop) = (Arc::clone(self), self.stop.clone());
            tokio::spawn(async move { stop.run_until_cancelled(shared.run(recording)).await });
        }
    }

    async fn standing(&self, recording: RecordingId) -> Result<Standing, QueueError> {
        {
            let desk = self.desk.borrow();
            if desk.is_discarding(recording) {
                return Ok(Standing::Discarding);
            }
            if desk.is_discarded(recording) {
                return Ok(Standing::Settled(PublishEvent::Discarded { recording }));
            }
        }
        Ok(match self.queue.receipt(recording).await? {
            Some(receipt) => Standing::Settled(published(receipt)),
            None if self.desk.borrow().is_publishing(recording) => Standing::Publishing,
            None => Standing::Unknown,
        })
    }

    fn limit(&self, recording: bool) {
        let holds = recording || self.settings.limit_always;
        self.bucket.limit(self.settings.limit.filter(|_| holds));
    }

    /// Tells how far the audio is.
    fn progress(&self, recording: RecordingId) -> Progress {
        let events = self.events.clone();
        let (pace, moved) = (Mutex::new(Pace::default()), Arc::<AtomicU64>::default());
        let counted = Arc::clone(&moved);
        let report = move |bytes, total| {
            let moved = counted.load(Ordering::Relaxed);
            // Kept whole by each step.
            let mut pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(going) = pace.saw(now(), (bytes, total), moved) else { return };
            let told =
                events.capacity() > EVENTS / 2 && events.try_send(PublishEvent::Progress { recording, going }).is_ok();
            if !told {
                tracing::trace!("progress is left out: nobody keeps up, or nobody listens");
            }
        };
        Progress::new(report).counting(&moved)
    }

    async fn tell(&self, event: PublishEvent) {
        if self.events.send(event).await.is_err() {
            tracing::debug!("nobody listens to the publisher any more");
        }
    }

    fn reserved(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, RecordingId>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn published(receipt: Receipt) -> PublishEvent {
    PublishEvent::Published {
        recording: receipt.recording,
        key: receipt.key,
        size: receipt.audio.size,
        take: receipt.take,
    }
}
