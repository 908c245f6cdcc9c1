//! What was captured for a recording, on disk until the recording is safe in the bucket.
//!
//! ```text
//! DIR/{recorder}/recorder.json             pins the recorder's key: the spool serves nobody else
//! DIR/{recorder}/{recording}/{epoch}-{n}.packets    records of roomtone-packets, only ever appended to
//! DIR/{recorder}/{recording}.gone          archived, discarded or expired: nothing of it comes back
//! ```
//!
//! A file holds packets, and in front of a segment's first one what places it: the segment, its anchors, what is
//! muted. So a program that starts anew can tell the recorder of what an earlier start captured.

mod epochs;
mod file;
mod index;
mod limits;
mod notes;
mod spooled;
mod store;
mod sync;

pub use epochs::newest_epoch;
pub use limits::{Limits, Stored, overdue};
pub use notes::Note;
pub use store::Spool;

use std::path::PathBuf;

use roomtone_protocol::{ErrorReport, code};

/// Why the spool failed.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk did.
    #[error("{} could not be {action}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Somebody else's, or damaged.
    #[error("{} belongs to another recorder", path.display())]
    WrongRecorder {
        /// The file that says so.
        path: PathBuf,
    },
    /// Written by a newer version.
    #[error("{} was written by a newer version of Roomtone", path.display())]
    NewerVersion {
        /// The file.
        path: PathBuf,
    },
}

impl From<SpoolError> for ErrorReport {
    fn from(error: SpoolError) -> Self {
        let (code, hint) = match &error {
            SpoolError::Io { .. } => (code::IO, "check the disk's free space and permissions"),
            SpoolError::WrongRecorder { .. } => {
                (code::WRONG_RECORDER, "use another data directory, or move this one away")
            }
            SpoolError::NewerVersion { .. } => (code::NEWER_VERSION, "update Roomtone"),
        };
        Self::new(code, error.to_string(), hint)
    }
}

/// Turns an I/O error into one that says what it was about.
fn failed(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> SpoolError {
    let path = path.into();
    move |source| SpoolError::Io { action, path, source }
}

#[cfg(test)]
mod tests;
