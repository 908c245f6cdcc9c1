//! The part of the bucket that is Roomtone's.

use std::fmt;
use std::str::FromStr;

/// What every key begins with: empty, or ending in `/`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prefix(String);

/// The text cannot be a prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot be a prefix: it must consist of names separated by single slashes, none beginning with a dot")]
pub struct PrefixError(String);

/// Folder for Roomtone's own objects, below the prefix. Nothing in it is ever listed.
const RESERVED: &str = ".roomtone/";

/// Whether the key is of Roomtone's own objects, below whatever prefix.
pub(crate) fn is_reserved(key: &str) -> bool {
    key.starts_with(RESERVED) || key.contains("/.roomtone/")
}

impl Prefix {
    /// The prefix as it stands before a key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where Roomtone's own objects go.
    #[must_use]
    pub fn reserved(&self) -> String {
        format!("{}{RESERVED}", self.0)
    }

    /// The whole key of a name below the prefix.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.0)
    }

    /// The key without the prefix; none for keys elsewhere and for Roomtone's own objects.
    pub(crate) fn name<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.0).filter(|name| !is_reserved(name))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    /// Takes `team/audio`, `/team/audio/` and the empty text alike.
    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let names = text.trim().trim_start_matches('/');
        let names = names.strip_suffix('/').unwrap_or(names);
        if names.is_empty() {
            return Ok(Self::default());
        }
        let bad = |name: &str| name.is_empty() || name.starts_with('.') || name.contains(['\\', '{', '}']);
        if names.split('/').any(bad) || names.chars().any(char::is_control) {
            return Err(PrefixError(text.to_owned()));
        }
        Ok(Self(format!("{names}/")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_always_ends_a_folder() {
        for text in ["team/audio", "/team/audio/", "team/audio/"] {
            assert_eq!(text.parse::<Prefix>().unwrap().as_str(), "team/audio/");
        }
        assert_eq!("".parse::<Prefix>().unwrap().as_str(), "");
        assert_eq!("/".parse::<Prefix>().unwrap().reserved(), ".roomtone/");
    }

    #[test]
    fn prefixes_that_lead_elsewhere_are_refused() {
        for text in ["..", "a//b", "a/../b", ".roomtone", "a\\b", "a/{room}", "a\nb"] {
            assert!(text.parse::<Prefix>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_reserved_folder_is_nobodys_recording() {
        let prefix: Prefix = "x".parse().unwrap();
        assert_eq!(prefix.name("x/a.wav"), Some("a.wav"));
        assert_eq!(prefix.name("y/a.wav"), None);
        assert_eq!(prefix.name("x/.roomtone/probe.wav"), None);
    }
}
