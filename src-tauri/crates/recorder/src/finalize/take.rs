//! The local file: whole under its name, or not there at all.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::FinalizeError;
use super::hashing::TakeHash;
use crate::journal::sync_dir;
use crate::wav::{HEADER_BYTES, WavFrame};

/// A take being written beside its later name.
#[derive(Debug)]
pub(super) struct Take<'a> {
    frame: &'a WavFrame,
    partial: PathBuf,
    file: File,
    hash: TakeHash,
}

impl<'a> Take<'a> {
    /// Begins it. What an interrupted run left is begun anew.
    pub(super) fn create(out: &Path, frame: &'a WavFrame) -> Result<Self, FinalizeError> {
        if out.try_exists().map_err(FinalizeError::io(out))? {
            return Err(FinalizeError::Exists { path: out.to_owned() });
        }
        let mut partial = out.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let mut file = File::create(&partial).map_err(FinalizeError::io(&partial))?;
        file.seek(SeekFrom::Start(HEADER_BYTES)).map_err(FinalizeError::io(&partial))?;
        let mut hash = TakeHash::default();
        hash.update(&frame.head);
        Ok(Self { frame, partial, file, hash })
    }

    /// Appends samples.
    pub(super) fn write(&mut self, samples: &[u8]) -> Result<(), FinalizeError> {
        self.hash.update(samples);
        self.file.write_all(samples).map_err(FinalizeError::io(&self.partial))
    }

    /// Writes what stands around the samples, makes all of it durable and gives it its name.
    pub(super) fn finish(mut self, out: &Path) -> Result<TakeHash, FinalizeError> {
        self.hash.update(&self.frame.tail);
        self.write_frame().map_err(FinalizeError::io(&self.partial))?;
        rename_without_replacing(&self.partial, out)?;
        if let Some(dir) = out.parent() {
            sync_dir(dir).map_err(FinalizeError::io(dir))?;
        }
        Ok(self.hash)
    }

    fn write_frame(&mut self) -> io::Result<()> {
        self.file.write_all(&self.frame.tail)?;
        // Last, so that an unfinished file is not taken for a recording.
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&self.frame.head)?;
        self.file.sync_all()
    }

    /// Removes what was written.
    pub(super) fn discard(self) {
        if let Err(error) = fs::remove_file(&self.partial) {
            tracing::warn!(%error, "an unfinished take could not be removed; the next one replaces it");
        }
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
}
