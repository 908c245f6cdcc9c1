//! From a journal to a take: the whole file, fsynced under its name, and its metadata.
//!
//! Frames go through block by block, so that memory depends on the number of channels and not on the length.

mod hashing;
mod report;
mod take;

use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use roomtone_protocol::metadata::{Consent, Metadata, Unrecorded};
use roomtone_protocol::{ClockNs, ParticipantId};

use crate::journal::{Journal, JournalError};
use crate::render::{BitDepth, PacketSource, RenderError, Renderer, TrackPlan, interleave};
use crate::timeline::{FileFrame, Timeline};
use crate::wav::{Origination, WavDescription, WavFrame};
use take::Take;

/// Frames rendered at once, 1 s: 340 KB a channel. Decoders go on from block to block, so small ones cost nothing.
const BLOCK_FRAMES: u64 = 48_000;

/// One channel of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelSpec {
    /// Whose voice.
    pub participant: ParticipantId,
    /// What they are called in the file.
    pub name: String,
    /// Whether they agreed to be recorded.
    pub consent: Consent,
    /// Their explicit goodbyes, on the recorder's clock.
    pub left_at: Vec<ClockNs>,
}

impl ChannelSpec {
    /// The channels that a journal noted, in order, with the names and goodbyes that it noted.
    #[must_use]
    pub fn from_journal(journal: &Journal) -> Vec<Self> {
        let notes = journal.notes();
        let spec = |&participant: &ParticipantId| Self {
            participant,
            name: notes.names.get(&participant).cloned().unwrap_or_else(|| participant.short()),
            consent: Consent::Unknown,
            left_at: notes.left.get(&participant).cloned().unwrap_or_default(),
        };
        notes.channels.values().map(spec).collect()
    }
}

/// How far finalizing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Frames written.
    pub frames: u64,
    /// Frames in all.
    pub of: u64,
}

/// Called after every block; breaking off leaves nothing behind.
pub type OnProgress<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// What to make of a journal.
pub struct FinalizeOptions<'a> {
    /// The file to write. It must not exist yet; `{out}.partial` is written meanwhile.
    pub out: PathBuf,
    /// How samples stand in it.
    pub bit_depth: BitDepth,
    /// The file's channels, in order of joining.
    pub channels: Vec<ChannelSpec>,
    /// The title, if it is another one than the journal noted.
    pub title: Option<String>,
    /// Notes, likewise.
    pub notes: Option<String>,
    /// Who was there and is not in the file.
    pub unrecorded: Vec<Unrecorded>,
    /// Program and version.
    pub software: String,
    /// Where a recording ends that nobody stopped, because the recorder died.
    pub open_end: Option<ClockNs>,
    /// Is told how far it is, and may break it off.
    pub on_progress: Option<Box<OnProgress<'a>>>,
}

impl FinalizeOptions<'_> {
    /// Options with everything that may be left out left out.
    #[must_use]
    pub fn new(out: PathBuf, channels: Vec<ChannelSpec>, software: String) -> Self {
        Self {
            out,
            bit_depth: BitDepth::default(),
            channels,
            title: None,
            notes: None,
            unrecorded: Vec::new(),
            software,
            open_end: None,
            on_progress: None,
        }
    }
}

impl fmt::Debug for FinalizeOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinalizeOptions")
            .field("out", &self.out)
            .field("bit_depth", &self.bit_depth)
            .field("channels", &self.channels.len())
            .finish_non_exhaustive()
    }
}

/// A whole recording on the local disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// What is to be published beside it.
    pub metadata: Metadata,
    /// The file.
    pub path: PathBuf,
    /// Its length in frames.
    pub frames: u64,
    /// Its size in bytes.
    pub size: u64,
}

/// A take that could not be written. The journal is untouched.
#[derive(Debug, thiserror::Error)]
pub enum FinalizeError {
    /// There is no channel or no recorded time: there is nothing to keep.
    #[error("nothing was recorded")]
    Empty,
    /// [`FinalizeOptions::on_progress`] broke it off.
    #[error("finalizing was broken off; it can be begun again")]
    Cancelled,
    /// The name is taken; nothing was overwritten.
    #[error("{} exists already; move it away or choose another name", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The disk is full; finalize again once there is room.
    #[error("no space left for {}; free some, the recording is kept and will be finished", path.display())]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{}: {source}; check the disk and the folder's permissions", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The audio could not be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
}

impl FinalizeError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::DiskFull { path: path.to_owned() }
            }
            _ => Self::Io { path: path.to_owned(), source },
        }
    }
}

/// Renders a journal into a file. Segments without a map are silent: note every decided stretch before.
///
/// Takes about a tenth of a second of CPU time a channel and minute; call it on a worker.
///
/// # Errors
/// See [`FinalizeError`]; nothing is left under the file's name then.
pub fn finalize(journal: &Journal, mut options: FinalizeOptions<'_>) -> Result<Finished, FinalizeError> {
    let timeline = Timeline::new(&journal.notes().intervals, options.open_end);
    if options.channels.is_empty() || timeline.frames() == 0 {
        return Err(FinalizeError::Empty);
    }
    let markers = report::markers(journal, &timeline, &options);
    let wav = WavFrame::new(&WavDescription {
        depth: options.bit_depth,
        channels: options.channels.iter().map(|channel| channel.name.clone()).collect(),
        frames: timeline.frames(),
        origination: Origination {
            started: report::started(journal),
            title: options.title.as_deref().or(journal.title()).unwrap_or_default().to_owned(),
            software: options.software.clone(),
            reference: journal.header().recording.to_string(),
        },
        cues: markers.iter().map(|marker| (marker.frame, marker.text.clone())).collect(),
    });
    let mut renderer = renderer(journal, &timeline, &options)?;
    let mut take = Take::create(&options.out, &wav)?;
    if let Err(error) = write_samples(&mut renderer, &timeline, &mut options, &mut take) {
        take.discard();
        return Err(error);
    }
    let hash = take.finish(&options.out)?;
    let metadata = report::metadata(journal, &timeline, &options, markers, &wav, hash.finish());
    Ok(Finished { frames: timeline.frames(), size: wav.file_bytes(), metadata, path: options.out })
}

fn renderer<'a>(
    journal: &'a Journal,
    timeline: &Timeline,
    options: &FinalizeOptions<'_>,
) -> Result<Renderer<'a>, FinalizeError> {
    let mut renderer = Renderer::new(timeline.clone());
    for channel in &options.channels {
        let plan = journal
            .track(channel.participant)
            .map(|notes| TrackPlan::new(notes, journal.coverage(channel.participant)))
            .unwrap_or_default();
        let packets = journal.packets(channel.participant)?;
        renderer.push_channel(plan, packets.map(|packets| Box::new(packets) as Box<dyn PacketSource + 'a>))?;
    }
    Ok(renderer)
}

fn write_samples(
    renderer: &mut Renderer<'_>,
    timeline: &Timeline,
    options: &mut FinalizeOptions<'_>,
    take: &mut Take<'_>,
) -> Result<(), FinalizeError> {
    let of = timeline.frames();
    let (mut planar, mut bytes) = (Vec::new(), Vec::new());
    let mut from = 0;
    while from < of {
        let to = (from + BLOCK_FRAMES).min(of);
        renderer.render_planar(FileFrame(from), FileFrame(to), &mut planar)?;
        bytes.clear();
        interleave(&planar, options.bit_depth, &mut bytes);
        take.write(&bytes)?;
        from = to;
        if let Some(on_progress) = &mut options.on_progress
            && on_progress(Progress { frames: from, of }).is_break()
        {
            return Err(FinalizeError::Cancelled);
        }
    }
    Ok(())
}
