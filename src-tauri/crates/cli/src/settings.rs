//! Puts the settings together: flag over environment over settings file.

use std::path::Path;
use std::time::Duration;

use roomtone_protocol::state::RecordBy;
use roomtone_protocol::{ErrorReport, Invite, code};
use roomtone_studio::{BucketChoice, Settings};

use crate::args::{BucketKind, Common, Host, RecordByArg};

/// What environment and settings file say.
pub(crate) fn surrounding(common: &Common) -> Result<Settings, ErrorReport> {
    let environment = Settings::from_environment(|name| std::env::var(name).ok())?;
    let file = common.settings.as_deref().map(Settings::from_file).transpose()?.unwrap_or_default();
    Ok(environment.or(file))
}

/// What a host's flags say, over the rest.
pub(crate) fn of_host(common: &Common, host: &Host) -> Result<Settings, ErrorReport> {
    let flags = Settings {
        bucket: host.bucket.map(|kind| match kind {
            BucketKind::Folder => BucketChoice::Folder,
            BucketKind::S3 => BucketChoice::S3,
        }),
        format: host.format.clone(),
        bit_depth: host.bit_depth,
        key_template: host.key_template.clone(),
        record_by: host.record_by.map(|by| match by {
            RecordByArg::Everyone => RecordBy::Everyone,
            RecordByArg::Host => RecordBy::Host,
        }),
        grace_s: host.grace.as_ref().map(Duration::as_secs),
        stop_wait_s: host.stop_wait.as_ref().map(Duration::as_secs),
        time_limit_s: host.time_limit.as_ref().map(Duration::as_secs),
        keep_local_s: host.keep_local,
        retention_s: host.retention.as_ref().map(Duration::as_secs),
        upload_while_recording: host.upload_while_recording,
        upload_limit_kbps: host.upload_limit_kbps,
        upload_limit_always: host.upload_limit_always,
        auto_record: host.auto_record,
        listen: host.listen,
        media_addrs: (!host.media_addrs.is_empty()).then(|| host.media_addrs.clone()),
        ..Settings::default()
    };
    flags.or(surrounding(common)?).check()
}

/// An invite, or what is wrong with it.
pub(crate) fn invite(text: &str) -> Result<Invite, ErrorReport> {
    text.parse().map_err(|error| {
        ErrorReport::new(
            code::INVALID_INVITE,
            format!("this is not an invite: {error}"),
            "copy the whole link from the host, with everything after the #, and put it in quotes",
        )
    })
}

/// An error of the system, for people.
pub(crate) fn io_report(what: &str, error: &std::io::Error) -> ErrorReport {
    ErrorReport::new(code::IO, format!("{what}: {error}"), "check that the disk has room and that you may write there")
}

/// A path's error, for people.
pub(crate) fn path_report(path: &Path, error: &std::io::Error) -> ErrorReport {
    io_report(&path.display().to_string(), error)
}
