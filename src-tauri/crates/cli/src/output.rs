//! What the program says: JSON lines for scripts, sentences for people, one shape for errors.

use std::io::Write as _;
use std::process::ExitCode;

use roomtone_protocol::{ErrorReport, code};
use serde::Serialize;

/// Where results go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Tells `value` to scripts, `text` to people; no text is nothing that a person needs to read.
    pub(crate) fn say(self, value: &impl Serialize, text: Option<&str>) {
        if self.json {
            match serde_json::to_string(value) {
                Ok(line) => write_line(&line),
                Err(error) => tracing::error!(%error, "an event cannot be written as JSON"),
            }
        } else if let Some(text) = text {
            write_line(text);
        }
    }

    /// Tells an error on both outputs, and how the program ends with it.
    pub(crate) fn fail(self, error: &ErrorReport) -> ExitCode {
        self.say(&Failure { error }, None);
        complain(error);
        ExitCode::from(exit_status(&error.code))
    }
}

#[derive(Serialize)]
struct Failure<'a> {
    error: &'a ErrorReport,
}

/// A reader that went away takes nothing with it: what is being recorded goes on.
fn write_line(line: &str) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
        tracing::debug!(%error, "nobody reads the output");
    }
}

fn complain(error: &ErrorReport) {
    eprintln!("error[{}]: {}; {}", error.code, error.message, error.hint);
}

/// 1 failed, 2 usage, 3 not found, 4 not allowed, 5 unreachable.
fn exit_status(code: &str) -> u8 {
    match code {
        code::INVALID_SETTING | code::INVALID_INVITE | code::CONFIRMATION_NEEDED | "usage" => 2,
        code::ROOM_NOT_FOUND | code::RECORDING_NOT_FOUND | code::ROOM_CLOSED => 3,
        code::UNAUTHORIZED | code::NOT_ALLOWED | code::WRONG_RECORDER => 4,
        code::RELAY_UNREACHABLE | code::RECORDER_UNREACHABLE | code::STORAGE_UNREACHABLE => 5,
        _ => 1,
    }
}

/// A command line that cannot be understood; help and version are none of that.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nobody reads the help: nothing is lost.
        drop(error.print());
        return ExitCode::SUCCESS;
    }
    let rendered = error.render().to_string();
    let message = rendered.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let report = ErrorReport::new("usage", message, "run `roomtone --help`, or a command with `--help`");
    let json = std::env::args_os().any(|argument| argument == "--json");
    Output::new(json).fail(&report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_tells_what_kind_of_error_it_was() {
        assert_eq!(exit_status(code::NOT_RECORDING), 1);
        assert_eq!(exit_status(code::INVALID_INVITE), 2);
        assert_eq!(exit_status(code::ROOM_NOT_FOUND), 3);
        assert_eq!(exit_status(code::NOT_ALLOWED), 4);
        assert_eq!(exit_status(code::RELAY_UNREACHABLE), 5);
    }
}
