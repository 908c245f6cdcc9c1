//! What can be wrong with a journal.

use std::io;
use std::path::{Path, PathBuf};

use super::header::JOURNAL_SCHEMA;

/// A journal that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk is full. What was not fsynced no longer counts as covered; append again once there is room.
    #[error("no space left for {}; free some, the recording goes on by itself", path.display())]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The system refused. What was not fsynced no longer counts as covered; appending again begins a new file.
    #[error("{}: {source}; check the disk and the folder's permissions", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A later version wrote it; it is left as it is.
    #[error("{} has schema {found}, this version reads up to {JOURNAL_SCHEMA}; use a newer Roomtone", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
    },
    /// The folder holds no recording, or its header was destroyed.
    #[error("{} holds no recording's journal", path.display())]
    NoRecording {
        /// The folder.
        path: PathBuf,
    },
    /// There is a journal already; open it instead.
    #[error("{} holds a recording's journal already", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
}

impl JournalError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| {
            if roomtone_disk::is_full(&source) {
                Self::DiskFull { path: path.to_owned() }
            } else {
                Self::Io { path: path.to_owned(), source }
            }
        }
    }
}
