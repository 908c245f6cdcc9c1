//! What takes that grow have in common: the count of their bytes, and who sends them on their way while they grow.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use roomtone_protocol::SAMPLE_RATE;
use roomtone_recorder::{FileWatch, JournalSnapshot};
use roomtone_storage::{GrowingTake, Growth, Publisher};
use tokio::sync::mpsc::UnboundedSender;

/// Where takes grow. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::host) struct Ground {
    pub(in crate::host) bytes: GrownBytes,
    /// Takes may go up while they grow.
    pub(in crate::host) publisher: Option<Arc<Publisher>>,
}

impl Ground {
    /// Who is to be told what happens to the file of a take: None if nobody sends it before it is whole.
    pub(super) fn watch(&self, snapshot: &JournalSnapshot) -> Option<Box<dyn FileWatch>> {
        let header = snapshot.header();
        let started_at = snapshot.started_at()?;
        let take = GrowingTake { recording: header.recording, room: header.room.clone(), started_at };
        let growth = self.publisher.as_ref()?.grow(take)?;
        Some(Box::new(Sent { growth }))
    }
}

/// A take that is sent while it grows.
#[derive(Debug)]
struct Sent {
    growth: UnboundedSender<Growth>,
}

impl Sent {
    fn tell(&self, growth: Growth) {
        // Whoever sends it may have ended: the recording is discarded, or the rest goes up when it is whole.
        drop(self.growth.send(growth));
    }
}

impl FileWatch for Sent {
    fn begun(&mut self, path: &Path, channels: usize, frame_bytes: u64) {
        let bytes_per_s = frame_bytes * u64::from(SAMPLE_RATE);
        self.tell(Growth::Begun { path: path.to_owned(), channels, bytes_per_s });
    }

    fn settled(&mut self, bytes: u64) {
        self.tell(Growth::Settled { bytes });
    }

    fn rewritten(&mut self, bytes: Range<u64>) {
        self.tell(Growth::Rewritten { bytes });
    }

    fn whole(&mut self, path: &Path, bytes: u64) {
        self.tell(Growth::Whole { path: path.to_owned(), bytes });
    }
}

/// Bytes of all takes that grow. The rules count a recording's file as still to be written; so much of it is already.
#[derive(Debug, Clone, Default)]
pub(in crate::host) struct GrownBytes(Arc<AtomicU64>);

/// One take's part of them, until its file is whole.
#[derive(Debug)]
pub(super) struct Share {
    of: GrownBytes,
    bytes: u64,
}

impl GrownBytes {
    pub(in crate::host) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The part of another take.
    pub(super) fn share(&self) -> Share {
        Share { of: self.clone(), bytes: 0 }
    }
}

impl Share {
    pub(super) fn set(&mut self, bytes: u64) {
        // In one step, or somebody would see both; it wraps like the difference.
        self.of.0.fetch_add(bytes.wrapping_sub(self.bytes), Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}
