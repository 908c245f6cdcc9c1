//! The folder of one recording on the host's disk.
//!
//! | file | holds |
//! |---|---|
//! | `journal/` | what arrived, the truth that everything else is made from |
//! | `take.wav` | the finished file |
//! | `take.json` | its metadata, written after the file |
//! | `submitted` | the upload queue has it |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use roomtone_disk::{SystemDisk, write_whole};
use roomtone_protocol::RecordingId;
use roomtone_protocol::metadata::{Metadata, SCHEMA};
use serde::Deserialize;

pub(super) fn journal_path(folder: &Path) -> PathBuf {
    folder.join("journal")
}

pub(super) fn take_path(folder: &Path) -> PathBuf {
    folder.join("take.wav")
}

fn metadata_path(folder: &Path) -> PathBuf {
    folder.join("take.json")
}

fn submitted_path(folder: &Path) -> PathBuf {
    folder.join("submitted")
}

/// Keeps the metadata beside its take, so that a start after a crash finds them together.
pub(super) fn write_metadata(folder: &Path, metadata: &Metadata) -> io::Result<()> {
    write_whole(&SystemDisk, &metadata_path(folder), &serde_json::to_vec_pretty(metadata)?)
}

/// The metadata beside a take; None if there is none, or none that is whole: then the journal makes it anew.
pub(super) fn read_metadata(folder: &Path) -> Option<Metadata> {
    let bytes = fs::read(metadata_path(folder)).ok()?;
    serde_json::from_slice(&bytes).ok().filter(|metadata: &Metadata| metadata.schema <= SCHEMA)
}

/// Whether a later version of Roomtone finished it: then nothing here is touched.
fn is_newer(folder: &Path) -> bool {
    #[derive(Deserialize)]
    struct Version {
        schema: u32,
    }
    let found = fs::read(metadata_path(folder)).ok().and_then(|bytes| serde_json::from_slice::<Version>(&bytes).ok());
    found.is_some_and(|found| found.schema > SCHEMA)
}

/// Removes a take whose metadata was never written: it is made anew.
pub(super) fn remove_take(folder: &Path) -> io::Result<()> {
    match fs::remove_file(take_path(folder)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Remembers that the upload queue has the take.
pub(super) fn mark_submitted(folder: &Path) -> io::Result<()> {
    write_whole(&SystemDisk, &submitted_path(folder), b"")
}

/// What an earlier start left behind.
#[derive(Debug, PartialEq)]
pub(super) enum Unfinished {
    /// A journal without a take.
    Journal(RecordingId, PathBuf),
    /// A take that the upload queue does not have.
    Take(Box<Metadata>),
}

/// Looks for recordings that an earlier start did not bring to the upload queue, oldest folder name first.
pub(super) fn unfinished(recordings: &Path) -> io::Result<Vec<Unfinished>> {
    let folders = match fs::read_dir(recordings) {
        Ok(folders) => folders,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in folders {
        let folder = entry?.path();
        let name = folder.file_name().and_then(|name| name.to_str());
        let Some(recording) = name.and_then(|name| name.parse::<RecordingId>().ok()) else { continue };
        if submitted_path(&folder).exists() {
            continue;
        }
        if is_newer(&folder) {
            tracing::warn!(%recording, "a newer version of Roomtone finished this recording; it is left as it is");
            continue;
        }
        match read_metadata(&folder) {
            Some(metadata) => found.push(Unfinished::Take(Box::new(metadata))),
            None if journal_path(&folder).is_dir() => found.push(Unfinished::Journal(recording, folder)),
            None => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_upload_queue_does_not_have_is_unfinished() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(unfinished(&root.path().join("missing")).unwrap(), []);
        let id = RecordingId::from_bytes([7; 16]);
        let folder = root.path().join(id.to_string());
        fs::create_dir_all(journal_path(&folder)).unwrap();
        fs::create_dir_all(root.path().join("something else")).unwrap();
        assert_eq!(unfinished(root.path()).unwrap(), [Unfinished::Journal(id, folder.clone())]);
        mark_submitted(&folder).unwrap();
        assert_eq!(unfinished(root.path()).unwrap(), []);
    }

    #[test]
    fn what_a_newer_version_finished_is_left_alone_and_what_is_torn_is_made_anew() {
        let root = tempfile::tempdir().unwrap();
        let id = RecordingId::from_bytes([7; 16]);
        let folder = root.path().join(id.to_string());
        fs::create_dir_all(journal_path(&folder)).unwrap();
        fs::write(metadata_path(&folder), br#"{"schema":2,"of":"another shape"}"#).unwrap();
        assert_eq!(unfinished(root.path()).unwrap(), []);
        assert_eq!(read_metadata(&folder), None);
        fs::write(metadata_path(&folder), br#"{"schema":1,"id"#).unwrap();
        assert_eq!(unfinished(root.path()).unwrap(), [Unfinished::Journal(id, folder)]);
    }
}
