//! The rules of the relay as a plain value: no socket, no clock, no random source.
//!
//! The driver hands in what happens, with the time; drains [`Rooms::poll_output`] after each input; and comes
//! back with [`Input::Tick`] at [`Rooms::next_deadline`].

mod entry;
mod event;
mod mint;
mod refusal;
mod room;
mod timers;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use roomtone_protocol::signal::{self, ClientMessage, RoomCreated, ServerMessage};
use roomtone_protocol::{ClockNs, ErrorReport, PublicKey, RoomId};

use crate::limits::{Limits, Meter};
use event::Outputs;
pub use event::{ConnectionId, Input, Output, Standing};
use mint::Mint;
use room::{Room, Seat};
use timers::{Timer, Timers};

/// Random bytes that [`Rooms::create`] needs.
pub(crate) const RANDOM_BYTES: usize = mint::RANDOM_BYTES;

/// Closed rooms that are remembered, so that people hear "closed" and not "waiting for the host".
const REMEMBERED_CLOSED: usize = 1024;

/// A forwarded signal may be this much longer than it came: sender's id, and nulls for fields that were left out.
const ENVELOPE_BYTES: usize = 1024;

#[derive(Debug)]
struct Connection {
    room: RoomId,
    meter: Meter,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    /// Has not entered; was given this nonce.
    Knocking {
        nonce: String,
    },
    Seated(Seat),
}

/// All rooms of a relay.
#[derive(Debug)]
pub struct Rooms {
    limits: Limits,
    mint: Mint,
    connections: BTreeMap<ConnectionId, Connection>,
    rooms: BTreeMap<RoomId, Room>,
    closed: VecDeque<RoomId>,
    timers: Timers,
    out: Outputs,
}

impl Rooms {
    /// A relay without any room in use. A relay of the same secret knows the same rooms.
    #[must_use]
    pub fn new(secret: [u8; 32], limits: Limits) -> Self {
        Self {
            limits,
            mint: Mint::new(secret),
            connections: BTreeMap::new(),
            rooms: BTreeMap::new(),
            closed: VecDeque::new(),
            timers: Timers::default(),
            out: Outputs::default(),
        }
    }

    /// Gives `recorder` a new room. That costs no memory: the id and the token speak for themselves.
    #[must_use]
    pub fn create(&self, random: [u8; RANDOM_BYTES], recorder: &PublicKey, public_url: &str) -> RoomCreated {
        let room = self.mint.room(random);
        let host_token = self.mint.host_token(room, recorder);
        RoomCreated { room, host_token, share_link: format!("{public_url}/r/{room}") }
    }

    /// What is known of a room.
    #[must_use]
    pub fn standing(&self, room: RoomId) -> Standing {
        if self.closed.contains(&room) {
            Standing::Closed
        } else if self.mint.is_ours(room) {
            Standing::Known
        } else {
            Standing::Unknown
        }
    }

    /// Whether a connection to the room is worth accepting.
    ///
    /// # Errors
    /// `room_not_found`, or `limit_reached` when the relay has as many connections as it takes.
    pub fn admits(&self, room: RoomId) -> Result<(), ErrorReport> {
        if self.standing(room) == Standing::Unknown {
            return Err(refusal::room_not_found());
        }
        if self.connections.len() >= self.limits.sockets { Err(refusal::too_many("connections")) } else { Ok(()) }
    }

    /// Takes what happened at `now`.
    pub fn handle(&mut self, now: ClockNs, input: Input<'_>) {
        match input {
            Input::Connected { connection, room, nonce } => self.connected(now, connection, room, nonce),
            Input::Text { connection, text } => self.heard(now, connection, text.len(), Some(text)),
            Input::Control { connection } => self.heard(now, connection, 0, None),
            Input::Unreadable { connection } => self.refuse(now, connection, refusal::unreadable()),
            Input::Disconnected { connection } => self.gone(now, connection),
            Input::Tick => {}
        }
        while let Some(timer) = self.timers.pop_due(now) {
            self.due(now, timer);
        }
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.next()
    }

    /// When to come back with [`Input::Tick`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<ClockNs> {
        self.timers.next()
    }

    fn connected(&mut self, now: ClockNs, connection: ConnectionId, room: RoomId, nonce: String) {
        if let Err(error) = self.admits(room) {
            self.out.send(connection, ServerMessage::Refused { error });
            self.out.close(connection);
            return;
        }
        self.out.send(connection, ServerMessage::Welcome { version: signal::VERSION, nonce: nonce.clone() });
        let meter = Meter::new(self.limits.member_rate);
        self.connections.insert(connection, Connection { room, meter, progress: Progress::Knocking { nonce } });
        self.timers.set(Timer::Entry(connection), later(now, self.limits.entry));
        self.timers.set(Timer::Silence(connection), later(now, self.limits.silence));
    }

    /// Something came from a connection: a message, or only a sign of life.
    fn heard(&mut self, now: ClockNs, connection: ConnectionId, bytes: usize, text: Option<&str>) {
        let Some(sender) = self.connections.get_mut(&connection) else { return };
        if !sender.meter.takes(now, bytes) {
            self.refuse(now, connection, refusal::too_much());
            return;
        }
        self.timers.set(Timer::Silence(connection), later(now, self.limits.silence));
        let Some(text) = text else { return };
        if let Err(error) = self.message(now, connection, text) {
            self.refuse(now, connection, error);
        }
    }

    fn message(&mut self, now: ClockNs, connection: ConnectionId, text: &str) -> Result<(), ErrorReport> {
        if text.len() > signal::MAX_MESSAGE_BYTES {
            return Err(refusal::unreadable());
        }
        let message = entry::parse(text)?;
        let Some(sender) = self.connections.get(&connection) else { return Ok(()) };
        let room = sender.room;
        match (&sender.progress, message) {
            (Progress::Knocking { nonce }, ClientMessage::Enter { version, public_key, signature, epoch, station }) => {
                let visitor = entry::Visitor { version, public_key, signature, epoch, station };
                visitor.check(room, nonce, &self.mint)?;
                self.enter(now, connection, room, visitor)
            }
            (Progress::Knocking { .. }, _) => Err(refusal::bad_request("the first message is to enter")),
            (Progress::Seated(seat), message) => self.seated(now, connection, room, *seat, message, text.len()),
        }
    }

    fn seated(
        &mut self,
        now: ClockNs,
        connection: ConnectionId,
        id: RoomId,
        seat: Seat,
        message: ClientMessage,
        bytes: usize,
    ) -> Result<(), ErrorReport> {
        let Some(room) = self.rooms.get_mut(&id) else { return Ok(()) };
        match message {
            ClientMessage::Enter { .. } => Err(refusal::bad_request("this connection has entered before")),
            ClientMessage::Signal { .. } if bytes > signal::MAX_MESSAGE_BYTES - ENVELOPE_BYTES => {
                Err(refusal::unreadable())
            }
            ClientMessage::Signal { to, signal } => {
                let addressed = room.forward(connection, seat, to, signal, &mut self.out);
                if addressed { Ok(()) } else { Err(refusal::bad_request("the recorder's signal names no member")) }
            }
            ClientMessage::Level { dbfs } => {
                match room.level(now, seat, dbfs) {
                    Some(due) if due <= now => room.tell_levels(now, &mut self.out),
                    Some(due) => self.timers.set(Timer::Levels(id), due),
                    None => {}
                }
                Ok(())
            }
            ClientMessage::State { state } => {
                if seat != Seat::Recorder {
                    return Err(refusal::not_allowed());
                }
                if state.room != id {
                    return Err(refusal::bad_request("the state is of another room"));
                }
                let message = ServerMessage::State { state };
                // It can be longer than it came: fields that were left out are written as null.
                let bytes = serde_json::to_vec(&message).map_or(usize::MAX, |json| json.len());
                if bytes > signal::MAX_MESSAGE_BYTES {
                    return Err(refusal::unreadable());
                }
                room.publish(message, bytes, &mut self.out);
                Ok(())
            }
            ClientMessage::Leave => {
                if let Seat::Member(participant) = seat {
                    room.leave(participant, &mut self.out);
                }
                self.out.close(connection);
                self.gone(now, connection);
                Ok(())
            }
            ClientMessage::CloseRoom if seat == Seat::Recorder => {
                self.close_room(id);
                Ok(())
            }
            ClientMessage::CloseRoom => Err(refusal::not_allowed()),
        }
    }

    fn close_room(&mut self, id: RoomId) {
        let Some(room) = self.rooms.remove(&id) else { return };
        let message = Arc::new(ServerMessage::RoomClosed);
        for connection in room.connections() {
            self.out.share(connection, &message);
            self.out.close(connection);
            self.forget_connection(connection);
        }
        for participant in room.participants() {
            self.timers.clear(Timer::Grace(id, participant));
        }
        self.timers.clear(Timer::Levels(id));
        if self.closed.len() == REMEMBERED_CLOSED {
            self.closed.pop_front();
        }
        self.closed.push_back(id);
        tracing::info!(rooms = self.rooms.len(), "a room was closed by its host");
    }

    fn due(&mut self, now: ClockNs, timer: Timer) {
        match timer {
            Timer::Entry(connection) => {
                self.refuse(now, connection, refusal::bad_request("the client did not enter in time"));
            }
            Timer::Silence(connection) => {
                if self.connections.contains_key(&connection) {
                    self.out.close(connection);
                    self.gone(now, connection);
                }
            }
            Timer::Levels(id) => {
                if let Some(room) = self.rooms.get_mut(&id) {
                    room.tell_levels(now, &mut self.out);
                }
            }
            Timer::Grace(id, participant) => {
                if let Some(room) = self.rooms.get_mut(&id).filter(|room| room.is_away(participant)) {
                    room.leave(participant, &mut self.out);
                }
                self.watch_vacancy(now, id);
            }
            Timer::Vacancy(id) => {
                if self.rooms.get(&id).is_some_and(Room::is_vacant) {
                    self.forget_room(id);
                }
            }
        }
    }

    /// Tells a client why it is not served, and closes.
    fn refuse(&mut self, now: ClockNs, connection: ConnectionId, error: ErrorReport) {
        if !self.connections.contains_key(&connection) {
            return;
        }
        tracing::debug!(connection = connection.0, code = error.code, "refused");
        self.out.send(connection, ServerMessage::Refused { error });
        self.out.close(connection);
        self.gone(now, connection);
    }

    /// The connection is no more; whoever sat on it is away.
    fn gone(&mut self, now: ClockNs, connection: ConnectionId) {
        let Some(Connection { room: id, progress, .. }) = self.forget_connection(connection) else { return };
        let (Progress::Seated(seat), Some(room)) = (progress, self.rooms.get_mut(&id)) else { return };
        room.vanish(connection, seat, &mut self.out);
        if let Seat::Member(participant) = seat
            && room.is_away(participant)
        {
            self.timers.set(Timer::Grace(id, participant), later(now, self.limits.grace));
        }
        self.watch_vacancy(now, id);
    }

    fn forget_connection(&mut self, connection: ConnectionId) -> Option<Connection> {
        self.timers.clear(Timer::Entry(connection));
        self.timers.clear(Timer::Silence(connection));
        self.connections.remove(&connection)
    }

    fn forget_room(&mut self, id: RoomId) {
        self.timers.clear(Timer::Levels(id));
        self.timers.clear(Timer::Vacancy(id));
        self.rooms.remove(&id);
    }

    /// Starts or stops the time after which an empty room is forgotten.
    fn watch_vacancy(&mut self, now: ClockNs, id: RoomId) {
        let timer = Timer::Vacancy(id);
        match self.rooms.get(&id) {
            Some(room) if room.is_vacant() => {
                if !self.timers.is_set(timer) {
                    self.timers.set(timer, later(now, self.limits.vacancy));
                }
            }
            _ => self.timers.clear(timer),
        }
    }
}

fn later(now: ClockNs, by: Duration) -> ClockNs {
    ClockNs(now.0.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
}
