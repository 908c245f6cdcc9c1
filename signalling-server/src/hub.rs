//! The rules of [`Rooms`] in the middle of many connections.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use roomtone_protocol::signal::ServerMessage;
use roomtone_protocol::{ClockNs, ErrorReport, RoomId};
use tokio::sync::Notify;

use crate::limits::Limits;
use crate::outbox::{Outbox, Overflow};
use crate::rooms::{ConnectionId, Input, Output, Rooms};

/// Longest wait for a deadline: timers stop while the machine sleeps, the timeline clock does not.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Owns the rooms and the queues to their clients.
#[derive(Debug)]
pub(crate) struct Hub {
    inner: Mutex<Inner>,
    last_connection: AtomicU64,
    earlier: Notify,
    limits: Limits,
}

#[derive(Debug)]
struct Inner {
    rooms: Rooms,
    outboxes: HashMap<ConnectionId, Arc<Outbox>>,
    closing: bool,
}

impl Hub {
    pub(crate) fn new(rooms: Rooms, limits: Limits) -> Self {
        let inner = Inner { rooms, outboxes: HashMap::new(), closing: false };
        Self { inner: Mutex::new(inner), last_connection: AtomicU64::new(0), earlier: Notify::new(), limits }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Asks the rooms something.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Rooms) -> T) -> T {
        question(&self.inner().rooms)
    }

    pub(crate) fn admits(&self, room: RoomId) -> Result<(), ErrorReport> {
        self.ask(|rooms| rooms.admits(room))
    }

    /// Begins a connection.
    pub(crate) fn connect(&self, room: RoomId, nonce: String) -> (ConnectionId, Arc<Outbox>) {
        let connection = ConnectionId(self.last_connection.fetch_add(1, Ordering::Relaxed));
        let outbox = Arc::new(Outbox::new(&self.limits));
        let mut inner = self.inner();
        if inner.closing {
            outbox.end();
        } else {
            inner.outboxes.insert(connection, Arc::clone(&outbox));
            drop(inner);
            self.handle(Input::Connected { connection, room, nonce });
        }
        (connection, outbox)
    }

    /// Hands an input to the rooms and carries out what follows from it.
    pub(crate) fn handle(&self, input: Input<'_>) {
        let mut inner = self.inner();
        let before = inner.rooms.next_deadline();
        inner.rooms.handle(roomtone_clock::now(), input);
        inner.carry_out();
        let after = inner.rooms.next_deadline();
        drop(inner);
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.earlier.notify_one();
        }
    }

    /// Keeps the rooms' deadlines; never ends.
    pub(crate) async fn keep_time(&self) {
        loop {
            let now = roomtone_clock::now();
            let wait = self.ask(Rooms::next_deadline).map_or(LONGEST_WAIT, |deadline| until(now, deadline));
            tokio::select! {
                () = tokio::time::sleep(wait) => self.handle(Input::Tick),
                () = self.earlier.notified() => {}
            }
        }
    }

    /// Ends all connections; clients that connect again find their rooms at the next relay of this secret.
    pub(crate) fn close(&self) {
        let mut inner = self.inner();
        inner.closing = true;
        inner.outboxes.drain().for_each(|(_, outbox)| outbox.end());
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn carry_out(&mut self) {
        let mut written: Option<(Arc<ServerMessage>, Utf8Bytes)> = None;
        while let Some(output) = self.rooms.poll_output() {
            match output {
                Output::Send { connection, message } => {
                    let Some(outbox) = self.outboxes.get(&connection) else { continue };
                    // What goes to many is written once.
                    let text = match &written {
                        Some((same, text)) if Arc::ptr_eq(same, &message) => text.clone(),
                        _ => Utf8Bytes::from(
                            serde_json::to_string(&*message).expect("messages have text keys and finite numbers only"),
                        ),
                    };
                    let pushed = outbox.push(&message, text.clone());
                    written = Some((message, text));
                    if let Err(Overflow) = pushed {
                        tracing::info!(connection = connection.0, "a slow client is dropped");
                        outbox.abort();
                        self.outboxes.remove(&connection);
                        self.rooms.handle(roomtone_clock::now(), Input::Disconnected { connection });
                    }
                }
                Output::Close { connection } => {
                    if let Some(outbox) = self.outboxes.remove(&connection) {
                        outbox.end();
                    }
                }
            }
        }
    }
}

fn until(now: ClockNs, deadline: ClockNs) -> Duration {
    let nanos = u64::try_from(deadline.0.saturating_sub(now.0)).unwrap_or(0);
    Duration::from_nanos(nanos).min(LONGEST_WAIT)
}
