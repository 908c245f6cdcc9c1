//! A recording stream of PulseAudio, or of PipeWire behind the same protocol.
//!
//! The server hands out what it has in small pieces, and keeps seconds of it for a client that is late: a busy machine
//! then delays sound and loses none. (cpal asks for pieces and for room of the same size: a server or client that is
//! starved for longer than two pieces loses what comes behind them.)

use std::ffi::CString;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use pulseaudio::protocol::{self, PulseError, RecordStreamParams, SampleFormat};
use pulseaudio::{Client, ClientError, RecordStream};
use roomtone_protocol::ClockNs;

use crate::CaptureError;
use crate::feed::{ErrorLatch, Feeder};

/// Sound in a piece: the server's own choice of two seconds is too rare for a level meter and for alarms.
const PIECE_MS: u32 = 80;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The server is asked where it stands after each piece, and this often without one.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// An answer that took longer was held up: its instant is not known.
const PROMPT_NS: i64 = 100_000_000;

/// A latency beyond this is no microphone's but a mistake about what was counted.
const LONGEST_LATENCY_NS: i64 = 2_000_000_000;

/// Not known yet.
const UNKNOWN: i64 = i64::MIN;

/// An open stream; dropping it closes it.
pub(super) struct PulseStream {
    timing: Option<JoinHandle<()>>,
    closing: Arc<AtomicBool>,
}

impl PulseStream {
    /// Opens a stream from the source of this name at its own rate and number of channels, and starts it. Never returns
    /// later than after a few times the server's patience.
    pub(super) fn open(source: &str, feeder: Feeder, failure: &ErrorLatch) -> Result<Self, CaptureError> {
        let client = connect()?;
        let name = CString::new(source).map_err(|_| device("a name with a zero in it"))?;
        let info = ask(client.source_info_by_name(name))?;
        let spec = protocol::SampleSpec { format: SampleFormat::Float32Le, ..info.sample_spec };
        let channels = u16::from(spec.channels.max(1));
        let frame_bytes = u32::from(channels) * 4;
        let params = RecordStreamParams {
            sample_spec: spec,
            channel_map: info.channel_map,
            source_index: Some(info.index),
            buffer_attr: protocol::stream::BufferAttr {
                // As much as the server keeps for anybody: 4 MiB, 20 s of one channel.
                max_length: u32::MAX,
                fragment_size: spec.sample_rate / 1_000 * PIECE_MS * frame_bytes,
                ..Default::default()
            },
            flags: protocol::stream::StreamFlags {
                start_corked: true,
                // Pieces become that small only if the source is told so.
                adjust_latency: true,
                ..Default::default()
            },
            ..Default::default()
        };
        let zero = Arc::new(AtomicI64::new(UNKNOWN));
        let (ready, waiting) = std::sync::mpsc::sync_channel::<Thread>(1);
        let sink = receive(feeder, channels, spec.sample_rate, Arc::clone(&zero), waiting);
        let stream = ask(client.create_record_stream(params, sink))?;
        let closing = Arc::new(AtomicBool::new(false));
        let clock = StreamClock {
            client,
            stream: stream.clone(),
            zero,
            closing: Arc::clone(&closing),
            failure: Arc::clone(failure),
            frame_bytes: i64::from(frame_bytes),
            rate: i64::from(spec.sample_rate.max(1)),
        };
        let timing = thread::Builder::new().name("pulse-timing".to_owned()).spawn(move || clock.run());
        let timing = timing.map_err(|error| CaptureError::Thread { reason: error.to_string() })?;
        // The channel is new and holds one.
        ready.try_send(timing.thread().clone()).unwrap_or_default();
        let opened = Self { timing: Some(timing), closing };
        ask(stream.uncork())?;
        Ok(opened)
    }
}

impl Drop for PulseStream {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        if let Some(timing) = self.timing.take() {
            timing.thread().unpark();
        }
    }
}

/// What is called with every piece.
fn receive(
    mut feeder: Feeder,
    channels: u16,
    rate: u32,
    zero: Arc<AtomicI64>,
    timing: std::sync::mpsc::Receiver<Thread>,
) -> impl FnMut(&[u8]) + Send + 'static {
    // Twice what a piece should be; a longer one is the only thing that allocates here.
    let mut samples: Vec<f32> = Vec::with_capacity((rate / 500 * PIECE_MS) as usize * usize::from(channels));
    let mut frames = 0_i64;
    let mut thread = None;
    move |bytes| {
        let at = roomtone_clock::now();
        samples.clear();
        samples.extend(
            bytes.chunks_exact(4).map(|sample| f32::from_le_bytes([sample[0], sample[1], sample[2], sample[3]])),
        );
        let zero = zero.load(Ordering::Relaxed);
        let latency = at.0.saturating_sub(zero).saturating_sub(nanoseconds(frames, i64::from(rate)));
        let known = zero != UNKNOWN && (0..=LONGEST_LATENCY_NS).contains(&latency);
        feeder.push(&samples, channels, at, if known { latency } else { 0 });
        frames += (samples.len() / usize::from(channels)) as i64;
        if thread.is_none() {
            thread = timing.try_recv().ok();
        }
        if let Some(thread) = &thread {
            Thread::unpark(thread);
        }
    }
}

/// Asks the server where it stands, and finds out that way when it is gone.
struct StreamClock {
    /// Held as long as the stream.
    client: Client,
    stream: RecordStream,
    /// When the stream's frame 0 was captured, nanoseconds on the timeline clock.
    zero: Arc<AtomicI64>,
    closing: Arc<AtomicBool>,
    failure: ErrorLatch,
    frame_bytes: i64,
    rate: i64,
}

impl StreamClock {
    fn run(self) {
        while !self.closing.load(Ordering::Relaxed) {
            let asked = roomtone_clock::now();
            let answer = wait(self.stream.timing_info(), PATIENCE);
            let answered = roomtone_clock::now();
            match answer {
                Some(Ok(timing)) if answered.0 - asked.0 <= PROMPT_NS => self
                    .zero
                    .store(self.captured(answered, timing.source_usec, timing.write_offset).0, Ordering::Relaxed),
                // A server that does not answer may still deliver.
                Some(Ok(_)) | None => {}
                Some(Err(error)) => {
                    if !self.closing.load(Ordering::Relaxed) && self.failure.get().is_none() {
                        // Of two at the same time one is enough.
                        self.failure.set(refused(&error)).unwrap_or_default();
                    }
                    break;
                }
            }
            thread::park_timeout(ASK_EVERY);
        }
        tracing::debug!(client = ?self.client, "a stream is closed");
    }

    /// When frame 0 was captured: the last one that the server has is as old as its source's latency.
    fn captured(&self, now: ClockNs, source_us: u64, written: i64) -> ClockNs {
        let latency = i64::try_from(source_us).unwrap_or(i64::MAX).saturating_mul(1_000);
        ClockNs(now.0.saturating_sub(latency).saturating_sub(nanoseconds(written / self.frame_bytes, self.rate)))
    }
}

fn nanoseconds(frames: i64, rate: i64) -> i64 {
    i64::try_from(i128::from(frames) * 1_000_000_000 / i128::from(rate.max(1))).unwrap_or(i64::MAX)
}

/// The handshake waits for the server without a bound of its own: it happens on a thread that nobody waits for.
fn connect() -> Result<Client, CaptureError> {
    let (tell, told) = std::sync::mpsc::channel();
    let connect = move || tell.send(Client::from_env(c"Roomtone")).unwrap_or_default();
    thread::Builder::new()
        .name("pulse-connect".to_owned())
        .spawn(connect)
        .map_err(|error| CaptureError::Thread { reason: error.to_string() })?;
    let silent = CaptureError::TimedOut { seconds: PATIENCE.as_secs() };
    told.recv_timeout(PATIENCE).map_err(|_| silent)?.map_err(|error| refused(&error))
}

fn ask<T>(question: impl Future<Output = Result<T, ClientError>>) -> Result<T, CaptureError> {
    match wait(question, PATIENCE) {
        Some(answer) => answer.map_err(|error| refused(&error)),
        None => Err(CaptureError::TimedOut { seconds: PATIENCE.as_secs() }),
    }
}

fn refused(error: &ClientError) -> CaptureError {
    let reason = error.to_string();
    match error {
        ClientError::ServerError(PulseError::AccessDenied | PulseError::AuthKey) => CaptureError::Denied { reason },
        ClientError::ServerError(_) => CaptureError::Device { reason },
        _ => CaptureError::SoundSystem { reason },
    }
}

fn device(reason: &str) -> CaptureError {
    CaptureError::Device { reason: reason.to_owned() }
}

/// Waits for a future, at most `patience`.
fn wait<T>(future: impl Future<Output = T>, patience: Duration) -> Option<T> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let until = roomtone_clock::now().0 + i64::try_from(patience.as_nanos()).unwrap_or(i64::MAX);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = u64::try_from(until - roomtone_clock::now().0).ok().filter(|&left| left > 0)?;
        thread::park_timeout(Duration::from_nanos(left));
    }
}
