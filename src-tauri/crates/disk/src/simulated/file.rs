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
    fn sync(&mut self) {
        if self.lost.is_empty() {
            self.durable.truncate(self.same);
            self.durable.extend_from_slice(&self.now[self.same..]);
            self.same = self.now.len();
        } else {
            self.durable = self.written();
            self.same = 0;
        }
    }

    /// What the disk holds once all that is dirty is written.
    pub(super) fn written(&self) -> Vec<u8> {
        let mut bytes = self.now.clone();
        for lost in &self.lost {
            let end = lost.end.min(bytes.len());
            bytes[lost.start.min(end)..end].fill(0);
        }
        bytes
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
        let fault = state.meets();
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
        let fault = state.meets();
        let content = &mut state.contents[self.number];
        match fault {
            None => {
                content.sync();
                Ok(())
            }
            Some(fault) => {
                content.lost.push(content.durable.len().min(content.now.len())..content.now.len());
                self.failed = Some(Failed::Sync);
                Err(fault.error())
            }
        }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.assert_alive("truncate");
        assert_eq!(self.failed, None, "a file that failed is written to again");
        let mut state = self.disk.state();
        if let Err(error) = state.count() {
            self.failed = Some(Failed::Write);
            return Err(error);
        }
        let length = usize::try_from(length).expect("simulated files are small");
        let content = &mut state.contents[self.number];
        content.now.resize(length, 0);
        content.same = content.same.min(length);
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
