//! The bytes of a take: beside its later name while it grows, whole under it or not there at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::finalize::FinalizeError;
use crate::journal::sync_dir;
use crate::wav::{HEADER_BYTES, WavFrame};

/// Bytes after which what was written goes to the disk for good: all that Stop has to wait for. 8 MiB are 40 ms on a
/// slow disk, and seven seconds of eight channels.
const SYNC_BYTES: u64 = 8 << 20;

/// Frames of a take on the disk.
#[derive(Debug)]
pub(super) struct TakeFile {
    path: PathBuf,
    file: File,
    /// In the file; more may have joined.
    pub(super) channels: usize,
    /// Bytes a frame.
    stride: u64,
    unsynced: u64,
    /// Bytes from the file's start on that are written; more may be in it.
    end: u64,
    /// Bytes before the end that became others, or do not count any more.
    rewritten: Vec<Range<u64>>,
    /// A finished file: it is only read, until a new version replaces it.
    pub(super) whole: bool,
}

impl TakeFile {
    /// Begins one; what an interrupted run left under the name is gone.
    pub(super) fn create(path: PathBuf, channels: usize, sample_bytes: usize) -> Result<Self, FinalizeError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(FinalizeError::io(&path))?;
        let stride = (channels * sample_bytes) as u64;
        Ok(Self::with(path, file, channels, stride, 0, false))
    }

    /// Takes one up that holds at least so many frames; None if it does not.
    pub(super) fn open(path: PathBuf, channels: usize, sample_bytes: usize, frames: u64, whole: bool) -> Option<Self> {
        let stride = (channels * sample_bytes) as u64;
        let file = OpenOptions::new().read(true).write(!whole).open(&path).ok()?;
        let length = file.metadata().ok()?.len();
        let holds = length >= HEADER_BYTES + frames * stride;
        holds.then(|| Self::with(path, file, channels, stride, frames, whole))
    }

    fn with(path: PathBuf, file: File, channels: usize, stride: u64, frames: u64, whole: bool) -> Self {
        let end = HEADER_BYTES + frames * stride;
        Self { path, file, channels, stride, unsynced: 0, end, rewritten: Vec::new(), whole }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes whole frames. Now and then it makes durable what was written.
    pub(super) fn write(&mut self, frame: u64, bytes: &[u8]) -> Result<(), FinalizeError> {
        self.seek(frame)?;
        self.file.write_all(bytes).map_err(FinalizeError::io(&self.path))?;
        let from = HEADER_BYTES + frame * self.stride;
        self.note_written(from..from + bytes.len() as u64);
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= SYNC_BYTES { self.sync() } else { Ok(()) }
    }

    fn note_written(&mut self, bytes: Range<u64>) {
        if bytes.start < self.end {
            self.rewritten.push(bytes.start..bytes.end.min(self.end));
        }
        self.end = self.end.max(bytes.end);
    }

    /// Frames from here on do not count any more.
    pub(super) fn cut(&mut self, frame: u64) {
        let end = HEADER_BYTES + frame * self.stride;
        if end < self.end {
            self.rewritten.push(end..self.end);
            self.end = end;
        }
    }

    /// Bytes from the file's start on that are written.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// What became other bytes since this was asked last.
    pub(super) fn take_rewritten(&mut self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.rewritten)
    }

    /// Reads whole frames.
    pub(super) fn read(&mut self, frame: u64, bytes: &mut [u8]) -> Result<(), FinalizeError> {
        self.seek(frame)?;
        self.file.read_exact(bytes).map_err(FinalizeError::io(&self.path))
    }

    fn seek(&mut self, frame: u64) -> Result<(), FinalizeError> {
        let at = SeekFrom::Start(HEADER_BYTES + frame * self.stride);
        self.file.seek(at).map(drop).map_err(FinalizeError::io(&self.path))
    }

    pub(super) fn sync(&mut self) -> Result<(), FinalizeError> {
        if self.unsynced > 0 {
            self.file.sync_data().map_err(FinalizeError::io(&self.path))?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Whether a whole file stands in this frame already.
    pub(super) fn is_framed_by(&mut self, wav: &WavFrame) -> Result<bool, FinalizeError> {
        self.stands_in(wav).map_err(FinalizeError::io(&self.path))
    }

    fn stands_in(&mut self, wav: &WavFrame) -> io::Result<bool> {
        if self.file.metadata()?.len() != wav.file_bytes() {
            return Ok(false);
        }
        let mut bytes = vec![0; wav.head.len()];
        self.file.seek(SeekFrom::Start(0))?;
        self.file.read_exact(&mut bytes)?;
        let head = bytes == wav.head;
        bytes.resize(wav.tail.len(), 0);
        self.file.seek(SeekFrom::Start(HEADER_BYTES + wav.data_bytes))?;
        self.file.read_exact(&mut bytes)?;
        Ok(head && bytes == wav.tail)
    }

    /// Gives a whole file another name beside the one that it has; false where it has to be copied for that.
    pub(super) fn is_also(&mut self, out: &Path) -> Result<bool, FinalizeError> {
        match fs::hard_link(&self.path, out) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(FinalizeError::Exists { path: out.to_owned() });
            }
            Err(error) => {
                tracing::debug!(%error, "no hard links here; the file is copied");
                return Ok(false);
            }
        }
        self.path = out.to_owned();
        out.parent().map_or(Ok(()), |dir| sync_dir(dir).map_err(FinalizeError::io(dir)))?;
        Ok(true)
    }

    /// Writes what stands around the samples, makes all of it durable and gives it its name.
    pub(super) fn finish(&mut self, wav: &WavFrame, out: &Path, replace: bool) -> Result<(), FinalizeError> {
        self.write_frame(wav).map_err(FinalizeError::io(&self.path))?;
        if replace {
            fs::rename(&self.path, out).map_err(FinalizeError::io(out))?;
        } else {
            rename_without_replacing(&self.path, out)?;
        }
        self.path = out.to_owned();
        self.whole = true;
        match out.parent() {
            Some(dir) => sync_dir(dir).map_err(FinalizeError::io(dir)),
            None => Ok(()),
        }
    }

    fn write_frame(&mut self, wav: &WavFrame) -> io::Result<()> {
        self.note_written(HEADER_BYTES + wav.data_bytes..wav.file_bytes());
        self.file.seek(SeekFrom::Start(HEADER_BYTES + wav.data_bytes))?;
        self.file.write_all(&wav.tail)?;
        self.file.set_len(wav.file_bytes())?;
        // Last, so that an unfinished file is not taken for a recording.
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&wav.head)?;
        self.file.sync_all()?;
        self.unsynced = 0;
        Ok(())
    }
}

/// Where a take grows: two names, so that a wider one can be made beside it.
pub(super) fn partial(out: &Path, other_than: Option<&Path>) -> PathBuf {
    let first = beside(out, ".partial");
    if other_than == Some(first.as_path()) { beside(out, ".partial.2") } else { first }
}

/// A name in the same folder that begins like the take's.
pub(super) fn beside(out: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(out);
    name.push(ending);
    PathBuf::from(name)
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "an unfinished take could not be removed; the next one replaces it");
        }
        _ => {}
    }
}

fn rename_without_replacing(from: &Path, to: &Path) -> Result<(), FinalizeError> {
    // A second name for the file is the one portable way that fails where the name is taken.
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from).map_err(FinalizeError::io(from)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(FinalizeError::Exists { path: to.to_owned() })
        }
        Err(error) => {
            tracing::debug!(%error, "no hard links here; looking before renaming");
            if to.try_exists().map_err(FinalizeError::io(to))? {
                return Err(FinalizeError::Exists { path: to.to_owned() });
            }
            fs::rename(from, to).map_err(FinalizeError::io(to))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        assert!(matches!(rename_without_replacing(&from, &to), Err(FinalizeError::Exists { .. })));
        assert_eq!(fs::read(&to).unwrap(), b"old");
        fs::remove_file(&to).unwrap();
        rename_without_replacing(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
        assert!(!from.exists());
    }

    #[test]
    fn two_names_take_turns() {
        let out = Path::new("take.wav");
        let first = partial(out, None);
        let second = partial(out, Some(&first));
        assert_eq!(first, Path::new("take.wav.partial"));
        assert_eq!(second, Path::new("take.wav.partial.2"));
        assert_eq!(partial(out, Some(&second)), first);
        assert_eq!(partial(out, Some(out)), first);
    }
}
