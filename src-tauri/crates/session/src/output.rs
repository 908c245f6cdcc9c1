//! What a room wants done.

use roomtone_protocol::channel::Answer;
use roomtone_protocol::{ClockNs, CommandId, ErrorReport, ParticipantId, RecordingId};

/// One thing to do, or to tell others.
///
/// Within what one input causes, [`Output::Changed`] follows what changed, [`Output::Reply`] follows that, so that
/// whoever reads "done" has been told the new state, and [`Output::RoomClosed`] is the last.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Begin a recording. Its audio counts from `at`, whenever that is learned.
    Begin {
        /// Which.
        recording: RecordingId,
        /// On the recorder's timeline clock.
        at: ClockNs,
        /// Its title.
        title: Option<String>,
        /// Who asked.
        started_by: Option<ParticipantId>,
    },
    /// The recording's time is over. Every [`Output::Begin`] gets exactly one, also when the recording failed: then
    /// there is nothing to finalize, but people's spools must learn that it is over.
    End {
        /// Which.
        recording: RecordingId,
        /// On the recorder's timeline clock; up to the driver's delay before now.
        at: ClockNs,
    },
    /// Forget everything of it, here and in everybody's spool.
    Discard {
        /// Which.
        recording: RecordingId,
    },
    /// Somebody has a channel from now on, for as long as this recording lasts.
    Channel {
        /// Of which recording.
        recording: RecordingId,
        /// Whose.
        participant: ParticipantId,
        /// Counted from 0, in order of joining.
        index: u16,
    },
    /// Answers a command.
    Reply {
        /// Whoever gave it.
        to: ParticipantId,
        /// Of the request.
        id: CommandId,
        /// Done, or why not.
        result: Result<Answer, ErrorReport>,
    },
    /// The state changed: publish it.
    Changed,
    /// Something happened to somebody.
    Person {
        /// Who.
        participant: ParticipantId,
        /// What.
        change: PersonChange,
    },
    /// The room is over for everybody.
    RoomClosed,
}

/// What happened to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PersonChange {
    /// New in the room.
    Joined,
    /// Vanished.
    Away,
    /// Back, after having been away or having left.
    Returned,
    /// Said goodbye.
    Left,
    /// Goes by another name.
    Renamed,
}
