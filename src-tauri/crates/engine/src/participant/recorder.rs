//! What the recorder says, and what is done about it.

use roomtone_packets::{Record, encode};
use roomtone_protocol::channel::ToParticipant;
use roomtone_protocol::state::RoomState;

use super::{Output, PacketStore, ParticipantEnd};
use crate::events::ParticipantEvent;
use crate::lines::recording_lines;

impl<S: PacketStore> ParticipantEnd<S> {
    pub(super) fn message(&mut self, message: ToParticipant) {
        match message {
            // The transport has dealt with these two.
            ToParticipant::Hello(_) | ToParticipant::ClockPing { .. } => {}
            ToParticipant::Refused { error } => self.refused(error),
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
                self.last_call();
                self.send_inventory(recording, false);
            }
            ToParticipant::Want { recording, ranges } => {
                let held = self.keeper.held(recording, &ranges);
                self.owed.ask(recording, held.into_iter());
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
                if self.requests.remove(&id).is_some() {
                    self.outputs.push_back(Output::Answer { id, result });
                }
            }
            ToParticipant::Recordings(newest) => self.tell(ParticipantEvent::RecordingsChanged { newest }),
            ToParticipant::RoomClosed => self.room_closed(),
        }
    }

    /// Sends what is owed to the recorder, as far as it is due.
    pub(super) fn pay(&mut self) {
        let now = self.now;
        let Some(recording) = self.owed.next(now).filter(|_| self.linked) else { return };
        let last = self.goodbye.is_some() || self.keeper.is_over(recording);
        let portion = self.owed.portion(now, last, |range| self.keeper.packets(recording, range));
        let mut records = Vec::new();
        for packet in self.spooled(portion).into_iter().flatten() {
            encode(&Record::Packet(packet), &mut records);
        }
        self.outputs.extend((!records.is_empty()).then_some(Output::Bulk(records)));
    }

    pub(super) fn state_changed(&mut self, state: RoomState) {
        if self.state.as_ref().is_some_and(|have| have.version() >= state.version()) {
            return;
        }
        let lines = recording_lines(&state);
        let before = std::mem::replace(&mut self.lines, lines.clone());
        for line in lines.into_iter().filter(|line| !before.contains(line)) {
            self.tell(ParticipantEvent::RecordingState(line));
        }
        self.tell(ParticipantEvent::State(Box::new(state.clone())));
        self.state = Some(state);
    }
}
