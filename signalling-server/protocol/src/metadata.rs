//! The JSON beside a recording, published after it. Its shape is a contract; fields are only added.

use serde::{Deserialize, Serialize};

use crate::{ParticipantId, RecordingId, RoomId};

/// Version of this shape. Readers refuse higher ones and leave the file as it is.
pub const SCHEMA: u32 = 1;

/// One recording. Frames count at [`crate::SAMPLE_RATE`] from the start of the file; times are RFC 3339, UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// [`SCHEMA`] of the writer.
    pub schema: u32,
    /// The recording.
    pub id: RecordingId,
    /// The room's name.
    pub room: String,
    /// The room's id on its relay.
    pub room_id: RoomId,
    /// Title.
    pub title: Option<String>,
    /// Notes.
    pub notes: Option<String>,
    /// Instant of the first frame.
    pub started_at: String,
    /// Instant after the last frame.
    pub ended_at: String,
    /// Hertz.
    pub sample_rate: u32,
    /// Bits a sample.
    pub bit_depth: u16,
    /// Length of the file in frames.
    pub frames: u64,
    /// Size of the file in bytes.
    pub size: u64,
    /// Of the whole file, hexadecimal; null while it is being computed.
    pub sha256: Option<String>,
    /// Of its parts.
    pub parts: Parts,
    /// `roomtone` and its version.
    pub software: String,
    /// Whether nothing is missing from any channel, on evidence.
    pub gapless: bool,
    /// In order of the file's channels.
    pub channels: Vec<Channel>,
    /// Who was there and is not in the file.
    pub unrecorded: Vec<Unrecorded>,
    /// In order of time.
    pub markers: Vec<Marker>,
    /// Where the host's computer lost its clock, because it booted, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clock_seams: Vec<ClockSeam>,
}

/// Hashes of equal parts of the file; the last part may be shorter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// Bytes a part.
    pub size: u64,
    /// SHA-256 of each, hexadecimal.
    pub sha256: Vec<String>,
}

/// One channel of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// From 0.
    pub index: u16,
    /// Whose voice.
    pub participant: ParticipantId,
    /// Their name, or what the room called them.
    pub name: String,
    /// Whether they agreed to be recorded.
    pub consent: Consent,
    /// Whether nothing is missing, on evidence.
    pub gapless: bool,
    /// Frames of the gaps whose cause counts as missing.
    pub missing_frames: u64,
    /// Every span without audio, in order.
    pub gaps: Vec<Gap>,
    /// How exactly the channel lies on the timeline.
    pub alignment: Alignment,
}

/// What is known about somebody's consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// They agreed.
    Given,
    /// Nobody asked.
    Unknown,
}

/// Frames `from..to` of a channel hold silence instead of audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// First frame.
    pub from: u64,
    /// One past the last frame.
    pub to: u64,
    /// Why.
    pub cause: GapCause,
}

/// Why a span is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// Captured, sent, and not obtainable any more.
    Network,
    /// The device delivered nothing for a while.
    CaptureStall,
    /// Another device was being opened.
    DeviceChange,
    /// A program died.
    Crash,
    /// No room to store it.
    DiskFull,
    /// Nobody can say whether there was audio.
    UnknownExtent,
    /// Before the person came.
    NotJoined,
    /// After the person went.
    Left,
    /// The person muted themselves.
    Muted,
    /// The person took it back.
    Retracted,
}

impl GapCause {
    /// Whether audio that should be there is not.
    #[must_use]
    pub const fn is_missing(self) -> bool {
        match self {
            Self::Network
            | Self::CaptureStall
            | Self::DeviceChange
            | Self::Crash
            | Self::DiskFull
            | Self::UnknownExtent => true,
            Self::NotJoined | Self::Left | Self::Muted | Self::Retracted => false,
        }
    }
}

/// How exactly a channel lies on the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// How much faster than the recorder's clock the device ran, in parts per million; null where it was not estimated.
    pub skew_ppm: Option<f64>,
    /// Spread of the measurements around the map, in microseconds; null without measurements.
    pub residual_us: Option<f64>,
    /// Half of the least round trip, which path asymmetry can hide, and the map's standard error, in microseconds. Where
    /// a clock was listened to and no round trip is known, half of the 100 ms that are taken for one.
    pub uncertainty_us: Option<f64>,
    /// What told; null without a map, and where an earlier version wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_by: Option<MeasuredBy>,
}

/// What told where a channel lies on the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasuredBy {
    /// Questions for the participant's clock, and their answers.
    Exchanges,
    /// Sender reports and arrival times of somebody whose clock could not be asked for, at least for a while.
    SenderReports,
    /// Arrival times alone, likewise.
    Arrivals,
    /// Something that only a later version has a name for.
    #[serde(other)]
    Other,
}

/// The host's computer booted while it was recording. What follows is put behind what was before as exactly as can be told;
/// the time between is filled like any other gap.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClockSeam {
    /// From where on.
    pub frame: u64,
    /// How far what follows may lie off against what was before, in microseconds, and channels that were there before
    /// against others.
    pub uncertainty_us: f64,
    /// What told.
    pub by: SeamPlacedBy,
}

/// What told how long a host's computer was without its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeamPlacedBy {
    /// Clocks of participants, which went on meanwhile.
    Participants,
    /// The host's wall clock alone: nobody was back whose clock could tell.
    WallClock,
}

/// Somebody who was there and is not in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unrecorded {
    /// Who.
    pub participant: ParticipantId,
    /// Why.
    pub reason: String,
}

/// A remark at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Where.
    pub frame: u64,
    /// What.
    pub text: String,
    /// Whose.
    pub by: Option<String>,
}
