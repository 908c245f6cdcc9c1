//! Settings: flag over environment over settings file over default.
//!
//! Each source is a [`Settings`] of optional fields; [`Settings::or`] lays one over another; what finally stays open
//! gets its default where it is used.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::path::Path;
use std::time::Duration;

use roomtone_protocol::state::RecordBy;
use roomtone_protocol::{ErrorReport, code};
use serde::{Deserialize, Serialize};

use crate::data_dir::io;
use crate::keep_local::{KeepLocal, Keeping};

/// Version of the settings file.
const SCHEMA: u32 = 1;

/// What one source says; None is for the next source to say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Version of the file.
    pub schema: Option<u32>,
    /// Whether Record works at all. Default: true.
    pub recording_enabled: Option<bool>,
    /// Where recordings go. Default: S3 where a bucket is named, else a folder.
    pub bucket: Option<BucketChoice>,
    /// Bucket, region, endpoint and prefix.
    pub s3: S3Choice,
    /// Format of the recording. Only `wav`.
    pub format: Option<String>,
    /// Bits a sample: 16, 24 or 32 (float). Default: 24.
    pub bit_depth: Option<u16>,
    /// Names objects. Default: `recordings/{room}_{YYYYMMDD_HHMMSS}.wav`.
    pub key_template: Option<String>,
    /// Who may start and stop. Default: everyone.
    pub record_by: Option<RecordBy>,
    /// How long a room without anybody goes on, in seconds. Default: 600.
    pub grace_s: Option<u64>,
    /// Recorded time after which a recording ends by itself, in seconds. Default: never.
    pub time_limit_s: Option<u64>,
    /// How long a recording that is over waits for what people still hold of it, in seconds. Default: 30.
    pub stop_wait_s: Option<u64>,
    /// How long local copies stay that the bucket has confirmed, in seconds after the recording's end, or `forever`.
    /// Default: 7 days, and 14 where something is missing.
    pub keep_local_s: Option<KeepLocal>,
    /// How old recordings in the bucket may get, in seconds: a day at least. Default: they stay.
    pub retention_s: Option<u64>,
    /// Whether recordings go up while they are recorded, where the bucket is S3. Default: true.
    pub upload_while_recording: Option<bool>,
    /// Kilobits a second that may go up while something is recorded, everything together. Default: four times what the
    /// recording grows by.
    pub upload_limit_kbps: Option<u32>,
    /// Whether that limit holds when nothing is recorded, too. Default: false.
    pub upload_limit_always: Option<bool>,
    /// A recording begins by itself when so many participants with microphones are there. Default: never.
    pub auto_record: Option<u32>,
    /// Address of the relay that a host brings along. Default: `127.0.0.1:0`, where 0 is any free port, kept for good.
    pub listen: Option<SocketAddr>,
    /// Local addresses for audio. Default: all of them.
    pub media_addrs: Option<Vec<IpAddr>>,
    /// Bits a second that the encoder may use. Default: 128,000.
    pub bitrate: Option<u32>,
}

/// Which kind of bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BucketChoice {
    /// A folder on the host's disk.
    Folder,
    /// An S3-compatible store.
    S3,
}

/// An S3-compatible store. Keys come from the standard AWS sources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Choice {
    /// The bucket's name.
    pub bucket: Option<String>,
    /// Default: `us-east-1`.
    pub region: Option<String>,
    /// Default: AWS.
    pub endpoint: Option<String>,
    /// In front of every key. Default: none.
    pub prefix: Option<String>,
    /// Address of the SQS queue that the bucket tells of changes. Default: the store is listened to where it offers that.
    pub notification_queue_url: Option<String>,
    /// How often listings are compared where nothing tells of changes, in seconds. Default: 60.
    pub listing_interval_s: Option<u64>,
}

/// How long a room without anybody goes on where nothing else is set (spec R7).
pub const DEFAULT_GRACE: Duration = Duration::from_secs(600);

/// Back-fill brings a quarter of an hour of outage in this time, and nobody waits for their file for minutes. What comes
/// later makes a new version.
const DEFAULT_STOP_WAIT: Duration = Duration::from_secs(30);

/// A day, in seconds: stores count in days, and nobody wants what was recorded today to be gone.
const SHORTEST_RETENTION_S: u64 = 24 * 60 * 60;

/// Opus at 128 kb/s mono cannot be told from the source in listening tests, and a day of it is 1.4 GB.
pub const DEFAULT_BITRATE: u32 = 128_000;

impl Settings {
    /// Reads a settings file (JSON).
    ///
    /// # Errors
    /// `io`, `invalid_setting` naming the field, or `newer_version`.
    pub fn from_file(path: &Path) -> Result<Self, ErrorReport> {
        let bytes = fs::read(path).map_err(|error| io(path, &error))?;
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| {
            invalid(format!("{} is not JSON: {error}", path.display()), "mend it or name another with --settings")
        })?;
        if value.get("schema").and_then(serde_json::Value::as_u64).is_some_and(|schema| schema > u64::from(SCHEMA)) {
            let message = format!("{} was written by a newer Roomtone", path.display());
            return Err(ErrorReport::new(code::NEWER_VERSION, message, "update this one; the file is left as it is"));
        }
        serde_json::from_value(value).map_err(|error| {
            invalid(format!("{}: {error}", path.display()), "the README lists the settings and their values")
        })
    }

    /// Reads the environment through `variable`.
    ///
    /// # Errors
    /// `invalid_setting`, naming the variable.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ErrorReport> {
        let read = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        if let Some(value) = read("RECORDING_AUDIO_ONLY")
            && value != "true"
        {
            return Err(invalid(
                format!("RECORDING_AUDIO_ONLY is `{value}`, and Roomtone records audio only"),
                "set it to `true` or remove it",
            ));
        }
        Ok(Self {
            schema: None,
            recording_enabled: parse("ENABLE_AUDIO_RECORDING", read("ENABLE_AUDIO_RECORDING"), "true or false")?,
            bucket: match read("ROOMTONE_BUCKET").as_deref() {
                None => None,
                Some("folder") => Some(BucketChoice::Folder),
                Some("s3") => Some(BucketChoice::S3),
                Some(other) => return Err(unfit("ROOMTONE_BUCKET", other, "folder or s3")),
            },
            s3: S3Choice {
                bucket: read("S3_RECORDING_BUCKET"),
                region: read("S3_RECORDING_REGION"),
                endpoint: read("S3_RECORDING_ENDPOINT"),
                prefix: read("S3_RECORDING_PREFIX"),
                notification_queue_url: read("S3_NOTIFICATION_QUEUE_URL"),
                listing_interval_s: parse(
                    "ROOMTONE_LISTING_INTERVAL_S",
                    read("ROOMTONE_LISTING_INTERVAL_S"),
                    "a number of seconds",
                )?,
            },
            format: read("RECORDING_FILE_FORMAT"),
            bit_depth: parse("ROOMTONE_BIT_DEPTH", read("ROOMTONE_BIT_DEPTH"), "16, 24 or 32")?,
            key_template: read("ROOMTONE_KEY_TEMPLATE"),
            record_by: match read("ROOMTONE_RECORD_BY").as_deref() {
                None => None,
                Some("everyone") => Some(RecordBy::Everyone),
                Some("host") => Some(RecordBy::Host),
                Some(other) => return Err(unfit("ROOMTONE_RECORD_BY", other, "everyone or host")),
            },
            grace_s: parse("ROOMTONE_GRACE_S", read("ROOMTONE_GRACE_S"), "a number of seconds")?,
            time_limit_s: parse("ROOMTONE_TIME_LIMIT_S", read("ROOMTONE_TIME_LIMIT_S"), "a number of seconds")?,
            stop_wait_s: parse("ROOMTONE_STOP_WAIT_S", read("ROOMTONE_STOP_WAIT_S"), "a number of seconds")?,
            keep_local_s: parse(
                "ROOMTONE_KEEP_LOCAL_S",
                read("ROOMTONE_KEEP_LOCAL_S"),
                "a number of seconds, or forever",
            )?,
            retention_s: parse("ROOMTONE_RETENTION_S", read("ROOMTONE_RETENTION_S"), "a number of seconds")?,
            upload_while_recording: parse(
                "ROOMTONE_UPLOAD_WHILE_RECORDING",
                read("ROOMTONE_UPLOAD_WHILE_RECORDING"),
                "true or false",
            )?,
            upload_limit_kbps: parse(
                "ROOMTONE_UPLOAD_LIMIT_KBPS",
                read("ROOMTONE_UPLOAD_LIMIT_KBPS"),
                "a number of kilobits a second",
            )?,
            upload_limit_always: parse(
                "ROOMTONE_UPLOAD_LIMIT_ALWAYS",
                read("ROOMTONE_UPLOAD_LIMIT_ALWAYS"),
                "true or false",
            )?,
            auto_record: parse("ROOMTONE_AUTO_RECORD", read("ROOMTONE_AUTO_RECORD"), "a number of people")?,
            listen: parse("ROOMTONE_LISTEN", read("ROOMTONE_LISTEN"), "an address and a port, like 127.0.0.1:0")?,
            media_addrs: read("ROOMTONE_MEDIA_ADDRS").map(|list| media_addrs(&list)).transpose()?,
            bitrate: parse("ROOMTONE_BITRATE", read("ROOMTONE_BITRATE"), "a number of bits a second")?,
        })
    }

    /// What this source says, and where it says nothing, what `below` says.
    #[must_use]
    pub fn or(self, below: Self) -> Self {
        Self {
            schema: self.schema.or(below.schema),
            recording_enabled: self.recording_enabled.or(below.recording_enabled),
            bucket: self.bucket.or(below.bucket),
            s3: S3Choice {
                bucket: self.s3.bucket.or(below.s3.bucket),
                region: self.s3.region.or(below.s3.region),
                endpoint: self.s3.endpoint.or(below.s3.endpoint),
                prefix: self.s3.prefix.or(below.s3.prefix),
                notification_queue_url: self.s3.notification_queue_url.or(below.s3.notification_queue_url),
                listing_interval_s: self.s3.listing_interval_s.or(below.s3.listing_interval_s),
            },
            format: self.format.or(below.format),
            bit_depth: self.bit_depth.or(below.bit_depth),
            key_template: self.key_template.or(below.key_template),
            record_by: self.record_by.or(below.record_by),
            grace_s: self.grace_s.or(below.grace_s),
            time_limit_s: self.time_limit_s.or(below.time_limit_s),
            stop_wait_s: self.stop_wait_s.or(below.stop_wait_s),
            keep_local_s: self.keep_local_s.or(below.keep_local_s),
            retention_s: self.retention_s.or(below.retention_s),
            upload_while_recording: self.upload_while_recording.or(below.upload_while_recording),
            upload_limit_kbps: self.upload_limit_kbps.or(below.upload_limit_kbps),
            upload_limit_always: self.upload_limit_always.or(below.upload_limit_always),
            auto_record: self.auto_record.or(below.auto_record),
            listen: self.listen.or(below.listen),
            media_addrs: self.media_addrs.or(below.media_addrs),
            bitrate: self.bitrate.or(below.bitrate),
        }
    }

    /// Refuses values that no part of the program can honour.
    ///
    /// # Errors
    /// `invalid_setting`, naming the value.
    pub fn check(self) -> Result<Self, ErrorReport> {
        if let Some(format) = self.format.as_deref().filter(|format| *format != "wav") {
            return Err(unfit("the file format", format, "wav"));
        }
        if let Some(depth) = self.bit_depth.filter(|depth| ![16, 24, 32].contains(depth)) {
            return Err(unfit("the bit depth", &depth.to_string(), "16, 24 or 32"));
        }
        if let Some(bitrate) = self.bitrate.filter(|bitrate| !(6_000..=510_000).contains(bitrate)) {
            return Err(unfit("the bitrate", &bitrate.to_string(), "between 6000 and 510000, as Opus has it"));
        }
        if self.time_limit_s == Some(0) {
            return Err(unfit("the time limit", "0", "a second at least; leave it out for none"));
        }
        if let Some(age) = self.retention_s.filter(|age| *age < SHORTEST_RETENTION_S) {
            return Err(unfit("the retention", &format!("{age} s"), "a day at least; leave it out to keep everything"));
        }
        if self.upload_limit_kbps == Some(0) {
            let instead = "1 at least; set upload_while_recording to false for nothing at all";
            return Err(unfit("the limit of uploads", "0", instead));
        }
        if self.s3.listing_interval_s == Some(0) {
            return Err(unfit("the time between two listings", "0", "a second at least"));
        }
        if self.auto_record == Some(0) {
            return Err(unfit("the number of people who start a recording", "0", "1 at least; leave it out for none"));
        }
        if self.bucket == Some(BucketChoice::S3) && self.s3.bucket.is_none() {
            return Err(invalid("recordings go to S3, and no bucket is named", "set S3_RECORDING_BUCKET"));
        }
        Ok(self)
    }

    /// The kind of bucket: S3 where one is named, unless a folder was asked for.
    #[must_use]
    pub fn bucket_choice(&self) -> BucketChoice {
        let named = if self.s3.bucket.is_some() { BucketChoice::S3 } else { BucketChoice::Folder };
        self.bucket.unwrap_or(named)
    }

    /// Bits a second that the encoder may use.
    #[must_use]
    pub fn bitrate(&self) -> u32 {
        self.bitrate.unwrap_or(DEFAULT_BITRATE)
    }

    /// Recorded time after which a recording ends by itself.
    #[must_use]
    pub fn time_limit(&self) -> Option<Duration> {
        self.time_limit_s.map(Duration::from_secs)
    }

    /// How long a recording that is over waits for what people still hold of it.
    #[must_use]
    pub fn stop_wait(&self) -> Duration {
        self.stop_wait_s.map_or(DEFAULT_STOP_WAIT, Duration::from_secs)
    }

    /// How long local copies stay that the bucket has confirmed; None: for good.
    #[must_use]
    pub fn keep_local(&self) -> Option<Keeping> {
        KeepLocal::keeping(self.keep_local_s)
    }

    /// How old recordings in the bucket may get; None: they stay.
    #[must_use]
    pub fn retention(&self) -> Option<Duration> {
        self.retention_s.map(Duration::from_secs)
    }

    /// Whether recordings go up while they are recorded, where the bucket takes them.
    #[must_use]
    pub fn upload_while_recording(&self) -> bool {
        self.upload_while_recording.unwrap_or(true)
    }

    /// Bytes a second that may go up while something is recorded; None: what the publisher thinks fit.
    #[must_use]
    pub fn upload_limit(&self) -> Option<NonZero<u64>> {
        self.upload_limit_kbps.and_then(|kilobits| NonZero::new(u64::from(kilobits) * 1_000 / 8))
    }

    /// Whether that limit holds when nothing is recorded, too.
    #[must_use]
    pub fn upload_limit_always(&self) -> bool {
        self.upload_limit_always.unwrap_or(false)
    }

    /// How long a room without anybody goes on.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.grace_s.map_or(DEFAULT_GRACE, Duration::from_secs)
    }
}

fn parse<T: std::str::FromStr>(name: &str, value: Option<String>, expected: &str) -> Result<Option<T>, ErrorReport> {
    value.map(|value| value.trim().parse().map_err(|_| unfit(name, &value, expected))).transpose()
}

fn media_addrs(list: &str) -> Result<Vec<IpAddr>, ErrorReport> {
    let parse = |address: &str| {
        address.trim().parse().map_err(|_| unfit("ROOMTONE_MEDIA_ADDRS", address, "IP addresses with commas between"))
    };
    list.split(',').map(parse).collect()
}

fn unfit(name: &str, value: &str, expected: &str) -> ErrorReport {
    invalid(format!("{name} cannot be `{value}`"), format!("it must be {expected}"))
}

fn invalid(message: impl Into<String>, hint: impl Into<String>) -> ErrorReport {
    ErrorReport::new(code::INVALID_SETTING, message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &'static [(&'static str, &'static str)]) -> Result<Settings, ErrorReport> {
        Settings::from_environment(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn flags_win_over_environment_over_file() {
        let flags = Settings { bit_depth: Some(16), ..Settings::default() };
        let environment = environment(&[("ROOMTONE_BIT_DEPTH", "32"), ("ROOMTONE_GRACE_S", "5")]).unwrap();
        let file = Settings { grace_s: Some(7), bitrate: Some(64_000), ..Settings::default() };
        let all = flags.or(environment).or(file);
        assert_eq!((all.bit_depth, all.grace_s, all.bitrate), (Some(16), Some(5), Some(64_000)));
    }

    #[test]
    fn a_named_bucket_is_used_unless_a_folder_was_asked_for() {
        let named = environment(&[("S3_RECORDING_BUCKET", "talks")]).unwrap();
        assert_eq!(named.bucket_choice(), BucketChoice::S3);
        let folder = Settings { bucket: Some(BucketChoice::Folder), ..Settings::default() };
        assert_eq!(folder.or(named).bucket_choice(), BucketChoice::Folder);
        assert_eq!(Settings::default().bucket_choice(), BucketChoice::Folder);
        let nameless = Settings { bucket: Some(BucketChoice::S3), ..Settings::default() };
        assert_eq!(nameless.check().unwrap_err().code, code::INVALID_SETTING);
    }

    #[test]
    fn values_that_cannot_be_honoured_are_named() {
        let video = environment(&[("RECORDING_AUDIO_ONLY", "false")]).unwrap_err();
        assert!(video.message.contains("RECORDING_AUDIO_ONLY"), "{video}");
        let grace = environment(&[("ROOMTONE_GRACE_S", "soon")]).unwrap_err();
        assert!(grace.message.contains("ROOMTONE_GRACE_S"), "{grace}");
        let format = environment(&[("RECORDING_FILE_FORMAT", "flac")]).unwrap().check().unwrap_err();
        assert!(format.message.contains("flac"), "{format}");
    }

    #[test]
    fn a_queue_can_be_named_and_listings_need_a_pause() {
        let url = "https://sqs.eu-central-1.amazonaws.com/123456789012/q";
        let set =
            environment(&[("S3_NOTIFICATION_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/123456789012/q")]);
        assert_eq!(set.unwrap().s3.notification_queue_url.as_deref(), Some(url));
        let file = serde_json::json!({"s3": {"notification_queue_url": url, "listing_interval_s": 5}});
        let file: Settings = serde_json::from_value(file).unwrap();
        let all = Settings::default().or(file).s3;
        assert_eq!((all.notification_queue_url.as_deref(), all.listing_interval_s), (Some(url), Some(5)));
        let restless = environment(&[("ROOMTONE_LISTING_INTERVAL_S", "0")]).unwrap().check();
        assert_eq!(restless.unwrap_err().code, code::INVALID_SETTING);
    }

    #[test]
    fn recordings_stay_for_a_day_at_least() {
        let set = |seconds| Settings { retention_s: Some(seconds), ..Settings::default() }.check();
        assert_eq!(set(86_400).unwrap().retention(), Some(Duration::from_secs(86_400)));
        assert_eq!(set(86_399).unwrap_err().code, code::INVALID_SETTING);
        assert_eq!(Settings::default().retention(), None);
    }

    #[test]
    fn recordings_go_up_while_they_are_recorded_unless_that_is_switched_off_or_slowed_down() {
        let none = Settings::default();
        assert_eq!((none.upload_while_recording(), none.upload_limit()), (true, None));
        let set = environment(&[("ROOMTONE_UPLOAD_WHILE_RECORDING", "false"), ("ROOMTONE_UPLOAD_LIMIT_KBPS", "8000")]);
        let set = set.unwrap().or(none).check().unwrap();
        assert_eq!((set.upload_while_recording(), set.upload_limit()), (false, NonZero::new(1_000_000)));
        let nothing = environment(&[("ROOMTONE_UPLOAD_LIMIT_KBPS", "0")]).unwrap().check();
        assert_eq!(nothing.unwrap_err().code, code::INVALID_SETTING);
    }

    #[test]
    fn a_settings_file_with_an_unknown_field_or_a_newer_schema_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        fs::write(&path, br#"{"bit_dept":24}"#).unwrap();
        assert_eq!(Settings::from_file(&path).unwrap_err().code, code::INVALID_SETTING);
        fs::write(&path, br#"{"schema":2}"#).unwrap();
        assert_eq!(Settings::from_file(&path).unwrap_err().code, code::NEWER_VERSION);
        fs::write(&path, br#"{"schema":1,"s3":{"bucket":"talks"}}"#).unwrap();
        assert_eq!(Settings::from_file(&path).unwrap().s3.bucket.as_deref(), Some("talks"));
    }
}
