//! When the virtual microphone heard what was played into it.
//!
//! The moment at which a player hands sound over says little: the daemon takes it when it has room, up to two seconds
//! ahead. So a second client listens to the same source while the product captures from it, and stamps each piece as
//! it arrives. A piece cannot arrive before its last sample was heard, so `arrival - position` is never too early; it
//! is too late by whatever the piece was held up, and the least of some thousand pieces by next to nothing. What
//! stays uncertain is one piece ([`Listener::UNCERTAINTY_MS`]): the daemon hears in blocks of that length, and
//! nobody outside of it knows to which end of a block its time belongs.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;

use crate::pulse::PulseServer;
use crate::signal::{SAMPLE_RATE, Speaker, constant_offset, read_time_code};
use crate::{Deadline, PATIENCE, now_unix_ms};

/// Listens to a virtual microphone beside the product.
#[derive(Debug)]
pub struct Listener {
    child: Child,
    heard: JoinHandle<Heard>,
}

/// Plays a file into a virtual microphone. Dropping it stops that.
#[derive(Debug)]
pub struct Played(Child);

#[derive(Debug, Default)]
struct Heard {
    samples: Vec<f32>,
    /// Unix time in milliseconds of the first sample, never too early.
    begun_ms: Option<f64>,
}

impl Listener {
    /// Length of a block of the daemon, in milliseconds: the listener asks for no more delay than that.
    pub const UNCERTAINTY_MS: f64 = 5.0;

    /// Begins to listen.
    ///
    /// # Panics
    /// There is no parec.
    #[must_use]
    pub fn start(server: &PulseServer) -> Self {
        let latency = format!("--latency-msec={}", Self::UNCERTAINTY_MS);
        let mut child = server
            .client("parec")
            .args(["--raw", "--rate=48000", "--channels=1", "--format=s16le", "--device=room.monitor", &latency])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("parec cannot be started: {error}; apt-get install pulseaudio-utils"));
        let mut stdout = child.stdout.take().expect("stdout was asked for as a pipe");
        let heard = std::thread::spawn(move || {
            let mut heard = Heard::default();
            let mut bytes = Vec::new();
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut piece) {
                let now = now_unix_ms();
                bytes.extend_from_slice(&piece[..count]);
                let position = (bytes.len() / 2) as f64 / SAMPLE_RATE as f64 * 1000.0;
                heard.begun_ms = Some(heard.begun_ms.map_or(now - position, |begun| begun.min(now - position)));
            }
            let sample = |pair: &[u8; 2]| f32::from(i16::from_le_bytes(*pair)) / 32_768.0;
            heard.samples = bytes.as_chunks().0.iter().map(sample).collect();
            heard
        });
        Self { child, heard }
    }

    /// Stops listening: the unix time in milliseconds at which the speaker's source began to be heard.
    ///
    /// # Errors
    /// The source was not heard, or not in one piece.
    pub fn instant_of(mut self, speaker: Speaker) -> Result<f64, String> {
        self.child.kill().and_then(|()| self.child.wait()).map_err(|error| error.to_string())?;
        let heard = self.heard.join().map_err(|_| "the listener's thread panicked")?;
        let begun = heard.begun_ms.ok_or("the listener heard nothing at all")?;
        let offset = constant_offset(&read_time_code(&heard.samples, speaker), 1.0)?;
        Ok(begun + offset / SAMPLE_RATE as f64 * 1000.0)
    }
}

impl Played {
    /// Plays `wav` into the microphone.
    ///
    /// # Panics
    /// There is no paplay.
    #[must_use]
    pub fn start(server: &PulseServer, wav: &Path) -> Self {
        let spawned = server.client("paplay").arg("--device=room").arg(wav).spawn();
        Self(
            spawned
                .unwrap_or_else(|error| panic!("paplay cannot be started: {error}; apt-get install pulseaudio-utils")),
        )
    }

    /// Waits until all of it was played.
    ///
    /// # Panics
    /// It takes a minute longer than it should, or fails.
    pub fn wait(mut self, length: std::time::Duration) {
        let ended = Deadline::after(length + PATIENCE).poll(|| self.0.try_wait().transpose());
        assert!(matches!(ended, Some(Ok(status)) if status.success()), "paplay: {ended:?}");
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        // Already ended is as good as killed.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn what_is_played_is_heard_in_one_piece_and_after_it_was_played() {
        let place = tempfile::tempdir().unwrap();
        let server = PulseServer::start(place.path());
        let wav = place.path().join("source.wav");
        crate::write_mono(&wav, &Speaker(9).says(3));
        let listener = Listener::start(&server);
        let before = now_unix_ms();
        Played::start(&server, &wav).wait(std::time::Duration::from_secs(3));
        let heard = listener.instant_of(Speaker(9)).unwrap();
        let late = heard - before;
        assert!((-Listener::UNCERTAINTY_MS..10_000.0).contains(&late), "{late} ms after");
    }
}
