//! Somebody's disk: it outlives their program.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use roomtone_capture::{Limits, Note, SpoolError, Stored};
use roomtone_engine::PacketStore;
use roomtone_packets::{Coverage, Packet};
use roomtone_protocol::channel::Hole;
use roomtone_protocol::{IndexRange, RecordingId, SegmentKey};

/// Clones are the same disk, each as a program sees it that has just started.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    disk: Rc<RefCell<Disk>>,
    /// Segments that were noted since the program started.
    current: BTreeSet<SegmentKey>,
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        Self { disk: Rc::clone(&self.disk), current: BTreeSet::new() }
    }
}

#[derive(Debug, Default)]
struct Disk {
    recordings: BTreeMap<RecordingId, Kept>,
    gone: BTreeSet<RecordingId>,
    notes: Vec<Note>,
    /// Of them, those that a power cut leaves.
    synced_notes: usize,
    /// Packets that a power cut takes.
    unsynced: Vec<(RecordingId, (SegmentKey, u64))>,
}

#[derive(Debug, Default)]
struct Kept {
    held: Coverage,
    packets: BTreeMap<(SegmentKey, u64), Packet>,
}

impl MemoryStore {
    pub(crate) fn holds(&self, recording: RecordingId, segment: SegmentKey, index: u64) -> bool {
        let disk = self.disk.borrow();
        disk.recordings.get(&recording).is_some_and(|kept| kept.packets.contains_key(&(segment, index)))
    }

    /// What is there survives a power cut.
    pub(crate) fn sync(&mut self) {
        let mut disk = self.disk.borrow_mut();
        disk.unsynced.clear();
        disk.synced_notes = disk.notes.len();
    }

    /// The computer loses power.
    pub(crate) fn power_cut(&mut self) {
        let mut disk = self.disk.borrow_mut();
        let synced = disk.synced_notes;
        disk.notes.truncate(synced);
        for (recording, (segment, index)) in std::mem::take(&mut disk.unsynced) {
            if let Some(kept) = disk.recordings.get_mut(&recording) {
                kept.packets.remove(&(segment, index));
            }
        }
        for kept in disk.recordings.values_mut() {
            kept.held = Coverage::default();
            kept.packets.values().for_each(|packet| {
                kept.held.insert(packet.range());
            });
        }
    }

    /// Whether anything is kept of a recording.
    pub(crate) fn holds_any(&self, recording: RecordingId) -> bool {
        self.disk.borrow().recordings.contains_key(&recording)
    }
}

impl PacketStore for MemoryStore {
    fn append(&mut self, recording: RecordingId, packet: &Packet) -> Result<bool, SpoolError> {
        let mut disk = self.disk.borrow_mut();
        if disk.gone.contains(&recording) {
            return Ok(false);
        }
        let kept = disk.recordings.entry(recording).or_default();
        if !kept.held.insert(packet.range()) {
            return Ok(false);
        }
        kept.packets.insert((packet.segment, packet.index.0), packet.clone());
        disk.unsynced.push((recording, (packet.segment, packet.index.0)));
        Ok(true)
    }

    fn wants(&self, recording: RecordingId, packet: &Packet) -> bool {
        let disk = self.disk.borrow();
        let held = disk.recordings.get(&recording).is_some_and(|kept| kept.held.covers(packet.range()));
        !held && !disk.gone.contains(&recording)
    }

    fn read(&mut self, recording: RecordingId, range: IndexRange) -> Result<Vec<Packet>, SpoolError> {
        let disk = self.disk.borrow();
        let Some(kept) = disk.recordings.get(&recording) else { return Ok(Vec::new()) };
        // No packet is longer than 120 ms.
        let first = (range.segment, range.from.0.saturating_sub(5_760));
        let packets = kept.packets.range(first..(range.segment, range.to.0)).map(|(_, packet)| packet);
        Ok(packets.filter(|packet| packet.range().to > range.from).cloned().collect())
    }

    fn inventory(&self, recording: RecordingId) -> Vec<IndexRange> {
        let disk = self.disk.borrow();
        disk.recordings.get(&recording).map_or_else(Vec::new, |kept| kept.held.iter().collect())
    }

    fn recordings(&self) -> Vec<RecordingId> {
        self.disk.borrow().recordings.keys().copied().collect()
    }

    fn note(&mut self, note: &Note) -> Result<(), SpoolError> {
        self.current.insert(segment_of(note));
        self.disk.borrow_mut().notes.push(note.clone());
        Ok(())
    }

    fn earlier(&self) -> Vec<Note> {
        let disk = self.disk.borrow();
        // Notes lie beside packets: what nobody wanted anything of left nothing behind.
        let kept = |segment| disk.recordings.values().any(|kept| kept.held.segment(segment).is_some());
        let told = |note: &&Note| {
            let segment = segment_of(note);
            !self.current.contains(&segment) && !matches!(note, Note::Hole(_)) && kept(segment)
        };
        disk.notes.iter().filter(told).cloned().collect()
    }

    fn holes(&self, recording: RecordingId) -> Vec<Hole> {
        let disk = self.disk.borrow();
        let Some(kept) = disk.recordings.get(&recording) else { return Vec::new() };
        let reaches = |hole: &Hole| {
            kept.held.iter().any(|range| range.segment == hole.range.segment && range.to >= hole.range.from)
        };
        let hole = |note: &Note| if let Note::Hole(hole) = note { Some(*hole) } else { None };
        disk.notes.iter().filter_map(hole).filter(reaches).collect()
    }

    fn overdue(
        &self,
        _limits: &Limits,
        _wall_ns: i64,
        _in_use: &dyn Fn(RecordingId) -> bool,
    ) -> Result<Vec<Stored>, SpoolError> {
        // Sessions last for hours, and spools for two weeks.
        Ok(Vec::new())
    }

    fn expire(&mut self, stored: &Stored) -> Result<(), SpoolError> {
        self.archive(stored.recording)
    }

    fn archive(&mut self, recording: RecordingId) -> Result<(), SpoolError> {
        let mut disk = self.disk.borrow_mut();
        disk.recordings.remove(&recording);
        disk.gone.insert(recording);
        Ok(())
    }

    fn discard(&mut self, recording: RecordingId) -> Result<(), SpoolError> {
        self.archive(recording)
    }
}

fn segment_of(note: &Note) -> SegmentKey {
    match note {
        Note::Segment(segment) => segment.segment,
        Note::Anchor(anchor) => anchor.segment,
        Note::Muted(edge) => edge.segment,
        Note::Hole(hole) => hole.range.segment,
    }
}
