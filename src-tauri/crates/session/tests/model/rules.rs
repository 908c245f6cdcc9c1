//! The rules as sets, with no thought of speed or memory: who is there, and what becomes of recordings.

use std::collections::{BTreeMap, BTreeSet};

use roomtone_protocol::state::{Presence, RecordingState, Role, UploadProgress};
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId};
use roomtone_session::{Config, Continued, Input, Output, Path, PersonChange};

pub(super) type Who = ParticipantId;
pub(super) type Version = (u32, u64);

/// When and by whom something was recorded.
#[derive(Debug, Clone)]
pub(super) struct Take {
    pub(super) begun: i64,
    /// What an earlier run recorded before the first stretch.
    pub(super) earlier: i64,
    /// Recorded stretches; the last one may still run.
    pub(super) stretches: Vec<(i64, Option<i64>)>,
    pub(super) title: Option<String>,
    pub(super) notes: Option<String>,
    pub(super) markers: u32,
    pub(super) by: Option<Who>,
    /// Warnings that were given: what is left of the limit, and of the disk, in seconds.
    pub(super) limit_warnings: BTreeSet<i64>,
    pub(super) disk_warnings: BTreeSet<i64>,
}

impl Take {
    pub(super) fn new(begun: i64, title: Option<String>, notes: Option<String>, by: Option<Who>) -> Self {
        Self {
            begun,
            earlier: 0,
            stretches: Vec::new(),
            title,
            notes,
            markers: 0,
            by,
            limit_warnings: BTreeSet::new(),
            disk_warnings: BTreeSet::new(),
        }
    }

    /// Recorded time.
    pub(super) fn elapsed(&self, at: i64) -> i64 {
        let length = |&(from, to): &(i64, Option<i64>)| (to.unwrap_or(at) - from).max(0);
        self.earlier + self.stretches.iter().map(length).sum::<i64>()
    }

    pub(super) fn runs(&self) -> bool {
        self.stretches.last().is_some_and(|(_, to)| to.is_none())
    }

    /// Nothing more is recorded from `at` on.
    pub(super) fn halt(&mut self, at: i64) {
        for (_, to) in &mut self.stretches {
            to.get_or_insert(at);
        }
    }
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
    pub(super) goes_up: BTreeMap<RecordingId, UploadProgress>,
    /// Whom they wait for, and until when.
    pub(super) waits: BTreeMap<RecordingId, (Vec<Who>, i64)>,
    /// Verified there, and when.
    pub(super) bucket: BTreeMap<RecordingId, i64>,
    pub(super) cancelled: BTreeMap<RecordingId, i64>,
    pub(super) failed: BTreeMap<RecordingId, String>,
    /// Why they ended although nobody wanted that.
    pub(super) cut_short: BTreeMap<RecordingId, String>,

    pub(super) closed: bool,
    /// Bytes of the disk that the driver told last.
    pub(super) free: Option<u64>,
    /// A recording ended, and there were enough people ever since.
    pub(super) held: bool,
    /// The driver was asked to let a recording begin.
    pub(super) asked: bool,
    /// Every state that was ever published, and what was current in it.
    pub(super) published: BTreeMap<Version, Option<RecordingId>>,
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
            goes_up: BTreeMap::new(),
            waits: BTreeMap::new(),
            bucket: BTreeMap::new(),
            cancelled: BTreeMap::new(),
            failed: BTreeMap::new(),
            cut_short: BTreeMap::new(),
            closed: false,
            free: None,
            held: false,
            asked: false,
            published: BTreeMap::from([((config.epoch, 0), None)]),
            done: Vec::new(),
            config,
        }
    }

    /// P: the participants in the room, present or away.
    pub(super) fn p(&self) -> Vec<Who> {
        let stays = |who: &&Who| !self.left.contains(who) && !self.observers.contains(who);
        self.arrivals.iter().filter(stays).copied().collect()
    }

    /// track(p): whether p sends a microphone.
    pub(super) fn track(&self, p: Who) -> bool {
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

    pub(super) fn attended_now(&self) -> bool {
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
        self.carry_out_due();
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
        self.watch_disk();
        self.watch_people();
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
            Input::Command { caller, id, based_on, command, fresh } => {
                return Some(self.command(caller, id, based_on, command, fresh));
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
            Input::GoesUp { recording, upload } => {
                if self.ended.contains(&recording) {
                    self.goes_up.insert(recording, upload);
                }
            }
            Input::Waiting { recording, people, until } => {
                self.waits.remove(&recording);
                if self.ended.contains(&recording) && !people.is_empty() {
                    self.waits.insert(recording, (people, until.0));
                }
            }
            Input::Recovered { recording, title, notes, started_by, length, finalized } => {
                let take = Take::new(0, title, notes, started_by);
                self.takes.insert(recording, Take { earlier: length.as_nanos() as i64, ..take });
                self.ended.push(recording);
                put(&mut self.finalized, recording, finalized);
            }
            Input::Continued(continued) => self.go_on(*continued),
            Input::AutoStart { fresh } => {
                self.asked = false;
                if self.wants() {
                    self.begin(fresh, None, None, None);
                }
            }
            Input::Disk { free_bytes } => self.free = Some(free_bytes),
        }
        None
    }

    pub(super) fn in_room(&self, who: Who) -> bool {
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

    pub(super) fn rename(&mut self, who: Who, name: Option<String>, tell: bool) {
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

    pub(super) fn begin(&mut self, fresh: RecordingId, title: Option<String>, notes: Option<String>, by: Option<Who>) {
        self.end(self.now);
        self.session_active = true;
        self.current = Some(fresh);
        let mut take = Take::new(self.now, title.clone(), notes.clone(), by);
        take.stretches.push((self.now, None));
        self.takes.insert(fresh, take);
        self.done.push(Output::Begin { recording: fresh, at: ClockNs(self.now), title: title.clone(), started_by: by });
        if notes.is_some() {
            self.done.push(Output::Described { recording: fresh, title, notes });
        }
        self.open_channels();
    }

    fn go_on(&mut self, continued: Continued) {
        let Continued { recording, title, notes, started_by, .. } = continued;
        let mut take = Take::new(continued.begun.0, title, notes, started_by);
        take.earlier = continued.recorded.as_nanos() as i64;
        take.markers = continued.markers;
        take.stretches.extend(continued.running_since.map(|since| (since.0.max(take.begun), None)));
        if self.session_active || self.closed {
            take.halt(continued.last_there.0);
            self.ended.push(recording);
        } else {
            self.session_active = true;
            self.current = Some(recording);
            self.prepared.insert(recording);
            if !self.attended_now() {
                self.attended = continued.last_there.0;
            }
            for p in continued.channels {
                if !self.channels.contains(&(recording, p)) {
                    self.channels.push((recording, p));
                }
            }
        }
        self.takes.insert(recording, take);
        self.open_channels();
    }

    pub(super) fn end(&mut self, at: i64) {
        let Some(recording) = self.current.take() else { return };
        self.session_active = false;
        self.held = true;
        self.ended.push(recording);
        self.take(recording).halt(at);
        self.done.push(Output::End { recording, at: ClockNs(at) });
    }

    pub(super) fn take(&mut self, recording: RecordingId) -> &mut Take {
        self.takes.get_mut(&recording).expect("what is known has begun")
    }
}

pub(super) fn put<T: Ord>(set: &mut BTreeSet<T>, item: T, present: bool) {
    if present {
        set.insert(item);
    } else {
        set.remove(&item);
    }
}

/// The texts of the scripts are short; what is refused holds a line break or turns the direction around.
pub(super) fn refused(text: &str) -> bool {
    text.trim().contains(['\n', '\u{202e}'])
}

pub(super) fn clean(text: String) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && !refused(text)).then(|| text.to_owned())
}
