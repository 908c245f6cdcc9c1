//! What people ask for: once, with the rights to it, and only while it still means what they meant.

use roomtone_protocol::channel::{Answer, Command};
use roomtone_protocol::state::RecordBy;
use roomtone_protocol::{ClockNs, CommandId, ErrorReport, RecordingId};

use crate::failures;
use crate::input::Caller;
use crate::output::{Output, PersonChange};
use crate::room::Room;
use crate::texts;

impl Room {
    /// Carries a command out, or repeats what was answered to it.
    pub(crate) fn command(
        &mut self,
        now: ClockNs,
        caller: Caller,
        id: CommandId,
        based_on: Option<(u32, u64)>,
        command: Command,
        fresh: RecordingId,
    ) {
        let to = caller.participant;
        let result = if let Some(answered) = self.answered.get(to, id) {
            answered.clone()
        } else {
            let result = self.carry_out(now, caller, based_on, command, fresh);
            self.answered.keep(to, id, result.clone());
            result
        };
        let reply = Output::Reply { to, id, result };
        // Before the room's end, if this command brought it about.
        self.afterwards.insert(0, reply);
    }

    fn carry_out(
        &mut self,
        now: ClockNs,
        caller: Caller,
        based_on: Option<(u32, u64)>,
        command: Command,
        fresh: RecordingId,
    ) -> Result<Answer, ErrorReport> {
        if self.closed {
            return Err(failures::room_closed());
        }
        match command {
            Command::Start { title } => self.start(now, caller, based_on, title.as_deref(), fresh)?,
            Command::Stop => self.stop(now, caller, based_on)?,
            Command::Status => {
                return Ok(Answer::Status {
                    current: self.recordings.current_status(now),
                    finalizing: self.recordings.ended_statuses(),
                });
            }
            Command::SetName { name } => self.set_name(caller, name.as_deref())?,
            Command::SetMuted { muted } => self.set_muted(caller, muted)?,
            Command::CloseRoom => self.close(now, caller)?,
            Command::Pause => return Err(failures::not_yet_supported("pause a recording")),
            Command::Resume => return Err(failures::not_yet_supported("resume a recording")),
            Command::Cancel => return Err(failures::not_yet_supported("cancel a recording")),
            Command::Mark { .. } => return Err(failures::not_yet_supported("set markers")),
            Command::Outcome { .. }
            | Command::Recordings
            | Command::Link { .. }
            | Command::Delete { .. }
            | Command::Rename { .. } => return Err(failures::not_the_rooms_own()),
        }
        Ok(Answer::Done)
    }

    fn start(
        &mut self,
        now: ClockNs,
        caller: Caller,
        based_on: Option<(u32, u64)>,
        title: Option<&str>,
        fresh: RecordingId,
    ) -> Result<(), ErrorReport> {
        if !self.config.recording_enabled {
            return Err(failures::recording_disabled());
        }
        self.check_may_record(caller)?;
        let title = texts::clean_title(title)?;
        if self.recordings.knows(fresh) {
            return Err(failures::recording_exists());
        }
        // Two people press Record at the same moment: the second must not cut off what the first just began. Who saw
        // a recording that is over by now still gets a fresh one.
        let current = self.recordings.current_id();
        if current.is_some() && based_on.is_some_and(|seen| self.history.current_in(seen) != Some(current)) {
            return Err(failures::already_changed());
        }
        self.begin(now, fresh, title, Some(caller.participant));
        Ok(())
    }

    fn stop(&mut self, now: ClockNs, caller: Caller, based_on: Option<(u32, u64)>) -> Result<(), ErrorReport> {
        self.check_may_record(caller)?;
        let current = self.recordings.current_id();
        if based_on.is_some_and(|seen| self.history.current_in(seen) != Some(current)) {
            return Err(failures::already_changed());
        }
        if current.is_none() {
            return Err(failures::not_recording());
        }
        self.end(now);
        Ok(())
    }

    fn set_name(&mut self, caller: Caller, name: Option<&str>) -> Result<(), ErrorReport> {
        let name = texts::clean_name(name)?;
        let member = if caller.passing { None } else { self.people.rename(caller.participant, name) };
        if member.ok_or_else(failures::not_in_the_room)? {
            self.tell(caller.participant, PersonChange::Renamed);
        }
        Ok(())
    }

    fn set_muted(&mut self, caller: Caller, muted: bool) -> Result<(), ErrorReport> {
        let member = if caller.passing { None } else { self.people.set_muted(caller.participant, muted) };
        member.ok_or_else(failures::not_in_the_room)
    }

    fn close(&mut self, now: ClockNs, caller: Caller) -> Result<(), ErrorReport> {
        if !caller.host {
            return Err(failures::hosts_only("close the room"));
        }
        self.end(now);
        self.closed = true;
        self.afterwards.push(Output::RoomClosed);
        Ok(())
    }

    /// Whether the caller may start and stop recordings.
    fn check_may_record(&self, caller: Caller) -> Result<(), ErrorReport> {
        if caller.host {
            return Ok(());
        }
        if self.config.record_by == RecordBy::Host {
            return Err(failures::hosts_only("record"));
        }
        // A passing visitor may use the same key as somebody's observing window.
        if !caller.passing && self.people.is_observer(caller.participant) {
            return Err(failures::observers_only_watch());
        }
        Ok(())
    }
}
