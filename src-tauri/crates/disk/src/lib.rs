//! The disk as what must survive sees it: append, sync, give a name, and nothing else.
//!
//! [`SystemDisk`] is the real one. With the feature `testing` there is one in memory beside it, which fails at any
//! operation that a test names, keeps only what was synced when its power is cut, and tears the rest.
//!
//! | call | done when it returns |
//! |---|---|
//! | [`AppendFile::append`] | readers see the bytes; a power cut may take any of them |
//! | [`AppendFile::sync`] | the file's bytes survive a power cut; its name may not |
//! | [`Disk::sync_dir`] | the names in a folder survive a power cut |
//!
//! After an error of `append`, `sync` or `truncate` a file is not written to again: nobody can tell which of its dirty
//! pages the system has thrown away, and a second `sync` would not say so (Linux reports an error of writing back once).

#[cfg(all(feature = "mounted", target_os = "linux"))]
mod mounted;
mod reserve;
#[cfg(feature = "testing")]
mod simulated;
mod system;
mod whole;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;

#[cfg(all(feature = "mounted", target_os = "linux"))]
pub use mounted::MountedDisk;
pub use reserve::{RESERVE_BYTES, Reserve};
#[cfg(feature = "testing")]
pub use simulated::{Cut, Entry, Fault, SimulatedDisk};
pub use system::SystemDisk;
pub use whole::{create_dirs, write_whole};

/// Where files are. Paths are absolute, or relative to where the program runs.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes an empty file.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken; else what the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;

    /// Opens a file, to go on behind its last byte.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;

    /// Opens a file to read it.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, path: &Path) -> io::Result<Box<dyn ReadFile>>;

    /// Gives a file another name, in place of whatever had it.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The names in a folder, in any order.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;

    /// Whether there is a file or a folder of that name.
    fn exists(&self, path: &Path) -> bool;

    /// Makes one folder; it is fine if it is there already.
    ///
    /// # Errors
    /// What the system says.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable, where the system has a way to say so.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// A file that only grows.
pub trait AppendFile: fmt::Debug + Send {
    /// Writes all of it behind the last byte. After an error any part of it may stand there.
    ///
    /// # Errors
    /// What the system says.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything that was appended durable.
    ///
    /// # Errors
    /// What the system says; then what was appended since the last success may be gone, whatever a later call says.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to this length: the one way in which it gets shorter.
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// A file that is read at any place.
pub trait ReadFile: fmt::Debug + Send {
    /// Reads some bytes at an offset; 0 at the end.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<usize>;
}

/// Whether an error says that there is no room left.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
