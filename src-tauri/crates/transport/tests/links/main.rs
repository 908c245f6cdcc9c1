//! Real peers on loopback, brought together by a real relay.

mod hostile;
mod media;
mod room;
mod staying;
