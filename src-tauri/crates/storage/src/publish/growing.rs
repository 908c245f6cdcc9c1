//! Takes that go up while they grow: which key each has, and who sends it, until its job takes over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};

use roomtone_protocol::{ErrorReport, RecordingId};
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::queue::Reservation;
use super::{Publisher, Shared, work};
use crate::{BucketError, GrowingUpload, Growth, KeyFields};

/// A recording in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrowingTake {
    /// The recording.
    pub recording: RecordingId,
    /// The room's name, as it will stand in the metadata.
    pub room: String,
    /// When it began, likewise.
    pub started_at: OffsetDateTime,
}

/// Somebody sends a take.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    /// The job takes over.
    hand_over: CancellationToken,
    /// The recording is discarded.
    break_off: CancellationToken,
    /// Closed when nothing is sent any more.
    ended: watch::Receiver<()>,
}

impl Publisher {
    /// Sends a take while it grows, if the settings and the bucket have it so; the answer is told what happens to the
    /// file. Its job, once there is one, takes over and needs only send the rest.
    pub fn grow(&self, take: GrowingTake) -> Option<mpsc::UnboundedSender<Growth>> {
        let shared = &self.shared;
        if !(shared.settings.grow && shared.bucket.takes_growing()) || self.is_discarded(take.recording) {
            return None;
        }
        // A few messages a second, and none is large.
        let (growth, file) = mpsc::unbounded_channel();
        let (hand_over, break_off) = (CancellationToken::new(), shared.stop.child_token());
        let (ending, ended) = watch::channel(());
        let sender = Sender { hand_over: hand_over.clone(), break_off: break_off.clone(), ended };
        let before = shared.senders().insert(take.recording, sender);
        let shared = Arc::clone(shared);
        self.shared.runtime.spawn(async move {
            if let Some(before) = before {
                before.break_off.cancel();
                before.ended().await;
            }
            break_off.run_until_cancelled(shared.send(take, file, hand_over)).await;
            drop(ending);
        });
        Some(growth)
    }

    /// Recordings of which something may have gone up while they grew, and that were not handed in since.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn growing(&self) -> Result<Vec<RecordingId>, ErrorReport> {
        let reserved = self.shared.queue.reservations().await.map_err(ErrorReport::from)?;
        Ok(reserved.into_iter().map(|reservation| reservation.recording).collect())
    }

    /// Nothing will be handed in of a recording that went up while it grew: has the store discard it. The recording may
    /// come back.
    ///
    /// # Errors
    /// What the store or the disk said; to be asked for again then.
    pub async fn withdraw(&self, recording: RecordingId) -> Result<(), ErrorReport> {
        let shared = &self.shared;
        shared.break_off(recording).await;
        if let Some(Reservation { key, .. }) = shared.queue.reservation(recording).await? {
            shared.bucket.discard_unfinished(&key, recording).await?;
            shared.queue.remove_reservation(recording).await?;
            work::release(shared, &key, recording);
        }
        Ok(())
    }
}

impl Shared {
    /// Sends a take until its job takes over.
    async fn send(&self, take: GrowingTake, file: mpsc::UnboundedReceiver<Growth>, hand_over: CancellationToken) {
        let recording = take.recording;
        let reserved = hand_over.run_until_cancelled(self.reserved_for(&take)).await.flatten();
        let Some(key) = reserved else { return };
        let upload = GrowingUpload { key: &key, recording, limit: self.settings.limit };
        match self.bucket.grow(upload, file, hand_over).await {
            Ok(()) => {}
            Err(BucketError::AlreadyExists { .. }) => {
                tracing::info!(%recording, "the key was taken by another object meanwhile; it goes up after its end");
                if let Err(error) = self.queue.remove_reservation(recording).await {
                    tracing::warn!(%recording, %error, "a reservation stays that is of no use");
                }
            }
            Err(error) => tracing::warn!(%recording, %error, "a recording goes up after its end"),
        }
    }

    /// The key of a take, reserved; tried until there is one. None if nothing of the recording may go up.
    async fn reserved_for(&self, take: &GrowingTake) -> Option<String> {
        let mut pause = self.settings.first_pause;
        loop {
            match self.reserve_for(take).await {
                Ok(key) => return key,
                Err(error) => tracing::warn!(code = %error.code, "a recording in progress does not go up yet"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.settings.longest_pause);
        }
    }

    async fn reserve_for(&self, take: &GrowingTake) -> Result<Option<String>, ErrorReport> {
        let recording = take.recording;
        if let Some(before) = self.queue.reservation(recording).await? {
            return Ok(Some(before.key));
        }
        let fields = KeyFields { room: &take.room, started_at: take.started_at, recording };
        let key = work::reserve(self, &fields, &BTreeSet::new()).await?;
        let _turn = self.turn.lock().await;
        // Whoever discards it finds the reservation, or nothing goes up.
        let over = self.desk.borrow().is_discarded(recording) || self.desk.borrow().is_publishing(recording);
        if over {
            work::release(self, &key, recording);
            return Ok(None);
        }
        self.queue.reserve(&Reservation::new(recording, key.clone())).await?;
        Ok(Some(key))
    }

    /// The job of a recording takes over: waits for what is on its way.
    pub(super) async fn hand_over(&self, recording: RecordingId) {
        self.end_sending(recording, |sender| &sender.hand_over).await;
    }

    /// Nothing of the recording is sent any more.
    pub(super) async fn break_off(&self, recording: RecordingId) {
        self.end_sending(recording, |sender| &sender.break_off).await;
    }

    async fn end_sending(&self, recording: RecordingId, by: impl Fn(&Sender) -> &CancellationToken) {
        // It stays until it has ended: a job that waits for it may be broken off itself.
        let sender = self.senders().get(&recording).cloned();
        if let Some(sender) = sender {
            by(&sender).cancel();
            sender.ended().await;
            self.senders().remove(&recording);
        }
    }

    fn senders(&self) -> MutexGuard<'_, BTreeMap<RecordingId, Sender>> {
        // Inserted and removed whole.
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sender {
    async fn ended(mut self) {
        // An error says that the other end is gone, which is what is waited for.
        while self.ended.changed().await.is_ok() {}
    }
}
