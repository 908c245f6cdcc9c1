//! A running capture: its thread, and the hand on it.

use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use roomtone_protocol::WakeEpoch;

use crate::attendant::HostThread;
use crate::device::{CpalHost, DeviceChoice};
use crate::device_capture::DeviceCapture;
use crate::file_microphone::FileMicrophone;
use crate::track::Track;
use crate::{CaptureError, CaptureEvent, DEFAULT_BITRATE, FileSpec, MicrophoneSpec};

/// How often the worker looks: as often as packets are due.
const STEP: Duration = Duration::from_millis(20);

/// How long the first device may take to open before whoever asked is told.
const FIRST_PATIENCE: Duration = Duration::from_secs(8);

/// How long stopping waits for the last packets.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// How to capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureConfig {
    /// This start or wake-up of the program, counted on its disk.
    pub epoch: WakeEpoch,
    /// Of the packets, in bits a second.
    pub bitrate: u32,
}

impl CaptureConfig {
    /// The default bit rate in the given epoch.
    #[must_use]
    pub fn new(epoch: WakeEpoch) -> Self {
        Self { epoch, bitrate: DEFAULT_BITRATE }
    }
}

/// Where events go.
type Sink = Box<dyn FnMut(CaptureEvent) + Send>;

enum Control {
    Muted(bool),
    Stop,
}

/// Captures until it is stopped or dropped.
#[derive(Debug)]
pub struct Capture {
    control: mpsc::Sender<Control>,
    /// In a mutex only so that a capture can be shared between threads.
    over: Mutex<mpsc::Receiver<()>>,
}

impl Capture {
    /// Starts. `sink` is called on the capture's own thread, in order; it should not block for long.
    ///
    /// A device is waited for until it is open, at most eight seconds; from then on capture looks after itself, and what
    /// happens to the device comes as [`CaptureEvent::Device`].
    ///
    /// # Errors
    /// What is wrong with the device, the file or the settings.
    pub fn start(microphone: MicrophoneSpec, config: CaptureConfig, sink: Sink) -> Result<Self, CaptureError> {
        let track = Track::new(config.epoch, config.bitrate)?;
        match microphone {
            MicrophoneSpec::None => Err(CaptureError::None),
            MicrophoneSpec::Default => Self::start_device(DeviceChoice::Default, track, sink),
            MicrophoneSpec::Device(name) => Self::start_device(DeviceChoice::Named(name), track, sink),
            MicrophoneSpec::File(file) => Self::start_file(&file, track, sink),
        }
    }

    fn start_device(choice: DeviceChoice, track: Track, mut sink: Sink) -> Result<Self, CaptureError> {
        let (first, opened) = mpsc::channel();
        let capture = Self::spawn(move |controls| {
            let attendant = HostThread::new(choice, CpalHost::default);
            let mut capture = DeviceCapture::new(attendant, track, first, roomtone_clock::now());
            loop {
                capture.step(roomtone_clock::now());
                std::iter::from_fn(|| capture.poll_event()).for_each(&mut sink);
                match controls.recv_timeout(STEP) {
                    Ok(Control::Muted(muted)) => capture.set_muted(muted),
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Ok(Control::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
            }
            capture.finish();
            std::iter::from_fn(|| capture.poll_event()).for_each(&mut sink);
        })?;
        let timed_out = CaptureError::TimedOut { seconds: FIRST_PATIENCE.as_secs() };
        opened.recv_timeout(FIRST_PATIENCE).unwrap_or(Err(timed_out))?;
        Ok(capture)
    }

    fn start_file(file: &FileSpec, track: Track, mut sink: Sink) -> Result<Self, CaptureError> {
        let mut microphone = FileMicrophone::open(file, track, roomtone_clock::now(), roomtone_clock::wall_ns())?;
        Self::spawn(move |controls| {
            loop {
                let due = microphone.step(roomtone_clock::now());
                std::iter::from_fn(|| microphone.poll_event()).for_each(&mut sink);
                let Some(due) = due else { break };
                let wait = due.0.saturating_sub(roomtone_clock::now().0).max(0).unsigned_abs();
                match controls.recv_timeout(Duration::from_nanos(wait)) {
                    Ok(Control::Muted(muted)) => microphone.set_muted(muted),
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Ok(Control::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
                }
            }
            microphone.finish();
            std::iter::from_fn(|| microphone.poll_event()).for_each(&mut sink);
        })
    }

    fn spawn(work: impl FnOnce(&mpsc::Receiver<Control>) + Send + 'static) -> Result<Self, CaptureError> {
        let (control, controls) = mpsc::channel();
        let (done, over) = mpsc::channel();
        let run = move || {
            work(&controls);
            // Dropped at the end, or when the worker panics: either way whoever waits is released.
            drop(done);
        };
        std::thread::Builder::new()
            .name("capture".to_owned())
            .spawn(run)
            .map_err(|error| CaptureError::Thread { reason: error.to_string() })?;
        Ok(Self { control, over: Mutex::new(over) })
    }

    /// From the next sample on, all are zeros, or no longer; [`CaptureEvent::Muted`] says from which.
    pub fn set_muted(&self, muted: bool) {
        self.send(Control::Muted(muted));
    }

    /// Ends it, and waits until the sink has had the last packet, at most a second. Dropping ends it without waiting.
    ///
    /// Not to be called from inside the sink, nor where the sink waits for the caller.
    pub fn stop(self) {
        self.send(Control::Stop);
        let over = self.over.into_inner().unwrap_or_else(PoisonError::into_inner);
        if over.recv_timeout(STOP_PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!("capture did not end in time");
        }
    }

    fn send(&self, control: Control) {
        if self.control.send(control).is_err() {
            tracing::debug!("the capture is over already");
        }
    }
}

#[cfg(test)]
mod tests {
    use hound::{SampleFormat, WavSpec, WavWriter};

    use super::*;

    /// Longest wait for what comes within a second on an idle machine.
    const BOUND: Duration = Duration::from_secs(30);

    fn file(seconds: f64) -> (tempfile::TempDir, FileSpec) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let spec = WavSpec { channels: 1, sample_rate: 48_000, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let mut writer = WavWriter::create(&path, spec).unwrap();
        (0..(seconds * 48e3) as i16).for_each(|n| writer.write_sample(n % 99 * 100).unwrap());
        writer.finalize().unwrap();
        (folder, FileSpec::new(path))
    }

    fn start(file: FileSpec) -> (Capture, mpsc::Receiver<CaptureEvent>) {
        let (tell, told) = mpsc::channel();
        let sink = Box::new(move |event| tell.send(event).unwrap_or_default());
        let config = CaptureConfig::new(WakeEpoch(1));
        (Capture::start(MicrophoneSpec::File(file), config, sink).unwrap(), told)
    }

    #[test]
    fn a_file_is_captured_to_its_end() {
        let (_folder, file) = file(0.1);
        let (_capture, told) = start(file);
        let events: Vec<_> = std::iter::from_fn(|| told.recv_timeout(BOUND).ok()).collect();
        let packets = events.iter().filter(|event| matches!(event, CaptureEvent::Packet { .. })).count();
        assert_eq!((packets, events.last()), (6, Some(&CaptureEvent::Finished)));
    }

    #[test]
    fn stopping_ends_it_and_brings_the_rest() {
        let (_folder, file) = file(0.5);
        let (capture, told) = start(FileSpec { repeat: true, ..file });
        let packet = |event: &CaptureEvent| matches!(event, CaptureEvent::Packet { .. });
        while !packet(&told.recv_timeout(BOUND).unwrap()) {}
        capture.set_muted(true);
        while !matches!(told.recv_timeout(BOUND).unwrap(), CaptureEvent::Muted { muted: true, .. }) {}
        capture.stop();
        // The sink is gone with its thread: the channel ends.
        assert!(told.iter().any(|event| packet(&event)));
    }

    #[test]
    fn dropping_ends_it() {
        let (_folder, file) = file(0.5);
        let (capture, told) = start(FileSpec { repeat: true, ..file });
        told.recv_timeout(BOUND).unwrap();
        drop(capture);
        assert!(told.iter().all(|event| event != CaptureEvent::Finished));
    }

    #[test]
    fn what_cannot_start_says_so() {
        let config = CaptureConfig::new(WakeEpoch(1));
        let start = |microphone, config| Capture::start(microphone, config, Box::new(|_| {})).unwrap_err();
        assert_eq!(start(MicrophoneSpec::None, config), CaptureError::None);
        let nowhere = MicrophoneSpec::File(FileSpec::new("/nowhere/at/all.wav"));
        assert_eq!(start(nowhere.clone(), config).code(), "microphone");
        assert_eq!(start(nowhere, CaptureConfig { bitrate: 5, ..config }).code(), "invalid_setting");
    }
}
