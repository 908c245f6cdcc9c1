//! The stage of the end-to-end tests: Roomtone's own programs, a real S3 server, a real sound server, and sources
//! that tell the time in the sound itself, so that a check shares no counter with what it checks.
//!
//! Nothing here knows Roomtone's code: programs are driven by their command line, files are read by other people's
//! readers, objects are fetched by another client.

#[cfg(target_os = "linux")]
mod boot;
mod bucket;
mod chance;
mod fault_proxy;
mod http;
mod listening;
mod ministack;
#[cfg(target_os = "linux")]
mod network;
mod outcome;
mod process;
pub mod programs;
mod pulse;
pub mod readers;
mod relay;
mod seaweed;
pub mod signal;
mod stage;
mod truth;
mod wav;

#[cfg(target_os = "linux")]
pub use boot::Boot;
pub use bucket::{Bucket, Unfinished, UnfinishedPart};
pub use chance::Chance;
pub use fault_proxy::{Asked, Fault, FaultProxy, Passed};
pub use http::{Fetched, fetch};
pub use listening::{Listener, Played};
pub use ministack::MiniStack;
#[cfg(target_os = "linux")]
pub use network::{Computer, Line, Network};
pub use outcome::Outcome;
pub use process::{children_processor_s, free_bytes, memory_mb, open_files, peak_memory_mb, processor_s};
pub use pulse::PulseServer;
pub use relay::Relay;
pub use seaweed::SeaweedFs;
pub use stage::{Host, Refusal, Stage, now_unix_ms, unix_ms};
pub use truth::Truth;
pub use wav::{Wav, write_mono};
pub use xtask::{Deadline, Finished, Program, Stopwatch, free_ports};

/// Longest wait for something that takes next to no time by itself, on a machine that is busy otherwise.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
