//! The small face that sound systems show to capture.

mod cpal_host;
#[cfg(not(target_os = "linux"))]
mod cpal_stream;
#[cfg(target_os = "linux")]
mod pulse_stream;

use std::any::Any;
use std::sync::mpsc;
use std::time::Duration;

use crate::CaptureError;
use crate::feed::{ErrorLatch, Intake};

pub(crate) use cpal_host::CpalHost;

/// Which device is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeviceChoice {
    /// The system's default one.
    Default,
    /// The one of this name or id.
    Named(String),
}

/// Which device it is, and how it runs: if any of it changes, the stream must be opened again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeviceIdentity {
    /// The sound system's id, stable where it has stable ones.
    pub(crate) id: String,
    /// For people.
    pub(crate) name: String,
    /// Frames a second, the device's own.
    pub(crate) rate: u32,
    /// Samples a frame.
    pub(crate) channels: u16,
    /// What was chosen, if this is the default one in its place.
    pub(crate) instead_of: Option<String>,
}

/// An open stream.
pub(crate) struct OpenDevice {
    pub(crate) identity: DeviceIdentity,
    pub(crate) intake: Intake,
    pub(crate) failure: ErrorLatch,
    /// Whether the system lets a program without permission listen to zeros instead of refusing it: macOS does.
    pub(crate) hides_denial: bool,
    /// Keeps it running.
    pub(crate) _stream: OpenStream,
}

/// Keeps a stream running until it is dropped.
pub(crate) struct OpenStream(Option<Box<dyn Any + Send>>);

impl OpenStream {
    pub(crate) fn new(stream: impl Any + Send) -> Self {
        Self(Some(Box::new(stream)))
    }
}

impl Drop for OpenStream {
    /// Closing a stream of a sound server that is gone can hang for good: it happens on a thread that nobody waits for.
    fn drop(&mut self) {
        let Some(stream) = self.0.take() else { return };
        let closing = std::thread::Builder::new().name("stream-close".to_owned()).spawn(move || drop(stream));
        if let Err(error) = closing {
            tracing::warn!(%error, "no thread to close a stream on: it was closed in place");
        }
    }
}

/// A sound system. Every call may take its time, or never return: [`crate::attendant`] makes them on a thread of its own.
pub(crate) trait AudioHost: Send {
    /// Which device would be opened now. With `any`, the default one stands in for a chosen one that is gone.
    fn identify(&mut self, choice: &DeviceChoice, any: bool) -> Result<DeviceIdentity, CaptureError>;

    /// Opens it at its own rate, format and number of channels, and starts it.
    fn open(&mut self, choice: &DeviceChoice, any: bool) -> Result<OpenDevice, CaptureError>;
}

/// A microphone that the system offers; loopback and monitor devices are among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MicrophoneListing {
    /// For people, and for `device:NAME`.
    pub name: String,
    /// The sound system's own id; `device:` takes it too, where two have the same name.
    pub id: String,
    /// Whether it is the system's default one.
    pub default: bool,
}

/// How long the sound system may take to list its devices.
const LIST_PATIENCE: Duration = Duration::from_secs(5);

/// Every microphone there is. Waits for the sound system, at most five seconds.
///
/// # Errors
/// If the sound system cannot be reached or does not answer.
pub fn list_devices() -> Result<Vec<MicrophoneListing>, CaptureError> {
    let (answer, answered) = mpsc::channel();
    let list = move || {
        // Nobody listens any more once the patience is over.
        answer.send(CpalHost::default().list()).unwrap_or_default();
    };
    std::thread::Builder::new()
        .name("device-list".to_owned())
        .spawn(list)
        .map_err(|error| CaptureError::Thread { reason: error.to_string() })?;
    let timed_out = CaptureError::TimedOut { seconds: LIST_PATIENCE.as_secs() };
    answered.recv_timeout(LIST_PATIENCE).unwrap_or(Err(timed_out))
}
