//! The loop around one participant: microphone, link, door and orders come in, and what the rules say goes out.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use roomtone_capture::{Capture, CaptureEvent, SpoolError};
use roomtone_clock::now;
use roomtone_protocol::channel::{Alarm, Anchor, Answer, Command, Segment, ToParticipant, ToRecorder};
use roomtone_protocol::state::RoomState;
use roomtone_protocol::{CommandId, ErrorReport, ParticipantId, RecordingId, SegmentKey, code};
use roomtone_transport::{LinkEvent, ParticipantEndpoint, ParticipantEvent as DoorEvent, ParticipantLink};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::keeper::Keeper;
use super::{Order, unreachable_recorder};
use crate::events::{AlarmKind, ParticipantEvent, RecordingLine};
use crate::outbox::Outbox;
use crate::random;

/// How long a goodbye waits for everything to be safe at the recorder.
const GOODBYE: Duration = Duration::from_secs(10);

/// How long a request waits for its answer, over reconnections too.
const REQUEST: Duration = Duration::from_secs(15);

/// How often the spool is looked through for what has been kept for too long.
const EXPIRY: Duration = Duration::from_secs(3600);

/// Periodic events are dropped when whoever reads them is this far behind.
const PERIODIC_RESERVE: usize = 128;

/// The way to the room.
pub(crate) enum Door {
    /// Over a relay.
    Relay(ParticipantEndpoint),
    /// Into the recorder of this program; carries the level of its microphone.
    Local(mpsc::Sender<f32>),
}

pub(crate) struct Engine {
    pub(super) me: ParticipantId,
    pub(super) stay: bool,
    pub(super) door: Door,
    pub(super) keeper: Keeper,
    capture: Option<Capture>,
    events: mpsc::Sender<ParticipantEvent>,
    pub(super) link: Option<Outbox<ToRecorder>>,
    link_events: Option<mpsc::Receiver<LinkEvent<ToParticipant>>>,
    /// What a new link is told first.
    pub(super) segments: Vec<Segment>,
    pub(super) anchors: BTreeMap<SegmentKey, Anchor>,
    pub(super) alarms: BTreeMap<AlarmKind, Alarm>,
    /// When the spool is looked through again for what has been kept for too long.
    next_expiry: Instant,
    pub(super) requests: HashMap<CommandId, Asked>,
    pub(super) muted: bool,
    pub(super) state: Option<RoomState>,
    pub(super) lines: Vec<RecordingLine>,
    pub(super) joined: bool,
    safe: Option<bool>,
    pub(super) goodbye: Option<Goodbye>,
}

pub(super) struct Asked {
    command: Command,
    pub(super) reply: oneshot::Sender<Result<Answer, ErrorReport>>,
    until: Instant,
}

/// On the way out, as soon as everything is safe at the recorder.
pub(super) struct Goodbye {
    pub(super) parting: Parting,
    /// None waits for as long as it takes: a file that is over leaves when all of it is safe.
    pub(super) until: Option<Instant>,
    pub(super) done: Vec<oneshot::Sender<()>>,
}

/// Who ends it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    /// This participant does: nothing more is captured.
    Leaving,
    /// The host does: the microphone goes on until it has delivered what was said before that.
    RoomClosed,
}

/// Whether the engine goes on.
pub(super) enum Next {
    On,
    End { reason: String, error: Option<ErrorReport> },
}

impl Engine {
    pub(crate) fn new(
        me: ParticipantId,
        stay: bool,
        door: Door,
        keeper: Keeper,
        capture: Option<Capture>,
        events: mpsc::Sender<ParticipantEvent>,
    ) -> Self {
        Self {
            me,
            stay,
            door,
            keeper,
            capture,
            events,
            link: None,
            link_events: None,
            segments: Vec::new(),
            anchors: BTreeMap::new(),
            alarms: BTreeMap::new(),
            next_expiry: Instant::now(),
            requests: HashMap::new(),
            muted: false,
            state: None,
            lines: Vec::new(),
            joined: false,
            safe: None,
            goodbye: None,
        }
    }

    pub(crate) async fn run(
        mut self,
        mut door_events: mpsc::Receiver<DoorEvent>,
        mut captured: mpsc::Receiver<CaptureEvent>,
        mut orders: mpsc::Receiver<Order>,
    ) {
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut capturing = self.capture.is_some();
        let (reason, error) = loop {
            let goodbye = self.goodbye.as_ref().and_then(|goodbye| goodbye.until);
            let next = tokio::select! {
                event = captured.recv(), if capturing => match event {
                    Some(event) => self.captured(event),
                    None => { capturing = false; Next::On }
                },
                event = next_link_event(&mut self.link_events) => self.link_event(event),
                event = door_events.recv() => match event {
                    Some(event) => self.door_event(event),
                    None => Next::End { reason: "room_closed".into(), error: None },
                },
                order = orders.recv() => match order {
                    Some(order) => { self.order(order); Next::On }
                    // Every handle is gone: nobody can say goodbye any more, and nobody needs this participant.
                    None => Next::End { reason: "dropped".into(), error: None },
                },
                _ = second.tick() => { self.tick(); Next::On },
                () = sleep_until(goodbye.unwrap_or_else(Instant::now)), if goodbye.is_some() => self.parted(),
            };
            self.tell_safety();
            let safe = self.goodbye.is_some() && self.keeper.safe();
            let next = if safe && matches!(next, Next::On) { self.parted() } else { next };
            if let Next::End { reason, error } = next {
                break (reason, error);
            }
        };
        self.end(reason, error).await;
    }

    fn door_event(&mut self, event: DoorEvent) -> Next {
        match event {
            DoorEvent::Link(link) => self.linked(link),
            DoorEvent::Levels(levels) => self.tell_periodic(ParticipantEvent::Speaking { levels }),
            // While the recorder itself can be heard, its relay's copy of the state is of no interest.
            DoorEvent::State(state) if self.link.is_none() => self.state_changed(state),
            DoorEvent::State(_) | DoorEvent::Relay { .. } | DoorEvent::Recorder { .. } => {}
            DoorEvent::RoomClosed => return self.room_closed(),
            // Who was in before may be let in again: a recorder that starts anew needs a moment.
            DoorEvent::Refused(error) if self.joined && error.code != code::ALREADY_PRESENT => {
                tracing::warn!(code = error.code, "the room refused a new connection");
            }
            DoorEvent::Refused(error) => return Next::End { reason: error.code.clone(), error: Some(error) },
        }
        Next::On
    }

    /// The host closed the room. It waits for what was said up to then, so that still goes out; but without a link
    /// there will not be another one.
    pub(super) fn room_closed(&mut self) -> Next {
        let until = Some(Instant::now() + GOODBYE);
        let parting = Parting::RoomClosed;
        self.goodbye.get_or_insert(Goodbye { parting, until, done: Vec::new() }).until = until;
        if self.link.is_some() { Next::On } else { self.parted() }
    }

    /// The end of a goodbye.
    fn parted(&self) -> Next {
        let reason = if self.is_closed() { "room_closed" } else { "left" };
        Next::End { reason: reason.into(), error: None }
    }

    fn is_closed(&self) -> bool {
        self.goodbye.as_ref().is_some_and(|goodbye| goodbye.parting == Parting::RoomClosed)
    }

    fn linked(&mut self, link: ParticipantLink) {
        let outbox = Outbox::new(link.sender);
        self.keeper.earlier().into_iter().for_each(|message| outbox.send(message));
        for segment in &self.segments {
            outbox.send(ToRecorder::Segment(segment.clone()));
        }
        for &anchor in self.anchors.values() {
            outbox.send(ToRecorder::Anchor(anchor));
        }
        for alarm in self.alarms.values() {
            outbox.send(ToRecorder::Alarm(alarm.clone()));
        }
        for (&id, asked) in &self.requests {
            outbox.send(request(id, self.state.as_ref(), asked.command.clone()));
        }
        self.link = Some(outbox);
        self.link_events = Some(link.events);
        self.send_inventories(false);
        for recording in self.keeper.kept() {
            self.send(ToRecorder::Inventory(self.keeper.inventory(now(), recording, true)));
        }
        if self.muted {
            self.repeat_mute();
        }
        if self.joined {
            self.tell(ParticipantEvent::HostReachable);
        }
    }

    /// A recorder that started anew does not know it.
    fn repeat_mute(&self) {
        match random::bytes().map(CommandId::from_bytes) {
            Ok(id) => self.send(request(id, self.state.as_ref(), Command::SetMuted { muted: true })),
            Err(error) => tracing::warn!(code = error.code, "the room may not show that this microphone is muted"),
        }
    }

    fn link_event(&mut self, event: Option<LinkEvent<ToParticipant>>) -> Next {
        match event {
            Some(LinkEvent::Message(message)) => return self.message(message),
            Some(LinkEvent::Closed) | None => {
                self.link = None;
                self.link_events = None;
                if self.is_closed() {
                    return self.parted();
                }
                self.tell(ParticipantEvent::HostUnreachable);
            }
            // Recorders send neither records nor audio, and the clocks are compared on their side.
            Some(LinkEvent::Bulk(_) | LinkEvent::Media { .. } | LinkEvent::Exchange(_)) => {}
        }
        Next::On
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Request { command, reply } => match random::bytes().map(CommandId::from_bytes) {
                Ok(id) => {
                    self.send(request(id, self.state.as_ref(), command.clone()));
                    self.requests.insert(id, Asked { command, reply, until: Instant::now() + REQUEST });
                }
                Err(error) => drop(reply.send(Err(error))),
            },
            Order::Mute { muted } => {
                self.muted = muted;
                if let Some(capture) = &self.capture {
                    capture.set_muted(muted);
                }
            }
            Order::Leave { done } => {
                if !self.is_closed() {
                    self.capture = None;
                    self.keeper.capture_over();
                    self.send_inventories(true);
                }
                let parting = Parting::Leaving;
                let goodbye = self.goodbye.get_or_insert(Goodbye { parting, until: None, done: Vec::new() });
                goodbye.until = Some(Instant::now() + GOODBYE);
                goodbye.done.push(done);
            }
        }
    }

    fn tick(&mut self) {
        self.send_inventories(false);
        let now = Instant::now();
        if now >= self.next_expiry {
            self.next_expiry = now + EXPIRY;
            self.expire();
        }
        for (_, asked) in self.requests.extract_if(|_, asked| asked.until <= now) {
            drop(asked.reply.send(Err(unreachable_recorder())));
        }
    }

    /// Drops what was kept for too long, and says so first.
    fn expire(&mut self) {
        let overdue = self.keeper.overdue();
        for stored in self.spooled(overdue).unwrap_or_default() {
            let (recording, bytes) = (stored.recording, stored.bytes);
            tracing::warn!(%recording, bytes, "kept for too long, or too much: dropped");
            self.tell(ParticipantEvent::SpoolExpired { recording, bytes });
            let expired = self.keeper.expire(&stored);
            self.spooled(expired);
        }
    }

    pub(super) fn send_inventories(&self, leaving: bool) {
        self.keeper.open().into_iter().for_each(|recording| self.send_inventory(recording, leaving));
    }

    pub(super) fn send_inventory(&self, recording: RecordingId, leaving: bool) {
        let leaving = leaving || (self.goodbye.is_some() && !self.is_closed());
        self.send(ToRecorder::Inventory(self.keeper.inventory(now(), recording, leaving)));
    }

    pub(super) fn send(&self, message: ToRecorder) {
        if let Some(link) = &self.link {
            link.send(message);
        }
    }

    /// A spool that fails is told once and does not stop what else is being done: audio still goes out live.
    pub(super) fn spooled<T>(&self, result: Result<T, SpoolError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let report = ErrorReport::from(error);
                tracing::error!(code = report.code, "the spool failed");
                let kind = AlarmKind::SpoolFailed;
                let message = report.to_string();
                self.tell(ParticipantEvent::Alarm { kind, participant: self.me, active: true, message });
                None
            }
        }
    }

    fn tell_safety(&mut self) {
        let safe = self.keeper.safe();
        if self.joined && self.safe != Some(safe) {
            self.safe = Some(safe);
            self.tell(ParticipantEvent::SafeToQuit { value: safe });
        }
    }

    pub(super) fn tell(&self, event: ParticipantEvent) {
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            tracing::warn!(?event, "nobody reads the events; one is dropped");
        }
    }

    pub(super) fn tell_periodic(&self, event: ParticipantEvent) {
        if self.events.capacity() > PERIODIC_RESERVE {
            self.tell(event);
        }
    }

    async fn end(mut self, reason: String, error: Option<ErrorReport>) {
        // Dropped first, so that the device is free before anybody is told.
        drop(self.capture.take());
        if let Some(link) = &self.link
            && reason == "left"
            && link.link().send(ToRecorder::Leave).await.is_err()
        {
            tracing::debug!("the link went before the goodbye");
        }
        if let Door::Relay(endpoint) = self.door {
            if reason == "left" { endpoint.leave().await } else { endpoint.close().await }
        }
        // Nobody may be listening any more.
        drop(self.events.try_send(ParticipantEvent::Left { reason, error }));
        for done in self.goodbye.into_iter().flat_map(|goodbye| goodbye.done) {
            let _unheard = done.send(());
        }
    }
}

fn request(id: CommandId, state: Option<&RoomState>, command: Command) -> ToRecorder {
    ToRecorder::Request { id, based_on: state.map(RoomState::version), command }
}

async fn next_link_event(
    events: &mut Option<mpsc::Receiver<LinkEvent<ToParticipant>>>,
) -> Option<LinkEvent<ToParticipant>> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}
