//! `roomtone recordings`: what is finished.

use std::fmt::Write as _;

use roomtone_protocol::catalog::{CatalogEntry, CatalogPage, Deletion, EntryState, Kept, Link, MetadataState};
use roomtone_protocol::channel::{Answer, Command, MetadataPiece};
use roomtone_protocol::{ErrorReport, code};
use roomtone_studio::Visitor;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::args::{Recordings, RecordingsWhat};
use crate::download::{Expected, download};
use crate::output::Output;
use crate::record::{unconfirmed, unexpected};
use crate::settings;

/// A download's link lives long enough to begin; what is on its way then is not cut off.
const DOWNLOAD_LINK_SECONDS: u64 = 60 * 60;

/// How often metadata is read from its beginning because somebody changed it meanwhile.
const READINGS: usize = 5;

#[derive(Serialize)]
struct Listing<'a> {
    recordings: &'a [CatalogEntry],
    /// Where to go on.
    next: Option<&'a str>,
    total: Option<u64>,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    entry: &'a CatalogEntry,
    /// The whole metadata JSON.
    details: Option<&'a Map<String, Value>>,
}

#[derive(Serialize)]
struct Done<'a> {
    done: &'a str,
    recording: &'a str,
}

#[derive(Serialize)]
struct Deleted<'a> {
    done: &'a str,
    recording: &'a str,
    objects: &'a [String],
    kept: Kept,
    local_copy: bool,
}

pub(crate) async fn run(arguments: Recordings, output: Output) -> Result<(), ErrorReport> {
    let invite = settings::invite(&arguments.invite)?;
    let visitor = Visitor::arrive(invite).await?;
    let done = carry_out(arguments.what, &visitor, output).await;
    visitor.leave().await;
    done
}

async fn carry_out(what: RecordingsWhat, visitor: &Visitor, output: Output) -> Result<(), ErrorReport> {
    match what {
        RecordingsWhat::List { limit, after } => {
            let list = list(visitor, limit, after).await?;
            let CatalogPage { entries, next, total } = &list;
            let listing = Listing { recordings: entries, next: next.as_deref(), total: *total };
            output.say(&listing, Some(&listing_text(&list)));
        }
        RecordingsWhat::Show { id } => {
            let (entry, details) = show(visitor, &id).await?;
            let text = format!("{}{}", table(std::slice::from_ref(&entry)), details_text(details.as_ref()));
            output.say(&Shown { entry: &entry, details: details.as_ref() }, Some(&text));
        }
        RecordingsWhat::Link { id, ttl } => {
            let link = link(visitor, id, ttl.as_secs()).await?;
            output.say(&link, Some(&format!("{}\nworks until {}", link.link, link.expires_at)));
        }
        RecordingsWhat::Download { id, output: file } => {
            let (entry, details) = show(visitor, &id).await?;
            let link = link(visitor, id.clone(), DOWNLOAD_LINK_SECONDS).await?;
            let sha256 = details.as_ref().and_then(|details| details.get("sha256")).and_then(Value::as_str);
            let expected = Expected { size: entry.size, sha256: sha256.map(str::to_owned) };
            let bytes = download(&link.link, &file, &expected).await?;
            let path = file.display().to_string();
            let proven = expected.sha256.is_some();
            let line =
                serde_json::json!({"done": "download", "recording": id, "path": path, "size": bytes, "proven": proven});
            let proof = if proven { ", the very bytes that were recorded" } else { "" };
            output.say(&line, Some(&format!("{path}: {bytes} bytes{proof}")));
        }
        RecordingsWhat::Delete { id, yes: false } => {
            let plan = deletion(visitor, Command::DeletionPlan { recording: id }).await?;
            return Err(unconfirmed(&format!("deleting removes {}", deletion_text(&plan))));
        }
        RecordingsWhat::Delete { id, yes: true } => {
            let deleted = deletion(visitor, Command::Delete { recording: id.clone() }).await?;
            let Deletion { objects, kept, local_copy, .. } = &deleted;
            let line = Deleted { done: "delete", recording: &id, objects, kept: *kept, local_copy: *local_copy };
            output.say(&line, Some(&format!("deleted {}", deletion_text(&deleted))));
        }
        RecordingsWhat::Rename { id, title } => {
            visitor.request(Command::Rename { recording: id.clone(), title: title.clone() }).await?;
            output.say(&Done { done: "rename", recording: &id }, Some(&format!("{id} is now `{title}`")));
        }
        RecordingsWhat::Notes { id, text } => {
            visitor.request(Command::Describe { recording: Some(id), title: None, notes: Some(text) }).await?;
            let id = id.to_string();
            output.say(&Done { done: "notes", recording: &id }, Some(&format!("{id} has new notes")));
        }
    }
    Ok(())
}

/// All pages, or as many as hold `limit` entries.
async fn list(visitor: &Visitor, limit: Option<u32>, mut after: Option<String>) -> Result<CatalogPage, ErrorReport> {
    let mut list = CatalogPage::default();
    loop {
        let have = u32::try_from(list.entries.len()).unwrap_or(u32::MAX);
        let left = limit.map(|limit| limit.saturating_sub(have));
        if left == Some(0) {
            return Ok(list);
        }
        let Answer::Recordings(page) = visitor.request(Command::Recordings { after, limit: left }).await? else {
            return Err(unexpected());
        };
        let CatalogPage { entries, next, total } = page;
        list.entries.extend(entries);
        list.total = total;
        list.next.clone_from(&next);
        if next.is_none() {
            return Ok(list);
        }
        after = next;
    }
}

/// An entry, and all of its metadata.
async fn show(visitor: &Visitor, id: &str) -> Result<(CatalogEntry, Option<Map<String, Value>>), ErrorReport> {
    for _ in 0..READINGS {
        let (entry, mut piece) = shown(visitor, id, 0).await?;
        let (mut text, mut version) = (String::new(), None);
        loop {
            let Some(MetadataPiece { text: more, version: of, next }) = piece else { return Ok((entry, None)) };
            if version.get_or_insert_with(|| of.clone()) != &of {
                // Somebody changed it: what was read so far is of another version.
                break;
            }
            text.push_str(&more);
            let Some(next) = next else {
                let details = serde_json::from_str(&text).map_err(|_| unexpected())?;
                return Ok((entry, Some(details)));
            };
            piece = shown(visitor, id, next).await?.1;
        }
    }
    Err(ErrorReport::new(code::ALREADY_CHANGED, "the metadata is being changed all the time", "try again"))
}

async fn shown(visitor: &Visitor, id: &str, from: u64) -> Result<(CatalogEntry, Option<MetadataPiece>), ErrorReport> {
    match visitor.request(Command::Show { recording: id.to_owned(), from }).await? {
        Answer::Shown { entry, metadata } => Ok((*entry, metadata)),
        _ => Err(unexpected()),
    }
}

async fn link(visitor: &Visitor, recording: String, ttl_s: u64) -> Result<Link, ErrorReport> {
    match visitor.request(Command::Link { recording, ttl_s: Some(ttl_s) }).await? {
        Answer::Link(link) => Ok(link),
        _ => Err(unexpected()),
    }
}

async fn deletion(visitor: &Visitor, command: Command) -> Result<Deletion, ErrorReport> {
    match visitor.request(command).await? {
        Answer::Deletion(deletion) => Ok(*deletion),
        _ => Err(unexpected()),
    }
}

/// What goes, and what stays of it.
fn deletion_text(deletion: &Deletion) -> String {
    let Deletion { entry, objects, kept, local_copy } = deletion;
    let title = entry.title.as_deref().map(|title| format!("`{title}`: ")).unwrap_or_default();
    let kept = match kept {
        Kept::Nothing => "",
        Kept::Versions => {
            "; the bucket keeps versions: whoever may can bring them back, and they take room until they are deleted there"
        }
        Kept::EarlierVersions => {
            "; the bucket kept versions until that was suspended: what was written before stays until it is deleted there"
        }
        Kept::Unknown => "; whether the bucket keeps versions it does not say (s3:GetBucketVersioning)",
    };
    let local = if *local_copy { "; the copy on the host's own disk stays" } else { "" };
    format!("{title}{} ({} bytes of audio){kept}{local}", objects.join(", "), entry.size)
}

fn listing_text(list: &CatalogPage) -> String {
    let rest = match (&list.next, list.total) {
        (Some(next), Some(total)) => format!("\n{} of {total}; go on with --after '{next}'", list.entries.len()),
        _ => String::new(),
    };
    format!("{}{rest}", table(&list.entries))
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
        let metadata = match entry.metadata {
            MetadataState::Damaged => "  (its metadata is damaged)",
            MetadataState::Newer => "  (a newer Roomtone wrote its metadata)",
            MetadataState::Good | MetadataState::Missing | MetadataState::Unread => "",
        };
        format!(
            "{}  {state:9}  {length:>7}  {channels:>2} ch  {:>12} B  {id}  {name}{metadata}",
            entry.started_at, entry.size
        )
    };
    entries.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What a person wants to know of the metadata: people, what is missing, markers, notes.
fn details_text(details: Option<&Map<String, Value>>) -> String {
    let Some(details) = details else { return String::new() };
    let mut text = String::new();
    let array = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let seconds = |frames: &Value| {
        let rate = details.get("sample_rate").and_then(Value::as_f64).filter(|rate| *rate > 0.0).unwrap_or(48_000.0);
        format!("{:.3} s", frames.as_f64().unwrap_or(0.0) / rate)
    };
    let words = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let mut line = |of: String| writeln!(text, "\n  {of}").expect("invariant: writing to a String cannot fail");
    if let Some(notes) = details.get("notes").and_then(Value::as_str) {
        line(format!("notes: {notes}"));
    }
    for channel in array(details.get("channels")) {
        let missing = match channel["missing_frames"].as_u64() {
            Some(0) => "nothing is missing".to_owned(),
            _ => format!("{} missing", seconds(&channel["missing_frames"])),
        };
        line(format!("channel {}: {}, {missing}", channel["index"], words(&channel["name"])));
        for gap in array(channel.get("gaps")) {
            line(format!("  {} to {}: {}", seconds(&gap["from"]), seconds(&gap["to"]), words(&gap["cause"])));
        }
    }
    for marker in array(details.get("markers")) {
        line(format!("marker at {}: {}", seconds(&marker["frame"]), words(&marker["text"])));
    }
    for (name, value) in details {
        if !matches!(name.as_str(), "notes" | "channels" | "markers" | "parts") {
            line(format!("{name}: {value}"));
        }
    }
    text.replace("\n\n", "\n").trim_end().to_owned()
}
