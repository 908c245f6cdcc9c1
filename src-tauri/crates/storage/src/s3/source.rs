//! The local file of an upload, read in ranges and never as a whole.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::ledger::Part;
use super::plan::PartRange;
use crate::BucketError;
use crate::off_thread::off_thread;

/// A file as it was when the upload looked at it first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) size: u64,
    /// Nanoseconds since 1970; with the size, tells whether it is still the same file.
    pub(super) modified: i64,
}

impl Source {
    pub(super) async fn open(path: &Path) -> Result<Self, BucketError> {
        let path = path.to_owned();
        off_thread(move || {
            let failed = |error| BucketError::io(&path, error);
            let metadata = fs::metadata(&path).map_err(failed)?;
            let modified = metadata.modified().map_err(failed)?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let modified = i64::try_from(modified.as_nanos()).unwrap_or(i64::MAX);
            Ok(Self { size: metadata.len(), modified, path })
        })
        .await
    }

    /// Fails if the file was written to since it was opened.
    pub(super) async fn check_unchanged(&self) -> Result<(), BucketError> {
        if Self::open(&self.path).await? == *self {
            Ok(())
        } else {
            Err(BucketError::SourceChanged { path: self.path.clone() })
        }
    }

    /// The whole file as one range.
    pub(super) fn whole(&self) -> PartRange {
        PartRange { number: 1, offset: 0, length: self.size }
    }
}

/// Whether a range of a file has the bytes of a part that was sent; one that nobody knows the hash of has others.
pub(super) async fn check_part(path: PathBuf, range: PartRange, sent: Option<Part>) -> Result<bool, BucketError> {
    let Some(Part { sha256, md5, .. }) = sent else { return Ok(false) };
    let content = PartContent::read(&path, range).await?;
    Ok(match (sha256, md5) {
        (Some(sha256), _) => content.sha256() == sha256,
        // Of an earlier program.
        (None, Some(md5)) => content.md5() == md5,
        (None, None) => false,
    })
}

/// The bytes of a part, or of whatever else goes up in one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartContent {
    pub(super) bytes: Bytes,
    sha256: [u8; 32],
}

impl PartContent {
    pub(super) fn of_bytes(bytes: Bytes) -> Self {
        Self { sha256: Sha256::digest(&bytes).into(), bytes }
    }

    /// Reads a part of a file.
    pub(super) async fn read(path: &Path, range: PartRange) -> Result<Self, BucketError> {
        Self::of(path, range, |path| File::open(path)).await
    }

    /// Reads a part of a file that somebody writes to and has not synced yet: it is on the disk for good when this answers,
    /// so that a power cut does not leave less here than in the store.
    pub(super) async fn read_growing(path: &Path, range: PartRange) -> Result<Self, BucketError> {
        let synced = |path: &Path| {
            // Windows syncs only what may be written to.
            let file = File::options().read(true).write(true).open(path)?;
            file.sync_data().map(|()| file)
        };
        Self::of(path, range, synced).await
    }

    async fn of(
        path: &Path,
        range: PartRange,
        open: impl FnOnce(&Path) -> std::io::Result<File> + Send + 'static,
    ) -> Result<Self, BucketError> {
        let path = path.to_owned();
        off_thread(move || {
            let read = || {
                let mut file = open(&path)?;
                file.seek(SeekFrom::Start(range.offset))?;
                let mut bytes = vec![0; usize::try_from(range.length).map_err(std::io::Error::other)?];
                file.read_exact(&mut bytes).map(|()| bytes)
            };
            let bytes = Bytes::from(read().map_err(|error| BucketError::io(&path, error))?);
            Ok(Self::of_bytes(bytes))
        })
        .await
    }

    /// As requests are signed with it, and as the metadata tells it: hexadecimal.
    pub(super) fn sha256(&self) -> String {
        hexadecimal(&self.sha256)
    }

    /// As `x-amz-checksum-sha256` wants it.
    pub(super) fn checksum(&self) -> String {
        STANDARD.encode(self.sha256)
    }

    /// MD5 as `Content-MD5` wants it (RFC 1864).
    pub(super) fn content_md5(&self) -> String {
        STANDARD.encode(Md5::digest(&self.bytes))
    }

    /// As most stores name it: hexadecimal. Computed here: it costs three times what SHA-256 does.
    pub(super) fn md5(&self) -> String {
        hexadecimal(&Md5::digest(&self.bytes))
    }
}

/// The name that most stores give an object whose parts have these MD5s, each hexadecimal: the MD5 of them all, and their
/// number.
pub(super) fn etag_of_parts<'a>(parts: impl ExactSizeIterator<Item = &'a str>) -> Option<String> {
    let count = parts.len();
    let mut all = Md5::new();
    for part in parts {
        let digits = part.as_bytes().chunks_exact(2).map(|two| std::str::from_utf8(two).ok());
        let bytes: Option<Vec<u8>> = digits.map(|two| u8::from_str_radix(two?, 16).ok()).collect();
        all.update(bytes.filter(|bytes| bytes.len() == 16)?);
    }
    Some(format!("{}-{count}", hexadecimal(&all.finalize())))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_after_its_parts() {
        // As `printf a | md5sum` and its like say.
        let (a, b) = ("0cc175b9c0f1b6a831c399e269772661", "92eb5ffee6ae2fec3ad71c777531578f");
        assert_eq!(
            etag_of_parts([a, b].into_iter()).unwrap(),
            format!("{}-2", {
                let both = [a, b].concat();
                let bytes: Vec<u8> =
                    (0..32).map(|n| u8::from_str_radix(&both[2 * n..2 * n + 2], 16).unwrap()).collect();
                hexadecimal(&Md5::digest(bytes))
            })
        );
        assert_eq!(etag_of_parts(["abc"].into_iter()), None);
        assert_eq!(etag_of_parts(["zz175b9c0f1b6a831c399e269772661"].into_iter()), None);
    }

    #[tokio::test]
    async fn a_part_is_read_as_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.wav");
        fs::write(&path, b"xxabyy").unwrap();
        let range = PartRange { number: 2, offset: 2, length: 2 };
        let content = PartContent::read(&path, range).await.unwrap();
        assert_eq!((&content.bytes[..], content.md5().as_str()), (&b"ab"[..], "187ef4436122d1cc2f40dc2b92f0eba0"));
        // As `printf ab | sha256sum` says.
        assert_eq!(content.sha256(), "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603");
        assert_eq!(PartContent::read_growing(&path, range).await.unwrap(), content);
        assert!(PartContent::read(&path, PartRange { length: 5, ..range }).await.is_err(), "there is less");
    }
}
