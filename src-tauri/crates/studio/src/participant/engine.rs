//! The loop around one participant: microphone, link, door and orders come in, and what its end of the room wants is done.

use std::collections::HashMap;
use std::time::Duration;

use roomtone_capture::{Capture, CaptureEvent, Spool};
use roomtone_clock::{now, wall_ns};
use roomtone_engine::{ParticipantEnd, ParticipantEvent, ParticipantInput, ParticipantOutput};
use roomtone_protocol::channel::{Answer, ToParticipant, ToRecorder};
use roomtone_protocol::{CommandId, ErrorReport};
use roomtone_transport::{LinkEvent, ParticipantEndpoint, ParticipantEvent as DoorEvent, ParticipantLink};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::Order;
use crate::deadline::reached;
use crate::outbox::Outbox;
use crate::random;
use crate::wakeful::Wakeful;

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
    end: ParticipantEnd<Spool>,
    door: Door,
    capture: Option<Capture>,
    events: mpsc::Sender<ParticipantEvent>,
    /// None where the host of this very program sees to it.
    wakeful: Option<Wakeful>,
    link: Option<Outbox<ToRecorder>>,
    link_events: Option<mpsc::Receiver<LinkEvent<ToParticipant>>>,
    /// Whoever asked something.
    asked: HashMap<CommandId, oneshot::Sender<Result<Answer, ErrorReport>>>,
    /// Whoever waits for the goodbye.
    leaving: Vec<oneshot::Sender<()>>,
    ended: Option<Ended>,
}

/// Why it is over.
struct Ended {
    reason: String,
    error: Option<ErrorReport>,
    /// Whether to say goodbye.
    goodbye: bool,
}

impl Engine {
    pub(crate) fn new(
        end: ParticipantEnd<Spool>,
        door: Door,
        capture: Option<Capture>,
        events: mpsc::Sender<ParticipantEvent>,
    ) -> Self {
        let wakeful = matches!(door, Door::Relay(_)).then(Wakeful::new);
        Self {
            end,
            door,
            capture,
            events,
            wakeful,
            link: None,
            link_events: None,
            asked: HashMap::new(),
            leaving: Vec::new(),
            ended: None,
        }
    }

    pub(crate) async fn run(
        mut self,
        mut door_events: mpsc::Receiver<DoorEvent>,
        mut captured: mpsc::Receiver<CaptureEvent>,
        mut orders: mpsc::Receiver<Order>,
    ) {
        let mut expiry = interval(EXPIRY);
        expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut capturing = self.capture.is_some();
        let ended = loop {
            if let Some(ended) = self.ended.take() {
                break ended;
            }
            let deadline = self.end.next_deadline();
            tokio::select! {
                event = captured.recv(), if capturing => match event {
                    Some(event) => self.handle(ParticipantInput::Captured(event)),
                    None => capturing = false,
                },
                event = next_link_event(&mut self.link_events) => self.link_event(event),
                event = door_events.recv() => match event {
                    Some(event) => self.door_event(event),
                    None => break Ended { reason: "room_closed".into(), error: None, goodbye: false },
                },
                order = orders.recv() => match order {
                    Some(order) => self.order(order),
                    // Every handle is gone: nobody can say goodbye any more, and nobody needs this participant.
                    None => break Ended { reason: "dropped".into(), error: None, goodbye: false },
                },
                _ = expiry.tick() => self.handle(ParticipantInput::Expire { wall_ns: wall_ns() }),
                () = reached(deadline) => self.handle(ParticipantInput::Tick),
            }
        };
        self.close(ended).await;
    }

    /// Tells this end of the room what happened, and does what it wants.
    fn handle(&mut self, input: ParticipantInput) {
        self.end.handle(now(), input);
        while let Some(output) = self.end.poll_output() {
            self.output(output);
        }
    }

    fn door_event(&mut self, event: DoorEvent) {
        match event {
            DoorEvent::Link(link) => self.linked(link),
            DoorEvent::Levels(levels) => self.tell(ParticipantEvent::Speaking { levels }),
            DoorEvent::State(state) => self.handle(ParticipantInput::RelayState(state)),
            DoorEvent::Relay { .. } | DoorEvent::Recorder { .. } => {}
            DoorEvent::RoomClosed => self.handle(ParticipantInput::RoomClosed),
            DoorEvent::Refused(error) => self.handle(ParticipantInput::Refused(error)),
        }
    }

    fn linked(&mut self, link: ParticipantLink) {
        self.link = Some(Outbox::new(link.sender));
        self.link_events = Some(link.events);
        let id = random::bytes().map(CommandId::from_bytes).ok();
        self.handle(ParticipantInput::Linked { id });
    }

    fn link_event(&mut self, event: Option<LinkEvent<ToParticipant>>) {
        match event {
            Some(LinkEvent::Message(message)) => self.handle(ParticipantInput::Message(message)),
            Some(LinkEvent::Closed) | None => {
                self.link = None;
                self.link_events = None;
                self.handle(ParticipantInput::LinkClosed);
            }
            // Recorders send neither records nor audio, and the clocks are compared on their side.
            Some(
                LinkEvent::Bulk(_)
                | LinkEvent::Media { .. }
                | LinkEvent::Heard { .. }
                | LinkEvent::Report { .. }
                | LinkEvent::Exchange(_),
            ) => {}
        }
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Request { command, reply } => match random::bytes().map(CommandId::from_bytes) {
                Ok(id) => {
                    self.asked.insert(id, reply);
                    self.handle(ParticipantInput::Request { id, command });
                }
                Err(error) => drop(reply.send(Err(error))),
            },
            Order::Mute { muted } => self.handle(ParticipantInput::Mute { muted }),
            Order::Leave { done } => {
                self.leaving.push(done);
                self.handle(ParticipantInput::Leave);
            }
        }
    }

    fn output(&mut self, output: ParticipantOutput) {
        match output {
            ParticipantOutput::Send(message) => {
                if let Some(link) = &self.link {
                    link.send(message);
                }
            }
            ParticipantOutput::Media { timestamp, opus } => {
                if let Some(link) = &self.link
                    && let Err(error) = link.link().send_media(timestamp, opus.into())
                {
                    tracing::debug!(%error, "the packet is asked for over the next link");
                }
            }
            ParticipantOutput::Bulk(records) => {
                if let Some(link) = &self.link {
                    link.bulk(records);
                }
            }
            ParticipantOutput::Level(dbfs) => match &self.door {
                Door::Relay(endpoint) => endpoint.send_level(dbfs),
                // A full queue only means that a newer level is on its way.
                Door::Local(levels) => drop(levels.try_send(dbfs)),
            },
            ParticipantOutput::MuteCapture { muted } => {
                if let Some(capture) = &self.capture {
                    capture.set_muted(muted);
                }
            }
            ParticipantOutput::StopCapture => self.capture = None,
            ParticipantOutput::Answer { id, result } => {
                if let Some(reply) = self.asked.remove(&id) {
                    // Whoever asked may have stopped waiting.
                    drop(reply.send(result));
                }
            }
            ParticipantOutput::Event(event) => self.tell(event),
            ParticipantOutput::End { reason, error, goodbye } => self.ended = Some(Ended { reason, error, goodbye }),
        }
    }

    fn tell(&self, event: ParticipantEvent) {
        if let (Some(wakeful), ParticipantEvent::RecordingState(line)) = (&self.wakeful, &event) {
            wakeful.saw(line);
        }
        let periodic = matches!(event, ParticipantEvent::Speaking { .. } | ParticipantEvent::State(_));
        if periodic && self.events.capacity() <= PERIODIC_RESERVE {
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            tracing::warn!(?event, "nobody reads the events; one is dropped");
        }
    }

    async fn close(mut self, ended: Ended) {
        let Ended { reason, error, goodbye } = ended;
        // Dropped first, so that the device is free before anybody is told.
        drop(self.capture.take());
        if let Some(link) = &self.link
            && goodbye
            && link.link().send(ToRecorder::Leave).await.is_err()
        {
            tracing::debug!("the link went before the goodbye");
        }
        if let Door::Relay(endpoint) = self.door {
            if goodbye { endpoint.leave().await } else { endpoint.close().await }
        }
        // Nobody may be listening any more.
        drop(self.events.try_send(ParticipantEvent::Left { reason, error }));
        for done in self.leaving {
            let _unheard = done.send(());
        }
    }
}

async fn next_link_event(
    events: &mut Option<mpsc::Receiver<LinkEvent<ToParticipant>>>,
) -> Option<LinkEvent<ToParticipant>> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}
