//! What the catalogue remembers over restarts: the list as last seen, and what the metadata of each version said.
//!
//! One file: a line that says what follows and its hash, then a line for each audio object, newest first. It holds
//! nothing that the bucket does not: a file that is damaged, of another version or not there is an empty memory.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::objects::{Beside, Item};
use crate::ObjectInfo;

/// Version of the file.
const SCHEMA: u32 = 1;

/// Objects that are remembered: what somebody has who records five times a day for thirty years, in some 20 MB.
const MOST_ITEMS: usize = 50_000;

/// A file of more bytes is none of ours: entries are bounded.
const LARGEST: u64 = 256 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Head {
    schema: u32,
    /// Of all that follows this line, hexadecimal.
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    size: u64,
    modified_ns: i128,
    etag: String,
    beside: Beside,
}

/// What is remembered, and nothing where that cannot be told.
pub(super) fn load(path: &Path) -> Vec<Item> {
    match read(path) {
        Ok(items) => items,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            tracing::info!(%error, "what was remembered of the bucket cannot be used; it is read again");
            Vec::new()
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<Item>> {
    if fs::metadata(path)?.len() > LARGEST {
        return Err(damaged("it is too large"));
    }
    let text = fs::read_to_string(path)?;
    let (head, lines) = text.split_once('\n').ok_or_else(|| damaged("it is cut off"))?;
    let head: Head = serde_json::from_str(head)?;
    if head.schema != SCHEMA {
        return Err(damaged("another version wrote it"));
    }
    if head.sha256 != hash(lines) {
        return Err(damaged("it is not what was written"));
    }
    lines.lines().map(|line| serde_json::from_str::<Line>(line)?.into_item()).collect()
}

/// Remembers these, newest first.
pub(super) fn save(path: &Path, items: &[Item]) -> io::Result<()> {
    let mut lines = String::new();
    for item in items.iter().take(MOST_ITEMS) {
        writeln!(lines, "{}", serde_json::to_string(&Line::of(item))?).map_err(io::Error::other)?;
    }
    let head = serde_json::to_string(&Head { schema: SCHEMA, sha256: hash(&lines) })?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // Not synced: after a power cut the hash tells.
    let new = path.with_extension("new");
    fs::write(&new, format!("{head}\n{lines}"))?;
    fs::rename(&new, path)
}

fn damaged(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("invariant: writing to a String cannot fail");
        text
    })
}

impl Line {
    fn of(item: &Item) -> Self {
        let ObjectInfo { key, size, modified, etag } = item.object.clone();
        Self { key, size, modified_ns: modified.unix_timestamp_nanos(), etag, beside: item.beside.clone() }
    }

    fn into_item(self) -> io::Result<Item> {
        let modified = OffsetDateTime::from_unix_timestamp_nanos(self.modified_ns).map_err(io::Error::other)?;
        let object = ObjectInfo { key: self.key, size: self.size, modified, etag: self.etag };
        Ok(Item { object, beside: self.beside })
    }
}

#[cfg(test)]
mod tests {
    use super::super::enrich::Reading;
    use super::super::objects::Version;
    use super::*;

    fn item(n: usize) -> Item {
        let object =
            |key: String| ObjectInfo { key, size: 5, modified: OffsetDateTime::UNIX_EPOCH, etag: n.to_string() };
        let version = Version::of(&object(format!("{n}.json")));
        let metadata = serde_json::json!({
            "schema": 1, "id": "ab".repeat(16), "room": "R\n\"", "room_id": "cd".repeat(16), "title": "T",
            "started_at": "2026-11-21T01:02:03Z", "sample_rate": 48000, "frames": 1, "gapless": true, "channels": [],
        });
        let beside = match n % 4 {
            0 => Beside::Nothing,
            1 => Beside::Unread { version, before: Some(Reading::Newer) },
            2 => Beside::Read { version, reading: Reading::Damaged },
            _ => Beside::Read { version, reading: Reading::parse(metadata.to_string().as_bytes()) },
        };
        Item { object: object(format!("{n}.wav")), beside }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/catalog.jsonl");
        assert_eq!(load(&path), []);
        let items: Vec<Item> = (0..20).map(item).collect();
        save(&path, &items).unwrap();
        assert_eq!(load(&path), items);
        save(&path, &items[..3]).unwrap();
        assert_eq!(load(&path), items[..3]);
    }

    #[test]
    fn a_damaged_file_or_one_of_another_version_is_an_empty_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.jsonl");
        let items: Vec<Item> = (0..20).map(item).collect();
        save(&path, &items).unwrap();
        let good = fs::read(&path).unwrap();
        for (what, bytes) in [
            ("cut off", good[..good.len() - 100].to_vec()),
            ("cut off in its first line", good[..20].to_vec()),
            ("emptied", vec![]),
            ("another title", String::from_utf8(good.clone()).unwrap().replacen("\"T\"", "\"U\"", 1).into_bytes()),
            ("a newer version's", String::from_utf8(good.clone()).unwrap().replacen(":1,", ":2,", 1).into_bytes()),
            ("not text", vec![0xff; 100]),
        ] {
            assert_ne!(bytes, good, "{what}");
            fs::write(&path, bytes).unwrap();
            assert_eq!(load(&path), [], "{what}");
        }
    }

    #[test]
    fn the_oldest_are_forgotten_beyond_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.jsonl");
        let items: Vec<Item> = (0..MOST_ITEMS + 5).map(|n| item(n * 4)).collect();
        save(&path, &items).unwrap();
        let loaded = load(&path);
        assert_eq!((loaded.len(), loaded.last()), (MOST_ITEMS, Some(&items[MOST_ITEMS - 1])));
    }
}
