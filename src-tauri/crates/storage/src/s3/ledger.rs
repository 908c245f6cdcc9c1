//! What is known of an unfinished upload, on this computer's disk.
//!
//! JSON lines, each synced before the next step: first what is uploaded, then the store's id of the upload, then every
//! part that the store has confirmed. A crash can only tear the last line, which then never happened.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use roomtone_protocol::RecordingId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::source::Source;
use crate::BucketError;
use crate::off_thread::off_thread;

/// Version of the lines.
const SCHEMA: u32 = 1;

/// What is being uploaded, and how it is cut. If any of it differs, the parts of before are of no use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subject {
    schema: u32,
    store: String,
    bucket: String,
    pub(super) key: String,
    recording: RecordingId,
    size: u64,
    modified: i64,
    pub(super) part_size: u64,
}

impl Subject {
    pub(super) fn new(
        store: &str,
        bucket: &str,
        key: &str,
        recording: RecordingId,
        source: &Source,
        part_size: u64,
    ) -> Self {
        Self {
            schema: SCHEMA,
            store: store.to_owned(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            recording,
            size: source.size,
            modified: source.modified,
            part_size,
        }
    }

    fn file_name(&self) -> String {
        file_name((&self.store, &self.bucket, &self.key))
    }
}

/// One file per object, of a store, a bucket and a key.
fn file_name((store, bucket, key): (&str, &str, &str)) -> String {
    let mut hash = Sha256::new();
    for text in [store, bucket, key] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    let digits: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{digits}.ledger")
}

/// A part that the store has confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) size: u64,
    pub(super) etag: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line {
    Subject(Subject),
    Upload {
        id: String,
    },
    Part {
        number: i32,
        #[serde(flatten)]
        part: Part,
    },
}

/// The ledger of one upload.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    /// The store's id, once there is one.
    pub(super) upload: Option<String>,
    /// By number.
    pub(super) parts: BTreeMap<i32, Part>,
}

/// A ledger as found on the disk.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) ledger: Ledger,
    /// An upload of something else under the same key, begun before and now of no use.
    pub(super) outdated: Option<String>,
}

impl Ledger {
    /// Opens the ledger of this subject, or begins it.
    pub(super) async fn open(folder: &Path, subject: Subject) -> Result<Opened, BucketError> {
        let path = folder.join(subject.file_name());
        off_thread(move || open(path, &subject)).await
    }

    /// The ledger of this recording's unfinished upload to an object (store, bucket, key), if there is one.
    pub(super) async fn find(
        folder: &Path,
        object: (&str, &str, &str),
        recording: RecordingId,
    ) -> Result<Option<Self>, BucketError> {
        let path = folder.join(file_name(object));
        off_thread(move || {
            let found = read_file(&path)?.into_contents();
            let ours = found.subject.is_some_and(|subject| subject.schema <= SCHEMA && subject.recording == recording);
            Ok(ours.then_some(Self { path, upload: found.upload, parts: found.parts }))
        })
        .await
    }

    /// Notes the store's id of the upload.
    pub(super) async fn begin(&mut self, upload: String) -> Result<(), BucketError> {
        self.append(Line::Upload { id: upload.clone() }).await?;
        self.upload = Some(upload);
        Ok(())
    }

    /// Notes a part that the store has confirmed.
    pub(super) async fn confirm(&mut self, number: i32, part: Part) -> Result<(), BucketError> {
        self.append(Line::Part { number, part: part.clone() }).await?;
        self.parts.insert(number, part);
        Ok(())
    }

    /// Forgets the upload.
    pub(super) fn remove(self) -> Result<(), BucketError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BucketError::io(self.path, error)),
            _ => Ok(()),
        }
    }

    async fn append(&self, line: Line) -> Result<(), BucketError> {
        let path = self.path.clone();
        off_thread(move || append(&path, &line).map_err(|error| BucketError::io(path, error))).await
    }
}

fn append(path: &Path, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    let mut file = File::options().append(true).create(true).open(path)?;
    file.write_all(&text)?;
    file.sync_data()
}

/// What a ledger says.
#[derive(Debug, Default)]
struct Contents {
    subject: Option<Subject>,
    upload: Option<String>,
    parts: BTreeMap<i32, Part>,
}

/// The lines of a ledger, how many bytes they have, and how many the file has.
struct Found {
    lines: Vec<Line>,
    whole: usize,
    bytes: usize,
}

impl Found {
    fn into_contents(self) -> Contents {
        let mut contents = Contents::default();
        for line in self.lines {
            match line {
                Line::Subject(subject) => contents.subject = Some(subject),
                Line::Upload { id } => contents.upload = Some(id),
                // The last of a number wins: it is what the store has now.
                Line::Part { number, part } => drop(contents.parts.insert(number, part)),
            }
        }
        contents
    }
}

fn read_file(path: &Path) -> Result<Found, BucketError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(BucketError::io(path, error)),
    };
    let (lines, whole) = read(&text);
    Ok(Found { lines, whole, bytes: text.len() })
}

fn open(path: PathBuf, subject: &Subject) -> Result<Opened, BucketError> {
    let failed = |error| BucketError::io(&path, error);
    let found = read_file(&path)?;
    let (whole, bytes) = (found.whole, found.bytes);
    let Contents { subject: before, upload, parts } = found.into_contents();
    if before.as_ref().is_some_and(|before| before.schema > SCHEMA) {
        return Err(BucketError::NewerVersion("the ledger of an upload".into()));
    }
    if before.as_ref() == Some(subject) {
        File::options().write(true).open(&path).and_then(|file| file.set_len(whole as u64)).map_err(failed)?;
        return Ok(Opened { ledger: Ledger { path, upload, parts }, outdated: None });
    }
    if bytes > 0 {
        fs::remove_file(&path).map_err(failed)?;
    }
    append(&path, &Line::Subject(subject.clone())).map_err(failed)?;
    Ok(Opened { ledger: Ledger { path, upload: None, parts: BTreeMap::new() }, outdated: upload })
}

/// The lines up to the first that is torn, and how many bytes they have.
fn read(text: &[u8]) -> (Vec<Line>, usize) {
    let mut lines = Vec::new();
    let mut whole = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(parsed) if line.ends_with(b"\n") => lines.push(parsed),
            _ => break,
        }
        whole += line.len();
    }
    (lines, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(size: u64) -> Subject {
        let source = Source { path: "take.wav".into(), size, modified: 5 };
        Subject::new("http://s", "b", "k.wav", RecordingId::from_bytes([1; 16]), &source, 8)
    }

    fn part(etag: &str) -> Part {
        Part { size: 8, etag: etag.into() }
    }

    #[tokio::test]
    async fn a_ledger_survives_a_torn_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path(), subject(20)).await.unwrap().ledger;
        ledger.begin("u1".into()).await.unwrap();
        ledger.confirm(1, part("a")).await.unwrap();
        ledger.confirm(1, part("b")).await.unwrap();
        let path = ledger.path.clone();
        File::options().append(true).open(&path).unwrap().write_all(b"{\"line\":\"part\",\"num").unwrap();

        let mut ledger = Ledger::open(folder.path(), subject(20)).await.unwrap().ledger;
        assert_eq!(ledger.upload.as_deref(), Some("u1"));
        assert_eq!(ledger.parts, BTreeMap::from([(1, part("b"))]));
        ledger.confirm(2, part("c")).await.unwrap();
        let ledger = Ledger::open(folder.path(), subject(20)).await.unwrap().ledger;
        assert_eq!(ledger.parts.len(), 2);
        ledger.remove().unwrap();
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_that_changed_begins_anew_and_names_the_upload_that_is_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path(), subject(20)).await.unwrap().ledger;
        ledger.begin("u1".into()).await.unwrap();
        ledger.confirm(1, part("a")).await.unwrap();
        let opened = Ledger::open(folder.path(), subject(21)).await.unwrap();
        assert_eq!(opened.outdated.as_deref(), Some("u1"));
        assert!(opened.ledger.upload.is_none() && opened.ledger.parts.is_empty());
        assert!(Ledger::open(folder.path(), subject(21)).await.unwrap().outdated.is_none());
    }

    #[tokio::test]
    async fn an_unfinished_upload_is_found_by_its_object_and_recording() {
        let folder = tempfile::tempdir().unwrap();
        let find = |recording: u8| {
            Ledger::find(folder.path(), ("http://s", "b", "k.wav"), RecordingId::from_bytes([recording; 16]))
        };
        assert!(find(1).await.unwrap().is_none());
        let mut ledger = Ledger::open(folder.path(), subject(20)).await.unwrap().ledger;
        ledger.begin("u1".into()).await.unwrap();
        assert!(find(2).await.unwrap().is_none(), "another recording's upload is none of ours");
        let found = find(1).await.unwrap().unwrap();
        assert_eq!(found.upload.as_deref(), Some("u1"));
        found.remove().unwrap();
        assert!(find(1).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_a_newer_version_wrote_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let newer = Subject { schema: SCHEMA + 1, ..subject(20) };
        Ledger::open(folder.path(), newer).await.unwrap();
        let refused = Ledger::open(folder.path(), subject(20)).await;
        assert!(matches!(refused, Err(BucketError::NewerVersion(_))));
    }
}
