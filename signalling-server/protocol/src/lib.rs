//! What Roomtone's programs say to each other, and the files they leave for others.
//!
//! * [`signal`]: client and relay, JSON over a WebSocket;
//! * [`channel`]: participant and recorder, over the reliable data channel of their connection;
//! * [`metadata`]: the JSON beside every finished recording;
//! * [`state`] and [`catalog`]: what people in a room are shown.
//!
//! Nothing here performs I/O, reads a clock or draws random numbers.
//! The TypeScript types of the window are generated from these by `cargo test -p roomtone-protocol`.

mod attachment;
mod error;
mod file_link;
mod identity;
mod ids;
mod invite;
mod units;

pub mod catalog;
pub mod channel;
pub mod metadata;
pub mod signal;
pub mod state;

pub use attachment::attachment;
pub use error::{ErrorReport, code};
pub use file_link::{FileLinkError, FileLinkKey};
pub use identity::{Identity, PublicKey, Signature, SignatureMismatch};
pub use ids::{CommandId, ParseIdError, ParticipantId, RecordingId, RoomId};
pub use invite::{Invite, InviteError, Secret};
pub use units::{ClockNs, IndexRange, SAMPLE_RATE, SampleIndex, SegmentId, SegmentKey, WakeEpoch};
