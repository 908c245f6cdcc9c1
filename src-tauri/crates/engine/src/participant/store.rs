//! Where a participant keeps what recordings want of it.

use roomtone_capture::{Limits, Note, Spool, SpoolError, Stored};
use roomtone_packets::Packet;
use roomtone_protocol::channel::Hole;
use roomtone_protocol::{IndexRange, RecordingId};

/// Packets by recording, until the recording is safe. [`Spool`] is the one on disk.
pub trait PacketStore {
    /// Adds a packet. False if it is there already, or the recording is over and done with.
    ///
    /// # Errors
    /// If the disk fails; then the packet is not in the store.
    fn append(&mut self, recording: RecordingId, packet: &Packet) -> Result<bool, SpoolError>;

    /// Whether [`PacketStore::append`] would add this packet, if the disk let it.
    fn wants(&self, recording: RecordingId, packet: &Packet) -> bool;

    /// The packets that hold some of a range, in order.
    ///
    /// # Errors
    /// If the disk fails.
    fn read(&mut self, recording: RecordingId, range: IndexRange) -> Result<Vec<Packet>, SpoolError>;

    /// What is there of a recording, in order.
    fn inventory(&self, recording: RecordingId) -> Vec<IndexRange>;

    /// The recordings that something is there of.
    fn recordings(&self) -> Vec<RecordingId>;

    /// Keeps what places packets beside those that follow.
    ///
    /// # Errors
    /// If the disk fails.
    fn note(&mut self, note: &Note) -> Result<(), SpoolError>;

    /// What a recorder must know to place packets of earlier starts.
    fn earlier(&self) -> Vec<Note>;

    /// Samples inside what is held of a recording that never came from the device.
    fn holes(&self, recording: RecordingId) -> Vec<Hole>;

    /// What goes beyond the limits at this wall clock time (nanoseconds since 1970), oldest first.
    ///
    /// # Errors
    /// If the disk fails.
    fn overdue(
        &self,
        limits: &Limits,
        wall_ns: i64,
        in_use: &dyn Fn(RecordingId) -> bool,
    ) -> Result<Vec<Stored>, SpoolError>;

    /// Lets go of what was kept for too long, for good.
    ///
    /// # Errors
    /// If the disk fails.
    fn expire(&mut self, stored: &Stored) -> Result<(), SpoolError>;

    /// The recording is safe in the bucket: its packets go, for good.
    ///
    /// # Errors
    /// If the disk fails.
    fn archive(&mut self, recording: RecordingId) -> Result<(), SpoolError>;

    /// The recording was taken back: its packets go, for good.
    ///
    /// # Errors
    /// If the disk fails.
    fn discard(&mut self, recording: RecordingId) -> Result<(), SpoolError>;
}

impl PacketStore for Spool {
    fn append(&mut self, recording: RecordingId, packet: &Packet) -> Result<bool, SpoolError> {
        Spool::append(self, recording, packet)
    }

    fn wants(&self, recording: RecordingId, packet: &Packet) -> bool {
        Spool::wants(self, recording, packet)
    }

    fn read(&mut self, recording: RecordingId, range: IndexRange) -> Result<Vec<Packet>, SpoolError> {
        Spool::read(self, recording, range)
    }

    fn inventory(&self, recording: RecordingId) -> Vec<IndexRange> {
        Spool::inventory(self, recording)
    }

    fn recordings(&self) -> Vec<RecordingId> {
        Spool::recordings(self)
    }

    fn note(&mut self, note: &Note) -> Result<(), SpoolError> {
        Spool::note(self, note)
    }

    fn earlier(&self) -> Vec<Note> {
        Spool::earlier(self)
    }

    fn holes(&self, recording: RecordingId) -> Vec<Hole> {
        Spool::holes(self, recording)
    }

    fn overdue(
        &self,
        limits: &Limits,
        wall_ns: i64,
        in_use: &dyn Fn(RecordingId) -> bool,
    ) -> Result<Vec<Stored>, SpoolError> {
        Spool::overdue(self, limits, wall_ns, in_use)
    }

    fn expire(&mut self, stored: &Stored) -> Result<(), SpoolError> {
        Spool::expire(self, stored)
    }

    fn archive(&mut self, recording: RecordingId) -> Result<(), SpoolError> {
        Spool::archive(self, recording)
    }

    fn discard(&mut self, recording: RecordingId) -> Result<(), SpoolError> {
        Spool::discard(self, recording)
    }
}
