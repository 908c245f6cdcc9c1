//! The connection to the relay: enters the room, stays in it for as long as it takes, and carries the few things that
//! the relay is for.

mod socket;

use std::time::Duration;

use roomtone_protocol::signal::{ClientMessage, Member, ServerMessage, Station};
use roomtone_protocol::state::RoomState;
use roomtone_protocol::{ErrorReport, Identity, RoomId, code};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::backoff::Backoff;
use crate::random;
use socket::Socket;

/// Messages to the relay that may wait.
const OUTGOING_QUEUE: usize = 256;
/// Events from it that may wait; then the socket does.
const EVENT_QUEUE: usize = 256;
/// How long the last messages may take.
const FINISH: Duration = Duration::from_secs(2);
/// The relay passes on five levels a second; more would be thrown away there.
const LEVEL_INTERVAL: Duration = Duration::from_millis(200);

/// How to enter a room.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Base address of the relay, `http` or `https`.
    pub(crate) relay: String,
    pub(crate) room: RoomId,
    pub(crate) identity: Identity,
    pub(crate) epoch: u32,
    pub(crate) station: Station,
}

/// What comes from the relay.
#[derive(Debug)]
pub(crate) enum RelayEvent {
    /// We are in the room, for the first time or again.
    Entered { members: Vec<Member>, recorder: bool, state: Option<RoomState> },
    /// Anything that the relay says after that.
    Message(ServerMessage),
    /// The connection broke; it is being made again.
    Lost,
    /// The relay will not have us any more; nothing follows.
    Over(ErrorReport),
}

/// The endpoint's side of the connection. Dropping it ends the connection without a goodbye.
#[derive(Debug)]
pub(crate) struct Signalling {
    pub(crate) events: mpsc::Receiver<RelayEvent>,
    pub(crate) sender: RelaySender,
    finishing: CancellationToken,
    keeper: AbortOnDropHandle<()>,
}

/// Writes to the relay. What is written while it is away is lost, except for the newest state.
#[derive(Debug, Clone)]
pub(crate) struct RelaySender {
    messages: mpsc::Sender<ClientMessage>,
    state: watch::Sender<Option<RoomState>>,
    level: watch::Sender<Option<f32>>,
}

impl RelaySender {
    /// Sends a message if the relay takes it at once; negotiations that lose one are begun anew.
    pub(crate) fn send(&self, message: ClientMessage) {
        if self.messages.try_send(message).is_err() {
            tracing::debug!("a message to the relay is dropped: it does not keep up or is gone");
        }
    }

    /// Sends a message, waiting for its turn; for goodbyes.
    pub(crate) async fn say(&self, message: ClientMessage) {
        if self.messages.send(message).await.is_err() {
            tracing::debug!("there is no relay any more to say goodbye to");
        }
    }

    /// The newest state replaces one that was not sent yet, and is sent again after every return.
    pub(crate) fn state(&self, state: RoomState) {
        self.state.send_replace(Some(state));
    }

    /// The newest level replaces one that was not sent yet.
    pub(crate) fn level(&self, dbfs: f32) {
        self.level.send_replace(Some(dbfs));
    }
}

impl Signalling {
    /// Enters the room, once; afterwards stays in it.
    pub(crate) async fn enter(entry: Entry) -> Result<Self, ErrorReport> {
        let (socket, entered) = Socket::enter(&entry).await?;
        let (messages, messages_rx) = mpsc::channel(OUTGOING_QUEUE);
        let (events, events_rx) = mpsc::channel(EVENT_QUEUE);
        let (state, state_rx) = watch::channel(None);
        let (level, level_rx) = watch::channel(None);
        events.try_send(entered).expect("the queue is new and empty");
        let finishing = CancellationToken::new();
        let keeper = Keeper {
            entry,
            events,
            messages: messages_rx,
            state: state_rx,
            level: level_rx,
            finishing: finishing.clone(),
        };
        let keeper = AbortOnDropHandle::new(tokio::spawn(keeper.keep(socket)));
        let sender = RelaySender { messages, state, level };
        Ok(Self { events: events_rx, sender, finishing, keeper })
    }

    /// Sends what was written so far, and ends the connection in order.
    pub(crate) async fn finish(self) {
        let Self { mut events, finishing, keeper, .. } = self;
        finishing.cancel();
        // A keeper that waits for somebody to read its events would never finish.
        let unread = async { while events.recv().await.is_some() {} };
        let finished = async { tokio::join!(keeper, unread) };
        if tokio::time::timeout(FINISH, finished).await.is_err() {
            tracing::debug!("the relay did not take the last messages in time");
        }
    }
}

/// Holds the connection.
struct Keeper {
    entry: Entry,
    events: mpsc::Sender<RelayEvent>,
    messages: mpsc::Receiver<ClientMessage>,
    state: watch::Receiver<Option<RoomState>>,
    level: watch::Receiver<Option<f32>>,
    finishing: CancellationToken,
}

/// The endpoint is gone.
struct NobodyListens;

impl Keeper {
    async fn keep(mut self, mut socket: Socket) {
        loop {
            let after = match self.converse(&mut socket).await {
                Ok(after) => after,
                Err(NobodyListens) => return,
            };
            drop(socket);
            let event = after.map_or(RelayEvent::Lost, RelayEvent::Over);
            let is_over = matches!(event, RelayEvent::Over(_));
            if self.events.send(event).await.is_err() || is_over {
                return;
            }
            tracing::info!("the relay is away");
            socket = match self.enter_again().await {
                Ok(Some(socket)) => socket,
                Ok(None) | Err(NobodyListens) => return,
            };
        }
    }

    /// Carries messages until the connection breaks; gives the reason if the relay had a final one.
    async fn converse(&mut self, socket: &mut Socket) -> Result<Option<ErrorReport>, NobodyListens> {
        self.state.mark_changed();
        let mut level_at = tokio::time::Instant::now();
        loop {
            let message = tokio::select! {
                message = socket.next() => match message {
                    None => return Ok(None),
                    Some(ServerMessage::RoomClosed) => return Ok(Some(room_closed())),
                    Some(ServerMessage::Refused { error }) if is_final(&error) => return Ok(Some(error)),
                    Some(ServerMessage::Refused { error }) => {
                        tracing::warn!(code = %error.code, "the relay closes the connection");
                        return Ok(None);
                    }
                    Some(message) => {
                        self.events.send(RelayEvent::Message(message)).await.map_err(|_| NobodyListens)?;
                        continue;
                    }
                },
                message = self.messages.recv() => message.ok_or(NobodyListens)?,
                () = self.finishing.cancelled() => {
                    self.say_the_rest(socket).await;
                    return Err(NobodyListens);
                }
                changed = self.state.changed() => {
                    changed.map_err(|_| NobodyListens)?;
                    match self.state.borrow_and_update().clone() {
                        Some(state) => ClientMessage::State { state },
                        None => continue,
                    }
                }
                changed = async {
                    tokio::time::sleep_until(level_at).await;
                    self.level.changed().await
                } => {
                    changed.map_err(|_| NobodyListens)?;
                    level_at = tokio::time::Instant::now() + LEVEL_INTERVAL;
                    match *self.level.borrow_and_update() {
                        Some(dbfs) => ClientMessage::Level { dbfs },
                        None => continue,
                    }
                }
            };
            if socket.send(&message).await.is_err() {
                return Ok(None);
            }
        }
    }

    async fn say_the_rest(&mut self, socket: &mut Socket) {
        while let Ok(message) = self.messages.try_recv() {
            if socket.send(&message).await.is_err() {
                return;
            }
        }
        socket.close().await;
    }

    /// Tries until it works. None when the relay will not have us.
    async fn enter_again(&mut self) -> Result<Option<Socket>, NobodyListens> {
        let mut backoff = Backoff::default();
        loop {
            tokio::select! {
                () = tokio::time::sleep(backoff.pause(random::bytes::<1>()[0])) => {}
                () = self.finishing.cancelled() => return Err(NobodyListens),
            }
            match Socket::enter(&self.entry).await {
                Ok((socket, entered)) => {
                    // What was said to a relay that was not there is old by now.
                    while self.messages.try_recv().is_ok() {}
                    tracing::info!("the relay is back");
                    self.events.send(entered).await.map_err(|_| NobodyListens)?;
                    return Ok(Some(socket));
                }
                Err(error) if is_final(&error) => {
                    self.events.send(RelayEvent::Over(error)).await.map_err(|_| NobodyListens)?;
                    return Ok(None);
                }
                Err(error) => tracing::debug!(code = %error.code, "the relay is still away"),
            }
            if self.events.is_closed() {
                return Err(NobodyListens);
            }
        }
    }
}

fn room_closed() -> ErrorReport {
    ErrorReport::new(code::ROOM_CLOSED, "the host closed this room", "ask the host for a new invite")
}

/// Whether trying again is of no use: the room is over, or another program of the same identity is in it.
fn is_final(error: &ErrorReport) -> bool {
    [code::ROOM_CLOSED, code::ALREADY_PRESENT].contains(&error.code.as_str())
}
