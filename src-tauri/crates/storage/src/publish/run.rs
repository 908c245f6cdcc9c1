//! The task of one recording: does what is on the desk for it, until nothing is.

use std::sync::Arc;
use std::time::Duration;

use roomtone_clock::now;
use roomtone_protocol::{ClockNs, ErrorReport, RecordingId};
use tokio::sync::SemaphorePermit;

use super::desk::Errand;
use super::{PublishEvent, Shared, discard, published, revise, work};

impl Shared {
    pub(super) async fn run(self: Arc<Self>, recording: RecordingId) {
        let mut pause = self.settings.first_pause;
        while let Some(errand) = self.next(recording) {
            if let Errand::Revise { version, due } = errand
                && !self.gathered(recording, version, due).await
            {
                continue;
            }
            let attempt = match errand {
                // Whatever is under way ends here, and is then cleared away.
                Errand::Publish | Errand::Revise { .. } => tokio::select! {
                    attempt = self.attempt(recording, errand) => attempt,
                    () = self.discarding(recording) => continue,
                },
                Errand::Discard => self.attempt(recording, errand).await,
            };
            match attempt {
                Ok(event) => {
                    // Told first: whoever waits for the queue to drain finds the event there.
                    if let Some(event) = event {
                        self.tell(event).await;
                    }
                    self.reserved().retain(|_, owner| *owner != recording);
                    self.desk.send_modify(|desk| desk.done(recording, errand));
                    pause = self.settings.first_pause;
                }
                Err(error) => {
                    tracing::warn!(code = %error.code, ?pause, ?errand, "the bucket did not do it; trying again");
                    self.tell(PublishEvent::Retrying { recording, error, after: pause }).await;
                    tokio::select! {
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(self.settings.longest_pause),
                        () = self.nudge.notified() => pause = self.settings.first_pause,
                        () = self.discarding(recording), if errand != Errand::Discard => {}
                    }
                }
            }
        }
    }

    fn next(&self, recording: RecordingId) -> Option<Errand> {
        let mut next = None;
        self.desk.send_modify(|desk| next = desk.next(recording));
        next
    }

    async fn attempt(&self, recording: RecordingId, errand: Errand) -> Result<Option<PublishEvent>, ErrorReport> {
        match errand {
            Errand::Publish => {
                self.hand_over(recording).await;
                let _permit = self.permit().await;
                Ok(work::advance(self, recording).await?.map(published))
            }
            Errand::Revise { version, .. } => {
                let _permit = self.permit().await;
                revise::advance(self, recording, version).await
            }
            // Needs no bandwidth.
            Errand::Discard => {
                self.break_off(recording).await;
                discard::advance(self, recording).await?;
                Ok(Some(PublishEvent::Discarded { recording }))
            }
        }
    }

    async fn permit(&self) -> SemaphorePermit<'_> {
        self.permits.acquire().await.expect("invariant: the semaphore is never closed")
    }

    /// Waits until no more newer versions are gathered; false if something else has become more urgent.
    async fn gathered(&self, recording: RecordingId, version: u64, due: ClockNs) -> bool {
        let mut draining = self.draining.subscribe();
        let wait = Duration::from_nanos(u64::try_from(due.0.saturating_sub(now().0)).unwrap_or(0));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.nudge.notified() => {}
            () = async { drop(draining.wait_for(|waiting| *waiting > 0).await) } => {}
            () = self.discarding(recording) => return false,
        }
        let mut newest = false;
        self.desk.send_modify(|desk| newest = desk.take_up(recording, version));
        newest
    }

    /// Waits until the recording is to be discarded.
    async fn discarding(&self, recording: RecordingId) {
        let mut desk = self.desk.subscribe();
        drop(desk.wait_for(|desk| desk.is_discarding(recording)).await);
    }
}
