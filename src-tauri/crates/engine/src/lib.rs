//! Both ends of a room, as values.
//!
//! [`RecorderEnd`] is what the host's program does with a room: whom it tells what, what it asks for again, which packet
//! goes into which journal, when a file is made. [`ParticipantEnd`] is what somebody's program does with a microphone:
//! what it keeps, sends and answers, and when it may go.
//!
//! Neither owns a clock, socket, file, thread or random source. A driver tells them what happened with `handle`, does
//! what `poll_output` gives until that is empty, and comes back with a tick no later than at `next_deadline`; ids that
//! have to be drawn at random come with the inputs. So whole sessions run on virtual time, and again in the same way.
//!
//! Two things must be known at once and are asked of the driver while an input is handled: whether a journal has room
//! ([`Desk`]), and what the spool holds ([`PacketStore`]).

mod events;
mod lines;
mod participant;
mod recorder;

pub use events::{AlarmKind, HostEvent, ParticipantEvent, PersonLine, RecordingLine, WarningKind};
pub use participant::{
    Input as ParticipantInput, Output as ParticipantOutput, PacketStore, ParticipantEnd, unreachable_recorder,
};
pub use recorder::{
    Desk, FinalizeFailure, Finished, GoingOn, Input as RecorderInput, Moment, Output as RecorderOutput, Placement,
    RecorderEnd, Reopened, Run, Setup, last_audio, note_end, note_maps,
};
