//! The loop around one room: links, relay, journals and uploads report; the room's rules decide; what they want is done.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use roomtone_clock::now;
use roomtone_packets::{Described, IntervalEdge, MarkerSet, PersonLeft, Record};
use roomtone_protocol::channel::ToParticipant;
use roomtone_protocol::signal::MemberChange;
use roomtone_protocol::state::Role;
use roomtone_protocol::{ErrorReport, ParticipantId, RecordingId, RoomId};
use roomtone_recorder::{BackfillInput, BitDepth};
use roomtone_relay::Relay;
use roomtone_session::{Input as RoomInput, Output, Path, Room};
use roomtone_storage::{PublishEvent, Publisher};
use roomtone_transport::{
    LinkEvent, ParticipantEvent as DoorEvent, Peer, RecorderEndpoint, RecorderEvent, RecorderLink, local_link,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::LocalDoor;
use super::finish::{Finish, Finished};
use super::shelf::Shelf;
use super::take::OpenTake;
use super::track::{Linked, Track};
use super::writer::{Writer, Written};
use crate::events::{HostEvent, RecordingLine};
use crate::outbox::Outbox;
use crate::random;

/// How often deadlines, settling takes and requests for what is missing are looked at.
const STEP: Duration = Duration::from_millis(100);

/// How long the last words to everybody may take.
const FLUSH: Duration = Duration::from_secs(2);

/// What reaches the engine.
pub(super) enum Input {
    Relay(RecorderEvent),
    Link {
        participant: ParticipantId,
        generation: u64,
        event: LinkEvent<roomtone_protocol::channel::ToRecorder>,
    },
    Finished(Box<Finish>),
    /// The upload queue has a take, or could not store it.
    Submitted {
        recording: RecordingId,
        result: Result<(), ErrorReport>,
    },
    /// The list shows what the bucket has confirmed.
    Completed {
        recording: RecordingId,
        key: String,
        size: u64,
    },
    Listed,
    Order(Order),
}

/// What the host's owner wants.
pub(super) enum Order {
    Admit {
        peer: Peer,
        reply: oneshot::Sender<LocalDoor>,
    },
    /// Finalize what runs, bring up what can be brought up within the time, and end.
    Shutdown {
        drain: Duration,
        done: oneshot::Sender<()>,
    },
}

/// What an engine is made of.
pub(super) struct Parts {
    pub(super) room: Room,
    /// The host's own key, as a participant.
    pub(super) me: ParticipantId,
    pub(super) room_id: RoomId,
    pub(super) room_name: String,
    pub(super) bit_depth: BitDepth,
    pub(super) endpoint: Arc<RecorderEndpoint>,
    pub(super) own_relay: Option<Relay>,
    pub(super) writer: Writer,
    pub(super) shelf: Shelf,
    pub(super) publisher: Arc<Publisher>,
    pub(super) recordings: PathBuf,
    pub(super) events: mpsc::Sender<HostEvent>,
    pub(super) inbox: mpsc::Sender<Input>,
}

pub(super) struct Engine {
    pub(super) parts: Parts,
    pub(super) links: HashMap<ParticipantId, Linked>,
    pub(super) tracks: HashMap<ParticipantId, Track>,
    pub(super) takes: BTreeMap<RecordingId, OpenTake>,
    /// Files that are being made.
    pub(super) finalizing: HashSet<RecordingId>,
    /// Files on their way to the bucket.
    pub(super) uploading: HashMap<RecordingId, Finished>,
    /// In the bucket, with nothing missing: the spools may go.
    pub(super) archived: HashSet<RecordingId>,
    local: Option<mpsc::Sender<DoorEvent>>,
    generation: u64,
    pub(super) lines: Vec<RecordingLine>,
    ending: Option<Ending>,
}

/// The program was told to end.
struct Ending {
    /// Time for uploads, once everything is finalized.
    drain: Duration,
    until: Option<Instant>,
    done: oneshot::Sender<()>,
}

impl Engine {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            parts,
            links: HashMap::new(),
            tracks: HashMap::new(),
            takes: BTreeMap::new(),
            finalizing: HashSet::new(),
            uploading: HashMap::new(),
            archived: HashSet::new(),
            local: None,
            generation: 0,
            lines: Vec::new(),
            ending: None,
        }
    }

    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Input>,
        mut written: mpsc::UnboundedReceiver<Written>,
        mut published: mpsc::Receiver<PublishEvent>,
    ) {
        let mut step = interval(STEP);
        step.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(input) = inbox.recv() => self.input(input),
                Some(written) = written.recv() => self.written(written),
                Some(event) = published.recv() => self.published(event),
                _ = step.tick() => self.step(),
            }
            self.drain();
            if self.is_over() {
                break;
            }
        }
        self.end().await;
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Relay(event) => self.relay_event(event),
            Input::Link { participant, generation, event } => {
                if self.links.get(&participant).is_some_and(|link| link.generation == generation) {
                    self.link_event(participant, event);
                }
            }
            Input::Finished(finish) => self.finished(*finish),
            Input::Submitted { recording, result } => self.submitted(recording, result),
            Input::Completed { recording, key, size } => self.completed(recording, key, size),
            Input::Listed => self.listed(),
            Input::Order(Order::Admit { peer, reply }) => self.admit(peer, reply),
            Input::Order(Order::Shutdown { drain, done }) => {
                if let Err(error) = self.stop_for_good() {
                    self.tell(HostEvent::Problem { error });
                }
                self.ending = Some(Ending { drain, until: None, done });
            }
        }
    }

    fn relay_event(&mut self, event: RecorderEvent) {
        match event {
            RecorderEvent::Relay { connected: true } => self.room(RoomInput::RelayBack),
            RecorderEvent::Relay { connected: false } => self.room(RoomInput::RelayLost),
            RecorderEvent::Member { participant, change, .. } => match change {
                MemberChange::Joined | MemberChange::Returned => self.presence(participant, Path::Relay, true),
                MemberChange::Away => self.presence(participant, Path::Relay, false),
                // Who is still connected here did not leave: the relay only ran out of patience.
                MemberChange::Left if self.links.contains_key(&participant) => {
                    self.presence(participant, Path::Relay, false);
                }
                MemberChange::Left => self.left(participant),
            },
            RecorderEvent::Levels(levels) => {
                if let Some(local) = &self.local {
                    // A full queue only means that newer levels are on their way.
                    drop(local.try_send(DoorEvent::Levels(levels)));
                }
            }
            RecorderEvent::Link(link) => self.linked(link),
            RecorderEvent::RoomClosed => self.room(RoomInput::RelayLost),
            RecorderEvent::Refused(error) => self.tell(HostEvent::Problem { error }),
        }
    }

    /// Lets this program's own participant in, without a network.
    fn admit(&mut self, peer: Peer, reply: oneshot::Sender<LocalDoor>) {
        let (theirs, ours) = local_link(peer);
        let (door, events) = mpsc::channel(64);
        let (levels, mut level_queue) = mpsc::channel(8);
        // The queue is new and holds more than one event.
        drop(door.try_send(DoorEvent::Link(theirs)));
        self.local = Some(door);
        let endpoint = Arc::clone(&self.parts.endpoint);
        tokio::spawn(async move {
            while let Some(dbfs) = level_queue.recv().await {
                endpoint.send_level(dbfs);
            }
        });
        if reply.send(LocalDoor::new(levels, events)).is_ok() {
            self.linked(ours);
        }
    }

    fn linked(&mut self, link: RecorderLink) {
        self.generation += 1;
        let (generation, peer) = (self.generation, link.peer);
        let participant = peer.participant;
        let outbox = Outbox::new(link.sender);
        let (inbox, mut events) = (self.parts.inbox.clone(), link.events);
        tokio::spawn(async move {
            let mut open = true;
            while open {
                let event = events.recv().await.unwrap_or(LinkEvent::Closed);
                open = !matches!(event, LinkEvent::Closed) && !inbox.is_closed();
                if inbox.send(Input::Link { participant, generation, event }).await.is_err() {
                    break;
                }
            }
        });
        let visible = self.parts.shelf.entries(peer.host);
        self.links.insert(participant, Linked { peer: peer.clone(), outbox, generation });
        if !peer.passing {
            self.tracks.entry(participant).or_default().link_changed();
            let microphone = peer.role == Role::Participant;
            let Peer { role, host, name, .. } = peer;
            self.room(RoomInput::Entered { participant, role, host, name, microphone });
            self.presence(participant, Path::Link, true);
        }
        self.drain();
        let state = self.parts.room.state(now());
        self.send(participant, ToParticipant::State { state: Box::new(state) });
        self.send(participant, ToParticipant::Recordings { entries: visible });
        self.announce(participant);
    }

    pub(super) fn link_closed(&mut self, participant: ParticipantId) {
        let Some(link) = self.links.remove(&participant) else { return };
        for take in self.takes.values_mut() {
            if let Some(track) = take.tracks.get_mut(&participant) {
                track.backfill.handle(BackfillInput::LinkDown);
                // The last word on what was held, should nobody come back to send it.
                if let Some(inventory) = track.backfill.inventory().filter(|inventory| !inventory.complete)
                    && !self.parts.writer.append(take.recording, participant, Record::Inventory(inventory.clone()))
                {
                    tracing::warn!("the disk is behind; an inventory is not in the journal");
                }
            }
        }
        if !link.peer.passing {
            self.presence(participant, Path::Link, false);
        }
    }

    pub(super) fn left(&mut self, participant: ParticipantId) {
        let gone = Record::Left(PersonLeft { participant, at: now() });
        for take in self.takes.values_mut() {
            if let Some(track) = take.tracks.get_mut(&participant) {
                track.left = true;
                if !self.parts.writer.note(take.recording, gone.clone()) {
                    tracing::warn!("the disk is behind; a goodbye is not in the journal");
                }
            }
        }
        self.room(RoomInput::Left { participant });
    }

    fn presence(&mut self, participant: ParticipantId, path: Path, up: bool) {
        self.room(RoomInput::Presence { participant, path, up });
    }

    pub(super) fn room(&mut self, input: RoomInput) {
        self.parts.room.handle(now(), input);
    }

    /// Does all that the room wants.
    pub(super) fn drain(&mut self) {
        while let Some(output) = self.parts.room.poll_output() {
            self.output(output);
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Begin { recording, at, title, started_by } => self.begin(recording, at, title, started_by),
            Output::End { recording, at } => self.end_take(recording, at),
            Output::Pause { recording, at } => self.interrupt(recording, at, IntervalEdge::Pause),
            Output::Resume { recording, at } => self.interrupt(recording, at, IntervalEdge::Resume),
            Output::Mark { recording, at, text, by } => {
                self.remark(recording, Record::Marker(MarkerSet { recording, at, text, by }));
            }
            Output::Described { recording, title, notes } => {
                self.remark(recording, Record::Described(Described { title, notes }));
            }
            Output::Warning { recording, warning } => self.tell(HostEvent::warning(recording, warning)),
            Output::WantsRecording => match random::bytes().map(RecordingId::from_bytes) {
                Ok(fresh) => self.room(RoomInput::AutoStart { fresh }),
                Err(error) => self.tell(HostEvent::Problem { error }),
            },
            Output::Discard { recording } => self.discard(recording),
            Output::Channel { recording, participant, index } => self.channel(recording, participant, index),
            Output::Reply { to, id, result } => self.send(to, ToParticipant::Answer { id, result }),
            Output::Changed => self.publish(),
            Output::Person { participant, change } => self.person_changed(participant, change),
            Output::RoomClosed => {
                self.links.values().for_each(|link| link.outbox.send(ToParticipant::RoomClosed));
                self.parts.endpoint.close_room();
                self.tell(HostEvent::RoomClosed);
            }
        }
    }

    fn step(&mut self) {
        let now = now();
        if self.parts.room.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.room(RoomInput::Tick);
        }
        self.ask_for_missing(now);
        let links = &self.links;
        let settled = |take: &&OpenTake| take.settled(now, |participant| links.contains_key(&participant));
        let settled: Vec<_> = self.takes.values().filter(settled).map(|take| take.recording).collect();
        settled.into_iter().for_each(|recording| self.finish(recording));
    }

    /// Whether all is done that must be done before the program ends, or that there was time for.
    fn is_over(&mut self) -> bool {
        let Some(ending) = &mut self.ending else { return false };
        if !self.takes.is_empty() || !self.finalizing.is_empty() {
            return false;
        }
        let until = *ending.until.get_or_insert_with(|| Instant::now() + ending.drain);
        self.uploading.is_empty() || Instant::now() >= until
    }

    async fn end(mut self) {
        let Some(ending) = self.ending.take() else { return };
        tracing::info!(unfinished = self.uploading.len(), "uploads go on at the next start");
        // What was said last, such as that the room is closed, must not be lost in the queues.
        let flushing = async {
            for link in self.links.values() {
                link.outbox.flush().await;
            }
        };
        if tokio::time::timeout(FLUSH, flushing).await.is_err() {
            tracing::debug!("somebody's link does not take the last words");
        }
        self.parts.endpoint.close().await;
        if let Some(relay) = self.parts.own_relay.take() {
            relay.shutdown().await;
        }
        // Whoever asked may have stopped waiting.
        let _unheard = ending.done.send(());
    }
}

/// Forwards news of the list.
pub(super) fn watch_list<T: Send + Sync + 'static>(mut list: watch::Receiver<T>, inbox: mpsc::Sender<Input>) {
    tokio::spawn(async move { while list.changed().await.is_ok() && inbox.send(Input::Listed).await.is_ok() {} });
}
