//! What people are told of how changes are noticed, and why not in another way.

use std::fmt;
use std::time::Duration;

use roomtone_protocol::ErrorReport;

/// How a bucket tells that it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeSource {
    /// The operating system watches the folder.
    FolderWatcher,
    /// The store writes events into a queue (SQS).
    Queue,
    /// The store is listened to, as MinIO lets one.
    Listening,
    /// Listings are compared, this often.
    ComparingListings(Duration),
}

impl fmt::Display for ChangeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FolderWatcher => f.write_str("the system watches the folder"),
            Self::Queue => f.write_str("the store tells a queue of changes"),
            Self::Listening => f.write_str("the store is listened to"),
            Self::ComparingListings(interval) => write!(f, "listings are compared every {}", in_words(*interval)),
        }
    }
}

/// `60 s`, `10 min`.
pub(crate) fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 120 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        0 => format!("{} ms", time.as_millis()),
        seconds => format!("{seconds} s"),
    }
}

/// What was found when every way was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeReport {
    /// The way that is used.
    pub source: ChangeSource,
    /// Why no better one is, and what else there is to know. Whole clauses.
    pub remarks: Vec<String>,
    /// What somebody has set up and does not work.
    pub problem: Option<ErrorReport>,
}

impl ChangeReport {
    /// A way of which nothing else needs to be said.
    #[must_use]
    pub fn of(source: ChangeSource) -> Self {
        Self { source, remarks: Vec::new(), problem: None }
    }
}

/// The source and the remarks, one after the other.
impl fmt::Display for ChangeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        self.remarks.iter().try_for_each(|remark| write!(f, "; {remark}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_sentence() {
        let mut report = ChangeReport::of(ChangeSource::ComparingListings(Duration::from_secs(60)));
        report.remarks.push("the store cannot be listened to (HTTP 501)".to_owned());
        let text = "listings are compared every 60 s; the store cannot be listened to (HTTP 501)";
        assert_eq!(report.to_string(), text);
        let every = [500, 90_000, 600_000].map(|ms| in_words(Duration::from_millis(ms)));
        assert_eq!(every, ["500 ms", "90 s", "10 min"]);
    }
}
