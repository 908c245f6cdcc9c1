//! Under which name a file is saved by whoever opens a link to it.

use std::fmt::Write as _;

/// The value of `Content-Disposition` (RFC 6266) for the object of a key: its name without the folders. ASCII, whatever the
/// name holds: programs that know `filename*` (RFC 8187) take that form, the others one with `_` for every other letter.
#[must_use]
pub fn attachment(key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or(key);
    let ascii: String = name.chars().map(|c| if is_plain_ascii(c) { c } else { '_' }).collect();
    let mut value = format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''");
    for byte in name.bytes() {
        if is_attribute_char(byte) {
            value.push(byte.into());
        } else {
            write!(value, "%{byte:02X}").expect("invariant: writing to a String cannot fail");
        }
    }
    value
}

/// What a quoted string may hold without a second thought.
fn is_plain_ascii(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' '
}

/// What a value of RFC 8187 may hold as it is.
fn is_attribute_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#' | b'$' | b'&' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_of_any_alphabet_come_through_as_text() {
        assert_eq!(
            attachment("recordings/Größe \"x\"\r\n.wav"),
            "attachment; filename=\"Gr__e _x___.wav\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%22x%22%0D%0A.wav"
        );
    }
}
