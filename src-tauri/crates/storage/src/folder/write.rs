//! Objects appear whole or not at all.
//!
//! Content goes to a temporary file in `.roomtone/tmp` of the same file system, is synced, and only then gets its name:
//! by a hard link where nothing may be replaced (linking fails if the name is taken, in one step), by a rename where
//! something may.
//!
//! A take is copied, never linked: a hard link would share its bytes, and a take is patched when a gap is filled later.
//! The copy goes through the system's file-to-file copy, which on file systems that can (btrfs, XFS, APFS) shares blocks
//! until one side is written to; elsewhere it costs the space twice, as the local copy is kept on purpose.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tokio_util::sync::CancellationToken;

use super::path::RESERVED;
use super::{head, info};
use crate::{BucketError, ObjectInfo, Progress, PutMode};

/// Bytes between looks at whether to go on, and between reports of progress.
const CHUNK: u64 = 8 * 1024 * 1024;

/// Where something is to be written.
#[derive(Debug)]
pub(super) struct Target {
    root: PathBuf,
    path: PathBuf,
    key: String,
    mode: PutMode,
}

impl Target {
    pub(super) fn new(root: &Path, path: PathBuf, key: &str, mode: PutMode) -> Self {
        Self { root: root.to_owned(), path, key: key.to_owned(), mode }
    }

    fn taken(&self) -> BucketError {
        BucketError::AlreadyExists { key: self.key.clone() }
    }
}

fn temporary_folder(root: &Path) -> PathBuf {
    root.join(RESERVED).join("tmp")
}

/// Makes the folder for temporary files, and empties it of what a crash left there. Files that another program is
/// writing are locked, and stay.
pub(super) fn prepare(root: &Path) -> Result<(), BucketError> {
    let folder = temporary_folder(root);
    let failed = |error| BucketError::io(&folder, error);
    fs::create_dir_all(&folder).map_err(failed)?;
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
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    fn create(root: &Path) -> Result<Self, BucketError> {
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
    fn publish(self, target: &Target) -> Result<ObjectInfo, BucketError> {
        self.file.sync_all().map_err(|error| BucketError::io(&self.path, error))?;
        if cfg!(windows) {
            // A locked file cannot be read there under its new name either.
            self.file.unlock().map_err(|error| BucketError::io(&self.path, error))?;
        }
        let parent = target.path.parent().unwrap_or(&target.root);
        fs::create_dir_all(parent).map_err(|error| BucketError::io(parent, error))?;
        match target.mode {
            PutMode::CreateNew => self.link_new(target)?,
            PutMode::Replace => {
                fs::rename(&self.path, &target.path).map_err(|error| BucketError::io(&target.path, error))?;
            }
        }
        sync_folders(&target.root, parent)?;
        let metadata = fs::metadata(&target.path).map_err(|error| BucketError::io(&target.path, error))?;
        info(target.key.clone(), &metadata).map_err(|error| BucketError::io(&target.path, error))
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
    /// step without replacing. Roomtone's own writers take turns; a foreign program that makes the very same name
    /// within these few microseconds is the one case left.
    fn rename_new(&self, target: &Target) -> Result<(), BucketError> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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
fn sync_folders(root: &Path, folder: &Path) -> Result<(), BucketError> {
    // Windows has no such call; names are journalled there.
    if cfg!(unix) {
        for folder in folder.ancestors().take_while(|folder| folder.starts_with(root)) {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| BucketError::io(folder, error))?;
        }
    }
    Ok(())
}

pub(super) fn put_bytes(target: &Target, content: &[u8]) -> Result<ObjectInfo, BucketError> {
    let mut temporary = Temporary::create(&target.root)?;
    temporary.file.write_all(content).map_err(|error| BucketError::io(&temporary.path, error))?;
    temporary.publish(target)
}

pub(super) fn copy_file(
    target: &Target,
    source: &Path,
    progress: &Progress,
    cancelled: &CancellationToken,
) -> Result<ObjectInfo, BucketError> {
    // Told before gigabytes are copied; naming the file checks again.
    if target.mode == PutMode::CreateNew && head(&target.path, &target.key)?.is_some() {
        return Err(target.taken());
    }
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
        progress.report(copied, before.len());
    }
    let after = fs::metadata(source).map_err(failed)?;
    if copied != before.len() || after.len() != before.len() || after.modified().ok() != before.modified().ok() {
        return Err(BucketError::SourceChanged { path: source.to_owned() });
    }
    let object = temporary.publish(target)?;
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
mod tests {
    use super::*;

    fn target(root: &Path, key: &str, mode: PutMode) -> Target {
        Target::new(root, root.join(key), key, mode)
    }

    fn left_over(root: &Path) -> usize {
        fs::read_dir(temporary_folder(root)).unwrap().count()
    }

    #[test]
    fn a_taken_name_keeps_its_content() {
        let root = tempfile::tempdir().unwrap();
        let new = target(root.path(), "r/a.wav", PutMode::CreateNew);
        put_bytes(&new, b"first").unwrap();
        assert!(matches!(put_bytes(&new, b"second"), Err(BucketError::AlreadyExists { .. })));
        assert_eq!(fs::read(root.path().join("r/a.wav")).unwrap(), b"first");
        put_bytes(&target(root.path(), "r/a.wav", PutMode::Replace), b"third").unwrap();
        assert_eq!(fs::read(root.path().join("r/a.wav")).unwrap(), b"third");
        assert_eq!(left_over(root.path()), 0);
    }

    #[test]
    fn without_hard_links_a_taken_name_is_kept_too() {
        let root = tempfile::tempdir().unwrap();
        let new = target(root.path(), "a.wav", PutMode::CreateNew);
        Temporary::create(root.path()).unwrap().rename_new(&new).unwrap();
        let second = Temporary::create(root.path()).unwrap().rename_new(&new);
        assert!(matches!(second, Err(BucketError::AlreadyExists { .. })));
    }

    #[test]
    fn of_many_writers_of_one_name_exactly_one_wins() {
        let root = tempfile::tempdir().unwrap();
        let wins = std::thread::scope(|scope| {
            let write = |n: u8| {
                let root = root.path();
                move || put_bytes(&target(root, "a.wav", PutMode::CreateNew), &[n; 1000]).is_ok()
            };
            let writers: Vec<_> = (0..8).map(|n| scope.spawn(write(n))).collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).filter(|won| *won).count()
        });
        assert_eq!(wins, 1);
        let content = fs::read(root.path().join("a.wav")).unwrap();
        assert!(content.len() == 1000 && content.iter().all(|byte| *byte == content[0]));
    }

    #[test]
    fn an_interrupted_copy_leaves_nothing() {
        let (root, takes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let take = takes.path().join("take.wav");
        fs::write(&take, vec![7; 20 * 1024 * 1024]).unwrap();
        let cancelled = CancellationToken::new();
        let stop = cancelled.clone();
        let after_the_first_chunk = Progress::new(move |_, _| stop.cancel());
        let new = target(root.path(), "a.wav", PutMode::CreateNew);
        copy_file(&new, &take, &after_the_first_chunk, &cancelled).unwrap_err();
        assert!(!root.path().join("a.wav").exists());
        assert_eq!(left_over(root.path()), 0);
    }

    #[test]
    fn a_copy_shares_nothing_with_its_take() {
        let (root, takes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let take = takes.path().join("take.wav");
        fs::write(&take, b"before").unwrap();
        let new = target(root.path(), "a.wav", PutMode::CreateNew);
        copy_file(&new, &take, &Progress::none(), &CancellationToken::new()).unwrap();
        assert!(same_content(&root.path().join("a.wav"), &take).unwrap());
        // In place, as a repair does it.
        File::options().write(true).open(&take).unwrap().write_all(b"AFTER!").unwrap();
        assert_eq!(fs::read(root.path().join("a.wav")).unwrap(), b"before");
        assert!(!same_content(&root.path().join("a.wav"), &take).unwrap());
    }

    #[test]
    fn a_take_that_changes_under_the_copy_is_not_published() {
        let (root, takes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let take = takes.path().join("take.wav");
        fs::write(&take, vec![7; 1000]).unwrap();
        let path = take.clone();
        let grow = Progress::new(move |_, _| {
            File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
        });
        let new = target(root.path(), "a.wav", PutMode::CreateNew);
        let result = copy_file(&new, &take, &grow, &CancellationToken::new());
        assert!(matches!(result, Err(BucketError::SourceChanged { .. })), "{result:?}");
        assert!(!root.path().join("a.wav").exists());
    }

    #[test]
    fn what_a_crash_left_is_removed_at_the_next_start() {
        let root = tempfile::tempdir().unwrap();
        prepare(root.path()).unwrap();
        fs::write(temporary_folder(root.path()).join("half"), b"x").unwrap();
        let in_use = Temporary::create(root.path()).unwrap();
        prepare(root.path()).unwrap();
        assert_eq!(left_over(root.path()), 1);
        assert!(in_use.path.exists());
    }

    #[test]
    fn deleting_removes_folders_that_became_empty() {
        let root = tempfile::tempdir().unwrap();
        put_bytes(&target(root.path(), "2026/11/a.wav", PutMode::CreateNew), b"x").unwrap();
        put_bytes(&target(root.path(), "2026/b.wav", PutMode::CreateNew), b"x").unwrap();
        delete(root.path(), &root.path().join("2026/11/a.wav")).unwrap();
        assert!(!root.path().join("2026/11").exists() && root.path().join("2026/b.wav").exists());
        delete(root.path(), &root.path().join("2026/11/a.wav")).unwrap();
    }
}
