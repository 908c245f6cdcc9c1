//! A member's side: stays in the room at the relay, and keeps a link to the recorder for as long as both are there.

mod attempt;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use roomtone_protocol::signal::{ClientMessage, ServerMessage, Signal, SignalBody, Station};
use roomtone_protocol::state::{Role, RoomState};
use roomtone_protocol::{ErrorReport, Identity, Invite, ParticipantId, WakeEpoch, code};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::hello::Introduction;
use crate::introduce::AttemptError;
use crate::link::ParticipantLink;
use crate::media_runtime::MediaRuntime;
use crate::messages::AtMember;
use crate::signalling::{Entry, RelayEvent, RelaySender, Signalling};
use crate::wire::{LinkControl, Verified};
use crate::{random, wire};
use attempt::Attempt;

/// Events that may wait for the program; then the relay's messages do.
const EVENT_QUEUE: usize = 256;
/// Signals that may wait for an attempt.
const SIGNAL_QUEUE: usize = 128;
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(3);

/// How to take part in a room.
#[derive(Debug, Clone)]
pub struct ParticipantConfig {
    /// Where, and whom to trust.
    pub invite: Invite,
    /// Who.
    pub identity: Identity,
    /// Start or wake-up of the program: a higher one replaces an older.
    pub epoch: WakeEpoch,
    /// Observers have no microphone; neither have passing visitors.
    pub role: Role,
    /// Only for a command: not announced to the others.
    pub passing: bool,
    /// What to be called.
    pub name: Option<String>,
    /// Addresses to use for media; none means all of this machine's.
    pub media_addrs: Vec<IpAddr>,
}

/// What a member's program learns.
#[derive(Debug)]
pub enum ParticipantEvent {
    /// The relay came or went. A relay that is gone ends nothing: a link goes on without it.
    Relay {
        /// Whether it is there.
        connected: bool,
    },
    /// The recorder came to the relay or vanished from it.
    Recorder {
        /// Whether it is there.
        connected: bool,
    },
    /// The room as the relay last heard of it; stale while the recorder is away.
    State(RoomState),
    /// Who speaks how loud, in dBFS.
    Levels(BTreeMap<ParticipantId, f32>),
    /// A link to the verified recorder; it replaces any earlier one.
    Link(ParticipantLink),
    /// The host closed the room; nothing follows. A link that is up stays until either end closes it.
    RoomClosed,
    /// Somebody said no. After `already_present` nothing follows; otherwise it is tried again, slowly, and the same
    /// error is not told twice in a row.
    Refused(ErrorReport),
}

/// Takes part in a room until it is dropped, left or closed.
#[derive(Debug)]
pub struct ParticipantEndpoint {
    relay: RelaySender,
    goodbye: CancellationToken,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    runtime: MediaRuntime,
}

impl ParticipantEndpoint {
    /// Enters the room at the relay, and goes on from there by itself.
    ///
    /// # Errors
    /// Why the room could not be entered this first time: `relay_unreachable`, `room_not_found`, `room_closed` …
    pub async fn start(config: ParticipantConfig) -> Result<(Self, mpsc::Receiver<ParticipantEvent>), ErrorReport> {
        let runtime = MediaRuntime::start()?;
        let entry = Entry {
            relay: config.invite.relay.clone(),
            room: config.invite.room,
            identity: config.identity.clone(),
            epoch: config.epoch.0,
            station: Station::Member { role: config.role, passing: config.passing },
        };
        let signalling = runtime.run(Signalling::enter(entry)).await??;
        let (events, events_rx) = mpsc::channel(EVENT_QUEUE);
        let relay = signalling.sender.clone();
        let goodbye = CancellationToken::new();
        let member = Member {
            introduction: Introduction {
                identity: config.identity,
                secret: config.invite.secret.clone(),
                host_secret: config.invite.host_secret.clone(),
                epoch: config.epoch,
                role: config.role,
                passing: config.passing,
                name: config.name,
            },
            microphone: config.role == Role::Participant && !config.passing,
            media_addrs: config.media_addrs,
            invite: config.invite,
            signalling,
            events,
            goodbye: goodbye.clone(),
            recorder: false,
            // Somebody may pass by with the key of a member: their attempts must not be mixed up.
            attempt: u32::from(u16::from_le_bytes(random::bytes())) << 15,
            stage: Stage::Idle,
            backoff: Backoff::default(),
            refused: None,
        };
        let task = tokio::sync::Mutex::new(Some(runtime.spawn(member.run())));
        Ok((Self { relay, goodbye, task, runtime }, events_rx))
    }

    /// Tells everybody how loud this microphone is; more than five a second are thrown away.
    pub fn send_level(&self, dbfs: f32) {
        self.relay.level(dbfs);
    }

    /// Says goodbye and ends. Messages that were sent over the link before still arrive.
    pub async fn leave(&self) {
        self.relay.say(ClientMessage::Leave).await;
        self.close().await;
    }

    /// Ends without a goodbye: the others see this member as away.
    pub async fn close(&self) {
        self.goodbye.cancel();
        if let Some(task) = self.task.lock().await.take() {
            crate::ended(task, GOODBYE).await;
        }
    }

    /// Tasks alive on this endpoint's thread; for tests and diagnosis.
    #[must_use]
    pub fn media_tasks(&self) -> usize {
        self.runtime.tasks()
    }
}

/// Where the link stands.
enum Stage {
    /// Nothing is going on: the relay or the recorder is away.
    Idle,
    /// After a failed attempt.
    Pausing(std::pin::Pin<Box<tokio::time::Sleep>>),
    /// An attempt is under way.
    Trying { signals: mpsc::Sender<SignalBody>, attempt: JoinHandle<Result<Verified, AttemptError>> },
    /// The link is up; late candidates still come in.
    Up { signals: mpsc::Sender<SignalBody>, control: LinkControl },
}

struct Member {
    introduction: Introduction,
    microphone: bool,
    media_addrs: Vec<IpAddr>,
    invite: Invite,
    signalling: Signalling,
    events: mpsc::Sender<ParticipantEvent>,
    goodbye: CancellationToken,
    /// Whether the recorder is at the relay.
    recorder: bool,
    attempt: u32,
    stage: Stage,
    backoff: Backoff,
    /// The code of the last refusal that the program was told.
    refused: Option<String>,
}

/// The program has dropped its end, or the room is over.
struct End;

impl Member {
    async fn run(mut self) {
        loop {
            let goodbye = self.goodbye.clone();
            let step = tokio::select! {
                () = goodbye.cancelled() => break,
                event = self.signalling.events.recv() => match event {
                    Some(event) => self.heard(event).await,
                    None => Err(End),
                },
                step = self.stage.next() => self.progress(step).await,
                () = self.events.closed() => break,
            };
            if step.is_err() {
                break;
            }
        }
        self.finish().await;
    }

    /// Lets the link end in order, and the relay hear a goodbye.
    async fn finish(mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Idle);
        if let Stage::Up { control, .. } = stage {
            control.closing.cancel();
            control.over.cancelled().await;
        } else if let Stage::Trying { attempt, .. } = stage {
            attempt.abort();
        }
        // What was written before this is sent before the connection ends.
        self.signalling.finish().await;
    }

    async fn tell(&self, event: ParticipantEvent) -> Result<(), End> {
        self.events.send(event).await.map_err(|_| End)
    }

    async fn heard(&mut self, event: RelayEvent) -> Result<(), End> {
        match event {
            RelayEvent::Entered { recorder, state, .. } => {
                self.tell(ParticipantEvent::Relay { connected: true }).await?;
                if let Some(state) = state {
                    self.tell(ParticipantEvent::State(state)).await?;
                }
                self.recorder_is(recorder).await
            }
            RelayEvent::Lost => {
                // An attempt without a relay gets no answer; a link needs none.
                self.recorder = false;
                if let Stage::Trying { attempt, .. } = &self.stage {
                    attempt.abort();
                    self.stage = Stage::Idle;
                }
                self.tell(ParticipantEvent::Relay { connected: false }).await
            }
            RelayEvent::Over(error) if error.code == code::ROOM_CLOSED => {
                self.tell(ParticipantEvent::RoomClosed).await?;
                self.see_out().await;
                Err(End)
            }
            RelayEvent::Over(error) => {
                self.tell(ParticipantEvent::Refused(error)).await?;
                Err(End)
            }
            RelayEvent::Message(ServerMessage::Recorder { connected }) => self.recorder_is(connected).await,
            RelayEvent::Message(ServerMessage::Signal { signal, .. }) => {
                self.signal(signal);
                Ok(())
            }
            RelayEvent::Message(ServerMessage::State { state }) => self.tell(ParticipantEvent::State(state)).await,
            RelayEvent::Message(ServerMessage::Levels { levels }) => self.tell(ParticipantEvent::Levels(levels)).await,
            RelayEvent::Message(_) => Ok(()),
        }
    }

    /// A link that is up outlives its room: what was said last is still on its way. Until either end has enough of it.
    async fn see_out(&mut self) {
        if let Stage::Up { control, .. } = &self.stage {
            tokio::select! {
                () = self.goodbye.cancelled() => {}
                () = control.over.cancelled() => {}
                () = self.events.closed() => {}
            }
        }
    }

    async fn recorder_is(&mut self, connected: bool) -> Result<(), End> {
        self.recorder = connected;
        self.tell(ParticipantEvent::Recorder { connected }).await?;
        match &self.stage {
            // It was started again, perhaps: then the link is dead and does not know it yet.
            Stage::Up { control, .. } if connected => control.doubt(),
            Stage::Idle | Stage::Pausing(_) if connected => self.attempt(),
            Stage::Trying { attempt, .. } if connected => {
                // The offer went to a recorder that is no more.
                attempt.abort();
                self.attempt();
            }
            _ => {}
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        let signals = match &self.stage {
            Stage::Trying { signals, .. } | Stage::Up { signals, .. } => signals,
            Stage::Idle | Stage::Pausing(_) => return,
        };
        if signal.attempt == self.attempt && signals.try_send(signal.body).is_err() {
            tracing::debug!("a signal comes too late or too many come");
        }
    }

    /// Begins a new attempt with a connection of its own.
    fn attempt(&mut self) {
        self.attempt = self.attempt.wrapping_add(1);
        let (signals, signals_rx) = mpsc::channel(SIGNAL_QUEUE);
        let attempt = Attempt {
            number: self.attempt,
            introduction: self.introduction.clone(),
            microphone: self.microphone,
            media_addrs: self.media_addrs.clone(),
            invite: self.invite.clone(),
            relay: self.signalling.sender.clone(),
            signals: signals_rx,
        };
        tracing::debug!(attempt = self.attempt, "connecting to the recorder");
        self.stage = Stage::Trying { signals, attempt: tokio::spawn(attempt.run()) };
    }

    fn pause(&mut self) {
        let pause = self.backoff.pause(random::bytes::<1>()[0]);
        self.stage = Stage::Pausing(Box::pin(tokio::time::sleep(pause)));
    }

    async fn progress(&mut self, step: Step) -> Result<(), End> {
        match step {
            Step::Again if self.recorder => self.attempt(),
            Step::Again => self.stage = Stage::Idle,
            Step::Tried(Ok(verified)) => {
                let Stage::Trying { signals, .. } = std::mem::replace(&mut self.stage, Stage::Idle) else {
                    return Ok(());
                };
                self.backoff.reset();
                self.refused = None;
                let (link, control) = wire::start::<AtMember>(*verified);
                tracing::info!(attempt = self.attempt, "the link to the recorder is up");
                self.stage = Stage::Up { signals, control };
                self.tell(ParticipantEvent::Link(link)).await?;
            }
            Step::Tried(Err(AttemptError::Refused(error))) => {
                tracing::warn!(code = %error.code, "the link is refused");
                self.backoff.exhaust();
                self.pause();
                let is_final = error.code == code::ALREADY_PRESENT;
                if self.refused.as_ref() != Some(&error.code) {
                    self.refused = Some(error.code.clone());
                    self.tell(ParticipantEvent::Refused(error)).await?;
                }
                if is_final {
                    return Err(End);
                }
            }
            Step::Tried(Err(AttemptError::Broken(why))) => {
                tracing::debug!(%why, attempt = self.attempt, "no link yet");
                self.pause();
            }
            Step::Down => {
                tracing::info!("the link to the recorder is down");
                if self.recorder { self.attempt() } else { self.stage = Stage::Idle }
            }
        }
        Ok(())
    }
}

/// What the stage came to.
enum Step {
    Again,
    Tried(Result<Box<Verified>, AttemptError>),
    Down,
}

impl Stage {
    /// Safe to cancel.
    async fn next(&mut self) -> Step {
        match self {
            Self::Idle => std::future::pending().await,
            Self::Pausing(pause) => {
                pause.await;
                Step::Again
            }
            Self::Trying { attempt, .. } => match attempt.await {
                Ok(result) => Step::Tried(result.map(Box::new)),
                Err(error) => Step::Tried(Err(AttemptError::Broken(error.to_string()))),
            },
            Self::Up { control, .. } => {
                control.over.cancelled().await;
                Step::Down
            }
        }
    }
}
