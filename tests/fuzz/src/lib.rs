//! What must withstand any bytes, each of it as a function of them: it must come back, in little time and memory.
//!
//! | target | the bytes are |
//! |---|---|
//! | `records` | a file or a message of framed records |
//! | `journal` | the files of a journal on the recorder's disk |
//! | `spool` | the files of a spool on a participant's disk |
//! | `payload` | RTP timestamps and payloads, as a participant sends them |
//! | `to_recorder` | what a participant sends, a line each: messages, packets, records |
//! | `to_participant` | messages from a recorder, a line each |
//! | `take` | what is left of a file that grew, and the state that tells what is in it |
//! | `wav` | a WAV file that plays as a microphone |
//!
//! `corpus/` holds what they begin with, one folder a target, made from real records by the example `seeds`. An input that
//! once did harm is added to it. The tests here try the corpus and simple changes of it; `libfuzzer/` builds the same
//! functions with coverage instrumentation, for `cargo xtask test --long`.

mod hear;
mod journal;
mod parts;
mod payload;
mod records;
mod spool;
mod take;
mod to_participant;
mod to_recorder;
mod wav;

pub use journal::journal;
pub use parts::{join, split};
pub use payload::payload;
pub use records::records;
pub use spool::spool;
pub use take::{take, take_journal};
pub use to_participant::to_participant;
pub use to_recorder::to_recorder;
pub use wav::wav;

/// A name, and what is done with the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 8] = [
    ("records", records),
    ("journal", journal),
    ("spool", spool),
    ("payload", payload),
    ("to_recorder", to_recorder),
    ("to_participant", to_participant),
    ("take", take),
    ("wav", wav),
];
