//! How recordings are named below the prefix.

use std::fmt;
use std::str::FromStr;

use roomtone_protocol::RecordingId;
use time::OffsetDateTime;

use super::{LONGEST_SLUG, is_audio_key, is_recording_key, slug, stem};

/// Longest rendered name in bytes. S3 takes keys of 1,024; the rest is for the prefix and what a collision appends.
const LONGEST_NAME: usize = 700;

/// What a template is filled with.
#[derive(Debug, Clone, Copy)]
pub struct KeyFields<'a> {
    /// The room's name, as people write it.
    pub room: &'a str,
    /// When the recording began.
    pub started_at: OffsetDateTime,
    /// The recording.
    pub recording: RecordingId,
}

/// How recordings are named below the prefix, such as `recordings/{room}_{YYYYMMDD_HHMMSS}.wav`.
///
/// Tokens: `{room}` (slug), `{YYYY}` `{MM}` `{DD}` `{HH}` `{mm}` `{SS}` and `{YYYYMMDD_HHMMSS}` (start, UTC), `{id}`
/// (the recording's 32 digits), `{id8}` (its first 8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTemplate {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    Token(Token),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Room,
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Timestamp,
    Id,
    Id8,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyTemplateError {
    /// There is no token of this name.
    #[error(
        "the key template knows no {{{0}}}; it knows {{room}}, {{YYYY}}, {{MM}}, {{DD}}, {{HH}}, {{mm}}, {{SS}}, \
         {{YYYYMMDD_HHMMSS}}, {{id}} and {{id8}}"
    )]
    UnknownToken(String),
    /// A brace has no partner.
    #[error("a brace of the key template has no partner")]
    UnpairedBrace,
    /// The name would not end in an audio file's ending.
    #[error("the key template must end in .wav")]
    NotAudio,
    /// The name would not stay below the prefix, or is hidden.
    #[error(
        "the key template must consist of names separated by single slashes, none beginning with a dot and none \
         holding a backslash or a control character"
    )]
    NotBelowPrefix,
    /// The names would be those of other recordings' mixes.
    #[error("the key template must not end in .mix.wav: mixes of recordings are called so")]
    Mix,
    /// Names would not fit.
    #[error("the key template is too long")]
    TooLong,
}

impl KeyTemplate {
    /// The name below the prefix. The same fields always give the same name.
    #[must_use]
    pub fn render(&self, fields: &KeyFields<'_>) -> String {
        let at = fields.started_at.to_offset(time::UtcOffset::UTC);
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Literal(text) => text.clone(),
                Piece::Token(token) => token.render(fields, at),
            })
            .collect()
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// What every name begins with, whatever it is filled with: whole folders, each with its slash.
    #[must_use]
    pub fn folder(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Literal(text)) => &text[..text.rfind('/').map_or(0, |slash| slash + 1)],
            Some(Piece::Token(_)) | None => "",
        }
    }

    /// The names to try, in this order: the plain one, then with `_{id8}` and `_{id}` before the ending.
    pub(crate) fn candidates(&self, fields: &KeyFields<'_>) -> [String; 3] {
        let plain = self.render(fields);
        let (stem, ending) = stem(&plain);
        let short = format!("{stem}_{}{ending}", fields.recording.short());
        let long = format!("{stem}_{}{ending}", fields.recording);
        [plain, short, long]
    }
}

impl Default for KeyTemplate {
    fn default() -> Self {
        "recordings/{room}_{YYYYMMDD_HHMMSS}.wav".parse().expect("the default template is valid")
    }
}

impl fmt::Display for KeyTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for KeyTemplate {
    type Err = KeyTemplateError;

    fn from_str(text: &str) -> Result<Self, KeyTemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(brace) = rest.find(['{', '}']) {
            let (literal, token) = rest.split_at(brace);
            let token = token.strip_prefix('{').ok_or(KeyTemplateError::UnpairedBrace)?;
            let (name, after) = token.split_once('}').ok_or(KeyTemplateError::UnpairedBrace)?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            pieces.push(Piece::Token(Token::parse(name)?));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        let template = Self { text: text.to_owned(), pieces };
        template.check()?;
        Ok(template)
    }
}

impl KeyTemplate {
    fn check(&self) -> Result<(), KeyTemplateError> {
        let longest_room = "x".repeat(LONGEST_SLUG);
        let sample = self.render(&KeyFields {
            room: &longest_room,
            started_at: OffsetDateTime::UNIX_EPOCH,
            recording: RecordingId::from_bytes([0; 16]),
        });
        let bad = |name: &str| name.is_empty() || name.starts_with('.');
        if sample.split('/').any(bad) || sample.chars().any(|c| c.is_control() || c == '\\') {
            return Err(KeyTemplateError::NotBelowPrefix);
        }
        // Only WAV is written; another ending would promise what the file is not.
        if !sample.ends_with(".wav") || !is_audio_key(&sample) {
            return Err(KeyTemplateError::NotAudio);
        }
        if !is_recording_key(&sample) {
            return Err(KeyTemplateError::Mix);
        }
        if sample.len() > LONGEST_NAME || sample.split('/').any(|name| name.len() > 200) {
            return Err(KeyTemplateError::TooLong);
        }
        Ok(())
    }
}

impl Token {
    fn parse(name: &str) -> Result<Self, KeyTemplateError> {
        Ok(match name {
            "room" => Self::Room,
            "YYYY" => Self::Year,
            "MM" => Self::Month,
            "DD" => Self::Day,
            "HH" => Self::Hour,
            "mm" => Self::Minute,
            "SS" => Self::Second,
            "YYYYMMDD_HHMMSS" => Self::Timestamp,
            "id" => Self::Id,
            "id8" => Self::Id8,
            _ => return Err(KeyTemplateError::UnknownToken(name.to_owned())),
        })
    }

    fn render(self, fields: &KeyFields<'_>, at: OffsetDateTime) -> String {
        let date = || format!("{:04}{:02}{:02}", at.year(), u8::from(at.month()), at.day());
        let time = || format!("{:02}{:02}{:02}", at.hour(), at.minute(), at.second());
        match self {
            Self::Room => slug(fields.room),
            Self::Year => format!("{:04}", at.year()),
            Self::Month => format!("{:02}", u8::from(at.month())),
            Self::Day => format!("{:02}", at.day()),
            Self::Hour => format!("{:02}", at.hour()),
            Self::Minute => format!("{:02}", at.minute()),
            Self::Second => format!("{:02}", at.second()),
            Self::Timestamp => format!("{}_{}", date(), time()),
            Self::Id => fields.recording.to_string(),
            Self::Id8 => fields.recording.short(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn fields(room: &str) -> KeyFields<'_> {
        KeyFields {
            room,
            started_at: datetime!(2026-11-21 01:02:03 +02:00),
            recording: RecordingId::from_bytes([0xab; 16]),
        }
    }

    #[test]
    fn the_default_template_gives_room_and_start_in_utc() {
        assert_eq!(KeyTemplate::default().render(&fields("My Room")), "recordings/my-room_20261120_230203.wav");
    }

    #[test]
    fn every_token_renders() {
        let template: KeyTemplate = "{YYYY}/{MM}/{DD}/{HH}{mm}{SS}-{id8}-{id}.wav".parse().unwrap();
        let id = "ab".repeat(16);
        assert_eq!(template.render(&fields("x")), format!("2026/11/20/230203-abababab-{id}.wav"));
        assert_eq!(template.to_string().parse::<KeyTemplate>().unwrap(), template);
    }

    #[test]
    fn a_taken_name_is_followed_by_ones_with_the_id_before_the_ending() {
        let template: KeyTemplate = "v1.2/{room}.wav".parse().unwrap();
        let [plain, short, long] = template.candidates(&fields("x"));
        assert_eq!(plain, "v1.2/x.wav");
        assert_eq!(short, "v1.2/x_abababab.wav");
        assert_eq!(long, format!("v1.2/x_{}.wav", "ab".repeat(16)));
    }

    #[test]
    fn templates_that_cannot_work_say_why() {
        use KeyTemplateError::{Mix, NotAudio, NotBelowPrefix, TooLong, UnknownToken, UnpairedBrace};
        for (text, expected) in [
            ("{nope}.wav", UnknownToken("nope".into())),
            ("{room.wav", UnpairedBrace),
            ("room}.wav", UnpairedBrace),
            ("{room}", NotAudio),
            ("{room}.json", NotAudio),
            ("{room}.flac", NotAudio),
            ("{room}.mix.wav", Mix),
            ("", NotBelowPrefix),
            ("/{room}.wav", NotBelowPrefix),
            ("a//{room}.wav", NotBelowPrefix),
            ("../{room}.wav", NotBelowPrefix),
            (".roomtone/{room}.wav", NotBelowPrefix),
            (".wav", NotBelowPrefix),
            ("a\\{room}.wav", NotBelowPrefix),
            (&format!("{}.wav", "{id}".repeat(10)), TooLong),
        ] {
            assert_eq!(text.parse::<KeyTemplate>(), Err(expected), "{text:?}");
        }
    }
}
