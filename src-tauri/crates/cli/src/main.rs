//! `roomtone`: a host for a server, a participant without a window, and the remote control for scripts.

mod args;
mod doctor;
mod download;
mod host;
mod join;
mod lifecycle;
mod output;
mod record;
mod recordings;
mod room;
mod settings;
mod signals;
mod storage;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Arguments, Task};
use output::Output;

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return output::usage(&error),
    };
    start_log(arguments.common.debug);
    let output = Output::new(arguments.common.json);
    let runtime = match roomtone_studio::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return output.fail(&settings::io_report("the program cannot start", &error)),
    };
    let result = runtime.block_on(run(arguments, output));
    // A microphone's thread may still hang in a dead audio server: nothing waits for it.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output.fail(&error),
    }
}

async fn run(arguments: Arguments, output: Output) -> Result<(), roomtone_protocol::ErrorReport> {
    let common = &arguments.common;
    match arguments.task {
        Task::Host(options) => host::run(common, *options, output).await,
        Task::Join(options) => join::run(common, options, output).await,
        Task::Record(options) => record::run(common.data_dir.as_deref(), options, output).await,
        Task::Room(options) => room::run(options, output).await,
        Task::Recordings(options) => recordings::run(options, output).await,
        Task::Storage(options) => storage::run(common, options, output).await,
        Task::Doctor => doctor::run(common, output).await,
    }
}

/// Logs go to stderr: what `RUST_LOG` asks for, everything of Roomtone with `--debug`, else what went wrong.
fn start_log(debug: bool) {
    let asked = std::env::var("RUST_LOG").ok().filter(|asked| !asked.is_empty());
    // The WebRTC stack logs addresses of people as errors.
    let default = if debug { "warn,roomtone=debug" } else { "error,webrtc=off,rtc=off" };
    let filter = tracing_subscriber::EnvFilter::new(asked.as_deref().unwrap_or(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
