//! What can happen to the recorder's end of a room.

use std::path::PathBuf;
use std::time::Duration;

use roomtone_packets::{ClockExchange, Coverage};
use roomtone_protocol::channel::{Command, Peer, ToRecorder};
use roomtone_protocol::signal::MemberChange;
use roomtone_protocol::state::UploadProgress;
use roomtone_protocol::{ClockNs, CommandId, ErrorReport, ParticipantId, RecordingId, RoomId};

use super::{GoingOn, Reopened, Run};

/// When something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The recorder's timeline clock.
    pub clock: ClockNs,
    /// The wall clock, nanoseconds since 1970: it dates files, and says how long a boot took where nobody else can.
    pub wall_ns: i64,
}

/// What a recorder's end is for as long as it runs.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The host's own key, as a participant.
    pub me: ParticipantId,
    /// The room on its relay.
    pub room: RoomId,
    /// What people call it.
    pub name: String,
    /// Bytes that a sample of a finished recording takes on the disk ([`roomtone_session::Config`]).
    pub disk_bytes_per_sample: u32,
    /// How long a recording that is over waits at most for what somebody still holds of it.
    pub stop_wait: Duration,
    /// This start of the program.
    pub run: Run,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Time went by.
    Tick,
    /// The relay came or went.
    Relay {
        /// Whether it is there.
        connected: bool,
    },
    /// The relay saw somebody come or go.
    Member {
        /// Who.
        participant: ParticipantId,
        /// What it saw.
        change: MemberChange,
    },
    /// A link is up; it replaces an earlier one of the same participant, of which nothing is told any more.
    Linked(Peer),
    /// The link of somebody is gone.
    LinkClosed {
        /// Whose.
        participant: ParticipantId,
    },
    /// Somebody said something. Requests come as [`Input::Request`].
    Message {
        /// Who.
        from: ParticipantId,
        /// What.
        message: ToRecorder,
    },
    /// Somebody asks for something.
    Request {
        /// Who.
        from: ParticipantId,
        /// Of the request.
        id: CommandId,
        /// `(epoch, sequence)` of the state that they saw.
        based_on: Option<(u32, u64)>,
        /// What.
        command: Command,
        /// Drawn at random: the id of a recording that this may begin.
        fresh: RecordingId,
    },
    /// A live packet.
    Media {
        /// Whose.
        from: ParticipantId,
        /// RTP timestamp: the low 32 bits of its first sample's index.
        timestamp: u32,
        /// The packet.
        opus: Vec<u8>,
    },
    /// The same of somebody who cannot be asked for their clock, and when it came.
    Heard {
        /// Whose.
        from: ParticipantId,
        /// RTP timestamp, as above.
        timestamp: u32,
        /// The packet.
        opus: Vec<u8>,
        /// On this run's own clock.
        at: ClockNs,
    },
    /// What the RTP sender of somebody who cannot be asked says of their clock.
    Report {
        /// Whose.
        from: ParticipantId,
        /// RTP timestamp, as above.
        timestamp: u32,
        /// Their clock at that sample.
        sent: ClockNs,
        /// When it came, on this run's own clock.
        at: ClockNs,
        /// What a datagram took there and back a moment ago, in nanoseconds; None if that is not known.
        round_trip_ns: Option<u64>,
    },
    /// Records that were asked for, whole, as `roomtone-packets` frames them.
    Bulk {
        /// Whose.
        from: ParticipantId,
        /// The records.
        records: Vec<u8>,
    },
    /// A measurement between somebody's clock and the recorder's.
    Exchange {
        /// Whose.
        from: ParticipantId,
        /// The measurement.
        exchange: ClockExchange,
    },
    /// The journal of a new recording is open.
    JournalOpen {
        /// Which recording.
        recording: RecordingId,
    },
    /// This much of a track survives a power cut.
    Durable {
        /// Of which recording.
        recording: RecordingId,
        /// Whose track.
        participant: ParticipantId,
        /// Everything that does.
        coverage: Coverage,
    },
    /// Writing a journal failed and goes on: of a track, only this much is left in it. The rest is asked for again.
    Forgotten {
        /// Which recording.
        recording: RecordingId,
        /// Whose track.
        participant: ParticipantId,
        /// Everything that is left.
        coverage: Coverage,
    },
    /// The disk is full: the recording must end.
    DiskFull {
        /// Which recording.
        recording: RecordingId,
    },
    /// A journal cannot be written any more.
    JournalFailed {
        /// Which recording.
        recording: RecordingId,
        /// What happened.
        reason: String,
    },
    /// A file is whole, or could not be made.
    Finalized {
        /// Which recording.
        recording: RecordingId,
        /// The file, or why there is none.
        result: Result<Finished, FinalizeFailure>,
    },
    /// The upload queue has a file, or could not store it.
    Submitted {
        /// Which recording.
        recording: RecordingId,
        /// Whether it has it.
        result: Result<(), ErrorReport>,
    },
    /// The bucket has so much of a file.
    GoesUp {
        /// Of which recording.
        recording: RecordingId,
        /// How it goes.
        upload: UploadProgress,
    },
    /// An upload does not get through and is tried again.
    UploadTrouble {
        /// Which recording.
        recording: RecordingId,
        /// Why.
        error: ErrorReport,
    },
    /// The list shows what the bucket has confirmed.
    Completed {
        /// Which recording.
        recording: RecordingId,
        /// The object's key.
        key: String,
        /// Bytes.
        size: u64,
    },
    /// The list of recordings changed.
    Listed,
    /// A tombstone stands for a discarded recording: whatever happens now, nothing of it comes back.
    Buried {
        /// Which recording.
        recording: RecordingId,
    },
    /// Answers [`super::Output::WantsRecording`].
    AutoStart {
        /// Drawn at random: the id of the recording.
        fresh: RecordingId,
    },
    /// The driver looked at the disk; at least every ten seconds while something is recorded.
    Disk {
        /// Bytes that are free.
        free_bytes: u64,
    },
    /// An earlier start left a file.
    FoundTake {
        /// Which recording.
        recording: RecordingId,
        /// Its title.
        title: Option<String>,
        /// Its notes.
        notes: Option<String>,
        /// The file.
        finished: Finished,
        /// Whether the upload queue has it.
        submitted: bool,
    },
    /// The journal of a recording that was over takes records again, or it cannot.
    JournalReopened {
        /// Which recording.
        recording: RecordingId,
        /// What it holds, or why it is not open.
        result: Result<Reopened, String>,
    },
    /// An earlier start left a journal that was repaired, and a file that was not.
    FoundRepair {
        /// Which recording.
        recording: RecordingId,
    },
    /// An earlier start was recording, and that goes on. The journal takes records already. Told before anybody comes.
    GoingOn(Box<GoingOn>),
    /// An earlier start left a journal without a file.
    FoundJournal {
        /// Which recording.
        recording: RecordingId,
    },
    /// The program is to end: what runs is finalized, as if its host had pressed Stop.
    Shutdown {
        /// Time for uploads, once everything is finalized.
        drain: Duration,
        /// Ids of the command that stops, drawn at random; None if there were none to draw: then what runs is not
        /// stopped, and the end waits for somebody who does.
        stop: Option<(CommandId, RecordingId)>,
    },
}

/// A recording whose file is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The file on the host's disk.
    pub path: PathBuf,
    /// Its channels.
    pub channels: u16,
    /// Its length in milliseconds, rounded down.
    pub duration_ms: u64,
    /// Whether nothing is missing, on evidence.
    pub gapless: bool,
}

/// Why a file could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinalizeFailure {
    /// Nobody had a channel.
    Empty,
    /// A person must do something; the journal is kept.
    Failed(String),
}
