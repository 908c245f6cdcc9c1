//! The relay over loopback, with clients as they are in the world.

mod client;
mod files;
mod hostile;
mod pages;
#[cfg(unix)]
mod program;
mod rooms;
