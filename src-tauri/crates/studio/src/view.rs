//! What a window shows: one value, sent whole whenever it changed. Levels travel apart, because they change five times a second.

use std::collections::BTreeMap;

use roomtone_protocol::catalog::CatalogEntry;
use roomtone_protocol::state::RoomState;
use roomtone_protocol::{ErrorReport, ParticipantId};
use serde::{Deserialize, Serialize};

/// Everything in the window but the levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ts_rs::TS)]
#[ts(export)]
pub struct View {
    /// Which of the window's pages is due.
    pub phase: Phase,
    /// Set while in a room.
    pub room: Option<RoomView>,
    /// What went wrong last, until the next action.
    pub error: Option<ErrorReport>,
}

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum Phase {
    /// Host a room, or join one.
    Lobby,
    /// On the way in.
    Entering,
    /// In a room.
    Room,
}

/// The room from where one person stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ts_rs::TS)]
#[ts(export)]
pub struct RoomView {
    /// Who "I" am.
    pub me: ParticipantId,
    /// Whether the recorder runs in this program.
    pub hosting: bool,
    /// The link to pass on. Without the host's rights.
    pub invite: String,
    /// Whether the recorder can be reached.
    pub recorder: Connection,
    /// The recorder's newest state; None before the first.
    pub state: Option<RoomState>,
    /// Newest first: as many as were asked for.
    pub recordings: Vec<CatalogEntry>,
    /// How many there are.
    #[ts(type = "number")]
    pub recordings_total: u64,
    /// Names the place after the last one; None: nothing comes after it.
    pub more_recordings: Option<String>,
    /// The microphone's name; None without one.
    pub microphone: Option<String>,
    /// Whether everything of mine has arrived at the recorder for good.
    pub safe_to_quit: bool,
}

/// Whether the recorder can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum Connection {
    /// Not yet, or not just now.
    Connecting,
    /// Yes.
    Connected,
    /// Lost: what I say is kept here meanwhile.
    Unreachable,
}

/// How loud everybody is, in dBFS, by participant.
pub type Levels = BTreeMap<ParticipantId, f32>;
