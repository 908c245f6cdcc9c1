//! Reads metadata objects: few at a time, and large ones alone.

use futures_util::stream::{self, StreamExt as _};

use super::enrich::Reading;
use super::objects::Version;
use crate::key::metadata_key;
use crate::{Bucket, BucketError};

/// The largest metadata JSON that is read. A day with thirty-two channels and a gap a minute has some 5 MB.
pub(super) const LARGEST_METADATA: u64 = 64 * 1024 * 1024;

/// Metadata objects read at the same time: a store far away answers in some 50 ms, so that ten thousand take half a minute.
const PARALLEL: usize = 16;

/// Bytes above which they are read one after the other, so that memory holds one of them.
const LARGE: u64 = 1024 * 1024;

/// What was read, and whether all of it could be.
pub(super) struct Readings {
    pub(super) read: Vec<(String, Version, Reading)>,
    pub(super) all: bool,
}

/// Reads the metadata of these audio objects.
pub(super) async fn read(bucket: &dyn Bucket, wanted: Vec<(String, Version)>) -> Readings {
    let mut readings = Readings { read: Vec::with_capacity(wanted.len()), all: true };
    let (large, small): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(_, version)| version.size > LARGE);
    for (wanted, parallel) in [(small, PARALLEL), (large, 1)] {
        let one = |(audio, version): (String, Version)| async move { (read_one(bucket, &audio).await, audio, version) };
        let mut answers = stream::iter(wanted).map(one).buffer_unordered(parallel);
        while let Some((answer, audio, version)) = answers.next().await {
            match answer {
                Some(reading) => readings.read.push((audio, version, reading)),
                None => readings.all = false,
            }
        }
    }
    readings
}

/// None: not just now.
async fn read_one(bucket: &dyn Bucket, audio: &str) -> Option<Reading> {
    match bucket.get(&metadata_key(audio), LARGEST_METADATA).await {
        Ok(content) => Some(Reading::parse(&content)),
        Err(BucketError::TooLarge { limit, .. }) => {
            tracing::warn!(limit, "the metadata of a recording is too large to be any");
            Some(Reading::Damaged)
        }
        Err(error) => {
            tracing::warn!(code = error.report().code, "the metadata of a recording could not be read");
            None
        }
    }
}
