//! From a microphone to packets: capture, Opus, the pre-roll in memory and the spool on disk.
//!
//! ```text
//! device callback -> ring -> worker: place on the clock, mix, 48 kHz, Opus -> CaptureEvent -> PreRoll, Spool
//! ```
//!
//! The callback only copies. Everything that can wait or fail happens on the worker, and everything that can hang
//! (opening, asking and closing devices) on threads that nobody waits for. What a device did not deliver is never
//! papered over: it becomes a new segment and a hole of its true length.

mod attendant;
mod capture;
mod device;
mod device_capture;
mod encoder;
mod error;
mod event;
mod feed;
mod file_microphone;
mod level;
mod line;
mod microphone;
mod placement;
mod preroll;
mod resampler;
mod sound_check;
mod spool;
mod supervisor;
mod track;

pub use capture::{Capture, CaptureConfig};
pub use device::{MicrophoneListing, list_devices};
pub use encoder::{DEFAULT_BITRATE, Encoder, FRAME_SAMPLES};
pub use error::CaptureError;
pub use event::{CaptureEvent, DeviceProblem};
pub use microphone::{FileSpec, MicrophoneSpec};
pub use preroll::PreRoll;
pub use spool::{Limits, Note, Spool, SpoolError, Stored, newest_epoch, overdue};
