//! What the recorder's end of a room wants done.

use roomtone_packets::{MapStretch, Record};
use roomtone_protocol::channel::{Command, ToParticipant};
use roomtone_protocol::state::RoomState;
use roomtone_protocol::{CommandId, ParticipantId, RecordingId};
use roomtone_recorder::RecordingHeader;

use crate::events::HostEvent;

/// What the recorder's end must know at once.
///
/// Journals belong to a thread that may be behind. What it has no room for counts as not received, and is asked for
/// again: so every one of these says whether it was taken.
pub trait Desk {
    /// Opens the journal of a new recording; false if the disk is too far behind.
    fn open(&mut self, recording: RecordingId, header: RecordingHeader) -> bool;

    /// Appends to a track; false if the disk is too far behind.
    fn append(&mut self, recording: RecordingId, participant: ParticipantId, record: Record) -> bool;

    /// Notes what concerns the whole recording; false if the disk is too far behind.
    fn note(&mut self, recording: RecordingId, record: Record) -> bool;

    /// Whether the bucket has a file of this recording that lacks nothing.
    fn is_archived(&self, recording: RecordingId) -> bool;

    /// Whether the recording was discarded: nothing of it may be kept anywhere.
    fn is_discarded(&self, recording: RecordingId) -> bool;
}

/// One thing to do, or to tell others. Messages to one participant keep their order, the list among them.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Say something to somebody.
    Send {
        /// Whom.
        to: ParticipantId,
        /// What.
        message: ToParticipant,
    },
    /// Send somebody the list of recordings, as far as they may see it.
    SendList {
        /// Whom.
        to: ParticipantId,
        /// Whether they hold the host's rights.
        host: bool,
    },
    /// Carry out what concerns finished recordings, and answer.
    Shelf {
        /// Who asks.
        from: ParticipantId,
        /// Whether they hold the host's rights.
        host: bool,
        /// Of the request.
        id: CommandId,
        /// What they ask for.
        command: Command,
    },
    /// Show the relay the newest state of the room.
    PublishState(Box<RoomState>),
    /// Close the journal of a recording that is over, and make its file with these maps.
    Finalize {
        /// Which.
        recording: RecordingId,
        /// What was decided about every segment.
        maps: Vec<(ParticipantId, MapStretch)>,
    },
    /// Make the file of a journal that an earlier start left.
    FinalizeFound {
        /// Which recording.
        recording: RecordingId,
    },
    /// Open the journal of a recording that is over, so that it takes records again; [`super::Input::JournalReopened`]
    /// answers.
    ReopenJournal {
        /// Which.
        recording: RecordingId,
    },
    /// Close a journal that was opened again and brought nothing.
    CloseJournal {
        /// Which.
        recording: RecordingId,
    },
    /// Close a journal that was opened again, if it is open, and make its file anew beside the earlier one.
    FinalizeAgain {
        /// Which.
        recording: RecordingId,
    },
    /// Give a whole file to the upload queue; it takes the place of an earlier one of the same recording.
    Publish {
        /// Which recording.
        recording: RecordingId,
    },
    /// Write down that a recording is discarded and answer [`super::Input::Buried`]; then remove everything of it from
    /// the disk and the bucket, at whatever stage it is. Comes again when something of it turns up later.
    Discard {
        /// Which.
        recording: RecordingId,
    },
    /// Give a recording in the bucket another title and other notes: it was described on its way there.
    Describe {
        /// Which.
        recording: RecordingId,
        /// The title.
        title: Option<String>,
        /// The notes.
        notes: Option<String>,
    },
    /// Draw an id for a recording that begins by itself and answer [`super::Input::AutoStart`].
    WantsRecording,
    /// End the room at the relay.
    CloseRoom,
    /// Tell whoever drives the host.
    Event(HostEvent),
}
