//! The loop around one room: links, relay, journals and uploads report to the recorder's end, and what it wants is done.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use roomtone_clock::{now, wall_ns};
use roomtone_disk::Reserve;
use roomtone_engine::{HostEvent, Moment, RecorderEnd, RecorderInput, RecorderOutput, Run};
use roomtone_protocol::channel::{Peer, ToParticipant, ToRecorder};
use roomtone_protocol::{CommandId, ErrorReport, ParticipantId, RecordingId};
use roomtone_relay::Relay;
use roomtone_session::Config;
use roomtone_storage::{PublishEvent, Publisher};
use roomtone_transport::{
    LinkEvent, ParticipantEvent as DoorEvent, RecorderEndpoint, RecorderEvent, RecorderLink, local_link,
};
use tokio::sync::{mpsc, oneshot, watch};

use super::LocalDoor;
use super::desk::HostDesk;
use super::finish::{Finish, Made};
use super::hashing::Hashing;
use super::reopen::Opened;
use super::take::GrownBytes;
use super::writer::Written;
use crate::deadline::reached;
use crate::outbox::Outbox;
use crate::random;
use crate::wakeful::Wakeful;

/// Links are looked at one after the other, all within milliseconds: their audio is taken in together.
const GATHER: Duration = Duration::from_millis(10);

/// Inputs that are taken in one after the other before anything else is looked at.
const BURST: usize = 256;

/// How long the last words to everybody may take.
const FLUSH: Duration = Duration::from_secs(2);

/// What reaches the engine.
pub(super) enum Input {
    Relay(RecorderEvent),
    Link {
        participant: ParticipantId,
        generation: u64,
        event: LinkEvent<ToRecorder>,
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
    /// These objects were too old and are gone.
    Expired {
        keys: Vec<String>,
    },
    /// The journal of a recording that is over was opened again, or why not.
    Reopened {
        recording: RecordingId,
        result: Result<Box<Opened>, String>,
    },
    /// A tombstone stands for a discarded recording, or it went without one.
    Buried {
        recording: RecordingId,
        result: Result<(), ErrorReport>,
    },
    /// Bytes that the disk has left.
    Disk {
        free_bytes: u64,
    },
    Order(Order),
}

impl Input {
    /// Whether it may wait for others like it.
    fn is_audio(&self) -> bool {
        let Self::Link { event, .. } = self else { return false };
        matches!(event, LinkEvent::Media { .. } | LinkEvent::Heard { .. } | LinkEvent::Bulk(_))
    }
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
    pub(super) end: RecorderEnd,
    pub(super) desk: HostDesk,
    pub(super) config: Config,
    /// This start of the program.
    pub(super) run: Run,
    pub(super) endpoint: Arc<RecorderEndpoint>,
    pub(super) own_relay: Option<Relay>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) recordings: PathBuf,
    /// What the takes that grow hold on the disk.
    pub(super) grown: GrownBytes,
    /// Room for the end of a recording on a disk that is full.
    pub(super) reserve: Reserve,
    pub(super) wakeful: Wakeful,
    pub(super) hashing: Hashing,
    pub(super) events: mpsc::Sender<HostEvent>,
    pub(super) inbox: mpsc::Sender<Input>,
}

pub(super) struct Engine {
    pub(super) parts: Parts,
    links: HashMap<ParticipantId, Linked>,
    /// Whole files that the upload queue does not have yet.
    pub(super) made: HashMap<RecordingId, Made>,
    local: Option<mpsc::Sender<DoorEvent>>,
    generation: u64,
    /// Whoever waits for the end.
    ending: Option<oneshot::Sender<()>>,
}

/// A link that is up.
struct Linked {
    outbox: Outbox<ToParticipant>,
    /// Tells this link from the one before it.
    generation: u64,
}

/// Now, on both clocks.
pub(super) fn moment() -> Moment {
    Moment { clock: now(), wall_ns: wall_ns() }
}

impl Engine {
    pub(super) fn new(parts: Parts) -> Self {
        Self { parts, links: HashMap::new(), made: HashMap::new(), local: None, generation: 0, ending: None }
    }

    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Input>,
        mut written: mpsc::UnboundedReceiver<Written>,
        mut published: mpsc::Receiver<PublishEvent>,
    ) {
        while !self.parts.end.is_over() {
            let deadline = self.parts.end.next_deadline();
            tokio::select! {
                Some(input) = inbox.recv() => {
                    if input.is_audio() {
                        tokio::time::sleep(GATHER).await;
                    }
                    self.input(input);
                    (0..BURST).map_while(|_| inbox.try_recv().ok()).for_each(|input| self.input(input));
                }
                Some(written) = written.recv() => self.written(written),
                Some(event) = published.recv() => self.published(event),
                () = reached(deadline) => self.handle(RecorderInput::Tick),
            }
        }
        self.end().await;
    }

    /// Tells the recorder's end what happened, and does what it wants.
    pub(super) fn handle(&mut self, input: RecorderInput) {
        self.parts.end.handle(moment(), &mut self.parts.desk, input);
        while let Some(output) = self.parts.end.poll_output() {
            self.output(output);
        }
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
            Input::Submitted { recording, result } => self.handle(RecorderInput::Submitted { recording, result }),
            Input::Completed { recording, key, size } => {
                self.handle(RecorderInput::Completed { recording, key, size });
            }
            Input::Listed => self.handle(RecorderInput::Listed),
            Input::Expired { keys } => self.tell(HostEvent::RecordingsExpired { keys }),
            Input::Reopened { recording, result } => self.reopened(recording, result),
            Input::Buried { recording, result } => self.buried(recording, result),
            Input::Disk { free_bytes } => {
                // The rules keep room for whole files; a part of these is written.
                let free_bytes = free_bytes.saturating_add(self.parts.grown.total());
                self.handle(RecorderInput::Disk { free_bytes });
            }
            Input::Order(Order::Admit { peer, reply }) => self.admit(peer, reply),
            Input::Order(Order::Shutdown { drain, done }) => {
                let ids = random::bytes().and_then(|id| Ok((CommandId::from_bytes(id), fresh()?)));
                let stop = ids.map_err(|error| self.tell(HostEvent::Problem { error })).ok();
                self.ending = Some(done);
                // Nothing newer will come: what is gathered goes up now.
                let publisher = Arc::clone(&self.parts.publisher);
                tokio::spawn(async move { publisher.drain(drain).await });
                self.handle(RecorderInput::Shutdown { drain, stop });
            }
        }
    }

    fn relay_event(&mut self, event: RecorderEvent) {
        match event {
            RecorderEvent::Relay { connected } => self.handle(RecorderInput::Relay { connected }),
            RecorderEvent::Member { participant, change, .. } => {
                self.handle(RecorderInput::Member { participant, change });
            }
            RecorderEvent::Levels(levels) => {
                if let Some(local) = &self.local {
                    // A full queue only means that newer levels are on their way.
                    drop(local.try_send(DoorEvent::Levels(levels)));
                }
            }
            RecorderEvent::Link(link) => self.linked(link),
            RecorderEvent::RoomClosed => self.handle(RecorderInput::Relay { connected: false }),
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
        self.parts.endpoint.run(async move {
            let mut open = true;
            while open {
                let event = events.recv().await.unwrap_or(LinkEvent::Closed);
                open = !matches!(event, LinkEvent::Closed) && !inbox.is_closed();
                if inbox.send(Input::Link { participant, generation, event }).await.is_err() {
                    break;
                }
            }
        });
        self.links.insert(participant, Linked { outbox, generation });
        self.handle(RecorderInput::Linked(peer));
    }

    fn link_event(&mut self, from: ParticipantId, event: LinkEvent<ToRecorder>) {
        let input = match event {
            LinkEvent::Message(ToRecorder::Request { id, based_on, command }) => match fresh() {
                Ok(fresh) => RecorderInput::Request { from, id, based_on, command, fresh },
                Err(error) => return self.send(from, ToParticipant::Answer { id, result: Err(error) }),
            },
            LinkEvent::Message(message) => RecorderInput::Message { from, message },
            LinkEvent::Media { timestamp, opus } => RecorderInput::Media { from, timestamp, opus: opus.into() },
            LinkEvent::Heard { timestamp, opus, at } => RecorderInput::Heard { from, timestamp, opus: opus.into(), at },
            LinkEvent::Report { timestamp, sent, at, round_trip_ns } => {
                RecorderInput::Report { from, timestamp, sent, at, round_trip_ns }
            }
            LinkEvent::Bulk(records) => RecorderInput::Bulk { from, records: records.into() },
            LinkEvent::Exchange(exchange) => RecorderInput::Exchange { from, exchange },
            LinkEvent::Closed => {
                self.links.remove(&from);
                RecorderInput::LinkClosed { participant: from }
            }
        };
        self.handle(input);
    }

    fn written(&mut self, written: Written) {
        self.handle(match written {
            Written::Open { recording } => RecorderInput::JournalOpen { recording },
            Written::Forgotten { recording, participant, coverage } => {
                RecorderInput::Forgotten { recording, participant, coverage }
            }
            Written::DiskFull { recording } => RecorderInput::DiskFull { recording },
            Written::Durable { recording, participant, coverage } => {
                RecorderInput::Durable { recording, participant, coverage }
            }
            Written::Failed { recording, error } => {
                RecorderInput::JournalFailed { recording, reason: error.to_string() }
            }
        });
    }

    fn output(&mut self, output: RecorderOutput) {
        match output {
            RecorderOutput::Send { to, message } => self.send(to, message),
            RecorderOutput::SendList { to, host } => {
                self.send(to, ToParticipant::Recordings(self.parts.desk.shelf.newest(host)));
            }
            RecorderOutput::Shelf { from, host, id, command } => {
                let Some(link) = self.links.get(&from) else { return };
                let (shelf, outbox) = (self.parts.desk.shelf.clone(), link.outbox.clone());
                tokio::spawn(async move {
                    let result = shelf.answer(host, command).await;
                    outbox.send(ToParticipant::Answer { id, result });
                });
            }
            RecorderOutput::PublishState(state) => {
                self.parts.publisher.recording(state.current.is_some());
                self.parts.endpoint.publish_state(*state);
            }
            RecorderOutput::Finalize { recording, maps } => self.finalize(recording, maps),
            RecorderOutput::FinalizeFound { recording } => self.finalize_found(recording),
            RecorderOutput::ReopenJournal { recording } => self.reopen_journal(recording),
            RecorderOutput::CloseJournal { recording } => self.close_journal(recording),
            RecorderOutput::FinalizeAgain { recording } => self.finalize_again(recording),
            RecorderOutput::Publish { recording } => self.submit(recording),
            RecorderOutput::Discard { recording } => self.discard(recording),
            RecorderOutput::Describe { recording, title, notes } => {
                let shelf = self.parts.desk.shelf.clone();
                tokio::spawn(async move { shelf.describe(recording, title, notes).await });
            }
            RecorderOutput::WantsRecording => match fresh() {
                Ok(fresh) => self.handle(RecorderInput::AutoStart { fresh }),
                Err(error) => self.tell(HostEvent::Problem { error }),
            },
            RecorderOutput::CloseRoom => self.parts.endpoint.close_room(),
            RecorderOutput::Event(event) => self.tell(event),
        }
    }

    fn send(&self, participant: ParticipantId, message: ToParticipant) {
        if let Some(link) = self.links.get(&participant) {
            link.outbox.send(message);
        }
    }

    pub(super) fn tell(&self, event: HostEvent) {
        if let HostEvent::RecordingState(line) = &event {
            self.parts.wakeful.saw(line);
        }
        if let Err(mpsc::error::TrySendError::Full(event)) = self.parts.events.try_send(event) {
            tracing::warn!(?event, "nobody reads the events; one is dropped");
        }
    }

    async fn end(mut self) {
        tracing::info!(unfinished = self.parts.end.uploading(), "uploads go on at the next start");
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
        if let Some(done) = self.ending.take() {
            // Whoever asked may have stopped waiting.
            let _unheard = done.send(());
        }
    }
}

/// The id of a recording that may begin.
fn fresh() -> Result<RecordingId, ErrorReport> {
    random::bytes().map(RecordingId::from_bytes)
}

/// Forwards news of the list.
pub(super) fn watch_list<T: Send + Sync + 'static>(mut list: watch::Receiver<T>, inbox: mpsc::Sender<Input>) {
    tokio::spawn(async move { while list.changed().await.is_ok() && inbox.send(Input::Listed).await.is_ok() {} });
}
