//! What a room wants done.

use std::time::Duration;

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
    /// Recorded time is interrupted at `at`, whenever that is learned. Nothing of a pause may be kept or sent.
    Pause {
        /// Which.
        recording: RecordingId,
        /// On the recorder's timeline clock.
        at: ClockNs,
    },
    /// It goes on at `at`. A recording that ends while it is paused gets none.
    Resume {
        /// Which.
        recording: RecordingId,
        /// On the recorder's timeline clock.
        at: ClockNs,
    },
    /// Somebody set a marker. While the recording is paused it belongs to the seam.
    Mark {
        /// In which recording.
        recording: RecordingId,
        /// On the recorder's timeline clock.
        at: ClockNs,
        /// Its text: one line.
        text: String,
        /// Whose, if they are known in the room.
        by: Option<ParticipantId>,
        /// Who asked for it, and with which command.
        asked: (ParticipantId, CommandId),
    },
    /// A recording has another title or other notes, also one that is being finalized or uploaded.
    Described {
        /// Which.
        recording: RecordingId,
        /// The title from now on.
        title: Option<String>,
        /// The notes from now on.
        notes: Option<String>,
    },
    /// A recording is about to end by itself, or just did.
    Warning {
        /// Which.
        recording: RecordingId,
        /// Why.
        warning: Warning,
    },
    /// It is time for a recording to begin by itself: [`crate::Input::AutoStart`] brings an id for it. Asked once, until
    /// it is answered or something changes.
    WantsRecording,
    /// Forget everything of it, here, in the bucket and in everybody's spool, at whatever stage its file is: nothing of
    /// it may come back. The room itself forgets it soon: it is the driver that leaves a tombstone on its disk *before* it
    /// removes anything, heeds it at the next start, and answers everybody who still holds something of the recording
    /// with the order to discard it.
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

/// Why a recording is about to end by itself, or just did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Warning {
    /// The time limit ends it.
    TimeLimit {
        /// Recorded time that is left.
        left: Duration,
    },
    /// The recorder's disk fills up.
    Disk {
        /// Recorded time that there is room for.
        left: Duration,
    },
    /// There is no room any more: it has ended, with all that was recorded.
    DiskFull,
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
