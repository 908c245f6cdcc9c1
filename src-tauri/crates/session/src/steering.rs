//! Start, stop, pause, resume, cancel.

use roomtone_protocol::{ClockNs, ErrorReport, RecordingId};

use crate::current::Description;
use crate::failures;
use crate::input::Caller;
use crate::output::Output;
use crate::room::Room;

/// Most pauses of one recording: far above what people do in a day. Every participant is told all of them with every new
/// link.
pub const MAX_PAUSES: u32 = 1_000;

type BasedOn = Option<(u32, u64)>;

impl Room {
    pub(crate) fn check_may_start(&self, caller: Caller) -> Result<(), ErrorReport> {
        if !self.config.recording_enabled {
            return Err(failures::recording_disabled());
        }
        self.check_may_record(caller)
    }

    pub(crate) fn start(
        &mut self,
        now: ClockNs,
        caller: Caller,
        based_on: BasedOn,
        described: Description,
        fresh: RecordingId,
    ) -> Result<(), ErrorReport> {
        if self.recordings.knows(fresh) {
            return Err(failures::recording_exists());
        }
        // Two people press Record at the same moment: the second must not cut off what the first just began. Who saw
        // a recording that is over by now still gets a fresh one.
        if self.recordings.current().is_some() {
            self.check_seen(based_on)?;
        }
        if self.disk.is_full() {
            return Err(failures::disk_full());
        }
        self.begin(now, fresh, described, Some(caller.participant));
        Ok(())
    }

    pub(crate) fn stop(&mut self, now: ClockNs, caller: Caller, based_on: BasedOn) -> Result<(), ErrorReport> {
        self.check_may_record(caller)?;
        self.check_seen(based_on)?;
        if self.recordings.current().is_none() {
            return Err(failures::not_recording());
        }
        self.end(now);
        Ok(())
    }

    /// A second command to pause is refused: whoever gave it wanted what is so already, or the opposite.
    pub(crate) fn pause(&mut self, now: ClockNs, caller: Caller, based_on: BasedOn) -> Result<(), ErrorReport> {
        self.check_may_record(caller)?;
        self.check_seen(based_on)?;
        let current = self.recordings.current_mut().ok_or_else(failures::not_recording)?;
        if current.is_paused() {
            return Err(failures::paused_already());
        }
        if current.pauses >= MAX_PAUSES {
            return Err(failures::too_many("pauses", "stop, and start a fresh recording"));
        }
        current.pause(now);
        let recording = current.recording;
        self.outputs.push_back(Output::Pause { recording, at: now });
        Ok(())
    }

    pub(crate) fn resume(&mut self, now: ClockNs, caller: Caller, based_on: BasedOn) -> Result<(), ErrorReport> {
        self.check_may_record(caller)?;
        self.check_seen(based_on)?;
        let current = self.recordings.current_mut().ok_or_else(failures::not_recording)?;
        if !current.is_paused() {
            return Err(failures::running_already());
        }
        current.resume(now);
        let recording = current.recording;
        self.outputs.push_back(Output::Resume { recording, at: now });
        Ok(())
    }

    /// Discards a recording for good, as long as it is not completed: what is in the bucket is deleted from there.
    pub(crate) fn cancel(
        &mut self,
        now: ClockNs,
        caller: Caller,
        based_on: BasedOn,
        named: Option<RecordingId>,
    ) -> Result<(), ErrorReport> {
        let recording = if let Some(named) = named {
            named
        } else {
            self.check_seen(based_on)?;
            self.recordings.current_id().ok_or_else(failures::not_recording)?
        };
        let started_by = self.recordings.started_by(recording).ok_or_else(failures::recording_not_found)?;
        if !caller.host && started_by != Some(caller.participant) {
            return Err(failures::not_yours_to_cancel());
        }
        if self.recordings.current_id() == Some(recording) {
            self.end(now);
        }
        self.recordings.cancel(recording, now)?;
        self.outputs.push_back(Output::Discard { recording });
        Ok(())
    }

    /// Whether the current recording is the one that the caller saw.
    pub(crate) fn check_seen(&self, based_on: BasedOn) -> Result<(), ErrorReport> {
        let current = self.recordings.current_id();
        if based_on.is_some_and(|seen| self.history.current_in(seen) != Some(current)) {
            return Err(failures::already_changed());
        }
        Ok(())
    }
}
