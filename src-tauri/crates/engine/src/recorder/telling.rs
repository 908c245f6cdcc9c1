//! What everybody is told: the room's state, the list, and the events of whoever drives the host.

use roomtone_packets::{NameGiven, Record};
use roomtone_protocol::ParticipantId;
use roomtone_protocol::channel::ToParticipant;
use roomtone_protocol::state::RoomState;
use roomtone_session::{Input as RoomInput, PersonChange};

use super::take::OpenTake;
use super::{Desk, Output, RecorderEnd};
use crate::events::HostEvent;
use crate::lines::{person_line, recording_lines};

/// So long after Stop it is no news that something is on its way: 1 s.
const SHOWN_AFTER_NS: i64 = 1_000_000_000;

impl RecorderEnd {
    pub(super) fn publish(&mut self) {
        let state = self.room.state(self.now.clock);
        self.outputs.push_back(Output::PublishState(Box::new(state.clone())));
        self.send_to_all(&ToParticipant::State { state: Box::new(state.clone()) });
        self.tell_lines(&state);
    }

    fn tell_lines(&mut self, state: &RoomState) {
        let lines = recording_lines(state);
        let before = std::mem::replace(&mut self.lines, lines.clone());
        for line in lines.into_iter().filter(|line| !before.contains(line)) {
            self.tell(HostEvent::RecordingState(line));
        }
    }

    pub(super) fn person_changed(&mut self, desk: &mut dyn Desk, participant: ParticipantId, change: PersonChange) {
        let state = self.room.state(self.now.clock);
        let Some(line) = state.person(participant).map(person_line) else { return };
        if change == PersonChange::Renamed {
            let name = self.label(participant);
            for take in self.takes.values_mut().filter(|take| take.is_live() && take.channels.contains(&participant)) {
                take.note(desk, Record::Name(NameGiven { participant, name: name.clone() }));
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

    /// Shows everybody whose audio recordings that are over wait for: nobody should quit now. Not at once: what is only on
    /// its way comes first.
    pub(super) fn show_waiting(&mut self, patience_ns: i64) {
        let now = self.now.clock;
        let (mut news, links) = (Vec::new(), &self.links);
        let long_over = |take: &&mut OpenTake| take.until.is_some_and(|until| now.0 - until.0 >= SHOWN_AFTER_NS);
        for take in self.takes.values_mut().filter(long_over) {
            let waiting = take.waiting(now, patience_ns, |participant| links.contains_key(&participant));
            let (people, until): (Vec<_>, Vec<_>) = waiting.unzip();
            if people != take.waits_for {
                take.waits_for.clone_from(&people);
                let until = until.into_iter().max().unwrap_or(now);
                news.push(RoomInput::Waiting { recording: take.recording, people, until });
            }
        }
        news.into_iter().for_each(|news| self.room(news));
    }

    pub(super) fn listed(&mut self) {
        let lists = self.links.iter().map(|(&to, link)| Output::SendList { to, host: link.peer.host });
        self.outputs.extend(lists);
        self.tell(HostEvent::RecordingsChanged);
    }

    /// What to call somebody in files.
    pub(super) fn label(&self, participant: ParticipantId) -> String {
        let state = self.room.state(self.now.clock);
        state.person(participant).map_or_else(|| participant.short(), |person| person.label.clone())
    }

    pub(super) fn send(&mut self, participant: ParticipantId, message: ToParticipant) {
        if self.links.contains_key(&participant) {
            self.outputs.push_back(Output::Send { to: participant, message });
        }
    }

    pub(super) fn send_to_all(&mut self, message: &ToParticipant) {
        let sends = self.links.keys().map(|&to| Output::Send { to, message: message.clone() });
        self.outputs.extend(sends);
    }

    pub(super) fn tell(&mut self, event: HostEvent) {
        self.outputs.push_back(Output::Event(event));
    }
}
