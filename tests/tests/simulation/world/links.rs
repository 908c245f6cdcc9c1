//! Links: made when both ends run and can reach each other, and given up by each end after eight seconds of silence.

use roomtone_engine::{ParticipantInput, RecorderInput};
use roomtone_packets::ClockExchange;
use roomtone_protocol::channel::{Peer, ToParticipant, ToRecorder};
use roomtone_protocol::signal::MemberChange;
use roomtone_protocol::state::Role;
use roomtone_protocol::{CommandId, WakeEpoch};

use super::people::ENCODING;
use super::{Down, Happening, RelayNews, Up, World};
use crate::clocks::{MS, SECOND, True};
use crate::network::Direction;
use crate::person::command_id;

/// Silence after which a link is dead.
const SILENCE: i64 = 8 * SECOND;

/// Every third person's program is of a version that sends what was asked for over the reliable channel.
pub(super) fn is_earlier_version(person: usize) -> bool {
    person % 3 == 2
}

impl World {
    /// Somebody tries to reach the recorder; again in a while, if that cannot be.
    pub(super) fn connect(&mut self, person: usize, epoch: u32) {
        if !self.runs(person, epoch) || self.people[person].link().is_some() {
            return;
        }
        let possible = self.host.end.is_some()
            && (self.relay_up || self.is_own(person))
            && self.host.frozen_until <= self.now
            && self.people[person].network.outage_at(self.now).is_none();
        // One handshake in five fails where packets are lost; then it is begun anew.
        if !possible || (self.random.chance(0.1) && !self.is_own(person)) {
            let later = self.some(0.5, 2.0);
            return self.after(later, Happening::Connect { person, epoch });
        }
        self.links += 1;
        let link = self.links;
        self.linked_at[person] = self.now;
        self.people[person].network.reconnected();
        let participant = self.people[person].id;
        self.host.links.insert(participant, link);
        if !self.truth.met.contains(&person) {
            self.truth.met.push(person);
        }
        self.truth.people[person].left = false;
        self.joins_channels(person);
        let peer = Peer {
            participant,
            role: Role::Participant,
            host: person == 0,
            passing: false,
            epoch: WakeEpoch(epoch),
            name: None,
        };
        self.tell_host(RecorderInput::Linked(peer));
        let id: CommandId = command_id(person, u64::from(link) << 32);
        if let Some(program) = &mut self.people[person].program {
            program.link = Some(link);
        }
        self.tell_person(person, ParticipantInput::Linked { id: Some(id) });
        if self.people[person].only_heard {
            let soon = self.some(0.2, 1.0);
            self.after(soon, Happening::Report { person, link });
        } else {
            self.after(0, Happening::Ask { person, link, asked: 0 });
        }
        self.after(SECOND / 10, Happening::Relay { news: RelayNews::Member(person, MemberChange::Joined) });
    }

    /// The recorder asks for somebody's clock: eight times quickly, then once a second.
    pub(super) fn ask(&mut self, person: usize, link: u32, asked: u32) {
        let Some(end) = &self.host.end else { return };
        if end.is_over() || self.host.links.get(&self.people[person].id) != Some(&link) {
            return;
        }
        let t0 = self.host.clock.at(self.now);
        self.send_down(person, link, Down::Ping { t0 });
        let pause = if asked < 7 { 50 * MS } else { SECOND };
        self.after(pause, Happening::Ask { person, link, asked: asked + 1 });
    }

    /// The RTP sender of somebody who is only heard says what its clock shows. It pairs that with the first sample of the
    /// last packet and when that went, as browsers do.
    pub(super) fn report(&mut self, person: usize, link: u32) {
        let one = &self.people[person];
        if one.link() != Some(link) {
            return;
        }
        let last = one.program.as_ref().and_then(|program| program.microphone.last_packet());
        if let Some((first, full)) = last.filter(|_| one.frozen_until <= self.now) {
            let went = full.plus(ENCODING);
            let since_ns = self.now.0.saturating_sub(went.0).max(0).unsigned_abs();
            let timestamp = (first + since_ns * 48 / 1_000_000) as u32;
            let sent = one.clock.at(self.now.max(went));
            let round_trip_ns = one.network.round_trip(&mut self.random);
            self.send_up(person, link, Up::Report { timestamp, sent, round_trip_ns });
        }
        let pause = self.some(1.0, 5.0);
        self.after(pause, Happening::Report { person, link });
    }

    pub(super) fn send_down(&mut self, person: usize, link: u32, what: Down) {
        let at = self.people[person].network.message(&mut self.random, Direction::Down, self.now);
        self.at(at, Happening::Down { person, link, what });
    }

    pub(super) fn send_up(&mut self, person: usize, link: u32, what: Up) {
        let network = &mut self.people[person].network;
        match &what {
            Up::Media { .. } | Up::Report { .. } => {
                for at in network.media(&mut self.random, self.now) {
                    self.at(at, Happening::Up { person, link, what: what.clone() });
                }
            }
            Up::Bulk(packet) if !is_earlier_version(person) => {
                for at in network.asked_for(&mut self.random, self.now, packet.len() * 8) {
                    self.at(at, Happening::Up { person, link, what: what.clone() });
                }
            }
            Up::Bulk(records) => {
                // A packet of real sound is about 320 bytes longer than a time code.
                let bytes = records.len() * 8;
                let at = network.bulk(&mut self.random, self.now, bytes);
                self.at(at, Happening::Up { person, link, what });
            }
            Up::Message(_) | Up::Pong { .. } => {
                let at = network.message(&mut self.random, Direction::Up, self.now);
                self.at(at, Happening::Up { person, link, what });
            }
        }
    }

    pub(super) fn up(&mut self, person: usize, link: u32, what: Up) {
        let from = self.people[person].id;
        if self.host.links.get(&from) != Some(&link) {
            return;
        }
        match what {
            Up::Message(ToRecorder::Request { id, based_on, command }) => {
                self.requested(person, id, based_on, command);
            }
            Up::Message(message) => {
                if message == ToRecorder::Leave {
                    self.says_goodbye(person);
                }
                self.tell_host(RecorderInput::Message { from, message });
            }
            Up::Media { timestamp, opus } if self.people[person].only_heard => {
                let at = self.host.clock.at(self.now);
                self.tell_host(RecorderInput::Heard { from, timestamp, opus, at });
            }
            Up::Media { timestamp, opus } => self.tell_host(RecorderInput::Media { from, timestamp, opus }),
            Up::Report { timestamp, sent, round_trip_ns } => {
                let at = self.host.clock.at(self.now);
                let round_trip_ns = Some(round_trip_ns);
                self.tell_host(RecorderInput::Report { from, timestamp, sent, at, round_trip_ns });
            }
            Up::Bulk(records) => self.tell_host(RecorderInput::Bulk { from, records }),
            Up::Pong { t0, t1, t2 } => {
                let t3 = self.host.clock.at(self.now);
                let epoch = WakeEpoch(self.people[person].epoch);
                let exchange = ClockExchange { epoch, t0, t1, t2, t3 };
                let now = self.now;
                self.truth.people[person].measured.push(now);
                self.tell_host(RecorderInput::Exchange { from, exchange });
            }
        }
    }

    pub(super) fn down(&mut self, person: usize, link: u32, what: Down) {
        if self.people[person].link() != Some(link) {
            return;
        }
        // What a recorder sent last is sent again by nobody, should it get lost; on every second link it does.
        let dead = self.host.links.get(&self.people[person].id) != Some(&link);
        if dead && link.is_multiple_of(2) {
            return;
        }
        match what {
            Down::Message(message) => {
                if let ToParticipant::SpoolFrom { recording, .. } = &message
                    && let Some(truth) = self.truth.recordings.get_mut(recording)
                {
                    truth.told.entry(person).or_insert(self.now);
                }
                if let ToParticipant::Archived { recording } = &message {
                    self.figures.archived += 1;
                    assert!(
                        self.truth.recordings.get(recording).is_some_and(|truth| truth.versions > 0),
                        "a spool is given up before its recording was made"
                    );
                }
                self.tell_person(person, ParticipantInput::Message(message));
            }
            Down::Ping { t0 } => {
                let t1 = self.people[person].clock.at(self.now);
                self.send_up(person, link, Up::Pong { t0, t1, t2: t1 });
            }
        }
    }

    /// Nothing reaches anybody for a while. Both ends notice, if it lasts.
    pub(super) fn outage(&mut self, person: usize, seconds: f64) {
        let until = self.now.plus(True::seconds(seconds).0);
        self.people[person].network.add_outage(self.now, until);
        if until.0 - self.now.0 > SILENCE {
            self.silence(person);
        }
    }

    /// Both ends of somebody's link hear nothing from here on.
    pub(super) fn silence(&mut self, person: usize) {
        let (here, there) = (self.some(0.0, 1.5), self.some(0.0, 1.5));
        if let Some(link) = self.people[person].link() {
            self.after(SILENCE + here, Happening::PersonGivesUp { person, link });
        }
        if let Some(&link) = self.host.links.get(&self.people[person].id) {
            self.after(SILENCE + there, Happening::HostGivesUp { person, link });
        }
        self.after(SILENCE + there, Happening::Relay { news: RelayNews::Member(person, MemberChange::Away) });
    }

    pub(super) fn person_gives_up(&mut self, person: usize, link: u32) {
        if self.people[person].link() != Some(link) {
            return;
        }
        if let Some(program) = &mut self.people[person].program {
            program.link = None;
        }
        self.tell_person(person, ParticipantInput::LinkClosed);
        let (epoch, soon) = (self.people[person].epoch, self.some(0.2, 1.0));
        self.after(soon, Happening::Connect { person, epoch });
    }

    pub(super) fn host_gives_up(&mut self, person: usize, link: u32) {
        let participant = self.people[person].id;
        if self.host.links.get(&participant) == Some(&link) {
            self.host.links.remove(&participant);
            self.tell_host(RecorderInput::LinkClosed { participant });
        }
    }
}
