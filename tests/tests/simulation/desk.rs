//! The host's disk: real journals, in a folder in memory, behind a queue that can be full.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use roomtone_engine::Desk;
use roomtone_packets::{Coverage, Record};
use roomtone_protocol::{ParticipantId, RecordingId};
use roomtone_recorder::{Journal, RecordingHeader};

/// Records that wait for a disk that stalls: a moment's worth, so that stalls are felt.
const QUEUE: usize = 256;

enum Job {
    Open(RecordingId, RecordingHeader),
    Append(RecordingId, ParticipantId, Record),
    Note(RecordingId, Record),
}

/// The journals of one program, and the disk under them.
pub(crate) struct HostDisk {
    folder: PathBuf,
    journals: BTreeMap<RecordingId, Journal>,
    queue: VecDeque<Job>,
    pub(crate) stalled: bool,
    /// Journals that opened since it was asked last.
    opened: Vec<RecordingId>,
}

impl HostDisk {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, journals: BTreeMap::new(), queue: VecDeque::new(), stalled: false, opened: Vec::new() }
    }

    fn path(&self, recording: RecordingId) -> PathBuf {
        self.folder.join(recording.to_string())
    }

    fn push(&mut self, job: Job) -> bool {
        if self.stalled {
            let room = self.queue.len() < QUEUE;
            if room {
                self.queue.push_back(job);
            }
            return room;
        }
        self.flush();
        self.work(job);
        true
    }

    fn flush(&mut self) {
        while let Some(job) = self.queue.pop_front() {
            self.work(job);
        }
    }

    fn work(&mut self, job: Job) {
        match job {
            Job::Open(recording, header) => {
                let journal = Journal::create(&self.path(recording), header).expect("a folder in memory");
                self.journals.insert(recording, journal);
                self.opened.push(recording);
            }
            Job::Append(recording, participant, record) => {
                if let Some(journal) = self.journals.get_mut(&recording) {
                    journal.append(participant, &record).expect("a folder in memory");
                }
            }
            Job::Note(recording, record) => {
                if let Some(journal) = self.journals.get_mut(&recording) {
                    journal.note(&record).expect("a folder in memory");
                }
            }
        }
    }

    /// Whether a journal is open, or about to be.
    pub(crate) fn has(&self, recording: RecordingId) -> bool {
        let waits = |job: &Job| matches!(job, Job::Open(waiting, _) if *waiting == recording);
        self.journals.contains_key(&recording) || self.queue.iter().any(waits)
    }

    /// What the journals' thread does once a second, unless the disk stalls: the journals that have opened, and what
    /// survives a power cut from here on.
    pub(crate) fn sync(&mut self) -> (Vec<RecordingId>, Vec<(RecordingId, ParticipantId, Coverage)>) {
        if self.stalled {
            return (Vec::new(), Vec::new());
        }
        self.flush();
        let mut durable = Vec::new();
        for (&recording, journal) in &mut self.journals {
            journal.sync().expect("a folder in memory");
            durable.extend(journal.participants().map(|who| (recording, who, journal.durable(who).clone())));
        }
        (std::mem::take(&mut self.opened), durable)
    }

    /// Ends a journal and gives it away; whoever asks waits for a disk that stalls.
    pub(crate) fn close(&mut self, recording: RecordingId) -> Journal {
        self.flush();
        self.journals.remove(&recording).expect("only journals that are open are closed")
    }

    /// The program is killed: what waited for the disk is gone.
    pub(crate) fn killed(&mut self) {
        self.journals.clear();
        self.queue.clear();
        self.stalled = false;
        self.opened.clear();
    }

    /// What an earlier start left.
    pub(crate) fn open_found(&self, recording: RecordingId) -> Option<Journal> {
        let path = self.path(recording);
        path.is_dir()
            .then(|| Journal::open(&path).expect("only what was killed between two system calls cannot be opened"))
    }

    pub(crate) fn wipe(&mut self) {
        self.killed();
        std::fs::remove_dir_all(&self.folder).expect("a folder in memory");
        std::fs::create_dir_all(&self.folder).expect("a folder in memory");
    }
}

impl Desk for HostDisk {
    fn open(&mut self, recording: RecordingId, header: RecordingHeader) -> bool {
        self.push(Job::Open(recording, header))
    }

    fn append(&mut self, recording: RecordingId, participant: ParticipantId, record: Record) -> bool {
        self.push(Job::Append(recording, participant, record))
    }

    fn note(&mut self, recording: RecordingId, record: Record) -> bool {
        self.push(Job::Note(recording, record))
    }

    fn is_archived(&self, _: RecordingId) -> bool {
        false
    }

    fn is_discarded(&self, _: RecordingId) -> bool {
        false
    }
}
