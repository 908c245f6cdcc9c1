//! What stands in a ledger.

use std::collections::{BTreeMap, BTreeSet};

use roomtone_protocol::RecordingId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::s3::plan::MOST_NUMBER;
use crate::s3::source::Source;

/// Version of the lines.
pub(super) const SCHEMA: u32 = 1;

/// What is being uploaded, and how it is cut. If any of it differs, the parts of before are of no use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::s3) struct Subject {
    pub(super) schema: u32,
    pub(super) store: String,
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) recording: RecordingId,
    pub(super) size: u64,
    pub(super) modified: i64,
    pub(super) part_size: u64,
    /// Of a file that was growing when the upload began: then it has neither size nor time here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) growing: Option<Growing>,
}

/// What is known of a file that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::s3) struct Growing {
    pub(in crate::s3) channels: usize,
    /// Bytes that were sent of what it was before it had these channels.
    pub(in crate::s3) wasted: u64,
}

impl Subject {
    pub(in crate::s3) fn new(
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
            growing: None,
        }
    }

    /// A file that grows.
    pub(in crate::s3) fn growing(
        (store, bucket, key): (&str, &str, &str),
        recording: RecordingId,
        part_size: u64,
        growing: Growing,
    ) -> Self {
        let (store, bucket, key) = (store.to_owned(), bucket.to_owned(), key.to_owned());
        let (size, modified) = (0, 0);
        Self { schema: SCHEMA, store, bucket, key, recording, size, modified, part_size, growing: Some(growing) }
    }

    /// Whether what was begun as `self` while it grew is now this file, cut in a number of parts that stores take.
    pub(super) fn grew_into(&self, file: &Self) -> bool {
        let object = |subject: &Self| (subject.store.clone(), subject.bucket.clone(), subject.key.clone());
        self.growing.is_some()
            && object(self) == object(file)
            && self.recording == file.recording
            && self.part_size > 0
            && i32::try_from(file.size.div_ceil(self.part_size)).is_ok_and(|parts| parts <= MOST_NUMBER)
    }

    pub(super) fn file_name(&self) -> String {
        file_name((&self.store, &self.bucket, &self.key))
    }
}

/// One file per object, of a store, a bucket and a key.
pub(super) fn file_name((store, bucket, key): (&str, &str, &str)) -> String {
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
pub(in crate::s3) struct Part {
    pub(in crate::s3) size: u64,
    pub(in crate::s3) etag: String,
    /// MD5 of its bytes, hexadecimal. Only the first part has one, and all of them in the files of earlier programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::s3) md5: Option<String>,
    /// SHA-256 of its bytes, hexadecimal. Copied parts have none, nor have those in the files of earlier programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::s3) sha256: Option<String>,
}

impl Part {
    /// Whether the store means the same part.
    pub(in crate::s3) fn is(&self, held: &Self) -> bool {
        self.size == held.size && self.etag == held.etag
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(super) enum Line {
    Subject(Subject),
    Upload {
        id: String,
    },
    Part {
        number: i32,
        #[serde(flatten)]
        part: Part,
    },
    /// A file that grew is whole. These parts may have other bytes than it.
    Whole {
        size: u64,
        modified: i64,
        doubtful: BTreeSet<i32>,
    },
}

/// What a ledger says.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) subject: Option<Subject>,
    pub(super) upload: Option<String>,
    pub(super) parts: BTreeMap<i32, Part>,
    pub(super) whole: Option<(u64, i64)>,
    pub(super) doubtful: BTreeSet<i32>,
}

/// The lines of a ledger, how many bytes they have, and how many the file has.
pub(super) struct Found {
    pub(super) lines: Vec<Line>,
    pub(super) whole: usize,
    pub(super) bytes: usize,
}

impl Found {
    pub(super) fn into_contents(self) -> Contents {
        let mut contents = Contents::default();
        for line in self.lines {
            match line {
                Line::Subject(subject) => contents.subject = Some(subject),
                Line::Upload { id } => contents.upload = Some(id),
                // The last of a number wins: it is what the store has now.
                Line::Part { number, part } => {
                    contents.parts.insert(number, part);
                    contents.doubtful.remove(&number);
                }
                Line::Whole { size, modified, doubtful } => {
                    (contents.whole, contents.doubtful) = (Some((size, modified)), doubtful);
                }
            }
        }
        contents
    }
}

/// The lines up to the first that is torn, and how many bytes they have.
pub(super) fn read(text: &[u8]) -> (Vec<Line>, usize) {
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
