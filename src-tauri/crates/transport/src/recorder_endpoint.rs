//! The recorder's side: one place at the relay, and a link to everybody who can prove that they belong to the room.

mod answering;
mod reception;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use roomtone_protocol::signal::{ClientMessage, MemberChange, Station};
use roomtone_protocol::state::{Role, RoomState};
use roomtone_protocol::{ErrorReport, Identity, ParticipantId, RoomId, Secret, WakeEpoch};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::hello::Introduction;
use crate::link::RecorderLink;
use crate::media_runtime::MediaRuntime;
use crate::signalling::{Entry, RelaySender, Signalling};
use answering::Settings;
use reception::Reception;

/// Events that may wait for the program.
const EVENT_QUEUE: usize = 256;
/// How long the goodbyes may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// How to be the recorder of a room.
#[derive(Debug, Clone)]
pub struct RecorderConfig {
    /// Base address of the relay.
    pub relay: String,
    /// The room there.
    pub room: RoomId,
    /// From `create_room`.
    pub host_token: String,
    /// The key that invites name.
    pub identity: Identity,
    /// Start of the recorder's program: a higher one replaces an older.
    pub epoch: u32,
    /// Who knows it may enter.
    pub secret: Secret,
    /// Who knows it has the host's rights.
    pub host_secret: Secret,
    /// Addresses to use for media; none means all of this machine's.
    pub media_addrs: Vec<IpAddr>,
}

/// What the recorder's program learns.
#[derive(Debug)]
pub enum RecorderEvent {
    /// The relay came or went. A relay that is gone ends nothing.
    Relay {
        /// Whether it is there.
        connected: bool,
    },
    /// Somebody came to the relay or went from it. After each return of the relay everybody is told anew, those whom
    /// it does not know any more as away.
    Member {
        /// Who.
        participant: ParticipantId,
        /// With or without a microphone.
        role: Role,
        /// What happened.
        change: MemberChange,
    },
    /// Who speaks how loud, in dBFS.
    Levels(BTreeMap<ParticipantId, f32>),
    /// A link to somebody who proved that they belong here; it replaces any earlier one of the same participant, who is
    /// a member or passing by.
    Link(RecorderLink),
    /// The room is over, as asked for.
    RoomClosed,
    /// The relay will not have this recorder; links go on, nothing more comes from the relay.
    Refused(ErrorReport),
}

/// Receives a room's members until it is dropped or closed.
#[derive(Debug)]
pub struct RecorderEndpoint {
    relay: RelaySender,
    goodbye: CancellationToken,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    runtime: MediaRuntime,
}

impl RecorderEndpoint {
    /// Takes the recorder's place at the relay, and goes on from there by itself.
    ///
    /// # Errors
    /// Why that was not possible this first time: `relay_unreachable`, `room_not_found`, `unauthorized` …
    pub async fn start(config: RecorderConfig) -> Result<(Self, mpsc::Receiver<RecorderEvent>), ErrorReport> {
        let runtime = MediaRuntime::start()?;
        let entry = Entry {
            relay: config.relay,
            room: config.room,
            identity: config.identity.clone(),
            epoch: config.epoch,
            station: Station::Recorder { host_token: config.host_token },
        };
        let signalling = runtime.run(Signalling::enter(entry)).await??;
        let (events, events_rx) = mpsc::channel(EVENT_QUEUE);
        let relay = signalling.sender.clone();
        let goodbye = CancellationToken::new();
        let settings = Settings {
            introduction: Introduction {
                identity: config.identity,
                secret: config.secret,
                host_secret: None,
                epoch: WakeEpoch(config.epoch),
                role: Role::Participant,
                passing: false,
                name: None,
            },
            room: config.room,
            host_secret: config.host_secret,
            media_addrs: config.media_addrs,
        };
        let reception = Reception::new(settings, signalling, events, goodbye.clone());
        let task = tokio::sync::Mutex::new(Some(runtime.spawn(reception.run())));
        Ok((Self { relay, goodbye, task, runtime }, events_rx))
    }

    /// Tells everybody in the room its new state, also those who have no link.
    pub fn publish_state(&self, state: RoomState) {
        self.relay.state(state);
    }

    /// Tells everybody how loud the host's own microphone is; more than five a second are thrown away.
    pub fn send_level(&self, dbfs: f32) {
        self.relay.level(dbfs);
    }

    /// Ends the room for everybody; [`RecorderEvent::RoomClosed`] follows. Links stay up until they are closed.
    pub fn close_room(&self) {
        self.relay.send(ClientMessage::CloseRoom);
    }

    /// Closes all links after what was sent over them, and gives up the place at the relay. The room stays.
    pub async fn close(&self) {
        self.goodbye.cancel();
        if let Some(task) = self.task.lock().await.take() {
            crate::ended(task, GOODBYE).await;
        }
    }

    /// Runs a task on this endpoint's thread, for what goes on from its links without waiting: passing on what came wakes
    /// nobody there.
    pub fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// Tasks alive on this endpoint's thread; for tests and diagnosis.
    #[must_use]
    pub fn media_tasks(&self) -> usize {
        self.runtime.tasks()
    }
}
