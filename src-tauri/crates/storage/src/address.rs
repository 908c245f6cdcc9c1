//! Keys as they stand in addresses.

/// As in the path of an address: everything but unreserved characters (RFC 3986, 2.3) and the slashes between names.
pub(crate) fn percent_encode(key: &str) -> String {
    use std::fmt::Write as _;
    key.bytes().fold(String::with_capacity(key.len()), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => encoded.push(byte.into()),
            _ => write!(encoded, "%{byte:02X}").expect("invariant: writing to a String cannot fail"),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_but_for_their_slashes() {
        assert_eq!(percent_encode("a b/ü?&#%.wav"), "a%20b/%C3%BC%3F%26%23%25.wav");
    }
}
