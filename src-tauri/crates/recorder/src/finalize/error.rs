//! What can keep a take from being made.

use std::io;
use std::path::{Path, PathBuf};

use crate::journal::JournalError;
use crate::render::RenderError;

/// A take that could not be written. The journal is untouched.
#[derive(Debug, thiserror::Error)]
pub enum FinalizeError {
    /// There is no channel or no recorded time: there is nothing to keep.
    #[error("nothing was recorded")]
    Empty,
    /// [`FinalizeOptions::on_progress`] broke it off.
    #[error("finalizing was broken off; it can be begun again")]
    Cancelled,
    /// The name is taken; nothing was overwritten.
    #[error("{} exists already; move it away or choose another name", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The disk is full; finalize again once there is room.
    #[error("no space left for {}; free some, the recording is kept and will be finished", path.display())]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{}: {source}; check the disk and the folder's permissions", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The audio could not be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
}

impl FinalizeError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::DiskFull { path: path.to_owned() }
            }
            _ => Self::Io { path: path.to_owned(), source },
        }
    }
}
