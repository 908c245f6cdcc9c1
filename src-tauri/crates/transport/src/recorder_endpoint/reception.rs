//! Receives whoever comes: keeps the list of members, has offers answered, and decides which link of a key stands.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use roomtone_protocol::signal::{Member, MemberChange, ServerMessage, Signal, SignalBody};
use roomtone_protocol::state::Role;
use roomtone_protocol::{ErrorReport, ParticipantId, WakeEpoch, code};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::RecorderEvent;
use super::answering::{self, Answering, Settings};
use crate::introduce;
use crate::messages::AtRecorder;
use crate::signalling::{RelayEvent, Signalling};
use crate::wire::{self, LinkControl, Verified};

/// Verified connections that may wait for their turn.
const VERIFIED_QUEUE: usize = 16;
/// Signals that may wait for a negotiation.
const SIGNAL_QUEUE: usize = 128;
/// Negotiations under way at once: each holds sockets, and nobody has proven anything yet.
const MAX_NEGOTIATIONS: usize = 128;
/// Of these for one key: a member, and a passing visitor of the same key.
const MAX_NEGOTIATIONS_EACH: usize = 2;

/// An offer that is being answered, or the link that came of it.
struct Negotiation {
    participant: ParticipantId,
    attempt: u32,
    signals: mpsc::Sender<SignalBody>,
    cancel: CancellationToken,
}

/// Somebody proved who they are.
struct Arrival {
    verified: Verified,
    attempt: u32,
}

/// A link that the program has.
struct Standing {
    epoch: WakeEpoch,
    control: LinkControl,
}

/// Members and passing visitors of one key do not replace each other.
type LinkKey = (ParticipantId, bool);

pub(super) struct Reception {
    settings: Arc<Settings>,
    signalling: Signalling,
    events: mpsc::Sender<RecorderEvent>,
    goodbye: CancellationToken,
    /// Whom the relay told us about.
    members: HashMap<ParticipantId, Role>,
    /// Oldest first.
    negotiations: Vec<Negotiation>,
    links: HashMap<LinkKey, Standing>,
    verified: mpsc::Sender<Arrival>,
    verified_rx: mpsc::Receiver<Arrival>,
    relay_is_over: bool,
}

/// The program has dropped its end.
struct End;

impl Reception {
    pub(super) fn new(
        settings: Settings,
        signalling: Signalling,
        events: mpsc::Sender<RecorderEvent>,
        goodbye: CancellationToken,
    ) -> Self {
        let (verified, verified_rx) = mpsc::channel(VERIFIED_QUEUE);
        Self {
            settings: Arc::new(settings),
            signalling,
            events,
            goodbye,
            members: HashMap::new(),
            negotiations: Vec::new(),
            links: HashMap::new(),
            verified,
            verified_rx,
            relay_is_over: false,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let goodbye = self.goodbye.clone();
            let step = tokio::select! {
                () = goodbye.cancelled() => break,
                event = self.signalling.events.recv(), if !self.relay_is_over => match event {
                    Some(event) => self.heard(event).await,
                    None => Err(End),
                },
                Some(arrival) = self.verified_rx.recv() => self.arrived(arrival).await,
                () = self.events.closed() => break,
            };
            if step.is_err() {
                break;
            }
        }
        self.finish().await;
    }

    async fn finish(mut self) {
        for negotiation in self.negotiations.drain(..) {
            negotiation.cancel.cancel();
        }
        for standing in self.links.values() {
            standing.control.closing.cancel();
        }
        for standing in self.links.values() {
            standing.control.over.cancelled().await;
        }
        self.signalling.finish().await;
    }

    async fn tell(&self, event: RecorderEvent) -> Result<(), End> {
        self.events.send(event).await.map_err(|_| End)
    }

    async fn heard(&mut self, event: RelayEvent) -> Result<(), End> {
        match event {
            RelayEvent::Entered { members, .. } => {
                self.tell(RecorderEvent::Relay { connected: true }).await?;
                self.roll_call(members).await
            }
            RelayEvent::Lost => self.tell(RecorderEvent::Relay { connected: false }).await,
            RelayEvent::Over(error) => {
                self.relay_is_over = true;
                if error.code == code::ROOM_CLOSED {
                    return self.tell(RecorderEvent::RoomClosed).await;
                }
                tracing::warn!(code = %error.code, "the relay gave the recorder's place away");
                self.tell(RecorderEvent::Refused(error)).await
            }
            RelayEvent::Message(ServerMessage::Member { participant, role, change }) => {
                if change == MemberChange::Left {
                    self.members.remove(&participant);
                } else {
                    self.members.insert(participant, role);
                }
                self.tell(RecorderEvent::Member { participant, role, change }).await
            }
            RelayEvent::Message(ServerMessage::Levels { levels }) => self.tell(RecorderEvent::Levels(levels)).await,
            RelayEvent::Message(ServerMessage::Signal { from, signal }) => {
                self.signal(from, signal);
                Ok(())
            }
            RelayEvent::Message(_) => Ok(()),
        }
    }

    /// Tells the program who is there. A relay that was started again knows nobody until they come back to it.
    async fn roll_call(&mut self, present: Vec<Member>) -> Result<(), End> {
        let listed: HashSet<ParticipantId> = present.iter().map(|member| member.participant).collect();
        let missing: Vec<(ParticipantId, Role)> =
            self.members.iter().filter(|(who, _)| !listed.contains(who)).map(|(who, role)| (*who, *role)).collect();
        for (participant, role) in missing {
            self.tell(RecorderEvent::Member { participant, role, change: MemberChange::Away }).await?;
        }
        for Member { participant, role, connected } in present {
            let known = self.members.insert(participant, role).is_some();
            let change = match (connected, known) {
                (false, _) => MemberChange::Away,
                (true, true) => MemberChange::Returned,
                (true, false) => MemberChange::Joined,
            };
            self.tell(RecorderEvent::Member { participant, role, change }).await?;
        }
        Ok(())
    }

    fn signal(&mut self, from: ParticipantId, Signal { attempt, body }: Signal) {
        if let SignalBody::Offer { sdp, ice_restart } = body {
            self.offered(from, attempt, sdp, ice_restart);
            return;
        }
        let negotiation = self.negotiations.iter().find(|one| one.participant == from && one.attempt == attempt);
        let Some(negotiation) = negotiation else { return };
        if negotiation.signals.try_send(body).is_err() {
            tracing::debug!("a signal comes too late or too many come");
        }
    }

    fn offered(&mut self, from: ParticipantId, attempt: u32, offer: String, ice_restart: bool) {
        self.negotiations.retain(|one| !one.signals.is_closed());
        // The same attempt again makes no sense; what it was about is over.
        if let Some(again) = self.negotiations.iter().position(|one| one.participant == from && one.attempt == attempt)
        {
            self.negotiations.remove(again).cancel.cancel();
        }
        while self.negotiations.iter().filter(|one| one.participant == from).count() >= MAX_NEGOTIATIONS_EACH {
            let oldest = self.negotiations.iter().position(|one| one.participant == from);
            self.negotiations.remove(oldest.expect("counted above")).cancel.cancel();
        }
        let relay = self.signalling.sender.clone();
        if self.negotiations.len() >= MAX_NEGOTIATIONS {
            let full =
                ErrorReport::new(code::LIMIT_REACHED, "too many people connect at once", "try again in a minute");
            answering::send(&relay, from, attempt, SignalBody::Refused { error: full });
            return;
        }
        let (signals, signals_rx) = mpsc::channel(SIGNAL_QUEUE);
        let cancel = CancellationToken::new();
        self.negotiations.push(Negotiation { participant: from, attempt, signals, cancel: cancel.clone() });
        let answering = Answering {
            settings: self.settings.clone(),
            from,
            attempt,
            offer,
            ice_restart,
            relay,
            signals: signals_rx,
        };
        let verified = self.verified.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                arrived = answering.run() => if let Some(arrived) = arrived
                    && verified.send(Arrival { verified: arrived, attempt }).await.is_err()
                {
                    tracing::debug!("somebody arrived when the recorder was gone");
                }
            }
        });
    }

    /// One key, one link: the newer program's, or the newer one of the same program.
    async fn arrived(&mut self, Arrival { verified, attempt }: Arrival) -> Result<(), End> {
        self.links.retain(|_, standing| !standing.control.over.is_cancelled());
        let key = (verified.peer.participant, verified.peer.passing);
        let epoch = verified.peer.epoch;
        if let Some(standing) = self.links.get(&key) {
            if standing.epoch > epoch {
                tracing::info!("an older program of a participant is refused");
                tokio::spawn(async move {
                    // The connection with it, which must outlive the refusal.
                    let refused = verified;
                    introduce::refuse(&refused.channel, replaced()).await;
                });
                return Ok(());
            }
            // A ghost: whoever holds the key has come back.
            standing.control.ended.cancel();
        }
        let (link, control) = wire::start::<AtRecorder>(verified);
        tracing::info!(attempt, passing = key.1, links = self.links.len() + 1, "a link is up");
        self.links.insert(key, Standing { epoch, control });
        self.tell(RecorderEvent::Link(link)).await
    }
}

fn replaced() -> ErrorReport {
    ErrorReport::new(
        code::ALREADY_PRESENT,
        "this identity is in the room from a program that was started later",
        "use only one of them, or another data directory",
    )
}
