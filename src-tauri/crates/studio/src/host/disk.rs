//! How much room there is on the host's disk, and local copies that are not needed any more.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use roomtone_clock::wall_ns;
use roomtone_disk::Reserve;
use roomtone_protocol::RecordingId;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::engine::Input;
use super::folder;
use super::shelf::Shelf;

/// How often the free space is looked at. Who frees some and records again at once must not be refused for what was; 32
/// channels write 6 MB meanwhile, well within the room's reserve.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Local copies are looked through at least this often, and at most every second.
const EXPIRE_EVERY: Duration = Duration::from_secs(600);

/// Bytes that are free for this program where a folder lies. None where the system is not asked: on Windows.
fn free_bytes(folder: &Path) -> io::Result<Option<u64>> {
    #[cfg(unix)]
    {
        let stat = rustix::fs::statvfs(folder)?;
        Ok(Some(stat.f_bavail.saturating_mul(stat.f_frsize)))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        Ok(None)
    }
}

/// Tells the engine how much room there is, for as long as it listens. What is held in reserve counts as free: the rules
/// keep as much back.
pub(super) fn watch_disk(root: PathBuf, reserve: Reserve, inbox: mpsc::Sender<Input>) {
    tokio::spawn(async move {
        let mut every = interval(LOOK_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !inbox.is_closed() {
            every.tick().await;
            let (root, reserve) = (root.clone(), reserve.clone());
            let look = tokio::task::spawn_blocking(move || {
                let (free, held) = reserve.beside(|| free_bytes(&root));
                free.map(|free| free.map(|free| free.saturating_add(held)))
            });
            match look.await.unwrap_or(Ok(None)) {
                Ok(Some(free_bytes)) => drop(inbox.send(Input::Disk { free_bytes }).await),
                Ok(None) => break,
                Err(error) => tracing::warn!(%error, "the disk does not tell how much room it has"),
            }
        }
    });
}

/// Removes local copies, for as long as the engine listens.
pub(super) fn watch_copies(recordings: PathBuf, keep: Duration, shelf: Shelf, inbox: mpsc::Sender<Input>) {
    tokio::spawn(async move {
        let mut every = interval(keep.clamp(Duration::from_secs(1), EXPIRE_EVERY));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !inbox.is_closed() {
            every.tick().await;
            let (recordings, shelf) = (recordings.clone(), shelf.clone());
            let expired = tokio::task::spawn_blocking(move || {
                expire(&recordings, keep, wall_ns(), |recording| shelf.is_in_bucket(recording))
            });
            match expired.await.unwrap_or(Ok(0)) {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "local copies that the bucket has were removed"),
                Err(error) => tracing::warn!(%error, "local copies cannot be removed"),
            }
        }
    });
}

/// Removes the folders of recordings that ended at least `keep` before `now_ns`, on the wall clock, as far as the bucket
/// has them. How many.
fn expire(
    recordings: &Path,
    keep: Duration,
    now_ns: i64,
    in_bucket: impl Fn(RecordingId) -> bool,
) -> io::Result<usize> {
    let mut count = 0;
    for (recording, folder) in folder::all(recordings)? {
        let ended = folder::read_metadata(&folder).and_then(|metadata| ended_ns(&metadata.ended_at));
        let old = ended.is_some_and(|ended| i128::from(now_ns) - ended >= keep.as_nanos().cast_signed());
        if old && folder::is_submitted(&folder) && in_bucket(recording) {
            folder::remove_all(&folder)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Nanoseconds since 1970 of an RFC 3339 text.
fn ended_ns(text: &str) -> Option<i128> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp_nanos)
}

#[cfg(test)]
mod tests {
    use roomtone_protocol::RoomId;
    use roomtone_protocol::metadata::{Metadata, Parts, SCHEMA};

    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;

    fn recorded(root: &Path, n: u8, submitted: bool) -> RecordingId {
        let id = RecordingId::from_bytes([n; 16]);
        let folder = root.join(id.to_string());
        std::fs::create_dir_all(folder::journal_path(&folder)).unwrap();
        let metadata = Metadata {
            schema: SCHEMA,
            id,
            room: "Studio".into(),
            room_id: RoomId::from_bytes([1; 16]),
            title: None,
            notes: None,
            started_at: "1970-01-01T00:00:00Z".into(),
            ended_at: "1970-01-01T00:01:00Z".into(),
            sample_rate: 48_000,
            bit_depth: 24,
            frames: 2_880_000,
            size: 0,
            sha256: None,
            parts: Parts { size: 1, sha256: vec![] },
            software: String::new(),
            gapless: true,
            channels: vec![],
            unrecorded: vec![],
            markers: vec![],
            clock_seams: vec![],
        };
        folder::write_metadata(&folder, folder::Version::FIRST, &metadata).unwrap();
        if submitted {
            folder::mark_submitted(&folder).unwrap();
        }
        id
    }

    #[test]
    fn only_old_copies_that_the_bucket_has_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let (there, waiting, unknown) = (recorded(root, 1, true), recorded(root, 2, false), recorded(root, 3, true));
        let in_bucket = |recording| recording != unknown;
        let keep = Duration::from_secs(100);
        assert_eq!(expire(root, keep, 159 * SECOND_NS, in_bucket).unwrap(), 0, "not old enough");
        assert_eq!(expire(root, keep, 160 * SECOND_NS, in_bucket).unwrap(), 1);
        let left: Vec<_> = folder::all(root).unwrap().into_iter().map(|(recording, _)| recording).collect();
        assert!(!left.contains(&there) && left.contains(&waiting) && left.contains(&unknown));
    }

    #[test]
    #[cfg(unix)]
    fn a_disk_tells_how_much_room_it_has() {
        let root = tempfile::tempdir().unwrap();
        assert!(free_bytes(root.path()).unwrap().is_some());
        assert!(free_bytes(&root.path().join("missing")).is_err());
    }
}
