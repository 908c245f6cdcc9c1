//! What is made of a disk's few calls: small files that are whole or not there, and folders that stay.

use std::io;
use std::path::{Path, PathBuf};

use crate::Disk;

/// Puts a file in the place of the one of that name. Whatever happens in between, readers find the old one whole or the
/// new one whole, and the new one is there for good when this returns.
///
/// # Errors
/// What the disk says; the old file stands then, or the new one.
pub fn write_whole(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    if disk.exists(&partial) {
        // An earlier attempt was cut off. Nobody reads it.
        disk.remove(&partial)?;
    }
    let mut file = disk.create(&partial)?;
    file.append(bytes)?;
    file.sync()?;
    drop(file);
    disk.rename(&partial, path)?;
    path.parent().map_or(Ok(()), |folder| disk.sync_dir(folder))
}

/// Makes a folder and those above it that are missing; their names are there for good when this returns. A file in a
/// folder whose own name a power cut takes is gone with it, however well it was synced.
///
/// # Errors
/// What the disk says.
pub fn create_dirs(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut at = dir;
    while !disk.exists(at) {
        missing.push(at);
        match at.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => at = parent,
            _ => break,
        }
    }
    for dir in missing.iter().rev() {
        disk.create_dir(dir)?;
        sync_name(disk, dir)?;
    }
    // Whoever made what was there already may have died before its name was durable.
    sync_name(disk, at)
}

fn sync_name(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => disk.sync_dir(parent),
        _ => Ok(()),
    }
}
