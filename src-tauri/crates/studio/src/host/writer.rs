//! The thread that owns the journals: an fsync may take most of a second, and nothing else may wait for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, Thread};
use std::time::Duration;

use roomtone_clock::now;
use roomtone_disk::{Disk, Reserve};
use roomtone_packets::{Coverage, Record};
use roomtone_protocol::{ParticipantId, RecordingId};
use roomtone_recorder::{Journal, JournalError, RecordingHeader, TakeSettings};
use tokio::sync::{mpsc, oneshot};

use super::take::{Ground, Growing};

/// Records that may wait for a slow disk: at 50 packets a second, 32 people fill this in five seconds. What does not
/// fit counts as not received and is asked for again.
const QUEUE: usize = 8_192;

/// What came meanwhile is written together, each track's in one call of the system: each packet by itself would wake the
/// thread, which costs about as much as writing it.
/// A program that is killed has that much less, until it is asked for again.
const GATHER: Duration = Duration::from_millis(20);

/// How often what is dirty goes to the disk for good.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Syncs in a row that may fail before a recording is given up: a disk that takes nothing for ten seconds is gone, and
/// what people say meanwhile is still in their spools.
const PATIENCE: u32 = 10;

/// What the thread does.
enum Job {
    Open { recording: RecordingId, folder: PathBuf, header: Box<RecordingHeader>, take: TakeSettings },
    Adopt { recording: RecordingId, journal: Box<Journal>, take: Option<TakeSettings> },
    Append { recording: RecordingId, participant: ParticipantId, record: Record },
    Note { recording: RecordingId, record: Record },
    Close { recording: RecordingId, done: oneshot::Sender<Closed> },
}

/// A journal that nobody writes to any more.
pub(super) struct Closed {
    /// Synced, as far as its disk took it.
    pub(super) journal: Journal,
    /// The take that grew beside it.
    pub(super) growing: Option<Growing>,
}

/// What the thread tells.
pub(super) enum Written {
    /// The journal of a new recording is open.
    Open { recording: RecordingId },
    /// This much of a track is on the disk for good.
    Durable { recording: RecordingId, participant: ParticipantId, coverage: Coverage },
    /// Writing failed and goes on: of a track, only this much is left. The rest is to be asked for again.
    Forgotten { recording: RecordingId, participant: ParticipantId, coverage: Coverage },
    /// The disk is full: the recording must end. Its end is written with room that was held in reserve. Told once a
    /// recording.
    DiskFull { recording: RecordingId },
    /// A journal cannot be written (any more). It is told once a recording.
    Failed { recording: RecordingId, error: JournalError },
}

/// The engine's end of the thread.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: SyncSender<Job>,
    thread: Thread,
}

impl Writer {
    /// Starts the thread. `reserve` is room on the disk that the journals are on; on `ground` the takes beside them
    /// grow.
    pub(super) fn start(
        disk: Arc<dyn Disk>,
        reserve: Reserve,
        ground: Ground,
    ) -> std::io::Result<(Self, mpsc::UnboundedReceiver<Written>)> {
        let (jobs, queue) = sync_channel(QUEUE);
        // Unbounded and yet small: a few messages a track and second.
        let (tell, told) = mpsc::unbounded_channel();
        let (journals, gathered) = Default::default();
        let writing = Writing { disk, journals, gathered, reserve, ground, tell, synced_ns: now().0 };
        let thread = thread::Builder::new().name("journal".into()).spawn(move || writing.run(&queue))?.thread().clone();
        Ok((Self { jobs, thread }, told))
    }

    /// Opens the journal of a new recording, and begins the take beside it; false if the disk is too far behind.
    pub(super) fn open(&self, folder: PathBuf, header: RecordingHeader, take: TakeSettings) -> bool {
        self.push(Job::Open { recording: take.recording, folder, header: Box::new(header), take })
    }

    /// Goes on with a journal that was opened elsewhere, and with the take beside it, if it is still in progress; false
    /// if the disk is too far behind.
    pub(super) fn adopt(&self, recording: RecordingId, journal: Journal, take: Option<TakeSettings>) -> bool {
        self.push(Job::Adopt { recording, journal: Box::new(journal), take })
    }

    /// Appends to a track; false if the disk is too far behind.
    pub(super) fn append(&self, recording: RecordingId, participant: ParticipantId, record: Record) -> bool {
        self.push(Job::Append { recording, participant, record })
    }

    /// Notes what concerns the whole recording; false if the disk is too far behind.
    pub(super) fn note(&self, recording: RecordingId, record: Record) -> bool {
        self.push(Job::Note { recording, record })
    }

    /// Syncs the journal and gives it back; None if it failed for good before. Blocks while the disk is behind.
    pub(super) fn close(&self, recording: RecordingId) -> Option<Closed> {
        let (done, closed) = oneshot::channel();
        self.jobs.send(Job::Close { recording, done }).ok()?;
        // Somebody waits for it.
        self.thread.unpark();
        closed.blocking_recv().ok()
    }

    fn push(&self, job: Job) -> bool {
        match self.jobs.try_send(job) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

struct Writing {
    disk: Arc<dyn Disk>,
    journals: HashMap<RecordingId, Open>,
    /// What is to be appended to tracks, in the order in which it came.
    gathered: BTreeMap<(RecordingId, ParticipantId), Vec<Record>>,
    reserve: Reserve,
    ground: Ground,
    tell: mpsc::UnboundedSender<Written>,
    synced_ns: i64,
}

/// A recording that is being written.
struct Open {
    journal: Journal,
    growing: Option<Growing>,
    /// Writing failed, and is tried again with the next sync. Packets that come in between are dropped.
    resting: bool,
    /// Whose packets were dropped since the last sync.
    dropped: BTreeSet<ParticipantId>,
    /// Syncs in a row that failed.
    failed_syncs: u32,
    /// [`Written::DiskFull`] was told.
    full: bool,
}

impl Open {
    fn new(journal: Journal, growing: Option<Growing>) -> Self {
        Self { journal, growing, resting: false, dropped: BTreeSet::new(), failed_syncs: 0, full: false }
    }

    /// Shows the take what is on the disk for good. On a full disk it grows no further: what room there is belongs to the
    /// journal until the recording is over.
    fn feed(&self) {
        if let Some(growing) = self.growing.as_ref().filter(|_| !self.full) {
            growing.feed(&self.journal);
        }
    }
}

impl Writing {
    fn run(mut self, queue: &Receiver<Job>) {
        self.hold_reserve();
        loop {
            match queue.recv_timeout(SYNC_EVERY) {
                Ok(job) => self.work(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            queue.try_iter().for_each(|job| self.work(job));
            self.write_gathered();
            let now = now().0;
            if u128::try_from(now - self.synced_ns).is_ok_and(|since| since >= SYNC_EVERY.as_nanos()) {
                self.sync();
                self.synced_ns = now;
            }
            if !self.journals.is_empty() {
                thread::park_timeout(GATHER);
            }
        }
        self.sync();
    }

    fn work(&mut self, job: Job) {
        if !matches!(job, Job::Append { .. }) {
            self.write_gathered();
        }
        match job {
            Job::Open { recording, folder, header, take } => self.open(recording, &folder, &header, take),
            Job::Adopt { recording, journal, take } => {
                let growing = take.and_then(|take| Growing::start(take, &self.ground));
                self.journals.insert(recording, Open::new(*journal, growing));
            }
            Job::Append { recording, participant, record } => {
                self.gathered.entry((recording, participant)).or_default().push(record);
            }
            Job::Note { recording, record } => {
                self.write(recording, |journal| journal.note(&record));
            }
            Job::Close { recording, done } => {
                // It is not shown what whoever asked will show it.
                let growing = self.journals.get_mut(&recording).and_then(|open| open.growing.take());
                self.sync_one(recording);
                if let Some(Open { journal, .. }) = self.journals.remove(&recording) {
                    // Whoever asked waits for nothing else; if it is gone, the journal on the disk speaks for itself.
                    drop(done.send(Closed { journal, growing }));
                }
            }
        }
    }

    fn open(&mut self, recording: RecordingId, folder: &Path, header: &RecordingHeader, take: TakeSettings) {
        if self.journals.is_empty() {
            // An earlier recording may have used it up; by now there may be room again.
            self.hold_reserve();
        }
        let create = || Journal::create_on(Arc::clone(&self.disk), folder, header.clone());
        let created = create().or_else(|error| match error {
            JournalError::DiskFull { .. } if self.release_reserve() => create(),
            other => Err(other),
        });
        match created {
            Ok(journal) => {
                let growing = Growing::start(take, &self.ground);
                self.journals.insert(recording, Open::new(journal, growing));
                self.tell(Written::Open { recording });
            }
            Err(error) => self.fail(recording, error),
        }
    }

    fn write_gathered(&mut self) {
        for ((recording, participant), records) in std::mem::take(&mut self.gathered) {
            self.append(recording, participant, records);
        }
    }

    /// Writes what belongs to a track. Packets that cannot be written are dropped and asked for again.
    fn append(&mut self, recording: RecordingId, participant: ParticipantId, mut records: Vec<Record>) {
        let is_packet = |record: &Record| matches!(record, Record::Packet(_));
        let packets = records.iter().any(is_packet);
        let rests = self.journals.get(&recording).is_some_and(|open| open.resting);
        if rests {
            records.retain(|record| !is_packet(record));
        }
        let written = self.write(recording, |journal| journal.append_all(participant, &records).map(drop));
        if packets
            && (rests || !written)
            && let Some(open) = self.journals.get_mut(&recording)
        {
            open.dropped.insert(participant);
        }
    }

    /// Writes records; once more, in another file, if that fails; whether they are written. A note that failed both times
    /// is kept by the journal.
    fn write(&mut self, recording: RecordingId, write: impl Fn(&mut Journal) -> Result<(), JournalError>) -> bool {
        let Some(open) = self.journals.get_mut(&recording) else { return false };
        let Err(error) = write(&mut open.journal) else { return true };
        self.trouble(recording, &error);
        let Some(open) = self.journals.get_mut(&recording) else { return false };
        let again = write(&mut open.journal);
        if let Err(error) = &again {
            open.resting = true;
            self.trouble(recording, error);
        }
        self.tell_forgotten(recording);
        again.is_ok()
    }

    fn sync(&mut self) {
        let recordings: Vec<RecordingId> = self.journals.keys().copied().collect();
        recordings.into_iter().for_each(|recording| self.sync_one(recording));
    }

    fn sync_one(&mut self, recording: RecordingId) {
        let Some(open) = self.journals.get_mut(&recording) else { return };
        let synced = open.journal.sync();
        // On a full disk, what failed just now goes into the reserve.
        let synced = synced.or_else(|error| {
            self.trouble(recording, &error);
            self.journals.get_mut(&recording).map_or(Ok(()), |open| open.journal.sync())
        });
        let Some(open) = self.journals.get_mut(&recording) else { return };
        match synced {
            Ok(()) => {
                open.failed_syncs = 0;
                open.resting = false;
                open.feed();
            }
            Err(error) => {
                open.failed_syncs += 1;
                open.resting = true;
                if open.failed_syncs >= PATIENCE {
                    return self.fail(recording, error);
                }
                self.trouble(recording, &error);
            }
        }
        self.tell_forgotten(recording);
        self.tell_durable(recording);
    }

    /// Writing failed and is tried again.
    fn trouble(&mut self, recording: RecordingId, error: &JournalError) {
        tracing::warn!(%recording, %error, "a journal goes on in another file");
        if matches!(error, JournalError::DiskFull { .. }) {
            self.release_reserve();
            let told = self.journals.get_mut(&recording).is_some_and(|open| std::mem::replace(&mut open.full, true));
            if !told {
                self.tell(Written::DiskFull { recording });
            }
        }
    }

    fn tell_durable(&self, recording: RecordingId) {
        let Some(open) = self.journals.get(&recording) else { return };
        for participant in open.journal.participants() {
            let coverage = open.journal.durable(participant).clone();
            self.tell(Written::Durable { recording, participant, coverage });
        }
    }

    /// What is left of the tracks that lost something, for whoever believes that there is more.
    fn tell_forgotten(&mut self, recording: RecordingId) {
        let Some(open) = self.journals.get_mut(&recording) else { return };
        let mut concerned = std::mem::take(&mut open.dropped);
        concerned.extend(open.journal.take_forgotten());
        for participant in concerned {
            let coverage = open.journal.coverage(participant).clone();
            drop(self.tell.send(Written::Forgotten { recording, participant, coverage }));
        }
    }

    fn hold_reserve(&self) {
        if let Err(error) = self.reserve.hold() {
            tracing::warn!(%error, "there is no room for a reserve; a disk that fills up may cost a recording its end");
        }
    }

    /// Gives the reserve free; whether there was one.
    fn release_reserve(&self) -> bool {
        self.reserve.release().unwrap_or_else(|error| {
            tracing::error!(%error, "the reserve cannot be given free");
            false
        })
    }

    /// A journal that nothing can be written to any more is given up; what it holds is kept.
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

#[cfg(test)]
mod tests;
