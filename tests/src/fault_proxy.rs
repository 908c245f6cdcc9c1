//! A proxy between a program and its S3 server that does what networks and stores do on a bad day: late, slow, cut off,
//! silent, refused, an answer that is lost or torn. It also counts what was sent.
//!
//! One request a connection: whoever asks connects anew for the next one, so that each can be treated by itself. Heads
//! pass as they are, because they are signed.

mod relay;
mod request;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use request::Asked;

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It reaches the store later.
    Late(Duration),
    /// Its body reaches the store at so many bytes a second.
    Slow(u64),
    /// The connection breaks after so many bytes of its body.
    Reset(u64),
    /// Answered as it should be, but the connection is closed so much later.
    ClosedLate(Duration),
    /// It is accepted, and nothing ever comes of it.
    Silence,
    /// It does not reach the store; the answer has this status, this code, and this many seconds as `Retry-After`.
    Refused(u16, &'static str, Option<u32>),
    /// The store carries it out, and the connection breaks before the answer.
    AnswerLost,
    /// The store carries it out, and the answer's body ends in its middle, as if it were whole.
    AnswerTorn,
    /// A bit of its body is another when it reaches the store.
    Garbled,
}

/// A request as it passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// What was asked for.
    pub asked: Asked,
    /// Bytes of its body that the store got.
    pub body: u64,
    /// The store got all of it.
    pub whole: bool,
}

/// A fault that is still to come.
#[derive(Debug)]
struct Planned {
    fault: Fault,
    left: usize,
    concerns: fn(Asked) -> bool,
}

/// What the threads share.
#[derive(Debug)]
struct Shared {
    store: SocketAddr,
    planned: Mutex<Vec<Planned>>,
    passed: Mutex<Vec<Passed>>,
    /// Connections that nothing ever comes of.
    silenced: Mutex<Vec<TcpStream>>,
    over: AtomicBool,
}

/// The proxy; gone when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl FaultProxy {
    /// Begins to listen on a free port, in front of a server at an address such as `http://127.0.0.1:8333`.
    ///
    /// # Panics
    /// The address is none, or there is no port.
    #[must_use]
    pub fn start(store: &str) -> Self {
        let store = store.trim_start_matches("http://").parse().expect("an address of this computer");
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared {
            store,
            planned: Mutex::default(),
            passed: Mutex::default(),
            silenced: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self { address, shared, accepting: Some(accepting) }
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next `times` requests that it `concerns` go wrong like this. Faults of several calls come one after the other.
    pub fn plan(&self, concerns: fn(Asked) -> bool, fault: Fault, times: usize) {
        lock(&self.shared.planned).push(Planned { fault, left: times, concerns });
    }

    /// Whether every fault that was planned has come.
    #[must_use]
    pub fn all_came(&self) -> bool {
        lock(&self.shared.planned).is_empty()
    }

    /// What passed so far, in the order in which it began to.
    #[must_use]
    pub fn passed(&self) -> Vec<Passed> {
        lock(&self.shared.passed).clone()
    }

    /// How many parts the store got as a whole, those that came again counted again.
    #[must_use]
    pub fn whole_parts(&self) -> usize {
        lock(&self.shared.passed).iter().filter(|passed| passed.whole && passed.asked.part().is_some()).count()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        lock(&self.shared.silenced).clear();
        // Wakes the thread; an error says that it has ended.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

impl Shared {
    /// The fault of this request, if one is due.
    fn fault(&self, asked: Asked) -> Option<Fault> {
        let mut planned = lock(&self.planned);
        let at = planned.iter().position(|planned| (planned.concerns)(asked))?;
        planned[at].left -= 1;
        let fault = planned[at].fault.clone();
        if planned[at].left == 0 {
            planned.remove(at);
        }
        Some(fault)
    }

    fn begins(&self, asked: Asked) -> usize {
        let mut passed = lock(&self.passed);
        passed.push(Passed { asked, body: 0, whole: false });
        passed.len() - 1
    }

    fn went(&self, at: usize, bytes: u64) {
        lock(&self.passed)[at].body += bytes;
    }

    fn is_whole(&self, at: usize) {
        lock(&self.passed)[at].whole = true;
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.over.load(Ordering::Relaxed) {
            break;
        }
        let (Ok(client), shared) = (client, Arc::clone(shared)) else { continue };
        thread::spawn(move || {
            // Whoever asked may have gone: that is their business.
            let _broken: io::Result<()> = relay::serve(client, &shared);
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
