//! The rules of a room: who is in, who is away, what is being recorded, and who may do what.
//!
//! [`Room`] is a plain value. It owns no clock, socket, file or random source: its driver tells it what happened with
//! [`Room::handle`], drains [`Room::poll_output`] until it is empty, and comes back with [`Input::Tick`] no later than
//! at [`Room::next_deadline`].
//!
//! The words are those of the product: a *participant* is somebody with a microphone's rights, *away* is who vanished
//! without a word, *left* is who said goodbye, and *current* is the one recording in progress.

mod answered;
mod auto_record;
mod commands;
mod continuing;
mod current;
mod describing;
mod disk;
mod due;
mod ended;
mod failures;
mod history;
mod input;
mod moved;
mod output;
mod people;
mod recordings;
mod room;
mod steering;
mod texts;
mod timing;

#[cfg(test)]
mod tests;

pub use describing::MAX_MARKERS;
pub use input::{Caller, Config, Continued, Input, Path};
pub use output::{Output, PersonChange, Warning};
pub use recordings::MAX_CHANNELS;
pub use room::Room;
pub use steering::MAX_PAUSES;
pub use texts::{MAX_MARKER_CHARS, MAX_NOTES_CHARS, MAX_TITLE_CHARS, clean_name, clean_notes, clean_title};
