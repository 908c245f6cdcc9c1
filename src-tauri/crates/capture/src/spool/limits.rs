//! A spool whose recorder never comes back does not stay for ever.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use roomtone_protocol::RecordingId;

use super::spooled::PACKETS;
use super::{SpoolError, failed};

/// What may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Since the last packet.
    pub age: Duration,
    /// Of everything together.
    pub bytes: u64,
}

impl Default for Limits {
    /// 14 days, 2 GB.
    fn default() -> Self {
        Self { age: Duration::from_secs(14 * 24 * 3600), bytes: 2_000_000_000 }
    }
}

/// A recording in somebody's spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// [`roomtone_protocol::PublicKey::hash`] of the recorder that it is kept for.
    pub recorder: [u8; 16],
    /// The recording.
    pub recording: RecordingId,
    /// Its size on disk.
    pub bytes: u64,
    /// Wall clock at its last packet, nanoseconds since 1970.
    pub written_ns: i64,
}

/// What has to go to keep within the limits, oldest first; `dir` is what [`super::Spool::open`] was given. What is
/// `in_use` stays, whatever its age and size. Nothing is removed: say so first, then [`super::Spool::expire`] it.
///
/// # Errors
/// If the disk fails.
pub fn overdue(
    dir: &Path,
    limits: &Limits,
    wall_ns: i64,
    in_use: impl Fn(&Stored) -> bool,
) -> Result<Vec<Stored>, SpoolError> {
    let mut stored = Vec::new();
    for (recorder, path) in named(dir, parse_recorder)? {
        for (recording, path) in named(&path, |name| name.parse::<RecordingId>().ok())? {
            let (bytes, written_ns) = measure(&path)?;
            stored.push(Stored { recorder, recording, bytes, written_ns });
        }
    }
    stored.sort_by_key(|stored| stored.written_ns);
    let mut total: u64 = stored.iter().map(|stored| stored.bytes).sum();
    let oldest = wall_ns.saturating_sub(i64::try_from(limits.age.as_nanos()).unwrap_or(i64::MAX));
    let too_much = |stored: &Stored| {
        let goes = (stored.written_ns < oldest || total > limits.bytes) && !in_use(stored);
        if goes {
            total -= stored.bytes;
        }
        goes
    };
    let goes = stored.iter().map(too_much).collect::<Vec<_>>();
    Ok(stored.into_iter().zip(goes).filter_map(|(stored, goes)| goes.then_some(stored)).collect())
}

/// The directories in `dir` whose names mean something.
pub(super) fn named<T>(dir: &Path, read: impl Fn(&str) -> Option<T>) -> Result<Vec<(T, PathBuf)>, SpoolError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("read", dir)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed("read", dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(&read);
        if let Some(name) = name
            && path.is_dir()
        {
            found.push((name, path));
        }
    }
    Ok(found)
}

pub(super) fn parse_recorder(name: &str) -> Option<[u8; 16]> {
    // The same 32 digits as every id has.
    name.parse::<RecordingId>().ok().map(|id| *id.as_bytes())
}

fn measure(dir: &Path) -> Result<(u64, i64), SpoolError> {
    let (mut bytes, mut written_ns) = (0, 0);
    for entry in fs::read_dir(dir).map_err(failed("read", dir))? {
        let path = entry.map_err(failed("read", dir))?.path();
        if path.extension().is_none_or(|extension| extension != PACKETS) {
            continue;
        }
        let metadata = fs::metadata(&path).map_err(failed("read", &path))?;
        bytes += metadata.len();
        let modified = metadata.modified().map_err(failed("read", &path))?;
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        written_ns = written_ns.max(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
    }
    Ok((bytes, written_ns))
}
