//! Frames around records, and the reader that survives damage.

use crate::Record;

/// Version of the framing, in every record.
pub const VERSION: u8 = 1;

/// Magic, version, kind, length, CRC.
pub const HEADER_BYTES: usize = 12;

/// Longest payload: bounds what a damaged length can make a reader wait for.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;

const MAGIC: [u8; 2] = *b"RT";

/// Appends one record to `out`.
///
/// # Panics
/// If the payload is longer than [`MAX_PAYLOAD_BYTES`], which no caller can reach with bounded messages.
pub fn encode(record: &Record, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, record.kind()]);
    out.extend_from_slice(&[0; 8]);
    record.write_payload(out);
    let length = out.len() - start - HEADER_BYTES;
    assert!(length <= MAX_PAYLOAD_BYTES, "a record of {length} bytes");
    let length = u32::try_from(length).expect("bounded by MAX_PAYLOAD_BYTES");
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    let crc = checksum(&out[start..]);
    out[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
}

/// Of a whole record: everything but the magic and the checksum's own place.
fn checksum(record: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&record[2..8]);
    crc.update(&record[HEADER_BYTES..]);
    crc.finalize()
}

/// What a scan finds, in order. Offsets count from the first byte that the scanner was given.
#[derive(Debug, Clone, PartialEq)]
pub enum Scanned {
    /// A record that checks out.
    Record {
        /// Where its magic stands.
        offset: u64,
        /// Bytes including the header.
        bytes: u32,
        /// The record.
        record: Record,
    },
    /// A record that checks out and that this version cannot read: a later kind, version or content.
    Unknown {
        /// Where its magic stands.
        offset: u64,
        /// Its kind.
        kind: u8,
    },
    /// Bytes that belong to no record.
    Damage {
        /// First byte.
        from: u64,
        /// One past the last byte.
        to: u64,
    },
}

/// Takes bytes in pieces of any size and gives records back. Holds at most one record's bytes beyond what it was given.
#[derive(Debug, Default)]
pub struct Scanner {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are done with.
    used: usize,
    /// Offset of `buffer[used]`.
    offset: u64,
    damage_from: Option<u64>,
}

impl Scanner {
    /// A scanner whose first byte has the offset `offset`.
    #[must_use]
    pub fn new(offset: u64) -> Self {
        Self { offset, ..Self::default() }
    }

    /// Gives it more bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.used);
        self.used = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// What comes next, or None until more bytes come.
    pub fn next_scanned(&mut self) -> Option<Scanned> {
        loop {
            let rest = &self.buffer[self.used..];
            match look(rest) {
                Look::More => return None,
                Look::Nothing { skip } => {
                    if skip == 0 {
                        return None;
                    }
                    self.damage_from.get_or_insert(self.offset);
                    self.advance(skip);
                }
                Look::Whole { bytes } => {
                    if let Some(from) = self.damage_from.take() {
                        return Some(Scanned::Damage { from, to: self.offset });
                    }
                    let offset = self.offset;
                    let (version, kind) = (rest[2], rest[3]);
                    let read =
                        if version == VERSION { Record::read(kind, &rest[HEADER_BYTES..bytes]) } else { Ok(None) };
                    self.advance(bytes);
                    return Some(match read {
                        Ok(Some(record)) => {
                            let bytes = u32::try_from(bytes).expect("bounded by MAX_PAYLOAD_BYTES");
                            Scanned::Record { offset, bytes, record }
                        }
                        Ok(None) | Err(_) => Scanned::Unknown { offset, kind },
                    });
                }
            }
        }
    }

    /// Where the first byte stands that belongs to no record yet: the tail from here may be cut once no more bytes come.
    #[must_use]
    pub fn tail(&self) -> u64 {
        self.damage_from.unwrap_or(self.offset)
    }

    /// After the last byte: looks for records behind a tail that only seemed to be unfinished, because a damaged length
    /// promised more bytes than there are.
    pub fn next_at_end(&mut self) -> Option<Scanned> {
        loop {
            if let Some(found) = self.next_scanned() {
                return Some(found);
            }
            if self.buffer.len() - self.used < HEADER_BYTES {
                return None;
            }
            self.damage_from.get_or_insert(self.offset);
            self.advance(1);
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.used += bytes;
        self.offset += bytes as u64;
    }
}

enum Look {
    /// A record may begin here; more bytes will tell.
    More,
    /// No record begins within the next `skip` bytes.
    Nothing { skip: usize },
    /// A record of this many bytes.
    Whole { bytes: usize },
}

fn look(rest: &[u8]) -> Look {
    let Some(start) = rest.windows(2).position(|pair| pair == MAGIC) else {
        let may_begin = usize::from(rest.last() == Some(&MAGIC[0]));
        return Look::Nothing { skip: rest.len() - may_begin };
    };
    if start > 0 {
        return Look::Nothing { skip: start };
    }
    if rest.len() < HEADER_BYTES {
        return Look::More;
    }
    let length = u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]) as usize;
    if length > MAX_PAYLOAD_BYTES {
        return Look::Nothing { skip: 1 };
    }
    let bytes = HEADER_BYTES + length;
    if rest.len() < bytes {
        return Look::More;
    }
    let crc = u32::from_le_bytes([rest[8], rest[9], rest[10], rest[11]]);
    if checksum(&rest[..bytes]) == crc { Look::Whole { bytes } } else { Look::Nothing { skip: 1 } }
}
