//! A WAV file that plays as if it were a microphone.

use roomtone_capture::{Capture, CaptureConfig, FileSpec, MicrophoneSpec};
use roomtone_protocol::WakeEpoch;

/// All of the file is read at once: it began to play in 1970.
pub fn wav(bytes: &[u8]) {
    let place = tempfile::tempdir().expect("a temporary directory can be made");
    let path = place.path().join("voice.wav");
    std::fs::write(&path, bytes).expect("a file can be written");
    let spec = FileSpec { at_unix_ms: Some(0), ..FileSpec::new(path) };
    // Refused or played to its end, which was long ago.
    drop(Capture::start(MicrophoneSpec::File(spec), CaptureConfig::new(WakeEpoch(1)), Box::new(drop)));
}
