//! The local file of an upload, read in ranges and never as a whole.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use aws_sdk_s3::primitives::{ByteStream, Length};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};

use super::plan::PartRange;
use crate::BucketError;
use crate::off_thread::off_thread;

/// Bytes read at a time.
const BUFFER: usize = 256 * 1024;

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

    /// The MD5 of a range, as `Content-MD5` wants it (RFC 1864).
    pub(super) async fn md5(&self, range: PartRange) -> Result<String, BucketError> {
        let path = self.path.clone();
        off_thread(move || {
            let failed = |error| BucketError::io(&path, error);
            let mut file = File::open(&path).map_err(failed)?;
            file.seek(SeekFrom::Start(range.offset)).map_err(failed)?;
            let mut hash = Md5::new();
            let mut buffer = vec![0; BUFFER];
            let mut left = range.length;
            while left > 0 {
                let step = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
                file.read_exact(&mut buffer[..step]).map_err(failed)?;
                hash.update(&buffer[..step]);
                left -= step as u64;
            }
            Ok(STANDARD.encode(hash.finalize()))
        })
        .await
    }

    /// A range as the body of a request; read again from the disk if the request has to be repeated.
    pub(super) async fn body(&self, range: PartRange) -> Result<ByteStream, BucketError> {
        if range.length == 0 {
            return Ok(ByteStream::from_static(b""));
        }
        let stream = ByteStream::read_from().path(&self.path).offset(range.offset).length(Length::Exact(range.length));
        let stream = stream.buffer_size(BUFFER).build().await;
        stream.map_err(|error| BucketError::io(&self.path, std::io::Error::other(error)))
    }

    /// Whether a range has this MD5, hexadecimal.
    pub(super) fn check_part(
        &self,
        range: PartRange,
        md5: Option<String>,
    ) -> impl Future<Output = Result<bool, BucketError>> + Send + 'static {
        check_part(self.path.clone(), range, md5)
    }

    /// The whole file as one range.
    pub(super) fn whole(&self) -> PartRange {
        PartRange { number: 1, offset: 0, length: self.size }
    }
}

/// Whether a range of a file has this MD5, hexadecimal; what nobody knows the MD5 of is another one.
pub(super) async fn check_part(path: PathBuf, range: PartRange, md5: Option<String>) -> Result<bool, BucketError> {
    Ok(PartContent::read(&path, range).await?.md5() == md5.unwrap_or_default())
}

/// The MD5 of bytes in memory, as `Content-MD5` wants it.
pub(super) fn md5_of(content: &[u8]) -> String {
    STANDARD.encode(Md5::digest(content))
}

/// What of a part is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartContent {
    pub(super) bytes: Bytes,
    md5: [u8; 16],
}

impl PartContent {
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
            Ok(Self { md5: Md5::digest(&bytes).into(), bytes })
        })
        .await
    }

    /// As `Content-MD5` wants it.
    pub(super) fn content_md5(&self) -> String {
        STANDARD.encode(self.md5)
    }

    /// As most stores name it.
    pub(super) fn md5(&self) -> String {
        hexadecimal(&self.md5)
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
        assert_eq!(PartContent::read_growing(&path, range).await.unwrap(), content);
        assert!(PartContent::read(&path, PartRange { length: 5, ..range }).await.is_err(), "there is less");
    }
}
