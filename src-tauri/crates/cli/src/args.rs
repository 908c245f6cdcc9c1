//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use roomtone_capture::MicrophoneSpec;
use roomtone_protocol::RecordingId;
use roomtone_studio::KeepLocal;

/// Records everybody in a room on a channel of their own.
#[derive(Debug, Parser)]
#[command(name = "roomtone", version, about)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Debug, Args)]
pub(crate) struct Common {
    /// One JSON object a line on stdout, and nothing else.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Identity, spools, journals, the local bucket and upload state live here.
    #[arg(long, global = true, value_name = "DIR", env = "ROOMTONE_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Settings, as JSON.
    #[arg(long, global = true, value_name = "FILE", env = "ROOMTONE_SETTINGS")]
    pub(crate) settings: Option<PathBuf>,
    /// Say everything on stderr.
    #[arg(long, global = true)]
    pub(crate) debug: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Host a room: be its recorder.
    Host(Box<Host>),
    /// Join a room with a microphone, or to look on.
    Join(Join),
    /// Start, stop, pause, cancel, mark, describe or ask for a recording.
    Record(Record),
    /// Close a room for everybody.
    Room(Room),
    /// List, link, download, delete or rename finished recordings.
    Recordings(Recordings),
    /// Check where recordings go.
    Storage(Storage),
    /// Check microphone, disk, relay and storage.
    Doctor,
}

#[derive(Debug, Args)]
pub(crate) struct Host {
    /// What people call the room.
    #[arg(long, value_name = "NAME", env = "ROOMTONE_ROOM")]
    pub(crate) room: Option<String>,
    /// A relay elsewhere; without it the host brings its own.
    #[arg(long, value_name = "URL", conflicts_with = "listen", env = "ROOMTONE_RELAY")]
    pub(crate) relay: Option<String>,
    /// Where the own relay listens; port 0 is any free one, kept for good.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// A local address for audio; all of them by default.
    #[arg(long = "media-addr", value_name = "IP")]
    pub(crate) media_addrs: Vec<IpAddr>,
    /// `default`, `none`, `device:NAME` or `file:PATH.wav?at=UNIX_MS&skew_ppm=100&loop=1&gain_db=-6`.
    #[arg(long, value_name = "MIC", default_value = "default", env = "ROOMTONE_MIC")]
    pub(crate) mic: MicrophoneSpec,
    /// The host's own name.
    #[arg(long, value_name = "NAME", env = "ROOMTONE_NAME")]
    pub(crate) name: Option<String>,
    /// Where recordings go.
    #[arg(long)]
    pub(crate) bucket: Option<BucketKind>,
    /// Format of the recording.
    #[arg(long, value_parser = ["wav"])]
    pub(crate) format: Option<String>,
    /// 16, 24, or 32 for float.
    #[arg(long, value_name = "BITS")]
    pub(crate) bit_depth: Option<u16>,
    /// Names objects, for example `{YYYY}/{MM}/{DD}/{id}.wav`.
    #[arg(long, value_name = "T")]
    pub(crate) key_template: Option<String>,
    /// Who may start and stop.
    #[arg(long)]
    pub(crate) record_by: Option<RecordByArg>,
    /// Begin by itself when so many people with microphones are there.
    #[arg(long, value_name = "N")]
    pub(crate) auto_record: Option<u32>,
    /// End a recording after this time, pauses not counted.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) time_limit: Option<Duration>,
    /// How long a recording goes on with nobody there.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) grace: Option<Duration>,
    /// How long Stop waits for what people still hold of a recording.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) stop_wait: Option<Duration>,
    /// How long local copies stay that the bucket has confirmed, or `forever`.
    #[arg(long, value_name = "TIME", value_parser = keep_local)]
    pub(crate) keep_local: Option<KeepLocal>,
    /// How old recordings in the bucket may get; then they are deleted.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) retention: Option<Duration>,
    /// Whether recordings go up to S3 while they are recorded; `false` for metered links.
    #[arg(long, value_name = "BOOL")]
    pub(crate) upload_while_recording: Option<bool>,
    /// Kilobits a second that may go up while something is recorded.
    #[arg(long, value_name = "N")]
    pub(crate) upload_limit_kbps: Option<u32>,
    /// Whether that limit holds when nothing is recorded, too.
    #[arg(long, value_name = "BOOL")]
    pub(crate) upload_limit_always: Option<bool>,
    /// How long uploads may still take when the program is told to end.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub(crate) drain: Duration,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum BucketKind {
    /// A folder on this computer.
    Folder,
    /// An S3-compatible store.
    S3,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RecordByArg {
    /// Everyone in the room.
    Everyone,
    /// The host only.
    Host,
}

#[derive(Debug, Args)]
pub(crate) struct Join {
    /// The link that the host passed on.
    #[arg(value_name = "INVITE")]
    pub(crate) invite: String,
    /// The name to go by.
    #[arg(long, value_name = "NAME", env = "ROOMTONE_NAME")]
    pub(crate) name: Option<String>,
    /// `default`, `none`, `device:NAME` or `file:PATH.wav?at=UNIX_MS&skew_ppm=100&loop=1&gain_db=-6`.
    #[arg(long, value_name = "MIC", default_value = "default", env = "ROOMTONE_MIC")]
    pub(crate) mic: MicrophoneSpec,
    /// Look on, without a microphone.
    #[arg(long)]
    pub(crate) observe: bool,
    /// A local address for audio; all of them by default.
    #[arg(long = "media-addr", value_name = "IP")]
    pub(crate) media_addrs: Vec<IpAddr>,
    /// Stay when the file that plays as the microphone is over.
    #[arg(long)]
    pub(crate) stay: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Record {
    /// The room's invite, or the host's.
    #[arg(value_name = "INVITE")]
    pub(crate) invite: String,
    #[command(subcommand)]
    pub(crate) what: RecordWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RecordWhat {
    /// Begin a recording; one that runs is finalized first.
    Start {
        /// Its title.
        #[arg(long, value_name = "T")]
        title: Option<String>,
        /// What there is to say about it.
        #[arg(long, value_name = "N")]
        notes: Option<String>,
    },
    /// Finalize the recording.
    Stop {
        /// Answer when it is completed.
        #[arg(long)]
        wait: bool,
        /// Wait no longer than this.
        #[arg(long, value_name = "TIME", value_parser = duration, requires = "wait")]
        timeout: Option<Duration>,
    },
    /// Interrupt it.
    Pause,
    /// Go on.
    Resume,
    /// How is it going?
    Status,
    /// Discard it, on the host, in the bucket and in everybody's spool.
    Cancel {
        /// One that is still on its way to the bucket, instead of the current one.
        #[arg(long, value_name = "ID")]
        recording: Option<RecordingId>,
        /// Yes, really.
        #[arg(long)]
        yes: bool,
    },
    /// Drop a marker.
    Mark {
        /// Its text.
        #[arg(value_name = "TEXT")]
        text: String,
    },
    /// Give it another title or other notes; empty ones take them away.
    Describe {
        /// One that is still on its way to the bucket, instead of the current one.
        #[arg(long, value_name = "ID")]
        recording: Option<RecordingId>,
        /// The title.
        #[arg(long, value_name = "T", required_unless_present = "notes")]
        title: Option<String>,
        /// What there is to say about it.
        #[arg(long, value_name = "N")]
        notes: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Room {
    /// The host's invite.
    #[arg(value_name = "INVITE")]
    pub(crate) invite: String,
    #[command(subcommand)]
    pub(crate) what: RoomWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RoomWhat {
    /// Finalize what runs, and send everybody home.
    Close {
        /// Yes, really.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Recordings {
    /// The room's invite, or the host's.
    #[arg(value_name = "INVITE")]
    pub(crate) invite: String,
    #[command(subcommand)]
    pub(crate) what: RecordingsWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RecordingsWhat {
    /// Everything that may be seen with this invite, newest first.
    List {
        /// No more than so many.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
        /// Go on behind the place that an earlier list named as `next`.
        #[arg(long, value_name = "PLACE")]
        after: Option<String>,
    },
    /// One recording.
    Show {
        /// Its id, or the key of an object.
        id: String,
    },
    /// A link that works for a while.
    Link {
        /// Its id, or the key of an object.
        id: String,
        /// How long it works: from a second to seven days.
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1h")]
        ttl: Duration,
    },
    /// Fetch the file.
    Download {
        /// Its id, or the key of an object.
        id: String,
        /// Where to put it.
        #[arg(short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Remove it from the bucket.
    Delete {
        /// Its id, or the key of an object.
        id: String,
        /// Yes, really.
        #[arg(long)]
        yes: bool,
    },
    /// Give it another title.
    Rename {
        /// Its id.
        id: String,
        /// The title.
        title: String,
    },
    /// Write down what there is to say about it; an empty text takes that away.
    Notes {
        /// Its id.
        id: RecordingId,
        /// What there is to say.
        text: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Storage {
    #[command(subcommand)]
    pub(crate) what: StorageWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StorageWhat {
    /// Write, read, list and delete a probe object.
    Test,
    /// Let the bucket clear away by itself: recordings that are too old, and uploads that nobody will finish.
    Lifecycle {
        /// How old recordings may get; without it what the settings say, and where they say nothing, no rule deletes them.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        retention: Option<Duration>,
        /// Only say what would change.
        #[arg(long)]
        dry_run: bool,
        /// Yes, change it.
        #[arg(long)]
        yes: bool,
    },
    /// Let the bucket tell when it changes.
    SetupNotifications {
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

/// `90`, `90s`, `10m`, `3h`, `7d`.
fn keep_local(text: &str) -> Result<KeepLocal, String> {
    if text == "forever" { Ok(KeepLocal::Forever) } else { duration(text).map(KeepLocal::For) }
}

fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("`{text}` is not a time; write it like 90s, 10m, 3h or 7d");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(expected()),
    };
    let number: u64 = digits.parse().map_err(|_| expected())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn local_copies_stay_for_a_time_or_for_good() {
        assert_eq!(keep_local("7d"), Ok(KeepLocal::For(Duration::from_secs(7 * 24 * 3600))));
        assert_eq!(keep_local("forever"), Ok(KeepLocal::Forever));
        assert!(keep_local("for ever").is_err());
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("3h"), Ok(Duration::from_secs(10_800)));
        for bad in ["", "m", "1w", "-1s", "1.5h", "99999999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
