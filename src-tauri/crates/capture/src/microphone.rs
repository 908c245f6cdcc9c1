//! How a microphone is written down: `default`, `none`, `device:NAME`, `file:PATH.wav?at=…`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::CaptureError;

/// Which microphone.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum MicrophoneSpec {
    /// The system's default one, also when it changes.
    #[default]
    Default,
    /// None at all.
    None,
    /// The one of this name or id, as [`crate::list_devices`] has it.
    Device(String),
    /// A WAV file that plays as if it were a microphone.
    File(FileSpec),
}

/// A file that plays as if it were a microphone.
#[derive(Debug, Clone, PartialEq)]
pub struct FileSpec {
    /// The WAV file.
    pub path: PathBuf,
    /// System time at which its first sample is captured, milliseconds since 1970; None is the moment capture begins.
    pub at_unix_ms: Option<i64>,
    /// How much the simulated device's clock runs fast, in millionths.
    pub skew_ppm: f64,
    /// Whether it begins anew when it is over.
    pub repeat: bool,
    /// What its level is changed by, in decibels.
    pub gain_db: f64,
}

impl FileSpec {
    /// The file as it is, from the moment capture begins.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), at_unix_ms: None, skew_ppm: 0.0, repeat: false, gain_db: 0.0 }
    }
}

/// Beyond a percent no crystal is that wrong, and the clock map would not follow.
const MAX_SKEW_PPM: f64 = 10_000.0;

/// More is a typing error.
const MAX_GAIN_DB: f64 = 96.0;

impl FromStr for MicrophoneSpec {
    type Err = CaptureError;

    fn from_str(text: &str) -> Result<Self, CaptureError> {
        let wrong = |reason: String| CaptureError::Specification { text: text.to_owned(), reason };
        match text.split_once(':') {
            None if text == "default" => Ok(Self::Default),
            None if text == "none" => Ok(Self::None),
            Some(("device", "")) => Err(wrong("the device's name is missing".to_owned())),
            Some(("device", name)) => Ok(Self::Device(name.to_owned())),
            Some(("file", file)) => parse_file(file).map(Self::File).map_err(wrong),
            _ => Err(wrong("it begins with none of default, none, device: and file:".to_owned())),
        }
    }
}

/// Paths are taken as they are, without percent-decoding; the last question mark begins the parameters.
fn parse_file(text: &str) -> Result<FileSpec, String> {
    let (path, query) = text.rsplit_once('?').unwrap_or((text, ""));
    if path.is_empty() {
        return Err("the file's path is missing".to_owned());
    }
    let mut spec = FileSpec::new(path);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is not NAME=VALUE"))?;
        match name {
            "at" => {
                let at = value.parse().map_err(|_| format!("at={value} is not a number of milliseconds since 1970"))?;
                spec.at_unix_ms = Some(at);
            }
            "skew_ppm" => spec.skew_ppm = bounded(name, value, MAX_SKEW_PPM)?,
            "gain_db" => spec.gain_db = bounded(name, value, MAX_GAIN_DB)?,
            "loop" => {
                spec.repeat = match value {
                    "0" => false,
                    "1" => true,
                    _ => return Err(format!("loop={value} is neither 0 nor 1")),
                };
            }
            _ => return Err(format!("{name:?} is none of at, skew_ppm, loop and gain_db")),
        }
    }
    Ok(spec)
}

fn bounded(name: &str, value: &str, limit: f64) -> Result<f64, String> {
    match value.parse::<f64>() {
        Ok(number) if number.abs() <= limit => Ok(number),
        Ok(_) => Err(format!("{name}={value} is beyond {limit}")),
        Err(_) => Err(format!("{name}={value} is not a number")),
    }
}

impl fmt::Display for MicrophoneSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::None => f.write_str("none"),
            Self::Device(name) => write!(f, "device:{name}"),
            Self::File(file) => write!(f, "file:{file}"),
        }
    }
}

impl fmt::Display for FileSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parameters = Vec::new();
        if let Some(at) = self.at_unix_ms {
            parameters.push(format!("at={at}"));
        }
        if self.skew_ppm != 0.0 {
            parameters.push(format!("skew_ppm={}", self.skew_ppm));
        }
        if self.repeat {
            parameters.push("loop=1".to_owned());
        }
        if self.gain_db != 0.0 {
            parameters.push(format!("gain_db={}", self.gain_db));
        }
        write!(f, "{}", self.path.display())?;
        // A path with a question mark needs one behind it, or its own would be taken for the parameters'.
        if !parameters.is_empty() || self.path.to_string_lossy().contains('?') {
            write!(f, "?{}", parameters.join("&"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "default",
            "none",
            "device:USB Mic: left",
            "file:a.wav",
            "file:C:\\takes\\100% a.wav?at=1700000000123&skew_ppm=-12.5&loop=1&gain_db=-6",
            "file:really?.wav?loop=1",
            "file:really?.wav?",
        ] {
            let spec: MicrophoneSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
        }
        let spec: MicrophoneSpec = "file:/a b.wav?gain_db=3&at=5&loop=0".parse().unwrap();
        let file = FileSpec { at_unix_ms: Some(5), gain_db: 3.0, ..FileSpec::new("/a b.wav") };
        assert_eq!(spec, MicrophoneSpec::File(file));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, reason) in [
            ("", "begins with none"),
            ("mic", "begins with none"),
            ("device:", "name is missing"),
            ("file:", "path is missing"),
            ("file:?loop=1", "path is missing"),
            ("file:a.wav?at=soon", "milliseconds since 1970"),
            ("file:a.wav?loop=yes", "neither 0 nor 1"),
            ("file:a.wav?skew_ppm=NaN", "beyond 10000"),
            ("file:a.wav?gain_db=1e9", "beyond 96"),
            ("file:a.wav?gain_db", "NAME=VALUE"),
            ("file:a.wav?volume=3", "none of at"),
        ] {
            let error = text.parse::<MicrophoneSpec>().unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
            assert_eq!(error.code(), "invalid_setting");
        }
    }
}
