//! How much room there is on the host's disk, and local copies that are not needed any more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use roomtone_clock::wall_ns;
use roomtone_disk::Reserve;
use roomtone_protocol::RecordingId;
use roomtone_storage::Publisher;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::engine::Input;
use super::folder;
use super::shelf::Shelf;
use crate::keep_local::Keeping;

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
pub(super) fn watch_copies(
    recordings: PathBuf,
    keep: Keeping,
    shelf: Shelf,
    publisher: Arc<Publisher>,
    inbox: mpsc::Sender<Input>,
) {
    tokio::spawn(async move {
        let mut every = interval(keep.whole.clamp(Duration::from_secs(1), EXPIRE_EVERY));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !inbox.is_closed() {
            every.tick().await;
            let (recordings, shelf, publisher) = (recordings.clone(), shelf.clone(), Arc::clone(&publisher));
            let expired = tokio::task::spawn_blocking(move || {
                // A newer version that is on its way is only here.
                let confirmed = |recording| publisher.is_settled(recording) && shelf.is_in_bucket(recording);
                expire(&recordings, keep, wall_ns(), confirmed)
            });
            match expired.await.unwrap_or(Ok(0)) {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "local copies that the bucket has were removed"),
                Err(error) => tracing::warn!(%error, "local copies cannot be removed"),
            }
        }
    });
}

/// Removes the folders of recordings that ended long enough before `now_ns`, on the wall clock, as far as the bucket has
/// confirmed all that is in them. How many.
fn expire(recordings: &Path, keep: Keeping, now_ns: i64, confirmed: impl Fn(RecordingId) -> bool) -> io::Result<usize> {
    let mut count = 0;
    for (recording, folder) in folder::all(recordings)? {
        let Some(metadata) = folder::read_metadata(&folder) else { continue };
        let keep = if metadata.gapless { keep.whole } else { keep.lacking };
        let age = ended_ns(&metadata.ended_at).map(|ended| i128::from(now_ns) - ended);
        let old = age.is_some_and(|age| age >= keep.as_nanos().cast_signed());
        let handed_in = folder::is_submitted(&folder) && !folder::is_repairing(&folder);
        // Whose hash is not known yet can never be checked again.
        if old && handed_in && !folder::is_unhashed(&folder) && confirmed(recording) {
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

    const SECONDS_100: Keeping = Keeping { whole: Duration::from_secs(100), lacking: Duration::from_secs(300) };

    fn left(root: &Path) -> Vec<RecordingId> {
        folder::all(root).unwrap().into_iter().map(|(recording, _)| recording).collect()
    }

    #[test]
    fn only_old_copies_that_the_bucket_has_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let (there, waiting, unknown) = (recorded(root, 1, true), recorded(root, 2, false), recorded(root, 3, true));
        let confirmed = |recording| recording != unknown;
        assert_eq!(expire(root, SECONDS_100, 159 * SECOND_NS, confirmed).unwrap(), 0, "not old enough");
        assert_eq!(expire(root, SECONDS_100, 160 * SECOND_NS, confirmed).unwrap(), 1);
        let left = left(root);
        assert!(!left.contains(&there) && left.contains(&waiting) && left.contains(&unknown));
    }

    #[test]
    fn copies_stay_while_a_repair_or_a_hash_is_still_to_come_and_longer_if_something_is_missing() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let [repairing, unhashed, lacking] = [1, 2, 3].map(|n| recorded(root, n, true));
        let folder = |recording: RecordingId| root.join(recording.to_string());
        folder::mark_repairing(&folder(repairing)).unwrap();
        folder::mark_unhashed(&folder(unhashed)).unwrap();
        let mut metadata = folder::read_metadata(&folder(lacking)).unwrap();
        metadata.gapless = false;
        folder::write_metadata(&folder(lacking), folder::Version::FIRST, &metadata).unwrap();
        assert_eq!(expire(root, SECONDS_100, 200 * SECOND_NS, |_| true).unwrap(), 0);
        assert_eq!(expire(root, SECONDS_100, 360 * SECOND_NS, |_| true).unwrap(), 1);
        assert!(!left(root).contains(&lacking));
        folder::unmark_repairing(&folder(repairing)).unwrap();
        folder::unmark_unhashed(&folder(unhashed)).unwrap();
        assert_eq!(expire(root, SECONDS_100, 200 * SECOND_NS, |_| true).unwrap(), 2);
    }

    #[test]
    #[cfg(unix)]
    fn a_disk_tells_how_much_room_it_has() {
        let root = tempfile::tempdir().unwrap();
        assert!(free_bytes(root.path()).unwrap().is_some());
        assert!(free_bytes(&root.path().join("missing")).is_err());
    }
}
