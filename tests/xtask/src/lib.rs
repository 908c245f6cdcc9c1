//! What the tasks and the tests share: programs that are started, listened to and ended, and ports for them.

mod deadline;
mod ports;
mod program;

pub use deadline::{Deadline, Stopwatch};
pub use ports::free_ports;
pub use program::{Finished, Program, ProgramError};
