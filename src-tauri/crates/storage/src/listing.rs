//! Notices changes by comparing listings: the source of notifications for stores without one, and the backstop of
//! those that have one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use sha2::{Digest as _, Sha256};

use crate::{Bucket, ObjectInfo};

type Fingerprint = [u8; 32];

/// Two listings with equal fingerprints hold the same objects with the same content.
fn fingerprint(listing: &[ObjectInfo]) -> Fingerprint {
    let mut hash = Sha256::new();
    for object in listing {
        for field in [object.key.as_bytes(), object.etag.as_bytes()] {
            hash.update((field.len() as u64).to_le_bytes());
            hash.update(field);
        }
        hash.update(object.size.to_le_bytes());
        hash.update(object.modified.unix_timestamp_nanos().to_le_bytes());
    }
    hash.finalize().into()
}

/// What is known of the bucket.
enum Seen {
    Nothing,
    Listing(Fingerprint),
}

/// An item once the first listing has been seen, and one whenever a listing differs from the one before. A bucket that
/// does not answer is asked again; what changed meanwhile shows in the first listing after.
pub(crate) fn compare<B: Bucket + ?Sized>(bucket: Arc<B>, prefix: String, every: Duration) -> BoxStream<'static, ()> {
    let mut timer = tokio::time::interval(every);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    stream::unfold((bucket, prefix, timer, Seen::Nothing), |(bucket, prefix, mut timer, seen)| async move {
        loop {
            timer.tick().await;
            match bucket.list(&prefix).await {
                Ok(listing) => {
                    let now = fingerprint(&listing);
                    if !matches!(seen, Seen::Listing(before) if before == now) {
                        return Some(((), (bucket, prefix, timer, Seen::Listing(now))));
                    }
                }
                Err(error) => tracing::debug!(%error, "the bucket could not be listed"),
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::OffsetDateTime;

    fn object(key: &str, etag: &str) -> ObjectInfo {
        ObjectInfo { key: key.into(), size: 1, modified: OffsetDateTime::UNIX_EPOCH, etag: etag.into() }
    }

    #[test]
    fn a_fingerprint_sees_new_gone_and_rewritten_objects() {
        let base = fingerprint(&[object("a", "1"), object("b", "2")]);
        assert_eq!(base, fingerprint(&[object("a", "1"), object("b", "2")]));
        assert_ne!(base, fingerprint(&[object("a", "1")]));
        assert_ne!(base, fingerprint(&[object("a", "1"), object("b", "3")]));
        assert_ne!(base, fingerprint(&[object("a", "1b"), object("", "2")]));
    }
}
