//! The recorder's end of a room: links, relay, journals and uploads report; the room's rules decide; what they want
//! becomes outputs.

mod finishing;
mod found;
mod going_on;
mod hearing;
mod input;
mod output;
mod placement;
mod placing;
mod repair;
mod take;
mod taking;
mod telling;
mod track;
mod watching;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use roomtone_packets::{Described, IntervalEdge, MarkerSet, PersonLeft, Record};
use roomtone_protocol::channel::{Inventory, Peer, ToParticipant};
use roomtone_protocol::signal::MemberChange;
use roomtone_protocol::state::Role;
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId};
use roomtone_recorder::BackfillInput;
use roomtone_session::{Input as RoomInput, Output as RoomOutput, Path, Room};

pub use finishing::{last_audio, note_end, note_maps};
pub use going_on::GoingOn;
pub use input::{FinalizeFailure, Finished, Input, Moment, Setup};
pub use output::{Desk, Output};
pub use placement::{Placement, Run};
pub use repair::Reopened;

use crate::events::{HostEvent, RecordingLine};
use placing::Placing;
use take::OpenTake;
use track::{Linked, Track};

/// How often settling takes and requests for what is missing are looked at: 100 ms.
const STEP_NS: i64 = 100_000_000;

/// The recorder's end of one room.
#[derive(Debug)]
pub struct RecorderEnd {
    setup: Setup,
    room: Room,
    /// The newest instant that was told, on the timeline.
    now: Moment,
    /// The same on this run's own clock.
    on_clock: Moment,
    /// Where that clock lies on the timeline.
    placement: Placement,
    /// Until participants' clocks have told.
    placing: Option<Placing>,
    /// When journals were told last how the wall clock goes, on this run's own clock.
    wall_noted: Moment,
    links: BTreeMap<ParticipantId, Linked>,
    tracks: BTreeMap<ParticipantId, Track>,
    takes: BTreeMap<RecordingId, OpenTake>,
    /// Files that are being made.
    finalizing: BTreeSet<RecordingId>,
    /// Files on their way to the bucket.
    uploading: BTreeMap<RecordingId, Finished>,
    /// What each of them still takes on the disk, in bytes.
    unwritten: BTreeMap<RecordingId, u64>,
    /// Described after their journals were closed.
    described: BTreeMap<RecordingId, Described>,
    /// Discarded since the program started: whoever still holds something of them is told.
    discarded: BTreeSet<RecordingId>,
    /// Those of them without a tombstone yet.
    burying: BTreeSet<RecordingId>,
    /// In the bucket, with nothing missing: the spools may go.
    archived: BTreeSet<RecordingId>,
    /// Who came back with something of a recording that is over, until its journal is open again.
    late: BTreeMap<RecordingId, BTreeMap<ParticipantId, Inventory>>,
    /// Journals that are being opened again.
    reopening: BTreeSet<RecordingId>,
    /// Recordings that somebody keeps something of and this recorder does not.
    absent: BTreeSet<RecordingId>,
    /// All that these still hold of a recording is in its journal already.
    exhausted: BTreeSet<(RecordingId, ParticipantId)>,
    /// Counts links, to tell one from the one before it.
    generation: u64,
    lines: Vec<RecordingLine>,
    /// When open takes are looked at next.
    step_at: ClockNs,
    /// When it is looked next at what they lack.
    watch_at: ClockNs,
    ending: Option<Ending>,
    outputs: VecDeque<Output>,
}

/// The program was told to end.
#[derive(Debug)]
struct Ending {
    /// Time for uploads, once everything is finalized.
    drain: Duration,
    until: Option<ClockNs>,
}

impl RecorderEnd {
    /// The end of a room in which nothing has happened yet.
    #[must_use]
    pub fn new(now: Moment, setup: Setup, room: Room) -> Self {
        Self {
            setup,
            room,
            now,
            on_clock: now,
            placement: Placement::NONE,
            placing: None,
            wall_noted: now,
            links: BTreeMap::new(),
            tracks: BTreeMap::new(),
            takes: BTreeMap::new(),
            finalizing: BTreeSet::new(),
            uploading: BTreeMap::new(),
            unwritten: BTreeMap::new(),
            described: BTreeMap::new(),
            discarded: BTreeSet::new(),
            burying: BTreeSet::new(),
            archived: BTreeSet::new(),
            late: BTreeMap::new(),
            reopening: BTreeSet::new(),
            absent: BTreeSet::new(),
            exhausted: BTreeSet::new(),
            generation: 0,
            lines: Vec::new(),
            step_at: now.clock,
            watch_at: now.clock,
            ending: None,
            outputs: VecDeque::new(),
        }
    }

    /// Something happened.
    pub fn handle(&mut self, now: Moment, desk: &mut dyn Desk, input: Input) {
        self.on_clock = now;
        self.now = self.on_timeline(now);
        self.take_in(desk, input);
        self.drain(desk);
        self.end_when_done();
    }

    /// The next thing to do. To be drained after every [`RecorderEnd::handle`].
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<ClockNs> {
        let step = (!self.takes.is_empty()).then_some(self.step_at);
        let end = self.ending.as_ref().and_then(|ending| ending.until);
        let next = [self.room.next_deadline(), step, end].into_iter().flatten().min();
        next.map(|timeline| self.placement.on_clock(timeline))
    }

    /// A moment of this run's clock, on the timeline of the recording that it went on with, and of those that followed.
    #[must_use]
    pub fn on_timeline(&self, moment: Moment) -> Moment {
        Moment { clock: self.placement.on_timeline(moment.clock), ..moment }
    }

    /// Whether all is done that must be done before the program ends, or that there was time for.
    #[must_use]
    pub fn is_over(&self) -> bool {
        if !self.takes.is_empty() || !self.finalizing.is_empty() || !self.burying.is_empty() {
            return false;
        }
        let until = self.ending.as_ref().and_then(|ending| ending.until);
        until.is_some_and(|until| self.uploading.is_empty() || self.now.clock >= until)
    }

    /// Files that the bucket does not have yet.
    #[must_use]
    pub fn uploading(&self) -> usize {
        self.uploading.len()
    }

    fn take_in(&mut self, desk: &mut dyn Desk, input: Input) {
        match input {
            Input::Tick => self.step(desk),
            Input::Relay { connected: true } => self.room(RoomInput::RelayBack),
            Input::Relay { connected: false } => self.room(RoomInput::RelayLost),
            Input::Member { participant, change } => self.member(desk, participant, change),
            Input::Linked(peer) => self.linked(desk, peer),
            Input::LinkClosed { participant } => self.link_closed(desk, participant),
            Input::Message { from, message } => self.message(desk, from, message),
            Input::Request { from, id, based_on, command, fresh } => self.request(from, id, based_on, command, fresh),
            Input::Media { from, timestamp, opus } => self.media(desk, from, timestamp, opus),
            Input::Heard { from, timestamp, opus, at } => self.heard(desk, from, timestamp, opus, at),
            Input::Report { from, timestamp, sent, at, round_trip_ns } => {
                self.report(desk, from, (timestamp, sent), at, round_trip_ns);
            }
            Input::Bulk { from, records } => self.bulk(desk, from, &records),
            Input::Exchange { from, exchange } if self.placing.is_some() => self.measure(desk, from, exchange),
            Input::Exchange { from, exchange } => self.exchange(desk, from, exchange),
            Input::JournalOpen { recording } => self.room(RoomInput::Prepared { recording }),
            Input::Durable { recording, participant, coverage } => self.durable(recording, participant, coverage),
            Input::Forgotten { recording, participant, coverage } => {
                self.forgotten(desk, recording, participant, coverage);
            }
            Input::DiskFull { recording } => self.disk_full(recording),
            Input::JournalFailed { recording, reason } => self.journal_failed(recording, &reason),
            Input::Finalized { recording, result } => self.finalized(recording, result),
            Input::Submitted { recording, result } => self.submitted(recording, result),
            Input::GoesUp { recording, upload } => self.goes_up(recording, upload),
            Input::UploadTrouble { recording, error } => {
                self.room(RoomInput::Trouble { recording, trouble: Some(error.clone()) });
                self.tell(HostEvent::UploadRetrying { recording, error });
            }
            Input::Completed { recording, key, size } => self.completed(desk, recording, key, size),
            Input::Listed => self.listed(),
            Input::Buried { recording } => {
                self.burying.remove(&recording);
            }
            Input::AutoStart { fresh } => self.room(RoomInput::AutoStart { fresh }),
            Input::Disk { free_bytes } => {
                let free_bytes = free_bytes.saturating_sub(self.owed_bytes());
                self.room(RoomInput::Disk { free_bytes });
            }
            Input::FoundTake { recording, title, notes, finished, submitted } => {
                self.found_take(recording, (title, notes), finished, submitted);
            }
            Input::FoundJournal { recording } => self.found_journal(recording),
            Input::GoingOn(going_on) => self.go_on(desk, *going_on),
            Input::FoundRepair { recording } => self.found_repair(recording),
            Input::JournalReopened { recording, result } => self.reopened(desk, recording, result),
            Input::Shutdown { drain, stop } => {
                if let Some((id, fresh)) = stop {
                    self.stop_for_good(id, fresh);
                }
                self.ending = Some(Ending { drain, until: None });
            }
        }
    }

    fn member(&mut self, desk: &mut dyn Desk, participant: ParticipantId, change: MemberChange) {
        match change {
            MemberChange::Joined | MemberChange::Returned => {
                // Whoever is back at the door may bring what they said since: that is waited for.
                for track in self.takes.values_mut().filter_map(|take| take.tracks.get_mut(&participant)) {
                    track.left = false;
                }
                self.presence(participant, Path::Relay, true);
            }
            MemberChange::Away => self.presence(participant, Path::Relay, false),
            // Who is still connected here did not leave: the relay only ran out of patience.
            MemberChange::Left if self.links.contains_key(&participant) => {
                self.presence(participant, Path::Relay, false);
            }
            MemberChange::Left => self.left(desk, participant),
        }
    }

    fn linked(&mut self, desk: &mut dyn Desk, peer: Peer) {
        self.generation += 1;
        let participant = peer.participant;
        self.links.insert(participant, Linked { peer: peer.clone(), generation: self.generation });
        let visible_to_host = peer.host;
        if !peer.passing {
            self.tracks.entry(participant).or_default().link_changed();
            let microphone = peer.role == Role::Participant;
            let Peer { role, host, name, .. } = peer;
            self.room(RoomInput::Entered { participant, role, host, name, microphone });
            self.presence(participant, Path::Link, true);
        }
        self.drain(desk);
        let state = self.room.state(self.now.clock);
        self.send(participant, ToParticipant::State { state: Box::new(state) });
        self.outputs.push_back(Output::SendList { to: participant, host: visible_to_host });
        self.announce(participant);
    }

    fn link_closed(&mut self, desk: &mut dyn Desk, participant: ParticipantId) {
        let Some(link) = self.links.remove(&participant) else { return };
        for take in self.takes.values_mut() {
            if let Some(track) = take.tracks.get_mut(&participant) {
                track.backfill.handle(BackfillInput::LinkDown);
                // The last word on what was held, should nobody come back to send it.
                if let Some(inventory) = track.backfill.inventory().filter(|inventory| !inventory.complete).cloned() {
                    take.append(desk, participant, Record::Inventory(inventory));
                }
            }
        }
        if !link.peer.passing {
            self.presence(participant, Path::Link, false);
        }
    }

    fn left(&mut self, desk: &mut dyn Desk, participant: ParticipantId) {
        let gone = PersonLeft { participant, at: self.now.clock };
        if let Some(track) = self.tracks.get_mut(&participant) {
            track.left = Some(gone);
        }
        for take in self.takes.values_mut().filter(|take| take.repair.is_none()) {
            if let Some(track) = take.tracks.get_mut(&participant) {
                track.left = true;
                take.note(desk, Record::Left(gone));
            }
        }
        self.room(RoomInput::Left { participant });
    }

    fn presence(&mut self, participant: ParticipantId, path: Path, up: bool) {
        self.room(RoomInput::Presence { participant, path, up });
    }

    fn room(&mut self, input: RoomInput) {
        self.room.handle(self.now.clock, input);
    }

    /// Does all that the room wants.
    fn drain(&mut self, desk: &mut dyn Desk) {
        while let Some(output) = self.room.poll_output() {
            self.output(desk, output);
        }
    }

    fn output(&mut self, desk: &mut dyn Desk, output: RoomOutput) {
        match output {
            RoomOutput::Begin { recording, at, title, started_by } => {
                self.begin(desk, recording, at, title, started_by);
            }
            RoomOutput::End { recording, at } => self.end_take(desk, recording, at),
            RoomOutput::Pause { recording, at } => self.interrupt(desk, recording, at, IntervalEdge::Pause),
            RoomOutput::Resume { recording, at } => self.interrupt(desk, recording, at, IntervalEdge::Resume),
            RoomOutput::Mark { recording, at, text, by, asked } => {
                let marker = MarkerSet { recording, at, text, by, asked: Some(asked) };
                self.remark(desk, recording, Record::Marker(marker));
            }
            RoomOutput::Described { recording, title, notes } => self.describe(desk, recording, title, notes),
            RoomOutput::Warning { recording, warning } => self.tell(HostEvent::warning(recording, warning)),
            RoomOutput::WantsRecording => self.outputs.push_back(Output::WantsRecording),
            RoomOutput::Discard { recording } => self.discard(recording),
            RoomOutput::Channel { recording, participant, index } => self.channel(desk, recording, participant, index),
            RoomOutput::Reply { to, id, result } => self.send(to, ToParticipant::Answer { id, result }),
            RoomOutput::Changed => self.publish(),
            RoomOutput::Person { participant, change } => self.person_changed(desk, participant, change),
            RoomOutput::RoomClosed => {
                self.send_to_all(&ToParticipant::RoomClosed);
                self.outputs.push_back(Output::CloseRoom);
                self.tell(HostEvent::RoomClosed);
            }
        }
    }

    fn step(&mut self, desk: &mut dyn Desk) {
        if self.room.next_deadline().is_some_and(|deadline| deadline <= self.now.clock) {
            self.room(RoomInput::Tick);
        }
        if self.step_at > self.now.clock {
            return;
        }
        self.place_by_now(desk);
        let now = self.now.clock;
        self.step_at = ClockNs(now.0 + STEP_NS);
        if placement::was_set(self.wall_noted, self.on_clock) {
            self.note_epochs(desk);
        }
        self.takes.values_mut().for_each(|take| take.catch_up(desk));
        self.ask_for_missing();
        self.watch();
        let links = &self.links;
        let ending = self.ending.is_some();
        let patience_ns = i64::try_from(self.setup.stop_wait.as_nanos()).unwrap_or(i64::MAX);
        let placed = self.placing.is_none();
        let settled = |take: &&OpenTake| {
            (ending && take.repair.is_some())
                || (placed && take.settled(now, patience_ns, |participant| links.contains_key(&participant)))
        };
        let settled: Vec<_> = self.takes.values().filter(settled).map(|take| take.recording).collect();
        settled.into_iter().for_each(|recording| self.finish(desk, recording));
        self.show_waiting(patience_ns);
    }

    /// From the moment on in which everything is finalized, uploads have their time.
    fn end_when_done(&mut self) {
        if !self.takes.is_empty() || !self.finalizing.is_empty() {
            return;
        }
        if let Some(ending) = &mut self.ending {
            let drain = i64::try_from(ending.drain.as_nanos()).unwrap_or(i64::MAX);
            ending.until.get_or_insert(ClockNs(self.now.clock.0.saturating_add(drain)));
        }
    }
}
