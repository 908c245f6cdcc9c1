//! A queue in front of a link, so that whoever decides what to send never waits for the network.

use roomtone_transport::{LinkSender, SendError};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

/// Messages that may wait for a stalled link: minutes of control traffic. A link that lets more pile up is given up;
/// the next one starts from what both ends hold, so nothing is lost with the queue.
const QUEUE: usize = 1024;

/// What goes out, in order.
enum Outgoing<M> {
    Message(M),
    Bulk(Vec<u8>),
    /// Everything before it has been handed to the link.
    Flushed(oneshot::Sender<()>),
}

/// The sending half of one link.
pub(crate) struct Outbox<M> {
    queue: mpsc::Sender<Outgoing<M>>,
    link: LinkSender<M>,
}

impl<M> Clone for Outbox<M> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), link: self.link.clone() }
    }
}

impl<M: Serialize + Send + 'static> Outbox<M> {
    /// Starts to send over `link`.
    pub(crate) fn new(link: LinkSender<M>) -> Self {
        let (queue, mut waiting) = mpsc::channel(QUEUE);
        let sender = link.clone();
        tokio::spawn(async move {
            while let Some(outgoing) = waiting.recv().await {
                let sent = match outgoing {
                    Outgoing::Flushed(done) => {
                        let _unheard = done.send(());
                        Ok(())
                    }
                    Outgoing::Message(message) => sender.send(message).await,
                    Outgoing::Bulk(records) => sender.send_bulk(records).await,
                };
                match sent {
                    Ok(()) => {}
                    Err(SendError::LinkClosed) => break,
                    Err(error @ SendError::TooLong { .. }) => tracing::error!(%error, "a message was not sent"),
                }
            }
        });
        Self { queue, link }
    }

    /// Queues a message.
    pub(crate) fn send(&self, message: M) {
        self.push(Outgoing::Message(message));
    }

    /// Queues records.
    pub(crate) fn bulk(&self, records: Vec<u8>) {
        self.push(Outgoing::Bulk(records));
    }

    /// Waits until the link has been handed all that was queued before.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        self.push(Outgoing::Flushed(done));
        // An error means that the link is gone, and the queue with it.
        let _gone = flushed.await;
    }

    /// The link behind the queue.
    pub(crate) fn link(&self) -> &LinkSender<M> {
        &self.link
    }

    fn push(&self, outgoing: Outgoing<M>) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(outgoing) {
            tracing::warn!(queue = QUEUE, "a link is stalled and is given up");
            self.link.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use roomtone_protocol::channel::ToParticipant;
    use roomtone_protocol::state::Role;
    use roomtone_protocol::{ParticipantId, WakeEpoch};
    use roomtone_transport::{LinkEvent, ParticipantLink, Peer, local_link};

    use super::*;

    /// A participant's end of a link, and the recorder's queue in front of the other end.
    fn link() -> (ParticipantLink, Outbox<ToParticipant>) {
        let peer = Peer {
            participant: ParticipantId::from_bytes([1; 16]),
            role: Role::Participant,
            host: false,
            passing: false,
            epoch: WakeEpoch(1),
            name: None,
        };
        let (participant, recorder) = local_link(peer);
        (participant, Outbox::new(recorder.sender))
    }

    const LAST_WORD: LinkEvent<ToParticipant> = LinkEvent::Message(ToParticipant::RoomClosed);

    #[tokio::test]
    async fn last_words_are_out_once_the_queue_is_flushed() {
        // A link that closes at once takes with it what only waits in the queue...
        let (mut participant, outbox) = link();
        outbox.send(ToParticipant::RoomClosed);
        outbox.link().close();
        assert_eq!(participant.events.recv().await, Some(LinkEvent::Closed));
        // ... and what was flushed arrives before the end.
        let (mut participant, outbox) = link();
        outbox.send(ToParticipant::RoomClosed);
        outbox.flush().await;
        outbox.link().close();
        assert_eq!(participant.events.recv().await, Some(LAST_WORD));
        assert_eq!(participant.events.recv().await, Some(LinkEvent::Closed));
    }

    #[tokio::test]
    async fn a_flush_keeps_the_order_and_comes_after_everything() {
        let (mut participant, outbox) = link();
        for _ in 0..100 {
            outbox.bulk(vec![1, 2, 3]);
        }
        outbox.send(ToParticipant::RoomClosed);
        outbox.flush().await;
        let arrived: Vec<_> = std::iter::from_fn(|| participant.events.try_recv().ok()).collect();
        assert_eq!((arrived.len(), arrived.last()), (101, Some(&LAST_WORD)));
    }

    #[tokio::test]
    async fn nobody_waits_for_a_link_that_is_gone() {
        let (participant, outbox) = link();
        drop(participant);
        outbox.link().close();
        outbox.send(ToParticipant::RoomClosed);
        outbox.flush().await;
        outbox.flush().await;
    }
}
