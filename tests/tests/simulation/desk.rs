//! The host's disk: real journals, on a disk in memory that loses power, behind a queue that can be full.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use roomtone_disk::{Cut, Disk as _, SimulatedDisk};
use roomtone_engine::Desk;
use roomtone_packets::{Coverage, Record};
use roomtone_protocol::{IndexRange, ParticipantId, RecordingId};
use roomtone_recorder::{Journal, RecordingHeader};

/// Records that wait for a disk that stalls: a moment's worth, so that stalls are felt.
const QUEUE: usize = 256;

enum Job {
    Open(RecordingId, RecordingHeader),
    Append(RecordingId, ParticipantId, Record),
    Note(RecordingId, Record),
}

/// What stands beside a journal. Files so small are there whole or not at all.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Beside {
    /// A file was made, and whether it lacks nothing.
    pub(crate) made: Option<bool>,
    /// The upload queue has a file.
    pub(crate) submitted: bool,
    /// The bucket has it.
    pub(crate) completed: bool,
    /// The journal may hold more than the file.
    pub(crate) repairing: bool,
}

/// The journals of one program, and the disk under them.
pub(crate) struct HostDisk {
    disk: SimulatedDisk,
    journals: BTreeMap<RecordingId, Journal>,
    queue: VecDeque<Job>,
    pub(crate) stalled: bool,
    /// Journals that opened since it was asked last.
    opened: Vec<RecordingId>,
    /// Packets that a power cut may take, and those that it cannot: as the world saw them written and synced.
    written: Vec<(RecordingId, ParticipantId, IndexRange)>,
    kept: BTreeMap<(RecordingId, ParticipantId), Coverage>,
    beside: BTreeMap<RecordingId, Beside>,
    /// A program that died took something along that the disk had no time for, or may have.
    pub(crate) lost_words: bool,
    tombstones: BTreeSet<RecordingId>,
}

/// Where a journal lies.
fn path(recording: RecordingId) -> PathBuf {
    Path::new("/recordings").join(recording.to_string())
}

impl HostDisk {
    pub(crate) fn new() -> Self {
        Self {
            disk: SimulatedDisk::new(),
            journals: BTreeMap::new(),
            queue: VecDeque::new(),
            stalled: false,
            opened: Vec::new(),
            written: Vec::new(),
            kept: BTreeMap::new(),
            beside: BTreeMap::new(),
            lost_words: false,
            tombstones: BTreeSet::new(),
        }
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
                let disk = Arc::new(self.disk.clone());
                let journal = Journal::create_on(disk, &path(recording), header).expect("a disk that works");
                self.journals.insert(recording, journal);
                self.opened.push(recording);
            }
            Job::Append(recording, participant, record) => {
                if let Some(journal) = self.journals.get_mut(&recording) {
                    journal.append(participant, &record).expect("a disk that works");
                    if let Record::Packet(packet) = record {
                        self.written.push((recording, participant, packet.range()));
                    }
                }
            }
            Job::Note(recording, record) => {
                if let Some(journal) = self.journals.get_mut(&recording) {
                    journal.note(&record).expect("a disk that works");
                }
            }
        }
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
            journal.sync().expect("a disk that works");
            durable.extend(journal.participants().map(|who| (recording, who, journal.durable(who).clone())));
        }
        for (recording, participant, range) in self.written.extract_if(.., |of| self.journals.contains_key(&of.0)) {
            self.kept.entry((recording, participant)).or_default().insert(range);
        }
        (std::mem::take(&mut self.opened), durable)
    }

    /// Ends a journal and gives it away, if it is open; whoever asks waits for a disk that stalls.
    pub(crate) fn close(&mut self, recording: RecordingId) -> Option<Journal> {
        self.flush();
        self.journals.remove(&recording)
    }

    /// The program is killed: what waited for the disk is gone.
    pub(crate) fn killed(&mut self) {
        self.journals.clear();
        self.lost_words = !self.queue.is_empty();
        self.queue.clear();
        self.stalled = false;
        self.opened.clear();
    }

    /// The power is cut: what was not synced is gone, or some of it.
    pub(crate) fn power_cut(&mut self, cut: Cut) {
        self.killed();
        self.written.clear();
        self.lost_words = true;
        self.disk.power_cut(cut);
    }

    /// Opens a journal that is not open; None if there is none.
    pub(crate) fn open_found(&mut self, recording: RecordingId) -> Option<Journal> {
        if !self.disk.exists(&path(recording)) {
            return None;
        }
        let journal = Journal::open_on(Arc::new(self.disk.clone()), &path(recording)).expect("what was begun, opens");
        // What is found is synced, whatever of it was before.
        self.written.retain(|of| of.0 != recording);
        for participant in journal.participants() {
            self.kept.insert((recording, participant), journal.coverage(participant).clone());
        }
        Some(journal)
    }

    /// Whether no power cut can take this from the journal.
    pub(crate) fn is_safe(&self, recording: RecordingId, participant: ParticipantId, range: IndexRange) -> bool {
        self.kept.get(&(recording, participant)).is_some_and(|kept| kept.covers(range))
    }

    /// A journal takes records again.
    pub(crate) fn adopt(&mut self, recording: RecordingId, journal: Journal) {
        self.journals.insert(recording, journal);
    }

    pub(crate) fn beside(&mut self, recording: RecordingId) -> &mut Beside {
        self.beside.entry(recording).or_default()
    }

    /// Nothing of it stays.
    pub(crate) fn discard(&mut self, recording: RecordingId) {
        self.tombstones.insert(recording);
        self.flush();
        self.journals.remove(&recording);
        self.beside.remove(&recording);
        self.bury();
    }

    /// Removes what lies under tombstones; a power cut may have brought it back.
    pub(crate) fn bury(&mut self) {
        for folder in self.tombstones.iter().map(|&recording| path(recording)) {
            for name in self.disk.list(&folder).unwrap_or_default() {
                self.disk.remove(&folder.join(name)).expect("a disk that works");
            }
        }
    }

    /// Whether anything of it is there.
    pub(crate) fn holds(&self, recording: RecordingId) -> bool {
        self.disk.list(&path(recording)).is_ok_and(|names| !names.is_empty())
    }

    pub(crate) fn wipe(&mut self) {
        *self = Self::new();
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

    fn is_archived(&self, recording: RecordingId) -> bool {
        self.beside.get(&recording).is_some_and(|beside| beside.completed && beside.made == Some(true))
    }

    fn is_discarded(&self, recording: RecordingId) -> bool {
        self.tombstones.contains(&recording)
    }
}
