//! What waits to be sent to one client: bounded, and never stale.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use roomtone_protocol::signal::ServerMessage;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::limits::Limits;

/// The client does not take its messages as fast as they come.
#[derive(Debug)]
pub(crate) struct Overflow;

/// The queue of one connection. Of levels and of states only the newest waits: whoever is slow misses those
/// between, and everything else comes before them.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    ready: Notify,
    /// Nothing more will be queued; what is there may still go.
    ending: CancellationToken,
    /// The connection is to end now.
    aborted: CancellationToken,
    max_messages: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Utf8Bytes>,
    bytes: usize,
    state: Option<Utf8Bytes>,
    levels: Option<Utf8Bytes>,
}

impl Outbox {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            queue: Mutex::default(),
            ready: Notify::new(),
            ending: CancellationToken::new(),
            aborted: CancellationToken::new(),
            max_messages: limits.queue_messages,
            max_bytes: limits.queue_bytes,
        }
    }

    /// Queues a message that reads `text`.
    pub(crate) fn push(&self, message: &ServerMessage, text: Utf8Bytes) -> Result<(), Overflow> {
        let mut queue = self.queue();
        match message {
            ServerMessage::Levels { .. } => queue.levels = Some(text),
            ServerMessage::State { .. } => queue.state = Some(text),
            _ => {
                let bytes = queue.bytes + text.len();
                if queue.messages.len() >= self.max_messages || bytes > self.max_bytes {
                    return Err(Overflow);
                }
                queue.bytes = bytes;
                queue.messages.push_back(text);
            }
        }
        drop(queue);
        self.ready.notify_one();
        Ok(())
    }

    /// The next message; None after the last one of a connection that ends.
    pub(crate) async fn next(&self) -> Option<Utf8Bytes> {
        loop {
            // Before the queue is looked at: what is queued in between wakes the wait below at once.
            let ready = self.ready.notified();
            if let Some(text) = self.pop() {
                return Some(text);
            }
            if self.ending.is_cancelled() {
                return None;
            }
            tokio::select! {
                () = ready => {}
                () = self.ending.cancelled() => {}
            }
        }
    }

    /// Nothing more comes after what is queued.
    pub(crate) fn end(&self) {
        self.ending.cancel();
    }

    /// Ends the connection whatever is queued.
    pub(crate) fn abort(&self) {
        self.aborted.cancel();
        self.ending.cancel();
    }

    pub(crate) async fn ending(&self) {
        self.ending.cancelled().await;
    }

    pub(crate) async fn aborted(&self) {
        self.aborted.cancelled().await;
    }

    fn pop(&self) -> Option<Utf8Bytes> {
        let mut queue = self.queue();
        if let Some(text) = queue.messages.pop_front() {
            queue.bytes -= text.len();
            return Some(text);
        }
        let newest = queue.state.take();
        newest.or_else(|| queue.levels.take())
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn outbox(queue_messages: usize, queue_bytes: usize) -> Outbox {
        Outbox::new(&Limits { queue_messages, queue_bytes, ..Limits::default() })
    }

    fn levels() -> ServerMessage {
        ServerMessage::Levels { levels: BTreeMap::new() }
    }

    #[tokio::test]
    async fn levels_are_dropped_first_and_go_last() {
        let outbox = outbox(2, 100);
        outbox.push(&levels(), "old levels".into()).unwrap();
        outbox.push(&ServerMessage::RoomClosed, "one".into()).unwrap();
        outbox.push(&levels(), "new levels".into()).unwrap();
        outbox.push(&ServerMessage::RoomClosed, "two".into()).unwrap();
        outbox.push(&levels(), "newest levels".into()).unwrap();
        outbox.end();
        let mut got = Vec::new();
        while let Some(text) = outbox.next().await {
            got.push(text.to_string());
        }
        assert_eq!(got, ["one", "two", "newest levels"]);
    }

    #[test]
    fn a_queue_is_bounded_in_messages_and_in_bytes() {
        let full = outbox(2, 100);
        full.push(&ServerMessage::RoomClosed, "one".into()).unwrap();
        full.push(&ServerMessage::RoomClosed, "two".into()).unwrap();
        assert!(full.push(&ServerMessage::RoomClosed, "three".into()).is_err());
        full.push(&levels(), "levels".into()).unwrap();
        let long = outbox(100, 10);
        long.push(&ServerMessage::RoomClosed, "123456".into()).unwrap();
        assert!(long.push(&ServerMessage::RoomClosed, "123456".into()).is_err());
        assert!(long.pop().is_some());
        long.push(&ServerMessage::RoomClosed, "123456".into()).unwrap();
    }
}
