//! Which messages are the transport's own, and which the program's.

use roomtone_protocol::channel::{Hello, ToParticipant, ToRecorder};
use roomtone_protocol::{ClockNs, ErrorReport};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A message that came in, sorted.
#[derive(Debug, PartialEq)]
pub(crate) enum Sorted<In> {
    /// The first one.
    Hello(Box<Hello>),
    /// Our hello was not good enough.
    Refused(ErrorReport),
    /// To be answered at once.
    Ping { t0: ClockNs },
    /// Our own question comes back.
    Pong { t0: ClockNs, t1: ClockNs, t2: ClockNs },
    /// Not ours.
    Program(In),
}

/// One end of a link: what goes out from it, and what comes in.
pub(crate) trait End: Send + 'static {
    /// What this end sends.
    type Out: Serialize + Send + 'static;
    /// What it receives.
    type In: DeserializeOwned + Send + 'static;
    /// Whether this end asks for the other's clock.
    const ASKS: bool;

    /// Sorts what came in.
    fn sort(message: Self::In) -> Sorted<Self::In>;
    /// Our own hello.
    fn hello(hello: Hello) -> Self::Out;
}

/// The recorder's end.
pub(crate) struct AtRecorder;

/// The member's end.
pub(crate) struct AtMember;

impl End for AtRecorder {
    type Out = ToParticipant;
    type In = ToRecorder;
    const ASKS: bool = true;

    fn sort(message: ToRecorder) -> Sorted<ToRecorder> {
        match message {
            ToRecorder::Hello(hello) => Sorted::Hello(hello),
            ToRecorder::ClockPong { t0, t1, t2 } => Sorted::Pong { t0, t1, t2 },
            other => Sorted::Program(other),
        }
    }

    fn hello(hello: Hello) -> ToParticipant {
        ToParticipant::Hello(Box::new(hello))
    }
}

impl End for AtMember {
    type Out = ToRecorder;
    type In = ToParticipant;
    const ASKS: bool = false;

    fn sort(message: ToParticipant) -> Sorted<ToParticipant> {
        match message {
            ToParticipant::Hello(hello) => Sorted::Hello(hello),
            ToParticipant::Refused { error } => Sorted::Refused(error),
            ToParticipant::ClockPing { t0 } => Sorted::Ping { t0 },
            other => Sorted::Program(other),
        }
    }

    fn hello(hello: Hello) -> ToRecorder {
        ToRecorder::Hello(Box::new(hello))
    }
}

/// JSON of a message that is known to be plain data.
pub(crate) fn json<T: Serialize>(message: &T) -> String {
    serde_json::to_string(message).expect("messages are plain data that JSON can hold")
}
