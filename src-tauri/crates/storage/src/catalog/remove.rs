//! Takes recordings out of the bucket, with all that lies beside them.

use roomtone_protocol::catalog::MetadataState;

use super::{Catalog, Listed};
use crate::BucketError;
use crate::key::{companion_keys, is_recording_key};

/// An audio object and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The audio object.
    pub listed: Listed,
    /// Keys of the objects beside it that are there, in the order in which they go; the audio goes last.
    pub beside: Vec<String>,
}

impl Removal {
    /// Every object that goes.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.beside.iter().map(String::as_str).chain([self.listed.entry.key.as_str()])
    }
}

impl Catalog {
    /// What belongs to a recording, given by id or key: its metadata, picture and mix, as far as they are there. A plain
    /// file has nothing beside it.
    ///
    /// # Errors
    /// [`BucketError::NotFound`] for what is not in the list, [`BucketError::NewerVersion`] for a recording of a newer
    /// version, which may have more, and whatever the bucket says.
    pub async fn removal(&self, id_or_key: &str) -> Result<Removal, BucketError> {
        let listed = self.find_or_refresh(id_or_key).await?;
        let audio = &listed.entry.key;
        let mut beside = Vec::new();
        match listed.entry.metadata {
            MetadataState::Newer => return Err(BucketError::NewerVersion(format!("the recording {audio:?}"))),
            MetadataState::Unread | MetadataState::Good | MetadataState::Damaged if is_recording_key(audio) => {
                for key in companion_keys(audio) {
                    beside.extend(self.shared.bucket.head(&key).await?.map(|object| object.key));
                }
            }
            MetadataState::Missing | MetadataState::Unread | MetadataState::Good | MetadataState::Damaged => {}
        }
        Ok(Removal { listed, beside })
    }

    /// Removes a recording, given by id or key, with everything that belongs to it; what went.
    ///
    /// # Errors
    /// See [`Catalog::removal`]. [`BucketError::Locked`] where the store holds an object back.
    pub async fn delete(&self, id_or_key: &str) -> Result<Removal, BucketError> {
        let removal = self.removal(id_or_key).await?;
        // The audio last: cut off in between, it is still in the list and can be deleted again.
        for key in removal.keys() {
            self.shared.bucket.delete(key).await?;
        }
        self.look(&removal.listed.entry.key).await?;
        Ok(removal)
    }
}
