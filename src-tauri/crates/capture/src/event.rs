//! What capture tells.

use roomtone_packets::Packet;
use roomtone_protocol::channel::{Alarm, AlarmKind, Anchor, Hole, Segment};
use roomtone_protocol::{ClockNs, ErrorReport, SampleIndex, SegmentKey, code};

use crate::CaptureError;

/// What happens at a microphone, in order. A segment's packets, anchors and muting follow the segment itself.
#[derive(Debug, Clone, PartialEq)]
pub enum CaptureEvent {
    /// A device began to deliver.
    Segment(Segment),
    /// 20 ms of sound.
    Packet {
        /// The packet.
        packet: Packet,
        /// Timeline clock at its first sample, as well as it was known then.
        captured_at: ClockNs,
    },
    /// Where the current segment stands on the timeline clock; about one a second.
    Anchor(Anchor),
    /// Samples that never came. They lie behind the segment that names them and before the one that follows.
    Hole(Hole),
    /// No device delivers: what was captured before this instant, if anything was, has been told. About once a second.
    Quiet {
        /// Timeline clock.
        until: ClockNs,
    },
    /// The loudest 20 ms of the last 100, ten times a second.
    Level {
        /// RMS in dB relative to overload (RFC 6464's dBov: a square wave of full scale is 0), -127 for silence.
        dbfs: f32,
    },
    /// Samples are zeros from here on, or no longer.
    Muted {
        /// The segment.
        segment: SegmentKey,
        /// First sample concerned.
        from: SampleIndex,
        /// Whether it is muted from there.
        muted: bool,
    },
    /// Which device it is, or how it fares.
    Device {
        /// Its name.
        name: String,
        /// What is wrong with it; None when all is well (again).
        problem: Option<DeviceProblem>,
    },
    /// Something that the person must know of, or its end.
    Alarm(Alarm),
    /// The file is over; nothing follows.
    Finished,
}

/// What can be wrong with a microphone while it is in use. Capture goes on trying by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceProblem {
    /// It stopped delivering.
    Stalled,
    /// It delivers nothing but zeros.
    Silent,
    /// It has delivered nothing but zeros since it was opened, on a system that treats programs without permission so.
    Withheld,
    /// It is too loud for its own converter.
    Clipping,
    /// Even its loudest is far below what its noise used to be.
    Quiet,
    /// It reported an error, or could not be opened again.
    Failed(CaptureError),
    /// The one that was chosen is gone; this is the system's default one.
    Replaced {
        /// The one that was chosen.
        wanted: String,
    },
}

impl DeviceProblem {
    /// What kind of alarm it is.
    #[must_use]
    pub fn kind(&self) -> AlarmKind {
        match self {
            Self::Stalled => AlarmKind::StalledCapture,
            Self::Silent => AlarmKind::SilentMic,
            Self::Withheld | Self::Failed(CaptureError::Denied { .. }) => AlarmKind::PermissionDenied,
            Self::Clipping => AlarmKind::Clipping,
            Self::Quiet => AlarmKind::QuietMic,
            Self::Failed(_) => AlarmKind::DeviceLost,
            Self::Replaced { .. } => AlarmKind::WrongDevice,
        }
    }

    /// For people.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        match self {
            Self::Stalled => ErrorReport::new(
                code::MICROPHONE,
                "the microphone stopped delivering sound",
                "it is being opened again; if that does not help, unplug it and plug it in again",
            ),
            Self::Silent => ErrorReport::new(
                code::MICROPHONE,
                "the microphone delivers nothing but silence",
                "check its mute switch, the privacy settings, and whether another program holds it",
            ),
            Self::Withheld => ErrorReport::new(
                code::MICROPHONE,
                "the system gives this program silence instead of the microphone",
                "allow microphone access for this program in the system's privacy settings",
            ),
            Self::Clipping => ErrorReport::new(
                code::MICROPHONE,
                "the microphone is too loud: its peaks are cut off",
                "turn its level down in the system's sound settings, or move away from it",
            ),
            Self::Quiet => ErrorReport::new(
                code::MICROPHONE,
                "the microphone has become much quieter than it was",
                "check its level, and turn off the voice or noise suppression of the call program",
            ),
            Self::Failed(error) => error.clone().into(),
            Self::Replaced { wanted } => ErrorReport::new(
                code::MICROPHONE,
                format!("the microphone {wanted:?} is gone"),
                "the system's default one is used until it comes back",
            ),
        }
    }
}
