//! How a bucket's changes are noticed: a source of notifications where there is one, and comparing listings always.
//!
//! The rules are a value of their own (`watch`), which knows no clock and no store; `follow` carries out what they want.

mod debounce;
mod fingerprint;
mod follow;
mod report;
mod standing;
mod time;
mod watch;

pub(crate) use follow::{News, Source, changes};
pub(crate) use report::in_words;
pub use report::{ChangeReport, ChangeSource};
pub(crate) use standing::Standing;
pub(crate) use watch::{Pace, Setback};
