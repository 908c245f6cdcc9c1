//! A room and its recorder.

mod desk;
mod discard;
mod disk;
mod engine;
mod finish;
mod folder;
mod going_on;
mod hashing;
mod reopen;
mod retention;
mod room_file;
mod shelf;
mod take;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use roomtone_disk::{Reserve, SystemDisk};
use roomtone_engine::{HostEvent, RecorderEnd, Run, Setup};
use roomtone_protocol::catalog::Reach;
use roomtone_protocol::channel::Peer;
use roomtone_protocol::state::Role;
use roomtone_protocol::{ErrorReport, Invite, code};
use roomtone_recorder::BitDepth;
use roomtone_session::{Config, Room};
use roomtone_storage::{Bucket, Catalog, CatalogSettings, KeyTemplate, Publisher, PublisherSettings};
use roomtone_transport::{ParticipantEvent as DoorEvent, RecorderConfig, RecorderEndpoint};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::bucket;
use crate::data_dir::{DataDir, Start, io};
use crate::settings::{BucketChoice, Settings};
use crate::wakeful::Wakeful;
use desk::HostDesk;
use engine::{Engine, Input, Order, Parts, moment, watch_list};
use hashing::Hashing;
use take::Ground;
use writer::Writer;

/// What a room is called where nobody says otherwise.
const DEFAULT_ROOM: &str = "Roomtone";

/// Events of all links together that may wait for the engine: a second of 100 people.
const INBOX: usize = 8_192;

/// How a room is opened.
#[derive(Debug, Clone, Default)]
pub struct HostOptions {
    /// What people call it.
    pub room: Option<String>,
    /// A relay elsewhere; None brings one along.
    pub relay: Option<String>,
    /// Settings, checked.
    pub settings: Settings,
}

/// An open room. [`Host::shutdown`] closes it properly.
#[derive(Debug)]
pub struct Host {
    inbox: mpsc::Sender<Input>,
    peer: Peer,
    invite: Invite,
}

/// The way into a room for the very program that hosts it.
#[derive(Debug)]
pub struct LocalDoor {
    levels: mpsc::Sender<f32>,
    events: mpsc::Receiver<DoorEvent>,
}

impl LocalDoor {
    fn new(levels: mpsc::Sender<f32>, events: mpsc::Receiver<DoorEvent>) -> Self {
        Self { levels, events }
    }

    pub(crate) fn into_parts(self) -> (mpsc::Sender<f32>, mpsc::Receiver<DoorEvent>) {
        (self.levels, self.events)
    }
}

impl Host {
    /// Opens the data folder's room, finishes what an earlier start left, and begins to listen.
    ///
    /// # Errors
    /// What relay, bucket or disk say. The first event is [`HostEvent::Ready`].
    pub async fn start(
        data_dir: &DataDir,
        start: &Start,
        options: HostOptions,
    ) -> Result<(Self, mpsc::Receiver<HostEvent>), ErrorReport> {
        let HostOptions { room: name, relay, settings } = options;
        let name = name.unwrap_or_else(|| DEFAULT_ROOM.to_owned());
        let open =
            room_file::open(data_dir, &start.identity, relay.as_deref(), settings.listen, settings.grace()).await?;
        let reach = if open.file_links.local_only { Reach::HostOnly } else { Reach::Everyone };
        let links = roomtone_storage::FileLinks {
            base_url: open.file_links.base_url.clone(),
            key: open.file_links.key.clone(),
            reach,
        };
        let configured = bucket::open(&settings, data_dir.root(), links).await?;
        let template =
            settings.key_template.as_deref().map(str::parse::<KeyTemplate>).transpose().map_err(|error| {
                ErrorReport::new(code::INVALID_SETTING, error.to_string(), "correct the key template")
            })?;
        let template = template.unwrap_or_default();
        let publishing = PublisherSettings {
            prefix: configured.prefix.clone(),
            key_template: template.clone(),
            grow: settings.upload_while_recording(),
            limit: settings.upload_limit(),
            limit_always: settings.upload_limit_always(),
            ..PublisherSettings::default()
        };
        let uploads = data_dir.path("uploads");
        let (publisher, published) =
            Publisher::open(&uploads, Arc::clone(&configured.bucket), publishing).await.map_err(ErrorReport::from)?;
        let publisher = Arc::new(publisher);
        let rules = bucket::lifecycle_rules(&settings, &configured.prefix, &template);
        let listing = CatalogSettings {
            prefix: configured.prefix.clone(),
            key_template: template,
            memory: Some(data_dir.path("catalog.jsonl")),
        };
        let catalog = Arc::new(Catalog::start_with(Arc::clone(&configured.bucket), listing));
        let config = RecorderConfig {
            relay: open.relay.clone(),
            room: open.room,
            host_token: open.host_token.clone(),
            identity: start.identity.clone(),
            epoch: start.epoch.0,
            secret: open.secret.clone(),
            host_secret: open.host_secret.clone(),
            media_addrs: settings.media_addrs.clone().unwrap_or_default(),
        };
        let (endpoint, mut relay_events) = RecorderEndpoint::start(config).await?;
        let recordings = data_dir.path("recordings");
        let reserve = Reserve::new(data_dir.path("reserve"));
        let ground = Ground { publisher: Some(Arc::clone(&publisher)), ..Ground::default() };
        let (writer, written) = Writer::start(Arc::new(SystemDisk), reserve.clone(), ground.clone())
            .map_err(|error| io(&recordings, &error))?;
        let (inbox, queue) = mpsc::channel(INBOX);
        let (events, event_queue) = mpsc::channel(4_096);
        let forward = inbox.clone();
        tokio::spawn(async move {
            while let Some(event) = relay_events.recv().await {
                if forward.send(Input::Relay(event)).await.is_err() {
                    break;
                }
            }
        });
        watch_list(catalog.watch(), inbox.clone());
        tell_troubles(&*configured.bucket, events.downgrade());
        let opened = moment();
        let room_config = Config {
            room: open.room,
            name: name.clone(),
            record_by: settings.record_by.unwrap_or_default(),
            grace: settings.grace(),
            epoch: start.epoch.0,
            recording_enabled: settings.recording_enabled.unwrap_or(true),
            time_limit: settings.time_limit(),
            auto_record: settings.auto_record,
            disk_bytes_per_sample: disk_bytes_per_sample(&settings),
        };
        let room = Room::new(opened.clock, room_config.clone());
        let shelf = shelf::Shelf::new(configured.bucket, catalog, open.room, name.clone(), data_dir);
        let run = Run { epoch: start.epoch, boot_id: roomtone_clock::boot_id() };
        let setup = Setup {
            me: start.identity.participant(),
            room: open.room,
            name: name.clone(),
            disk_bytes_per_sample: disk_bytes_per_sample(&settings),
            stop_wait: settings.stop_wait(),
            run: run.clone(),
        };
        disk::watch_disk(data_dir.root().to_owned(), reserve.clone(), inbox.clone());
        if let Some(keep) = settings.keep_local() {
            disk::watch_copies(recordings.clone(), keep, shelf.clone(), Arc::clone(&publisher), inbox.clone());
        }
        if let Some(age) = settings.retention() {
            let (shelf, publisher) = (shelf.clone(), Arc::clone(&publisher));
            retention::watch_age(retention::Retention { age, rules, shelf, publisher }, inbox.clone());
        }
        let desk = HostDesk {
            writer,
            shelf,
            publisher: Arc::clone(&publisher),
            recordings: recordings.clone(),
            bit_depth: match settings.bit_depth {
                Some(16) => BitDepth::Int16,
                Some(32) => BitDepth::Float32,
                // Settings are checked: this is 24, what studios deliver.
                _ => BitDepth::Int24,
            },
        };
        let hashing_stops = CancellationToken::new();
        let mut engine = Engine::new(Parts {
            end: RecorderEnd::new(opened, setup, room),
            desk,
            config: room_config,
            run,
            endpoint: Arc::new(endpoint),
            own_relay: open.own_relay,
            hashing: Hashing::new(recordings.clone(), Arc::clone(&publisher), hashing_stops.clone()),
            publisher,
            recordings,
            grown: ground.bytes,
            reserve,
            wakeful: Wakeful::new(),
            events,
            inbox: inbox.clone(),
        });
        discard::withdraw_orphans(Arc::clone(&engine.parts.publisher), data_dir.path("recordings"));
        let recovered = engine.recover().map_err(|error| io(&data_dir.path("recordings"), &error))?;
        engine.parts.hashing.go_on().map_err(|error| io(&data_dir.path("recordings"), &error))?;
        engine.tell(HostEvent::Ready {
            room: name,
            room_id: open.room,
            invite: open.invite.for_participants().to_string(),
            host_invite: open.invite.to_string(),
            recovered,
        });
        tokio::spawn(async move {
            let _stops = hashing_stops.drop_guard();
            engine.run(queue, written, published).await;
        });
        let peer = Peer {
            participant: start.identity.participant(),
            role: Role::Participant,
            host: true,
            passing: false,
            epoch: start.epoch,
            name: None,
        };
        Ok((Self { inbox, peer, invite: open.invite }, event_queue))
    }

    /// The link with the host's rights; [`Invite::for_participants`] is the one to pass on.
    #[must_use]
    pub fn invite(&self) -> &Invite {
        &self.invite
    }

    /// Lets this program's own person in.
    ///
    /// # Errors
    /// `recorder_unreachable` if the room has ended.
    pub async fn admit(&self, role: Role, name: Option<String>) -> Result<LocalDoor, ErrorReport> {
        let (reply, door) = oneshot::channel();
        let peer = Peer { role, name, ..self.peer.clone() };
        let order = Input::Order(Order::Admit { peer, reply });
        self.inbox.send(order).await.map_err(|_| crate::participant::unreachable_recorder())?;
        door.await.map_err(|_| crate::participant::unreachable_recorder())
    }

    /// Finalizes what runs, gives uploads `drain` to finish, and ends. What is left goes on at the next start.
    pub async fn shutdown(&self, drain: Duration) {
        let (done, ended) = oneshot::channel();
        if self.inbox.send(Input::Order(Order::Shutdown { drain, done })).await.is_ok() {
            // An error means that the engine ended by itself, which is what was asked for.
            let _ended = ended.await;
        }
    }
}

/// Tells the host when the bucket's notifications do not work, as long as there is a room.
fn tell_troubles(bucket: &dyn Bucket, events: mpsc::WeakSender<HostEvent>) {
    let mut troubles = bucket.change_troubles();
    tokio::spawn(async move {
        while let Some(error) = troubles.next().await {
            let Some(events) = events.upgrade() else { break };
            if events.send(HostEvent::Problem { error }).await.is_err() {
                break;
            }
        }
    });
}

/// Bytes that a sample of a finished recording takes on this disk: a folder bucket holds the file once more.
fn disk_bytes_per_sample(settings: &Settings) -> u32 {
    let depth = u32::from(settings.bit_depth.unwrap_or(24)) / 8;
    if settings.bucket_choice() == BucketChoice::Folder { 2 * depth } else { depth }
}

pub(crate) use room_file::network_address;
