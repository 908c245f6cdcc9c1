//! What people may ask for, by the model.

use roomtone_protocol::channel::Command;
use roomtone_protocol::code;
use roomtone_protocol::state::{RecordBy, RecordingState};
use roomtone_protocol::{ClockNs, CommandId, RecordingId};
use roomtone_session::{Caller, Output};

use super::rules::{Model, Version, clean, put, refused};

type Done = Result<(), &'static str>;

impl Model {
    pub(super) fn command(
        &mut self,
        caller: Caller,
        id: CommandId,
        based_on: Option<Version>,
        command: Command,
        fresh: RecordingId,
    ) -> Done {
        let who = caller.participant;
        let allowed = caller.host
            || self.config.record_by == RecordBy::Everyone && (caller.passing || !self.observers.contains(&who));
        let seen = based_on.map(|version| self.published.get(&version).copied());
        let another_seen = seen.is_some_and(|seen| seen != Some(self.current));
        let paused = self.current.map(|current| !self.takes[&current].runs());
        match command {
            _ if self.closed => Err(code::ROOM_CLOSED),
            Command::Start { .. } if !self.config.recording_enabled => Err(code::RECORDING_DISABLED),
            Command::Start { .. } | Command::Stop | Command::Pause | Command::Resume | Command::Describe { .. }
                if !allowed =>
            {
                Err(code::NOT_ALLOWED)
            }
            Command::Start { title, notes } | Command::Describe { title, notes, .. }
                if title.as_deref().is_some_and(refused) || notes.as_deref().is_some_and(refused_in_notes) =>
            {
                Err(code::BAD_REQUEST)
            }
            Command::Start { .. } if self.session_active && another_seen => Err(code::ALREADY_CHANGED),
            Command::Start { .. } if self.disk_full() => Err(code::DISK_FULL),
            Command::Start { title, notes } => {
                self.begin(fresh, title.and_then(clean), notes.and_then(clean_notes), Some(who));
                Ok(())
            }
            Command::Stop | Command::Pause | Command::Resume if another_seen => Err(code::ALREADY_CHANGED),
            Command::Stop | Command::Pause | Command::Resume if !self.session_active => Err(code::NOT_RECORDING),
            Command::Stop => {
                self.end(self.now);
                Ok(())
            }
            Command::Pause if paused == Some(true) => Err(code::ALREADY_CHANGED),
            Command::Resume if paused == Some(false) => Err(code::ALREADY_CHANGED),
            Command::Pause => {
                self.pause();
                Ok(())
            }
            Command::Resume => {
                self.resume();
                Ok(())
            }
            Command::Cancel { recording: None } | Command::Describe { recording: None, .. } if another_seen => {
                Err(code::ALREADY_CHANGED)
            }
            Command::Cancel { recording: None } | Command::Describe { recording: None, .. } if !self.session_active => {
                Err(code::NOT_RECORDING)
            }
            Command::Cancel { recording } => self.cancel(caller, recording.or(self.current)),
            Command::Describe { recording, title, notes } => self.describe(recording.or(self.current), title, notes),
            Command::Mark { .. } if !caller.passing && !self.in_room(who) => Err(code::NOT_ALLOWED),
            Command::Mark { text } => self.mark(caller, id, text),
            Command::Status => Ok(()),
            Command::SetName { name: Some(name) } if refused(&name) => Err(code::BAD_REQUEST),
            Command::SetName { .. } | Command::SetMuted { .. } if caller.passing || !self.in_room(who) => {
                Err(code::NOT_ALLOWED)
            }
            Command::SetName { name } => {
                self.rename(who, name.and_then(clean), true);
                Ok(())
            }
            Command::SetMuted { muted } => {
                put(&mut self.muted, who, muted);
                Ok(())
            }
            Command::CloseRoom if !caller.host => Err(code::NOT_ALLOWED),
            Command::CloseRoom => {
                self.end(self.now);
                self.closed = true;
                self.done.push(Output::RoomClosed);
                Ok(())
            }
            _ => Err(code::BAD_REQUEST),
        }
    }

    fn pause(&mut self) {
        let (now, recording) = (self.now, self.current.expect("something runs"));
        self.take(recording).halt(now);
        self.done.push(Output::Pause { recording, at: ClockNs(now) });
    }

    fn resume(&mut self) {
        let (now, recording) = (self.now, self.current.expect("something is paused"));
        self.take(recording).stretches.push((now, None));
        self.done.push(Output::Resume { recording, at: ClockNs(now) });
    }

    /// What was named, as far as everybody can still see it.
    fn visible(&self, named: Option<RecordingId>) -> Result<(RecordingId, RecordingState), &'static str> {
        let recording = named.filter(|&named| self.in_sight(named)).ok_or(code::RECORDING_NOT_FOUND)?;
        self.life(recording).map(|life| (recording, life)).ok_or(code::RECORDING_NOT_FOUND)
    }

    fn cancel(&mut self, caller: Caller, named: Option<RecordingId>) -> Done {
        let (recording, life) = self.visible(named)?;
        if !caller.host && self.takes[&recording].by != Some(caller.participant) {
            return Err(code::NOT_ALLOWED);
        }
        match life {
            RecordingState::Completed => Err(code::ALREADY_CHANGED),
            RecordingState::Cancelled => Err(code::RECORDING_NOT_FOUND),
            _ => {
                if self.current == Some(recording) {
                    self.end(self.now);
                }
                self.cancelled.insert(recording, self.now);
                self.done.push(Output::Discard { recording });
                Ok(())
            }
        }
    }

    fn mark(&mut self, caller: Caller, id: CommandId, text: String) -> Done {
        let text = clean(text).ok_or(code::BAD_REQUEST)?;
        let recording = self.current.ok_or(code::NOT_RECORDING)?;
        self.take(recording).markers += 1;
        let by = self.in_room(caller.participant).then_some(caller.participant);
        self.done.push(Output::Mark { recording, at: ClockNs(self.now), text, by, asked: (caller.participant, id) });
        Ok(())
    }

    fn describe(&mut self, named: Option<RecordingId>, title: Option<String>, notes: Option<String>) -> Done {
        let (recording, life) = self.visible(named)?;
        match life {
            RecordingState::Completed => return Err(code::BAD_REQUEST),
            RecordingState::Cancelled => return Err(code::RECORDING_NOT_FOUND),
            _ => {}
        }
        let take = self.take(recording);
        let before = (take.title.clone(), take.notes.clone());
        let title = title.map_or(before.0.clone(), clean);
        let notes = notes.map_or(before.1.clone(), clean_notes);
        (take.title, take.notes) = (title.clone(), notes.clone());
        if before != (title.clone(), notes.clone()) {
            self.done.push(Output::Described { recording, title, notes });
        }
        Ok(())
    }
}

/// Notes may have several lines.
fn refused_in_notes(text: &str) -> bool {
    text.contains('\u{202e}')
}

fn clean_notes(text: String) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
