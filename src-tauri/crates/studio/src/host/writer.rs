//! The thread that owns the journals: an fsync may take most of a second, and nothing else may wait for it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use roomtone_clock::now;
use roomtone_packets::{Coverage, Record};
use roomtone_protocol::{ParticipantId, RecordingId};
use roomtone_recorder::{Journal, JournalError, RecordingHeader};
use tokio::sync::{mpsc, oneshot};

/// Records that may wait for a slow disk: at 50 packets a second, 32 people fill this in five seconds. What does not
/// fit counts as not received and is asked for again.
const QUEUE: usize = 8_192;

/// How often what is dirty goes to the disk for good.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// What the thread does.
enum Job {
    Open { recording: RecordingId, folder: PathBuf, header: Box<RecordingHeader> },
    Adopt { recording: RecordingId, journal: Box<Journal> },
    Append { recording: RecordingId, participant: ParticipantId, record: Record },
    Note { recording: RecordingId, record: Record },
    Close { recording: RecordingId, done: oneshot::Sender<Journal> },
}

/// What the thread tells.
pub(super) enum Written {
    /// The journal of a new recording is open.
    Open { recording: RecordingId },
    /// This much of a track is on the disk for good.
    Durable { recording: RecordingId, participant: ParticipantId, coverage: Coverage },
    /// A journal cannot be written (any more). It is told once a recording.
    Failed { recording: RecordingId, error: JournalError },
}

/// The engine's end of the thread.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: SyncSender<Job>,
}

impl Writer {
    pub(super) fn start() -> std::io::Result<(Self, mpsc::UnboundedReceiver<Written>)> {
        let (jobs, queue) = sync_channel(QUEUE);
        // Unbounded and yet small: a message a track and second.
        let (tell, told) = mpsc::unbounded_channel();
        let writing = Writing { journals: HashMap::new(), tell, synced_ns: now().0 };
        thread::Builder::new().name("journal".into()).spawn(move || writing.run(&queue))?;
        Ok((Self { jobs }, told))
    }

    /// Opens the journal of a new recording; false if the disk is too far behind.
    pub(super) fn open(&self, recording: RecordingId, folder: PathBuf, header: RecordingHeader) -> bool {
        self.push(Job::Open { recording, folder, header: Box::new(header) })
    }

    /// Goes on with a journal that was opened elsewhere; false if the disk is too far behind.
    pub(super) fn adopt(&self, recording: RecordingId, journal: Journal) -> bool {
        self.push(Job::Adopt { recording, journal: Box::new(journal) })
    }

    /// Appends to a track; false if the disk is too far behind.
    pub(super) fn append(&self, recording: RecordingId, participant: ParticipantId, record: Record) -> bool {
        self.push(Job::Append { recording, participant, record })
    }

    /// Notes what concerns the whole recording; false if the disk is too far behind.
    pub(super) fn note(&self, recording: RecordingId, record: Record) -> bool {
        self.push(Job::Note { recording, record })
    }

    /// Syncs the journal and gives it back; None if it failed before or now. Blocks while the disk is behind.
    pub(super) fn close(&self, recording: RecordingId) -> Option<Journal> {
        let (done, journal) = oneshot::channel();
        self.jobs.send(Job::Close { recording, done }).ok()?;
        journal.blocking_recv().ok()
    }

    fn push(&self, job: Job) -> bool {
        match self.jobs.try_send(job) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

struct Writing {
    journals: HashMap<RecordingId, Journal>,
    tell: mpsc::UnboundedSender<Written>,
    synced_ns: i64,
}

impl Writing {
    fn run(mut self, queue: &Receiver<Job>) {
        loop {
            match queue.recv_timeout(SYNC_EVERY) {
                Ok(job) => self.work(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = now().0;
            if u128::try_from(now - self.synced_ns).is_ok_and(|since| since >= SYNC_EVERY.as_nanos()) {
                self.sync();
                self.synced_ns = now;
            }
        }
        self.sync();
    }

    fn work(&mut self, job: Job) {
        match job {
            Job::Open { recording, folder, header } => match Journal::create(&folder, *header) {
                Ok(journal) => {
                    self.journals.insert(recording, journal);
                    self.tell(Written::Open { recording });
                }
                Err(error) => self.fail(recording, error),
            },
            Job::Adopt { recording, journal } => {
                self.journals.insert(recording, *journal);
            }
            Job::Append { recording, participant, record } => {
                if let Some(Err(error)) =
                    self.journals.get_mut(&recording).map(|journal| journal.append(participant, &record))
                {
                    self.fail(recording, error);
                }
            }
            Job::Note { recording, record } => {
                if let Some(Err(error)) = self.journals.get_mut(&recording).map(|journal| journal.note(&record)) {
                    self.fail(recording, error);
                }
            }
            Job::Close { recording, done } => {
                self.sync_one(recording);
                if let Some(journal) = self.journals.remove(&recording) {
                    // Whoever asked waits for nothing else; if it is gone, the journal on the disk speaks for itself.
                    drop(done.send(journal));
                }
            }
        }
    }

    fn sync(&mut self) {
        let recordings: Vec<RecordingId> = self.journals.keys().copied().collect();
        recordings.into_iter().for_each(|recording| self.sync_one(recording));
    }

    fn sync_one(&mut self, recording: RecordingId) {
        let Some(journal) = self.journals.get_mut(&recording) else { return };
        if let Err(error) = journal.sync() {
            self.fail(recording, error);
            return;
        }
        let durable: Vec<_> =
            journal.participants().map(|participant| (participant, journal.durable(participant).clone())).collect();
        for (participant, coverage) in durable {
            self.tell(Written::Durable { recording, participant, coverage });
        }
    }

    /// A journal that failed once is not written to again: what a failed fsync left on the disk is unknown.
    fn fail(&mut self, recording: RecordingId, error: JournalError) {
        tracing::error!(%recording, %error, "a journal cannot be written");
        self.journals.remove(&recording);
        self.tell(Written::Failed { recording, error });
    }

    /// The engine ends before this thread does; then nobody needs to be told.
    fn tell(&self, written: Written) {
        drop(self.tell.send(written));
    }
}
