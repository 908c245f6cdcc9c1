//! How a file gets its name in the bucket.
//!
//! Content goes to a temporary file in `.roomtone/tmp` of the same file system, is synced, and only then gets its name:
//! by a hard link where nothing may be replaced (linking fails if the name is taken, in one step), by a rename where
//! something may. Whoever has the replaced file open goes on reading that one.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use roomtone_disk::{SystemDisk, create_dirs};
use tokio_util::sync::CancellationToken;

use super::path::RESERVED;
use super::{head, info};
use crate::{BucketError, ObjectInfo, PutMode};

/// What a file may take the place of.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Free,
    Any,
    /// Of the file with this etag.
    Version(String),
}

/// Where something is to be written.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) root: PathBuf,
    path: PathBuf,
    pub(super) key: String,
    place: Place,
}

impl Target {
    pub(super) fn new(root: &Path, path: PathBuf, key: &str, mode: PutMode<'_>) -> Self {
        let place = match mode {
            PutMode::CreateNew => Place::Free,
            PutMode::Replace => Place::Any,
            PutMode::ReplaceVersion(etag) => Place::Version(etag.to_owned()),
        };
        Self { root: root.to_owned(), path, key: key.to_owned(), place }
    }

    /// Told before gigabytes are copied, and again when the file gets its name.
    pub(super) fn check(&self) -> Result<(), BucketError> {
        match &self.place {
            Place::Any => Ok(()),
            Place::Free if head(&self.path, &self.key)?.is_none() => Ok(()),
            Place::Free => Err(self.taken()),
            Place::Version(etag) => match head(&self.path, &self.key)? {
                Some(there) if there.etag == *etag => Ok(()),
                _ => Err(BucketError::Changed { key: self.key.clone() }),
            },
        }
    }

    fn taken(&self) -> BucketError {
        BucketError::AlreadyExists { key: self.key.clone() }
    }
}

/// Roomtone's own writers take turns where a look and a change belong together. After a deletion nothing that was
/// cancelled before it can appear any more.
pub(super) fn turn() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn temporary_folder(root: &Path) -> PathBuf {
    root.join(RESERVED).join("tmp")
}

/// Makes the folder for temporary files, and empties it of what a crash left there. Files that another program is
/// writing are locked, and stay.
pub(super) fn prepare(root: &Path) -> Result<(), BucketError> {
    let folder = temporary_folder(root);
    let failed = |error| BucketError::io(&folder, error);
    create_dirs(&SystemDisk, &folder).map_err(failed)?;
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        match File::open(&path).map(|file| file.try_lock()) {
            Ok(Err(TryLockError::WouldBlock)) => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Ok(_) | Err(_) => fs::remove_file(&path).map_err(|error| BucketError::io(&path, error))?,
        }
    }
    Ok(())
}

/// A file without a name in the bucket yet; removed unless it got one.
pub(super) struct Temporary {
    pub(super) path: PathBuf,
    pub(super) file: File,
}

impl Temporary {
    pub(super) fn create(root: &Path) -> Result<Self, BucketError> {
        let folder = temporary_folder(root);
        fs::create_dir_all(&folder).map_err(|error| BucketError::io(&folder, error))?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| BucketError::io(&folder, io::Error::other(error)))?;
        let path = folder.join(format!("{:016x}", u64::from_le_bytes(random)));
        let file = File::create_new(&path).map_err(|error| BucketError::io(&path, error))?;
        if let Err(error) = file.try_lock() {
            tracing::debug!(%error, "the file system has no locks; a second program may clean up what this one writes");
        }
        Ok(Self { path, file })
    }

    /// Gives the content its name.
    pub(super) fn publish(self, target: &Target, cancelled: &CancellationToken) -> Result<ObjectInfo, BucketError> {
        self.file.sync_all().map_err(|error| BucketError::io(&self.path, error))?;
        if cfg!(windows) {
            // A locked file cannot be read there under its new name either.
            self.file.unlock().map_err(|error| BucketError::io(&self.path, error))?;
        }
        let parent = target.path.parent().unwrap_or(&target.root);
        fs::create_dir_all(parent).map_err(|error| BucketError::io(parent, error))?;
        // What it is in the bucket is known before: afterwards somebody else may have put another file there.
        let mut object = self.info(target)?;
        {
            let _turn = turn();
            if cancelled.is_cancelled() {
                return Err(BucketError::io(&target.path, io::ErrorKind::Interrupted.into()));
            }
            // Only a foreign program can come between this look and the rename.
            if matches!(target.place, Place::Version(_)) {
                target.check()?;
            }
            match target.place {
                Place::Free => self.link_new(target)?,
                Place::Any | Place::Version(_) => {
                    object = self.unlike_its_predecessor(target, object)?;
                    fs::rename(&self.path, &target.path).map_err(|error| BucketError::io(&target.path, error))?;
                }
            }
        }
        sync_folders(&target.root, parent)?;
        Ok(object)
    }

    /// What the file is in the bucket.
    fn info(&self, target: &Target) -> Result<ObjectInfo, BucketError> {
        let failed = |error| BucketError::io(&self.path, error);
        let metadata = self.file.metadata().map_err(failed)?;
        info(target.key.clone(), &metadata).map_err(failed)
    }

    /// Clocks of file systems advance by milliseconds: what is as long as the file in its place, and written in the same
    /// tick, gets a later time. Otherwise both would be one version, and an edit could be written over.
    fn unlike_its_predecessor(&self, target: &Target, object: ObjectInfo) -> Result<ObjectInfo, BucketError> {
        match head(&target.path, &target.key)? {
            Some(there) if there.etag == object.etag => {
                let later = SystemTime::from(there.modified + Duration::from_micros(1));
                self.file.set_modified(later).map_err(|error| BucketError::io(&self.path, error))?;
                self.info(target)
            }
            _ => Ok(object),
        }
    }

    fn link_new(&self, target: &Target) -> Result<(), BucketError> {
        match fs::hard_link(&self.path, &target.path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(target.taken()),
            Err(error) if has_no_hard_links(&error) => self.rename_new(target),
            Err(error) => Err(BucketError::io(&target.path, error)),
        }
    }

    /// For file systems without hard links (FAT, exFAT, some network drives), which have no way to name a file in one
    /// step without replacing. It is Roomtone's turn; a foreign program that makes the very same name within these few
    /// microseconds is the one case left.
    pub(super) fn rename_new(&self, target: &Target) -> Result<(), BucketError> {
        match fs::symlink_metadata(&target.path) {
            Ok(_) => Err(target.taken()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::rename(&self.path, &target.path).map_err(|error| BucketError::io(&target.path, error))
            }
            Err(error) => Err(BucketError::io(&target.path, error)),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "a temporary file could not be removed; the next start tries again");
        }
    }
}

fn has_no_hard_links(error: &io::Error) -> bool {
    // Linux answers EPERM on FAT.
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied)
}

/// So that the new name survives a power cut; every folder up to the root, as some may be new.
pub(super) fn sync_folders(root: &Path, folder: &Path) -> Result<(), BucketError> {
    // Windows has no such call; names are journalled there.
    if cfg!(unix) {
        for folder in folder.ancestors().take_while(|folder| folder.starts_with(root)) {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| BucketError::io(folder, error))?;
        }
    }
    Ok(())
}
