//! What a journal held at an instant, for a reader on another thread while the writer goes on appending.
//!
//! Files are only ever appended to, so a copy of the index stays true for what it names. It grows with holes and by
//! six entries a minute, not with packets: taking a snapshot of eight tracks after three hours copies 0.5 MB.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use roomtone_disk::{Disk, ReadFile};
use roomtone_packets::{Coverage, IntervalEdge, Packet};
use roomtone_protocol::{IndexRange, ParticipantId};
use time::OffsetDateTime;

use super::runs::Runs;
use super::track::{Track, read};
use super::{Journal, JournalError, RecordingHeader, SessionNotes, TrackNotes};
use crate::render::PacketSource;

/// A journal as it was.
#[derive(Debug, Clone)]
pub struct JournalSnapshot {
    header: RecordingHeader,
    notes: SessionNotes,
    tracks: BTreeMap<ParticipantId, TrackSnapshot>,
    nothing: Coverage,
}

#[derive(Debug, Clone)]
struct TrackSnapshot {
    notes: TrackNotes,
    coverage: Coverage,
    runs: Arc<Runs>,
    files: Vec<PathBuf>,
    disk: Arc<dyn Disk>,
}

impl Journal {
    /// What it holds now. Right after [`Journal::sync`] all of it survives a power cut; before, a reader may show what
    /// will have to be asked for again.
    #[must_use]
    pub fn snapshot(&self) -> JournalSnapshot {
        let tracks = self.tracks.iter().map(|(&participant, track)| (participant, TrackSnapshot::of(track)));
        JournalSnapshot {
            header: self.header.clone(),
            notes: self.notes.clone(),
            tracks: tracks.collect(),
            nothing: Coverage::default(),
        }
    }
}

impl TrackSnapshot {
    fn of(track: &Track) -> Self {
        let (runs, files, disk) = track.index();
        Self {
            notes: track.notes().clone(),
            coverage: track.coverage().clone(),
            runs: Arc::new(runs.clone()),
            files: files.to_vec(),
            disk,
        }
    }
}

impl JournalSnapshot {
    /// What the recording is.
    #[must_use]
    pub fn header(&self) -> &RecordingHeader {
        &self.header
    }

    /// What was noted of the whole recording.
    #[must_use]
    pub fn notes(&self) -> &SessionNotes {
        &self.notes
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

    /// Instant of the first frame on the wall clock; None before the recording began.
    #[must_use]
    pub fn started_at(&self) -> Option<OffsetDateTime> {
        let start = self.notes.intervals.iter().find(|interval| interval.edge == IntervalEdge::Start)?;
        // Years 1677 to 2262 all have a date.
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(start.wall_ns)).ok()
    }

    /// Whose channel is which, in order.
    #[must_use]
    pub fn layout(&self) -> Vec<ParticipantId> {
        self.notes.channels.values().copied().collect()
    }

    /// What was noted of a participant's track.
    #[must_use]
    pub fn track(&self, participant: ParticipantId) -> Option<&TrackNotes> {
        self.tracks.get(&participant).map(|track| &track.notes)
    }

    /// The samples of a participant that were there.
    #[must_use]
    pub fn coverage(&self, participant: ParticipantId) -> &Coverage {
        self.tracks.get(&participant).map_or(&self.nothing, |track| &track.coverage)
    }

    /// A reader of a participant's packets that outlives the snapshot.
    ///
    /// # Errors
    /// What the system said.
    pub fn packets(&self, participant: ParticipantId) -> Result<Option<SnapshotPackets>, JournalError> {
        let Some(track) = self.tracks.get(&participant) else { return Ok(None) };
        let files = track.files.iter().map(|path| track.disk.read(path).map_err(JournalError::io(path)));
        Ok(Some(SnapshotPackets { runs: Arc::clone(&track.runs), files: files.collect::<Result<_, _>>()? }))
    }
}

/// Reads the packets of a snapshot's track in any order. Damage on the disk is absence here.
#[derive(Debug)]
pub struct SnapshotPackets {
    runs: Arc<Runs>,
    files: Vec<Box<dyn ReadFile>>,
}

impl PacketSource for SnapshotPackets {
    fn packets(&mut self, range: IndexRange) -> io::Result<Vec<Packet>> {
        read(&self.runs, &mut self.files, range)
    }
}
