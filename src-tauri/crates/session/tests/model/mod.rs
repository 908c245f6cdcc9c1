//! The rules of a room, written down a second time as plainly as possible, and what holds the real room against them.
//!
//! * `script`: random sequences of events;
//! * `rules`: the model, in the words of the specification: P, track(p), sessionActive, current, finalized, bucket;
//! * `asked`: what the model makes of people's commands;
//! * `dues`: what happens by itself in the model;
//! * `sight`: what everyone sees by the model;
//! * `witness`: what must hold whatever the rules say, judged from the room's outputs and states alone;
//! * `play`: runs a script through both and compares.

mod asked;
mod dues;
mod play;
mod rules;
mod script;
mod sight;
mod witness;

pub(crate) use play::play;
pub(crate) use script::scripts;
