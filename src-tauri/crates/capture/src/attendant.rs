//! Someone who waits for the sound system, so that the worker never has to.

use std::sync::mpsc;

use crate::CaptureError;
use crate::device::{AudioHost, DeviceChoice, DeviceIdentity, OpenDevice};

/// What the sound system is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// Open the chosen device; with `any`, a default one will do.
    Open { any: bool },
    /// Which device would be opened now?
    Identify,
}

/// What it answered.
pub(crate) enum Reply {
    Opened(Result<OpenDevice, CaptureError>),
    Identified(Result<DeviceIdentity, CaptureError>),
}

/// Asks the sound system on somebody's behalf.
pub(crate) trait Attendant: Send {
    fn request(&mut self, request: Request);

    /// What was answered since, without waiting.
    fn reply(&mut self) -> Option<Reply>;

    /// Gives up on a question that is not answered: a fresh start.
    fn give_up(&mut self);
}

/// A thread that asks. One that hangs is left to itself; whatever it still opens is closed at once.
pub(crate) struct HostThread<F> {
    choice: DeviceChoice,
    host: F,
    thread: Option<(mpsc::Sender<Request>, mpsc::Receiver<Reply>)>,
}

impl<F, H> HostThread<F>
where
    F: Fn() -> H + Send,
    H: AudioHost + 'static,
{
    pub(crate) fn new(choice: DeviceChoice, host: F) -> Self {
        Self { choice, host, thread: None }
    }

    fn spawn(&self) -> std::io::Result<(mpsc::Sender<Request>, mpsc::Receiver<Reply>)> {
        let (ask, asked) = mpsc::channel();
        let (answer, answered) = mpsc::channel();
        let (mut host, choice) = ((self.host)(), self.choice.clone());
        let attend = move || {
            for request in asked {
                let reply = match request {
                    Request::Open { any } => Reply::Opened(host.open(&choice, any)),
                    Request::Identify => Reply::Identified(host.identify(&choice, true)),
                };
                if answer.send(reply).is_err() {
                    break;
                }
            }
        };
        std::thread::Builder::new().name("sound-system".to_owned()).spawn(attend)?;
        Ok((ask, answered))
    }
}

impl<F, H> Attendant for HostThread<F>
where
    F: Fn() -> H + Send,
    H: AudioHost + 'static,
{
    fn request(&mut self, request: Request) {
        if self.thread.is_none() {
            match self.spawn() {
                Ok(thread) => self.thread = Some(thread),
                // Unanswered, the question is asked again later.
                Err(error) => tracing::warn!(%error, "no thread to ask the sound system on"),
            }
        }
        if let Some((ask, _)) = &self.thread
            && ask.send(request).is_err()
        {
            self.thread = None;
        }
    }

    fn reply(&mut self) -> Option<Reply> {
        self.thread.as_ref()?.1.try_recv().ok()
    }

    fn give_up(&mut self) {
        self.thread = None;
    }
}
