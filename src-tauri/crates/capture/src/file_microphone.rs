//! A WAV file that plays as if it were a microphone, with a device clock of its own. Pure but for reading the file.

mod source;
mod wav;

use roomtone_protocol::{ClockNs, SAMPLE_RATE, SampleIndex};

use crate::encoder::FRAME_SAMPLES;
use crate::track::{IndexClock, Start, Track};
use crate::{CaptureError, CaptureEvent, DeviceProblem, FileSpec};
use source::Source;

/// Packets of one step: someone who wants to stop it while it catches up is heard.
const STEP_PACKETS: usize = 100;

/// Plays a file into a track.
pub(crate) struct FileMicrophone {
    track: Track,
    source: Source,
    /// Sample 0 and the simulated device's rate on the timeline clock.
    clock: IndexClock,
    /// Samples of silence before the file begins.
    lead: u64,
    gain: f32,
    /// Samples that were captured.
    captured: u64,
    over: bool,
    name: String,
}

impl FileMicrophone {
    /// Capture begins at `now`, at `wall_ns` by the system's clock: the one moment at which the two are compared.
    pub(crate) fn open(spec: &FileSpec, mut track: Track, now: ClockNs, wall_ns: i64) -> Result<Self, CaptureError> {
        let rate = f64::from(SAMPLE_RATE) * (1.0 + spec.skew_ppm * 1e-6);
        let clock = IndexClock { index: 0, at: now, rate };
        let lead = spec.at_unix_ms.map_or(0, |at| {
            let at = ClockNs(at.saturating_mul(1_000_000).saturating_sub(wall_ns).saturating_add(now.0));
            IndexClock::samples(rate, now, at)
        });
        let source = Source::open(spec, u64::try_from(-lead).unwrap_or(0))?;
        let name = spec.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        track.begin(&Start { at: now, rate, device: &name, device_rate: source.rate(), cause: None });
        track.tell(CaptureEvent::Device { name: name.clone(), problem: None });
        let gain = 10_f64.powf(spec.gain_db / 20.0) as f32;
        let lead = u64::try_from(lead).unwrap_or(0);
        Ok(Self { track, source, clock, lead, gain, captured: 0, over: false, name })
    }

    /// What happened since.
    pub(crate) fn poll_event(&mut self) -> Option<CaptureEvent> {
        self.track.poll_event()
    }

    pub(crate) fn set_muted(&mut self, muted: bool) {
        self.track.set_muted(muted);
    }

    /// Captures what was to be captured by `now`; tells when to come again, or None when the file is over.
    pub(crate) fn step(&mut self, now: ClockNs) -> Option<ClockNs> {
        for _ in 0..STEP_PACKETS {
            let due = self.clock.time(self.captured + FRAME_SAMPLES as u64);
            if self.over {
                return None;
            }
            if due > now {
                return Some(due);
            }
            self.capture();
        }
        Some(now)
    }

    /// Ends it: what was captured comes out.
    pub(crate) fn finish(&mut self) {
        self.track.end();
    }

    fn capture(&mut self) {
        let silence = usize::try_from(self.lead).unwrap_or(usize::MAX).min(FRAME_SAMPLES);
        self.lead -= silence as u64;
        let mut frame = vec![0.0; silence];
        if let Err(error) = self.source.read(FRAME_SAMPLES - silence, &mut frame) {
            let problem = Some(DeviceProblem::Failed(error));
            self.track.tell(CaptureEvent::Device { name: self.name.clone(), problem });
        }
        for sample in &mut frame[silence..] {
            *sample *= self.gain;
        }
        self.captured += frame.len() as u64;
        self.track.push(&frame);
        if self.captured.is_multiple_of(u64::from(SAMPLE_RATE)) {
            self.track.anchor(SampleIndex(self.captured), self.clock.time(self.captured));
        }
        if frame.len() < FRAME_SAMPLES {
            self.track.end();
            self.track.tell(CaptureEvent::Finished);
            self.over = true;
        }
    }
}

#[cfg(test)]
mod tests;
