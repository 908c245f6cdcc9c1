//! What everybody is told: the room's state, the list, and the events of whoever drives the host.

use roomtone_clock::now;
use roomtone_packets::{NameGiven, Record};
use roomtone_protocol::ParticipantId;
use roomtone_protocol::channel::ToParticipant;
use roomtone_protocol::state::RoomState;
use roomtone_session::PersonChange;
use tokio::sync::mpsc;

use super::engine::Engine;
use crate::events::HostEvent;
use crate::lines::{person_line, recording_lines};

impl Engine {
    pub(super) fn publish(&mut self) {
        let state = self.parts.room.state(now());
        self.parts.endpoint.publish_state(state.clone());
        for link in self.links.values() {
            link.outbox.send(ToParticipant::State { state: Box::new(state.clone()) });
        }
        self.tell_lines(&state);
    }

    fn tell_lines(&mut self, state: &RoomState) {
        let lines = recording_lines(state);
        for line in lines.iter().filter(|line| !self.lines.contains(line)) {
            self.tell(HostEvent::RecordingState(line.clone()));
        }
        self.lines = lines;
    }

    pub(super) fn person_changed(&mut self, participant: ParticipantId, change: PersonChange) {
        let state = self.parts.room.state(now());
        let Some(line) = state.person(participant).map(person_line) else { return };
        if change == PersonChange::Renamed {
            let name = self.label(participant);
            for take in self.takes.values().filter(|take| take.channels.contains(&participant)) {
                let given = Record::Name(NameGiven { participant, name: name.clone() });
                if !self.parts.writer.note(take.recording, given) {
                    tracing::warn!("the disk is behind; a new name is noted when the recording is finalized");
                }
            }
        }
        self.tell(match change {
            PersonChange::Joined => HostEvent::ParticipantJoined(line),
            PersonChange::Away => HostEvent::ParticipantAway(line),
            PersonChange::Returned => HostEvent::ParticipantReturned(line),
            PersonChange::Left => HostEvent::ParticipantLeft(line),
            PersonChange::Renamed => HostEvent::ParticipantRenamed(line),
        });
    }

    pub(super) fn listed(&mut self) {
        for link in self.links.values() {
            let entries = self.parts.shelf.entries(link.peer.host);
            link.outbox.send(ToParticipant::Recordings { entries });
        }
        self.tell(HostEvent::RecordingsChanged);
    }

    /// What to call somebody in files.
    pub(super) fn label(&self, participant: ParticipantId) -> String {
        let state = self.parts.room.state(now());
        state.person(participant).map_or_else(|| participant.short(), |person| person.label.clone())
    }

    pub(super) fn send(&self, participant: ParticipantId, message: ToParticipant) {
        if let Some(link) = self.links.get(&participant) {
            link.outbox.send(message);
        }
    }

    pub(super) fn tell(&self, event: HostEvent) {
        if let Err(mpsc::error::TrySendError::Full(event)) = self.parts.events.try_send(event) {
            tracing::warn!(?event, "nobody reads the events; one is dropped");
        }
    }
}
