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
//! asked for again. Where writing failed, the track goes on in `track-{participant}.2.rtj`, and what was not durable
//! no longer counts as covered.

mod error;
mod header;
mod log;
mod notes;
mod runs;
mod snapshot;
mod track;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use roomtone_packets::{Coverage, Record};
use roomtone_protocol::{ParticipantId, RecordingId, RoomId};
use serde::{Deserialize, Serialize};

pub use error::JournalError;
pub use header::JOURNAL_SCHEMA;
pub(crate) use log::sync_dir;
pub use notes::{SessionNotes, TrackNotes};
pub use snapshot::{JournalSnapshot, SnapshotPackets};
pub use track::JournalPackets;

use log::Log;
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
    dir: PathBuf,
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
        fs::create_dir_all(dir).map_err(JournalError::io(dir))?;
        if dir.join(format!("{SESSION_STEM}.{EXTENSION}")).exists() {
            return Err(JournalError::Exists { path: dir.to_owned() });
        }
        let mut log = Log::new(dir, SESSION_STEM.to_owned(), &header);
        log.begin_file()?;
        log.sync()?;
        if let Some(parent) = dir.parent() {
            sync_dir(parent).map_err(JournalError::io(parent))?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            header,
            log,
            notes: SessionNotes::default(),
            tracks: BTreeMap::new(),
            nothing: Coverage::default(),
        })
    }

    /// Opens a journal that another run of the program left, however it ended. Everything found is durable.
    ///
    /// # Errors
    /// [`JournalError::NoRecording`] if the program died before [`Journal::create`] returned;
    /// [`JournalError::Newer`] if a later version wrote it; else what the system said.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        let mut notes = SessionNotes::default();
        let on_record = |_, record: Record| {
            if !notes.knows(&record) {
                notes.take(record);
            }
        };
        let (mut log, header) = Log::open::<RecordingHeader>(dir, SESSION_STEM.to_owned(), None, on_record)?;
        let header = header.ok_or_else(|| JournalError::NoRecording { path: dir.to_owned() })?;
        log.sync_all_files()?;
        let mut tracks = BTreeMap::new();
        for entry in fs::read_dir(dir).map_err(JournalError::io(dir))? {
            let name = entry.map_err(JournalError::io(dir))?.file_name();
            if let Some(participant) = name.to_str().and_then(track::participant_of)
                && !tracks.contains_key(&participant)
            {
                tracks.insert(participant, Track::open(dir, header.recording, participant)?);
            }
        }
        Ok(Self { dir: dir.to_owned(), header, log, notes, tracks, nothing: Coverage::default() })
    }

    /// Writes a record of a participant's track at once. Packets whose samples are all there, packets that cannot be
    /// Opus, and notes that stand there already are not written; whether it was.
    ///
    /// # Errors
    /// What the system said. What was not durable no longer counts as covered then; the next call begins a new file.
    pub fn append(&mut self, participant: ParticipantId, record: &Record) -> Result<bool, JournalError> {
        self.tracks
            .entry(participant)
            .or_insert_with(|| Track::new(&self.dir, self.header.recording, participant))
            .append(record)
    }

    /// Writes a record that concerns the whole recording at once, unless it stands there already.
    ///
    /// # Errors
    /// What the system said; the next call begins a new file.
    pub fn note(&mut self, record: &Record) -> Result<(), JournalError> {
        if self.notes.knows(record) {
            return Ok(());
        }
        self.reopen()?;
        self.log.append(record)?;
        self.notes.take(record.clone());
        Ok(())
    }

    /// After a failure: everything that concerns the whole recording, once more, in a file that can be written.
    fn reopen(&mut self) -> Result<(), JournalError> {
        if self.log.is_closed() {
            self.log.begin_file()?;
            for note in self.notes.records() {
                self.log.append(&note)?;
            }
        }
        Ok(())
    }

    /// Makes durable what was written since the last call. Every file is tried; a slow disk takes most of a second.
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

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
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

#[cfg(test)]
mod tests;
