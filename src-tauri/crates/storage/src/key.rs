//! Names of objects: the room's slug, the template, and which keys are audio.

use std::fmt;
use std::str::FromStr;

use roomtone_protocol::RecordingId;
use time::OffsetDateTime;

/// Longest slug in bytes: leaves room for the rest of a file name (255 bytes on common file systems).
const LONGEST_SLUG: usize = 64;

/// Longest rendered name in bytes. S3 takes keys of 1,024; the rest is for the prefix and what a collision appends.
const LONGEST_NAME: usize = 700;

/// Endings of objects that appear in the list.
const AUDIO: [&str; 9] = ["wav", "flac", "ogg", "opus", "mka", "webm", "mp4", "m4a", "mp3"];

/// What a room is called in keys: letters and digits of any script in lower case, everything else one `-`. A name
/// without any of them becomes `room`. It never holds `_`, `.` or `/`.
#[must_use]
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars().flat_map(char::to_lowercase) {
        let wanted = if letter.is_alphanumeric() { letter } else { '-' };
        if wanted == '-' && (slug.is_empty() || slug.ends_with('-')) {
            continue;
        }
        if slug.len() + wanted.len_utf8() > LONGEST_SLUG {
            break;
        }
        slug.push(wanted);
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "room".to_owned() } else { slug.to_owned() }
}

/// Whether the key's ending is that of an audio file.
#[must_use]
pub fn is_audio_key(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.rsplit_once('.')
        .is_some_and(|(stem, ending)| !stem.is_empty() && AUDIO.iter().any(|audio| ending.eq_ignore_ascii_case(audio)))
}

/// The key of the metadata JSON that belongs to an audio key.
#[must_use]
pub fn metadata_key(audio: &str) -> String {
    format!("{}.json", stem(audio).0)
}

/// A key without its ending, and the ending with its dot.
fn stem(key: &str) -> (&str, &str) {
    let file = key.rfind('/').map_or(0, |slash| slash + 1);
    match key[file..].rfind('.') {
        Some(dot) if dot > 0 => key.split_at(file + dot),
        _ => (key, ""),
    }
}

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
enum Piece {
    Literal(String),
    Token(Token),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
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
    fn slugs_keep_letters_of_every_script_and_nothing_that_separates() {
        for (name, expected) in [
            ("Band Rehearsal", "band-rehearsal"),
            ("  a__b//c..d  ", "a-b-c-d"),
            ("../../etc/passwd", "etc-passwd"),
            ("Größe Ünïcode", "größe-ünïcode"),
            ("会議 1", "会議-1"),
            ("🎙🎧", "room"),
            ("", "room"),
            ("---", "room"),
        ] {
            assert_eq!(slug(name), expected, "{name:?}");
        }
        let long = slug(&"ü".repeat(200));
        assert_eq!(long.len(), LONGEST_SLUG);
        assert_eq!(slug(&long), long);
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
        use KeyTemplateError::{NotAudio, NotBelowPrefix, TooLong, UnknownToken, UnpairedBrace};
        for (text, expected) in [
            ("{nope}.wav", UnknownToken("nope".into())),
            ("{room.wav", UnpairedBrace),
            ("room}.wav", UnpairedBrace),
            ("{room}", NotAudio),
            ("{room}.json", NotAudio),
            ("{room}.flac", NotAudio),
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

    #[test]
    fn audio_keys_are_told_by_their_ending() {
        for key in ["a.wav", "x/y.FLAC", "a.b.opus", "r/ü.m4a"] {
            assert!(is_audio_key(key), "{key}");
        }
        for key in ["a.json", "wav", "x.wav/y", ".wav", "a.png", ""] {
            assert!(!is_audio_key(key), "{key}");
        }
        assert_eq!(metadata_key("a.d/x.y.wav"), "a.d/x.y.json");
    }
}
