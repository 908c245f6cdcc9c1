//! The relay: brings participants and their recorder together, and never sees audio.
//!
//! [`Rooms`] holds the rules and touches nothing outside; [`Relay`] is the server around it:
//!
//! | address | what |
//! |---|---|
//! | `POST /api/rooms` | a new room ([`roomtone_protocol::signal::CreateRoom`]) |
//! | `GET /api/rooms/{room}/socket` | WebSocket of [`roomtone_protocol::signal`] |
//! | `GET /r/{room}` | the page behind an invite, for browsers |
//! | `GET /files/{key}?expires&signature` | a file of a [`FileShare`], with `Range` |
//! | `GET /healthz` | 200 while it serves |
//!
//! Errors over HTTP are `{"error":{"code","message","hint"}}`. Rooms live in memory only; ids and host tokens are
//! derived from the relay's secret, so a relay that is started again with it has the same rooms.

mod answer;
mod files;
mod http;
mod hub;
mod limits;
mod outbox;
mod page;
mod rooms;
mod secret;
mod server;
mod socket;
mod stall;

pub use files::FileShare;
pub use limits::{Limits, Rate};
pub use rooms::{ConnectionId, Input, Output, Rooms, Standing};
pub use secret::load_secret;
pub use server::{Relay, RelayConfig};
