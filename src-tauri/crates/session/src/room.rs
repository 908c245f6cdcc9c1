//! The room: one value that everything happens to.

use std::collections::VecDeque;
use std::time::Duration;

use roomtone_protocol::state::{RecordingStatus, RoomState};
use roomtone_protocol::{ClockNs, ErrorReport, ParticipantId, RecordingId};

use crate::answered::Answered;
use crate::auto_record::AutoRecord;
use crate::continuing::described;
use crate::current::{Current, Description};
use crate::disk::Disk;
use crate::ended::{Ended, Stage};
use crate::history::History;
use crate::input::{Config, Input, Path};
use crate::output::{Output, PersonChange};
use crate::people::{Introduction, People};
use crate::recordings::Recordings;
use crate::texts;

/// The rules of one room.
///
/// Time never goes back, but for [`Room::clock_moved`]: an input with an earlier instant than the last one happens at the
/// last one's.
#[derive(Debug, Clone)]
pub struct Room {
    pub(crate) config: Config,
    now: ClockNs,
    pub(crate) people: People,
    pub(crate) recordings: Recordings,
    pub(crate) history: History,
    pub(crate) answered: Answered,
    pub(crate) disk: Disk,
    pub(crate) auto_record: AutoRecord,
    pub(crate) closed: bool,
    /// Since when no participant is present; None while somebody is.
    pub(crate) deserted_since: Option<ClockNs>,
    /// Elapsed time of the current recording that everyone was told: whole seconds.
    pub(crate) shown: Duration,
    /// What everyone was told last, but for what moves by itself ([`still`]).
    published: RoomState,
    pub(crate) outputs: VecDeque<Output>,
    /// What has to follow [`Output::Changed`].
    pub(crate) afterwards: Vec<Output>,
}

impl Room {
    /// An empty room.
    #[must_use]
    pub fn new(now: ClockNs, config: Config) -> Self {
        let auto_record = AutoRecord::new(config.auto_record);
        let published = RoomState {
            epoch: config.epoch,
            sequence: 0,
            room: config.room,
            name: config.name.clone(),
            record_by: config.record_by,
            people: Vec::new(),
            current: None,
            finalizing: Vec::new(),
            auto_record: auto_record.people(),
            disk_left_ms: None,
        };
        Self {
            now,
            people: People::default(),
            recordings: Recordings::new(config.time_limit),
            history: History::new(config.epoch),
            answered: Answered::default(),
            disk: Disk::new(config.disk_bytes_per_sample),
            auto_record,
            closed: false,
            deserted_since: Some(now),
            shown: Duration::ZERO,
            published,
            outputs: VecDeque::new(),
            afterwards: Vec::new(),
            config,
        }
    }

    /// Every instant that the room remembers, and now.
    pub(crate) fn instants(&mut self) -> impl Iterator<Item = &mut ClockNs> {
        std::iter::once(&mut self.now).chain(&mut self.deserted_since).chain(self.recordings.instants())
    }

    /// Something happened. What was due before `now` happens first, at the instant at which it was due.
    pub fn handle(&mut self, now: ClockNs, input: Input) {
        self.now = self.now.max(now);
        let now = self.now;
        self.carry_out_due(now);
        let renew = self.renewal_due(now);
        match input {
            Input::Tick => {}
            Input::Entered { participant, role, host, name, microphone } => {
                // Nobody waits for an answer to an introduction: a name that cannot be shown is none.
                let name = texts::clean_name(name.as_deref()).unwrap_or(None);
                self.enter(Introduction { participant, role, host, name, microphone });
            }
            Input::Presence { participant, path: Path::Link, up } => self.people.set_link(participant, up),
            Input::Presence { participant, path: Path::Relay, up } => self.people.set_on_relay(participant, up),
            Input::Left { participant } => self.leave(now, participant),
            Input::RelayLost => self.people.set_relay_lost(true),
            Input::RelayBack => self.people.set_relay_lost(false),
            Input::Command { caller, id, based_on, command, fresh } => {
                self.command(now, caller, id, based_on, command, fresh);
            }
            Input::Prepared { recording } => self.recordings.prepared(recording),
            Input::Finalized { recording } => {
                self.recordings.advance(recording, Stage::Uploading { trouble: None });
            }
            Input::Empty { recording } => {
                if self.recordings.advance(recording, Stage::Cancelled { at: now }) {
                    self.outputs.push_back(Output::Discard { recording });
                }
            }
            Input::Completed { recording } => {
                self.recordings.advance(recording, Stage::Completed { at: now });
            }
            Input::Failed { recording, reason, hint } => {
                if self.recordings.current_id() == Some(recording) {
                    self.end(now);
                }
                let failure = texts::failure(&reason, &hint);
                self.recordings.advance(recording, Stage::Failed { failure });
            }
            Input::CutShort { recording, reason, hint } => {
                if self.recordings.current_id() == Some(recording) {
                    self.cut_short(now, recording, &reason, &hint);
                }
            }
            Input::Trouble { recording, trouble } => {
                let text = trouble.map(|error| texts::failure(&error.message, &error.hint));
                self.recordings.trouble(recording, text);
            }
            Input::GoesUp { recording, upload } => self.recordings.goes_up(recording, upload),
            Input::Recovered { recording, title, notes, started_by, length, finalized } => {
                let described = described(title.as_deref(), notes.as_deref());
                let stage = if finalized { Stage::Uploading { trouble: None } } else { Stage::Finalizing };
                self.recordings.recover(Ended {
                    recording,
                    described,
                    started_by,
                    length,
                    markers: 0,
                    cut_short: None,
                    stage,
                    waits: None,
                    upload: None,
                });
            }
            Input::Continued(continued) => self.go_on(now, *continued),
            Input::AutoStart { fresh } => {
                self.auto_record.answered();
                if self.begins_by_itself() && !self.recordings.knows(fresh) {
                    self.begin(now, fresh, Description::default(), None);
                }
            }
            Input::Waiting { recording, people, until } => self.recordings.waits(recording, people, until),
            Input::Disk { free_bytes } => self.disk.told(free_bytes),
        }
        self.settle(now, renew);
    }

    /// The next thing to do. To be drained after every [`Room::handle`].
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The room as everyone is to see it. `now` only moves the elapsed time, and what is left
    /// until the time limit.
    #[must_use]
    pub fn state(&self, now: ClockNs) -> RoomState {
        RoomState {
            people: self.people.shown(|participant| self.recordings.channel(participant)),
            current: self.recordings.current_status(now.max(self.now)),
            finalizing: self.recordings.ended_statuses(now.max(self.now)),
            epoch: self.config.epoch,
            sequence: self.published.sequence,
            room: self.config.room,
            name: self.config.name.clone(),
            record_by: self.config.record_by,
            auto_record: self.auto_record.people(),
            disk_left_ms: self.disk_left_ms(),
        }
    }

    /// One recording, as long as the room knows it: until some seconds after it was completed or cancelled.
    #[must_use]
    pub fn recording(&self, now: ClockNs, recording: RecordingId) -> Option<RecordingStatus> {
        self.recordings.status(recording, now.max(self.now))
    }

    /// Whether a recording may be downloaded, as far as the room can tell: one that it does not know is in the bucket
    /// or nowhere.
    ///
    /// # Errors
    /// `not_finalized`, `not_uploaded`, `recording_failed`, or `recording_not_found` for one that was discarded.
    pub fn may_download(&self, recording: RecordingId) -> Result<(), ErrorReport> {
        self.recordings.may_download(recording)
    }

    /// Begins a recording, after the current one was ended at the same instant.
    pub(crate) fn begin(
        &mut self,
        now: ClockNs,
        recording: RecordingId,
        described: Description,
        by: Option<ParticipantId>,
    ) {
        self.end(now);
        let Description { title, notes } = described.clone();
        self.recordings.begin(Current::new(recording, described, by, now));
        self.shown = Duration::ZERO;
        self.outputs.push_back(Output::Begin { recording, at: now, title: title.clone(), started_by: by });
        if notes.is_some() {
            self.outputs.push_back(Output::Described { recording, title, notes });
        }
        self.give_channels();
    }

    /// Ends the current recording, if there is one.
    pub(crate) fn end(&mut self, at: ClockNs) {
        if let Some(recording) = self.recordings.end(at) {
            self.auto_record.ended();
            self.outputs.push_back(Output::End { recording, at });
        }
    }

    /// Ends the current recording although nobody wanted that, and has everybody told why.
    pub(crate) fn cut_short(&mut self, at: ClockNs, recording: RecordingId, reason: &str, hint: &str) {
        self.end(at);
        self.recordings.cut_short(recording, texts::failure(reason, hint));
    }

    pub(crate) fn tell(&mut self, participant: ParticipantId, change: PersonChange) {
        self.outputs.push_back(Output::Person { participant, change });
    }

    fn enter(&mut self, introduction: Introduction) {
        if self.closed {
            return;
        }
        let participant = introduction.participant;
        for change in self.people.enter(introduction) {
            self.tell(participant, change);
        }
        if self.people.has_microphone(participant) {
            self.give_channel(participant);
        }
    }

    fn leave(&mut self, now: ClockNs, participant: ParticipantId) {
        let counted = self.people.is_participant(participant);
        if !self.people.leave(participant) {
            return;
        }
        self.tell(participant, PersonChange::Left);
        // An observer's goodbye leaves the participants as they were.
        if counted && !self.people.anyone_in() {
            self.end(now);
        }
    }

    /// Everybody with a microphone has a channel of the current recording.
    pub(crate) fn give_channels(&mut self) {
        let audible: Vec<_> = self.people.with_microphone().collect();
        for participant in audible {
            self.give_channel(participant);
        }
    }

    fn give_channel(&mut self, participant: ParticipantId) {
        if let Some((recording, index)) = self.recordings.give_channel(participant) {
            self.outputs.push_back(Output::Channel { recording, participant, index });
        }
    }

    /// Draws the conclusions that any input can have, and tells what changed.
    fn settle(&mut self, now: ClockNs, renew: bool) {
        for (participant, change) in self.people.refresh() {
            self.tell(participant, change);
        }
        self.deserted_since = if self.people.anyone_present() { None } else { self.deserted_since.or(Some(now)) };
        self.people.bound(|participant| self.recordings.channel(participant).is_some());
        self.watch_disk(now);
        self.watch_people();

        let mut state = still(self.state(now));
        if renew || state != self.published {
            state.sequence += 1;
            self.history.note(state.sequence, self.recordings.current_id());
            self.published = state;
            self.outputs.push_back(Output::Changed);
        }
        self.outputs.extend(self.afterwards.drain(..));
    }
}

/// A state without what moves by itself.
fn still(mut state: RoomState) -> RoomState {
    if let Some(current) = &mut state.current {
        current.elapsed_ms = 0;
        current.remaining_ms = None;
    }
    for waiting in state.finalizing.iter_mut().filter_map(|ended| ended.waiting.as_mut()) {
        waiting.left_ms = 0;
    }
    state
}
