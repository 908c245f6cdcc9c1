//! The rules as sets, with no thought of speed or memory.

use std::collections::{BTreeMap, BTreeSet};

use roomtone_protocol::channel::Command;
use roomtone_protocol::code;
use roomtone_protocol::state::{Presence, RecordBy, RecordingState, Role};
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId};
use roomtone_session::{Caller, Config, Input, Output, Path, PersonChange};

pub(super) type Who = ParticipantId;
pub(super) type Version = (u32, u64);

/// When and by whom something was recorded.
#[derive(Debug, Clone)]
pub(super) struct Take {
    pub(super) begun: i64,
    pub(super) length: i64,
    pub(super) title: Option<String>,
    pub(super) by: Option<Who>,
}

/// The room by the book.
#[derive(Debug)]
pub(crate) struct Model {
    pub(super) config: Config,
    pub(crate) now: i64,
    /// Everybody who ever came, in order.
    pub(super) arrivals: Vec<Who>,
    /// Who said goodbye and did not come again.
    pub(super) left: BTreeSet<Who>,
    pub(super) observers: BTreeSet<Who>,
    pub(super) hosts: BTreeSet<Who>,
    pub(super) microphones: BTreeSet<Who>,
    pub(super) muted: BTreeSet<Who>,
    pub(super) names: BTreeMap<Who, String>,
    pub(super) introductions: BTreeMap<Who, Option<String>>,
    pub(super) linked: BTreeSet<Who>,
    pub(super) on_relay: BTreeSet<Who>,
    pub(super) relay_gone: bool,
    /// The last instant at which a participant was present.
    pub(super) attended: i64,

    pub(super) session_active: bool,
    pub(super) current: Option<RecordingId>,
    pub(super) takes: BTreeMap<RecordingId, Take>,
    pub(super) prepared: BTreeSet<RecordingId>,
    /// Who got a channel of what, in order.
    pub(super) channels: Vec<(RecordingId, Who)>,
    /// What ended, in order.
    pub(super) ended: Vec<RecordingId>,
    /// Those of them with a whole file.
    pub(super) finalized: BTreeSet<RecordingId>,
    pub(super) trouble: BTreeMap<RecordingId, String>,
    /// Verified there, and when.
    pub(super) bucket: BTreeMap<RecordingId, i64>,
    pub(super) cancelled: BTreeMap<RecordingId, i64>,
    pub(super) failed: BTreeMap<RecordingId, String>,
    /// Why they ended although nobody wanted that.
    pub(super) cut_short: BTreeMap<RecordingId, String>,

    pub(super) closed: bool,
    /// Every state that was ever published, and what was current in it.
    published: BTreeMap<Version, Option<RecordingId>>,
    /// What has to be done about the last event: about recordings in this order, about people in any.
    pub(crate) done: Vec<Output>,
}

impl Model {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            now: 0,
            arrivals: Vec::new(),
            left: BTreeSet::new(),
            observers: BTreeSet::new(),
            hosts: BTreeSet::new(),
            microphones: BTreeSet::new(),
            muted: BTreeSet::new(),
            names: BTreeMap::new(),
            introductions: BTreeMap::new(),
            linked: BTreeSet::new(),
            on_relay: BTreeSet::new(),
            relay_gone: false,
            attended: 0,
            session_active: false,
            current: None,
            takes: BTreeMap::new(),
            prepared: BTreeSet::new(),
            channels: Vec::new(),
            ended: Vec::new(),
            finalized: BTreeSet::new(),
            trouble: BTreeMap::new(),
            bucket: BTreeMap::new(),
            cancelled: BTreeMap::new(),
            failed: BTreeMap::new(),
            cut_short: BTreeMap::new(),
            closed: false,
            published: BTreeMap::from([((config.epoch, 0), None)]),
            done: Vec::new(),
            config,
        }
    }

    /// P: the participants in the room, present or away.
    fn p(&self) -> Vec<Who> {
        let stays = |who: &&Who| !self.left.contains(who) && !self.observers.contains(who);
        self.arrivals.iter().filter(stays).copied().collect()
    }

    /// track(p): whether p sends a microphone.
    fn track(&self, p: Who) -> bool {
        self.p().contains(&p) && self.microphones.contains(&p)
    }

    pub(super) fn presence(&self, who: Who) -> Presence {
        if self.left.contains(&who) {
            Presence::Left
        } else if self.linked.contains(&who) || (!self.relay_gone && self.on_relay.contains(&who)) {
            Presence::Present
        } else {
            Presence::Away
        }
    }

    fn attended_now(&self) -> bool {
        self.p().into_iter().any(|p| self.presence(p) == Presence::Present)
    }

    /// A state with this version went to everybody.
    pub(crate) fn publish(&mut self, version: Version) {
        self.published.insert(version, self.current);
    }

    /// Something happens. What a command is answered.
    pub(crate) fn step(&mut self, at: ClockNs, input: &Input) -> Option<Result<(), &'static str>> {
        self.done.clear();
        self.now = self.now.max(at.0);
        if self.attended_now() {
            self.attended = self.now;
        }
        if let Some(current) = self.current {
            let over = self.attended.max(self.takes[&current].begun) + self.config.grace.as_nanos() as i64;
            if !self.attended_now() && over <= self.now {
                self.end(over);
            }
        }
        let before: BTreeMap<_, _> = self.arrivals.iter().map(|&who| (who, self.presence(who))).collect();
        let answer = self.apply(input);
        for who in self.arrivals.clone() {
            let change = match (before.get(&who), self.presence(who)) {
                (None, _) => PersonChange::Joined,
                (Some(Presence::Present | Presence::Left), Presence::Away) => PersonChange::Away,
                (Some(Presence::Away | Presence::Left), Presence::Present) => PersonChange::Returned,
                (Some(Presence::Present | Presence::Away), Presence::Left) => PersonChange::Left,
                _ => continue,
            };
            self.done.push(Output::Person { participant: who, change });
        }
        if self.attended_now() {
            self.attended = self.now;
        }
        answer
    }

    fn apply(&mut self, input: &Input) -> Option<Result<(), &'static str>> {
        match input.clone() {
            Input::Tick => {}
            Input::Entered { participant, role, host, name, microphone } => {
                if !self.closed {
                    self.enter(participant, role, host, name.and_then(clean), microphone);
                }
            }
            Input::Presence { participant, path, up } => {
                let paths = if path == Path::Relay { &mut self.on_relay } else { &mut self.linked };
                put(paths, participant, up);
            }
            Input::Left { participant } => {
                let was_in_p = self.p().contains(&participant);
                if self.in_room(participant) {
                    self.left.insert(participant);
                    self.linked.remove(&participant);
                }
                if was_in_p && self.p().is_empty() {
                    self.end(self.now);
                }
            }
            Input::RelayLost => {
                self.relay_gone = true;
                self.on_relay.clear();
            }
            Input::RelayBack => self.relay_gone = false,
            Input::Command { caller, based_on, command, fresh, .. } => {
                return Some(self.command(caller, based_on, command, fresh));
            }
            Input::Prepared { recording } => {
                if self.current == Some(recording) {
                    self.prepared.insert(recording);
                }
            }
            Input::Finalized { recording } => {
                if self.is(recording, RecordingState::Finalizing) {
                    self.finalized.insert(recording);
                }
            }
            Input::Empty { recording } => {
                if self.is(recording, RecordingState::Finalizing) {
                    self.cancelled.insert(recording, self.now);
                    self.done.push(Output::Discard { recording });
                }
            }
            Input::Completed { recording } => {
                if self.is(recording, RecordingState::Finalizing) || self.is(recording, RecordingState::Uploading) {
                    self.bucket.insert(recording, self.now);
                }
            }
            Input::Failed { recording, reason, hint } => {
                if self.current == Some(recording) {
                    self.end(self.now);
                }
                if self.is(recording, RecordingState::Finalizing) || self.is(recording, RecordingState::Uploading) {
                    self.failed.insert(recording, format!("{reason}; {hint}"));
                }
            }
            Input::CutShort { recording, reason, hint } => {
                if self.current == Some(recording) {
                    self.end(self.now);
                    self.cut_short.insert(recording, format!("{reason}; {hint}"));
                }
            }
            Input::Trouble { recording, trouble } => {
                if self.is(recording, RecordingState::Uploading) {
                    self.trouble.remove(&recording);
                    self.trouble.extend(trouble.map(|error| (recording, error.to_string())));
                }
            }
            Input::Recovered { recording, title, started_by, length, finalized } => {
                let length = length.as_nanos() as i64;
                self.takes.insert(recording, Take { begun: 0, length, title, by: started_by });
                self.ended.push(recording);
                put(&mut self.finalized, recording, finalized);
            }
        }
        None
    }

    fn in_room(&self, who: Who) -> bool {
        self.arrivals.contains(&who) && !self.left.contains(&who)
    }

    fn enter(&mut self, who: Who, role: Role, host: bool, name: Option<String>, microphone: bool) {
        let again = self.arrivals.contains(&who);
        if !again {
            self.arrivals.push(who);
        }
        if self.left.remove(&who) {
            self.muted.remove(&who);
        }
        self.linked.insert(who);
        put(&mut self.observers, who, role == Role::Observer);
        put(&mut self.hosts, who, host);
        put(&mut self.microphones, who, microphone);
        let news = self.introductions.insert(who, name.clone()) != Some(name.clone());
        if news && let Some(name) = name {
            self.rename(who, Some(name), again);
        }
        self.open_channels();
    }

    fn rename(&mut self, who: Who, name: Option<String>, tell: bool) {
        let old = self.names.remove(&who);
        self.names.extend(name.clone().map(|name| (who, name)));
        if tell && old != name {
            self.done.push(Output::Person { participant: who, change: PersonChange::Renamed });
        }
    }

    /// Everybody with a track has a channel of what is being recorded.
    fn open_channels(&mut self) {
        let Some(current) = self.current else { return };
        for p in self.p() {
            if self.track(p) && !self.channels.contains(&(current, p)) {
                self.channels.push((current, p));
                let index = self.channel(current, p).expect("just given");
                self.done.push(Output::Channel { recording: current, participant: p, index });
            }
        }
    }

    pub(super) fn channel(&self, recording: RecordingId, who: Who) -> Option<u16> {
        let mut those = self.channels.iter().filter(|(of, _)| *of == recording);
        those.position(|&(_, p)| p == who).map(|index| index as u16)
    }

    fn end(&mut self, at: i64) {
        let Some(recording) = self.current.take() else { return };
        self.session_active = false;
        self.ended.push(recording);
        let take = self.takes.get_mut(&recording).expect("what is current has begun");
        take.length = at - take.begun;
        self.done.push(Output::End { recording, at: ClockNs(at) });
    }

    fn command(
        &mut self,
        caller: Caller,
        based_on: Option<Version>,
        command: Command,
        fresh: RecordingId,
    ) -> Result<(), &'static str> {
        let who = caller.participant;
        let allowed = caller.host
            || self.config.record_by == RecordBy::Everyone && (caller.passing || !self.observers.contains(&who));
        let seen = based_on.map(|version| self.published.get(&version).copied());
        match command {
            _ if self.closed => Err(code::ROOM_CLOSED),
            Command::Start { .. } if !self.config.recording_enabled => Err(code::RECORDING_DISABLED),
            Command::Start { .. } | Command::Stop if !allowed => Err(code::NOT_ALLOWED),
            Command::Start { title: Some(title) } if refused(&title) => Err(code::BAD_REQUEST),
            Command::Start { .. } if self.session_active && seen.is_some_and(|seen| seen != Some(self.current)) => {
                Err(code::ALREADY_CHANGED)
            }
            Command::Start { title } => {
                self.end(self.now);
                self.session_active = true;
                self.current = Some(fresh);
                let (title, by) = (title.and_then(clean), Some(who));
                self.takes.insert(fresh, Take { begun: self.now, length: 0, title: title.clone(), by });
                self.done.push(Output::Begin { recording: fresh, at: ClockNs(self.now), title, started_by: by });
                self.open_channels();
                Ok(())
            }
            Command::Stop if seen.is_some_and(|seen| seen != Some(self.current)) => Err(code::ALREADY_CHANGED),
            Command::Stop if !self.session_active => Err(code::NOT_RECORDING),
            Command::Stop => {
                self.end(self.now);
                Ok(())
            }
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
            _ => Err(code::NOT_YET_SUPPORTED),
        }
    }
}

fn put<T: Ord>(set: &mut BTreeSet<T>, item: T, present: bool) {
    if present {
        set.insert(item);
    } else {
        set.remove(&item);
    }
}

/// The texts of the scripts are short; what is refused holds a line break or turns the direction around.
fn refused(text: &str) -> bool {
    text.trim().contains(['\n', '\u{202e}'])
}

fn clean(text: String) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && !refused(text)).then(|| text.to_owned())
}
