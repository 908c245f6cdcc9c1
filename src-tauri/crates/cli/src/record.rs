//! `roomtone record`: the remote control.

use std::path::Path;
use std::time::Duration;

use roomtone_protocol::catalog::CatalogEntry;
use roomtone_protocol::channel::{Answer, Command};
use roomtone_protocol::state::{RecordingState, RecordingStatus};
use roomtone_protocol::{ErrorReport, RecordingId, code};
use roomtone_studio::{Visitor, remote_identity};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::args::{Record, RecordWhat};
use crate::output::Output;
use crate::settings;

/// How often `stop --wait` asks whether the recording is completed.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Lifetime of the link that `stop --wait` answers with.
const LINK_SECONDS: u64 = 60 * 60;

#[derive(Serialize)]
struct Line {
    recording: Option<RecordingId>,
    state: Option<RecordingState>,
    elapsed_ms: u64,
    finalizing: Vec<RecordingId>,
    #[serde(flatten)]
    outcome: Option<Outcome>,
}

#[derive(Serialize)]
struct Outcome {
    key: String,
    path: Option<String>,
    size: u64,
    link: String,
    gapless: Option<bool>,
}

pub(crate) async fn run(data_dir: Option<&Path>, arguments: Record, output: Output) -> Result<(), ErrorReport> {
    let invite = settings::invite(&arguments.invite)?;
    let command = match &arguments.what {
        RecordWhat::Start { title, notes } => Command::Start { title: title.clone(), notes: notes.clone() },
        RecordWhat::Stop { .. } => Command::Stop,
        RecordWhat::Pause => Command::Pause,
        RecordWhat::Resume => Command::Resume,
        RecordWhat::Status => Command::Status,
        RecordWhat::Cancel { yes: false, .. } => return Err(unconfirmed("cancelling discards what was recorded")),
        RecordWhat::Cancel { yes: true, recording } => Command::Cancel { recording: *recording },
        RecordWhat::Mark { text } => Command::Mark { text: text.clone() },
        RecordWhat::Describe { recording, title, notes } => {
            Command::Describe { recording: *recording, title: title.clone(), notes: notes.clone() }
        }
    };
    let visitor = match &arguments.what {
        // Who started a recording may cancel it: the same script, however often it is run.
        RecordWhat::Start { .. } | RecordWhat::Cancel { .. } => {
            Visitor::arrive_as(invite, remote_identity(data_dir)?).await?
        }
        _ => Visitor::arrive(invite).await?,
    };
    let (before, _) = status(&visitor).await?;
    visitor.request(command).await?;
    let line = match arguments.what {
        RecordWhat::Stop { wait, timeout } => {
            let stopped = before.map(|current| current.recording);
            match stopped.filter(|_| wait) {
                Some(recording) => {
                    completed(&visitor, recording, timeout.map(|timeout| Instant::now() + timeout)).await?
                }
                None => stopped_line(&visitor, stopped).await?,
            }
        }
        RecordWhat::Cancel { recording, .. } => {
            stopped_line(&visitor, recording.or(before.map(|current| current.recording))).await?
        }
        RecordWhat::Describe { recording: Some(recording), .. } => described_line(&visitor, recording).await?,
        _ => current_line(&visitor).await?,
    };
    visitor.leave().await;
    output.say(&line, Some(&text(&line)));
    Ok(())
}

async fn status(visitor: &Visitor) -> Result<(Option<RecordingStatus>, Vec<RecordingStatus>), ErrorReport> {
    match visitor.request(Command::Status).await? {
        Answer::Status { current, finalizing } => Ok((current, finalizing)),
        _ => Err(unexpected()),
    }
}

async fn current_line(visitor: &Visitor) -> Result<Line, ErrorReport> {
    let (current, finalizing) = status(visitor).await?;
    Ok(line(current.as_ref(), &finalizing))
}

async fn stopped_line(visitor: &Visitor, stopped: Option<RecordingId>) -> Result<Line, ErrorReport> {
    let (_, finalizing) = status(visitor).await?;
    let ended = finalizing.iter().find(|status| Some(status.recording) == stopped);
    Ok(line(ended, &finalizing))
}

/// The line of one recording, whether it runs or is over.
async fn described_line(visitor: &Visitor, recording: RecordingId) -> Result<Line, ErrorReport> {
    let (current, finalizing) = status(visitor).await?;
    let known = current.iter().chain(&finalizing).find(|status| status.recording == recording);
    Ok(line(known, &finalizing))
}

fn line(status: Option<&RecordingStatus>, finalizing: &[RecordingStatus]) -> Line {
    Line {
        recording: status.map(|status| status.recording),
        state: status.map(|status| status.state),
        elapsed_ms: status.map_or(0, |status| status.elapsed_ms),
        finalizing: finalizing.iter().filter(|status| !over(status.state)).map(|status| status.recording).collect(),
        outcome: None,
    }
}

fn over(state: RecordingState) -> bool {
    matches!(state, RecordingState::Completed | RecordingState::Cancelled | RecordingState::Failed)
}

/// Asks until the recording is in the bucket.
async fn completed(visitor: &Visitor, recording: RecordingId, until: Option<Instant>) -> Result<Line, ErrorReport> {
    loop {
        let (_, finalizing) = status(visitor).await?;
        let ended = finalizing.iter().find(|status| status.recording == recording);
        if let Some(failed) = ended.filter(|status| status.state == RecordingState::Failed) {
            let why = failed.failure.clone().unwrap_or_else(|| "the recording failed".into());
            return Err(ErrorReport::new(code::RECORDING_FAILED, why, "its audio is kept on the host's disk"));
        }
        if ended.is_some_and(|status| status.state == RecordingState::Cancelled) {
            return Ok(line(ended, &finalizing));
        }
        match visitor.request(Command::Outcome { recording }).await {
            Ok(Answer::Outcome { entry, path }) => {
                let mut line = line(ended, &finalizing);
                line.recording = Some(recording);
                line.state = Some(RecordingState::Completed);
                line.elapsed_ms = entry.duration_ms.unwrap_or(line.elapsed_ms);
                line.outcome = Some(outcome(visitor, *entry, path).await?);
                return Ok(line);
            }
            Ok(_) => return Err(unexpected()),
            Err(error) if is_on_its_way(&error) => {}
            Err(error) => return Err(error),
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return Err(ErrorReport::new(
                code::NOT_UPLOADED,
                "the recording has ended and is not in the bucket yet",
                "it goes on by itself; ask again with `roomtone recordings INVITE list`",
            ));
        }
        sleep(ASK_AGAIN).await;
    }
}

async fn outcome(visitor: &Visitor, entry: CatalogEntry, path: Option<String>) -> Result<Outcome, ErrorReport> {
    let link = Command::Link { recording: entry.key.clone(), ttl_s: Some(LINK_SECONDS) };
    let Answer::Link(link) = visitor.request(link).await? else { return Err(unexpected()) };
    Ok(Outcome { key: entry.key, path, size: entry.size, link: link.link, gapless: entry.gapless })
}

fn is_on_its_way(error: &ErrorReport) -> bool {
    matches!(error.code.as_str(), code::NOT_FINALIZED | code::NOT_UPLOADED | code::RECORDING_NOT_FOUND)
}

/// What people read.
fn text(line: &Line) -> String {
    match (&line.recording, &line.outcome) {
        (Some(recording), Some(outcome)) => {
            let path = outcome.path.as_deref().map(|path| format!("\nfile: {path}")).unwrap_or_default();
            format!("{} is completed: {}{path}\nlink: {}", recording.short(), outcome.key, outcome.link)
        }
        (Some(recording), None) => {
            let state = line.state.map(|state| state.to_string()).unwrap_or_default();
            format!("{} {state}, {} s", recording.short(), line.elapsed_ms / 1_000)
        }
        (None, _) => match line.finalizing.len() {
            0 => "nothing is being recorded".to_owned(),
            count => format!("nothing is being recorded; {count} recording(s) on the way to the bucket"),
        },
    }
}

/// Something that cannot be undone wants `--yes`.
pub(crate) fn unconfirmed(what: &str) -> ErrorReport {
    ErrorReport::new(code::CONFIRMATION_NEEDED, what, "add --yes if that is what you want")
}

/// The recorder answered something else than what was asked.
pub(crate) fn unexpected() -> ErrorReport {
    ErrorReport::new(
        code::VERSION_MISMATCH,
        "the recorder's answer makes no sense",
        "use the same version at both ends",
    )
}
