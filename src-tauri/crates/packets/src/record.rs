//! What a record can say.

use roomtone_protocol::channel::{Anchor, Inventory, Segment};
use roomtone_protocol::{
    ClockNs, CommandId, IndexRange, ParticipantId, RecordingId, SampleIndex, SegmentId, SegmentKey, WakeEpoch,
};
use serde::{Deserialize, Serialize};

/// One record. Packets are binary because there are fifty a second of them; everything else is JSON.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Kind 1: encoded audio.
    Packet(Packet),
    /// Kind 2: a microphone began to deliver.
    Segment(Segment),
    /// Kind 3: a program started or woke.
    Epoch(EpochStart),
    /// Kind 4: one measurement between two clocks.
    ClockExchange(ClockExchange),
    /// Kind 5: a decided piece of a track's map to the timeline.
    MapStretch(MapStretch),
    /// Kind 6: an edge of recorded time.
    Interval(Interval),
    /// Kind 7: samples that their speaker took back.
    Retract(IndexRange),
    /// Kind 8: what a participant says that it holds.
    Inventory(Inventory),
    /// Kind 9: a remark at an instant.
    Marker(MarkerSet),
    /// Kind 10: what somebody goes by.
    Name(NameGiven),
    /// Kind 11: where a segment stands on its participant's clock.
    Anchor(Anchor),
    /// Kind 12: a microphone's samples count as silence from a sample on, or no longer.
    Muted(MutedFrom),
    /// Kind 13: somebody said goodbye.
    Left(PersonLeft),
    /// Kind 14: somebody's channel in the file.
    Channel(ChannelGiven),
    /// Kind 15: another title, other notes.
    Described(Described),
    /// Kind 16: when a packet of somebody came whose clock cannot be asked for.
    Arrival(Arrival),
    /// Kind 17: what somebody's RTP sender says of its clock.
    Report(SenderReport),
}

/// An Opus packet (RFC 6716) and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The segment.
    pub segment: SegmentKey,
    /// Its first sample.
    pub index: SampleIndex,
    /// Its length in samples at 48 kHz.
    pub samples: u16,
    /// The packet as the encoder made it.
    pub opus: Vec<u8>,
}

impl Packet {
    /// The samples that it holds.
    #[must_use]
    pub fn range(&self) -> IndexRange {
        IndexRange { segment: self.segment, from: self.index, to: self.index.plus(u64::from(self.samples)) }
    }
}

/// A participant's or the recorder's program started or woke, or its wall clock was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochStart {
    /// Counted on its disk.
    pub epoch: WakeEpoch,
    /// The system's boot, where it has an id: clocks of two boots have nothing in common.
    pub boot_id: Option<String>,
    /// Timeline clock.
    pub at: ClockNs,
    /// Wall clock at the same instant, nanoseconds since 1970.
    pub wall_ns: i64,
    /// Where that is on the timeline that a recording began on; None as long as the clock is that timeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed: Option<Placed>,
}

/// How a recorder's clock that began anew, because the computer booted, lies on the timeline of a recording that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The timeline's instant.
    pub timeline: ClockNs,
    /// How far it may be off, in nanoseconds.
    pub uncertainty_ns: u64,
    /// What it was told by.
    pub by: PlacedBy,
    /// Boots since the recording began.
    pub boots: u32,
}

/// What places a clock on a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlacedBy {
    /// The wall clock, until participants' clocks tell.
    Provisional,
    /// The wall clock: nobody's clock told.
    WallClock,
    /// Clocks of participants, which went on meanwhile.
    Participants,
}

/// Four timestamps: asked and answered-at on the recorder's clock, came and went on the participant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockExchange {
    /// The participant's epoch.
    pub epoch: WakeEpoch,
    /// Recorder: question sent.
    pub t0: ClockNs,
    /// Participant: question received.
    pub t1: ClockNs,
    /// Participant: answer sent.
    pub t2: ClockNs,
    /// Recorder: answer received.
    pub t3: ClockNs,
}

/// A packet came. Only the least late one of every second is noted: it tells most about its sender's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// The segment.
    pub segment: SegmentKey,
    /// One past its last sample: it cannot have been sent before that was captured.
    pub end: SampleIndex,
    /// When it came, on the recorder's clock.
    pub at: ClockNs,
}

/// An RTCP sender report (RFC 3550, section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderReport {
    /// The segment.
    pub segment: SegmentKey,
    /// The sample that its RTP timestamp names.
    pub index: SampleIndex,
    /// What the sender's clock showed: nanoseconds since 1970, as its NTP timestamp says.
    pub sent: ClockNs,
    /// When the report came, on the recorder's clock.
    pub at: ClockNs,
    /// What a datagram took there and back a moment ago, in nanoseconds; None if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ns: Option<u64>,
}

/// From `from` on, sample `from + n` lies at timeline frame `frame + fraction / 2^32 + n * frames_per_sample / 2^32`,
/// until the segment's next stretch. Timeline frames count at 48 kHz from the zero of the recorder's timeline clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapStretch {
    /// The segment.
    pub segment: SegmentKey,
    /// First sample that it maps.
    pub from: SampleIndex,
    /// Timeline frame of that sample, rounded down.
    pub frame: i64,
    /// The rest of it, in 2^-32 frames.
    pub fraction: u32,
    /// Timeline frames a sample takes, in 2^-32: 2^32 for a device that runs exactly like the recorder.
    pub frames_per_sample: u64,
    /// Spread of the measurements around the fit, in nanoseconds.
    pub residual_ns: u32,
    /// Half of the least round trip and the fit's own standard error, in nanoseconds.
    pub uncertainty_ns: u32,
}

/// Recorded time begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// What happened.
    pub edge: IntervalEdge,
    /// When, on the recorder's timeline clock.
    pub at: ClockNs,
    /// Wall clock at the same instant, nanoseconds since 1970.
    pub wall_ns: i64,
}

/// An edge of recorded time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntervalEdge {
    /// The recording began.
    Start,
    /// It was interrupted.
    Pause,
    /// It went on.
    Resume,
    /// It ended.
    Stop,
}

/// A remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkerSet {
    /// The recording.
    pub recording: RecordingId,
    /// When, on the recorder's timeline clock.
    pub at: ClockNs,
    /// What.
    pub text: String,
    /// Whose.
    pub by: Option<ParticipantId>,
    /// Who asked for it, and with which request: when it comes again after the recorder's program has started anew, it
    /// means this one. None where an earlier version wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<(ParticipantId, CommandId)>,
}

/// Somebody's name, the last one counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameGiven {
    /// Who.
    pub participant: ParticipantId,
    /// The name, or what the room calls them.
    pub name: String,
}

/// A person muted themselves, or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutedFrom {
    /// The segment.
    pub segment: SegmentKey,
    /// First sample concerned.
    pub from: SampleIndex,
    /// Whether it is muted from there.
    pub muted: bool,
}

/// An explicit goodbye; who merely vanishes leaves none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonLeft {
    /// Who.
    pub participant: ParticipantId,
    /// When, on the recorder's timeline clock.
    pub at: ClockNs,
}

/// Somebody has a channel. It is never taken back, so that who returns finds it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelGiven {
    /// Whose.
    pub participant: ParticipantId,
    /// From 0, in order of joining.
    pub index: u16,
}

/// What a recording is called and what people noted about it, from here on; before, what its header says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// The title; None took it away.
    pub title: Option<String>,
    /// The notes.
    pub notes: Option<String>,
}

/// A payload whose checksum fits and whose content does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a record of kind {kind} holds what this version cannot read")]
pub struct RecordError {
    /// Its kind.
    pub kind: u8,
}

/// Epoch, segment, index and length in front of a packet's Opus payload.
const PACKET_PREFIX_BYTES: usize = 4 + 4 + 8 + 2;

impl Record {
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Self::Packet(_) => 1,
            Self::Segment(_) => 2,
            Self::Epoch(_) => 3,
            Self::ClockExchange(_) => 4,
            Self::MapStretch(_) => 5,
            Self::Interval(_) => 6,
            Self::Retract(_) => 7,
            Self::Inventory(_) => 8,
            Self::Marker(_) => 9,
            Self::Name(_) => 10,
            Self::Anchor(_) => 11,
            Self::Muted(_) => 12,
            Self::Left(_) => 13,
            Self::Channel(_) => 14,
            Self::Described(_) => 15,
            Self::Arrival(_) => 16,
            Self::Report(_) => 17,
        }
    }

    pub(crate) fn write_payload(&self, out: &mut Vec<u8>) {
        let json = match self {
            Self::Packet(packet) => {
                out.extend_from_slice(&packet.segment.epoch.0.to_le_bytes());
                out.extend_from_slice(&packet.segment.segment.0.to_le_bytes());
                out.extend_from_slice(&packet.index.0.to_le_bytes());
                out.extend_from_slice(&packet.samples.to_le_bytes());
                out.extend_from_slice(&packet.opus);
                return;
            }
            Self::Segment(value) => serde_json::to_writer(out, value),
            Self::Epoch(value) => serde_json::to_writer(out, value),
            Self::ClockExchange(value) => serde_json::to_writer(out, value),
            Self::MapStretch(value) => serde_json::to_writer(out, value),
            Self::Interval(value) => serde_json::to_writer(out, value),
            Self::Retract(value) => serde_json::to_writer(out, value),
            Self::Inventory(value) => serde_json::to_writer(out, value),
            Self::Marker(value) => serde_json::to_writer(out, value),
            Self::Name(value) => serde_json::to_writer(out, value),
            Self::Anchor(value) => serde_json::to_writer(out, value),
            Self::Muted(value) => serde_json::to_writer(out, value),
            Self::Left(value) => serde_json::to_writer(out, value),
            Self::Channel(value) => serde_json::to_writer(out, value),
            Self::Described(value) => serde_json::to_writer(out, value),
            Self::Arrival(value) => serde_json::to_writer(out, value),
            Self::Report(value) => serde_json::to_writer(out, value),
        };
        json.expect("plain structs always serialise into memory");
    }

    /// None for kinds of a later version.
    pub(crate) fn read(kind: u8, payload: &[u8]) -> Result<Option<Self>, RecordError> {
        fn json<T: for<'a> Deserialize<'a>>(
            kind: u8,
            payload: &[u8],
            wrap: fn(T) -> Record,
        ) -> Result<Option<Record>, RecordError> {
            serde_json::from_slice(payload).map(|value| Some(wrap(value))).map_err(|_| RecordError { kind })
        }
        match kind {
            1 => read_packet(payload).map(|packet| Some(Self::Packet(packet))).ok_or(RecordError { kind }),
            2 => json(kind, payload, Self::Segment),
            3 => json(kind, payload, Self::Epoch),
            4 => json(kind, payload, Self::ClockExchange),
            5 => json(kind, payload, Self::MapStretch),
            6 => json(kind, payload, Self::Interval),
            7 => json(kind, payload, Self::Retract),
            8 => json(kind, payload, Self::Inventory),
            9 => json(kind, payload, Self::Marker),
            10 => json(kind, payload, Self::Name),
            11 => json(kind, payload, Self::Anchor),
            12 => json(kind, payload, Self::Muted),
            13 => json(kind, payload, Self::Left),
            14 => json(kind, payload, Self::Channel),
            15 => json(kind, payload, Self::Described),
            16 => json(kind, payload, Self::Arrival),
            17 => json(kind, payload, Self::Report),
            _ => Ok(None),
        }
    }
}

fn read_packet(payload: &[u8]) -> Option<Packet> {
    let (prefix, opus) = payload.split_at_checked(PACKET_PREFIX_BYTES)?;
    let (epoch, prefix) = prefix.split_first_chunk::<4>()?;
    let (segment, prefix) = prefix.split_first_chunk::<4>()?;
    let (index, prefix) = prefix.split_first_chunk::<8>()?;
    let samples = u16::from_le_bytes(*prefix.first_chunk::<2>()?);
    let index = u64::from_le_bytes(*index);
    // What ends behind the last number is nothing that anybody captured.
    index.checked_add(u64::from(samples))?;
    Some(Packet {
        segment: SegmentKey {
            epoch: WakeEpoch(u32::from_le_bytes(*epoch)),
            segment: SegmentId(u32::from_le_bytes(*segment)),
        },
        index: SampleIndex(index),
        samples,
        opus: opus.to_vec(),
    })
}
