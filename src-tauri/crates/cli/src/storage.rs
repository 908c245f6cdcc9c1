//! `roomtone storage`: where recordings go.

use roomtone_protocol::{ErrorReport, code};
use roomtone_storage::test_storage;
use roomtone_studio::configured_bucket;
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
        StorageWhat::SetupNotifications { .. } => Err(ErrorReport::new(
            code::NOT_YET_SUPPORTED,
            "this version compares listings and sets up no notifications",
            "nothing needs to be done: lists are renewed every few seconds",
        )),
    }
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
    report.first_error().cloned().map_or(Ok(()), Err)
}
