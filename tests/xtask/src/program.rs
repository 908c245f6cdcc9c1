//! A child program that speaks JSON lines: its events are awaited with a bound, and it never outlives its owner.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::Deadline;

/// Lines of a program's log that an error shows.
const LOG_LINES_IN_ERRORS: usize = 25;
/// Events that an error shows.
const EVENTS_IN_ERRORS: usize = 12;

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    lines: Receiver<String>,
    pending: Vec<Value>,
    events: Vec<Value>,
    stray: Vec<String>,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

/// What is left of a program that ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Every JSON line of its stdout.
    pub events: Vec<Value>,
    /// Every line of its stdout that was not JSON.
    pub stray: Vec<String>,
    /// Its stderr.
    pub log: String,
}

/// Why a program is of no use. The text holds what it said last.
#[derive(Debug)]
pub struct ProgramError(String);

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ProgramError {}

impl Program {
    /// Starts `command` with its output caught. `name` is for messages.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(name: impl Into<String>, command: &mut Command) -> Result<Self, ProgramError> {
        let name = name.into();
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child =
            spawned.map_err(|error| ProgramError(format!("{name} cannot be started ({command:?}): {error}")))?;
        let stdout = child.stdout.take().expect("stdout was asked for as a pipe");
        let stderr = child.stderr.take().expect("stderr was asked for as a pipe");
        let log = Arc::new(Mutex::new(String::new()));
        let (sender, lines) = channel();
        let for_lines = std::thread::spawn(move || {
            // An owner that is gone wants no more lines, and a pipe that broke has none.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let for_log = std::thread::spawn({
            let log = Arc::clone(&log);
            move || keep(stderr, &log)
        });
        let readers = vec![for_lines, for_log];
        Ok(Self { name, child, lines, pending: vec![], events: vec![], stray: vec![], log, readers })
    }

    /// Runs `command` to its end.
    ///
    /// # Errors
    /// It cannot be started, or is not done in time.
    pub fn run(name: impl Into<String>, command: &mut Command, bound: Duration) -> Result<Finished, ProgramError> {
        Self::start(name, command)?.finish(bound)
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Every event so far that arrived while something was awaited.
    #[must_use]
    pub fn events(&self) -> &[Value] {
        &self.events
    }

    /// What it wrote to stderr so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the first event that `wanted` agrees to, waiting for it if it has not come yet. Events before it stay
    /// for later calls; `what` names it in the error.
    ///
    /// # Errors
    /// The program ended, or the time was over.
    pub fn wait_for(
        &mut self,
        what: &str,
        bound: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, ProgramError> {
        let deadline = Deadline::after(bound);
        if let Some(at) = self.pending.iter().position(&wanted) {
            return Ok(self.pending.remove(at));
        }
        loop {
            let Some(left) = deadline.remaining() else {
                return Err(self.error(&format!("waited {} s in vain for {what}", bound.as_secs_f32())));
            };
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if self.take(line) && self.pending.last().is_some_and(&wanted) {
                        return Ok(self.pending.pop().expect("it is the last one"));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let how = match deadline.poll(|| self.child.try_wait().transpose()) {
                        Some(Ok(status)) => format!("ended ({status}) without {what}"),
                        Some(Err(error)) => format!("closed its stdout without {what}: {error}"),
                        None => format!("closed its stdout without {what}"),
                    };
                    return Err(self.error(&how));
                }
            }
        }
    }

    /// Waits for an event of this name.
    ///
    /// # Errors
    /// As [`Program::wait_for`].
    pub fn wait_for_event(&mut self, event: &str, bound: Duration) -> Result<Value, ProgramError> {
        self.wait_for(event, bound, |value| value["event"] == event)
    }

    /// Puts all that came so far aside, so that the next wait is for something new.
    pub fn forget(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            self.take(line);
        }
        self.pending.clear();
    }

    /// Asks it to end, as Ctrl-C does. Where there is no such thing it is killed.
    ///
    /// # Errors
    /// The signal could not be sent.
    pub fn interrupt(&mut self) -> Result<(), ProgramError> {
        self.signal("INT")
    }

    /// Ends it without a word, as a power cut would.
    ///
    /// # Errors
    /// It could not be killed.
    pub fn kill(&mut self) -> Result<(), ProgramError> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(drop).map_err(|error| ProgramError(format!("{} cannot be killed: {error}", self.name)))
    }

    /// Interrupts it and waits for its end.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn stop(mut self, bound: Duration) -> Result<Finished, ProgramError> {
        self.interrupt()?;
        self.finish(bound)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It did not end in time; then it is killed.
    pub fn finish(mut self, bound: Duration) -> Result<Finished, ProgramError> {
        let deadline = Deadline::after(bound);
        loop {
            let Some(left) = deadline.remaining() else {
                return Err(self.error(&format!("did not end within {} s", bound.as_secs_f32())));
            };
            match self.lines.recv_timeout(left) {
                Ok(line) => drop(self.take(line)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // It closed its stdout; the process itself follows at once, or the deadline strikes here.
        let status = deadline.poll(|| self.child.try_wait().transpose());
        let status = match status {
            Some(Ok(status)) => status,
            Some(Err(error)) => return Err(self.error(&format!("cannot be waited for: {error}"))),
            None => return Err(self.error(&format!("did not end within {} s", bound.as_secs_f32()))),
        };
        for reader in self.readers.drain(..) {
            reader.join().expect("readers do not panic");
        }
        Ok(Finished {
            status,
            events: std::mem::take(&mut self.events),
            stray: std::mem::take(&mut self.stray),
            log: self.log(),
        })
    }

    /// Keeps a line; whether it was an event.
    fn take(&mut self, line: String) -> bool {
        if let Ok(event) = serde_json::from_str::<Value>(&line) {
            self.events.push(event.clone());
            self.pending.push(event);
            true
        } else {
            self.stray.push(line);
            false
        }
    }

    #[cfg(unix)]
    fn signal(&mut self, signal: &str) -> Result<(), ProgramError> {
        // The child has not been waited for, so its id cannot be anybody else's yet.
        let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", signal, &self.id().to_string()]).status();
        match sent {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(self.error(&format!("got no {signal}: {status}"))),
            Err(error) => Err(self.error(&format!("got no {signal}: {error}"))),
        }
    }

    #[cfg(not(unix))]
    fn signal(&mut self, _signal: &str) -> Result<(), ProgramError> {
        self.kill()
    }

    fn error(&self, what: &str) -> ProgramError {
        let mut text = format!("{} {what}", self.name);
        let last = self.events.len().saturating_sub(EVENTS_IN_ERRORS);
        text.push_str("\n  its last events:");
        self.events[last..].iter().for_each(|event| text.push_str(&format!("\n    {event}")));
        self.stray.iter().for_each(|line| text.push_str(&format!("\n    {line}")));
        text.push_str("\n  its last log lines:");
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.len().saturating_sub(LOG_LINES_IN_ERRORS);
        lines[last..].iter().for_each(|line| text.push_str(&format!("\n    {line}")));
        ProgramError(text)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended is as good as killed; there is nobody to tell about the rest.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn keep(mut from: impl Read, log: &Mutex<String>) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        log.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Program {
        Program::start("sh", Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn events_before_the_awaited_one_stay_for_later() {
        let mut program = shell(r#"echo '{"event":"a"}'; echo plain; echo '{"event":"b"}'; exec sleep 60"#);
        program.wait_for_event("b", BOUND).unwrap();
        program.wait_for_event("a", BOUND).unwrap();
        let error = program.wait_for_event("a", Duration::from_millis(50)).unwrap_err().to_string();
        assert!(error.contains("in vain for a") && error.contains("plain"), "{error}");
    }

    #[test]
    fn a_program_that_ends_early_says_how_and_what_it_logged() {
        let mut program = shell("echo trouble >&2; exit 7");
        let error = program.wait_for_event("ready", BOUND).unwrap_err().to_string();
        assert!(error.contains("7") && error.contains("without ready") && error.contains("trouble"), "{error}");
    }

    #[test]
    fn an_interrupt_lets_it_finish_its_work() {
        // Not a shell: one that was started in the background of another ignores Ctrl-C, and cannot trap it either.
        let script = r#"
import signal, sys, time
def leave(*_):
    print('{"event":"left"}', flush=True)
    sys.exit(3)
signal.signal(signal.SIGINT, leave)
print('{"event":"ready"}', flush=True)
while True:
    time.sleep(0.05)
"#;
        let mut program = Program::start("python", Command::new("python3").args(["-c", script])).unwrap();
        program.wait_for_event("ready", BOUND).unwrap();
        let finished = program.stop(BOUND).unwrap();
        assert_eq!(finished.status.code(), Some(3));
        assert_eq!(finished.events.last().unwrap()["event"], "left");
    }

    #[test]
    fn a_dropped_program_is_gone() {
        let mut program = shell(r#"echo '{"event":"ready"}'; exec sleep 60"#);
        program.wait_for_event("ready", BOUND).unwrap();
        let id = program.id().to_string();
        drop(program);
        let alive = Command::new("sh").args(["-c", "kill -0 \"$0\" 2>/dev/null", &id]).status().unwrap();
        assert!(!alive.success());
    }
}
