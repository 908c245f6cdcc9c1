//! Somebody who copies a take's file elsewhere while it grows, and what they are told.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use super::Take;
use super::file::TakeFile;

/// What happens to the file of a take. Told on the take's own thread, after it happened: whoever reads the file meanwhile
/// reads again what is told to be written over.
pub trait FileWatch: fmt::Debug + Send {
    /// The take is another file from here on; nothing of it is settled yet.
    fn begun(&mut self, path: &Path, channels: usize, frame_bytes: u64);

    /// So many bytes, counted from the file's start, are there; those behind its head change only where it is told. They may
    /// be fewer than before. They are written, not synced.
    fn settled(&mut self, bytes: u64);

    /// These bytes are others now, or do not count any more.
    fn rewritten(&mut self, bytes: Range<u64>);

    /// The file is whole, head and all, on the disk for good and under its own name.
    fn whole(&mut self, path: &Path, bytes: u64);
}

/// The one who watches a take, if there is one, and what they know.
#[derive(Debug, Default)]
pub(super) struct Watch {
    watch: Option<Box<dyn FileWatch>>,
    /// They know which file it is.
    begun: bool,
    settled: u64,
}

impl Take {
    /// Tells what happens to the file from here on, beginning with what is there.
    pub fn watch(&mut self, watch: Box<dyn FileWatch>) {
        self.watch = Watch { watch: Some(watch), ..Watch::default() };
        self.tell();
    }

    pub(super) fn tell(&mut self) {
        let frame_bytes = (self.file.channels * self.settings.depth.bytes()) as u64;
        self.watch.tell(&mut self.file, frame_bytes);
    }
}

impl Watch {
    /// The take is another file.
    pub(super) fn another_file(&mut self) {
        (self.begun, self.settled) = (false, 0);
    }

    fn tell(&mut self, file: &mut TakeFile, frame_bytes: u64) {
        if !self.begun {
            self.begun = true;
            file.take_rewritten();
            if let Some(watch) = &mut self.watch {
                watch.begun(file.path(), file.channels, frame_bytes);
            }
        }
        self.tell_rewritten(file);
        if let Some(watch) = self.watch.as_mut().filter(|_| self.settled != file.end()) {
            self.settled = file.end();
            watch.settled(self.settled);
        }
    }

    fn tell_rewritten(&mut self, file: &mut TakeFile) {
        for bytes in file.take_rewritten() {
            if let Some(watch) = &mut self.watch {
                watch.rewritten(bytes);
            }
        }
    }

    /// The file is whole, under this name.
    pub(super) fn whole(&mut self, file: &mut TakeFile, path: &Path, bytes: u64) {
        self.tell_rewritten(file);
        if let Some(watch) = &mut self.watch {
            watch.whole(path, bytes);
        }
    }
}
