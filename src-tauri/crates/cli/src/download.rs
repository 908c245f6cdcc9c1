//! Fetches a file: into a name of its own first, so that what bears the wanted name is whole.

use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use reqwest::StatusCode;
use reqwest::header::{ETAG, IF_RANGE, RANGE};
use roomtone_protocol::{ErrorReport, code};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::AsyncWriteExt as _;

use crate::settings::path_report;

/// Downloads `link` to `file` and tells its size in bytes. What an interrupted download left is gone on with if the
/// object is still the same (RFC 9110, section 13.1.5).
pub(crate) async fn download(link: &str, file: &Path) -> Result<u64, ErrorReport> {
    let partial = beside(file, "partial");
    let tag = beside(file, "partial-etag");
    let have = fs::metadata(&partial).await.map_or(0, |found| found.len());
    let known = fs::read_to_string(&tag).await.ok();
    let mut request = reqwest::Client::new().get(link);
    if let Some(known) = known.filter(|_| have > 0) {
        request = request.header(RANGE, format!("bytes={have}-")).header(IF_RANGE, known);
    }
    let response = request.send().await.map_err(|error| unreachable(&error))?;
    let resumed = response.status() == StatusCode::PARTIAL_CONTENT;
    if !response.status().is_success() {
        return Err(refused(response.status()));
    }
    if let Some(etag) = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()) {
        fs::write(&tag, etag).await.map_err(|error| path_report(&tag, &error))?;
    }
    let expected = response.content_length().map(|rest| rest + if resumed { have } else { 0 });
    let mut open = OpenOptions::new();
    open.create(true).write(true).append(resumed).truncate(!resumed);
    let mut target = open.open(&partial).await.map_err(|error| path_report(&partial, &error))?;
    let mut body = response.bytes_stream();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| unreachable(&error))?;
        target.write_all(&piece).await.map_err(|error| path_report(&partial, &error))?;
    }
    let size = finish(target, &partial).await?;
    if let Some(expected) = expected.filter(|expected| *expected != size) {
        let message = format!("the download has {size} bytes instead of {expected}");
        return Err(ErrorReport::new(code::STORAGE, message, "run it again: it goes on where it stopped"));
    }
    fs::rename(&partial, file).await.map_err(|error| path_report(file, &error))?;
    if let Err(error) = fs::remove_file(&tag).await {
        tracing::debug!(%error, "no entity tag to remove");
    }
    Ok(size)
}

async fn finish(target: File, partial: &Path) -> Result<u64, ErrorReport> {
    target.sync_all().await.map_err(|error| path_report(partial, &error))?;
    target.metadata().await.map(|found| found.len()).map_err(|error| path_report(partial, &error))
}

fn beside(file: &Path, extension: &str) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(extension);
    file.with_file_name(name)
}

fn unreachable(error: &reqwest::Error) -> ErrorReport {
    let message = format!("the storage cannot be reached: {}", error.without_url_text());
    ErrorReport::new(code::STORAGE_UNREACHABLE, message, "run it again: it goes on where it stopped")
}

fn refused(status: StatusCode) -> ErrorReport {
    let message = format!("the storage refused the download ({status})");
    ErrorReport::new(code::STORAGE, message, "ask for a fresh link: links expire")
}

/// A link opens the file for whoever reads it: it must not get into error texts and logs.
trait WithoutUrl {
    fn without_url_text(&self) -> String;
}

impl WithoutUrl for reqwest::Error {
    fn without_url_text(&self) -> String {
        let mut text = self.to_string();
        if let Some(url) = self.url() {
            text = text.replace(url.as_str(), "the link");
        }
        text
    }
}
