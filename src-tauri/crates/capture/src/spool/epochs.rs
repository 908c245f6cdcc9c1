//! Which runs of the program a spool knows of.

use std::path::Path;

use roomtone_protocol::{RecordingId, WakeEpoch};

use super::SpoolError;
use super::limits::{named, parse_recorder};
use super::spooled::epoch_of;

/// The newest run of the program that left packets in any recorder's spool; `dir` is what [`super::Spool::open`] was given.
/// A later run has to have a higher number, or what it captures would be taken for what is there already.
///
/// # Errors
/// If the disk fails.
pub fn newest_epoch(dir: &Path) -> Result<Option<WakeEpoch>, SpoolError> {
    let mut newest = None;
    for (_, path) in named(dir, parse_recorder)? {
        for (_, path) in named(&path, |name| name.parse::<RecordingId>().ok())? {
            for entry in std::fs::read_dir(&path).map_err(super::failed("read", &path))? {
                let file = entry.map_err(super::failed("read", &path))?.path();
                newest = newest.max(epoch_of(&file));
            }
        }
    }
    Ok(newest)
}
