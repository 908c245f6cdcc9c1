//! One step of a task: its name before, its output as it comes, its duration after.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use xtask::Stopwatch;

use crate::failure::Failure;
use crate::tally::Tally;

/// Runs `command`; a failure carries `advice`.
pub(crate) fn run(name: &str, command: &mut Command, advice: &str) -> Result<(), Failure> {
    measured(name, &shown(command), || {
        let status = command.stdin(Stdio::null()).status();
        ended(name, status, advice)
    })
}

/// Runs `command` and counts the tests that its stdout speaks of.
pub(crate) fn run_counted(name: &str, command: &mut Command, tally: &mut Tally, advice: &str) -> Result<(), Failure> {
    measured(name, &shown(command), || {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| cannot_start(name, &error))?;
        let mut lines = BufReader::new(child.stdout.take().expect("stdout was asked for as a pipe"));
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            tally.read(&String::from_utf8_lossy(&line));
            // A reader that went away stops hearing; the tests go on.
            drop(std::io::stdout().write_all(&line));
            line.clear();
        }
        ended(name, child.wait(), advice)
    })
}

/// Does something that is no single command.
pub(crate) fn measured(name: &str, what: &str, work: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    println!("\n──── {name}: {what}");
    let watch = Stopwatch::start();
    let done = work();
    println!("──── {name}: {} after {watch}", if done.is_ok() { "done" } else { "FAILED" });
    done
}

fn ended(name: &str, status: std::io::Result<std::process::ExitStatus>, advice: &str) -> Result<(), Failure> {
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::new(format!("{name} failed ({status})"), advice)),
        Err(error) => Err(cannot_start(name, &error)),
    }
}

fn cannot_start(name: &str, error: &std::io::Error) -> Failure {
    Failure::new(format!("{name} cannot be started: {error}"), "install the program and try again")
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut text = program.file_stem().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
