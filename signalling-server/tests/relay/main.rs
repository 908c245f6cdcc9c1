//! The relay over loopback, with clients as they are in the world.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod client;
mod files;
mod hostile;
mod pages;
#[cfg(unix)]
mod program;
mod rooms;
