//! Somebody in a room: microphone and spool on this side, the recorder on the other.

mod engine;

use roomtone_capture::{Capture, CaptureConfig, CaptureEvent, MicrophoneSpec, Spool};
use roomtone_clock::now;
pub(crate) use roomtone_engine::unreachable_recorder;
use roomtone_engine::{ParticipantEnd, ParticipantEvent};
use roomtone_protocol::channel::{Answer, Command};
use roomtone_protocol::state::Role;
use roomtone_protocol::{ErrorReport, Invite, ParticipantId};
use roomtone_transport::{ParticipantConfig, ParticipantEndpoint};
use std::net::IpAddr;
use tokio::sync::{mpsc, oneshot};

use crate::data_dir::{DataDir, Start};
use crate::host::LocalDoor;
use engine::{Door, Engine};

/// Packets between the capture worker and the engine: ten seconds, for a disk that stalls.
const CAPTURE_QUEUE: usize = 512;

/// How somebody enters a room.
#[derive(Debug, Clone)]
pub struct ParticipantOptions {
    /// The name to go by.
    pub name: Option<String>,
    /// The microphone; [`MicrophoneSpec::None`] makes an observer.
    pub microphone: MicrophoneSpec,
    /// Bits a second.
    pub bitrate: u32,
    /// Stay when a file microphone is over.
    pub stay: bool,
}

impl ParticipantOptions {
    /// Only who has a microphone takes part; all others observe.
    #[must_use]
    pub fn role(&self) -> Role {
        if self.microphone == MicrophoneSpec::None { Role::Observer } else { Role::Participant }
    }
}

/// Somebody in a room. Dropping it vanishes without a goodbye; [`Participant::leave`] says it.
#[derive(Debug, Clone)]
pub struct Participant {
    me: ParticipantId,
    orders: mpsc::Sender<Order>,
}

/// What the engine is told to do.
pub(crate) enum Order {
    Request { command: Command, reply: oneshot::Sender<Result<Answer, ErrorReport>> },
    Mute { muted: bool },
    Leave { done: oneshot::Sender<()> },
}

impl Participant {
    /// Enters the room of `invite` over its relay.
    ///
    /// # Errors
    /// What the relay or the microphone says; later trouble arrives as events.
    pub async fn join(
        data_dir: &DataDir,
        start: &Start,
        invite: Invite,
        options: ParticipantOptions,
        media_addrs: Vec<IpAddr>,
    ) -> Result<(Self, mpsc::Receiver<ParticipantEvent>), ErrorReport> {
        let recorder = invite.recorder;
        let config = ParticipantConfig {
            invite,
            identity: start.identity.clone(),
            epoch: start.epoch,
            role: options.role(),
            passing: false,
            name: options.name.clone(),
            media_addrs,
        };
        let (endpoint, events) = ParticipantEndpoint::start(config).await?;
        Self::enter(data_dir, start, recorder, options, Door::Relay(endpoint), events)
    }

    /// Enters the room that this very program hosts.
    ///
    /// # Errors
    /// What the microphone says.
    pub fn join_own(
        data_dir: &DataDir,
        start: &Start,
        door: LocalDoor,
        options: ParticipantOptions,
    ) -> Result<(Self, mpsc::Receiver<ParticipantEvent>), ErrorReport> {
        let (levels, events) = door.into_parts();
        let recorder = start.identity.public_key().hash();
        Self::enter(data_dir, start, recorder, options, Door::Local(levels), events)
    }

    fn enter(
        data_dir: &DataDir,
        start: &Start,
        recorder: [u8; 16],
        options: ParticipantOptions,
        door: Door,
        door_events: mpsc::Receiver<roomtone_transport::ParticipantEvent>,
    ) -> Result<(Self, mpsc::Receiver<ParticipantEvent>), ErrorReport> {
        let me = start.identity.participant();
        let spool = Spool::open(&data_dir.path("spool"), recorder).map_err(ErrorReport::from)?;
        let (captured, capture_events) = mpsc::channel(CAPTURE_QUEUE);
        let capturing = options.role() == Role::Participant;
        let capture = capturing
            .then(|| {
                let config = CaptureConfig { epoch: start.epoch, bitrate: options.bitrate };
                let sink = move |event: CaptureEvent| {
                    // The engine is gone: the program is on its way out, and nobody wants the packet.
                    let _gone = captured.blocking_send(event);
                };
                Capture::start(options.microphone.clone(), config, Box::new(sink)).map_err(ErrorReport::from)
            })
            .transpose()?;
        let end = ParticipantEnd::new(now(), me, spool, capturing, options.stay);
        let (orders, order_queue) = mpsc::channel(32);
        let (events, event_queue) = mpsc::channel(256);
        let engine = Engine::new(end, door, capture, events);
        tokio::spawn(engine.run(door_events, capture_events, order_queue));
        Ok((Self { me, orders }, event_queue))
    }

    /// Who this is.
    #[must_use]
    pub fn id(&self) -> ParticipantId {
        self.me
    }

    /// Asks something of the recorder.
    ///
    /// # Errors
    /// The recorder's refusal, or `recorder_unreachable`.
    pub async fn request(&self, command: Command) -> Result<Answer, ErrorReport> {
        let (reply, answer) = oneshot::channel();
        let sent = self.orders.send(Order::Request { command, reply }).await;
        sent.map_err(|_| unreachable_recorder())?;
        answer.await.map_err(|_| unreachable_recorder())?
    }

    /// Mutes or unmutes this microphone.
    ///
    /// # Errors
    /// The recorder's refusal, or `recorder_unreachable`; the microphone is muted in any case.
    pub async fn set_muted(&self, muted: bool) -> Result<(), ErrorReport> {
        self.orders.send(Order::Mute { muted }).await.map_err(|_| unreachable_recorder())?;
        self.request(Command::SetMuted { muted }).await.map(|_| ())
    }

    /// Says goodbye, once everything is safe at the recorder or 10 s went by.
    pub async fn leave(&self) {
        let (done, gone) = oneshot::channel();
        if self.orders.send(Order::Leave { done }).await.is_ok() {
            // An error means that the engine ended by itself, which is what was asked for.
            let _ended = gone.await;
        }
    }
}
