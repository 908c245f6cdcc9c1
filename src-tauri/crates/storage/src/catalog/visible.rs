//! Who sees what: the host everything, the others what belongs to their room.

use roomtone_protocol::RoomId;
use roomtone_protocol::catalog::MetadataState;

use super::Listed;
use crate::slug;

/// The folder of the default key template; it says nothing about a room, also not about one of this name.
const COMMON_FOLDER: &str = "recordings/";

/// Whose eyes see the list.
#[derive(Debug, Clone)]
pub struct Viewer {
    host: bool,
    room: RoomId,
    slug: String,
    literal: String,
}

impl Viewer {
    /// The host sees everything, others what belongs to their room.
    #[must_use]
    pub fn new(host: bool, room: RoomId, room_name: &str) -> Self {
        Self { host, room, slug: slug(room_name), literal: room_name.trim().to_lowercase() }
    }

    /// Whether an object is theirs to see. To a room belongs what its metadata says; where none is known, what has a name
    /// in its key (below the prefix) that begins with the room's name or its slug.
    #[must_use]
    pub fn sees(&self, listed: &Listed) -> bool {
        self.host
            || match listed.room_id {
                Some(owner) => owner == self.room,
                // Another room may have the same name: what the metadata says is waited for.
                None if listed.entry.metadata == MetadataState::Unread => false,
                None => begins_with_room(&listed.name, &self.slug) || begins_with_room(&listed.name, &self.literal),
            }
    }
}

fn begins_with_room(name: &str, room: &str) -> bool {
    let name = name.to_lowercase();
    let name = name.strip_prefix(COMMON_FOLDER).unwrap_or(&name);
    !room.is_empty()
        && name.split('/').any(|segment| {
            segment.strip_prefix(room).is_some_and(|rest| {
                let word_ends = !rest.starts_with(char::is_alphanumeric);
                // In a name of our own making, `band-2_20261121_010203`, the room is all that stands before the time.
                let longer_slug = rest.starts_with('-') && holds_timestamp(rest);
                word_ends && !longer_slug
            })
        })
}

/// Whether `_YYYYMMDD_HHMMSS` stands somewhere in it.
fn holds_timestamp(text: &str) -> bool {
    let is_timestamp = |window: &[u8]| {
        window
            .iter()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 0 | 9) { *byte == b'_' } else { byte.is_ascii_digit() })
    };
    text.as_bytes().windows("_YYYYMMDD_HHMMSS".len()).any(is_timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_the_room_whose_name_it_begins_with() {
        for name in [
            "recordings/band_20261121_010203.wav",
            "recordings/band_20261121_010203_abababab.wav",
            "recordings/band-foreign.wav",
            "recordings/Band mix.wav",
            "recordings/band.wav",
            "band/2026/x.wav",
            "band_x.wav",
            "2026/band/x.wav",
        ] {
            assert!(begins_with_room(name, "band"), "{name}");
        }
        for name in [
            "recordings/band-2_20261121_010203.wav",
            "recordings/bandit_20261121_010203.wav",
            "recordings/the-band.wav",
            "recordings/other.wav",
        ] {
            assert!(!begins_with_room(name, "band"), "{name}");
        }
        assert!(begins_with_room("recordings/band-2_20261121_010203.wav", "band-2"));
        assert!(!begins_with_room("recordings/other.wav", "recordings"));
        assert!(!begins_with_room("recordings/other.wav", ""));
    }
}
