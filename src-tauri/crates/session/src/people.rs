//! Who is in the room, who is away, and who has left.

use std::collections::BTreeSet;

use roomtone_protocol::ParticipantId;
use roomtone_protocol::state::{Person, Presence, Role};

use crate::output::PersonChange;
use crate::texts::json_bytes;

/// People that a room remembers. Whoever is present, or has a channel, stays beyond that.
const MAX_PEOPLE: usize = 256;

/// What people may take of a published state, in bytes of JSON: with the recordings it stays below the longest
/// message of the relay, 64 KiB, whatever they call themselves.
const MAX_PEOPLE_BYTES: usize = 40 * 1024;

/// What a person without a name takes of it, in bytes.
const PERSON_BYTES: usize = 160;

/// Relay paths that are remembered; the relay admits fewer members to a room.
const MAX_ON_RELAY: usize = 1024;

/// What somebody's program says of them when its link is up.
#[derive(Debug, Clone)]
pub(crate) struct Introduction {
    pub(crate) participant: ParticipantId,
    pub(crate) role: Role,
    pub(crate) host: bool,
    pub(crate) name: Option<String>,
    pub(crate) microphone: bool,
}

#[derive(Debug, Clone)]
struct Member {
    participant: ParticipantId,
    /// Counts arrivals in the room from 1; what an anonymous person is called by.
    arrival: u64,
    name: Option<String>,
    /// The name at the last introduction. A program repeats it with every link, also after its person chose another
    /// name; only a different one is news.
    introduced_as: Option<String>,
    role: Role,
    host: bool,
    microphone: bool,
    muted: bool,
    link: bool,
    presence: Presence,
}

impl Member {
    fn is_participant(&self) -> bool {
        self.role == Role::Participant && self.presence != Presence::Left
    }

    fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("Guest {}", self.arrival))
    }

    fn bytes(&self) -> usize {
        PERSON_BYTES + 2 * self.name.as_deref().map_or(0, json_bytes)
    }
}

/// Everybody, in order of joining.
#[derive(Debug, Clone, Default)]
pub(crate) struct People {
    members: Vec<Member>,
    arrivals: u64,
    /// Whose path through the relay is up; also of people who have not entered yet.
    on_relay: BTreeSet<ParticipantId>,
    relay_lost: bool,
}

impl People {
    /// Somebody's link is up. What that changed about them, in order.
    pub(crate) fn enter(&mut self, introduction: Introduction) -> Vec<PersonChange> {
        let Introduction { participant, role, host, name, microphone } = introduction;
        let Some(member) = self.find_mut(participant) else {
            self.arrivals += 1;
            self.members.push(Member {
                participant,
                arrival: self.arrivals,
                introduced_as: name.clone(),
                name,
                role,
                host,
                microphone,
                muted: false,
                link: true,
                presence: Presence::Present,
            });
            return vec![PersonChange::Joined];
        };
        let mut changes = Vec::new();
        if member.presence != Presence::Present {
            changes.push(PersonChange::Returned);
        }
        if member.presence == Presence::Left {
            // Another start of their program, whose microphone is open.
            member.muted = false;
        }
        (member.role, member.host, member.microphone) = (role, host, microphone);
        (member.link, member.presence) = (true, Presence::Present);
        if name != member.introduced_as {
            member.introduced_as.clone_from(&name);
            if name.is_some() && name != member.name {
                member.name = name;
                changes.push(PersonChange::Renamed);
            }
        }
        changes
    }

    /// Somebody said goodbye. Whether they were in the room.
    pub(crate) fn leave(&mut self, participant: ParticipantId) -> bool {
        let Some(member) = self.find_mut(participant).filter(|member| member.presence != Presence::Left) else {
            return false;
        };
        (member.link, member.presence) = (false, Presence::Left);
        true
    }

    /// Somebody's link came or fell silent.
    pub(crate) fn set_link(&mut self, participant: ParticipantId, up: bool) {
        if let Some(member) = self.find_mut(participant) {
            member.link = up;
        }
    }

    /// Somebody's path through the relay came or fell silent.
    pub(crate) fn set_on_relay(&mut self, participant: ParticipantId, up: bool) {
        if !up {
            self.on_relay.remove(&participant);
        } else if self.on_relay.len() < MAX_ON_RELAY {
            self.on_relay.insert(participant);
        }
    }

    /// The relay went, or came back. A relay that comes back says anew who is there: what it said before is void.
    pub(crate) fn set_relay_lost(&mut self, lost: bool) {
        if lost {
            self.on_relay.clear();
        }
        self.relay_lost = lost;
    }

    /// Judges anew who is present and who is away. Whose presence changed, in order of joining.
    pub(crate) fn refresh(&mut self) -> Vec<(ParticipantId, PersonChange)> {
        let mut changes = Vec::new();
        for member in self.members.iter_mut().filter(|member| member.presence != Presence::Left) {
            let relay = !self.relay_lost && self.on_relay.contains(&member.participant);
            let present = member.link || relay;
            let (presence, change) = if present {
                (Presence::Present, PersonChange::Returned)
            } else {
                (Presence::Away, PersonChange::Away)
            };
            if member.presence != presence {
                member.presence = presence;
                changes.push((member.participant, change));
            }
        }
        changes
    }

    /// Gives somebody who is in the room another name. None if they are not; else whether it is another one.
    pub(crate) fn rename(&mut self, participant: ParticipantId, name: Option<String>) -> Option<bool> {
        let member = self.find_mut(participant).filter(|member| member.presence != Presence::Left)?;
        let renamed = member.name != name;
        member.name = name;
        Some(renamed)
    }

    /// Mutes or unmutes somebody who is in the room. None if they are not.
    pub(crate) fn set_muted(&mut self, participant: ParticipantId, muted: bool) -> Option<()> {
        let member = self.find_mut(participant).filter(|member| member.presence != Presence::Left)?;
        member.muted = muted;
        Some(())
    }

    /// Whether any participant is present.
    pub(crate) fn anyone_present(&self) -> bool {
        self.members.iter().any(|member| member.is_participant() && member.presence == Presence::Present)
    }

    /// Whether any participant is in the room, present or away.
    pub(crate) fn anyone_in(&self) -> bool {
        self.members.iter().any(Member::is_participant)
    }

    /// Whether they are in the room, present or away.
    pub(crate) fn is_in(&self, participant: ParticipantId) -> bool {
        self.find(participant).is_some_and(|member| member.presence != Presence::Left)
    }

    /// Whether they are a participant in the room, as opposed to an observer.
    pub(crate) fn is_participant(&self, participant: ParticipantId) -> bool {
        self.find(participant).is_some_and(Member::is_participant)
    }

    /// Whether they are in the room to observe.
    pub(crate) fn is_observer(&self, participant: ParticipantId) -> bool {
        self.find(participant).is_some_and(|member| member.role == Role::Observer)
    }

    /// Who is to have a channel: participants in the room with a microphone, in order of joining.
    pub(crate) fn with_microphone(&self) -> impl Iterator<Item = ParticipantId> {
        let audible = self.members.iter().filter(|member| member.is_participant() && member.microphone);
        audible.map(|member| member.participant)
    }

    /// How many of [`People::with_microphone`] are present.
    pub(crate) fn present_with_microphone(&self) -> usize {
        let there =
            |member: &&Member| member.is_participant() && member.microphone && member.presence == Presence::Present;
        self.members.iter().filter(there).count()
    }

    /// Whether they are among [`People::with_microphone`].
    pub(crate) fn has_microphone(&self, participant: ParticipantId) -> bool {
        self.find(participant).is_some_and(|member| member.is_participant() && member.microphone)
    }

    /// Everybody as the others see them, in order of joining; where that is too much for a message, without some who
    /// left or are away.
    pub(crate) fn shown(&self, channel: impl Fn(ParticipantId) -> Option<u16>) -> Vec<Person> {
        let omitted = self.crowded_out(|_| true);
        let show = |member: &Member| Person {
            participant: member.participant,
            name: member.name.clone(),
            label: member.label(),
            role: member.role,
            host: member.host,
            presence: member.presence,
            muted: member.muted,
            channel: channel(member.participant),
        };
        self.members.iter().filter(|member| !omitted.contains(&member.participant)).map(show).collect()
    }

    /// Forgets people without a channel while there are too many.
    pub(crate) fn bound(&mut self, has_channel: impl Fn(ParticipantId) -> bool) {
        let forgotten = self.crowded_out(|member| !has_channel(member.participant));
        if !forgotten.is_empty() {
            self.members.retain(|member| !forgotten.contains(&member.participant));
        }
    }

    /// Who has to go so that the others fit: of those who may, who left first, then who is away, in order of joining.
    /// Nobody who is present.
    fn crowded_out(&self, may_go: impl Fn(&Member) -> bool) -> BTreeSet<ParticipantId> {
        let mut count = self.members.len();
        let mut bytes: usize = self.members.iter().map(Member::bytes).sum();
        let mut out = BTreeSet::new();
        for presence in [Presence::Left, Presence::Away] {
            for member in self.members.iter().filter(|member| member.presence == presence && may_go(member)) {
                if count <= MAX_PEOPLE && bytes <= MAX_PEOPLE_BYTES {
                    return out;
                }
                count -= 1;
                bytes -= member.bytes();
                out.insert(member.participant);
            }
        }
        out
    }

    fn find(&self, participant: ParticipantId) -> Option<&Member> {
        self.members.iter().find(|member| member.participant == participant)
    }

    fn find_mut(&mut self, participant: ParticipantId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.participant == participant)
    }
}
