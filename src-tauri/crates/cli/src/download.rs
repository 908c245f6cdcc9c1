//! Fetches a file: into a name of its own first, so that what bears the wanted name is whole, and proven where that is
//! possible.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode};
use roomtone_protocol::{ErrorReport, code};
use sha2::{Digest as _, Sha256};
use tokio::fs::{self, OpenOptions};
use tokio::io::AsyncWriteExt as _;

use crate::settings::path_report;

/// How often a download that brought nothing new is begun again by itself, and how long it waits before.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// How long nothing may come before the connection counts as broken.
const SILENCE: Duration = Duration::from_secs(30);

/// Bytes hashed at a time.
const BLOCK: usize = 1024 * 1024;

/// What the file is known to be.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// Bytes, as the list says. The object may have been replaced since; what the store says then holds.
    pub(crate) size: u64,
    /// Hash of all of it, hexadecimal, where the metadata knows it.
    pub(crate) sha256: Option<String>,
}

/// What became of one try.
enum Tried {
    /// The partial file is all of it: so many bytes.
    Whole(u64),
    /// It broke off; what came is kept.
    Cut(ErrorReport),
}

/// Downloads `link` to `file` and tells its size in bytes. What an interrupted download left is gone on with if the
/// object is still the same (RFC 9110, section 13.1.5).
pub(crate) async fn download(link: &str, file: &Path, expected: &Expected) -> Result<u64, ErrorReport> {
    let place = Place::beside(file);
    let client = Client::builder().read_timeout(SILENCE).connect_timeout(SILENCE).build();
    let client = client.map_err(|error| unreachable(&error))?;
    let mut failures = 0;
    let size = loop {
        let before = place.have().await;
        match place.fetch(&client, link).await? {
            Tried::Whole(size) => break size,
            Tried::Cut(error) => {
                failures = if place.have().await > before { 0 } else { failures + 1 };
                if failures >= ATTEMPTS {
                    return Err(error);
                }
                tracing::info!(%error, "the download broke off and goes on");
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    prove(&place, size, expected).await?;
    fs::rename(&place.partial, file).await.map_err(|error| path_report(file, &error))?;
    place.forget_tag().await;
    Ok(size)
}

/// Where a download grows.
struct Place {
    partial: PathBuf,
    /// Holds the entity tag of what the partial file is a part of.
    tag: PathBuf,
}

impl Place {
    fn beside(file: &Path) -> Self {
        let named = |extension: &str| {
            let mut name = file.file_name().unwrap_or_default().to_owned();
            name.push(".");
            name.push(extension);
            file.with_file_name(name)
        };
        Self { partial: named("partial"), tag: named("partial-etag") }
    }

    async fn have(&self) -> u64 {
        fs::metadata(&self.partial).await.map_or(0, |found| found.len())
    }

    async fn fetch(&self, client: &Client, link: &str) -> Result<Tried, ErrorReport> {
        let have = self.have().await;
        let known = fs::read_to_string(&self.tag).await.ok().filter(|_| have > 0);
        let mut request = client.get(link);
        if let Some(known) = &known {
            request = request.header(RANGE, format!("bytes={have}-")).header(IF_RANGE, known);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Ok(Tried::Cut(unreachable(&error))),
        };
        match response.status() {
            StatusCode::PARTIAL_CONTENT if starts_at(response.headers()) == Some(have) => {
                self.take(response, have).await
            }
            StatusCode::OK => self.take(response, 0).await,
            // Nothing is left to be sent: the partial file is all of it, or of something longer that is gone.
            StatusCode::RANGE_NOT_SATISFIABLE if whole_size(response.headers()) == Some(have) => Ok(Tried::Whole(have)),
            StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT => {
                self.begin_anew().await?;
                Ok(Tried::Cut(refused(response.status())))
            }
            status if status.is_server_error() => Ok(Tried::Cut(refused(status))),
            status => Err(refused(status)),
        }
    }

    /// Writes an answer behind the first `have` bytes.
    async fn take(&self, response: Response, have: u64) -> Result<Tried, ErrorReport> {
        let failed = |error: std::io::Error| path_report(&self.partial, &error);
        let mut open = OpenOptions::new();
        open.create(true).write(true).append(have > 0).truncate(have == 0);
        let mut target = open.open(&self.partial).await.map_err(failed)?;
        match response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()) {
            Some(etag) => fs::write(&self.tag, etag).await.map_err(|error| path_report(&self.tag, &error))?,
            // What cannot be told apart is not gone on with.
            None => self.forget_tag().await,
        }
        let whole = response.content_length().map(|rest| rest + have);
        let mut body = response.bytes_stream();
        let mut cut = None;
        while let Some(piece) = body.next().await {
            match piece {
                Ok(piece) => target.write_all(&piece).await.map_err(failed)?,
                Err(error) => {
                    cut = Some(unreachable(&error));
                    break;
                }
            }
        }
        target.sync_all().await.map_err(failed)?;
        let size = target.metadata().await.map_err(failed)?.len();
        Ok(match cut {
            Some(error) => Tried::Cut(error),
            None if whole.is_some_and(|whole| whole != size) => {
                Tried::Cut(broken(&format!("the download has {size} bytes of {}", whole.unwrap_or(0))))
            }
            None => Tried::Whole(size),
        })
    }

    async fn begin_anew(&self) -> Result<(), ErrorReport> {
        fs::remove_file(&self.partial).await.map_err(|error| path_report(&self.partial, &error))?;
        self.forget_tag().await;
        Ok(())
    }

    async fn forget_tag(&self) {
        if let Err(error) = fs::remove_file(&self.tag).await {
            tracing::debug!(%error, "no entity tag to remove");
        }
    }
}

/// Whether the partial file is what it should be. One that is not is removed: going on with it would not mend it.
async fn prove(place: &Place, size: u64, expected: &Expected) -> Result<(), ErrorReport> {
    if size != expected.size {
        tracing::info!(listed = expected.size, size, "the object was replaced since it was listed");
    }
    let Some(sha256) = &expected.sha256 else { return Ok(()) };
    let path = place.partial.clone();
    let hashed = tokio::task::spawn_blocking(move || hash(&path)).await;
    let found = hashed
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
        .map_err(|error| path_report(&place.partial, &error))?;
    if found == sha256.to_lowercase() {
        return Ok(());
    }
    place.begin_anew().await?;
    Err(broken("what came is not what was recorded, by its SHA-256"))
}

fn hash(path: &Path) -> std::io::Result<String> {
    let (mut file, mut hash, mut block) = (std::fs::File::open(path)?, Sha256::new(), vec![0; BLOCK]);
    loop {
        match file.read(&mut block)? {
            0 => break,
            read => hash.update(&block[..read]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The first byte of a part: `bytes FIRST-LAST/SIZE`.
fn starts_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}

/// The size of the whole: `bytes */SIZE`.
fn whole_size(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes */")?.trim().parse().ok()
}

fn unreachable(error: &reqwest::Error) -> ErrorReport {
    let message = format!("the storage cannot be reached: {}", error.without_url_text());
    ErrorReport::new(code::STORAGE_UNREACHABLE, message, "run it again: it goes on where it stopped")
}

fn broken(what: &str) -> ErrorReport {
    ErrorReport::new(code::STORAGE, what, "run it again; a repaired version may have taken its place just now")
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

#[cfg(test)]
mod tests;
