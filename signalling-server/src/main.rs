//! `roomtone-relay`: a relay for whoever wants to host rooms under an address of their own.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind as UsageKind;
use directories::ProjectDirs;
use roomtone_protocol::{ErrorReport, code};
use roomtone_relay::{Limits, Relay, RelayConfig, load_secret};
use tracing_subscriber::EnvFilter;

/// Brings the participants of Roomtone rooms together with their recorder. It never sees live audio.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", env = "ROOMTONE_LISTEN", default_value = "127.0.0.1:7880")]
    listen: String,
    /// Under which address others reach this relay, such as https://relay.example.org
    #[arg(long, value_name = "URL", env = "ROOMTONE_PUBLIC_URL")]
    public_url: Option<String>,
    /// Where to keep the secret that lets rooms outlive a restart [default: the platform's folder]
    #[arg(long, value_name = "DIR", env = "ROOMTONE_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

/// What ends the program early.
struct Failure {
    status: u8,
    report: ErrorReport,
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NOT_ALLOWED: u8 = 4;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(help) if matches!(help.kind(), UsageKind::DisplayHelp | UsageKind::DisplayVersion) => {
            return help.print().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        Err(error) => return fail(&usage(&error)),
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Failure::io("the program cannot start its threads", &error)),
    };
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let data_dir = arguments.data_dir.or_else(default_data_dir).ok_or_else(no_data_dir)?;
    let secret = load_secret(&data_dir).map_err(|error| {
        let what = format!("the relay's secret in {} cannot be read or written", data_dir.display());
        Failure::io(&what, &error)
    })?;
    let listen = resolve(&arguments.listen).await?;
    let is_everywhere = listen.ip().is_unspecified() && arguments.public_url.is_none();
    let config =
        RelayConfig { listen, public_url: arguments.public_url, secret, files: None, limits: Limits::default() };
    let relay = Relay::start(config).await.map_err(|error| cannot_listen(listen, &error))?;
    if is_everywhere {
        tracing::warn!("invites carry a loopback address: say with --public-url where others reach this relay");
    }
    // Before the announcement: whoever waits for that may ask to stop at once.
    let mut stop =
        StopSignals::new().map_err(|error| Failure::io("the system's signals to stop cannot be received", &error))?;
    announce(relay.url());
    stop.next().await;
    tracing::info!("stopping");
    tokio::select! {
        () = relay.shutdown() => {}
        () = stop.next() => tracing::info!("stopped at once"),
    }
    Ok(())
}

/// One line on stdout for whoever started this program.
fn announce(url: &str) {
    let line = serde_json::json!({ "event": "listening", "url": url });
    let mut out = io::stdout().lock();
    if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
        tracing::warn!(%error, "nobody reads this program's output");
    }
    tracing::info!("listening");
}

async fn resolve(listen: &str) -> Result<SocketAddr, Failure> {
    let found = tokio::net::lookup_host(listen).await.ok().and_then(|mut found| found.next());
    found.ok_or_else(|| Failure {
        status: USAGE,
        report: ErrorReport::new(
            code::INVALID_SETTING,
            format!("{listen:?} is no address to listen on"),
            "give one such as 127.0.0.1:7880",
        ),
    })
}

/// SIGINT and SIGTERM, or what stands for them elsewhere.
#[cfg(unix)]
struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// SIGINT and SIGTERM, or what stands for them elsewhere.
#[cfg(windows)]
struct StopSignals {
    interrupt: tokio::signal::windows::CtrlC,
    close: tokio::signal::windows::CtrlClose,
}

#[cfg(windows)]
impl StopSignals {
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: tokio::signal::windows::ctrl_c()?, close: tokio::signal::windows::ctrl_close()? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.close.recv() => {}
        }
    }
}

fn default_data_dir() -> Option<PathBuf> {
    ProjectDirs::from("", "", "roomtone-relay").map(|dirs| dirs.data_dir().to_owned())
}

fn no_data_dir() -> Failure {
    Failure {
        status: USAGE,
        report: ErrorReport::new(
            code::INVALID_SETTING,
            "this system names no folder for data",
            "give one with --data-dir",
        ),
    }
}

fn usage(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    Failure { status: USAGE, report: ErrorReport::new(code::INVALID_SETTING, what, "see roomtone-relay --help") }
}

fn cannot_listen(listen: SocketAddr, error: &io::Error) -> Failure {
    let (status, code, message, hint) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            FAILED,
            code::ADDRESS_IN_USE,
            format!("another program listens on {listen}"),
            "end it, or choose another port with --listen",
        ),
        io::ErrorKind::PermissionDenied => (
            NOT_ALLOWED,
            code::NOT_ALLOWED,
            format!("the system does not let this program listen on {listen}"),
            "choose a port above 1023 with --listen",
        ),
        io::ErrorKind::AddrNotAvailable => (
            USAGE,
            code::INVALID_SETTING,
            format!("{listen} is no address of this computer"),
            "choose one that is with --listen",
        ),
        io::ErrorKind::InvalidInput => {
            (USAGE, code::INVALID_SETTING, error.to_string(), "correct it with --public-url")
        }
        _ => (FAILED, code::IO, format!("cannot listen on {listen}: {error}"), "choose another address with --listen"),
    };
    Failure { status, report: ErrorReport::new(code, message, hint) }
}

impl Failure {
    fn io(what: &str, error: &io::Error) -> Self {
        let status = if error.kind() == io::ErrorKind::PermissionDenied { NOT_ALLOWED } else { FAILED };
        Self {
            status,
            report: ErrorReport::new(
                code::IO,
                format!("{what}: {error}"),
                "see what stands in its way, and start again",
            ),
        }
    }
}

fn fail(failure: &Failure) -> ExitCode {
    let Failure { status, report } = failure;
    let line = format!("error[{}]: {}; {}\n", report.code, report.message, report.hint);
    // Where nobody reads stderr, the exit status still tells.
    let _unread = io::stderr().write_all(line.as_bytes());
    ExitCode::from(*status)
}
