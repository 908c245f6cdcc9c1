//! Somebody's disk: it outlives their program.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use roomtone_capture::SpoolError;
use roomtone_engine::PacketStore;
use roomtone_packets::{Coverage, Packet};
use roomtone_protocol::{IndexRange, RecordingId, SegmentKey};

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryStore(Rc<RefCell<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    recordings: BTreeMap<RecordingId, Kept>,
    gone: BTreeSet<RecordingId>,
}

#[derive(Debug, Default)]
struct Kept {
    held: Coverage,
    packets: BTreeMap<(SegmentKey, u64), Packet>,
}

impl MemoryStore {
    pub(crate) fn holds(&self, recording: RecordingId, segment: SegmentKey, index: u64) -> bool {
        let disk = self.0.borrow();
        disk.recordings.get(&recording).is_some_and(|kept| kept.packets.contains_key(&(segment, index)))
    }
}

impl PacketStore for MemoryStore {
    fn append(&mut self, recording: RecordingId, packet: &Packet) -> Result<bool, SpoolError> {
        let mut disk = self.0.borrow_mut();
        if disk.gone.contains(&recording) {
            return Ok(false);
        }
        let kept = disk.recordings.entry(recording).or_default();
        if !kept.held.insert(packet.range()) {
            return Ok(false);
        }
        kept.packets.insert((packet.segment, packet.index.0), packet.clone());
        Ok(true)
    }

    fn read(&mut self, recording: RecordingId, range: IndexRange) -> Result<Vec<Packet>, SpoolError> {
        let disk = self.0.borrow();
        let Some(kept) = disk.recordings.get(&recording) else { return Ok(Vec::new()) };
        // No packet is longer than 120 ms.
        let first = (range.segment, range.from.0.saturating_sub(5_760));
        let packets = kept.packets.range(first..(range.segment, range.to.0)).map(|(_, packet)| packet);
        Ok(packets.filter(|packet| packet.range().to > range.from).cloned().collect())
    }

    fn inventory(&self, recording: RecordingId) -> Vec<IndexRange> {
        let disk = self.0.borrow();
        disk.recordings.get(&recording).map_or_else(Vec::new, |kept| kept.held.iter().collect())
    }

    fn recordings(&self) -> Vec<RecordingId> {
        self.0.borrow().recordings.keys().copied().collect()
    }

    fn archive(&mut self, recording: RecordingId) -> Result<(), SpoolError> {
        let mut disk = self.0.borrow_mut();
        disk.recordings.remove(&recording);
        disk.gone.insert(recording);
        Ok(())
    }

    fn discard(&mut self, recording: RecordingId) -> Result<(), SpoolError> {
        self.archive(recording)
    }
}
