//! What is handed to the publisher, and what it tells.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use roomtone_protocol::metadata::Metadata;
use roomtone_protocol::{ErrorReport, RecordingId};

use crate::{KeyTemplate, Prefix};

/// How takes are published.
#[derive(Debug, Clone)]
pub struct PublisherSettings {
    /// What every key begins with.
    pub prefix: Prefix,
    /// How recordings are named below the prefix.
    pub key_template: KeyTemplate,
    /// Jobs worked on at the same time.
    pub parallel: usize,
    /// Pause after the first failure; doubled after every further one.
    pub first_pause: Duration,
    /// The longest pause between attempts.
    pub longest_pause: Duration,
    /// How long newer versions of a published recording are gathered, from the first on, before the newest goes up.
    pub gather: Duration,
    /// Whether takes go up while they grow, where the bucket takes them.
    pub grow: bool,
    /// Bytes a second that may go up while something is recorded, of all takes together; none: of the one that grows four
    /// times what it grows by, and of others what the link carries.
    pub limit: Option<NonZero<u64>>,
    /// Whether the limit holds when nothing is recorded, too.
    pub limit_always: bool,
}

impl Default for PublisherSettings {
    fn default() -> Self {
        Self {
            prefix: Prefix::default(),
            key_template: KeyTemplate::default(),
            parallel: 2,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            // Who comes back brings what is missing within seconds, and seldom comes alone; a list that is a minute
            // late hurts nobody.
            gather: Duration::from_secs(60),
            grow: true,
            limit: None,
            limit_always: false,
        }
    }
}

/// A finished take.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The recording.
    pub recording: RecordingId,
    /// Its file on this computer, whole and synced. It must stay as it is, where it is, until it is published; a newer
    /// version is another file.
    pub take: PathBuf,
    /// What goes beside it.
    pub metadata: Metadata,
}

/// How an upload goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Going {
    /// Bytes confirmed.
    pub bytes: u64,
    /// Bytes of the take.
    pub total: u64,
    /// Bytes a second, of late; none before that was seen.
    pub rate: Option<u64>,
    /// How long the rest takes at that rate; none if nobody knows.
    pub left: Option<Duration>,
}

/// What happens to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishEvent {
    /// The store has confirmed so much of the audio. Some of these may be left out when they come fast.
    Progress {
        /// The recording.
        recording: RecordingId,
        /// How it goes.
        going: Going,
    },
    /// Audio and metadata are in the bucket, checked, as of the newest version that was handed in before the upload
    /// began. Told at least once for each: also when a job is handed in again.
    Published {
        /// The recording.
        recording: RecordingId,
        /// The audio object's key.
        key: String,
        /// Its size in bytes.
        size: u64,
        /// The file that it is a copy of, where that is known: earlier versions are no longer needed.
        take: Option<PathBuf>,
    },
    /// A newer version will not be published: the recording is not in the bucket any more, or something else is in its
    /// place. The take is kept.
    Abandoned {
        /// The recording.
        recording: RecordingId,
        /// What was found and what a person could do.
        error: ErrorReport,
    },
    /// Nothing of the recording is in the bucket, and nothing will be. Told at least once: also when it is discarded
    /// or handed in again.
    Discarded {
        /// The recording.
        recording: RecordingId,
    },
    /// It did not work; it is tried again by itself.
    Retrying {
        /// The recording.
        recording: RecordingId,
        /// What went wrong and what a person could do.
        error: ErrorReport,
        /// How long until the next attempt.
        after: Duration,
    },
}
