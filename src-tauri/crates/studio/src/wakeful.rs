//! Keeps the computer from falling asleep by itself while something is recorded: who talks for half an hour touches no key.
//!
//! A program of the system's own holds it awake, `systemd-inhibit` on Linux and `caffeinate` on macOS. It waits for the end
//! of its input, which comes with the end of this program, however that ends. Windows stays awake as long as a microphone is
//! open. A lid that is closed, and whoever insists, puts any computer to sleep.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use roomtone_engine::RecordingLine;
use roomtone_protocol::RecordingId;
use roomtone_protocol::state::RecordingState;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A recording that runs shows itself once a second. One that is paused, or whose recorder cannot be reached, for this
/// long is no reason to stay awake: the grace time that rooms have unless told otherwise.
const PATIENCE: Duration = crate::settings::DEFAULT_GRACE;

/// Signs that may wait; what does not fit comes again.
const SIGNS: usize = 64;

/// Holds the computer awake for as long as recordings show signs of life.
#[derive(Debug)]
pub(crate) struct Wakeful {
    signs: mpsc::Sender<(RecordingId, bool)>,
}

impl Wakeful {
    /// Not yet.
    pub(crate) fn new() -> Self {
        Self::with(inhibitor, PATIENCE)
    }

    fn with(inhibitor: impl Fn() -> Option<Command> + Send + 'static, patience: Duration) -> Self {
        let (signs, queue) = mpsc::channel(SIGNS);
        tokio::spawn(watch(queue, inhibitor, patience));
        Self { signs }
    }

    /// What became of a recording.
    pub(crate) fn saw(&self, line: &RecordingLine) {
        let goes_on = match line.state {
            RecordingState::Preparing
            | RecordingState::Recording
            | RecordingState::Paused
            | RecordingState::Finalizing => true,
            RecordingState::Uploading
            | RecordingState::Completed
            | RecordingState::Cancelled
            | RecordingState::Failed => false,
        };
        // What does not fit comes again with the next second.
        let _full = self.signs.try_send((line.recording, goes_on));
    }
}

async fn watch(
    mut signs: mpsc::Receiver<(RecordingId, bool)>,
    inhibitor: impl Fn() -> Option<Command>,
    patience: Duration,
) {
    let mut running = BTreeSet::new();
    let mut held: Option<Child> = None;
    loop {
        match timeout(patience, signs.recv()).await {
            Ok(Some((recording, true))) => {
                running.insert(recording);
            }
            Ok(Some((recording, false))) => {
                running.remove(&recording);
            }
            Ok(None) => break,
            Err(_) => running.clear(),
        }
        if running.is_empty() {
            release(held.take());
        } else if held.is_none() {
            held = inhibitor().and_then(hold);
        }
    }
    release(held);
}

/// The program that keeps the system awake until its input ends.
fn inhibitor() -> Option<Command> {
    let (program, arguments): (_, &[_]) = if cfg!(target_os = "linux") {
        let arguments =
            &["--what=idle:sleep", "--mode=block", "--who=Roomtone", "--why=a recording is in progress", "cat"];
        ("systemd-inhibit", arguments)
    } else if cfg!(target_os = "macos") {
        ("caffeinate", &["-i", "cat"])
    } else {
        return None;
    };
    let mut command = Command::new(program);
    command.args(arguments);
    Some(command)
}

/// None if there is no such program. One that gives up at once is not tried again until the next recording.
fn hold(mut command: Command) -> Option<Child> {
    let started = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    started.inspect_err(|error| tracing::info!(%error, "nothing here keeps the computer awake")).ok()
}

fn release(held: Option<Child>) {
    let Some(mut held) = held else { return };
    drop(held.stdin.take());
    tokio::spawn(async move {
        match held.wait().await {
            Ok(status) if status.success() => {}
            ended => tracing::info!(?ended, "the computer may not have been kept awake"),
        }
    });
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    /// What takes a moment must happen within this time.
    const BOUND: Duration = Duration::from_secs(30);

    fn line(recording: u8, state: RecordingState) -> RecordingLine {
        RecordingLine { recording: RecordingId::from_bytes([recording; 16]), state, elapsed_ms: 0, failure: None }
    }

    /// A system that writes down when it is kept awake, and when no longer.
    fn wakeful(log: &Path, patience: Duration) -> Wakeful {
        let log = PathBuf::from(log);
        let inhibitor = move || {
            let mut command = Command::new("sh");
            command.args(["-c", r#"echo awake >>"$0"; cat; echo asleep >>"$0""#]).arg(&log);
            Some(command)
        };
        Wakeful::with(inhibitor, patience)
    }

    async fn until(log: &Path, expected: &str) {
        let read = async {
            while fs::read_to_string(log).unwrap_or_default() != expected {
                tokio::task::yield_now().await;
            }
        };
        let told = timeout(BOUND, read).await;
        assert!(told.is_ok(), "{:?} instead of {expected:?}", fs::read_to_string(log));
    }

    #[tokio::test]
    async fn a_computer_is_kept_awake_as_long_as_any_recording_goes_on() {
        let place = tempfile::tempdir().unwrap();
        let log = place.path().join("log");
        let wakeful = wakeful(&log, BOUND);
        wakeful.saw(&line(1, RecordingState::Preparing));
        wakeful.saw(&line(1, RecordingState::Recording));
        until(&log, "awake\n").await;
        // The next one begins, and the first one's file is made and gone.
        wakeful.saw(&line(2, RecordingState::Recording));
        wakeful.saw(&line(1, RecordingState::Finalizing));
        wakeful.saw(&line(1, RecordingState::Uploading));
        wakeful.saw(&line(2, RecordingState::Finalizing));
        wakeful.saw(&line(2, RecordingState::Uploading));
        until(&log, "awake\nasleep\n").await;
        wakeful.saw(&line(3, RecordingState::Recording));
        until(&log, "awake\nasleep\nawake\n").await;
        // Its room is left.
        drop(wakeful);
        until(&log, "awake\nasleep\nawake\nasleep\n").await;
    }

    #[tokio::test]
    async fn a_recording_that_shows_no_sign_of_life_keeps_nothing_awake_for_ever() {
        let place = tempfile::tempdir().unwrap();
        let log = place.path().join("log");
        let wakeful = wakeful(&log, Duration::from_millis(100));
        wakeful.saw(&line(1, RecordingState::Paused));
        until(&log, "awake\nasleep\n").await;
        wakeful.saw(&line(1, RecordingState::Recording));
        until(&log, "awake\nasleep\nawake\nasleep\n").await;
    }

    #[tokio::test]
    async fn a_system_without_such_a_program_is_left_alone() {
        let wakeful = Wakeful::with(|| Some(Command::new("/nowhere/at/all")), BOUND);
        wakeful.saw(&line(1, RecordingState::Recording));
        wakeful.saw(&line(1, RecordingState::Uploading));
        drop(wakeful);
        assert!(hold(Command::new("/nowhere/at/all")).is_none());
    }
}
