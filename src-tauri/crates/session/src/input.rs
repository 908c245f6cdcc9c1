//! What can happen to a room.

use std::time::Duration;

use roomtone_protocol::channel::Command;
use roomtone_protocol::state::{RecordBy, Role, UploadProgress};
use roomtone_protocol::{ClockNs, CommandId, ErrorReport, ParticipantId, RecordingId, RoomId};

use crate::timing::between;

/// What a room is set to for as long as its recorder runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The room on its relay.
    pub room: RoomId,
    /// What people call it.
    pub name: String,
    /// Who may start, stop, pause, resume and describe.
    pub record_by: RecordBy,
    /// How long a recording goes on with nobody present.
    pub grace: Duration,
    /// Counts the starts of this recorder; orders its states before those of earlier runs.
    pub epoch: u32,
    /// Whether recording is possible at all.
    pub recording_enabled: bool,
    /// Recorded time after which a recording ends by itself; None: never.
    pub time_limit: Option<Duration>,
    /// A recording begins by itself when so many participants with microphones are present; None: never.
    pub auto_record: Option<u32>,
    /// Bytes that a sample of a finished recording takes on the recorder's disk: those of the file, and twice as many
    /// where its bucket is a folder on the same disk.
    pub disk_bytes_per_sample: u32,
}

/// A recording that an earlier run of the recorder was in the middle of. Instants are on this run's timeline clock; they
/// lie in the past, and may lie before its zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continued {
    /// Which.
    pub recording: RecordingId,
    /// Its title.
    pub title: Option<String>,
    /// Its notes.
    pub notes: Option<String>,
    /// Who started it.
    pub started_by: Option<ParticipantId>,
    /// When it began.
    pub begun: ClockNs,
    /// Recorded time before `running_since`.
    pub recorded: Duration,
    /// Since when it runs: the time in which the recorder was gone counts, for it is filled from people's spools. None
    /// if it was paused.
    pub running_since: Option<ClockNs>,
    /// Whose channels, by index.
    pub channels: Vec<ParticipantId>,
    /// Markers that people set so far.
    pub markers: u32,
    /// Who asked for them, and with which commands: one that comes again has been carried out. Oldest first.
    pub marked: Vec<(ParticipantId, CommandId)>,
    /// Pauses so far, with the one that goes on.
    pub pauses: u32,
    /// The last sign of life of the earlier run.
    pub last_there: ClockNs,
}

impl Config {
    /// Whether a recorder that is back now goes on with what it recorded ([`Input::Continued`]), or only brings it to an
    /// end ([`Input::Recovered`]): it was away for less than the grace time.
    #[must_use]
    pub fn goes_on(&self, last_there: ClockNs, now: ClockNs) -> bool {
        between(last_there, now) < self.grace
    }
}

/// The two ways on which somebody's presence is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Path {
    /// Their connection to the relay.
    Relay,
    /// Their connection to this recorder.
    Link,
}

/// Who gives a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Whose key.
    pub participant: ParticipantId,
    /// Whether they showed the host's secret.
    pub host: bool,
    /// Whether they are a passing visitor: no member of the room, but with a participant's rights to record.
    pub passing: bool,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Time went by.
    Tick,
    /// Somebody's verified link is up and says who they are. Comes again with every new link, and when a microphone
    /// begins to deliver that was not there before; who is here already is only brought up to date.
    Entered {
        /// Who.
        participant: ParticipantId,
        /// What they are here for.
        role: Role,
        /// Whether they showed the host's secret.
        host: bool,
        /// The name that their program was started with. One that breaks the rules of names counts as none.
        name: Option<String>,
        /// Whether they have a microphone.
        microphone: bool,
    },
    /// One of somebody's paths came or fell silent.
    Presence {
        /// Who; also somebody who has not entered yet.
        participant: ParticipantId,
        /// Which path.
        path: Path,
        /// Whether it is there.
        up: bool,
    },
    /// Somebody said goodbye. Never for who merely vanished.
    Left {
        /// Who.
        participant: ParticipantId,
    },
    /// The relay cannot be reached: nobody's path through it is known.
    RelayLost,
    /// The relay is back and is about to say who is there.
    RelayBack,
    /// Somebody asks for something.
    Command {
        /// Who.
        caller: Caller,
        /// Of the request.
        id: CommandId,
        /// `(epoch, sequence)` of the state that they saw.
        based_on: Option<(u32, u64)>,
        /// What.
        command: Command,
        /// Drawn at random: the id of a recording that this command may begin.
        fresh: RecordingId,
    },
    /// The current recording's journal is open.
    Prepared {
        /// Which.
        recording: RecordingId,
    },
    /// A recording that is over waits for what people still hold, before its file is made.
    Waiting {
        /// Which.
        recording: RecordingId,
        /// For whom; nobody any more: its file is made.
        people: Vec<ParticipantId>,
        /// Until when at most.
        until: ClockNs,
    },
    /// The file is whole.
    Finalized {
        /// Which.
        recording: RecordingId,
    },
    /// It ended without a single channel: there is no file to make.
    Empty {
        /// Which.
        recording: RecordingId,
    },
    /// The bucket has verified the object.
    Completed {
        /// Which.
        recording: RecordingId,
    },
    /// It is stuck for good; its audio is kept.
    Failed {
        /// Which.
        recording: RecordingId,
        /// What happened.
        reason: String,
        /// What a person can do.
        hint: String,
    },
    /// The current recording cannot go on, and what was recorded is kept: it ends as if somebody had pressed Stop, and
    /// everybody is told why.
    CutShort {
        /// Which.
        recording: RecordingId,
        /// What happened.
        reason: String,
        /// What a person can do.
        hint: String,
    },
    /// The bucket has so much of it.
    GoesUp {
        /// Which.
        recording: RecordingId,
        /// How it goes.
        upload: UploadProgress,
    },
    /// The upload meets trouble and will be tried again, or goes on after trouble.
    Trouble {
        /// Which.
        recording: RecordingId,
        /// What holds it up; None: nothing any longer.
        trouble: Option<ErrorReport>,
    },
    /// A recording of an earlier run of the recorder is on its way again.
    Recovered {
        /// Which.
        recording: RecordingId,
        /// Its title.
        title: Option<String>,
        /// Its notes.
        notes: Option<String>,
        /// Who started it.
        started_by: Option<ParticipantId>,
        /// Recorded time.
        length: Duration,
        /// Whether its file is whole already.
        finalized: bool,
    },
    /// The recorder was gone for less than the grace time and goes on with what it recorded: it is current again, with
    /// the same channels for the same people. The grace time counts from [`Continued::last_there`]. Nothing is put out
    /// about it: the driver has it from its journal. If something else is current already it counts as recovered.
    Continued(Box<Continued>),
    /// Answers [`crate::Output::WantsRecording`].
    AutoStart {
        /// Drawn at random: the id of the recording.
        fresh: RecordingId,
    },
    /// The driver looked at the recorder's disk; at least every ten seconds while something is recorded.
    Disk {
        /// Bytes that are free for what is yet to be recorded: without what takes need that are still to be rendered.
        free_bytes: u64,
    },
}
