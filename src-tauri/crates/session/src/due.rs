//! What happens by itself when its time has come, and when that is.

use std::time::Duration;

use roomtone_protocol::{ClockNs, ErrorReport};

use crate::disk;
use crate::failures;
use crate::output::{Output, Warning};
use crate::room::Room;
use crate::timing::after;

/// How often everyone sees the elapsed time move.
const RENEWAL: Duration = Duration::from_secs(1);

impl Room {
    /// When [`crate::Input::Tick`] is due if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<ClockNs> {
        let current = self.recordings.current();
        let renewal = current.and_then(|current| current.reaches(self.shown + RENEWAL));
        let limit = self.config.time_limit;
        let warning = current.zip(limit).and_then(|(current, limit)| current.next_limit_warning(limit));
        let dates = [self.grace_over(), self.limit_reached(), warning, self.recordings.next_drop(), renewal];
        dates.into_iter().flatten().min()
    }

    /// Ends what has to end up to now, at the instant at which it had to, and warns of what is close.
    pub(crate) fn carry_out_due(&mut self, now: ClockNs) {
        let over = [self.grace_over(), self.limit_reached()].into_iter().flatten().min();
        if let Some(at) = over.filter(|&at| at <= now) {
            self.end(at);
        }
        if let Some((current, limit)) = self.recordings.current_mut().zip(self.config.time_limit)
            && let Some(left) = current.warn_of_limit(now, limit)
        {
            let (recording, warning) = (current.recording, Warning::TimeLimit { left });
            self.outputs.push_back(Output::Warning { recording, warning });
        }
        self.recordings.drop_shown(now);
    }

    /// Whether the elapsed time is to be shown again. It moves in whole seconds from the beginning.
    pub(crate) fn renewal_due(&mut self, now: ClockNs) -> bool {
        let Some(current) = self.recordings.current() else { return false };
        let seconds = Duration::from_secs(current.elapsed(now).as_secs());
        let due = seconds > self.shown;
        self.shown = seconds.max(self.shown);
        due
    }

    /// Warns the host of a disk that fills up, and ends what runs while there is still room to finish it.
    pub(crate) fn watch_disk(&mut self, now: ClockNs) {
        let full = self.disk.is_full();
        let left = self.disk_left();
        let Some(current) = self.recordings.current_mut() else { return };
        let recording = current.recording;
        if full {
            let ErrorReport { message, hint, .. } = failures::disk_filled_up();
            self.cut_short(now, recording, &message, &hint);
            self.outputs.push_back(Output::Warning { recording, warning: Warning::DiskFull });
        } else if let Some(left) = left.filter(|&left| current.warn_of_disk(left)) {
            self.outputs.push_back(Output::Warning { recording, warning: Warning::Disk { left } });
        }
    }

    /// Asks for a recording when it is time that one begins by itself.
    pub(crate) fn watch_people(&mut self) {
        let (there, may) = (self.people.present_with_microphone(), self.may_begin_by_itself());
        if self.auto_record.settle(there, may) {
            self.outputs.push_back(Output::WantsRecording);
        }
    }

    /// Whether a recording should begin by itself now.
    pub(crate) fn begins_by_itself(&self) -> bool {
        self.auto_record.wants(self.people.present_with_microphone(), self.may_begin_by_itself())
    }

    fn may_begin_by_itself(&self) -> bool {
        let idle = self.recordings.current().is_none() && !self.closed;
        idle && self.config.recording_enabled && !self.disk.is_full()
    }

    /// Recorded time that the disk has room for, with the channels that there are or would be now.
    fn disk_left(&self) -> Option<Duration> {
        let channels = self.recordings.current().map(|current| current.channels.len());
        self.disk.left(channels.unwrap_or_else(|| self.people.with_microphone().count()))
    }

    /// The same as everyone sees it.
    pub(crate) fn disk_left_ms(&self) -> Option<u64> {
        self.disk_left().map(disk::shown)
    }

    /// When the current recording has run for the grace time with nobody present.
    fn grace_over(&self) -> Option<ClockNs> {
        let (current, since) = (self.recordings.current()?, self.deserted_since?);
        Some(after(since.max(current.begun), self.config.grace))
    }

    /// When the current recording is as long as it may be.
    fn limit_reached(&self) -> Option<ClockNs> {
        self.recordings.current()?.reaches(self.config.time_limit?)
    }
}
