//! When a recording began, as far as its key tells: the list has times before any metadata is read.

use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use super::template::{KeyTemplate, Piece, Token};

/// Which fields of a time a name has told so far.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    year: Option<u16>,
    month: Option<u8>,
    day: Option<u8>,
    hour: Option<u8>,
    minute: Option<u8>,
    second: Option<u8>,
}

impl Told {
    /// The time, once there is a day; what is left open counts from its beginning.
    fn time(self) -> Option<OffsetDateTime> {
        let month = Month::try_from(self.month?).ok()?;
        let date = Date::from_calendar_date(i32::from(self.year?), month, self.day?).ok()?;
        let time = Time::from_hms(self.hour.unwrap_or(0), self.minute.unwrap_or(0), self.second.unwrap_or(0)).ok()?;
        Some(date.with_time(time).assume_offset(UtcOffset::UTC))
    }
}

impl KeyTemplate {
    /// The start of the recording that has this name below the prefix. Where the name is not of this template, or the
    /// template says nothing about the day, a `YYYYMMDD_HHMMSS` anywhere in the name is taken.
    #[must_use]
    pub fn started_at(&self, name: &str) -> Option<OffsetDateTime> {
        let told = read(self.pieces(), name, Told::default(), None);
        told.and_then(Told::time).or_else(|| timestamp_in(name))
    }
}

/// Takes pieces off the front of `rest` until none is left. A room's slug is as long as the rest allows; where it stands
/// twice, it is the same.
fn read(pieces: &[Piece], rest: &str, told: Told, room: Option<&str>) -> Option<Told> {
    let Some((piece, after)) = pieces.split_first() else { return rest.is_empty().then_some(told) };
    match piece {
        Piece::Literal(text) => match rest.strip_prefix(text.as_str()) {
            Some(rest) => read(after, rest, told, room),
            // The last one holds the ending, before which a collision appends.
            None if after.is_empty() => ends_after_a_collision(rest, text).then_some(told),
            None => None,
        },
        Piece::Token(Token::Room) => {
            if let Some(room) = room {
                return read(after, rest.strip_prefix(room)?, told, Some(room));
            }
            let longest = rest.find(['_', '.', '/']).unwrap_or(rest.len());
            let ends = rest[..longest].char_indices().map(|(at, c)| at + c.len_utf8());
            ends.rev().find_map(|end| read(after, &rest[end..], told, Some(&rest[..end])))
        }
        Piece::Token(token) => {
            let (text, rest) = rest.split_at_checked(width(*token)?)?;
            read(after, rest, tell(*token, text, told)?, room)
        }
    }
}

/// Whether `rest` is `text` with `_{id8}` or `_{id}` before the ending.
fn ends_after_a_collision(rest: &str, text: &str) -> bool {
    let Some((stem, ending)) = text.rsplit_once('.') else { return false };
    let appended = rest.strip_prefix(stem).and_then(|rest| rest.strip_suffix(ending)?.strip_suffix('.'));
    let id = appended.and_then(|appended| appended.strip_prefix('_'));
    id.is_some_and(|id| matches!(id.len(), 8 | 32) && is_hexadecimal(id))
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Bytes that a token takes in a name; None where that depends on what it is filled with.
const fn width(token: Token) -> Option<usize> {
    match token {
        Token::Room => None,
        Token::Year => Some(4),
        Token::Month | Token::Day | Token::Hour | Token::Minute | Token::Second => Some(2),
        Token::Timestamp => Some(TIMESTAMP),
        Token::Id => Some(32),
        Token::Id8 => Some(8),
    }
}

/// What was told before, and what a text of the token's width adds. None if it is no such text.
fn tell(token: Token, text: &str, told: Told) -> Option<Told> {
    let small = || digits(text).and_then(|number| u8::try_from(number).ok());
    Some(match token {
        Token::Year => Told { year: Some(digits(text)?), ..told },
        Token::Month => Told { month: Some(small()?), ..told },
        Token::Day => Told { day: Some(small()?), ..told },
        Token::Hour => Told { hour: Some(small()?), ..told },
        Token::Minute => Told { minute: Some(small()?), ..told },
        Token::Second => Told { second: Some(small()?), ..told },
        Token::Timestamp => timestamp(text)?,
        Token::Id | Token::Id8 if !is_hexadecimal(text) => return None,
        Token::Room | Token::Id | Token::Id8 => told,
    })
}

fn digits(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Bytes of `YYYYMMDD_HHMMSS`.
const TIMESTAMP: usize = 15;

/// Reads `YYYYMMDD_HHMMSS`.
fn timestamp(text: &str) -> Option<Told> {
    let small = |from: usize| text.get(from..from + 2).and_then(digits).and_then(|number| u8::try_from(number).ok());
    if text.len() != TIMESTAMP || text.get(8..9) != Some("_") {
        return None;
    }
    Some(Told {
        year: Some(text.get(..4).and_then(digits)?),
        month: Some(small(4)?),
        day: Some(small(6)?),
        hour: Some(small(9)?),
        minute: Some(small(11)?),
        second: Some(small(13)?),
    })
}

/// The last time that stands in a name as `YYYYMMDD_HHMMSS`, without another digit before or behind it.
fn timestamp_in(name: &str) -> Option<OffsetDateTime> {
    let bytes = name.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let alone = |at: usize| !is_digit(at.checked_sub(1)) && !is_digit(Some(at + TIMESTAMP));
    let starts = (0..(bytes.len() + 1).saturating_sub(TIMESTAMP)).rev().filter(|&at| alone(at));
    starts.filter_map(|at| timestamp(name.get(at..at + TIMESTAMP)?)).find_map(Told::time)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use roomtone_protocol::RecordingId;
    use time::macros::datetime;

    use super::*;
    use crate::KeyFields;

    #[test]
    fn names_tell_their_day_whatever_the_template_is() {
        let daily: KeyTemplate = "{YYYY}/{MM}/{DD}/{id}.wav".parse().unwrap();
        let id = "ab".repeat(16);
        assert_eq!(daily.started_at(&format!("2026/11/20/{id}.wav")), Some(datetime!(2026-11-20 0:00 UTC)));
        assert_eq!(daily.started_at(&format!("2026/13/20/{id}.wav")), None, "there is no such month");
        let start = Some(datetime!(2026-11-20 23:02:03 UTC));
        // A recording of another host with another template, and one whose name was taken.
        assert_eq!(daily.started_at("recordings/band_20261120_230203.wav"), start);
        assert_eq!(KeyTemplate::default().started_at("recordings/band_20261120_230203_abababab.wav"), start);
        for foreign in ["recordings/jingle.wav", "recordings/20261340_250000.wav", "120261120_230203.wav", ""] {
            assert_eq!(KeyTemplate::default().started_at(foreign), None, "{foreign}");
        }
    }

    const TOKENS: [&str; 10] =
        ["{room}", "{YYYY}", "{MM}", "{DD}", "{HH}", "{mm}", "{SS}", "{YYYYMMDD_HHMMSS}", "{id}", "{id8}"];

    proptest! {
        #[test]
        fn what_a_template_names_it_also_reads(
            tokens in proptest::collection::vec((0..TOKENS.len(), "[-_/a-c1]{0,3}"), 0..6),
            room in "\\PC{0,20}",
            second in 0_i64..4_000_000_000,
            id in any::<[u8; 16]>(),
        ) {
            let text: String = tokens.iter().flat_map(|(token, literal)| [TOKENS[*token], literal]).collect();
            let Ok(template) = format!("{{YYYYMMDD_HHMMSS}}{text}.wav").parse::<KeyTemplate>() else { return Ok(()) };
            let started_at = OffsetDateTime::from_unix_timestamp(second).unwrap();
            let fields = KeyFields { room: &room, started_at, recording: RecordingId::from_bytes(id) };
            for name in template.candidates(&fields) {
                prop_assert_eq!(template.started_at(&name), Some(started_at), "{}", name);
            }
        }

        #[test]
        fn no_name_makes_it_stumble(name in "[0-9_a/é.]{0,40}", any in "\\PC{0,40}") {
            for text in [&name, &any] {
                let _whatever = KeyTemplate::default().started_at(text);
            }
        }
    }
}
