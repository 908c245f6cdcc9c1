//! Client and relay: JSON text frames over a WebSocket at `{relay}/api/rooms/{room}/socket`.
//!
//! The relay greets with [`ServerMessage::Welcome`]; the client answers with [`ClientMessage::Enter`], signed;
//! the relay answers with [`ServerMessage::Entered`], or with [`ServerMessage::Refused`] and closes.
//! Liveness is WebSocket ping and pong, sent by the relay.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::state::{Role, RoomState};
use crate::{ErrorReport, ParticipantId, PublicKey, RoomId, Signature};

/// Version of the signalling protocol; another one is refused with `version_mismatch`.
pub const VERSION: u32 = 1;

/// Longest WebSocket message either way, in bytes: an offer with many candidates takes under 8 KiB,
/// a room state of a hundred people under 32 KiB.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// Body of `POST /api/rooms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateRoom {
    /// The recorder's key: only its holder can be this room's recorder.
    pub recorder_key: PublicKey,
}

/// Answer to `POST /api/rooms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomCreated {
    /// The new room.
    pub room: RoomId,
    /// Proves to this relay, also after its restart, that it gave this room to that recorder.
    pub host_token: String,
    /// The page of the room, without the invite's fragment, which the relay never learns.
    pub share_link: String,
}

/// What a client is at the relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "snake_case")]
pub enum Station {
    /// The room's one recorder.
    Recorder {
        /// From [`RoomCreated`].
        host_token: String,
    },
    /// Somebody in the room.
    Member {
        /// With or without a microphone.
        role: Role,
        /// Passing visitors send one command and go: they are not announced to the others.
        passing: bool,
    },
}

/// What the entering client signs: the relay's nonce, bound to room and purpose.
#[must_use]
pub fn entry_transcript(room: RoomId, nonce: &str) -> Vec<u8> {
    format!("roomtone relay entry v{VERSION}\n{room}\n{nonce}").into_bytes()
}

/// From a client to the relay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// The first message.
    Enter {
        /// [`VERSION`] of the client.
        version: u32,
        /// Who; [`PublicKey::participant`] is the id that the others see.
        public_key: PublicKey,
        /// Over [`entry_transcript`].
        signature: Signature,
        /// Orders connections of one identity: a higher one replaces an older, which is its own ghost.
        epoch: u32,
        /// As what.
        station: Station,
    },
    /// Members may write to the recorder only, the recorder to any member.
    Signal {
        /// Needed from the recorder, ignored from members.
        to: Option<ParticipantId>,
        /// What to forward.
        signal: Signal,
    },
    /// How loud the sender's microphone is; at most five a second are passed on.
    Level {
        /// Peak-held RMS in dBFS, -127 to 0.
        dbfs: f32,
    },
    /// From the recorder only: kept for newcomers and passed on.
    State {
        /// The new state.
        state: RoomState,
    },
    /// An explicit goodbye.
    Leave,
    /// From the recorder only: ends the room for everybody.
    CloseRoom,
}

/// Negotiation of one connection between a member and the recorder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Numbers the member's attempts to connect: what belongs to an older attempt is ignored.
    pub attempt: u32,
    /// The step.
    pub body: SignalBody,
}

/// One step of a negotiation (RFC 9429).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SignalBody {
    /// From the member.
    Offer {
        /// Session description.
        sdp: String,
        /// A restart of ICE on the connection that is there.
        ice_restart: bool,
    },
    /// From the recorder.
    Answer {
        /// Session description.
        sdp: String,
    },
    /// From either.
    Candidate {
        /// `candidate:…`; empty at the end of candidates.
        candidate: String,
        /// Identification tag of the media section.
        mid: Option<String>,
        /// Its index.
        mline_index: Option<u16>,
    },
    /// From the recorder: this offer will not be answered.
    Refused {
        /// Why.
        error: ErrorReport,
    },
}

/// A member as the relay knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub participant: ParticipantId,
    /// With or without a microphone.
    pub role: Role,
    /// Connected now, or away.
    pub connected: bool,
}

/// From the relay to a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// The first message.
    Welcome {
        /// [`VERSION`] of the relay.
        version: u32,
        /// To be signed.
        nonce: String,
    },
    /// The client is in.
    Entered {
        /// Everybody who is in the room or away.
        members: Vec<Member>,
        /// Whether the recorder is connected.
        recorder: bool,
        /// The last state that the recorder told; stale while `recorder` is false.
        state: Option<RoomState>,
    },
    /// The client is not served (any longer); the relay closes.
    Refused {
        /// Why.
        error: ErrorReport,
    },
    /// Somebody came, came back, vanished or said goodbye.
    Member {
        /// Who.
        participant: ParticipantId,
        /// With or without a microphone.
        role: Role,
        /// What happened.
        change: MemberChange,
    },
    /// The recorder came or vanished.
    Recorder {
        /// Whether it is connected.
        connected: bool,
    },
    /// A step of a negotiation.
    Signal {
        /// The member, when the recorder is addressed; the recorder's own id otherwise.
        from: ParticipantId,
        /// The step.
        signal: Signal,
    },
    /// Who speaks how loud, in dBFS; only what is newer than the last message.
    Levels {
        /// By participant.
        levels: BTreeMap<ParticipantId, f32>,
    },
    /// The recorder's newest state.
    State {
        /// The state.
        state: RoomState,
    },
    /// The room is over.
    RoomClosed,
}

/// What happened to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberChange {
    /// New in the room.
    Joined,
    /// Connected again with the same key.
    Returned,
    /// The connection is gone without a goodbye.
    Away,
    /// Said goodbye, or was away for longer than the grace time.
    Left,
}
