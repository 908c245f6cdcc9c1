//! The folder that holds identity, room, spools, journals, the local bucket and upload state.
//!
//! | path | holds |
//! |---|---|
//! | `lock` | held by the one program that uses the folder |
//! | `identity.json` | the key of this person or recorder; counts starts |
//! | `remote.json` | the key of whoever starts and cancels recordings from a script |
//! | `room.json` | the room that this host opens again at its next start |
//! | `spool/` | what this participant encoded, until the bucket has it |
//! | `reserve` | room that a host gives free when the disk is full |
//! | `recordings/{id}/` | journal and take of one recording |
//! | `bucket/` | the folder bucket |
//! | `uploads/` | what is still on its way to the bucket |
//! | `parts/` | which parts of a file the bucket has, also of one that still grows |

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use roomtone_disk::{Disk as _, SystemDisk};
use roomtone_protocol::{ErrorReport, Identity, ParticipantId, WakeEpoch, code};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::random;

/// Version of the JSON files directly in the folder.
const SCHEMA: u32 = 1;

/// A program that is killed while it starts another leaves the lock to that one for a moment.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is tried again in that time.
const TRIES: u32 = 20;

/// A data folder that no other program uses as long as this value lives.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    /// Holds the lock.
    _lock: File,
}

/// Who this program is, and its how manieth start this is.
#[derive(Debug, Clone)]
pub struct Start {
    /// The key of this person, and of the recorder where this program hosts.
    pub identity: Identity,
    /// Counts the starts, this one included.
    pub epoch: WakeEpoch,
}

#[derive(Serialize, Deserialize)]
struct IdentityFile {
    schema: u32,
    seed: [u8; 32],
    epoch: u32,
}

impl DataDir {
    /// Opens and locks the folder, which is made if it is not there. Without a path it is the platform's own.
    ///
    /// # Errors
    /// `data_dir_in_use` if another program holds it; `io` if it cannot be made or written.
    pub fn open(path: Option<&Path>) -> Result<Self, ErrorReport> {
        let root = path.map_or_else(default_data_dir, |path| Ok(path.to_owned()))?;
        fs::create_dir_all(&root).map_err(|error| io(&root, &error))?;
        let root = root.canonicalize().map_err(|error| io(&root, &error))?;
        let lock_path = root.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(|error| io(&lock_path, &error))?;
        let mut tries = 0..TRIES;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { root, _lock: lock }),
                Err(TryLockError::WouldBlock) if tries.next().is_some() => std::thread::sleep(PATIENCE / TRIES),
                Err(TryLockError::WouldBlock) => {
                    return Err(ErrorReport::new(
                        code::DATA_DIR_IN_USE,
                        format!("another Roomtone uses the data folder {}", root.display()),
                        "quit it, or give this one a folder of its own with --data-dir",
                    ));
                }
                Err(TryLockError::Error(error)) => return Err(io(&lock_path, &error)),
            }
        }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path inside.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The key, drawn at the first start, and the number of this start. That is higher than any whose packets are here,
    /// also where an older `identity.json` was put back: what is captured under a number that was given before would be
    /// taken for what is kept already.
    ///
    /// # Errors
    /// `io`, or `newer_version` if a later Roomtone wrote them.
    pub fn start(&self) -> Result<Start, ErrorReport> {
        let mut file = match self.read::<IdentityFile>("identity.json")? {
            Some(file) => file,
            None => IdentityFile { schema: SCHEMA, seed: random::bytes()?, epoch: 0 },
        };
        let spooled = roomtone_capture::newest_epoch(&self.path("spool")).unwrap_or_else(|error| {
            tracing::error!(%error, "earlier starts cannot be counted by what they kept");
            None
        });
        file.epoch = spooled.map_or(file.epoch, |WakeEpoch(spooled)| file.epoch.max(spooled)).saturating_add(1);
        self.write("identity.json", &file)?;
        Ok(Start { identity: Identity::from_seed(file.seed), epoch: WakeEpoch(file.epoch) })
    }

    /// Reads a JSON file of the folder; None if it is not there.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ErrorReport> {
        read(&self.root, name)
    }

    /// Replaces a JSON file of the folder as a whole, readable for its owner only.
    pub(crate) fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), ErrorReport> {
        write(&self.root, name, value)
    }
}

/// The key with which scripts on this folder start recordings, so that they may cancel what they started. It takes no
/// lock, and is nobody's who is in a room.
///
/// # Errors
/// `io`, or `newer_version` if a later Roomtone wrote it.
pub fn remote_identity(path: Option<&Path>) -> Result<Identity, ErrorReport> {
    #[derive(Serialize, Deserialize)]
    struct RemoteFile {
        schema: u32,
        seed: [u8; 32],
    }
    let root = path.map_or_else(default_data_dir, |path| Ok(path.to_owned()))?;
    fs::create_dir_all(&root).map_err(|error| io(&root, &error))?;
    let file = match read::<RemoteFile>(&root, "remote.json")? {
        Some(file) => file,
        None => {
            let file = RemoteFile { schema: SCHEMA, seed: random::bytes()? };
            write(&root, "remote.json", &file)?;
            file
        }
    };
    Ok(Identity::from_seed(file.seed))
}

/// Who this folder's program is, without using the folder: none where it was never started.
///
/// # Errors
/// `io`, or `newer_version` if a later Roomtone wrote it.
pub(crate) fn host_id(path: Option<&Path>) -> Result<Option<ParticipantId>, ErrorReport> {
    let root = path.map_or_else(default_data_dir, |path| Ok(path.to_owned()))?;
    let file = read::<IdentityFile>(&root, "identity.json")?;
    Ok(file.map(|file| Identity::from_seed(file.seed).participant()))
}

fn read<T: DeserializeOwned>(root: &Path, name: &str) -> Result<Option<T>, ErrorReport> {
    let path = root.join(name);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(&path, &error)),
    };
    check_schema(&path, &bytes)?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        ErrorReport::new(
            code::IO,
            format!("{} is damaged: {error}", path.display()),
            "put back a copy of it, or move it away to start afresh",
        )
    })
}

fn write<T: Serialize>(root: &Path, name: &str, value: &T) -> Result<(), ErrorReport> {
    let path = root.join(name);
    let partial = root.join(format!("{name}.partial"));
    let write = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&partial)?;
        file.write_all(&serde_json::to_vec_pretty(value)?)?;
        file.sync_all()?;
        fs::rename(&partial, &path)?;
        // Or a power cut could bring the old one back behind files that are newer, and a number that was used.
        if let Err(error) = SystemDisk.sync_dir(root) {
            tracing::warn!(%error, "a power cut may bring back an older file of the data folder");
        }
        Ok(())
    };
    write().map_err(|error| io(&path, &error))
}

/// Refuses what a newer version wrote, before its content is looked at.
fn check_schema(path: &Path, bytes: &[u8]) -> Result<(), ErrorReport> {
    #[derive(Deserialize)]
    struct Schema {
        schema: u32,
    }
    match serde_json::from_slice::<Schema>(bytes) {
        Ok(found) if found.schema > SCHEMA => Err(ErrorReport::new(
            code::NEWER_VERSION,
            format!("{} was written by a newer Roomtone", path.display()),
            "update this one; the file is left as it is",
        )),
        _ => Ok(()),
    }
}

/// The platform's own data folder of this user.
///
/// # Errors
/// `io` if the user has no home folder.
pub fn default_data_dir() -> Result<PathBuf, ErrorReport> {
    directories::ProjectDirs::from("", "", "Roomtone").map(|dirs| dirs.data_dir().to_owned()).ok_or_else(|| {
        ErrorReport::new(code::IO, "this user has no home folder", "name a folder with --data-dir or ROOMTONE_DATA_DIR")
    })
}

/// An error of the file system, for people.
pub(crate) fn io(path: &Path, error: &std::io::Error) -> ErrorReport {
    ErrorReport::new(
        code::IO,
        format!("{} cannot be used: {error}", path.display()),
        "check that the disk has room and that you may write there",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_program_on_the_same_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::open(Some(folder.path())).unwrap();
        assert_eq!(DataDir::open(Some(folder.path())).unwrap_err().code, code::DATA_DIR_IN_USE);
        drop(first);
        DataDir::open(Some(folder.path())).unwrap();
    }

    #[test]
    fn a_lock_that_outlives_its_program_for_a_moment_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::open(Some(folder.path())).unwrap();
        let ends = std::thread::spawn(move || {
            std::thread::sleep(PATIENCE / 4);
            drop(first);
        });
        DataDir::open(Some(folder.path())).unwrap();
        ends.join().unwrap();
    }

    #[test]
    fn the_key_stays_and_the_epoch_counts_up() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(Some(folder.path())).unwrap();
        let (first, second) = (dir.start().unwrap(), dir.start().unwrap());
        assert_eq!(first.identity.participant(), second.identity.participant());
        assert!(second.epoch > first.epoch);
    }

    #[test]
    fn who_a_folder_belongs_to_can_be_seen_while_it_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(host_id(Some(folder.path())).unwrap(), None);
        let dir = DataDir::open(Some(folder.path())).unwrap();
        let me = dir.start().unwrap().identity.participant();
        assert_eq!(host_id(Some(folder.path())).unwrap(), Some(me));
    }

    #[test]
    fn an_older_file_that_is_put_back_does_not_give_out_a_number_twice() {
        use roomtone_capture::Spool;
        use roomtone_packets::Packet;
        use roomtone_protocol::{RecordingId, SampleIndex, SegmentId, SegmentKey};
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(Some(folder.path())).unwrap();
        dir.start().unwrap();
        let copy = fs::read(dir.path("identity.json")).unwrap();
        let second = dir.start().unwrap();
        let recording = RecordingId::from_bytes([1; 16]);
        let said = |epoch, opus| {
            let segment = SegmentKey { epoch, segment: SegmentId(0) };
            Packet { segment, index: SampleIndex(0), samples: 960, opus: vec![opus; 40] }
        };
        let mut spool = Spool::open(&dir.path("spool"), [7; 16]).unwrap();
        assert!(spool.append(recording, &said(second.epoch, 1)).unwrap());
        drop(spool);
        // By its person, after damage, or by a power cut.
        fs::write(dir.path("identity.json"), copy).unwrap();
        let third = dir.start().unwrap();
        assert!(third.epoch > second.epoch);
        let mut spool = Spool::open(&dir.path("spool"), [7; 16]).unwrap();
        assert!(spool.append(recording, &said(third.epoch, 2)).unwrap(), "what is said is not taken for what was said");
    }

    #[test]
    fn a_damaged_file_is_named_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(Some(folder.path())).unwrap();
        for damaged in [&b""[..], br#"{"schema":1,"seed":[1,2"#, br#"{"schema":"#, b"\0\0\0\0"] {
            fs::write(dir.path("identity.json"), damaged).unwrap();
            let error = dir.start().unwrap_err();
            assert_eq!(error.code, code::IO);
            assert!(error.message.contains("identity.json") && error.message.contains("damaged"), "{error}");
            assert_eq!(fs::read(dir.path("identity.json")).unwrap(), damaged);
        }
    }

    #[test]
    fn a_script_keeps_its_key_and_it_is_not_the_persons() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(Some(folder.path())).unwrap();
        let remote = || remote_identity(Some(folder.path())).unwrap().participant();
        assert_eq!(remote(), remote());
        assert_ne!(remote(), dir.start().unwrap().identity.participant());
    }

    #[test]
    fn what_a_newer_version_wrote_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(Some(folder.path())).unwrap();
        fs::write(dir.path("identity.json"), br#"{"schema":2,"keys":[]}"#).unwrap();
        assert_eq!(dir.start().unwrap_err().code, code::NEWER_VERSION);
        assert_eq!(fs::read(dir.path("identity.json")).unwrap(), br#"{"schema":2,"keys":[]}"#);
    }
}
