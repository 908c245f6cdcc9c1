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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::device::OpenStream;

    /// Answers once for everything that comes through `answers`, and hangs in between.
    struct Slow {
        answers: Arc<Mutex<mpsc::Receiver<()>>>,
        name: u32,
    }

    impl AudioHost for Slow {
        fn identify(&mut self, _: &DeviceChoice, _: bool) -> Result<DeviceIdentity, CaptureError> {
            self.answers.lock().unwrap().recv().unwrap();
            let name = self.name.to_string();
            Ok(DeviceIdentity { id: name.clone(), name, rate: 48_000, channels: 1, instead_of: None })
        }

        fn open(&mut self, _: &DeviceChoice, _: bool) -> Result<OpenDevice, CaptureError> {
            Err(CaptureError::NoDefault)
        }
    }

    /// Asks until there is an answer; a bound keeps a broken test from hanging.
    fn wait(attendant: &mut impl Attendant) -> Reply {
        let until = roomtone_clock::now().0 + 30_000_000_000;
        while roomtone_clock::now().0 < until {
            if let Some(reply) = attendant.reply() {
                return reply;
            }
            std::thread::yield_now();
        }
        panic!("no answer");
    }

    #[test]
    fn a_host_that_hangs_keeps_nobody_waiting() {
        let made = Arc::new(Mutex::new(Vec::new()));
        let host = {
            let made = Arc::clone(&made);
            move || {
                let (answer, answers) = mpsc::channel();
                let mut made = made.lock().unwrap();
                made.push(answer);
                Slow { answers: Arc::new(Mutex::new(answers)), name: made.len() as u32 }
            }
        };
        let mut attendant = HostThread::new(DeviceChoice::Default, host);
        attendant.request(Request::Identify);
        assert!(attendant.reply().is_none());
        attendant.give_up();
        attendant.request(Request::Identify);
        made.lock().unwrap()[1].send(()).unwrap();
        let Reply::Identified(Ok(identity)) = wait(&mut attendant) else { panic!("another answer") };
        assert_eq!(identity.name, "2", "a fresh one was asked");
        made.lock().unwrap()[0].send(()).unwrap();
        attendant.request(Request::Open { any: true });
        assert!(matches!(wait(&mut attendant), Reply::Opened(Err(CaptureError::NoDefault))));
    }

    /// A stream that cannot be closed until it is let go.
    struct Stuck(mpsc::Receiver<()>, mpsc::Sender<()>);

    impl Drop for Stuck {
        fn drop(&mut self) {
            self.0.recv().unwrap_or_default();
            self.1.send(()).unwrap_or_default();
        }
    }

    #[test]
    fn a_stream_that_hangs_while_closing_keeps_nobody_waiting() {
        let (let_go, held) = mpsc::channel();
        let (tell, closed) = mpsc::channel();
        drop(OpenStream::new(Stuck(held, tell)));
        assert!(closed.try_recv().is_err());
        let_go.send(()).unwrap();
        closed.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
    }
}
