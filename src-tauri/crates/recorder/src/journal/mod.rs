//! The truth of a recording: every packet as it came, and what was noted beside it.
//!
//! One folder a recording:
//!
//! ```text
//! recording.rtj             header, intervals, markers, names, channels, goodbyes
//! track-{participant}.rtj   header, packets, segments, map stretches, measurements, inventories
//! ```
//!
//! Records are appended the moment they arrive, whatever their order; [`Journal::sync`] makes them durable. Opening reads
//! everything once and keeps an index of where what lies. A torn tail is cut, damage becomes absence, and absence is
//! asked for again. Where writing failed, the track goes on in `track-{participant}.2.rtj`; packets that were not durable
//! no longer count as covered, and notes, which nobody can be asked for, are written once more.

mod error;
mod files;
mod header;
mod log;
mod notes;
mod runs;
mod snapshot;
mod track;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::sync::Arc;

use roomtone_disk::{Disk, SystemDisk, create_dirs};
use roomtone_packets::{Coverage, Record};
use roomtone_protocol::{ParticipantId, RecordingId, RoomId};
use serde::{Deserialize, Serialize};

pub use error::JournalError;
pub use header::JOURNAL_SCHEMA;
pub use notes::{SessionNotes, TrackNotes};
pub use snapshot::{JournalSnapshot, SnapshotPackets};
pub use track::JournalPackets;

use log::{Folder, Log};
use track::Track;

const EXTENSION: &str = "rtj";
const SESSION_STEM: &str = "recording";

/// What a recording is, written once at its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingHeader {
    /// The recording.
    pub recording: RecordingId,
    /// The room on its relay.
    pub room_id: RoomId,
    /// What people call it.
    pub room: String,
    /// The title that it was begun with.
    pub title: Option<String>,
    /// Who began it.
    pub started_by: Option<ParticipantId>,
}

/// A recording on the recorder's disk.
#[derive(Debug)]
pub struct Journal {
    folder: Folder,
    header: RecordingHeader,
    log: Log,
    notes: SessionNotes,
    tracks: BTreeMap<ParticipantId, Track>,
    nothing: Coverage,
}

impl Journal {
    /// Begins a journal in a folder, which is made if it is missing. The header is on the disk when this returns.
    ///
    /// # Errors
    /// [`JournalError::Exists`] if the folder holds one already; else what the system said.
    pub fn create(dir: &Path, header: RecordingHeader) -> Result<Self, JournalError> {
        Self::create_on(Arc::new(SystemDisk), dir, header)
    }

    /// [`Journal::create`] on another disk.
    ///
    /// # Errors
    /// The same.
    pub fn create_on(disk: Arc<dyn Disk>, dir: &Path, header: RecordingHeader) -> Result<Self, JournalError> {
        create_dirs(&*disk, dir).map_err(JournalError::io(dir))?;
        if files::list(&*disk, dir)?.iter().any(|name| files::stem(name) == SESSION_STEM) {
            return Err(JournalError::Exists { path: dir.to_owned() });
        }
        let folder = Folder { disk, dir: dir.to_owned() };
        let mut log = Log::new(folder.clone(), SESSION_STEM.to_owned(), &header);
        if let Err(error) = log.begin_file().and_then(|()| log.sync()) {
            // There is nothing in it yet; without it, the same call can be made again.
            for path in log.files() {
                if let Err(error) = folder.disk.remove(path) {
                    tracing::warn!(%error, "a journal that could not be begun is left behind");
                }
            }
            return Err(error);
        }
        Ok(Self {
            folder,
            header,
            log,
            notes: SessionNotes::default(),
            tracks: BTreeMap::new(),
            nothing: Coverage::default(),
        })
    }

    /// Opens a journal that another run of the program left, however it ended. What is found is durable; where the disk
    /// no longer takes anything, [`Journal::durable`] is empty and what is there can be read all the same.
    ///
    /// # Errors
    /// [`JournalError::NoRecording`] if the program died before [`Journal::create`] returned;
    /// [`JournalError::Newer`] if a later version wrote any file of it: then all of them are left as they are; else what
    /// the system said while reading.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        Self::open_on(Arc::new(SystemDisk), dir)
    }

    /// [`Journal::open`] on another disk.
    ///
    /// # Errors
    /// The same.
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, JournalError> {
        let names = files::list(&*disk, dir)?;
        names.iter().try_for_each(|name| files::refuse_newer(&*disk, &dir.join(name)))?;
        let folder = Folder { disk, dir: dir.to_owned() };
        let mut notes = SessionNotes::default();
        let on_record = |_, record: Record| {
            if !notes.knows(&record) {
                notes.take(record);
            }
        };
        let (mut log, header) =
            Log::open::<RecordingHeader>(folder.clone(), &names, SESSION_STEM.to_owned(), None, on_record)?;
        let header = header.ok_or_else(|| JournalError::NoRecording { path: dir.to_owned() })?;
        log.sync_all_files();
        let mut tracks = BTreeMap::new();
        for participant in names.iter().filter_map(|name| track::participant_of(files::stem(name))) {
            if let Entry::Vacant(vacant) = tracks.entry(participant) {
                vacant.insert(Track::open(folder.clone(), &names, header.recording, participant)?);
            }
        }
        Ok(Self { folder, header, log, notes, tracks, nothing: Coverage::default() })
    }

    /// Writes a record of a participant's track at once. Packets whose samples are all there, packets that cannot be
    /// Opus, and notes that stand there already are not written; whether it was.
    ///
    /// # Errors
    /// What the system said. Packets that were not durable no longer count as covered then ([`Journal::take_forgotten`]);
    /// a note is kept in memory, but for measurements of clocks, and written with the next call, which begins a new file.
    pub fn append(&mut self, participant: ParticipantId, record: &Record) -> Result<bool, JournalError> {
        self.append_all(participant, std::slice::from_ref(record)).map(|new| new > 0)
    }

    /// Writes records of a participant's track in one call of the system, all or none of them, as [`Journal::append`] would
    /// one after the other; how many were written.
    ///
    /// # Errors
    /// The same.
    pub fn append_all(&mut self, participant: ParticipantId, records: &[Record]) -> Result<usize, JournalError> {
        self.tracks
            .entry(participant)
            .or_insert_with(|| Track::new(self.folder.clone(), self.header.recording, participant))
            .append_all(records)
    }

    /// Writes a record that concerns the whole recording at once, unless it stands there already.
    ///
    /// # Errors
    /// What the system said; the note is kept in memory and written with the next call, which begins a new file.
    pub fn note(&mut self, record: &Record) -> Result<(), JournalError> {
        let known = self.notes.knows(record);
        if !known {
            self.notes.take(record.clone());
        }
        if self.log.is_closed() {
            self.reopen()
        } else if known {
            Ok(())
        } else {
            self.log.append(record).map(drop).map_err(|unwritten| unwritten.error)
        }
    }

    /// After a failure: everything that concerns the whole recording, once more, in a file that can be written.
    fn reopen(&mut self) -> Result<(), JournalError> {
        if self.log.is_closed() {
            self.log.begin_file()?;
            for note in self.notes.records() {
                self.log.append(&note).map_err(|unwritten| unwritten.error)?;
            }
        }
        Ok(())
    }

    /// Makes durable what was written since the last call, and writes once more what a failure left unwritten. Every file
    /// is tried; a slow disk takes most of a second.
    ///
    /// # Errors
    /// The first failure. What a failed file held since its last fsync no longer counts as covered.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        let mut result = self.reopen().and_then(|()| self.log.sync());
        for track in self.tracks.values_mut() {
            let synced = track.sync();
            result = result.and(synced);
        }
        result
    }

    /// Whose tracks lost samples that counted as covered since the last call, because writing failed. What is left is
    /// [`Journal::coverage`]; the rest is to be asked for again.
    pub fn take_forgotten(&mut self) -> Vec<ParticipantId> {
        let forgot =
            self.tracks.iter_mut().filter_map(|(&participant, track)| track.take_forgot().then_some(participant));
        forgot.collect()
    }

    /// The samples of a participant that are in the journal.
    #[must_use]
    pub fn coverage(&self, participant: ParticipantId) -> &Coverage {
        self.tracks.get(&participant).map_or(&self.nothing, Track::coverage)
    }

    /// The samples of a participant that survive a power cut.
    #[must_use]
    pub fn durable(&self, participant: ParticipantId) -> &Coverage {
        self.tracks.get(&participant).map_or(&self.nothing, Track::durable)
    }

    /// What the recording is.
    #[must_use]
    pub fn header(&self) -> &RecordingHeader {
        &self.header
    }

    /// What the recording is called: as it was described last, else as it began.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.notes.title(&self.header)
    }

    /// What people noted about the recording.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.notes.description()
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.folder.dir
    }

    /// What was noted of the whole recording.
    #[must_use]
    pub fn notes(&self) -> &SessionNotes {
        &self.notes
    }

    /// What was noted of a participant's track.
    #[must_use]
    pub fn track(&self, participant: ParticipantId) -> Option<&TrackNotes> {
        self.tracks.get(&participant).map(Track::notes)
    }

    /// Everybody with a track.
    pub fn participants(&self) -> impl Iterator<Item = ParticipantId> + '_ {
        self.tracks.keys().copied()
    }

    /// A reader of a participant's packets.
    ///
    /// # Errors
    /// What the system said.
    pub fn packets(&self, participant: ParticipantId) -> Result<Option<JournalPackets<'_>>, JournalError> {
        self.tracks.get(&participant).map(Track::packets).transpose()
    }

    /// Reads a participant's measurements and decisions once more, in the order in which they were written:
    /// what a [`crate::TrackClock`] is rebuilt from.
    ///
    /// # Errors
    /// What the system said.
    pub fn replay(&self, participant: ParticipantId, mut on_record: impl FnMut(Record)) -> Result<(), JournalError> {
        self.tracks.get(&participant).map_or(Ok(()), |track| track.replay(&mut on_record))
    }
}

/// Makes a folder's entries durable, where the system has a way to say so.
pub(crate) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    SystemDisk.sync_dir(dir)
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
