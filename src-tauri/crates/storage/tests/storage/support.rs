//! What every test here needs: takes, metadata, waiting with a bound.

use std::path::{Path, PathBuf};
use std::time::Duration;

use roomtone_protocol::catalog::Reach;
use roomtone_protocol::metadata::{Metadata, Parts, SCHEMA};
use roomtone_protocol::{FileLinkKey, RecordingId, RoomId};
use roomtone_storage::{FileLinks, FileUpload, Job, PutMode};
use time::OffsetDateTime;

/// No condition takes longer, however busy the machine is.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Waits for something that must come.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, future).await.unwrap_or_else(|_| panic!("{what} did not happen within {BOUND:?}"))
}

/// Asks again and again until there is an answer.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        loop {
            pause.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    soon(what, asking).await
}

pub(crate) fn recording(n: u8) -> RecordingId {
    RecordingId::from_bytes([n; 16])
}

pub(crate) fn room(n: u8) -> RoomId {
    RoomId::from_bytes([n; 16])
}

pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(roomtone_clock::wall_ns().into()).unwrap()
}

pub(crate) fn links() -> FileLinks {
    FileLinks {
        base_url: "http://127.0.0.1:7880".into(),
        key: FileLinkKey::from_bytes([9; 32]),
        reach: Reach::Everyone,
    }
}

/// A file of `size` bytes that do not repeat, the same for the same seed.
pub(crate) fn take(folder: &Path, name: &str, seed: u64, size: usize) -> PathBuf {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut content = Vec::with_capacity(size + 8);
    while content.len() < size {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.truncate(size);
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

pub(crate) fn metadata(id: RecordingId, room_name: &str, room_id: RoomId) -> Metadata {
    Metadata {
        schema: SCHEMA,
        id,
        room: room_name.into(),
        room_id,
        title: None,
        notes: None,
        started_at: "2026-11-21T01:02:03Z".into(),
        ended_at: "2026-11-21T01:02:04Z".into(),
        sample_rate: 48_000,
        bit_depth: 24,
        frames: 48_000,
        size: 0,
        sha256: None,
        parts: Parts { size: 8 << 20, sha256: Vec::new() },
        software: "roomtone test".into(),
        gapless: true,
        channels: Vec::new(),
        unrecorded: Vec::new(),
        markers: Vec::new(),
        clock_seams: vec![],
    }
}

/// The first version of a take.
pub(crate) fn first<'a>(key: &'a str, path: &'a Path, n: u8) -> FileUpload<'a> {
    FileUpload { key, path, recording: recording(n), sha256: None, mode: PutMode::CreateNew, unchanged: &[] }
}

pub(crate) fn job(n: u8, take: &Path) -> Job {
    Job { recording: recording(n), take: take.to_owned(), metadata: metadata(recording(n), "Band", room(1)) }
}
