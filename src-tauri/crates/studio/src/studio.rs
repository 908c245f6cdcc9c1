//! What a window drives: the lobby, a room hosted here or joined elsewhere, and one view of it all.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use roomtone_capture::MicrophoneSpec;
use roomtone_engine::{HostEvent, ParticipantEvent};
use roomtone_protocol::catalog::Link;
use roomtone_protocol::channel::{Answer, Command};
use roomtone_protocol::{ErrorReport, Invite, code};
use tokio::sync::{Mutex, mpsc, watch};

use crate::data_dir::{DataDir, Start};
use crate::host::{Host, HostOptions, network_address};
use crate::participant::{Participant, ParticipantOptions};
use crate::settings::Settings;
use crate::troubles::trouble;
use crate::view::{Connection, Levels, Phase, RoomView, View};

mod list;

/// How long uploads may still take when the program ends.
const DRAIN: Duration = Duration::from_secs(10);

/// What a studio is made with.
#[derive(Debug, Clone)]
pub struct StudioConfig {
    /// Everything lasting; None is the platform's own place.
    pub data_dir: Option<PathBuf>,
    /// Settings, checked.
    pub settings: Settings,
    /// The microphone to use.
    pub microphone: MicrophoneSpec,
}

impl StudioConfig {
    /// What the environment says; without a path `ROOMTONE_DATA_DIR`, else the platform's own place.
    ///
    /// # Errors
    /// `invalid_setting`, naming the variable.
    pub fn from_environment(data_dir: Option<PathBuf>) -> Result<Self, ErrorReport> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let microphone = variable("ROOMTONE_MIC")
            .map_or(Ok(MicrophoneSpec::Default), |spec| spec.parse().map_err(ErrorReport::from))?;
        Ok(Self {
            data_dir: data_dir.or_else(|| variable("ROOMTONE_DATA_DIR").map(PathBuf::from)),
            settings: Settings::from_environment(variable)?.check()?,
            microphone,
        })
    }
}

/// Cheap to clone; all clones are one studio.
#[derive(Clone)]
pub struct Studio {
    inner: Arc<Inner>,
}

struct Inner {
    data_dir: DataDir,
    settings: Settings,
    microphone: MicrophoneSpec,
    view: watch::Sender<View>,
    levels: watch::Sender<Levels>,
    room: Mutex<Option<InRoom>>,
    /// Held while pages of the list are fetched: what was asked for later must not be shown earlier.
    turning_pages: Mutex<()>,
}

/// Where this studio is.
struct InRoom {
    host: Option<Host>,
    participant: Participant,
}

impl Studio {
    /// Opens the data folder.
    ///
    /// # Errors
    /// `data_dir_in_use` if another Roomtone holds it, or `io`.
    pub fn new(config: StudioConfig) -> Result<Self, ErrorReport> {
        let data_dir = DataDir::open(config.data_dir.as_deref())?;
        let view = watch::Sender::new(View { phase: Phase::Lobby, room: None, error: None });
        let levels = watch::Sender::new(Levels::new());
        let StudioConfig { settings, microphone, .. } = config;
        let (room, turning_pages) = (Mutex::new(None), Mutex::new(()));
        Ok(Self { inner: Arc::new(Inner { data_dir, settings, microphone, view, levels, room, turning_pages }) })
    }

    /// What a window shows, renewed whenever it changes.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<View> {
        self.inner.view.subscribe()
    }

    /// Who speaks how loud, up to five times a second.
    #[must_use]
    pub fn levels(&self) -> watch::Receiver<Levels> {
        self.inner.levels.subscribe()
    }

    /// Hosts a room on this computer and enters it. Without a working microphone the host only looks on, and is told.
    ///
    /// # Errors
    /// What relay, bucket or disk say; it is in the view as well.
    pub async fn host(&self, name: String) -> Result<(), ErrorReport> {
        let entered = self.enter(self.open_room(name)).await;
        self.told(entered)
    }

    /// Enters the room of an invite.
    ///
    /// # Errors
    /// What the invite, the relay or the microphone say; it is in the view as well.
    pub async fn join(&self, invite: String, name: Option<String>, observe: bool) -> Result<(), ErrorReport> {
        let entered = self.enter(self.join_room(invite, name, observe)).await;
        self.told(entered)
    }

    /// Says goodbye; a room that is hosted here is closed for everybody.
    ///
    /// # Errors
    /// None at present; a goodbye that nobody hears is one all the same.
    pub async fn leave(&self) -> Result<(), ErrorReport> {
        self.go(true).await;
        Ok(())
    }

    async fn go(&self, close: bool) {
        let left = self.inner.room.lock().await.take();
        if let Some(room) = left {
            if close
                && room.host.is_some()
                && let Err(error) = room.participant.request(Command::CloseRoom).await
            {
                tracing::warn!(code = error.code, "the room ends without being closed");
            }
            // The recorder ends first: what runs is finalized with all that was said up to then, also here.
            if let Some(host) = room.host {
                host.shutdown(DRAIN).await;
            }
            room.participant.leave().await;
        }
        self.inner.levels.send_replace(Levels::new());
        self.inner.view.send_modify(|view| {
            view.phase = Phase::Lobby;
            view.room = None;
        });
    }

    /// Begins a recording; one that runs is finalized first.
    ///
    /// # Errors
    /// The recorder's refusal; it is in the view as well.
    pub async fn start(&self, title: Option<String>) -> Result<(), ErrorReport> {
        self.ask(Command::Start { title, notes: None }).await.map(|_| ())
    }

    /// Finalizes the recording.
    ///
    /// # Errors
    /// The recorder's refusal; it is in the view as well.
    pub async fn stop(&self) -> Result<(), ErrorReport> {
        self.ask(Command::Stop).await.map(|_| ())
    }

    /// Goes by another name; None makes a guest.
    ///
    /// # Errors
    /// The recorder's refusal; it is in the view as well.
    pub async fn set_name(&self, name: Option<String>) -> Result<(), ErrorReport> {
        self.ask(Command::SetName { name }).await.map(|_| ())
    }

    /// Mutes or unmutes the own microphone.
    ///
    /// # Errors
    /// The recorder's refusal; the microphone is muted in any case.
    pub async fn set_muted(&self, muted: bool) -> Result<(), ErrorReport> {
        let participant = self.participant().await?;
        let done = participant.set_muted(muted).await;
        self.told(done)
    }

    /// A link to a finished recording, by its id or by the key of an object.
    ///
    /// # Errors
    /// `not_finalized`, `not_uploaded`, `recording_not_found`, or what the bucket says; it is in the view as well.
    pub async fn link(&self, recording: String) -> Result<Link, ErrorReport> {
        match self.ask(Command::Link { recording, ttl_s: None }).await? {
            Answer::Link(link) => Ok(link),
            _ => Err(ErrorReport::new(code::VERSION_MISMATCH, "the answer makes no sense", "update both ends")),
        }
    }

    /// The program ends: says goodbye, finalizes what is recorded here and gives uploads ten seconds. A room that is
    /// hosted here is not closed: it is opened again by the next start that hosts.
    pub async fn shutdown(&self) {
        self.go(false).await;
    }

    async fn ask(&self, command: Command) -> Result<Answer, ErrorReport> {
        let participant = self.participant().await?;
        let answer = participant.request(command).await;
        self.told(answer)
    }

    async fn participant(&self) -> Result<Participant, ErrorReport> {
        let room = self.inner.room.lock().await;
        room.as_ref()
            .map(|room| room.participant.clone())
            .ok_or_else(|| ErrorReport::new(code::BAD_REQUEST, "you are in no room", "host or join one first"))
    }

    /// Shows an error, or clears the one before.
    fn told<T>(&self, result: Result<T, ErrorReport>) -> Result<T, ErrorReport> {
        let error = result.as_ref().err().cloned();
        self.inner.view.send_modify(|view| view.error = error);
        result
    }

    async fn enter(
        &self,
        way: impl Future<Output = Result<(InRoom, RoomView, mpsc::Receiver<ParticipantEvent>), ErrorReport>>,
    ) -> Result<(), ErrorReport> {
        let mut room = self.inner.room.lock().await;
        if room.is_some() {
            return Err(ErrorReport::new(code::BAD_REQUEST, "you are in a room already", "leave it first"));
        }
        self.inner.view.send_modify(|view| view.phase = Phase::Entering);
        match way.await {
            Ok((entered, shown, events)) => {
                *room = Some(entered);
                self.inner.view.send_modify(|view| {
                    view.phase = Phase::Room;
                    view.room = Some(shown);
                });
                tokio::spawn(follow(self.clone(), events));
                Ok(())
            }
            Err(error) => {
                self.inner.view.send_modify(|view| view.phase = Phase::Lobby);
                Err(error)
            }
        }
    }

    async fn open_room(
        &self,
        name: String,
    ) -> Result<(InRoom, RoomView, mpsc::Receiver<ParticipantEvent>), ErrorReport> {
        let inner = &*self.inner;
        let start = inner.data_dir.start()?;
        let mut settings = inner.settings.clone();
        // Others follow the invite to this computer: its address in their common network is what it must name.
        settings.listen.get_or_insert(SocketAddr::new(network_address(), 0));
        let room = Some(name).filter(|name| !name.trim().is_empty());
        let (host, events) = Host::start(&inner.data_dir, &start, HostOptions { room, relay: None, settings }).await?;
        tokio::spawn(host_troubles(self.clone(), events));
        let entered = match self.enter_own(&host, &start, inner.microphone.clone()).await {
            Err(error) if error.code == code::MICROPHONE => {
                self.inner.view.send_modify(|view| view.error = Some(error));
                self.enter_own(&host, &start, MicrophoneSpec::None).await
            }
            entered => entered,
        };
        let (participant, events) = match entered {
            Ok(entered) => entered,
            Err(error) => {
                host.shutdown(Duration::ZERO).await;
                return Err(error);
            }
        };
        let shown = shown(&participant, true, &host.invite().for_participants());
        Ok((InRoom { host: Some(host), participant }, shown, events))
    }

    async fn enter_own(
        &self,
        host: &Host,
        start: &Start,
        microphone: MicrophoneSpec,
    ) -> Result<(Participant, mpsc::Receiver<ParticipantEvent>), ErrorReport> {
        let options = self.options(None, microphone);
        let door = host.admit(options.role(), None).await?;
        Participant::join_own(&self.inner.data_dir, start, door, options)
    }

    async fn join_room(
        &self,
        invite: String,
        name: Option<String>,
        observe: bool,
    ) -> Result<(InRoom, RoomView, mpsc::Receiver<ParticipantEvent>), ErrorReport> {
        let inner = &*self.inner;
        let invite: Invite = invite.parse().map_err(|error| {
            let message = format!("this is not an invite: {error}");
            ErrorReport::new(code::INVALID_INVITE, message, "copy the whole link from the host")
        })?;
        let start = inner.data_dir.start()?;
        let microphone = if observe { MicrophoneSpec::None } else { inner.microphone.clone() };
        let options = self.options(name, microphone);
        let addresses = inner.settings.media_addrs.clone().unwrap_or_default();
        let link = invite.for_participants();
        let (participant, events) = Participant::join(&inner.data_dir, &start, invite, options, addresses).await?;
        let shown = shown(&participant, false, &link);
        Ok((InRoom { host: None, participant }, shown, events))
    }

    fn options(&self, name: Option<String>, microphone: MicrophoneSpec) -> ParticipantOptions {
        ParticipantOptions { name, microphone, bitrate: self.inner.settings.bitrate(), stay: true }
    }
}

fn shown(participant: &Participant, hosting: bool, invite: &Invite) -> RoomView {
    RoomView {
        me: participant.id(),
        hosting,
        invite: invite.to_string(),
        recorder: Connection::Connecting,
        state: None,
        recordings: Vec::new(),
        recordings_total: 0,
        more_recordings: None,
        microphone: None,
        safe_to_quit: true,
    }
}

/// Brings the participant's news into the view.
async fn follow(studio: Studio, mut events: mpsc::Receiver<ParticipantEvent>) {
    while let Some(event) = events.recv().await {
        if let ParticipantEvent::Left { error, .. } = event {
            // Whoever asked to leave has taken the room out already, and shows the lobby when all of it is over. Here
            // it ended by itself; one that is hosted here was closed by somebody with the host's rights elsewhere.
            let Some(ended) = studio.inner.room.lock().await.take() else { return };
            if let Some(host) = ended.host {
                host.shutdown(DRAIN).await;
            }
            studio.inner.view.send_modify(|view| {
                view.phase = Phase::Lobby;
                view.room = None;
                view.error = error.or(view.error.take());
            });
            return;
        }
        if let ParticipantEvent::RecordingsChanged { newest } = event {
            studio.list_changed(newest);
            continue;
        }
        if let ParticipantEvent::Speaking { levels } = event {
            studio.inner.levels.send_replace(levels);
            continue;
        }
        studio.inner.view.send_modify(|view| show(view, event));
    }
}

fn show(view: &mut View, event: ParticipantEvent) {
    let Some(room) = &mut view.room else { return };
    match event {
        ParticipantEvent::Joined { .. } | ParticipantEvent::HostReachable => room.recorder = Connection::Connected,
        ParticipantEvent::HostUnreachable => room.recorder = Connection::Unreachable,
        ParticipantEvent::State(state) => room.state = Some(*state),
        // Told with the pages that are shown behind it.
        ParticipantEvent::RecordingsChanged { .. } => {}
        ParticipantEvent::SafeToQuit { value } => room.safe_to_quit = value,
        ParticipantEvent::Microphone { device } => room.microphone = Some(device),
        ParticipantEvent::Alarm { active: true, message, .. } => {
            let hint = "choose another input in the system's sound settings, or plug it in again";
            view.error = Some(ErrorReport::new(code::MICROPHONE, message, hint));
        }
        ParticipantEvent::Alarm { active: false, .. }
        | ParticipantEvent::SpoolExpired { .. }
        | ParticipantEvent::Speaking { .. }
        | ParticipantEvent::RecordingState(_)
        | ParticipantEvent::Left { .. } => {}
    }
}

/// Brings what troubles the recorder into the view of who hosts it.
async fn host_troubles(studio: Studio, mut events: mpsc::Receiver<HostEvent>) {
    while let Some(event) = events.recv().await {
        studio.inner.view.send_modify(|view| {
            if let Some(error) = trouble(view.room.as_ref(), event) {
                view.error = Some(error);
            }
        });
    }
}
