//! `roomtone recordings`: what is finished.

use roomtone_protocol::catalog::{CatalogEntry, EntryState, Link};
use roomtone_protocol::channel::{Answer, Command};
use roomtone_protocol::{ErrorReport, code};
use roomtone_studio::Visitor;
use serde::Serialize;

use crate::args::{Recordings, RecordingsWhat};
use crate::download::download;
use crate::output::Output;
use crate::record::{unconfirmed, unexpected};
use crate::settings;

/// A download's link lives long enough to begin; what is on its way then is not cut off.
const DOWNLOAD_LINK_SECONDS: u64 = 60 * 60;

#[derive(Serialize)]
struct Listing<'a> {
    recordings: &'a [CatalogEntry],
}

#[derive(Serialize)]
struct Done<'a> {
    done: &'a str,
    recording: &'a str,
}

pub(crate) async fn run(arguments: Recordings, output: Output) -> Result<(), ErrorReport> {
    let invite = settings::invite(&arguments.invite)?;
    if let RecordingsWhat::Delete { yes: false, .. } = arguments.what {
        return Err(unconfirmed("deleting removes the recording and its metadata from the bucket"));
    }
    let visitor = Visitor::arrive(invite).await?;
    match arguments.what {
        RecordingsWhat::List => {
            let entries = list(&visitor).await?;
            output.say(&Listing { recordings: &entries }, Some(&table(&entries)));
        }
        RecordingsWhat::Show { id } => {
            let entries = list(&visitor).await?;
            let named =
                |entry: &&CatalogEntry| entry.key == id || entry.recording.is_some_and(|known| known.to_string() == id);
            let entry = entries.iter().find(named).ok_or_else(|| {
                let message = format!("there is no recording `{id}` here");
                ErrorReport::new(
                    code::RECORDING_NOT_FOUND,
                    message,
                    "`roomtone recordings INVITE list` shows ids and keys",
                )
            })?;
            output.say(entry, Some(&table(std::slice::from_ref(entry))));
        }
        RecordingsWhat::Link { id, ttl } => {
            let link = link(&visitor, id, ttl.as_secs()).await?;
            output.say(&link, Some(&format!("{}\nworks until {}", link.link, link.expires_at)));
        }
        RecordingsWhat::Download { id, output: file } => {
            let link = link(&visitor, id.clone(), DOWNLOAD_LINK_SECONDS).await?;
            let bytes = download(&link.link, &file).await?;
            let path = file.display().to_string();
            let line = serde_json::json!({ "done": "download", "recording": id, "path": path, "size": bytes });
            output.say(&line, Some(&format!("{path}: {bytes} bytes")));
        }
        RecordingsWhat::Delete { id, .. } => {
            visitor.request(Command::Delete { recording: id.clone() }).await?;
            output.say(&Done { done: "delete", recording: &id }, Some(&format!("{id} is deleted")));
        }
        RecordingsWhat::Rename { id, title } => {
            visitor.request(Command::Rename { recording: id.clone(), title: title.clone() }).await?;
            output.say(&Done { done: "rename", recording: &id }, Some(&format!("{id} is now `{title}`")));
        }
    }
    visitor.leave().await;
    Ok(())
}

async fn list(visitor: &Visitor) -> Result<Vec<CatalogEntry>, ErrorReport> {
    match visitor.request(Command::Recordings).await? {
        Answer::Recordings { entries } => Ok(entries),
        _ => Err(unexpected()),
    }
}

async fn link(visitor: &Visitor, recording: String, ttl_s: u64) -> Result<Link, ErrorReport> {
    match visitor.request(Command::Link { recording, ttl_s: Some(ttl_s) }).await? {
        Answer::Link(link) => Ok(link),
        _ => Err(unexpected()),
    }
}

/// A line each, for people.
fn table(entries: &[CatalogEntry]) -> String {
    if entries.is_empty() {
        return "there are no recordings yet".to_owned();
    }
    let line = |entry: &CatalogEntry| {
        let name = entry.title.as_deref().unwrap_or(&entry.key);
        let id = entry.recording.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let length = entry.duration_ms.map_or_else(|| "?".to_owned(), |ms| format!("{} s", ms / 1_000));
        let channels = entry.channels.map_or_else(|| "?".to_owned(), |count| count.to_string());
        let state = match entry.state {
            EntryState::Uploading => "uploading",
            EntryState::Ready => "ready",
        };
        format!("{}  {state:9}  {length:>7}  {channels:>2} ch  {:>12} B  {id}  {name}", entry.started_at, entry.size)
    };
    entries.iter().map(line).collect::<Vec<_>>().join("\n")
}
