//! A test's directory and the people in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use xtask::{Finished, Program};

use crate::signal::Speaker;
use crate::{Outcome, PATIENCE, programs};

/// Unix time in milliseconds.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the driver of the tests' wall clock")]
pub fn now_unix_ms() -> f64 {
    in_ms(OffsetDateTime::now_utc())
}

/// Unix time in milliseconds of an RFC 3339 text.
///
/// # Panics
/// It is not one.
#[must_use]
pub fn unix_ms(text: &str) -> f64 {
    in_ms(OffsetDateTime::parse(text, &Rfc3339).unwrap_or_else(|error| panic!("{text} is no RFC 3339 time: {error}")))
}

fn in_ms(time: OffsetDateTime) -> f64 {
    // Until the year 2255 the microseconds of unix time are exact in a float.
    (time.unix_timestamp_nanos() / 1000) as f64 / 1000.0
}

/// A directory that goes away when the test passes, and is kept and named when it fails.
#[derive(Debug)]
pub struct Stage {
    place: Option<TempDir>,
    environment: Vec<(&'static str, String)>,
}

/// A host that is ready.
#[derive(Debug)]
pub struct Host {
    /// Its program.
    pub program: Program,
    /// What lets participants in.
    pub invite: String,
    /// What lets somebody in with the host's rights.
    pub host_invite: String,
    /// What it said when it was ready.
    pub ready: Value,
}

/// What a command said when it did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Exit status.
    pub status: Option<i32>,
    /// Code of the JSON error.
    pub code: String,
    /// Its message and hint, and what stood on stderr.
    pub text: String,
}

impl Host {
    /// Waits until so much of a recording has been recorded.
    ///
    /// # Panics
    /// It takes a minute longer than it should.
    pub fn recorded(&mut self, recording: &str, elapsed_ms: u64) {
        let what = format!("{elapsed_ms} ms of recording {recording}");
        let bound = PATIENCE + Duration::from_millis(elapsed_ms);
        let reached = |event: &Value| event["elapsed_ms"].as_u64().is_some_and(|at| at >= elapsed_ms);
        let seen =
            self.program.wait_for(&what, bound, |event| is(event, "recording_state", recording) && reached(event));
        seen.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Waits until a recording is in the bucket.
    ///
    /// # Panics
    /// It takes longer than a minute.
    pub fn completed(&mut self, recording: &str) -> Outcome {
        let what = format!("the completion of recording {recording}");
        let seen = self.program.wait_for(&what, PATIENCE, |event| is(event, "recording_completed", recording));
        Outcome::of(&seen.unwrap_or_else(|error| panic!("{error}")))
    }

    /// Waits for an event about somebody.
    ///
    /// # Panics
    /// It takes longer than a minute.
    pub fn person(&mut self, event: &str, name: &str) -> Value {
        let what = format!("{event} of {name}");
        let seen = self.program.wait_for(&what, PATIENCE, |value| value["event"] == event && value["name"] == name);
        seen.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Whether this is the event of that name about that recording.
fn is(event: &Value, name: &str, recording: &str) -> bool {
    event["event"] == name && event["recording"] == recording
}

impl Stage {
    /// Makes the directory.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let place = tempfile::Builder::new().prefix("roomtone-test-").tempdir();
        Self { place: Some(place.expect("a temporary directory can be made")), environment: vec![] }
    }

    /// Gives everybody who is started from now on these settings.
    #[must_use]
    pub fn with_environment(mut self, environment: Vec<(&'static str, String)>) -> Self {
        self.environment.extend(environment);
        self
    }

    /// The directory.
    #[must_use]
    pub fn place(&self) -> &Path {
        self.place.as_ref().expect("it is there until the end").path()
    }

    /// `who`'s data directory.
    #[must_use]
    pub fn data_dir(&self, who: &str) -> PathBuf {
        self.place().join(who)
    }

    /// Writes the files of [`Stage::microphone`] ahead, because a minute and a half of sound takes a moment.
    pub fn prepare(&self, speakers: &[Speaker], seconds: usize) {
        speakers.iter().for_each(|&speaker| drop(self.microphone(speaker, seconds, 0.0)));
    }

    /// A `--mic` value for somebody who says what `speaker` says, from the unix time `at_ms` on, for so long.
    #[must_use]
    pub fn microphone(&self, speaker: Speaker, seconds: usize, at_ms: f64) -> String {
        let path = self.place().join(format!("speaker-{}-{seconds}.wav", speaker.0));
        if !path.exists() {
            crate::write_mono(&path, &speaker.says(seconds));
        }
        format!("file:{}?at={at_ms:.0}", path.display())
    }

    /// The headless program as `who`, with none of the settings of whoever runs the tests.
    #[must_use]
    pub fn roomtone(&self, who: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(programs::roomtone());
        let foreign = |name: &str| ["AWS_", "S3_", "ROOMTONE_"].iter().any(|prefix| name.starts_with(prefix));
        for (name, _) in std::env::vars_os().filter(|(name, _)| foreign(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.args(arguments).arg("--json").arg("--data-dir").arg(self.data_dir(who));
        command.envs(self.environment.iter().cloned());
        command
    }

    /// Opens a room and waits until it is ready. `more` are further arguments.
    ///
    /// # Panics
    /// It does not get ready.
    #[must_use]
    pub fn host(&self, more: &[&str]) -> Host {
        self.host_as("host", more)
    }

    /// Like [`Stage::host`], with a data directory of another name.
    ///
    /// # Panics
    /// It does not get ready.
    #[must_use]
    pub fn host_as(&self, who: &str, more: &[&str]) -> Host {
        self.started_host(&mut self.host_command(who, more))
    }

    /// What [`Stage::host_as`] starts.
    #[must_use]
    pub fn host_command(&self, who: &str, more: &[&str]) -> Command {
        let mut arguments = vec!["host", "--room", "First light", "--media-addr", "127.0.0.1"];
        arguments.extend_from_slice(more);
        if !more.contains(&"--relay") && !more.contains(&"--listen") {
            arguments.extend(["--listen", "127.0.0.1:0"]);
        }
        if !more.contains(&"--mic") {
            arguments.extend(["--mic", "none"]);
        }
        self.roomtone(who, &arguments)
    }

    /// Starts a host by a command of one's own and waits until it is ready.
    ///
    /// # Panics
    /// It does not get ready.
    #[must_use]
    pub fn started_host(&self, command: &mut Command) -> Host {
        let mut program = started("host", command);
        let ready = program.wait_for_event("ready", PATIENCE).unwrap_or_else(|error| panic!("{error}"));
        let invite = |key: &str| ready[key].as_str().unwrap_or_else(|| panic!("no {key} in {ready}")).to_owned();
        Host { invite: invite("invite"), host_invite: invite("host_invite"), program, ready }
    }

    /// Lets `name` into a room and waits until they are in. Their microphone is a `--mic` value.
    ///
    /// # Panics
    /// They do not get in.
    #[must_use]
    pub fn join(&self, invite: &str, name: &str, microphone: &str, more: &[&str]) -> Program {
        self.join_with(invite, name, microphone, more, vec![])
    }

    /// Like [`Stage::join`], with settings of their own.
    ///
    /// # Panics
    /// They do not get in.
    #[must_use]
    pub fn join_with(
        &self,
        invite: &str,
        name: &str,
        microphone: &str,
        more: &[&str],
        environment: Vec<(&'static str, String)>,
    ) -> Program {
        let mut arguments = vec!["join", invite, "--name", name, "--mic", microphone, "--media-addr", "127.0.0.1"];
        arguments.extend_from_slice(more);
        self.started_participant(name, self.roomtone(name, &arguments).envs(environment))
    }

    /// Lets somebody in by a command of one's own and waits until they are in.
    ///
    /// # Panics
    /// They do not get in.
    #[must_use]
    pub fn started_participant(&self, name: &str, command: &mut Command) -> Program {
        let mut program = started(name, command);
        program.wait_for_event("joined", PATIENCE).unwrap_or_else(|error| panic!("{error}"));
        program
    }

    /// Asks a room for something and returns the answer.
    ///
    /// # Errors
    /// It was refused.
    ///
    /// # Panics
    /// There was no answer at all, or none in the promised form.
    pub fn ask(&self, arguments: &[&str]) -> Result<Value, Refusal> {
        self.ask_within(arguments, PATIENCE)
    }

    /// Like [`Stage::ask`], for what takes longer.
    ///
    /// # Errors
    /// It was refused.
    ///
    /// # Panics
    /// There was no answer at all, or none in the promised form.
    pub fn ask_within(&self, arguments: &[&str], bound: Duration) -> Result<Value, Refusal> {
        // A directory for each: askers take no lock, and this one never has anybody's identity.
        self.ask_by(&mut self.roomtone("remote", arguments), bound)
    }

    /// Asks by a command of one's own.
    ///
    /// # Errors
    /// It was refused.
    ///
    /// # Panics
    /// There was no answer at all, or none in the promised form.
    pub fn ask_by(&self, command: &mut Command, bound: Duration) -> Result<Value, Refusal> {
        let finished = Program::run("remote", command, bound);
        answer(finished.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Asks until the answer is as `wanted`.
    ///
    /// # Panics
    /// It never is.
    pub fn ask_until(&self, what: &str, arguments: &[&str], wanted: impl Fn(&Result<Value, Refusal>) -> bool) {
        let mut last = None;
        let found = xtask::Deadline::after(PATIENCE).poll(|| {
            let answer = self.ask(arguments);
            let good = wanted(&answer);
            last = Some(answer);
            good.then_some(())
        });
        assert!(found.is_some(), "never saw {what}; the last answer was {last:?}");
    }
}

/// What a command that ended had to say.
///
/// # Errors
/// It failed.
fn answer(finished: Finished) -> Result<Value, Refusal> {
    assert!(finished.stray.is_empty(), "with --json there is nothing but JSON on stdout: {:?}", finished.stray);
    let last = finished.events.last().cloned().unwrap_or_default();
    if finished.status.success() {
        return Ok(last);
    }
    let error = &last["error"];
    let text = |key: &str| error[key].as_str().unwrap_or_default();
    Err(Refusal {
        status: finished.status.code(),
        code: text("code").to_owned(),
        text: format!("{}; {}\n{}", text("message"), text("hint"), finished.log),
    })
}

fn started(who: &str, command: &mut Command) -> Program {
    Program::start(who, command).unwrap_or_else(|error| panic!("{error}"))
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(place) = self.place.take().filter(|_| std::thread::panicking()) {
            eprintln!("what the test left behind is kept in {}", place.keep().display());
        }
    }
}
