//! `roomtone storage lifecycle`: the bucket clears away by itself.

use std::time::Duration;

use roomtone_protocol::catalog::Kept;
use roomtone_protocol::{ErrorReport, code};
use roomtone_storage::{KeyTemplate, LifecycleReport, LifecycleRules};
use roomtone_studio::{Settings, configured_bucket, lifecycle_rules};
use serde::Serialize;

use crate::args::Common;
use crate::output::Output;
use crate::record::unconfirmed;
use crate::settings;

/// Whether anything may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// It is to be said only what would change.
    DryRun,
    /// It has to be asked for.
    Asked,
    /// It is given.
    Given,
}

#[derive(Serialize)]
struct Line<'a> {
    applied: bool,
    #[serde(flatten)]
    report: &'a LifecycleReport,
    versions: Kept,
}

pub(crate) async fn run(
    common: &Common,
    retention: Option<Duration>,
    consent: Consent,
    output: Output,
) -> Result<(), ErrorReport> {
    let asked = Settings { retention_s: retention.map(|age| age.as_secs()), ..Settings::default() };
    let settings = asked.or(settings::surrounding(common)?).check()?;
    let configured = configured_bucket(&settings, common.data_dir.as_deref()).await?;
    let template = settings.key_template.as_deref().map(str::parse::<KeyTemplate>).transpose();
    let template = template
        .map_err(|error| ErrorReport::new(code::INVALID_SETTING, error.to_string(), "correct the key template"))?;
    let rules = lifecycle_rules(&settings, &configured.prefix, &template.unwrap_or_default());
    check(&rules)?;
    let planned = configured.bucket.lifecycle(&rules, false).await?;
    let applies = consent != Consent::DryRun && !planned.changes.is_empty();
    if applies && consent == Consent::Asked {
        return Err(unconfirmed(&format!("this changes the bucket's lifecycle rules: {}", changes(&planned, "; "))));
    }
    let report = if applies { configured.bucket.lifecycle(&rules, true).await? } else { planned };
    let versions = configured.bucket.kept_of_deleted().await;
    output.say(&Line { applied: applies, report: &report, versions }, Some(&text(&report, applies, versions)));
    match report.not_kept.first() {
        None => Ok(()),
        Some(rule) => Err(ErrorReport::new(
            code::STORAGE,
            format!("the storage took the rules and does not show this one afterwards: {rule}"),
            "it may not know such rules; a host with a retention deletes what is too old by itself",
        )),
    }
}

/// A rule about everything would concern what is not Roomtone's.
fn check(rules: &LifecycleRules) -> Result<(), ErrorReport> {
    if !rules.prefix().is_empty() {
        return Ok(());
    }
    Err(ErrorReport::new(
        code::INVALID_SETTING,
        "with no prefix, and a key template that begins with no folder, the rules would concern the whole bucket",
        "set S3_RECORDING_PREFIX; without rules, a host with a retention deletes what is too old by itself",
    ))
}

fn changes(report: &LifecycleReport, between: &str) -> String {
    report.changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

fn text(report: &LifecycleReport, applied: bool, versions: Kept) -> String {
    let others = match report.others {
        0 => String::new(),
        count => format!("\n{count} rule(s) of others stay as they are"),
    };
    let kept = match versions {
        Kept::Versions | Kept::EarlierVersions => {
            "\nthe bucket keeps versions: what a rule deletes can be brought back until they go as well"
        }
        Kept::Nothing | Kept::Unknown => "",
    };
    match (report.changes.is_empty(), applied) {
        (true, _) => format!("the bucket's rules are as they should be{others}{kept}"),
        (false, false) => format!("this would change, with --yes:\n{}{others}{kept}", changes(report, "\n")),
        (false, true) => format!("changed:\n{}{others}{kept}", changes(report, "\n")),
    }
}
