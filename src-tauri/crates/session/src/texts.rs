//! Texts that people give, before everyone else reads them.

use roomtone_protocol::channel::MAX_NAME_CHARS;
use roomtone_protocol::{ErrorReport, code};

/// Longest title of a recording, in characters: one line in any list, and a room's state stays far below the
/// longest message.
pub const MAX_TITLE_CHARS: usize = 200;

/// Longest account of a failure that a state carries, in characters.
const MAX_FAILURE_CHARS: usize = 400;

/// A person's name as the room keeps it: trimmed, one line, at most [`MAX_NAME_CHARS`] long. An empty one is none.
///
/// # Errors
/// `bad_request` for a name that is too long or holds control characters.
pub fn clean_name(name: Option<&str>) -> Result<Option<String>, ErrorReport> {
    clean(name, "name", MAX_NAME_CHARS)
}

/// A recording's title as the room keeps it: trimmed, one line, at most [`MAX_TITLE_CHARS`] long. An empty one is none.
///
/// # Errors
/// `bad_request` for a title that is too long or holds control characters.
pub fn clean_title(title: Option<&str>) -> Result<Option<String>, ErrorReport> {
    clean(title, "title", MAX_TITLE_CHARS)
}

/// What went wrong and what to do, short enough for a state.
pub(crate) fn failure(reason: &str, hint: &str) -> String {
    let parts = [reason.trim(), hint.trim()].into_iter().filter(|part| !part.is_empty());
    let text = parts.collect::<Vec<_>>().join("; ");
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_FAILURE_CHARS).collect()
}

/// The bytes that a text takes in JSON, without its quotes. Control characters never get this far.
pub(crate) fn json_bytes(text: &str) -> usize {
    text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

fn clean(text: Option<&str>, what: &str, longest: usize) -> Result<Option<String>, ErrorReport> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.chars().any(steers_display) {
        return Err(ErrorReport::new(
            code::BAD_REQUEST,
            format!("a {what} cannot hold control characters or line breaks"),
            "leave them out",
        ));
    }
    if text.chars().count() > longest {
        return Err(ErrorReport::new(
            code::BAD_REQUEST,
            format!("a {what} has at most {longest} characters"),
            "choose a shorter one",
        ));
    }
    Ok(Some(text.to_owned()))
}

/// Control characters (Unicode's Cc), line separators, and the marks that turn the direction of the text around
/// (UAX #9), with which one name could pass for another. Joiners stay: emoji and several scripts need them.
fn steers_display(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_empty_ones_are_none() {
        assert_eq!(clean_name(Some("  Ann Lee\t")), Ok(Some("Ann Lee".to_owned())));
        assert_eq!(clean_name(Some("👩‍🚀 Zoë")), Ok(Some("👩‍🚀 Zoë".to_owned())));
        assert_eq!(clean_name(Some(" \n ")), Ok(None));
        assert_eq!(clean_name(None), Ok(None));
    }

    #[test]
    fn length_counts_characters_and_the_longest_is_allowed() {
        let longest = "é".repeat(MAX_NAME_CHARS);
        assert_eq!(clean_name(Some(&longest)), Ok(Some(longest.clone())));
        assert_eq!(clean_name(Some(&format!("{longest}é"))).map_err(|e| e.code), Err(code::BAD_REQUEST.to_owned()));
        assert!(clean_title(Some(&"t".repeat(MAX_TITLE_CHARS + 1))).is_err());
    }

    #[test]
    fn what_steers_the_display_is_refused() {
        for bad in ["a\nb", "a\u{7}b", "a\u{202e}b", "a\u{2028}b", "a\u{9b}b"] {
            assert_eq!(clean_name(Some(bad)).map_err(|e| e.code), Err(code::BAD_REQUEST.to_owned()), "{bad:?}");
        }
    }

    #[test]
    fn an_account_of_a_failure_is_short() {
        assert_eq!(failure("the disk is full ", "free some space"), "the disk is full; free some space");
        assert_eq!(failure("stuck", ""), "stuck");
        assert_eq!(failure(&"x".repeat(10_000), "y").chars().count(), MAX_FAILURE_CHARS);
    }
}
