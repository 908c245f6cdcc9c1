//! A recording of eight channels, as an earlier start of a host left it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use roomtone_tests::Chance;
use serde_json::{Value, json};

/// Bytes that a second of eight channels takes, with samples of 24 bits.
pub(crate) const SECOND: u64 = 48_000 * 3 * 8;

/// Bytes that are drawn at once.
const PIECE: usize = 1 << 20;

/// How the bytes of a file come to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Drawn: nothing can be saved on them.
    Drawn,
    /// Zeros that take no room on this disk.
    Sparse,
}

/// A file of so many bytes.
pub(crate) fn write(path: &Path, bytes: u64, content: Content) {
    let mut file = File::create(path).unwrap();
    if content == Content::Drawn {
        let (mut chance, mut left) = (Chance::new(bytes), bytes);
        while left > 0 {
            let piece: Vec<u8> = (0..PIECE / 8).flat_map(|_| chance.number().to_le_bytes()).collect();
            let piece = &piece[..piece.len().min(usize::try_from(left).unwrap())];
            file.write_all(piece).unwrap();
            left -= piece.len() as u64;
        }
    }
    file.set_len(bytes).unwrap();
    file.sync_all().unwrap();
}

/// What stands beside it.
pub(crate) fn metadata(recording: &str, bytes: u64) -> Value {
    json!({
        "schema": 1, "id": recording, "room": "Bench", "room_id": "ab".repeat(16), "title": null, "notes": null,
        "started_at": "2026-11-21T01:02:03Z", "ended_at": "2026-11-21T02:02:03Z", "sample_rate": 48_000,
        "bit_depth": 24, "frames": bytes / SECOND * 48_000, "size": bytes, "sha256": null,
        "parts": {"size": 8_388_608, "sha256": []}, "software": "roomtone bench", "gapless": true, "channels": [],
        "unrecorded": [], "markers": [],
    })
}

/// Puts a recording where a host with this data folder finds it, whole and not handed in; its file.
pub(crate) fn leave(data_dir: &Path, bytes: u64, content: Content) -> PathBuf {
    let recording = "cd".repeat(16);
    let folder = data_dir.join("recordings").join(&recording);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("take.wav");
    write(&path, bytes, content);
    fs::write(folder.join("take.json"), metadata(&recording, bytes).to_string()).unwrap();
    path
}
