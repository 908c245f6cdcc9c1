//! A recording's metadata as it is in the bucket, piece by piece: a day with many gaps fits into no message.

use std::sync::Arc;

use roomtone_protocol::ErrorReport;
use roomtone_protocol::catalog::{CatalogEntry, EntryState, MetadataState};
use roomtone_protocol::channel::MetadataPiece;
use serde_json::Value;

use super::{Shelf, lock};

/// Bytes of JSON in a piece. In a message every quote of it takes two: that is still below what a message may hold.
const PIECE: usize = 24 * 1024;

/// The metadata that was read last, so that its pieces do not have to be fetched one by one.
#[derive(Clone)]
pub(super) struct LastShown {
    key: String,
    version: String,
    /// Without any room between its values.
    text: Arc<str>,
}

impl Shelf {
    /// The piece that begins at `from`. None where there is no metadata that can be understood.
    pub(super) async fn metadata(&self, entry: &CatalogEntry, from: u64) -> Result<Option<MetadataPiece>, ErrorReport> {
        let newer = entry.metadata == MetadataState::Newer;
        if newer || entry.state == EntryState::Uploading {
            return Ok(None);
        }
        let last = lock(&self.shown).clone().filter(|last| from > 0 && last.key == entry.key);
        let shown = match last {
            Some(last) => Some(last),
            None => self.fetch(&entry.key).await?,
        };
        Ok(shown.map(|shown| shown.piece(usize::try_from(from).unwrap_or(usize::MAX))))
    }

    async fn fetch(&self, key: &str) -> Result<Option<LastShown>, ErrorReport> {
        let Some((content, version)) = self.catalog.metadata(key).await.map_err(ErrorReport::from)? else {
            return Ok(None);
        };
        let Ok(Value::Object(metadata)) = serde_json::from_slice(&content) else { return Ok(None) };
        let text = Value::Object(metadata).to_string().into();
        let shown = LastShown { key: key.to_owned(), version, text };
        *lock(&self.shown) = Some(shown.clone());
        Ok(Some(shown))
    }
}

impl LastShown {
    fn piece(&self, from: usize) -> MetadataPiece {
        let from = self.text.floor_char_boundary(from);
        let to = self.text.floor_char_boundary(from.saturating_add(PIECE));
        let next = (to < self.text.len()).then(|| u64::try_from(to).ok()).flatten();
        MetadataPiece { text: self.text[from..to].to_owned(), version: self.version.clone(), next }
    }
}

#[cfg(test)]
mod tests {
    use roomtone_protocol::channel::MAX_MESSAGE_BYTES;

    use super::*;

    #[test]
    fn pieces_put_together_are_the_metadata_and_each_fits_into_a_message() {
        // Nothing but quotes and letters of more than one byte.
        let metadata = Value::from(vec!["\"ü"; 20_000]).to_string();
        let shown = LastShown { key: String::new(), version: "1".into(), text: metadata.clone().into() };
        let (mut text, mut from) = (String::new(), Some(0));
        while let Some(at) = from {
            let piece = shown.piece(usize::try_from(at).unwrap());
            text.push_str(&piece.text);
            from = piece.next;
            // An entry and what stands around takes at most 6 kB beside it.
            let bytes = serde_json::to_string(&piece).unwrap().len();
            assert!(bytes + 6_000 < MAX_MESSAGE_BYTES, "{bytes}");
        }
        assert_eq!(text, metadata);
        assert!(shown.piece(usize::MAX).text.is_empty());
    }
}
