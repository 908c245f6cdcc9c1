//! What the recorder says, and what is done about it.

use std::time::Duration;

use roomtone_protocol::channel::ToParticipant;
use roomtone_protocol::state::RoomState;
use tokio::time::Instant;

use super::engine::{Engine, Next};
use crate::events::ParticipantEvent;
use crate::lines::recording_lines;

/// How long a file that is over waits after the end of the recording until all of it is safe: longer than the recorder
/// asks for what is missing.
const LAST_CALL: Duration = Duration::from_secs(90);

impl Engine {
    pub(super) fn message(&mut self, message: ToParticipant) -> Next {
        match message {
            // The transport has dealt with these two.
            ToParticipant::Hello(_) | ToParticipant::ClockPing { .. } => {}
            ToParticipant::Refused { error } => {
                return Next::End { reason: error.code.clone(), error: Some(error) };
            }
            ToParticipant::State { state } => {
                if !self.joined {
                    self.joined = true;
                    self.tell(ParticipantEvent::Joined { participant: self.me });
                }
                self.state_changed(*state);
            }
            ToParticipant::SpoolFrom { recording, from } => {
                let kept = self.keeper.keep_from(recording, from);
                self.spooled(kept);
                self.send_inventory(recording, false);
            }
            ToParticipant::SpoolCut { recording, cut, from, until } => {
                let kept = self.keeper.cut(recording, cut, from, until);
                self.spooled(kept);
                self.send_inventory(recording, false);
            }
            ToParticipant::SpoolUntil { recording, until } => {
                self.keeper.keep_until(recording, until);
                if let Some(goodbye) = &mut self.goodbye {
                    goodbye.until.get_or_insert(Instant::now() + LAST_CALL);
                }
                self.send_inventory(recording, false);
            }
            ToParticipant::Want { recording, ranges } => {
                let messages = self.keeper.messages(recording, &ranges);
                if let (Some(messages), Some(link)) = (self.spooled(messages), &self.link) {
                    messages.into_iter().for_each(|records| link.bulk(records));
                }
            }
            ToParticipant::Durable { recording, complete, .. } => self.keeper.durable(recording, complete),
            ToParticipant::Archived { recording } => {
                let archived = self.keeper.archived(recording);
                self.spooled(archived);
            }
            ToParticipant::Discard { recording } => {
                let discarded = self.keeper.discard(recording);
                self.spooled(discarded);
            }
            ToParticipant::Answer { id, result } => {
                if let Some(asked) = self.requests.remove(&id) {
                    // Whoever asked may have stopped waiting.
                    drop(asked.reply.send(result));
                }
            }
            ToParticipant::Recordings { entries } => self.tell(ParticipantEvent::RecordingsChanged { entries }),
            ToParticipant::RoomClosed => return self.room_closed(),
        }
        Next::On
    }

    pub(super) fn state_changed(&mut self, state: RoomState) {
        if self.state.as_ref().is_some_and(|have| have.version() >= state.version()) {
            return;
        }
        let lines = recording_lines(&state);
        for line in lines.iter().filter(|line| !self.lines.contains(line)) {
            self.tell(ParticipantEvent::RecordingState(line.clone()));
        }
        self.lines = lines;
        self.tell_periodic(ParticipantEvent::State(Box::new(state.clone())));
        self.state = Some(state);
    }
}
