//! Somebody who copies a file of 24-bit samples while it grows.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use roomtone_recorder::FileWatch;

/// Bytes in front of the samples.
const HEADER: usize = 4_096;

/// Keeps a copy of a growing file by what it is told.
#[derive(Debug, Default)]
pub(crate) struct Copyist {
    path: PathBuf,
    copy: Vec<u8>,
    finished: Arc<Mutex<Vec<u8>>>,
}

impl Copyist {
    /// Leaves the finished copy there.
    pub(crate) fn new(finished: &Arc<Mutex<Vec<u8>>>) -> Self {
        Self { finished: Arc::clone(finished), ..Self::default() }
    }

    fn read(&self, bytes: Range<usize>) -> Vec<u8> {
        fs::read(&self.path).unwrap()[bytes].to_vec()
    }
}

impl FileWatch for Copyist {
    fn begun(&mut self, path: &Path, channels: usize, frame_bytes: u64) {
        assert_eq!(frame_bytes, 3 * channels as u64);
        (self.path, self.copy) = (path.to_owned(), Vec::new());
    }

    fn settled(&mut self, bytes: u64) {
        let bytes = bytes as usize;
        self.copy.truncate(bytes);
        if bytes > self.copy.len() && bytes > HEADER {
            let more = self.read(self.copy.len()..bytes);
            self.copy.extend(more);
        }
    }

    fn rewritten(&mut self, bytes: Range<u64>) {
        let (from, to) = (bytes.start as usize, (bytes.end as usize).min(self.copy.len()));
        if from < to {
            let again = self.read(from..to);
            self.copy.splice(from..to, again);
        }
    }

    fn whole(&mut self, path: &Path, bytes: u64) {
        self.path = path.to_owned();
        let tail = self.read(self.copy.len().min(bytes as usize)..bytes as usize);
        self.copy.extend(tail);
        let head = self.read(0..HEADER);
        self.copy.splice(0..HEADER, head);
        *self.finished.lock().unwrap() = std::mem::take(&mut self.copy);
    }
}
