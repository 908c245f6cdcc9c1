//! Why there is no microphone, and what to do about it.

use std::path::PathBuf;

use roomtone_protocol::{ErrorReport, code};

/// Why capture could not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// The text does not describe a microphone.
    #[error("{text:?} is not a microphone: {reason}")]
    Specification {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `none` was asked to capture.
    #[error("there is no microphone to capture from: it is set to \"none\"")]
    None,
    /// The system has no device of that name.
    #[error("no microphone is called {name:?}")]
    UnknownDevice {
        /// What was asked for.
        name: String,
        /// What there is.
        available: Vec<String>,
    },
    /// The system has no default microphone.
    #[error("the system names no default microphone")]
    NoDefault,
    /// The sound system cannot be reached.
    #[error("the sound system cannot be reached: {reason}")]
    SoundSystem {
        /// In its own words.
        reason: String,
    },
    /// The system does not let this program use the microphone.
    #[error("the system does not allow the use of the microphone: {reason}")]
    Denied {
        /// In its own words.
        reason: String,
    },
    /// The device is there and cannot be opened.
    #[error("the microphone cannot be opened: {reason}")]
    Device {
        /// In the sound system's words.
        reason: String,
    },
    /// The sound system did not answer.
    #[error("the sound system did not answer within {seconds} s")]
    TimedOut {
        /// How long it was given.
        seconds: u64,
    },
    /// The file cannot be played as a microphone.
    #[error("{} cannot be played as a microphone: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The encoder refused its settings.
    #[error("the Opus encoder refused to start: {reason}")]
    Encoder {
        /// In its own words.
        reason: String,
    },
    /// The system gave no thread.
    #[error("no thread for the microphone: {reason}")]
    Thread {
        /// In its own words.
        reason: String,
    },
}

impl CaptureError {
    /// What the reader can do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Specification { .. } => {
                "write default, none, device:NAME or file:PATH.wav?at=UNIX_MS&skew_ppm=100&loop=1&gain_db=-6".to_owned()
            }
            Self::None => "choose a microphone".to_owned(),
            Self::UnknownDevice { available, .. } if available.is_empty() => {
                "there is none at all: plug one in, or join as an observer".to_owned()
            }
            Self::UnknownDevice { available, .. } => format!("choose one of: {}", available.join(", ")),
            Self::NoDefault => "plug one in or choose one in the system's sound settings".to_owned(),
            Self::SoundSystem { .. } if cfg!(target_os = "linux") => {
                "start PulseAudio or PipeWire (pipewire-pulse); PULSE_SERVER=unix:PATH names another one".to_owned()
            }
            Self::SoundSystem { .. } => "check that the system's sound service runs".to_owned(),
            Self::Denied { .. } => {
                "allow microphone access for this program in the system's privacy settings".to_owned()
            }
            Self::Device { .. } => "close programs that use it exclusively, or choose another one".to_owned(),
            Self::TimedOut { .. } => {
                "restart the system's sound service, or unplug the device and plug it in again".to_owned()
            }
            Self::File { .. } => "give a WAV file with integer or float samples".to_owned(),
            Self::Encoder { .. } => "choose a bit rate from 6000 to 510000".to_owned(),
            Self::Thread { .. } => "close other programs and try again".to_owned(),
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Specification { .. } | Self::None | Self::Encoder { .. } => code::INVALID_SETTING,
            _ => code::MICROPHONE,
        }
    }
}

impl From<CaptureError> for ErrorReport {
    fn from(error: CaptureError) -> Self {
        Self::new(error.code(), error.to_string(), error.hint())
    }
}
