//! What the recorder's end must know at once: whether a journal has room, and what the bucket has.

use std::path::PathBuf;
use std::sync::Arc;

use roomtone_engine::Desk;
use roomtone_packets::Record;
use roomtone_protocol::{ParticipantId, RecordingId};
use roomtone_recorder::{BitDepth, RecordingHeader, TakeSettings};
use roomtone_storage::Publisher;

use super::folder::{self, Version};
use super::shelf::Shelf;
use super::writer::Writer;

/// The journals' thread, and the list.
pub(super) struct HostDesk {
    pub(super) writer: Writer,
    pub(super) shelf: Shelf,
    pub(super) publisher: Arc<Publisher>,
    pub(super) recordings: PathBuf,
    /// How samples stand in a file.
    pub(super) bit_depth: BitDepth,
}

impl HostDesk {
    /// The take that grows beside a recording's journal.
    pub(super) fn take(&self, recording: RecordingId) -> TakeSettings {
        let folder = self.recordings.join(recording.to_string());
        TakeSettings { out: Version::FIRST.take(&folder), depth: self.bit_depth, recording }
    }
}

impl Desk for HostDesk {
    fn open(&mut self, recording: RecordingId, header: RecordingHeader) -> bool {
        let folder = folder::journal_path(&self.recordings.join(recording.to_string()));
        self.writer.open(folder, header, self.take(recording))
    }

    fn append(&mut self, recording: RecordingId, participant: ParticipantId, record: Record) -> bool {
        self.writer.append(recording, participant, record)
    }

    fn note(&mut self, recording: RecordingId, record: Record) -> bool {
        self.writer.note(recording, record)
    }

    fn is_archived(&self, recording: RecordingId) -> bool {
        self.shelf.is_archived(recording)
    }

    fn is_discarded(&self, recording: RecordingId) -> bool {
        self.publisher.is_discarded(recording)
    }
}
