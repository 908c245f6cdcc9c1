//! A take with more channels: the old one copied, with zeros for those who joined. Nothing is decoded.

use super::file::TakeFile;
use crate::finalize::FinalizeError;

/// Bytes of the new file that one step copies: a few milliseconds, so that other work gets its turn.
const COPY_BYTES: usize = 4 << 20;

/// A new file being filled from an old one.
#[derive(Debug)]
pub(super) struct Relayout {
    to: TakeFile,
    /// Frames copied.
    copied: u64,
    old: Vec<u8>,
    new: Vec<u8>,
}

impl Relayout {
    pub(super) fn new(to: TakeFile) -> Self {
        Self { to, copied: 0, old: Vec::new(), new: Vec::new() }
    }

    /// Copies some of `frames`; true once all are there.
    pub(super) fn step(
        &mut self,
        from: &mut TakeFile,
        frames: u64,
        sample_bytes: usize,
    ) -> Result<bool, FinalizeError> {
        let (old_stride, new_stride) = (from.channels * sample_bytes, self.to.channels * sample_bytes);
        let left = usize::try_from(frames - self.copied).unwrap_or(usize::MAX);
        let count = left.min(COPY_BYTES / new_stride.max(1));
        if count > 0 {
            self.old.resize(count * old_stride, 0);
            from.read(self.copied, &mut self.old)?;
            if old_stride == new_stride {
                self.to.write(self.copied, &self.old)?;
            } else {
                self.new.clear();
                self.new.resize(count * new_stride, 0);
                if old_stride > 0 {
                    for (new, old) in self.new.chunks_exact_mut(new_stride).zip(self.old.chunks_exact(old_stride)) {
                        new[..old_stride].copy_from_slice(old);
                    }
                }
                self.to.write(self.copied, &self.new)?;
            }
            self.copied += count as u64;
        }
        Ok(self.copied == frames)
    }

    pub(super) fn into_file(self) -> TakeFile {
        self.to
    }

    pub(super) fn file(&self) -> &TakeFile {
        &self.to
    }
}
