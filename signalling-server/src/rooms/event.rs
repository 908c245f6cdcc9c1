//! What goes into [`super::Rooms`] and comes out.

use std::collections::VecDeque;
use std::sync::Arc;

use roomtone_protocol::RoomId;
use roomtone_protocol::signal::ServerMessage;

/// Names one connection for as long as the relay runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What happens to a relay.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// A client connected to a room's address.
    Connected {
        /// Never used before.
        connection: ConnectionId,
        /// The room in the address.
        room: RoomId,
        /// Unpredictable; the client will sign it.
        nonce: String,
    },
    /// A text message came.
    Text {
        /// From whom.
        connection: ConnectionId,
        /// As it came.
        text: &'a str,
    },
    /// A ping or pong came: the client lives.
    Control {
        /// From whom.
        connection: ConnectionId,
    },
    /// Something came that is no text message of bounded length.
    Unreadable {
        /// From whom.
        connection: ConnectionId,
    },
    /// The connection is gone, or its client does not take what it is sent.
    Disconnected {
        /// Which.
        connection: ConnectionId,
    },
    /// Time passed.
    Tick,
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send a message; one that goes to many is shared.
    Send {
        /// To whom.
        connection: ConnectionId,
        /// What.
        message: Arc<ServerMessage>,
    },
    /// Close the connection after what was sent to it. Nothing is expected from it any more.
    Close {
        /// Which.
        connection: ConnectionId,
    },
}

/// What the relay knows of a room id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A room of this relay, whether or not somebody is there.
    Known,
    /// Its host closed it; its recorder may open it again.
    Closed,
    /// Not a room of this relay.
    Unknown,
}

/// What the driver has not fetched yet.
#[derive(Debug, Default)]
pub(super) struct Outputs(VecDeque<Output>);

impl Outputs {
    pub(super) fn send(&mut self, connection: ConnectionId, message: ServerMessage) {
        self.0.push_back(Output::Send { connection, message: Arc::new(message) });
    }

    pub(super) fn share(&mut self, connection: ConnectionId, message: &Arc<ServerMessage>) {
        self.0.push_back(Output::Send { connection, message: Arc::clone(message) });
    }

    pub(super) fn close(&mut self, connection: ConnectionId) {
        self.0.push_back(Output::Close { connection });
    }

    pub(super) fn next(&mut self) -> Option<Output> {
        self.0.pop_front()
    }
}
