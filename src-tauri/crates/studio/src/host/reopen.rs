//! The journal of a recording that is over is opened again, because somebody came back with more of it.

use std::path::Path;

use roomtone_engine::{Moment, RecorderInput, Reopened};
use roomtone_protocol::RecordingId;
use roomtone_recorder::Journal;

use super::engine::{Engine, Input, moment};
use super::folder;

/// A journal that is open again, and what it holds.
pub(super) struct Opened {
    journal: Journal,
    reopened: Reopened,
}

impl Engine {
    /// Opens a journal beside whatever else is going on: hours of audio are read.
    pub(super) fn reopen_journal(&self, recording: RecordingId) {
        let (folder, inbox) = (self.folder(recording), self.parts.inbox.clone());
        let now = self.parts.end.on_timeline(moment());
        tokio::task::spawn_blocking(move || {
            let result = open(&folder, now).map(Box::new);
            // Without an engine nobody needs it.
            drop(inbox.blocking_send(Input::Reopened { recording, result }));
        });
    }

    pub(super) fn reopened(&mut self, recording: RecordingId, result: Result<Box<Opened>, String>) {
        let result = result.and_then(|opened| {
            let Opened { journal, reopened } = *opened;
            let adopted = self.parts.desk.writer.adopt(recording, journal, None);
            adopted.then_some(reopened).ok_or_else(|| "the disk is too far behind".to_owned())
        });
        self.handle(RecorderInput::JournalReopened { recording, result });
    }
}

fn open(folder: &Path, now: Moment) -> Result<Opened, String> {
    let path = folder::journal_path(folder);
    if !path.is_dir() {
        return Err("there is no journal of it".to_owned());
    }
    if folder::is_newer(folder) {
        return Err("a newer version of Roomtone finished it; it is left as it is".to_owned());
    }
    let journal = Journal::open(&path).map_err(|error| error.to_string())?;
    // Before anything is written: whatever happens from here on, the next start looks whether there is more to show.
    folder::mark_repairing(folder).map_err(|error| error.to_string())?;
    let reopened = Reopened::of(&journal, now);
    Ok(Opened { journal, reopened })
}

#[cfg(test)]
mod tests {
    use roomtone_protocol::{ClockNs, RoomId};
    use roomtone_recorder::RecordingHeader;

    use super::*;

    #[test]
    fn what_a_newer_version_finished_takes_nothing_more_here() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        let header = RecordingHeader {
            recording: RecordingId::from_bytes([1; 16]),
            room_id: RoomId::from_bytes([2; 16]),
            room: "Studio".to_owned(),
            title: None,
            started_by: None,
        };
        drop(Journal::create(&folder::journal_path(folder), header).unwrap());
        let now = Moment { clock: ClockNs(0), wall_ns: 0 };
        std::fs::write(folder.join("take.json"), br#"{"schema":2,"of":"another shape"}"#).unwrap();
        assert!(open(folder, now).is_err_and(|reason| reason.contains("newer version")));
        assert!(!folder.join("repairing").exists());
        std::fs::remove_file(folder.join("take.json")).unwrap();
        assert!(open(folder, now).is_ok() && folder.join("repairing").exists());
    }
}
