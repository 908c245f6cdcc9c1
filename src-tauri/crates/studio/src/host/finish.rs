//! From a settled take to a recording that everybody can download.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use roomtone_packets::{MapStretch, Record};
use roomtone_protocol::channel::{Command, ToParticipant};
use roomtone_protocol::metadata::Metadata;
use roomtone_protocol::{ClockNs, CommandId, ErrorReport, ParticipantId, RecordingId, SAMPLE_RATE};
use roomtone_recorder::{
    BitDepth, ChannelSpec, FinalizeError, FinalizeOptions, Journal, JournalError, TrackClock, finalize,
};
use roomtone_session::{Caller, Input as RoomInput};
use roomtone_storage::{Job, PublishEvent};

use super::engine::{Engine, Input};
use super::folder::{self, Unfinished};
use super::shelf::duration_ms;
use crate::events::HostEvent;
use crate::random;

/// A finalized recording, or why there is none.
pub(super) struct Finish {
    pub(super) recording: RecordingId,
    pub(super) result: Result<Metadata, FinalizeFailure>,
}

/// Why a file could not be made.
pub(super) enum FinalizeFailure {
    /// Nobody had a channel.
    Empty,
    /// A person must do something; the journal is kept.
    Failed(String),
}

/// A recording that is over for this program.
pub(super) struct Finished {
    pub(super) path: PathBuf,
    pub(super) channels: u16,
    pub(super) duration_ms: u64,
    pub(super) gapless: bool,
}

/// What a finalizing thread needs.
struct Work {
    folder: PathBuf,
    /// The maps that the host has decided; None is for the journal to say, after a restart.
    maps: Option<Vec<(ParticipantId, MapStretch)>>,
    bit_depth: BitDepth,
}

impl Engine {
    /// Closes the journal of a settled take and makes its file, beside whatever else is going on.
    pub(super) fn finish(&mut self, recording: RecordingId) {
        let Some(take) = self.takes.remove(&recording) else { return };
        if take.failed {
            return;
        }
        let mut maps = Vec::new();
        for participant in &take.channels {
            if let Some(track) = self.tracks.get_mut(participant) {
                let segments: Vec<_> = track.clock.segments().collect();
                let decided = segments.into_iter().filter_map(|segment| track.clock.stretch(segment));
                maps.extend(decided.map(|stretch| (*participant, stretch)));
            }
        }
        let work = Work { folder: self.folder(recording), maps: Some(maps), bit_depth: self.parts.bit_depth };
        let writer = self.parts.writer.clone();
        self.finalize(recording, work, move || {
            writer.close(recording).ok_or_else(|| FinalizeFailure::Failed("its journal could not be written".into()))
        });
    }

    /// Takes up what an earlier start did not finish: journals without a file, files without an upload, uploads.
    pub(super) fn recover(&mut self) -> io::Result<Vec<RecordingId>> {
        let mut recovered = Vec::new();
        for recording in self.parts.publisher.pending() {
            if let Some(metadata) = folder::read_metadata(&self.folder(recording)) {
                recovered.push(recording);
                self.recovered_take(&metadata);
            }
        }
        for unfinished in folder::unfinished(&self.parts.recordings)? {
            match unfinished {
                Unfinished::Take(metadata) if !recovered.contains(&metadata.id) => {
                    recovered.push(metadata.id);
                    self.recovered_take(&metadata);
                    self.finalizing.insert(metadata.id);
                    let folder = self.folder(metadata.id);
                    let take = folder::take_path(&folder);
                    self.submit(folder, Job { recording: metadata.id, take, metadata: *metadata });
                }
                Unfinished::Take(_) => {}
                Unfinished::Journal(recording, folder) => {
                    recovered.push(recording);
                    let (title, notes, started_by, length) = (None, None, None, Duration::ZERO);
                    self.room(RoomInput::Recovered { recording, title, notes, started_by, length, finalized: false });
                    let path = folder::journal_path(&folder);
                    let work = Work { folder, maps: None, bit_depth: self.parts.bit_depth };
                    self.finalize(recording, work, move || {
                        let open = Journal::open(&path);
                        open.map_err(|error| FinalizeFailure::Failed(error.to_string()))
                    });
                }
            }
        }
        self.drain();
        Ok(recovered)
    }

    /// A file of an earlier start is on its way to the bucket again.
    fn recovered_take(&mut self, metadata: &Metadata) {
        self.room(RoomInput::Recovered {
            recording: metadata.id,
            title: metadata.title.clone(),
            notes: metadata.notes.clone(),
            started_by: None,
            length: Duration::from_millis(duration_ms(metadata)),
            finalized: true,
        });
        self.takes_off(metadata);
    }

    /// From here on the file is shown as uploading.
    fn takes_off(&mut self, metadata: &Metadata) {
        let finished = Finished {
            path: folder::take_path(&self.folder(metadata.id)),
            channels: u16::try_from(metadata.channels.len()).unwrap_or(u16::MAX),
            duration_ms: duration_ms(metadata),
            gapless: metadata.gapless,
        };
        self.uploading.insert(metadata.id, finished);
        self.parts.shelf.uploading(metadata);
    }

    fn folder(&self, recording: RecordingId) -> PathBuf {
        self.parts.recordings.join(recording.to_string())
    }

    fn finalize(
        &mut self,
        recording: RecordingId,
        work: Work,
        journal: impl FnOnce() -> Result<Journal, FinalizeFailure> + Send + 'static,
    ) {
        self.finalizing.insert(recording);
        let inbox = self.parts.inbox.clone();
        tokio::task::spawn_blocking(move || {
            let result = journal().and_then(|journal| write(journal, work));
            // The engine waits for this before it ends.
            drop(inbox.blocking_send(Input::Finished(Box::new(Finish { recording, result }))));
        });
    }

    /// A file is whole: it goes to the bucket.
    pub(super) fn finished(&mut self, finish: Finish) {
        let Finish { recording, result } = finish;
        match result {
            Ok(metadata) => {
                self.room(RoomInput::Finalized { recording });
                self.takes_off(&metadata);
                let folder = self.folder(recording);
                let take = folder::take_path(&folder);
                self.submit(folder, Job { recording, take, metadata });
            }
            Err(FinalizeFailure::Empty) => {
                self.finalizing.remove(&recording);
                self.room(RoomInput::Empty { recording });
            }
            Err(FinalizeFailure::Failed(reason)) => {
                self.finalizing.remove(&recording);
                let hint = "its audio is kept in the data folder; make room there and start the host again".to_owned();
                self.room(RoomInput::Failed { recording, reason, hint });
            }
        }
    }

    fn submit(&mut self, folder: PathBuf, job: Job) {
        let (publisher, inbox) = (Arc::clone(&self.parts.publisher), self.parts.inbox.clone());
        tokio::spawn(async move {
            let recording = job.recording;
            let submitted = publisher.submit(job).await.map_err(ErrorReport::from);
            let result = submitted
                .and_then(|()| folder::mark_submitted(&folder).map_err(|error| crate::data_dir::io(&folder, &error)));
            // The engine waits for this before it ends.
            drop(inbox.send(Input::Submitted { recording, result }).await);
        });
    }

    pub(super) fn submitted(&mut self, recording: RecordingId, result: Result<(), ErrorReport>) {
        self.finalizing.remove(&recording);
        if let Err(error) = result {
            self.uploading.remove(&recording);
            self.room(RoomInput::Failed { recording, reason: error.message, hint: error.hint });
        }
    }

    pub(super) fn published(&mut self, event: PublishEvent) {
        match event {
            PublishEvent::Progress { recording, bytes, total } => {
                self.tell(HostEvent::UploadProgress { recording, bytes, total });
            }
            PublishEvent::Retrying { recording, error, .. } => {
                self.room(RoomInput::Trouble { recording, trouble: Some(error.clone()) });
                self.tell(HostEvent::UploadRetrying { recording, error });
            }
            PublishEvent::Published { recording, key, size } => {
                let (shelf, inbox) = (self.parts.shelf.clone(), self.parts.inbox.clone());
                tokio::spawn(async move {
                    shelf.published(recording).await;
                    // Without an engine nobody needs to be told: the next start finds it in the bucket.
                    drop(inbox.send(Input::Completed { recording, key, size }).await);
                });
            }
        }
    }

    pub(super) fn completed(&mut self, recording: RecordingId, key: String, size: u64) {
        self.room(RoomInput::Completed { recording });
        self.drain();
        let Some(finished) = self.uploading.remove(&recording) else { return };
        self.tell(HostEvent::RecordingCompleted {
            recording,
            path: finished.path.clone(),
            key,
            size,
            channels: finished.channels,
            duration_ms: finished.duration_ms,
            gapless: finished.gapless,
        });
        if finished.gapless {
            self.archived.insert(recording);
            self.links.values().for_each(|link| link.outbox.send(ToParticipant::Archived { recording }));
        }
    }

    /// The program ends: what runs is finalized, as if its host had pressed Stop.
    pub(super) fn stop_for_good(&mut self) -> Result<(), ErrorReport> {
        let id = CommandId::from_bytes(random::bytes()?);
        let fresh = RecordingId::from_bytes(random::bytes()?);
        let caller = Caller { participant: self.parts.me, host: true, passing: true };
        self.room(RoomInput::Command { caller, id, based_on: None, command: Command::Stop, fresh });
        Ok(())
    }
}

/// Writes the file and its metadata.
fn write(mut journal: Journal, work: Work) -> Result<Metadata, FinalizeFailure> {
    let failed = |error: &dyn std::fmt::Display| FinalizeFailure::Failed(error.to_string());
    let maps = match work.maps {
        Some(maps) => maps,
        None => maps_of(&journal).map_err(|error| failed(&error))?,
    };
    for (participant, stretch) in &maps {
        journal.append(*participant, &Record::MapStretch(*stretch)).map_err(|error| failed(&error))?;
    }
    journal.sync().map_err(|error| failed(&error))?;
    let out = folder::take_path(&work.folder);
    folder::remove_take(&work.folder).map_err(|error| failed(&error))?;
    let mut options = FinalizeOptions::new(out, ChannelSpec::from_journal(&journal), software());
    options.bit_depth = work.bit_depth;
    options.open_end = last_audio(&journal, &maps);
    let finished = finalize(&journal, options).map_err(|error| match error {
        FinalizeError::Empty => FinalizeFailure::Empty,
        other => failed(&other),
    })?;
    folder::write_metadata(&work.folder, &finished.metadata).map_err(|error| failed(&error))?;
    Ok(finished.metadata)
}

/// After a restart: what the journal's measurements say about every segment.
fn maps_of(journal: &Journal) -> Result<Vec<(ParticipantId, MapStretch)>, JournalError> {
    let mut maps = Vec::new();
    for participant in journal.participants() {
        let mut clock = TrackClock::default();
        journal.replay(participant, |record| clock.restore(&record))?;
        let segments: Vec<_> = clock.segments().collect();
        maps.extend(segments.into_iter().filter_map(|segment| clock.stretch(segment)).map(|map| (participant, map)));
    }
    Ok(maps)
}

/// The end of the newest audio on the recorder's clock: where a recording ends that nobody stopped.
fn last_audio(journal: &Journal, maps: &[(ParticipantId, MapStretch)]) -> Option<ClockNs> {
    let ends = maps.iter().filter_map(|(participant, map)| {
        let (_, end) = journal.coverage(*participant).segment(map.segment)?.iter().last()?;
        let samples = i64::try_from(end.checked_sub(map.from.0)?).ok()?;
        Some(map.frame + samples)
    });
    let frame = ends.max()?;
    Some(ClockNs(i64::try_from(i128::from(frame) * 1_000_000_000 / i128::from(SAMPLE_RATE)).ok()?))
}

fn software() -> String {
    format!("roomtone {}", env!("CARGO_PKG_VERSION"))
}
