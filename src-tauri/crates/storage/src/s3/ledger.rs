//! What is known of an unfinished upload, on this computer's disk.
//!
//! JSON lines, each synced before the next step: first what is uploaded, then the store's id of the upload, then every
//! part that the store has confirmed. A crash can only tear the last line, which then never happened.
//!
//! Of a file that grows nobody knows size and content before it is whole; then that is another line, and says which parts
//! may have got other bytes since they went up.

mod lines;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use roomtone_protocol::RecordingId;

pub(super) use self::lines::{Growing, Part, Subject};

use self::lines::{Contents, Found, Line, SCHEMA, file_name, read};
use super::planner::Known;
use super::source::Source;
use crate::BucketError;
use crate::off_thread::off_thread;

/// The ledger of one upload.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    /// The store's id, once there is one.
    pub(super) upload: Option<String>,
    /// By number.
    pub(super) parts: BTreeMap<i32, Part>,
    pub(super) part_size: u64,
    /// Of a file that was growing when the upload began.
    pub(super) growing: Option<Growing>,
    /// Size and time of the file that the parts are of, but for the doubtful ones.
    whole: Option<(u64, i64)>,
    doubtful: BTreeSet<i32>,
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
            let contents = read_file(&path)?.into_contents();
            let ours = |subject: &Subject| subject.schema <= SCHEMA && subject.recording == recording;
            let subject = contents.subject.clone().filter(ours);
            Ok(subject.map(|subject| contents.into_ledger(path, &subject)))
        })
        .await
    }

    /// Begins the ledger of a file that grows, in the place of whatever there is.
    pub(super) async fn begin_growing(folder: &Path, subject: Subject) -> Result<Self, BucketError> {
        let path = folder.join(subject.file_name());
        off_thread(move || {
            let begun = remove(&path).and_then(|()| append(&path, &Line::Subject(subject.clone())));
            begun.map_err(|error| BucketError::io(&path, error))?;
            Ok(Contents::default().into_ledger(path, &subject))
        })
        .await
    }

    /// The parts, with what is known of each; those that can neither be relied on nor compared are none.
    pub(super) fn known(&self, sure: impl Fn(i32) -> bool) -> impl Iterator<Item = Known> {
        self.parts.iter().filter_map(move |(&number, part)| {
            let sure = sure(number);
            (sure || part.sha256.is_some() || part.md5.is_some()).then_some(Known { number, length: part.size, sure })
        })
    }

    /// Whether a part that the store has is known to have the bytes of this file.
    pub(super) fn is_sure(&self, number: i32, file: &Source) -> bool {
        self.whole == Some((file.size, file.modified)) && !self.doubtful.contains(&number)
    }

    /// Notes that the file is whole, and which parts may not be of it.
    pub(super) async fn note_whole(&mut self, file: &Source, doubtful: BTreeSet<i32>) -> Result<(), BucketError> {
        let (size, modified) = (file.size, file.modified);
        self.append(Line::Whole { size, modified, doubtful: doubtful.clone() }).await?;
        (self.whole, self.doubtful) = (Some((size, modified)), doubtful);
        Ok(())
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
        self.doubtful.remove(&number);
        Ok(())
    }

    /// Forgets the upload.
    pub(super) fn remove(self) -> Result<(), BucketError> {
        remove(&self.path).map_err(|error| BucketError::io(self.path, error))
    }

    async fn append(&self, line: Line) -> Result<(), BucketError> {
        let path = self.path.clone();
        off_thread(move || append(&path, &line).map_err(|error| BucketError::io(path, error))).await
    }
}

/// One that is not there is no error.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn append(path: &Path, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    let mut file = File::options().append(true).create(true).open(path)?;
    file.write_all(&text)?;
    file.sync_data()
}

impl Contents {
    fn into_ledger(self, path: PathBuf, subject: &Subject) -> Ledger {
        let Self { upload, parts, whole, doubtful, .. } = self;
        let whole = whole.or(subject.growing.is_none().then_some((subject.size, subject.modified)));
        let (part_size, growing) = (subject.part_size, subject.growing);
        Ledger { path, upload, parts, part_size, growing, whole, doubtful }
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
    let contents = found.into_contents();
    let before = contents.subject.clone();
    if before.as_ref().is_some_and(|before| before.schema > SCHEMA) {
        return Err(BucketError::NewerVersion("the ledger of an upload".into()));
    }
    if let Some(before) = before.filter(|before| before == subject || before.grew_into(subject)) {
        File::options().write(true).open(&path).and_then(|file| file.set_len(whole as u64)).map_err(failed)?;
        return Ok(Opened { ledger: contents.into_ledger(path, &before), outdated: None });
    }
    if bytes > 0 {
        fs::remove_file(&path).map_err(failed)?;
    }
    append(&path, &Line::Subject(subject.clone())).map_err(failed)?;
    Ok(Opened { ledger: Contents::default().into_ledger(path, subject), outdated: contents.upload })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(size: u64) -> Subject {
        let source = Source { path: "take.wav".into(), size, modified: 5 };
        Subject::new("http://s", "b", "k.wav", RecordingId::from_bytes([1; 16]), &source, 8)
    }

    fn part(etag: &str) -> Part {
        Part { size: 8, etag: etag.into(), md5: None, sha256: None }
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
    async fn parts_of_a_file_that_grew_are_known_by_its_end_and_those_that_changed_are_doubtful() {
        let folder = tempfile::tempdir().unwrap();
        let recording = RecordingId::from_bytes([1; 16]);
        let growing = Subject::growing(("http://s", "b", "k.wav"), recording, 8, Growing { channels: 2, wasted: 5 });
        let mut ledger = Ledger::begin_growing(folder.path(), growing).await.unwrap();
        ledger.begin("u1".into()).await.unwrap();
        for number in [2, 3] {
            ledger.confirm(number, part("a")).await.unwrap();
        }
        let file = |size| Source { path: "take.wav".into(), size, modified: 5 };
        let open = async || Ledger::open(folder.path(), subject(20)).await.unwrap().ledger;
        let found = open().await;
        assert_eq!((found.upload.as_deref(), found.part_size), (Some("u1"), 8));
        assert_eq!(found.growing, Some(Growing { channels: 2, wasted: 5 }));
        assert!(!found.is_sure(2, &file(20)), "it may have died while the file was written over");

        ledger.note_whole(&file(20), BTreeSet::from([1, 3])).await.unwrap();
        let mut found = open().await;
        assert!(found.is_sure(2, &file(20)) && !found.is_sure(3, &file(20)));
        assert!(!found.is_sure(2, &file(21)), "of another file");
        found.confirm(3, part("b")).await.unwrap();
        assert!(found.is_sure(3, &file(20)) && open().await.is_sure(3, &file(20)));

        // More parts than stores take.
        let large = Subject { size: 8 * 10_001, ..subject(0) };
        assert_eq!(Ledger::open(folder.path(), large).await.unwrap().outdated.as_deref(), Some("u1"));
    }

    #[tokio::test]
    async fn ledgers_of_earlier_programs_are_readable() {
        let folder = tempfile::tempdir().unwrap();
        let lines = concat!(
            r#"{"line":"subject","schema":1,"store":"http://s","bucket":"b","key":"k.wav","#,
            r#""recording":"01010101010101010101010101010101","size":20,"modified":5,"part_size":8}"#,
            "\n",
            r#"{"line":"upload","id":"u1"}"#,
            "\n",
            r#"{"line":"part","number":1,"size":8,"etag":"a"}"#,
            "\n",
        );
        fs::write(folder.path().join(subject(20).file_name()), lines).unwrap();
        let ledger = Ledger::open(folder.path(), subject(20)).await.unwrap().ledger;
        assert_eq!((ledger.upload.as_deref(), ledger.parts), (Some("u1"), BTreeMap::from([(1, part("a"))])));
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
