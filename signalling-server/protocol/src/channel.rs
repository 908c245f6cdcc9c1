//! Participant and recorder: messages on the one reliable, ordered data channel of their connection.
//!
//! Text messages are JSON, one value each; binary messages are records framed by `roomtone-packets`
//! (packets that answer [`ToParticipant::Want`]). Both ends open with [`Hello`]; nothing else counts before.
//!
//! Where both descriptions of a connection name the header extension `urn:roomtone:packet-place`, those packets come as
//! RTP beside the live ones, each with its place in that extension: epoch (32 bits), segment (32), index of the first
//! sample (48), samples (16), big-endian.

use serde::{Deserialize, Serialize};

use crate::catalog::{CatalogEntry, CatalogPage, Deletion, Link};
use crate::state::{RecordingStatus, Role, RoomState};
use crate::{
    ClockNs, CommandId, ErrorReport, IndexRange, ParticipantId, PublicKey, RecordingId, RoomId, SampleIndex,
    SegmentKey, Signature, WakeEpoch,
};

/// Version of the channel protocol.
pub const VERSION: u32 = 1;

/// Longest message either way, in bytes; what browsers and SCTP stacks agree on without negotiation (RFC 8841).
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// Entries in a page of the list where nobody says otherwise, and the most there are in one: what a person looks through before
/// they search, and at some 400 bytes each well below [`MAX_MESSAGE_BYTES`].
pub const PAGE_ENTRIES: u32 = 100;

/// Longest name of a person, in characters.
pub const MAX_NAME_CHARS: usize = 80;

/// Capability of a member whose page or program cannot answer [`ToParticipant::ClockPing`]: it is not asked, but listened
/// to. Its clock is the one that its RTCP sender reports show (RFC 3550, section 6.4.1), in nanoseconds since 1970: its
/// segments are stated on it, and it is told instants on it. Only with a microphone.
pub const RTP_CLOCK: &str = "rtp_clock";

/// The first message of either end: who speaks, bound to this very DTLS connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`] of the sender.
    pub version: u32,
    /// What the sender can do beyond the version's basics.
    pub capabilities: Vec<String>,
    /// The sender's key.
    pub public_key: PublicKey,
    /// Random, base64url.
    pub nonce: String,
    /// Over [`hello_transcript`].
    pub signature: Signature,
    /// Shows the room's secret for the same transcript.
    pub room_proof: String,
    /// Shows the host's secret for the same transcript, if the sender holds it.
    pub host_proof: Option<String>,
    /// Start or wake-up of the sender's program.
    pub epoch: WakeEpoch,
    /// What the sender is here for; the recorder's own is meaningless.
    pub role: Role,
    /// Whether it is a passing visitor, who is no member of the room.
    pub passing: bool,
    /// The name that the sender goes by.
    pub name: Option<String>,
}

/// Who is at the other end of a link, proven by its hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Derived from its key.
    pub participant: ParticipantId,
    /// What it is here for; meaningless for the recorder.
    pub role: Role,
    /// Whether it holds the host's rights.
    pub host: bool,
    /// Whether it is a passing visitor, who is no member of the room.
    pub passing: bool,
    /// Start or wake-up of its program.
    pub epoch: WakeEpoch,
    /// The name that it goes by.
    pub name: Option<String>,
}

/// What a [`Hello`] signs and proves. Fingerprints are the SDP's `a=fingerprint` values (RFC 8122), upper case;
/// a relay that put itself between the ends would show other ones.
#[must_use]
pub fn hello_transcript(
    room: RoomId,
    from_recorder: bool,
    nonce: &str,
    member_fingerprint: &str,
    recorder_fingerprint: &str,
) -> Vec<u8> {
    let sender = if from_recorder { "recorder" } else { "member" };
    format!("roomtone hello v{VERSION}\n{room}\n{sender}\n{nonce}\n{member_fingerprint}\n{recorder_fingerprint}")
        .into_bytes()
}

/// From a participant to the recorder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToRecorder {
    /// The first message.
    Hello(Box<Hello>),
    /// A microphone began to deliver.
    Segment(Segment),
    /// Where a segment stands on the participant's clock.
    Anchor(Anchor),
    /// Answers [`ToParticipant::ClockPing`] at once.
    ClockPong {
        /// The recorder's clock when it asked.
        t0: ClockNs,
        /// The participant's clock when the question came.
        t1: ClockNs,
        /// The participant's clock when the answer went.
        t2: ClockNs,
    },
    /// What the participant holds of a recording.
    Inventory(Inventory),
    /// The microphone's samples count as silence from here on, or no longer.
    Muted {
        /// The segment.
        segment: SegmentKey,
        /// First sample concerned.
        from: SampleIndex,
        /// Whether it is muted from there.
        muted: bool,
    },
    /// Asks for something.
    Request {
        /// Repeats the answer when it comes again.
        id: CommandId,
        /// `(epoch, sequence)` of the state that the person saw; a command that no longer fits is refused.
        based_on: Option<(u32, u64)>,
        /// What.
        command: Command,
    },
    /// An explicit goodbye; the final inventory of every open recording went before it.
    Leave,
    /// Something is wrong with the participant's microphone, or no longer. Those that last are told again over a new link.
    Alarm(Alarm),
}

/// Something that a person must know while it lasts, because what they say may not be kept as they think.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// What.
    pub kind: AlarmKind,
    /// Whether it is so, or over.
    pub active: bool,
    /// For people: what happened and what to do.
    pub message: String,
}

/// What can be wrong with a microphone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// It delivers exact zeros.
    SilentMic,
    /// It reaches full scale again and again.
    Clipping,
    /// It has become much quieter than it was.
    QuietMic,
    /// It delivers nothing.
    StalledCapture,
    /// It is gone, or cannot be opened.
    DeviceLost,
    /// It is another one than was chosen.
    WrongDevice,
    /// The system does not let this program use it.
    PermissionDenied,
    /// What it delivers cannot be kept on this disk.
    SpoolFailed,
    /// Something that only a later version has a name for.
    #[serde(other)]
    Other,
}

/// A stretch of capture from one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Which.
    pub segment: SegmentKey,
    /// Its first sample.
    pub first: SampleIndex,
    /// The participant's clock at that sample.
    pub captured_at: ClockNs,
    /// Samples by which decoded audio lags behind its index: the encoder's lookahead (RFC 7845, pre-skip).
    pub codec_delay: u32,
    /// The device's name.
    pub device: String,
    /// The device's own rate in hertz, before conversion.
    pub device_rate: u32,
    /// Why the segment before it ended, if this is not the first.
    pub cause: Option<crate::metadata::GapCause>,
}

/// Sample `index` was captured at `at` on the participant's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The segment.
    pub segment: SegmentKey,
    /// A sample of it.
    pub index: SampleIndex,
    /// When it was captured.
    pub at: ClockNs,
}

/// What a participant holds of a recording: the evidence that nothing is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The recording.
    pub recording: RecordingId,
    /// Ranges on the participant's disk or in its memory, in order. Where two of them touch no hole lies between.
    pub held: Vec<IndexRange>,
    /// Known holes inside segments.
    pub holes: Vec<Hole>,
    /// Whether nothing more will come: the recording is over, or the participant goes.
    pub complete: bool,
}

/// Samples that a device never delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// Which samples.
    pub range: IndexRange,
    /// Why.
    pub cause: crate::metadata::GapCause,
}

/// What people can ask of the recorder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// Begin a recording; one that runs is finalized first.
    Start {
        /// Its title.
        title: Option<String>,
        /// Its notes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notes: Option<String>,
    },
    /// Finalize the current recording.
    Stop,
    /// Interrupt it.
    Pause,
    /// Go on.
    Resume,
    /// Discard it, on the host, in the bucket and in everybody's spool.
    Cancel {
        /// Which, also one that is still on its way to the bucket; None is the current one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recording: Option<RecordingId>,
    },
    /// Drop a marker.
    Mark {
        /// Its text.
        text: String,
    },
    /// Give a recording another title or other notes.
    Describe {
        /// Which, also one that is over; None is the current one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recording: Option<RecordingId>,
        /// The title: None leaves it, an empty one takes it away.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// The notes, likewise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notes: Option<String>,
    },
    /// How is it going?
    Status,
    /// One recording's final result, when it is completed; until then how it is going.
    Outcome {
        /// Which.
        recording: RecordingId,
    },
    /// Go by another name.
    SetName {
        /// None makes a guest of them again.
        name: Option<String>,
    },
    /// Mute or unmute oneself.
    SetMuted {
        /// Whether muted.
        muted: bool,
    },
    /// End the room for everybody.
    CloseRoom,
    /// The list of recordings, newest first, a page at a time.
    Recordings {
        /// [`CatalogPage::next`] of the page before; None for the newest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// Entries wanted at most; None is [`PAGE_ENTRIES`]. A page may be shorter.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    /// One recording and a piece of its metadata, as it is in the bucket.
    Show {
        /// Its id, or the key of an object.
        recording: String,
        /// Where the piece begins, in bytes: 0, or [`MetadataPiece::next`].
        #[serde(default)]
        from: u64,
    },
    /// What would go if a recording were deleted. Nothing is.
    DeletionPlan {
        /// Its id, or the key of an object.
        recording: String,
    },
    /// A link to a recording.
    Link {
        /// Its id, or the key of an object.
        recording: String,
        /// Lifetime in seconds; None is the host's setting.
        ttl_s: Option<u64>,
    },
    /// Remove a recording from the bucket.
    Delete {
        /// Its id, or the key of an object.
        recording: String,
    },
    /// Give a recording another title.
    Rename {
        /// Its id.
        recording: String,
        /// The title.
        title: String,
    },
}

/// Part of a metadata JSON, which may be longer than any message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataPiece {
    /// The text.
    pub text: String,
    /// Tells versions apart: pieces with different ones do not fit together.
    pub version: String,
    /// Where the next piece begins; None: this was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// What the recorder says to a request that it carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Answer {
    /// Done; there is nothing to tell.
    Done,
    /// The recordings in progress.
    Status {
        /// The current one.
        current: Option<RecordingStatus>,
        /// Those on their way to the bucket.
        finalizing: Vec<RecordingStatus>,
    },
    /// The result of a completed recording.
    Outcome {
        /// Its entry in the list.
        entry: Box<CatalogEntry>,
        /// Where the file lies on the host's disk.
        path: Option<String>,
    },
    /// A part of the list: what the asking person may see.
    Recordings(CatalogPage),
    /// A recording.
    Shown {
        /// Its entry in the list.
        entry: Box<CatalogEntry>,
        /// A piece of its metadata; None where there is none that can be understood.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metadata: Option<MetadataPiece>,
    },
    /// What is, or would be, deleted.
    Deletion(Box<Deletion>),
    /// A link.
    Link(Link),
}

/// From the recorder to a participant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToParticipant {
    /// The first message.
    Hello(Box<Hello>),
    /// The hello was not good enough; the connection closes.
    Refused {
        /// Why.
        error: ErrorReport,
    },
    /// To be answered at once.
    ClockPing {
        /// The recorder's clock.
        t0: ClockNs,
    },
    /// The room.
    State {
        /// Its newest state.
        state: Box<RoomState>,
    },
    /// Keep and send everything from this instant on.
    SpoolFrom {
        /// For this recording.
        recording: RecordingId,
        /// On the participant's own clock.
        from: ClockNs,
    },
    /// That was all; answer with the complete inventory.
    SpoolUntil {
        /// Of this recording.
        recording: RecordingId,
        /// On the participant's own clock.
        until: ClockNs,
    },
    /// Recorded time is interrupted: nothing of this stretch is kept or sent. Told between [`Self::SpoolFrom`] and
    /// [`Self::SpoolUntil`], again on every new link; told again, only what was open before can close. One that ends where it begins takes back itself and all with higher
    /// numbers: the recorder died before it had them on its disk.
    SpoolCut {
        /// Of this recording.
        recording: RecordingId,
        /// Numbers the recording's interruptions, from 0.
        cut: u32,
        /// On the participant's own clock.
        from: ClockNs,
        /// On the participant's own clock; None as long as nobody resumed.
        until: Option<ClockNs>,
    },
    /// These samples did not arrive: send their packets. Told again until they are there.
    Want {
        /// For this recording.
        recording: RecordingId,
        /// Which samples.
        ranges: Vec<IndexRange>,
    },
    /// In the recorder's journal and fsynced.
    Durable {
        /// Of this recording.
        recording: RecordingId,
        /// Everything that is, coalesced.
        ranges: Vec<IndexRange>,
        /// Whether that is all of the complete inventory: safe to quit.
        complete: bool,
    },
    /// The bucket has verified the object and nothing is open: the spool may go.
    Archived {
        /// The recording.
        recording: RecordingId,
    },
    /// Forget everything of this recording.
    Discard {
        /// The recording.
        recording: RecordingId,
    },
    /// The answer to a request.
    Answer {
        /// Of the request.
        id: CommandId,
        /// Done, or why not.
        result: Result<Answer, ErrorReport>,
    },
    /// The list of recordings changed: here is its newest page, as far as the receiver may see it. Pages behind it may have
    /// changed as well.
    Recordings(CatalogPage),
    /// The room is over.
    RoomClosed,
}
