//! `roomtone storage`: where recordings go.

use roomtone_protocol::ErrorReport;
use roomtone_storage::{ChangeSource, SetupReport, test_storage};
use roomtone_studio::{configured_bucket, set_up_notifications};
use serde::Serialize;

use crate::args::{Common, Storage, StorageWhat};
use crate::lifecycle::{self, Consent};
use crate::output::Output;
use crate::settings;

#[derive(Serialize)]
struct Line<'a> {
    permission: &'static str,
    ok: bool,
    #[serde(rename = "cause", skip_serializing_if = "Option::is_none")]
    error: Option<&'a ErrorReport>,
}

pub(crate) async fn run(common: &Common, arguments: Storage, output: Output) -> Result<(), ErrorReport> {
    match arguments.what {
        StorageWhat::Test => test(common, output).await,
        StorageWhat::SetupNotifications { dry_run } => set_up(common, dry_run, output).await,
        StorageWhat::Lifecycle { retention, dry_run, yes } => {
            let consent = if dry_run {
                Consent::DryRun
            } else if yes {
                Consent::Given
            } else {
                Consent::Asked
            };
            lifecycle::run(common, retention, consent, output).await
        }
    }
}

/// How changes are noticed.
#[derive(Serialize)]
struct ChangesLine<'a> {
    notifications: &'static str,
    ok: bool,
    message: String,
    #[serde(rename = "cause", skip_serializing_if = "Option::is_none")]
    error: Option<&'a ErrorReport>,
}

#[derive(Serialize)]
struct SetupLine<'a> {
    dry_run: bool,
    #[serde(flatten)]
    report: &'a SetupReport,
}

async fn set_up(common: &Common, dry_run: bool, output: Output) -> Result<(), ErrorReport> {
    let settings = settings::surrounding(common)?.check()?;
    let report = set_up_notifications(&settings, common.data_dir.as_deref(), dry_run).await?;
    output.say(&SetupLine { dry_run, report: &report }, Some(&told(&report, dry_run)));
    Ok(())
}

/// What a person reads of it.
fn told(report: &SetupReport, dry_run: bool) -> String {
    let mut text = String::new();
    let verb = if dry_run { "would ask for" } else { "done:" };
    for step in &report.steps {
        // Content is made of plain values, which can always be written.
        let content = serde_json::to_string_pretty(&step.content).unwrap_or_default();
        text.push_str(&format!("{verb} {} on {}\n{content}\n", step.action, step.target));
    }
    if report.steps.is_empty() {
        text.push_str("everything is set up already\n");
    }
    text.push_str(&match (&report.queue_url, dry_run) {
        (Some(url), _) => format!("the queue is {url}\nset S3_NOTIFICATION_QUEUE_URL={url}, or `s3.notification_queue_url` in the settings file"),
        (None, true) => "nothing was changed; without --dry-run the address of the queue is told at the end".to_owned(),
        (None, false) => format!("the queue is called {}", report.queue_name),
    });
    text
}

async fn test(common: &Common, output: Output) -> Result<(), ErrorReport> {
    let settings = settings::surrounding(common)?.check()?;
    let configured = configured_bucket(&settings, common.data_dir.as_deref()).await?;
    let report = test_storage(&*configured.bucket, &configured.prefix).await;
    for step in &report.steps {
        let permission = step.operation.permission();
        let line = Line { permission, ok: step.error.is_none(), error: step.error.as_ref() };
        let text = match &step.error {
            None => format!("ok    {permission}"),
            Some(error) => format!("FAIL  {permission}: {error}"),
        };
        output.say(&line, Some(&text));
    }
    let (source, error) = (report.changes.source, report.changes.problem.as_ref());
    let line =
        ChangesLine { notifications: name(source), ok: error.is_none(), message: report.changes.to_string(), error };
    let text = match error {
        None => format!("ok    notifications: {}", line.message),
        Some(error) => format!("FAIL  notifications: {error}"),
    };
    output.say(&line, Some(&text));
    report.first_error().cloned().map_or(Ok(()), Err)
}

/// The source's name for scripts.
const fn name(source: ChangeSource) -> &'static str {
    match source {
        ChangeSource::FolderWatcher => "folder_watcher",
        ChangeSource::Queue => "queue",
        ChangeSource::Listening => "listening",
        ChangeSource::ComparingListings(_) => "comparing",
    }
}
