//! The room: one value that everything happens to.

use std::collections::VecDeque;
use std::time::Duration;

use roomtone_protocol::state::{RecordingStatus, RoomState};
use roomtone_protocol::{ClockNs, ErrorReport, ParticipantId, RecordingId};

use crate::answered::Answered;
use crate::history::History;
use crate::input::{Config, Input, Path};
use crate::output::{Output, PersonChange};
use crate::people::{Introduction, People};
use crate::recordings::{Current, Ended, Recordings, Stage};
use crate::texts;
use crate::timing::{after, between};

/// How often everyone sees the elapsed time move.
const RENEWAL: Duration = Duration::from_secs(1);

/// The rules of one room.
///
/// Time never goes back: an input with an earlier instant than the last one happens at the last one's.
#[derive(Debug, Clone)]
pub struct Room {
    pub(crate) config: Config,
    now: ClockNs,
    pub(crate) people: People,
    pub(crate) recordings: Recordings,
    pub(crate) history: History,
    pub(crate) answered: Answered,
    pub(crate) closed: bool,
    /// Since when no participant is present; None while somebody is.
    deserted_since: Option<ClockNs>,
    /// When the elapsed time of the current recording is due to be shown again.
    renew_at: ClockNs,
    /// What everyone was told last, but for the elapsed time of the current recording, which moves by itself.
    published: RoomState,
    outputs: VecDeque<Output>,
    /// What has to follow [`Output::Changed`].
    pub(crate) afterwards: Vec<Output>,
}

impl Room {
    /// An empty room.
    #[must_use]
    pub fn new(now: ClockNs, config: Config) -> Self {
        let published = RoomState {
            epoch: config.epoch,
            sequence: 0,
            room: config.room,
            name: config.name.clone(),
            record_by: config.record_by,
            people: Vec::new(),
            current: None,
            finalizing: Vec::new(),
        };
        Self {
            now,
            people: People::default(),
            recordings: Recordings::default(),
            history: History::new(config.epoch),
            answered: Answered::default(),
            closed: false,
            deserted_since: Some(now),
            renew_at: now,
            published,
            outputs: VecDeque::new(),
            afterwards: Vec::new(),
            config,
        }
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
                    self.end(now);
                    self.recordings.cut_short(recording, texts::failure(&reason, &hint));
                }
            }
            Input::Trouble { recording, trouble } => {
                let text = trouble.map(|error| texts::failure(&error.message, &error.hint));
                self.recordings.trouble(recording, text);
            }
            Input::Recovered { recording, title, started_by, length, finalized } => {
                let title = texts::clean_title(title.as_deref()).unwrap_or(None);
                let stage = if finalized { Stage::Uploading { trouble: None } } else { Stage::Finalizing };
                self.recordings.recover(Ended { recording, title, started_by, length, cut_short: None, stage });
            }
        }
        self.settle(now, renew);
    }

    /// The next thing to do. To be drained after every [`Room::handle`].
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<ClockNs> {
        let renewal = self.recordings.current().map(|_| self.renew_at);
        [self.grace_over(), self.recordings.next_drop(), renewal].into_iter().flatten().min()
    }

    /// The room as everyone is to see it. `now` only moves the elapsed time.
    #[must_use]
    pub fn state(&self, now: ClockNs) -> RoomState {
        RoomState {
            people: self.people.shown(|participant| self.recordings.channel(participant)),
            current: self.recordings.current_status(now.max(self.now)),
            finalizing: self.recordings.ended_statuses(),
            epoch: self.config.epoch,
            sequence: self.published.sequence,
            room: self.config.room,
            name: self.config.name.clone(),
            record_by: self.config.record_by,
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
        title: Option<String>,
        by: Option<ParticipantId>,
    ) {
        self.end(now);
        self.recordings.begin(Current {
            recording,
            title: title.clone(),
            started_by: by,
            begun: now,
            prepared: false,
            channels: Vec::new(),
        });
        self.renew_at = after(now, RENEWAL);
        self.outputs.push_back(Output::Begin { recording, at: now, title, started_by: by });
        let audible: Vec<_> = self.people.with_microphone().collect();
        for participant in audible {
            self.give_channel(participant);
        }
    }

    /// Ends the current recording, if there is one.
    pub(crate) fn end(&mut self, at: ClockNs) {
        if let Some(recording) = self.recordings.end(at) {
            self.outputs.push_back(Output::End { recording, at });
        }
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

    fn give_channel(&mut self, participant: ParticipantId) {
        if let Some((recording, index)) = self.recordings.give_channel(participant) {
            self.outputs.push_back(Output::Channel { recording, participant, index });
        }
    }

    /// When the current recording has run for the grace time with nobody present.
    fn grace_over(&self) -> Option<ClockNs> {
        let (current, since) = (self.recordings.current()?, self.deserted_since?);
        Some(after(since.max(current.begun), self.config.grace))
    }

    fn carry_out_due(&mut self, now: ClockNs) {
        if let Some(at) = self.grace_over().filter(|&at| at <= now) {
            self.end(at);
        }
        self.recordings.drop_shown(now);
    }

    /// Whether the elapsed time is to be shown again. It moves in whole seconds from the beginning.
    fn renewal_due(&mut self, now: ClockNs) -> bool {
        let Some(begun) = self.recordings.current().map(|current| current.begun) else { return false };
        let due = self.renew_at <= now;
        if due {
            let seconds = between(begun, now).as_secs();
            self.renew_at = after(begun, Duration::from_secs(seconds) + RENEWAL);
        }
        due
    }

    /// Draws the conclusions that any input can have, and tells what changed.
    fn settle(&mut self, now: ClockNs, renew: bool) {
        for (participant, change) in self.people.refresh() {
            self.tell(participant, change);
        }
        self.deserted_since = if self.people.anyone_present() { None } else { self.deserted_since.or(Some(now)) };
        self.people.bound(|participant| self.recordings.channel(participant).is_some());

        let mut state = self.state(now);
        if let Some(current) = &mut state.current {
            current.elapsed_ms = 0;
        }
        if renew || state != self.published {
            state.sequence += 1;
            self.history.note(state.sequence, self.recordings.current_id());
            self.published = state;
            self.outputs.push_back(Output::Changed);
        }
        self.outputs.extend(self.afterwards.drain(..));
    }
}
