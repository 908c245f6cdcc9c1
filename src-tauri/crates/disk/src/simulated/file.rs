//! Files of the simulated disk.

use std::io;
use std::ops::Range;

use super::SimulatedDisk;
use crate::{AppendFile, ReadFile};

/// A file's bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    /// What readers see.
    pub(super) now: Vec<u8>,
    /// What a power cut leaves.
    pub(super) durable: Vec<u8>,
    /// Thrown away by a sync that failed: readers see them as long as there is power, and no sync brings them back.
    pub(super) lost: Vec<Range<usize>>,
    /// The first so many bytes are the same in both: files grow, and syncing one again costs no more than its growth.
    pub(super) same: usize,
}

impl Content {
    /// All that is dirty reaches the disk.
    pub(super) fn sync(&mut self) {
        if self.lost.is_empty() {
            self.durable.truncate(self.same);
            self.durable.extend_from_slice(&self.now[self.same..]);
            self.same = self.now.len();
        } else {
            self.durable = self.written();
            self.same = 0;
        }
    }

    /// What the disk holds once all that is dirty is written: where a sync failed, what was there before.
    pub(super) fn written(&self) -> Vec<u8> {
        let mut bytes = self.now.clone();
        for lost in &self.lost {
            let end = lost.end.min(bytes.len());
            for (place, byte) in bytes.iter_mut().enumerate().take(end).skip(lost.start) {
                *byte = self.durable.get(place).copied().unwrap_or(0);
            }
        }
        bytes
    }

    /// Puts bytes at a place; what lies between the end and there is zeros.
    pub(super) fn put(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[offset..end].copy_from_slice(bytes);
        self.same = self.same.min(offset);
        // What was lost there is dirty again, and a sync takes it along.
        let lost = std::mem::take(&mut self.lost);
        let beside = |lost: Range<usize>| [lost.start..lost.end.min(offset), lost.start.max(end)..lost.end];
        self.lost = lost.into_iter().flat_map(beside).filter(|part| part.start < part.end).collect();
    }

    /// The file ends here, or goes on with zeros up to here.
    pub(super) fn set_len(&mut self, length: usize) {
        self.now.resize(length, 0);
        self.same = self.same.min(length);
    }

    /// All that is dirty is thrown away, though readers go on seeing it.
    pub(super) fn lose(&mut self) {
        self.lost.push(self.same..self.now.len());
    }
}

#[derive(Debug)]
pub(super) struct Handle {
    disk: SimulatedDisk,
    number: usize,
    power: u64,
    failed: Option<Failed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failed {
    Write,
    Sync,
}

impl Handle {
    pub(super) fn new(disk: SimulatedDisk, number: usize, power: u64) -> Self {
        Self { disk, number, power, failed: None }
    }

    fn assert_alive(&self, call: &str) {
        assert_eq!(self.power, self.disk.state().power, "{call} on a file that was opened before the power was cut");
    }
}

impl AppendFile for Handle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.assert_alive("append");
        assert_eq!(self.failed, None, "a file that failed is written to again");
        let mut state = self.disk.state();
        let fault = state.meets_numbered(self.number);
        let written = fault.map_or(bytes.len(), |fault| bytes.len() * fault.written() / 1_000);
        state.contents[self.number].now.extend_from_slice(&bytes[..written]);
        fault.map_or(Ok(()), |fault| {
            self.failed = Some(Failed::Write);
            Err(fault.error())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.assert_alive("sync");
        // To sync what stood there before a write failed is allowed: it says what survives of that.
        assert_ne!(self.failed, Some(Failed::Sync), "a sync that failed is tried again on the same file");
        let mut state = self.disk.state();
        let fault = state.meets_numbered(self.number);
        let content = &mut state.contents[self.number];
        match fault {
            None => {
                content.sync();
                Ok(())
            }
            Some(fault) => {
                content.lose();
                self.failed = Some(Failed::Sync);
                Err(fault.error())
            }
        }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.assert_alive("truncate");
        assert_eq!(self.failed, None, "a file that failed is written to again");
        let mut state = self.disk.state();
        if let Some(fault) = state.meets_numbered(self.number) {
            self.failed = Some(Failed::Write);
            return Err(fault.error());
        }
        let length = usize::try_from(length).expect("simulated files are small");
        state.contents[self.number].set_len(length);
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Reader {
    pub(super) disk: SimulatedDisk,
    pub(super) number: usize,
}

impl ReadFile for Reader {
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.state();
        let content = &state.contents[self.number].now;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let length = bytes.len().min(content.len() - from);
        bytes[..length].copy_from_slice(&content[from..from + length]);
        Ok(length)
    }
}
