//! Recordings that are older than they may get. Where the bucket has a rule for it, the store deletes them; everywhere else
//! the host does.

use std::sync::Arc;
use std::time::Duration;

use roomtone_clock::wall_ns;
use roomtone_protocol::RecordingId;
use roomtone_protocol::catalog::MetadataState;
use roomtone_storage::{BucketError, LifecycleRules, Listed, Publisher};
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::engine::Input;
use super::shelf::Shelf;

/// How often it is looked what is too old. Ages are days.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);

/// How long a look waits for the list and its metadata. What is not known by then is left to the next one.
const LIST: Duration = Duration::from_secs(10 * 60);

/// How old recordings may get, and who sees to it.
pub(super) struct Retention {
    pub(super) age: Duration,
    /// What the store would have to be told.
    pub(super) rules: LifecycleRules,
    pub(super) shelf: Shelf,
    pub(super) publisher: Arc<Publisher>,
}

/// Deletes what is too old, for as long as the engine listens.
pub(super) fn watch_age(retention: Retention, inbox: mpsc::Sender<Input>) {
    tokio::spawn(async move {
        let mut every = interval(LOOK_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !inbox.is_closed() {
            every.tick().await;
            if retention.store_sees_to_it().await {
                continue;
            }
            let keys = retention.delete_expired().await;
            if !keys.is_empty() {
                drop(inbox.send(Input::Expired { keys }).await);
            }
        }
    });
}

impl Retention {
    async fn store_sees_to_it(&self) -> bool {
        let report = self.shelf.bucket().lifecycle(&self.rules, false).await;
        let does = report.as_ref().is_ok_and(|report| report.deletes_by_itself(&self.rules));
        match report {
            Ok(_) if does => tracing::info!("the storage deletes old recordings by its own rule"),
            Ok(_) => tracing::info!(
                "this host deletes old recordings; with `roomtone storage lifecycle` the storage would do it by itself"
            ),
            Err(BucketError::NoLifecycle) => {
                tracing::debug!("this storage has no rules: this host deletes old recordings")
            }
            Err(error) => tracing::info!(%error, "the storage's rules are not known: this host deletes old recordings"),
        }
        does
    }

    /// The keys of what was deleted.
    async fn delete_expired(&self) -> Vec<String> {
        let mut list = self.shelf.watch();
        let unread = |listed: &Listed| listed.entry.metadata == MetadataState::Unread;
        let known = list.wait_for(|list| self.shelf.catalog().has_listed() && !list.iter().any(unread));
        if timeout(LIST, known).await.is_err() {
            tracing::info!("not all of the bucket is known yet; what is not is looked at later");
        }
        if !self.shelf.catalog().has_listed() {
            return Vec::new();
        }
        let now = OffsetDateTime::from_unix_timestamp_nanos(wall_ns().into()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let in_hand = |recording| self.shelf.is_on_its_way(recording) || self.publisher.is_at_work_on(recording);
        let expired = expired(&self.shelf.catalog().entries(), self.age, now, in_hand);
        let mut gone = Vec::new();
        for key in expired {
            match self.shelf.catalog().delete(&key).await {
                Ok(removal) => gone.extend(removal.keys().map(str::to_owned)),
                Err(BucketError::NotFound { .. }) => {}
                Err(error) => {
                    tracing::warn!(%error, "a recording that is too old could not be deleted; it is tried again")
                }
            }
        }
        gone
    }
}

/// The keys of recordings that were written, and began, at least `age` before `now`. Only ours: what has no metadata that
/// says so is somebody else's, and what is in hand is not finished.
fn expired(list: &[Listed], age: Duration, now: OffsetDateTime, in_hand: impl Fn(RecordingId) -> bool) -> Vec<String> {
    let old = |listed: &&Listed| {
        let newest = listed.modified.max(listed.at);
        listed.entry.metadata == MetadataState::Good
            && now - newest >= age
            && listed.entry.recording.is_some_and(|recording| !in_hand(recording))
    };
    list.iter().filter(old).map(|listed| listed.entry.key.clone()).collect()
}

#[cfg(test)]
mod tests {
    use roomtone_protocol::catalog::{CatalogEntry, EntryState, Reach};
    use time::macros::datetime;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn listed(n: u8, written: OffsetDateTime, metadata: MetadataState) -> Listed {
        let entry = CatalogEntry {
            recording: (metadata == MetadataState::Good).then(|| RecordingId::from_bytes([n; 16])),
            key: format!("{n}.wav"),
            title: None,
            room: None,
            started_at: String::new(),
            duration_ms: None,
            channels: None,
            size: 1,
            gapless: None,
            state: EntryState::Ready,
            reach: Reach::Everyone,
            metadata,
        };
        Listed { name: entry.key.clone(), entry, room_id: None, at: datetime!(2026-01-01 0:00 UTC), modified: written }
    }

    #[test]
    fn only_recordings_of_ours_that_are_finished_and_old_enough_expire() {
        use MetadataState::{Damaged, Good, Missing, Newer, Unread};
        let (now, old, new) =
            (datetime!(2026-11-21 0:00 UTC), datetime!(2026-08-23 0:00 UTC), datetime!(2026-08-23 0:00:01 UTC));
        let list = [
            listed(1, old, Good),
            listed(2, new, Good),
            listed(3, old, Missing),
            listed(4, old, Damaged),
            listed(5, old, Newer),
            listed(6, old, Unread),
            listed(7, old, Good),
        ];
        let in_hand = |recording| recording == RecordingId::from_bytes([7; 16]);
        assert_eq!(expired(&list, 90 * DAY, now, in_hand), ["1.wav"]);
        assert_eq!(expired(&list, 91 * DAY, now, in_hand), [""; 0]);
    }
}
