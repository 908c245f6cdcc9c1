//! What must withstand any bytes, each of it as a function of them: it must come back, in little time and memory.
//!
//! | target | the bytes are |
//! |---|---|
//! | `records` | a file or a message of framed records |
//! | `journal` | the files of a journal on the recorder's disk |
//! | `spool` | the files of a spool on a participant's disk |
//! | `payload` | RTP timestamps and payloads, as a participant sends them |
//! | `to_recorder` | messages from a participant, a line each |
//! | `to_participant` | messages from a recorder, a line each |
//! | `wav` | a WAV file that plays as a microphone |
//!
//! `corpus/` holds what they begin with, one folder a target, made from real records by the example `seeds`. An input that
//! once did harm is added to it. The tests here try the corpus and simple changes of it; `libfuzzer/` builds the same
//! functions with coverage instrumentation, for `cargo xtask test --long`.

mod hear;
mod journal;
mod messages;
mod parts;
mod payload;
mod records;
mod spool;
mod wav;

pub use journal::journal;
pub use messages::{to_participant, to_recorder};
pub use parts::{join, split};
pub use payload::payload;
pub use records::records;
pub use spool::spool;
pub use wav::wav;

/// A name, and what is done with the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 7] = [
    ("records", records),
    ("journal", journal),
    ("spool", spool),
    ("payload", payload),
    ("to_recorder", to_recorder),
    ("to_participant", to_participant),
    ("wav", wav),
];
