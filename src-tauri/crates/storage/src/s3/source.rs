//! The local file of an upload, read in ranges and never as a whole.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use aws_sdk_s3::primitives::{ByteStream, Length};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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

    /// The whole file as one range.
    pub(super) fn whole(&self) -> PartRange {
        PartRange { number: 1, offset: 0, length: self.size }
    }
}

/// The MD5 of bytes in memory, as `Content-MD5` wants it.
pub(super) fn md5_of(content: &[u8]) -> String {
    STANDARD.encode(Md5::digest(content))
}
