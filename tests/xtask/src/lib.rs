//! What the tasks and the end-to-end tests share: programs that are started, listened to and ended.

mod deadline;
mod program;

pub use deadline::{Deadline, Stopwatch};
pub use program::{Finished, Program, ProgramError};
