//! Files of recordings: made, given to the bucket, and made anew when somebody brings what they lack.

use std::path::PathBuf;

use roomtone_engine::{Finished, RecorderInput, Reopened, last_audio, note_end, note_maps};
use roomtone_packets::MapStretch;
use roomtone_protocol::{ParticipantId, RecordingId};

use super::{Happening, World};
use crate::clocks::SECOND;
use crate::oracle;

/// What is told of a file.
pub(super) fn finished(gapless: bool) -> Finished {
    Finished { path: PathBuf::new(), channels: 1, duration_ms: 1, gapless }
}

impl World {
    /// The journal is closed: here the file would be made, and here it is checked what would be in it.
    pub(super) fn finalize(&mut self, recording: RecordingId, maps: Option<Vec<(ParticipantId, MapStretch)>>) {
        let open = self.host.disk.close(recording);
        let Some(mut journal) = open.or_else(|| self.host.disk.open_found(recording)) else { return };
        let maps = note_maps(&mut journal, maps).expect("a disk that works");
        let open_end = last_audio(&journal, &maps);
        note_end(&mut journal, open_end).expect("a disk that works");
        let gapless = oracle::check(self, recording, &journal, open_end);
        let (soon, epoch) = (self.some(0.2, 3.0), self.host.epoch);
        self.after(soon, Happening::Made { epoch, recording, gapless });
    }

    pub(super) fn reopened(&mut self, epoch: u32, recording: RecordingId) {
        if epoch != self.host.epoch || self.host.end.is_none() {
            return;
        }
        let result = match self.host.disk.open_found(recording) {
            Some(journal) => {
                self.host.disk.beside(recording).repairing = true;
                let moment = self.host.moment(self.now);
                let moment = self.host.end.as_ref().map_or(moment, |end| end.on_timeline(moment));
                let reopened = Reopened::of(&journal, moment);
                self.host.disk.adopt(recording, journal);
                Ok(reopened)
            }
            None => Err("there is no journal of it".to_owned()),
        };
        self.tell_host(RecorderInput::JournalReopened { recording, result });
    }

    pub(super) fn made(&mut self, epoch: u32, recording: RecordingId, gapless: bool) {
        if epoch == self.host.epoch && self.host.end.is_some() {
            self.figures.made_at = self.now;
            self.host.disk.beside(recording).made = Some(gapless);
            self.tell_host(RecorderInput::Finalized { recording, result: Ok(finished(gapless)) });
        }
    }

    /// The upload queue is given a file.
    pub(super) fn publish(&mut self, recording: RecordingId) {
        let beside = self.host.disk.beside(recording);
        (beside.submitted, beside.completed, beside.repairing) = (true, false, false);
        self.tell_host(RecorderInput::Submitted { recording, result: Ok(()) });
        self.comes_through(recording);
    }

    /// It has it, and the bucket will.
    pub(super) fn comes_through(&mut self, recording: RecordingId) {
        self.after(SECOND / 10, Happening::Uploaded { epoch: self.host.epoch, recording });
    }

    pub(super) fn uploaded(&mut self, epoch: u32, recording: RecordingId) {
        if epoch == self.host.epoch && self.host.end.is_some() {
            self.host.disk.beside(recording).completed = true;
            let key = recording.to_string();
            self.tell_host(RecorderInput::Completed { recording, key, size: 1 });
        }
    }
}
