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
