//! The folder of one recording on the host's disk.
//!
//! | file | holds |
//! |---|---|
//! | `journal/` | what arrived, the truth that everything else is made from |
//! | `take.wav.partial` … | the file while it grows |
//! | `take.wav` | the finished file |
//! | `take.wav.state` | what the file is rendered from, so that another start goes on with it, and the next version too |
//! | `take.json` | its metadata, written after the file |
//! | `take.2.wav`, `take.2.json` … | the file made anew, once somebody brought what it lacked |
//! | `submitted` | the upload queue has the first file |
//! | `unhashed` | that file's hashes are still to be computed |
//! | `repairing` | the journal took something that is in no file yet |

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

/// A version of the finished file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32);

impl Version {
    pub(super) const FIRST: Self = Self(1);

    fn path(self, folder: &Path, extension: &str) -> PathBuf {
        match self.0 {
            1 => folder.join(format!("take.{extension}")),
            number => folder.join(format!("take.{number}.{extension}")),
        }
    }

    pub(super) fn take(self, folder: &Path) -> PathBuf {
        self.path(folder, "wav")
    }

    fn metadata(self, folder: &Path) -> PathBuf {
        self.path(folder, "json")
    }

    fn state(self, folder: &Path) -> PathBuf {
        self.path(folder, "wav.state")
    }

    /// The one after this one.
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The newest that is whole: its metadata was written.
    pub(super) fn newest(folder: &Path) -> Option<Self> {
        let whole = |number: &u32| read_version(folder, Self(*number)).is_some();
        (1..).take_while(|number| Self(*number).metadata(folder).exists()).filter(whole).last().map(Self)
    }
}

/// The newest file that is whole; where the first one goes if there is none.
pub(super) fn take_path(folder: &Path) -> PathBuf {
    Version::newest(folder).unwrap_or(Version::FIRST).take(folder)
}

/// Removes the files before this one: the bucket has confirmed it.
pub(super) fn remove_before(folder: &Path, take: &Path) -> io::Result<()> {
    let Some(newest) = Version::newest(folder).filter(|newest| newest.take(folder) == take) else { return Ok(()) };
    let earlier = (1..newest.0).map(Version);
    earlier.flat_map(|version| [version.take(folder), version.state(folder)]).try_for_each(|path| remove(&path))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn repairing_path(folder: &Path) -> PathBuf {
    folder.join("repairing")
}

/// Remembers that the journal may hold what no file has.
pub(super) fn mark_repairing(folder: &Path) -> io::Result<()> {
    write_whole(&SystemDisk, &repairing_path(folder), b"")
}

/// The upload queue has a file with all that the journal holds.
pub(super) fn unmark_repairing(folder: &Path) -> io::Result<()> {
    remove(&repairing_path(folder))
}

fn submitted_path(folder: &Path) -> PathBuf {
    folder.join("submitted")
}

fn unhashed_path(folder: &Path) -> PathBuf {
    folder.join("unhashed")
}

/// Remembers that the first file is handed in without its hashes.
pub(super) fn mark_unhashed(folder: &Path) -> io::Result<()> {
    write_whole(&SystemDisk, &unhashed_path(folder), b"")
}

/// The hashes are known, and will be in the bucket.
pub(super) fn unmark_unhashed(folder: &Path) -> io::Result<()> {
    remove(&unhashed_path(folder))
}

/// Whether the first file's hashes are still to be computed.
pub(super) fn is_unhashed(folder: &Path) -> bool {
    unhashed_path(folder).exists()
}

/// Whether the journal may hold what no file has.
pub(super) fn is_repairing(folder: &Path) -> bool {
    repairing_path(folder).exists()
}

/// Keeps the metadata beside its take, so that a start after a crash finds them together.
pub(super) fn write_metadata(folder: &Path, version: Version, metadata: &Metadata) -> io::Result<()> {
    write_whole(&SystemDisk, &version.metadata(folder), &serde_json::to_vec_pretty(metadata)?)
}

/// The metadata beside the newest take; None if there is none, or none that is whole: then the journal makes it anew.
pub(super) fn read_metadata(folder: &Path) -> Option<Metadata> {
    read_version(folder, Version::newest(folder)?)
}

/// The metadata of one version; None if there is none that is whole.
pub(super) fn read_version(folder: &Path, version: Version) -> Option<Metadata> {
    let bytes = fs::read(version.metadata(folder)).ok()?;
    serde_json::from_slice(&bytes).ok().filter(|metadata: &Metadata| metadata.schema <= SCHEMA)
}

/// Whether a later version of Roomtone finished it: then nothing here is touched.
pub(super) fn is_newer(folder: &Path) -> bool {
    #[derive(Deserialize)]
    struct Versioned {
        schema: u32,
    }
    let schema = |path: PathBuf| Some(serde_json::from_slice::<Versioned>(&fs::read(path).ok()?).ok()?.schema);
    let files = (1..).map(|number| Version(number).metadata(folder)).take_while(|path| path.exists());
    files.filter_map(schema).any(|schema| schema > SCHEMA)
}

/// Remembers that the upload queue has the take.
pub(super) fn mark_submitted(folder: &Path) -> io::Result<()> {
    write_whole(&SystemDisk, &submitted_path(folder), b"")
}

/// Whether the upload queue was given a file.
pub(super) fn is_submitted(folder: &Path) -> bool {
    submitted_path(folder).exists()
}

/// What an earlier start left behind.
#[derive(Debug, PartialEq)]
pub(super) enum Unfinished {
    /// A journal without a take.
    Journal(RecordingId, PathBuf),
    /// A take that the upload queue does not have.
    Take(Box<Metadata>),
    /// A journal that holds more than its take.
    Repair(RecordingId),
}

/// All recordings that have a folder.
pub(super) fn all(recordings: &Path) -> io::Result<Vec<(RecordingId, PathBuf)>> {
    let folders = match fs::read_dir(recordings) {
        Ok(folders) => folders,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in folders {
        let folder = entry?.path();
        let name = folder.file_name().and_then(|name| name.to_str());
        found.extend(name.and_then(|name| name.parse().ok()).map(|recording| (recording, folder)));
    }
    Ok(found)
}

/// Looks for recordings that an earlier start did not bring to the upload queue, oldest folder name first.
pub(super) fn unfinished(recordings: &Path) -> io::Result<Vec<Unfinished>> {
    let mut found = Vec::new();
    for (recording, folder) in all(recordings)? {
        let submitted = is_submitted(&folder);
        if submitted && !is_repairing(&folder) {
            continue;
        }
        if is_newer(&folder) {
            tracing::warn!(%recording, "a newer version of Roomtone finished this recording; it is left as it is");
            continue;
        }
        match read_metadata(&folder) {
            _ if submitted => found.push(Unfinished::Repair(recording)),
            Some(metadata) => found.push(Unfinished::Take(Box::new(metadata))),
            None if journal_path(&folder).is_dir() => found.push(Unfinished::Journal(recording, folder)),
            None => {}
        }
    }
    Ok(found)
}

/// Removes the journal; one that is not there is no error.
pub(super) fn remove_journal(folder: &Path) -> io::Result<()> {
    remove_all(&journal_path(folder))
}

/// Removes everything of a recording; what is not there is no error.
pub(super) fn remove_all(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
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
        mark_repairing(&folder).unwrap();
        assert_eq!(unfinished(root.path()).unwrap(), [Unfinished::Repair(id)]);
        unmark_repairing(&folder).unwrap();
        assert_eq!(unfinished(root.path()).unwrap(), []);
    }

    #[test]
    fn what_a_newer_version_finished_is_left_alone_and_what_is_torn_is_made_anew() {
        let root = tempfile::tempdir().unwrap();
        let id = RecordingId::from_bytes([7; 16]);
        let folder = root.path().join(id.to_string());
        fs::create_dir_all(journal_path(&folder)).unwrap();
        let first = Version::FIRST.metadata(&folder);
        fs::write(&first, br#"{"schema":2,"of":"another shape"}"#).unwrap();
        assert_eq!(unfinished(root.path()).unwrap(), []);
        assert_eq!(read_metadata(&folder), None);
        // Its repair neither: ours would take the place of that version's file, here and in the bucket.
        mark_submitted(&folder).unwrap();
        mark_repairing(&folder).unwrap();
        assert_eq!(unfinished(root.path()).unwrap(), []);
        fs::remove_file(submitted_path(&folder)).unwrap();
        fs::write(&first, br#"{"schema":1,"id"#).unwrap();
        assert_eq!(unfinished(root.path()).unwrap(), [Unfinished::Journal(id, folder)]);
    }

    #[test]
    fn the_newest_file_that_is_whole_counts_and_the_others_go_once_it_is_confirmed() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path();
        assert_eq!((take_path(folder), Version::newest(folder)), (folder.join("take.wav"), None));
        let whole = |version: Version| {
            fs::write(version.take(folder), b"x").unwrap();
            fs::write(version.state(folder), b"{}").unwrap();
            fs::write(version.metadata(folder), METADATA).unwrap();
        };
        whole(Version(1));
        whole(Version(2));
        assert_eq!((take_path(folder), Version::newest(folder)), (folder.join("take.2.wav"), Some(Version(2))));
        // A file without its metadata is none yet.
        fs::write(Version(3).take(folder), b"x").unwrap();
        assert_eq!(Version::newest(folder), Some(Version(2)));
        remove_before(folder, &folder.join("take.wav")).unwrap();
        assert!(folder.join("take.wav").exists(), "an older one was confirmed");
        remove_before(folder, &folder.join("take.2.wav")).unwrap();
        let left =
            ["take.wav", "take.wav.state", "take.2.wav", "take.2.wav.state"].map(|name| folder.join(name).exists());
        assert_eq!(left, [false, false, true, true]);
    }

    const METADATA: &str = r#"{"schema":1,"id":"07070707070707070707070707070707","room":"R",
        "room_id":"07070707070707070707070707070707","title":null,"notes":null,"started_at":"","ended_at":"",
        "sample_rate":48000,"bit_depth":24,"frames":0,"size":0,"sha256":null,"parts":{"size":1,"sha256":[]},
        "software":"","gapless":true,"channels":[],"unrecorded":[],"markers":[]}"#;
}
