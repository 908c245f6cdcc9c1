//! The head of every journal file.
//!
//! ```text
//! "RTJOURNL" | schema u32 | length u32 | crc32 u32 | JSON of that length
//! ```
//!
//! little endian. It stands outside the record framing so that a reader learns the schema before it trusts anything else.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::JournalError;

/// Version of the journal's layout. Readers refuse higher ones and leave the files as they are.
pub const JOURNAL_SCHEMA: u32 = 1;

const MAGIC: [u8; 8] = *b"RTJOURNL";
pub(super) const PREFIX_BYTES: usize = MAGIC.len() + 4 + 4 + 4;

/// Longest header, in bytes: a room's name and title with everything escaped stay far below.
const MAX_JSON_BYTES: usize = 64 * 1024;

/// A header of this much is read at once.
pub(super) const MAX_HEADER_BYTES: usize = PREFIX_BYTES + MAX_JSON_BYTES;

pub(super) fn encode<H: Serialize>(header: &H) -> Vec<u8> {
    let json = serde_json::to_vec(header).expect("plain structs always serialise into memory");
    let length = u32::try_from(json.len()).expect("headers are short");
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + json.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&JOURNAL_SCHEMA.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&json).to_le_bytes());
    bytes.extend_from_slice(&json);
    bytes
}

/// The header at the beginning of `bytes` and its length, or None if it is torn or damaged.
///
/// # Errors
/// [`JournalError::Newer`] if a later version wrote the file.
pub(super) fn decode<H: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<Option<(H, u64)>, JournalError> {
    check_schema(path, bytes)?;
    let Some((prefix, rest)) = bytes.split_at_checked(PREFIX_BYTES) else { return Ok(None) };
    if prefix[..MAGIC.len()] != MAGIC {
        return Ok(None);
    }
    let number = |at: usize| u32::from_le_bytes([prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]]);
    let length = number(12) as usize;
    let Some(json) = rest.get(..length) else { return Ok(None) };
    if crc32fast::hash(json) != number(16) {
        return Ok(None);
    }
    Ok(serde_json::from_slice(json).ok().map(|header| (header, (PREFIX_BYTES + length) as u64)))
}

/// Refuses what a later version wrote; `bytes` are the file's first ones. A prefix that is torn or damaged says nothing.
pub(super) fn check_schema(path: &Path, bytes: &[u8]) -> Result<(), JournalError> {
    let Some(schema) = bytes.get(..PREFIX_BYTES).and_then(|prefix| prefix.strip_prefix(&MAGIC)?.first_chunk::<4>())
    else {
        return Ok(());
    };
    match u32::from_le_bytes(*schema) {
        found if found > JOURNAL_SCHEMA => Err(JournalError::Newer { path: path.to_owned(), found }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_or_is_torn() {
        let bytes = encode(&"studio");
        let path = Path::new("x.rtj");
        for cut in 0..bytes.len() {
            assert!(decode::<String>(path, &bytes[..cut]).unwrap().is_none(), "{cut} bytes");
        }
        let (header, length) = decode::<String>(path, &bytes).unwrap().unwrap();
        assert_eq!((header.as_str(), length), ("studio", bytes.len() as u64));
    }

    #[test]
    fn a_later_schema_is_refused() {
        let mut bytes = encode(&"studio");
        bytes[8] = 2;
        assert!(matches!(decode::<String>(Path::new("x.rtj"), &bytes), Err(JournalError::Newer { found: 2, .. })));
    }
}
