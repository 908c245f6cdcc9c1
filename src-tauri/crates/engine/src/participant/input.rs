//! What can happen to the participant's end of a room, and what it wants done.

use roomtone_capture::CaptureEvent;
use roomtone_protocol::channel::{Answer, Command, ToParticipant, ToRecorder};
use roomtone_protocol::state::RoomState;
use roomtone_protocol::{CommandId, ErrorReport};

use crate::events::ParticipantEvent;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Time went by.
    Tick,
    /// Something at the microphone.
    Captured(CaptureEvent),
    /// A link to the recorder is up; it replaces an earlier one.
    Linked {
        /// Drawn at random, for telling the recorder that this microphone is muted; None if there was none to draw.
        id: Option<CommandId>,
    },
    /// The link is gone.
    LinkClosed,
    /// The recorder said something.
    Message(ToParticipant),
    /// The room as the relay knows it.
    RelayState(RoomState),
    /// The relay says that the host closed the room.
    RoomClosed,
    /// Relay or recorder do not let this participant in.
    Refused(ErrorReport),
    /// The person asks something of the recorder.
    Request {
        /// Drawn at random.
        id: CommandId,
        /// What.
        command: Command,
    },
    /// The person mutes or unmutes the microphone.
    Mute {
        /// Whether it is muted from here on.
        muted: bool,
    },
    /// The person goes, once everything is safe at the recorder.
    Leave,
    /// Drop what has been kept for too long; due at the start and now and then.
    Expire {
        /// Wall clock, nanoseconds since 1970.
        wall_ns: i64,
    },
}

/// One thing to do, or to tell others. What goes to the recorder keeps its order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Say something to the recorder.
    Send(ToRecorder),
    /// Send it a live packet, or drop it if the link does not keep up.
    Media {
        /// RTP timestamp: the low 32 bits of its first sample's index (RFC 3550, section 5.1).
        timestamp: u32,
        /// The packet.
        opus: Vec<u8>,
    },
    /// Send it records that it asked for: a portion of them. They need not arrive, it asks again.
    Bulk(Vec<u8>),
    /// Tell the others how loud this microphone is, in dBFS.
    Level(f32),
    /// Mute the microphone, or no longer.
    MuteCapture {
        /// Whether.
        muted: bool,
    },
    /// Stop capturing.
    StopCapture,
    /// The answer to a request of the person.
    Answer {
        /// Of the request.
        id: CommandId,
        /// What came of it.
        result: Result<Answer, ErrorReport>,
    },
    /// Tell whoever drives the participant.
    Event(ParticipantEvent),
    /// It is over: close everything. Nothing follows.
    End {
        /// Why.
        reason: String,
        /// The error behind it, if it was one.
        error: Option<ErrorReport>,
        /// Whether to say goodbye, so that nobody waits for a return.
        goodbye: bool,
    },
}
