//! Texts that people give, before everyone else reads them.

use roomtone_protocol::channel::MAX_NAME_CHARS;
use roomtone_protocol::{ErrorReport, code};

/// Longest title of a recording, in characters: one line in any list, and a room's state stays far below the
/// longest message.
pub const MAX_TITLE_CHARS: usize = 200;

/// Longest notes of a recording, in characters: a few paragraphs, and a room's state stays below the longest message.
pub const MAX_NOTES_CHARS: usize = 1_000;

/// Longest text of a marker, in characters: one line beside a waveform.
pub const MAX_MARKER_CHARS: usize = 200;

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

/// A recording's notes as the room keeps them: trimmed, with plain line breaks, at most [`MAX_NOTES_CHARS`] long. Empty
/// ones are none.
///
/// # Errors
/// `bad_request` for notes that are too long or hold control characters other than line breaks.
pub fn clean_notes(notes: Option<&str>) -> Result<Option<String>, ErrorReport> {
    let notes = notes.map(|notes| notes.replace("\r\n", "\n").replace('\t', " "));
    clean_where(notes.as_deref(), "note", MAX_NOTES_CHARS, |c| c == '\n')
}

/// A marker's text as the room keeps it: trimmed, one line, at most [`MAX_MARKER_CHARS`] long.
///
/// # Errors
/// `bad_request` for a text that is empty, too long or holds control characters.
pub(crate) fn clean_marker(text: &str) -> Result<String, ErrorReport> {
    clean(Some(text), "marker", MAX_MARKER_CHARS)?
        .ok_or_else(|| ErrorReport::new(code::BAD_REQUEST, "a marker needs a text", "say what it marks"))
}

/// What went wrong and what to do, short enough for a state.
pub(crate) fn failure(reason: &str, hint: &str) -> String {
    let parts = [reason.trim(), hint.trim()].into_iter().filter(|part| !part.is_empty());
    let text = parts.collect::<Vec<_>>().join("; ");
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_FAILURE_CHARS).collect()
}

/// The bytes that a text takes in JSON, without its quotes. Control characters other than line breaks never get this far.
pub(crate) fn json_bytes(text: &str) -> usize {
    text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n')).count()
}

/// One line.
fn clean(text: Option<&str>, what: &str, longest: usize) -> Result<Option<String>, ErrorReport> {
    clean_where(text, what, longest, |_| false)
}

fn clean_where(
    text: Option<&str>,
    what: &str,
    longest: usize,
    allowed: impl Fn(char) -> bool,
) -> Result<Option<String>, ErrorReport> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.chars().any(|c| steers_display(c) && !allowed(c)) {
        let lines = if allowed('\n') { "" } else { " or line breaks" };
        return Err(ErrorReport::new(
            code::BAD_REQUEST,
            format!("a {what} cannot hold control characters{lines}"),
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
    fn notes_may_have_lines_and_nothing_else_that_steers_the_display() {
        assert_eq!(clean_notes(Some(" a\r\n\tb\n")), Ok(Some("a\n b".to_owned())));
        assert_eq!(clean_notes(Some("\n \r\n")), Ok(None));
        assert!(clean_notes(Some(&"é".repeat(MAX_NOTES_CHARS))).is_ok());
        for bad in ["a\u{7}b".to_owned(), "a\rb".to_owned(), "a\u{202e}b".to_owned(), "x".repeat(MAX_NOTES_CHARS + 1)] {
            assert_eq!(clean_notes(Some(&bad)).map_err(|e| e.code), Err(code::BAD_REQUEST.to_owned()), "{bad:?}");
        }
    }

    #[test]
    fn a_marker_says_something_in_one_line() {
        assert_eq!(clean_marker(" again "), Ok("again".to_owned()));
        for bad in ["".to_owned(), "a\nb".to_owned(), "x".repeat(MAX_MARKER_CHARS + 1)] {
            assert_eq!(clean_marker(&bad).map_err(|e| e.code), Err(code::BAD_REQUEST.to_owned()), "{bad:?}");
        }
    }

    #[test]
    fn an_account_of_a_failure_is_short() {
        assert_eq!(failure("the disk is full ", "free some space"), "the disk is full; free some space");
        assert_eq!(failure("stuck", ""), "stuck");
        assert_eq!(failure(&"x".repeat(10_000), "y").chars().count(), MAX_FAILURE_CHARS);
    }
}
