//! Writing and removing objects, which appear whole or not at all.
//!
//! A take is copied, never linked: a hard link would share its bytes, and a take is patched when a gap is filled later.
//! The copy goes through the system's file-to-file copy, which on file systems that can (btrfs, XFS, APFS) shares blocks
//! until one side is written to; elsewhere it costs the space twice, as the local copy is kept on purpose.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::place::{Target, Temporary, sync_folders, turn};
use crate::{BucketError, ObjectInfo, Progress};

/// Bytes between looks at whether to go on, and between reports of progress.
const CHUNK: u64 = 8 * 1024 * 1024;

pub(super) fn put_bytes(
    target: &Target,
    content: &[u8],
    cancelled: &CancellationToken,
) -> Result<ObjectInfo, BucketError> {
    target.check()?;
    let mut temporary = Temporary::create(&target.root)?;
    temporary.file.write_all(content).map_err(|error| BucketError::io(&temporary.path, error))?;
    temporary.publish(target, cancelled)
}

pub(super) fn copy_file(
    target: &Target,
    source: &Path,
    progress: &Progress,
    cancelled: &CancellationToken,
) -> Result<ObjectInfo, BucketError> {
    target.check()?;
    let failed = |error| BucketError::io(source, error);
    let mut from = File::open(source).map_err(failed)?;
    let before = from.metadata().map_err(failed)?;
    let mut temporary = Temporary::create(&target.root)?;
    let mut copied = 0;
    // A file that grows while it is copied would never end.
    while copied <= before.len() {
        if cancelled.is_cancelled() {
            return Err(BucketError::io(source, io::ErrorKind::Interrupted.into()));
        }
        let chunk = io::copy(&mut (&mut from).take(CHUNK), &mut temporary.file)
            .map_err(|error| BucketError::io(&temporary.path, error))?;
        if chunk == 0 {
            break;
        }
        copied += chunk;
        progress.moved(chunk);
        progress.report(copied, before.len());
    }
    let after = fs::metadata(source).map_err(failed)?;
    if copied != before.len() || after.len() != before.len() || after.modified().ok() != before.modified().ok() {
        return Err(BucketError::SourceChanged { path: source.to_owned() });
    }
    let object = temporary.publish(target, cancelled)?;
    if object.size != copied {
        return Err(BucketError::Incomplete { key: target.key.clone(), expected: copied, found: object.size });
    }
    Ok(object)
}

pub(super) fn same_content(object: &Path, source: &Path) -> Result<bool, BucketError> {
    let open = |path: &Path| File::open(path).map_err(|error| BucketError::io(path, error));
    let length =
        |file: &File, path: &Path| file.metadata().map(|m| m.len()).map_err(|error| BucketError::io(path, error));
    if !object.is_file() {
        return Ok(false);
    }
    let (mut ours, mut theirs) = (open(source)?, open(object)?);
    let mut left = length(&ours, source)?;
    if length(&theirs, object)? != left {
        return Ok(false);
    }
    let (mut a, mut b) = (vec![0; 256 * 1024], vec![0; 256 * 1024]);
    while left > 0 {
        let step = usize::try_from(left).unwrap_or(usize::MAX).min(a.len());
        ours.read_exact(&mut a[..step]).map_err(|error| BucketError::io(source, error))?;
        theirs.read_exact(&mut b[..step]).map_err(|error| BucketError::io(object, error))?;
        if a[..step] != b[..step] {
            return Ok(false);
        }
        left -= step as u64;
    }
    Ok(true)
}

/// Removes the file, and the folders above it that became empty.
pub(super) fn delete(root: &Path, path: &Path) -> Result<(), BucketError> {
    let _turn = turn();
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(BucketError::io(path, error)),
    }
    let above = path.ancestors().skip(1).take_while(|folder| *folder != root && folder.starts_with(root));
    let kept = above.into_iter().find(|folder| fs::remove_dir(folder).is_err());
    sync_folders(root, kept.unwrap_or(root))
}

#[cfg(test)]
mod tests;
