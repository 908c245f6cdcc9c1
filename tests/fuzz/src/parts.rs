//! Several texts in one: each with its length in front of it, as two bytes, little endian.

/// Takes bytes apart. A length that is too long means all that is left.
pub fn split(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (part, rest) = rest.split_at(length);
        bytes = rest;
        Some(part)
    })
}

/// Puts parts together.
///
/// # Panics
/// If a part is longer than 65,535 bytes.
#[must_use]
pub fn join<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        let length = u16::try_from(part.len()).expect("parts of a corpus are small");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_and_anything_has_some() {
        let parts = [&b"one"[..], b"", b"three"];
        assert!(split(&join(parts)).eq(parts));
        assert!(split(b"\xff\xffall").eq([&b"all"[..]]));
        assert_eq!(split(b"\x01").count(), 0);
    }
}
