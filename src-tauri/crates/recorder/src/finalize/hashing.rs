//! Hashes of a finished file.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use roomtone_protocol::metadata::Parts;
use sha2::{Digest as _, Sha256};

/// Bytes a part: the least that every store takes in a multipart upload, with room to spare.
pub(crate) const PART_BYTES: u64 = 8 << 20;

/// Bytes read at once: what is hashed twice stays in the second-level cache.
const READ_BYTES: usize = 128 << 10;

/// SHA-256 of a finished file, hexadecimal, and of its parts; None if it need not `go_on`. It reads the file once: the head
/// of a file is written last, so neither can be computed on the way. Costs about a tenth of what rendering it does.
///
/// # Errors
/// If the file cannot be read.
pub fn hash_take(path: &Path, go_on: impl Fn() -> bool) -> io::Result<Option<(String, Parts)>> {
    let mut file = File::open(path)?;
    let mut hash = TakeHash::default();
    let mut bytes = vec![0; READ_BYTES];
    loop {
        if !go_on() {
            return Ok(None);
        }
        match file.read(&mut bytes)? {
            0 => return Ok(Some(hash.finish())),
            read => hash.update(&bytes[..read]),
        }
    }
}

/// SHA-256 of the whole and of its parts, in one pass.
#[derive(Debug, Default)]
struct TakeHash {
    whole: Sha256,
    part: Sha256,
    in_part: u64,
    parts: Vec<String>,
}

impl TakeHash {
    /// Takes the next bytes of the file.
    fn update(&mut self, mut bytes: &[u8]) {
        self.whole.update(bytes);
        while !bytes.is_empty() {
            let left = usize::try_from(PART_BYTES - self.in_part).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(left.min(bytes.len()));
            self.part.update(now);
            self.in_part += now.len() as u64;
            if self.in_part == PART_BYTES {
                self.end_part();
            }
            bytes = later;
        }
    }

    /// Hash of the whole, and of the parts.
    fn finish(mut self) -> (String, Parts) {
        if self.in_part > 0 {
            self.end_part();
        }
        (hexadecimal(&self.whole.finalize()), Parts { size: PART_BYTES, sha256: self.parts })
    }

    fn end_part(&mut self) {
        self.parts.push(hexadecimal(&self.part.finalize_reset()));
        self.in_part = 0;
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing into a string does not fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_where_they_should_be() {
        let file = vec![7u8; PART_BYTES as usize * 2 + 3];
        let mut hash = TakeHash::default();
        for piece in file.chunks(1_000_003) {
            hash.update(piece);
        }
        let (whole, parts) = hash.finish();
        assert_eq!(whole, hexadecimal(&Sha256::digest(&file)));
        let expected: Vec<String> =
            file.chunks(PART_BYTES as usize).map(|part| hexadecimal(&Sha256::digest(part))).collect();
        assert_eq!((parts.size, parts.sha256), (PART_BYTES, expected));
    }

    #[test]
    fn hexadecimal_is_lower_case_and_padded() {
        assert_eq!(hexadecimal(&[0, 0xab, 9]), "00ab09");
    }
}
