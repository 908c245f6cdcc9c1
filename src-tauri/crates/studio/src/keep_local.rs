//! How long the host keeps a recording's local copy that the bucket has confirmed.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The word for never.
const FOREVER: &str = "forever";

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long copies stay where nothing is set (7 days): long enough for a second look, and for whoever finds that the
/// bucket was not such a good idea.
const DEFAULT: Duration = Duration::from_secs(7 * DAY.as_secs());

/// How long those stay of which something is missing, where nothing is set (14 days): as long as participants keep what
/// could still repair them.
const DEFAULT_LACKING: Duration = Duration::from_secs(14 * DAY.as_secs());

/// What a setting says about local copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepLocal {
    /// They stay so long after the recording's end. Rounded down to whole seconds.
    For(Duration),
    /// They stay for good.
    Forever,
}

/// How long copies stay after a recording's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeping {
    /// Of recordings that lack nothing.
    pub whole: Duration,
    /// Of the others.
    pub lacking: Duration,
}

impl KeepLocal {
    /// What holds with this setting, or without any; None: nothing is ever removed.
    #[must_use]
    pub fn keeping(setting: Option<Self>) -> Option<Keeping> {
        match setting {
            None => Some(Keeping { whole: DEFAULT, lacking: DEFAULT_LACKING }),
            Some(Self::For(time)) => Some(Keeping { whole: time, lacking: time }),
            Some(Self::Forever) => None,
        }
    }
}

impl FromStr for KeepLocal {
    type Err = std::num::ParseIntError;

    /// Seconds, or `forever`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == FOREVER { Ok(Self::Forever) } else { text.parse().map(Duration::from_secs).map(Self::For) }
    }
}

impl Serialize for KeepLocal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::For(time) => serializer.serialize_u64(time.as_secs()),
            Self::Forever => serializer.serialize_str(FOREVER),
        }
    }
}

impl<'de> Deserialize<'de> for KeepLocal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Seconds(u64),
            Word(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Seconds(seconds) => Ok(Self::For(Duration::from_secs(seconds))),
            Written::Word(word) if word == FOREVER => Ok(Self::Forever),
            Written::Word(word) => {
                Err(serde::de::Error::custom(format!("local copies are kept for seconds or {FOREVER:?}, not {word:?}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_stay_for_seven_days_unless_a_setting_says_otherwise() {
        let unset = KeepLocal::keeping(None).unwrap();
        assert_eq!((unset.whole, unset.lacking), (7 * DAY, 14 * DAY));
        let day = KeepLocal::keeping(Some(KeepLocal::For(DAY))).unwrap();
        assert_eq!((day.whole, day.lacking), (DAY, DAY), "who says it means it");
        assert_eq!(KeepLocal::keeping(Some(KeepLocal::Forever)), None);
    }

    #[test]
    fn a_setting_is_a_number_of_seconds_or_forever() {
        for (text, json, meant) in [
            ("0", "0", KeepLocal::For(Duration::ZERO)),
            ("86400", "86400", KeepLocal::For(DAY)),
            ("forever", "\"forever\"", KeepLocal::Forever),
        ] {
            assert_eq!(text.parse(), Ok(meant));
            assert_eq!(serde_json::from_str::<KeepLocal>(json).unwrap(), meant);
            assert_eq!(serde_json::to_string(&meant).unwrap(), json);
        }
        assert!("soon".parse::<KeepLocal>().is_err());
        assert!(serde_json::from_str::<KeepLocal>("\"soon\"").is_err());
    }
}
