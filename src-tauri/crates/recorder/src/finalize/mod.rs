//! From a journal to a finished take: the whole file, fsynced under its name, and its metadata.
//!
//! [`finalize`] is one pass over a journal that nobody writes to any more: a [`Take`] from its beginning to its end.
//! A take that grew with its journal has only its tail left to do.

mod error;
mod hashing;
pub(crate) mod report;

use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;

use roomtone_protocol::metadata::{Consent, Metadata, Unrecorded};
use roomtone_protocol::{ClockNs, ParticipantId};

use crate::journal::{Journal, SessionNotes};
use crate::render::BitDepth;
use crate::take::{Take, TakeSettings};

pub use error::FinalizeError;
pub use hashing::hash_take;

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
        Self::from_notes(journal.notes())
    }

    /// The channels that were noted, in order, with the names and goodbyes.
    #[must_use]
    pub fn from_notes(notes: &SessionNotes) -> Vec<Self> {
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

/// Called after every step; breaking off leaves nothing behind.
pub type OnProgress<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// What to make of a journal.
pub struct FinalizeOptions<'a> {
    /// The file to write. It must not exist yet; `{out}.partial` and `{out}.state` are written meanwhile. A [`Take`]
    /// has its own.
    pub out: PathBuf,
    /// How samples stand in it. A [`Take`] has its own.
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
    /// What is to be published beside it, once it has its hashes.
    pub metadata: Metadata,
    /// The file.
    pub path: PathBuf,
    /// Its length in frames.
    pub frames: u64,
    /// Its size in bytes.
    pub size: u64,
}

impl Finished {
    /// Reads the file once more, for the hashes of the whole and of its parts: see [`hash_take`].
    ///
    /// # Errors
    /// [`FinalizeError::Io`]; the file is untouched.
    pub fn hash(&mut self) -> Result<(), FinalizeError> {
        let hashed = hashing::hash_take(&self.path, || true).map_err(FinalizeError::io(&self.path))?;
        let Some((whole, parts)) = hashed else { return Ok(()) };
        self.metadata.sha256 = Some(whole);
        self.metadata.parts = parts;
        Ok(())
    }
}

/// Renders a journal into a file and hashes it. Segments without a map are silent: note every decided stretch before.
///
/// Takes about a tenth of a second of CPU time a channel and minute; call it on a worker.
///
/// # Errors
/// See [`FinalizeError`]; nothing is left under the file's name then.
pub fn finalize(journal: &Journal, options: FinalizeOptions<'_>) -> Result<Finished, FinalizeError> {
    let settings =
        TakeSettings { out: options.out.clone(), depth: options.bit_depth, recording: journal.header().recording };
    let mut finished = Take::open(settings)?.finish(&journal.snapshot(), options)?;
    finished.hash()?;
    Ok(finished)
}
