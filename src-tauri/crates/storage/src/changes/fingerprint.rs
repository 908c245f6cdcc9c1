//! Two listings are compared by what identifies them: a list of thousands of objects need not be kept for that.

use sha2::{Digest as _, Sha256};

use crate::ObjectInfo;
use crate::prefix::is_reserved;

/// Equal ones are of listings with the same objects with the same content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a listing in the order of keys. Roomtone's own objects are nobody's recordings and do not count.
    pub(super) fn of(listing: &[ObjectInfo]) -> Self {
        let mut hash = Sha256::new();
        for object in listing.iter().filter(|object| !is_reserved(&object.key)) {
            for field in [object.key.as_bytes(), object.etag.as_bytes()] {
                hash.update((field.len() as u64).to_le_bytes());
                hash.update(field);
            }
            hash.update(object.size.to_le_bytes());
            hash.update(object.modified.unix_timestamp_nanos().to_le_bytes());
        }
        Self(hash.finalize().into())
    }
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
        let base = Fingerprint::of(&[object("a", "1"), object("b", "2")]);
        assert_eq!(base, Fingerprint::of(&[object("a", "1"), object("b", "2")]));
        assert_ne!(base, Fingerprint::of(&[object("a", "1")]));
        assert_ne!(base, Fingerprint::of(&[object("a", "1"), object("b", "3")]));
        assert_ne!(base, Fingerprint::of(&[object("a", "1b"), object("", "2")]));
    }

    #[test]
    fn a_probe_in_the_reserved_folder_changes_nothing() {
        let base = Fingerprint::of(&[object("x/a.wav", "1")]);
        assert_eq!(base, Fingerprint::of(&[object("x/.roomtone/probe-1", "2"), object("x/a.wav", "1")]));
        assert_eq!(base, Fingerprint::of(&[object(".roomtone/probe-1", "2"), object("x/a.wav", "1")]));
    }
}
