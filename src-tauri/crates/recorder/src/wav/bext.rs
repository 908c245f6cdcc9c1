//! The broadcast extension (EBU Tech 3285, version 1).

use time::OffsetDateTime;
use time::macros::format_description;

use super::Chunk;

/// Length of the fixed fields.
const FIXED_BYTES: usize = 602;

/// When a file begins, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origination {
    /// The instant of the first frame, UTC.
    pub started: OffsetDateTime,
    /// What the recording is called, or an empty text.
    pub title: String,
    /// Program and version that made it.
    pub software: String,
    /// Identifies the recording.
    pub reference: String,
}

impl Origination {
    /// Frames at 48 kHz since midnight, UTC: the same instant has the same number in every file of a session.
    #[must_use]
    pub fn time_reference(&self) -> u64 {
        let since = self.started - self.started.replace_time(time::Time::MIDNIGHT);
        let frames = since.whole_nanoseconds() * 48_000 / 1_000_000_000;
        u64::try_from(frames).unwrap_or(0)
    }
}

pub(super) fn bext(origination: &Origination, bits: u16, channels: usize) -> Chunk {
    let date = origination.started.format(format_description!("[year]-[month]-[day]"));
    let time = origination.started.format(format_description!("[hour]:[minute]:[second]"));
    let mut body = Vec::with_capacity(FIXED_BYTES + 64);
    let separator = if origination.title.is_empty() { "" } else { " " };
    field(&mut body, &format!("{}{separator}(times in UTC)", fitting(&origination.title, 240)), 256);
    field(&mut body, "Roomtone", 32);
    field(&mut body, &origination.reference, 32);
    field(&mut body, &date.expect("every date has these parts"), 10);
    field(&mut body, &time.expect("every time has these parts"), 8);
    body.extend_from_slice(&origination.time_reference().to_le_bytes());
    body.extend_from_slice(&1u16.to_le_bytes());
    body.resize(FIXED_BYTES, 0);
    let mode = match channels {
        1 => "mono",
        2 => "stereo",
        _ => "multi",
    };
    // Coding history; lines end with CR LF (EBU R 98).
    let history = format!("A=PCM,F=48000,W={bits},M={mode},T={}\r\n", fitting(&origination.software, 64));
    body.extend_from_slice(history.as_bytes());
    // Some readers forget that chunks are padded: in front of the samples every one is even by itself.
    body.resize(body.len().next_multiple_of(2), 0);
    Chunk { id: *b"bext", body }
}

/// Appends text in a field of fixed length, padded with zeros.
fn field(body: &mut Vec<u8>, text: &str, length: usize) {
    let end = body.len() + length;
    body.extend_from_slice(fitting(text, length).as_bytes());
    body.resize(end, 0);
}

/// The beginning of a text that fits, cut between characters.
fn fitting(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn origination(title: &str) -> Origination {
        Origination {
            started: datetime!(2026-11-21 13:00:00.5 UTC),
            title: title.to_owned(),
            software: "roomtone 0.1.0".to_owned(),
            reference: "ab".repeat(16),
        }
    }

    #[test]
    fn fields_stand_where_readers_look() {
        let chunk = bext(&origination("Evening"), 24, 4);
        let body = &chunk.body;
        assert!(body.starts_with(b"Evening (times in UTC)\0"));
        assert_eq!(&body[256..264], b"Roomtone");
        assert_eq!(&body[288..320], "ab".repeat(16).as_bytes());
        assert_eq!(&body[320..338], b"2026-11-2113:00:00");
        let reference = u64::from_le_bytes(body[338..346].try_into().unwrap());
        assert_eq!(reference, 13 * 3_600 * 48_000 + 24_000);
        assert_eq!(body[346..348], [1, 0]);
        assert!(body[FIXED_BYTES..].starts_with(b"A=PCM,F=48000,W=24,M=multi"));
        for channels in 1..4 {
            assert!(bext(&origination("Evening"), 24, channels).body.len().is_multiple_of(2));
        }
    }

    #[test]
    fn a_long_title_is_cut_between_characters() {
        let chunk = bext(&origination(&"ä".repeat(500)), 24, 4);
        assert!(std::str::from_utf8(&chunk.body[..256]).is_ok());
        assert!(chunk.body.len() < 4_096 / 2);
    }
}
