//! Entering a room: who may, and as what.

use roomtone_protocol::signal::{self, ClientMessage, Station, entry_transcript};
use roomtone_protocol::{ClockNs, ErrorReport, PublicKey, RoomId, Signature};
use serde::Deserialize;

use super::mint::Mint;
use super::room::{Occupied, Seat};
use super::timers::Timer;
use super::{ConnectionId, Meter, Progress, Rooms, ServerMessage, refusal};

/// Somebody at the door.
pub(super) struct Visitor {
    pub(super) version: u32,
    pub(super) public_key: PublicKey,
    pub(super) signature: Signature,
    pub(super) epoch: u32,
    pub(super) station: Station,
}

/// The part of an entry that every version has.
#[derive(Deserialize)]
struct AnyEntry {
    #[serde(rename = "type")]
    kind: String,
    version: u32,
}

/// Reads a message. An entry of another version may look different, and still gets a fitting answer.
pub(super) fn parse(text: &str) -> Result<ClientMessage, ErrorReport> {
    serde_json::from_str(text).map_err(|_| match serde_json::from_str(text) {
        Ok(AnyEntry { kind, version }) if kind == "enter" && version != signal::VERSION => {
            refusal::other_version(version)
        }
        _ => refusal::bad_request("this is no message of the signalling protocol"),
    })
}

impl Visitor {
    /// Whether the visitor is who it says, and the recorder if it says so.
    pub(super) fn check(&self, room: RoomId, nonce: &str, mint: &Mint) -> Result<(), ErrorReport> {
        if self.version != signal::VERSION {
            return Err(refusal::other_version(self.version));
        }
        let transcript = entry_transcript(room, nonce);
        self.public_key.verify(&transcript, &self.signature).map_err(|_| refusal::wrong_signature())?;
        match &self.station {
            Station::Recorder { host_token } if !mint.is_host(room, &self.public_key, host_token) => {
                Err(refusal::wrong_host_token())
            }
            _ => Ok(()),
        }
    }
}

impl Rooms {
    /// Seats a visitor who passed [`Visitor::check`].
    pub(super) fn enter(
        &mut self,
        now: ClockNs,
        connection: ConnectionId,
        id: RoomId,
        visitor: Visitor,
    ) -> Result<(), ErrorReport> {
        let participant = visitor.public_key.participant();
        let is_recorder = matches!(visitor.station, Station::Recorder { .. });
        if is_recorder {
            self.closed.retain(|closed| *closed != id);
        } else if self.closed.contains(&id) {
            return Err(refusal::room_closed());
        }
        self.open(id)?;
        let limits = &self.limits;
        let room = self.rooms.entry(id).or_default();
        let (seat, seated) = match visitor.station {
            Station::Recorder { .. } => {
                (Seat::Recorder, room.seat_recorder(connection, participant, visitor.epoch, &mut self.out))
            }
            Station::Member { passing: true, .. } => {
                if room.passing_count() >= limits.passing {
                    return Err(refusal::too_many("visitors in this room"));
                }
                room.seat_passing(connection, participant, &mut self.out);
                (Seat::Passing(participant), Ok(None))
            }
            Station::Member { passing: false, role } => {
                if room.is_recorder(participant) {
                    return Err(refusal::already_present());
                }
                if room.member_count() >= limits.members && !room.has_member(participant) {
                    return Err(refusal::too_many("people in this room"));
                }
                let seated = room.seat_member(connection, participant, role, visitor.epoch, &mut self.out);
                (Seat::Member(participant), seated)
            }
        };
        let ghost = seated.map_err(|Occupied| refusal::already_present())?;
        if let Some(ghost) = ghost {
            self.out.send(ghost, ServerMessage::Refused { error: refusal::replaced() });
            self.out.close(ghost);
            self.forget_connection(ghost);
        }
        if let Some(client) = self.connections.get_mut(&connection) {
            client.progress = Progress::Seated(seat);
            if is_recorder {
                client.meter = Meter::new(self.limits.recorder_rate);
            }
        }
        self.timers.clear(Timer::Entry(connection));
        if let Seat::Member(returned) = seat {
            self.timers.clear(Timer::Grace(id, returned));
        }
        self.watch_vacancy(now, id);
        tracing::debug!(connection = connection.0, rooms = self.rooms.len(), "entered");
        Ok(())
    }

    /// Makes sure that there is room for the room: one that nobody is in gives way.
    fn open(&mut self, id: RoomId) -> Result<(), ErrorReport> {
        if self.rooms.contains_key(&id) || self.rooms.len() < self.limits.rooms {
            return Ok(());
        }
        let vacant = self.rooms.iter().find(|(_, room)| room.is_vacant()).map(|(id, _)| *id);
        self.forget_room(vacant.ok_or_else(|| refusal::too_many("rooms"))?);
        Ok(())
    }
}
