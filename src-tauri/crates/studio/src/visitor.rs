//! Somebody who asks the recorder one thing and goes: scripts and the remote control. No member of the room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roomtone_protocol::channel::{Answer, Command, ToParticipant, ToRecorder};
use roomtone_protocol::state::Role;
use roomtone_protocol::{CommandId, ErrorReport, Identity, Invite, WakeEpoch};
use roomtone_transport::{
    LinkEvent, LinkSender, ParticipantConfig, ParticipantEndpoint, ParticipantEvent as DoorEvent, ParticipantLink,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::participant::unreachable_recorder;
use crate::random;

/// How long a visitor knocks before the recorder counts as unreachable: two handshakes of ten seconds.
const ARRIVAL: Duration = Duration::from_secs(20);

/// How long it waits for an answer.
const ANSWER: Duration = Duration::from_secs(15);

type Waiting = Arc<Mutex<HashMap<CommandId, oneshot::Sender<Result<Answer, ErrorReport>>>>>;

/// A visitor, let in.
pub struct Visitor {
    endpoint: ParticipantEndpoint,
    sender: LinkSender<ToRecorder>,
    waiting: Waiting,
}

impl Visitor {
    /// Knocks, with a key of its own that is forgotten afterwards.
    ///
    /// # Errors
    /// What relay and recorder say; `recorder_unreachable` if the recorder does not answer.
    pub async fn arrive(invite: Invite) -> Result<Self, ErrorReport> {
        Self::arrive_as(invite, Identity::from_seed(random::bytes()?)).await
    }

    /// Knocks with this key. One key is in the room once at a time.
    ///
    /// # Errors
    /// See [`Visitor::arrive`].
    pub async fn arrive_as(invite: Invite, identity: Identity) -> Result<Self, ErrorReport> {
        let config = ParticipantConfig {
            invite,
            identity,
            epoch: WakeEpoch(1),
            role: Role::Observer,
            passing: true,
            name: None,
            media_addrs: Vec::new(),
        };
        let (endpoint, mut events) = ParticipantEndpoint::start(config).await?;
        let link = timeout(ARRIVAL, link(&mut events)).await.map_err(|_| unreachable_recorder())??;
        let waiting = Waiting::default();
        tokio::spawn(listen(link.events, Arc::clone(&waiting)));
        // The relay's news are of no interest, and must be taken all the same.
        tokio::spawn(async move { while events.recv().await.is_some() {} });
        Ok(Self { endpoint, sender: link.sender, waiting })
    }

    /// Asks something.
    ///
    /// # Errors
    /// The recorder's refusal, or `recorder_unreachable`.
    pub async fn request(&self, command: Command) -> Result<Answer, ErrorReport> {
        let id = CommandId::from_bytes(random::bytes()?);
        let (reply, answer) = oneshot::channel();
        lock(&self.waiting).insert(id, reply);
        let request = ToRecorder::Request { id, based_on: None, command };
        self.sender.send(request).await.map_err(|_| unreachable_recorder())?;
        let answer = timeout(ANSWER, answer).await.map_err(|_| unreachable_recorder())?;
        answer.map_err(|_| unreachable_recorder())?
    }

    /// Goes.
    pub async fn leave(self) {
        self.endpoint.leave().await;
    }
}

/// The first link, or why there is none.
async fn link(events: &mut mpsc::Receiver<DoorEvent>) -> Result<ParticipantLink, ErrorReport> {
    loop {
        match events.recv().await {
            Some(DoorEvent::Link(link)) => return Ok(link),
            Some(DoorEvent::Refused(error)) => return Err(error),
            Some(_) => {}
            None => return Err(unreachable_recorder()),
        }
    }
}

async fn listen(mut events: mpsc::Receiver<LinkEvent<ToParticipant>>, waiting: Waiting) {
    while let Some(event) = events.recv().await {
        match event {
            LinkEvent::Message(ToParticipant::Answer { id, result }) => {
                if let Some(reply) = lock(&waiting).remove(&id) {
                    // Whoever asked may have stopped waiting.
                    drop(reply.send(result));
                }
            }
            LinkEvent::Message(ToParticipant::Refused { error }) => {
                for (_, reply) in lock(&waiting).drain() {
                    drop(reply.send(Err(error.clone())));
                }
            }
            LinkEvent::Closed => break,
            _ => {}
        }
    }
    lock(&waiting).clear();
}

fn lock(
    waiting: &Waiting,
) -> std::sync::MutexGuard<'_, HashMap<CommandId, oneshot::Sender<Result<Answer, ErrorReport>>>> {
    // Entries are inserted and removed whole, so a panic in between left nothing half done.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
