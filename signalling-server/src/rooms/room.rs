//! One room: who sits in it, who hears what, and what it remembers.

use std::collections::BTreeMap;
use std::sync::Arc;

use roomtone_protocol::signal::{Member, MemberChange, ServerMessage, Signal};
use roomtone_protocol::state::Role;
use roomtone_protocol::{ClockNs, ParticipantId};

use super::{ConnectionId, Outputs};

/// Levels are passed on at most five times a second: enough to see who speaks. Each time costs a message to everybody.
const LEVEL_INTERVAL_NS: i64 = 200_000_000;

/// Who told a level so long ago is passed on with it once more: clients tell as often as they are told, and theirs may come
/// just after the others'. Whoever says nothing for longer falls to nothing.
const LEVEL_HOLDS_NS: i64 = 2 * LEVEL_INTERVAL_NS;

/// Quietest and loudest level that a client may tell, in dBFS.
const LEVEL_RANGE: (f32, f32) = (-127.0, 0.0);

/// Longest JSON of one member, in bytes.
const MEMBER_BYTES: usize = 100;

/// What a connection is in its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seat {
    Recorder,
    Member(ParticipantId),
    Passing(ParticipantId),
}

/// Connections of one identity that is in the room, or away from it.
#[derive(Debug)]
struct Chair {
    role: Role,
    epoch: u32,
    /// None while away.
    connection: Option<ConnectionId>,
    talk: Talk,
}

/// Where a negotiation between a visitor and the recorder stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Talk {
    attempt: u32,
    /// Orders the latest words of different connections.
    order: u64,
}

/// The recorder's place, kept while it is away.
#[derive(Debug, Clone, Copy)]
struct RecorderChair {
    participant: ParticipantId,
    epoch: u32,
    connection: Option<ConnectionId>,
}

/// Somebody of this key is here already, from a program that was started later.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Occupied;

/// One room.
#[derive(Debug, Default)]
pub(super) struct Room {
    recorder: Option<RecorderChair>,
    members: BTreeMap<ParticipantId, Chair>,
    passing: BTreeMap<ConnectionId, (ParticipantId, Talk)>,
    talks: u64,
    state: Option<CachedState>,
    /// In dBFS, and when they came.
    levels: BTreeMap<ParticipantId, (f32, ClockNs)>,
    /// One came since they were told.
    levels_changed: bool,
    levels_due: Option<ClockNs>,
}

/// The recorder's newest state, as it is passed on.
#[derive(Debug)]
struct CachedState {
    /// A [`ServerMessage::State`].
    message: Arc<ServerMessage>,
    bytes: usize,
}

impl Room {
    /// Whether nobody is here and nobody is expected back.
    pub(super) fn is_vacant(&self) -> bool {
        self.recorder_connection().is_none() && self.members.is_empty() && self.passing.is_empty()
    }

    pub(super) fn member_count(&self) -> usize {
        self.members.len()
    }

    pub(super) fn passing_count(&self) -> usize {
        self.passing.len()
    }

    pub(super) fn has_member(&self, participant: ParticipantId) -> bool {
        self.members.contains_key(&participant)
    }

    pub(super) fn is_recorder(&self, participant: ParticipantId) -> bool {
        self.recorder.is_some_and(|recorder| recorder.participant == participant)
    }

    /// Whether the member is away, and nowhere else.
    pub(super) fn is_away(&self, participant: ParticipantId) -> bool {
        self.members.get(&participant).is_some_and(|chair| chair.connection.is_none())
    }

    /// Seats the recorder; gives the connection that it had, its own ghost.
    pub(super) fn seat_recorder(
        &mut self,
        connection: ConnectionId,
        participant: ParticipantId,
        epoch: u32,
        out: &mut Outputs,
    ) -> Result<Option<ConnectionId>, Occupied> {
        let ghost = match self.recorder {
            Some(RecorderChair { epoch: seated, connection: Some(_), .. }) if epoch < seated => return Err(Occupied),
            Some(RecorderChair { connection, .. }) => connection,
            None => None,
        };
        self.recorder = Some(RecorderChair { participant, epoch, connection: Some(connection) });
        self.greet(connection, out);
        self.tell_visitors(&Arc::new(ServerMessage::Recorder { connected: true }), out);
        Ok(ghost)
    }

    /// Seats a member; gives the connection that it had, its own ghost.
    pub(super) fn seat_member(
        &mut self,
        connection: ConnectionId,
        participant: ParticipantId,
        role: Role,
        epoch: u32,
        out: &mut Outputs,
    ) -> Result<Option<ConnectionId>, Occupied> {
        let before = self.members.get(&participant);
        if before.is_some_and(|chair| chair.connection.is_some() && epoch < chair.epoch) {
            return Err(Occupied);
        }
        let change = if before.is_some() { MemberChange::Returned } else { MemberChange::Joined };
        let ghost = before.and_then(|chair| chair.connection);
        let chair = Chair { role, epoch, connection: Some(connection), talk: Talk::default() };
        self.members.insert(participant, chair);
        self.greet(connection, out);
        self.announce(participant, role, change, out);
        Ok(ghost)
    }

    /// Lets a passing visitor in, who is nobody's news.
    pub(super) fn seat_passing(&mut self, connection: ConnectionId, participant: ParticipantId, out: &mut Outputs) {
        self.passing.insert(connection, (participant, Talk::default()));
        self.greet(connection, out);
    }

    /// The connection is gone without a goodbye.
    pub(super) fn vanish(&mut self, connection: ConnectionId, seat: Seat, out: &mut Outputs) {
        match seat {
            Seat::Recorder => {
                if let Some(recorder) = &mut self.recorder {
                    recorder.connection = None;
                }
                self.tell_visitors(&Arc::new(ServerMessage::Recorder { connected: false }), out);
            }
            Seat::Member(participant) => {
                self.levels.remove(&participant);
                if let Some(chair) = self.members.get_mut(&participant) {
                    chair.connection = None;
                    let role = chair.role;
                    self.announce(participant, role, MemberChange::Away, out);
                }
            }
            Seat::Passing(_) => {
                self.passing.remove(&connection);
            }
        }
    }

    /// The member is out: by its own word, or because its grace time is over.
    pub(super) fn leave(&mut self, participant: ParticipantId, out: &mut Outputs) {
        self.levels.remove(&participant);
        if let Some(chair) = self.members.remove(&participant) {
            self.announce(participant, chair.role, MemberChange::Left, out);
        }
    }

    /// Passes a step of a negotiation on: from the recorder to `to`, from everyone else to the recorder.
    /// False when the recorder did not say to whom.
    pub(super) fn forward(
        &mut self,
        from: ConnectionId,
        seat: Seat,
        to: Option<ParticipantId>,
        signal: Signal,
        out: &mut Outputs,
    ) -> bool {
        let participant = match seat {
            Seat::Recorder => {
                let Some(to) = to else { return false };
                let sender = self.recorder.map(|recorder| recorder.participant);
                if let (Some(connection), Some(from)) = (self.addressee(to, signal.attempt), sender) {
                    out.send(connection, ServerMessage::Signal { from, signal });
                }
                return true;
            }
            Seat::Member(participant) | Seat::Passing(participant) => participant,
        };
        self.talks += 1;
        let talk = Talk { attempt: signal.attempt, order: self.talks };
        if let Some((_, passing)) = self.passing.get_mut(&from) {
            *passing = talk;
        } else if let Some(chair) = self.members.get_mut(&participant) {
            chair.talk = talk;
        }
        if let Some(connection) = self.recorder_connection() {
            out.send(connection, ServerMessage::Signal { from: participant, signal });
        }
        true
    }

    /// Somebody may be in the room and pass by at the same time, with one key: the recorder's word goes to
    /// whichever of them is at that attempt, and spoke last.
    fn addressee(&self, to: ParticipantId, attempt: u32) -> Option<ConnectionId> {
        let member = self.members.get(&to).and_then(|chair| Some((chair.connection?, chair.talk)));
        let passing = self.passing.iter().filter(|(_, (who, _))| *who == to);
        let all = passing.map(|(connection, (_, talk))| (*connection, *talk)).chain(member);
        all.max_by_key(|(_, talk)| (talk.attempt == attempt, talk.order)).map(|(connection, _)| connection)
    }

    /// Takes a level; gives the instant at which the collected levels are to be told.
    pub(super) fn level(&mut self, now: ClockNs, seat: Seat, dbfs: f32) -> Option<ClockNs> {
        let participant = match seat {
            Seat::Recorder => self.recorder.map(|recorder| recorder.participant),
            Seat::Member(participant) => {
                self.members.get(&participant).filter(|chair| chair.role == Role::Participant).map(|_| participant)
            }
            Seat::Passing(_) => None,
        }?;
        // JSON has no NaN, but a number beyond f32 becomes infinite, and infinite levels cannot be passed on.
        self.levels.insert(participant, (dbfs.clamp(LEVEL_RANGE.0, LEVEL_RANGE.1), now));
        self.levels_changed = true;
        Some(self.levels_due.unwrap_or(now).max(now))
    }

    /// Tells the collected levels.
    pub(super) fn tell_levels(&mut self, now: ClockNs, out: &mut Outputs) {
        if !std::mem::take(&mut self.levels_changed) || self.levels.is_empty() {
            return;
        }
        self.levels_due = Some(ClockNs(now.0 + LEVEL_INTERVAL_NS));
        self.levels.retain(|_, (_, came)| now.0 - came.0 < LEVEL_HOLDS_NS);
        let levels = self.levels.iter().map(|(&participant, &(dbfs, _))| (participant, dbfs)).collect();
        let message = Arc::new(ServerMessage::Levels { levels });
        let members = self.members.values().filter_map(|chair| chair.connection);
        members.chain(self.recorder_connection()).for_each(|to| out.share(to, &message));
    }

    /// Keeps the recorder's newest state and passes it on.
    pub(super) fn publish(&mut self, state: ServerMessage, bytes: usize, out: &mut Outputs) {
        let message = Arc::new(state);
        self.tell_visitors(&message, out);
        self.state = Some(CachedState { message, bytes });
    }

    /// Every connection in the room.
    pub(super) fn connections(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        let members = self.members.values().filter_map(|chair| chair.connection);
        members.chain(self.passing.keys().copied()).chain(self.recorder_connection())
    }

    pub(super) fn participants(&self) -> impl Iterator<Item = ParticipantId> + '_ {
        self.members.keys().copied()
    }

    fn recorder_connection(&self) -> Option<ConnectionId> {
        self.recorder.and_then(|recorder| recorder.connection)
    }

    fn greet(&self, connection: ConnectionId, out: &mut Outputs) {
        let members = self.members.iter().map(|(participant, chair)| Member {
            participant: *participant,
            role: chair.role,
            connected: chair.connection.is_some(),
        });
        let members: Vec<Member> = members.collect();
        let recorder = self.recorder_connection().is_some();
        // Together they could be longer than a message may be: then the state follows by itself.
        let room_left = roomtone_protocol::signal::MAX_MESSAGE_BYTES.saturating_sub((members.len() + 1) * MEMBER_BYTES);
        let (fits, follows) = match &self.state {
            Some(cached) if cached.bytes <= room_left => (Some(cached), None),
            cached => (None, cached.as_ref()),
        };
        let state = fits.and_then(|cached| match &*cached.message {
            ServerMessage::State { state } => Some(state.clone()),
            _ => None,
        });
        out.send(connection, ServerMessage::Entered { members, recorder, state });
        if let Some(cached) = follows {
            out.share(connection, &cached.message);
        }
    }

    /// Tells the recorder and all other members.
    fn announce(&self, participant: ParticipantId, role: Role, change: MemberChange, out: &mut Outputs) {
        let message = Arc::new(ServerMessage::Member { participant, role, change });
        let others = self.members.iter().filter(|(who, _)| **who != participant);
        let others = others.filter_map(|(_, chair)| chair.connection);
        others.chain(self.recorder_connection()).for_each(|to| out.share(to, &message));
    }

    /// Tells everyone but the recorder.
    fn tell_visitors(&self, message: &Arc<ServerMessage>, out: &mut Outputs) {
        let members = self.members.values().filter_map(|chair| chair.connection);
        members.chain(self.passing.keys().copied()).for_each(|to| out.share(to, message));
    }
}
