//! The rules, input by input, with exactly what follows from each.

mod entry;
mod hostile;
mod presence;
mod talk;

use roomtone_protocol::signal::{ClientMessage, Member, MemberChange, Signal, SignalBody, Station, entry_transcript};
use roomtone_protocol::state::{RecordBy, Role, RoomState};
use roomtone_protocol::{Identity, ParticipantId};

use super::*;

const SECRET: [u8; 32] = [9; 32];
const SECOND: i64 = 1_000_000_000;

/// What came out of the rooms, addressed to numbered connections.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there are a few at a time")]
enum Out {
    To(u64, ServerMessage),
    Refused(u64, String),
    Close(u64),
}

/// A relay, its time, and people who come to it.
struct Relay {
    rooms: Rooms,
    now: ClockNs,
    next: u64,
}

impl Relay {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self { rooms: Rooms::new(SECRET, limits), now: ClockNs(1000 * SECOND), next: 1 }
    }

    fn room(&self, number: u8) -> RoomId {
        self.rooms.mint.room([number; RANDOM_BYTES])
    }

    fn handle(&mut self, input: Input<'_>) -> Vec<Out> {
        self.rooms.handle(self.now, input);
        std::iter::from_fn(|| self.rooms.poll_output()).map(Out::from).collect()
    }

    fn connect(&mut self, room: RoomId) -> (u64, Vec<Out>) {
        let connection = self.next;
        self.next += 1;
        let nonce = format!("nonce {connection}");
        (connection, self.handle(Input::Connected { connection: ConnectionId(connection), room, nonce }))
    }

    fn text(&mut self, connection: u64, text: &str) -> Vec<Out> {
        self.handle(Input::Text { connection: ConnectionId(connection), text })
    }

    fn says(&mut self, connection: u64, message: &ClientMessage) -> Vec<Out> {
        self.text(connection, &serde_json::to_string(message).unwrap())
    }

    fn enter(&mut self, room: RoomId, who: &Identity, epoch: u32, station: Station) -> (u64, Vec<Out>) {
        let (connection, _) = self.connect(room);
        let signature = who.sign(&entry_transcript(room, &format!("nonce {connection}")));
        let version = signal::VERSION;
        let message = ClientMessage::Enter { version, public_key: who.public_key(), signature, epoch, station };
        (connection, self.says(connection, &message))
    }

    fn recorder(&mut self, room: RoomId, who: &Identity, epoch: u32) -> (u64, Vec<Out>) {
        let host_token = self.rooms.mint.host_token(room, &who.public_key());
        self.enter(room, who, epoch, Station::Recorder { host_token })
    }

    fn member(&mut self, room: RoomId, who: &Identity, epoch: u32) -> (u64, Vec<Out>) {
        self.enter(room, who, epoch, Station::Member { role: Role::Participant, passing: false })
    }

    fn passing(&mut self, room: RoomId, who: &Identity) -> (u64, Vec<Out>) {
        self.enter(room, who, 1, Station::Member { role: Role::Observer, passing: true })
    }

    fn lose(&mut self, connection: u64) -> Vec<Out> {
        self.handle(Input::Disconnected { connection: ConnectionId(connection) })
    }

    /// Lets time pass; whoever is in `alive` answers pings every three seconds.
    fn pass(&mut self, seconds: i64, alive: &[u64]) -> Vec<Out> {
        let until = self.now.0 + seconds * SECOND;
        let mut out = Vec::new();
        while self.now.0 < until {
            self.now = ClockNs(until.min(self.now.0 + 3 * SECOND));
            for connection in alive {
                out.extend(self.handle(Input::Control { connection: ConnectionId(*connection) }));
            }
            out.extend(self.handle(Input::Tick));
        }
        out
    }
}

impl From<Output> for Out {
    fn from(output: Output) -> Self {
        match output {
            Output::Send { connection, message } => match &*message {
                // Texts are for people and may change.
                ServerMessage::Refused { error } => {
                    assert!(!error.message.is_empty() && !error.hint.is_empty());
                    Out::Refused(connection.0, error.code.clone())
                }
                message => Out::To(connection.0, message.clone()),
            },
            Output::Close { connection } => Out::Close(connection.0),
        }
    }
}

fn person(number: u8) -> Identity {
    Identity::from_seed([number; 32])
}

fn refused(connection: u64, code: &str) -> Vec<Out> {
    vec![Out::Refused(connection, code.to_owned()), Out::Close(connection)]
}

fn entered(to: u64, members: &[(&Identity, bool)], recorder: bool, state: Option<RoomState>) -> Out {
    let mut members: Vec<Member> = members
        .iter()
        .map(|(who, connected)| Member {
            participant: who.participant(),
            role: Role::Participant,
            connected: *connected,
        })
        .collect();
    members.sort_by_key(|member| member.participant);
    Out::To(to, ServerMessage::Entered { members, recorder, state })
}

fn change(to: u64, who: &Identity, change: MemberChange) -> Out {
    Out::To(to, ServerMessage::Member { participant: who.participant(), role: Role::Participant, change })
}

fn recorder_is(to: u64, connected: bool) -> Out {
    Out::To(to, ServerMessage::Recorder { connected })
}

fn state(room: RoomId, sequence: u64, name: &str) -> RoomState {
    let (people, finalizing) = (Vec::new(), Vec::new());
    let record_by = RecordBy::Everyone;
    RoomState {
        epoch: 1,
        sequence,
        room,
        name: name.to_owned(),
        record_by,
        people,
        current: None,
        finalizing,
        auto_record: None,
        disk_left_ms: None,
    }
}

fn offer(attempt: u32) -> Signal {
    Signal { attempt, body: SignalBody::Offer { sdp: "v=0".to_owned(), ice_restart: false } }
}

fn answer(attempt: u32) -> Signal {
    Signal { attempt, body: SignalBody::Answer { sdp: "v=0".to_owned() } }
}

fn from(to: u64, from: ParticipantId, signal: Signal) -> Out {
    Out::To(to, ServerMessage::Signal { from, signal })
}
