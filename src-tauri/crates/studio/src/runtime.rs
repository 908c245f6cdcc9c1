//! What a studio's tasks run on.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// The runtime for a program that drives a studio: one thread for all tasks, which wait most of the time, and more for what
/// blocks. A second one would often be woken only to find that the first has done the work.
///
/// # Errors
/// The system has no thread or no file descriptor left.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build()
}
