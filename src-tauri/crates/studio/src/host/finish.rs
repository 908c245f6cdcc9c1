//! Files are made from journals and given to the upload queue.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use roomtone_disk::{Reserve, is_full};
use roomtone_engine::{FinalizeFailure, Finished, HostEvent, RecorderInput, last_audio, note_end, note_maps};
use roomtone_packets::MapStretch;
use roomtone_protocol::metadata::Metadata;
use roomtone_protocol::state::UploadProgress;
use roomtone_protocol::{ErrorReport, ParticipantId, RecordingId};
use roomtone_recorder::{BitDepth, ChannelSpec, FinalizeError, FinalizeOptions, Journal, JournalError, TakeSettings};
use roomtone_storage::{Going, Job, PublishEvent, Publisher};

use super::discard::withdraw;
use super::engine::{Engine, Input};
use super::folder::{self, Unfinished, Version};
use super::hashing;
use super::shelf::duration_ms;
use super::take::{self, Growing, Grown};
use super::writer::Closed;

/// A finalized recording, or why there is none.
pub(super) struct Finish {
    recording: RecordingId,
    result: Result<Made, WriteError>,
}

/// A whole file that the upload queue does not have yet.
pub(super) enum Made {
    /// Its metadata is still to be written, as this version's.
    Now(Box<roomtone_recorder::Finished>, Version),
    /// By an earlier start.
    Found(Box<Metadata>),
}

impl Made {
    fn metadata(&self) -> &Metadata {
        match self {
            Self::Now(finished, _) => &finished.metadata,
            Self::Found(metadata) => metadata,
        }
    }

    /// What is to be published beside it, which is in the folder then. A long recording's hashes come later.
    fn described(self, folder: &Path, reserve: &Reserve) -> Result<Metadata, ErrorReport> {
        let (mut finished, version) = match self {
            Self::Now(finished, version) => (finished, version),
            Self::Found(metadata) => return Ok(*metadata),
        };
        let failed = |error: io::Error| crate::data_dir::io(folder, &error);
        if hashing::is_due_at_once(&finished.metadata, version) {
            finished.hash().map_err(|error| crate::data_dir::io(folder, &io::Error::other(error)))?;
        }
        let write = || folder::write_metadata(folder, version, &finished.metadata);
        write()
            .or_else(|error| if is_full(&error) && reserve.release()? { write() } else { Err(error) })
            .map_err(failed)?;
        Ok(finished.metadata)
    }
}

/// Why a file could not be made.
enum WriteError {
    /// Nobody had a channel.
    Empty,
    /// A person must do something; the journal is kept.
    Failed(String),
    /// The same, because the disk is full.
    DiskFull(String),
}

/// What a finalizing thread needs.
struct Work {
    recording: RecordingId,
    folder: PathBuf,
    /// The maps that the recorder's end has decided; None is for the journal to say, after a restart.
    maps: Option<Vec<(ParticipantId, MapStretch)>>,
    bit_depth: BitDepth,
    reserve: Reserve,
}

impl Engine {
    /// Closes the journal of a settled take and brings its file to its end, beside whatever else is going on.
    pub(super) fn finalize(&mut self, recording: RecordingId, maps: Vec<(ParticipantId, MapStretch)>) {
        let writer = self.parts.desk.writer.clone();
        self.make(recording, Some(maps), move |_| {
            writer.close(recording).ok_or_else(|| WriteError::Failed("its journal could not be written".into()))
        });
    }

    /// Closes the journal of a recording that takes no more for now, if it is open, and makes its file anew.
    pub(super) fn finalize_again(&mut self, recording: RecordingId) {
        let writer = self.parts.desk.writer.clone();
        // The measurements in the journal tell all that is known, also of what came since the first file was made.
        self.make(recording, None, move |folder| match writer.close(recording) {
            Some(closed) => Ok(closed),
            None => open_journal(folder),
        });
    }

    /// Closes a journal that was opened in vain.
    pub(super) fn close_journal(&self, recording: RecordingId) {
        let (writer, folder) = (self.parts.desk.writer.clone(), self.folder(recording));
        tokio::task::spawn_blocking(move || {
            drop(writer.close(recording));
            if let Err(error) = folder::unmark_repairing(&folder) {
                tracing::warn!(%error, "a recording is made anew at the next start although nothing changed");
            }
        });
    }

    /// Makes the file of a journal that an earlier start left.
    pub(super) fn finalize_found(&mut self, recording: RecordingId) {
        self.make(recording, None, open_journal);
    }

    fn make(
        &mut self,
        recording: RecordingId,
        maps: Option<Vec<(ParticipantId, MapStretch)>>,
        closed: impl FnOnce(&Path) -> Result<Closed, WriteError> + Send + 'static,
    ) {
        let work = self.work(recording, maps);
        let inbox = self.parts.inbox.clone();
        tokio::task::spawn_blocking(move || {
            let write = || closed(&work.folder).and_then(|closed| write_with_reserve(closed, &work));
            // Whoever waits for the file would wait for ever, and so would the end of the program.
            let result = catch_unwind(AssertUnwindSafe(write)).unwrap_or_else(|_| {
                Err(WriteError::Failed("its file could not be made because of a mistake in the program".to_owned()))
            });
            // The engine waits for this before it ends.
            drop(inbox.blocking_send(Input::Finished(Box::new(Finish { recording, result }))));
        });
    }

    /// Takes up what an earlier start did not finish: journals without a file, files without an upload, uploads.
    pub(super) fn recover(&mut self) -> io::Result<Vec<RecordingId>> {
        let mut recovered = Vec::new();
        for recording in self.parts.publisher.pending() {
            if let Some(metadata) = folder::read_metadata(&self.folder(recording)) {
                recovered.push(recording);
                self.found_take(metadata, true);
            }
        }
        for (recording, _) in folder::all(&self.parts.recordings)? {
            // The program ended between the tombstone and the removal.
            if self.parts.publisher.is_discarded(recording) {
                folder::remove_all(&self.folder(recording))?;
            }
        }
        let mut journals = Vec::new();
        for unfinished in folder::unfinished(&self.parts.recordings)? {
            match unfinished {
                Unfinished::Take(metadata) if !recovered.contains(&metadata.id) => {
                    recovered.push(metadata.id);
                    self.found_take(*metadata, false);
                }
                Unfinished::Take(_) => {}
                Unfinished::Repair(recording) => self.handle(RecorderInput::FoundRepair { recording }),
                Unfinished::Journal(recording, folder) => {
                    recovered.push(recording);
                    journals.push((recording, folder));
                }
            }
        }
        self.take_up(&journals);
        Ok(recovered)
    }

    /// A file of an earlier start is on its way to the bucket again.
    fn found_take(&mut self, metadata: Metadata, submitted: bool) {
        let (recording, title, notes) = (metadata.id, metadata.title.clone(), metadata.notes.clone());
        let finished = self.takes_off(&metadata, folder::take_path(&self.folder(recording)));
        if !submitted {
            self.made.insert(recording, Made::Found(Box::new(metadata)));
        }
        self.handle(RecorderInput::FoundTake { recording, title, notes, finished, submitted });
    }

    /// From here on the file is shown as uploading.
    fn takes_off(&self, metadata: &Metadata, path: PathBuf) -> Finished {
        self.parts.desk.shelf.uploading(metadata);
        Finished {
            path,
            channels: u16::try_from(metadata.channels.len()).unwrap_or(u16::MAX),
            duration_ms: duration_ms(metadata),
            gapless: metadata.gapless,
        }
    }

    fn work(&self, recording: RecordingId, maps: Option<Vec<(ParticipantId, MapStretch)>>) -> Work {
        let (bit_depth, reserve) = (self.parts.desk.bit_depth, self.parts.reserve.clone());
        Work { recording, folder: self.folder(recording), maps, bit_depth, reserve }
    }

    pub(super) fn folder(&self, recording: RecordingId) -> PathBuf {
        self.parts.recordings.join(recording.to_string())
    }

    pub(super) fn finished(&mut self, finish: Finish) {
        let Finish { recording, result } = finish;
        if let Err(WriteError::Empty) = result {
            let publisher = Arc::clone(&self.parts.publisher);
            tokio::spawn(async move { withdraw(&publisher, recording).await });
        }
        let result = result.map_err(FinalizeFailure::from).map(|made| {
            let path = match &made {
                Made::Now(finished, _) => finished.path.clone(),
                Made::Found(_) => folder::take_path(&self.folder(recording)),
            };
            let finished = self.takes_off(made.metadata(), path);
            self.made.insert(recording, made);
            finished
        });
        self.handle(RecorderInput::Finalized { recording, result });
    }

    /// Gives a whole file to the upload queue.
    pub(super) fn submit(&mut self, recording: RecordingId) {
        let Some(made) = self.made.remove(&recording) else { return };
        let (folder, reserve) = (self.folder(recording), self.parts.reserve.clone());
        let (publisher, inbox) = (Arc::clone(&self.parts.publisher), self.parts.inbox.clone());
        tokio::spawn(async move {
            let described = tokio::task::spawn_blocking({
                let folder = folder.clone();
                move || made.described(&folder, &reserve)
            });
            let result = match described.await.unwrap_or_else(|panic| resume_unwind(panic.into_panic())) {
                Ok(metadata) => {
                    let job = Job { recording, take: folder::take_path(&folder), metadata };
                    hand_in(&publisher, &folder, job).await
                }
                Err(error) => Err(error),
            };
            // The engine waits for this before it ends.
            drop(inbox.send(Input::Submitted { recording, result }).await);
        });
    }

    pub(super) fn published(&mut self, event: PublishEvent) {
        match event {
            PublishEvent::Progress { recording, going } => {
                let Going { bytes, total, rate, left } = going;
                let left_ms = left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
                let upload = UploadProgress { bytes, total, rate, left_ms };
                self.handle(RecorderInput::GoesUp { recording, upload });
            }
            PublishEvent::Retrying { recording, error, .. } => {
                self.handle(RecorderInput::UploadTrouble { recording, error });
            }
            PublishEvent::Abandoned { error, .. } => self.tell(HostEvent::Problem { error }),
            PublishEvent::Discarded { recording } => self.remove_folder(recording),
            PublishEvent::Published { recording, key, size, take } => {
                let (shelf, inbox) = (self.parts.desk.shelf.clone(), self.parts.inbox.clone());
                let folder = self.folder(recording);
                self.parts.hashing.begin(recording);
                tokio::spawn(async move {
                    if let Some(take) = take
                        && let Err(error) = folder::remove_before(&folder, &take)
                    {
                        tracing::warn!(%error, "an outdated file of a recording stays on the disk");
                    }
                    shelf.published(recording, &key).await;
                    // Without an engine nobody needs to be told: the next start finds it in the bucket.
                    drop(inbox.send(Input::Completed { recording, key, size }).await);
                });
            }
        }
    }
}

/// Gives a file to the upload queue and remembers that it has it.
async fn hand_in(publisher: &Publisher, folder: &Path, job: Job) -> Result<(), ErrorReport> {
    let failed = |error: io::Error| crate::data_dir::io(folder, &error);
    if folder::is_submitted(folder) {
        publisher.revise(job).await.map_err(ErrorReport::from)?;
    } else {
        if job.metadata.sha256.is_none() {
            folder::mark_unhashed(folder).map_err(failed)?;
        }
        publisher.submit(job).await.map_err(ErrorReport::from)?;
        folder::mark_submitted(folder).map_err(failed)?;
    }
    folder::unmark_repairing(folder).map_err(failed)
}

fn open_journal(folder: &Path) -> Result<Closed, WriteError> {
    let journal = Journal::open(&folder::journal_path(folder))?;
    Ok(Closed { journal, growing: None })
}

impl From<WriteError> for FinalizeFailure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Empty => Self::Empty,
            WriteError::Failed(reason) | WriteError::DiskFull(reason) => Self::Failed(reason),
        }
    }
}

impl From<JournalError> for WriteError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::DiskFull { .. } => Self::DiskFull(error.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<FinalizeError> for WriteError {
    fn from(error: FinalizeError) -> Self {
        match error {
            FinalizeError::Empty => Self::Empty,
            FinalizeError::Journal(error) => error.into(),
            FinalizeError::DiskFull { .. } => Self::DiskFull(error.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        if is_full(&error) { Self::DiskFull(error.to_string()) } else { Self::Failed(error.to_string()) }
    }
}

/// Writes the file; once more, into the room that was held in reserve, if the disk is full.
fn write_with_reserve(closed: Closed, work: &Work) -> Result<Made, WriteError> {
    let Closed { mut journal, growing } = closed;
    match write(&mut journal, growing.and_then(Growing::stop), work) {
        Err(WriteError::DiskFull(reason)) => {
            tracing::warn!(reason, "a recording is finished with what was held in reserve");
            if work.reserve.release()? { write(&mut journal, None, work) } else { Err(WriteError::DiskFull(reason)) }
        }
        written => written,
    }
}

/// Writes the file, beside earlier versions of it; valid, and on the disk for good.
fn write(journal: &mut Journal, grown: Option<Grown>, work: &Work) -> Result<Made, WriteError> {
    let maps = note_maps(journal, work.maps.clone())?;
    let open_end = last_audio(journal, &maps);
    note_end(journal, open_end)?;
    let before = Version::newest(&work.folder);
    let version = before.map_or(Version::FIRST, Version::next);
    let before = before.map(|before| before.take(&work.folder));
    let (out, depth) = (version.take(&work.folder), work.bit_depth);
    let settings = TakeSettings { out: out.clone(), depth, recording: work.recording };
    let channels = ChannelSpec::from_journal(journal);
    let finished = take::finish(journal, grown, &settings, before.as_deref(), || {
        let mut options = FinalizeOptions::new(out.clone(), channels.clone(), software());
        (options.bit_depth, options.open_end) = (depth, open_end);
        options
    })?;
    Ok(Made::Now(Box::new(finished), version))
}

fn software() -> String {
    format!("roomtone {}", env!("CARGO_PKG_VERSION"))
}
