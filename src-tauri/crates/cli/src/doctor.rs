//! `roomtone doctor`: what works here, and what to do about the rest.

use roomtone_capture::list_devices;
use roomtone_protocol::{ErrorReport, code};
use roomtone_storage::test_storage;
use roomtone_studio::configured_bucket;
use serde::Serialize;

use crate::args::Common;
use crate::output::Output;
use crate::settings;

#[derive(Serialize)]
struct Finding {
    check: &'static str,
    ok: bool,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Finding {
    fn of(check: &'static str, result: Result<String, ErrorReport>) -> Self {
        match result {
            Ok(message) => Self { check, ok: true, message, hint: None },
            Err(error) => Self { check, ok: false, message: error.message, hint: Some(error.hint) },
        }
    }
}

pub(crate) async fn run(common: &Common, output: Output) -> Result<(), ErrorReport> {
    let settings = settings::surrounding(common)?.check()?;
    let mut findings = vec![Finding::of("microphone", microphone()), Finding::of("relay", relay().await)];
    match configured_bucket(&settings, common.data_dir.as_deref()).await {
        Ok(configured) => {
            let report = test_storage(&*configured.bucket, &configured.prefix).await;
            let failed = report.steps.iter().find_map(|step| step.error.clone());
            findings.push(Finding::of("storage", failed.map_or_else(|| Ok("works".to_owned()), Err)));
            let changes = report.changes;
            findings.push(Finding::of(
                "notifications",
                changes.problem.clone().map_or_else(|| Ok(changes.to_string()), Err),
            ));
        }
        Err(error) => findings.push(Finding::of("storage", Err(error))),
    }
    for finding in &findings {
        let verdict = if finding.ok { "ok  " } else { "FAIL" };
        let hint = finding.hint.as_deref().map(|hint| format!("; {hint}")).unwrap_or_default();
        output.say(finding, Some(&format!("{verdict}  {:13}  {}{hint}", finding.check, finding.message)));
    }
    let failed = findings.iter().filter(|finding| !finding.ok).count();
    if failed == 0 {
        return Ok(());
    }
    let message = format!("{failed} of {} checks failed", findings.len());
    Err(ErrorReport::new("doctor", message, "each line above says what to do"))
}

fn microphone() -> Result<String, ErrorReport> {
    let devices = list_devices().map_err(ErrorReport::from)?;
    if devices.is_empty() {
        let message = "this computer offers no input";
        return Err(ErrorReport::new(code::MICROPHONE, message, "plug in a microphone, or host with --mic none"));
    }
    Ok(format!("{} input(s)", devices.len()))
}

async fn relay() -> Result<String, ErrorReport> {
    let bound = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    bound
        .map(|_| "a relay of one's own can listen".to_owned())
        .map_err(|error| settings::io_report("no port can be opened on loopback", &error))
}
