//! What people ask for: once, with the rights to it, and only while it still means what they meant.

use roomtone_protocol::channel::{Answer, Command};
use roomtone_protocol::state::RecordBy;
use roomtone_protocol::{ClockNs, CommandId, ErrorReport, RecordingId};

use crate::current::Description;
use crate::failures;
use crate::input::Caller;
use crate::output::{Output, PersonChange};
use crate::room::Room;
use crate::texts::{clean_name, clean_notes, clean_title};

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
            let result = self.carry_out(now, caller, id, based_on, command, fresh);
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
        id: CommandId,
        based_on: Option<(u32, u64)>,
        command: Command,
        fresh: RecordingId,
    ) -> Result<Answer, ErrorReport> {
        if self.closed {
            return Err(failures::room_closed());
        }
        match command {
            Command::Start { title, notes } => {
                self.check_may_start(caller)?;
                let title = clean_title(title.as_deref())?;
                let notes = clean_notes(notes.as_deref())?;
                self.start(now, caller, based_on, Description { title, notes }, fresh)?;
            }
            Command::Stop => self.stop(now, caller, based_on)?,
            Command::Pause => self.pause(now, caller, based_on)?,
            Command::Resume => self.resume(now, caller, based_on)?,
            Command::Cancel { recording } => self.cancel(now, caller, based_on, recording)?,
            Command::Mark { text } => self.mark(now, caller, id, &text)?,
            Command::Describe { recording, title, notes } => {
                self.describe(caller, based_on, recording, title.as_deref(), notes.as_deref())?;
            }
            Command::Status => {
                return Ok(Answer::Status {
                    current: self.recordings.current_status(now),
                    finalizing: self.recordings.ended_statuses(now),
                });
            }
            Command::SetName { name } => self.set_name(caller, name.as_deref())?,
            Command::SetMuted { muted } => self.set_muted(caller, muted)?,
            Command::CloseRoom => self.close(now, caller)?,
            Command::Outcome { .. }
            | Command::Recordings { .. }
            | Command::Show { .. }
            | Command::DeletionPlan { .. }
            | Command::Link { .. }
            | Command::Delete { .. }
            | Command::Rename { .. } => return Err(failures::not_the_rooms_own()),
        }
        Ok(Answer::Done)
    }

    fn set_name(&mut self, caller: Caller, name: Option<&str>) -> Result<(), ErrorReport> {
        let name = clean_name(name)?;
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

    /// Whether the caller may start, stop, pause, resume and describe recordings.
    pub(crate) fn check_may_record(&self, caller: Caller) -> Result<(), ErrorReport> {
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
