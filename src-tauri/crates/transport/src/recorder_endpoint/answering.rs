//! One offer, from its arrival to the member's verified hello.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roomtone_protocol::channel::RTP_CLOCK;
use roomtone_protocol::signal::{ClientMessage, Signal, SignalBody};
use roomtone_protocol::state::Role;
use roomtone_protocol::{ErrorReport, ParticipantId, RoomId, Secret, code};
use tokio::sync::mpsc;
use webrtc::data_channel::DataChannel;

use crate::connection::{Connection, ConnectionEvent};
use crate::hello::{Binding, Introduction, verify_member};
use crate::introduce::{AttemptError, candidate, hear_hello, refuse};
use crate::messages::{AtRecorder, End as _, json};
use crate::offer_policy::{self, Offered};
use crate::signalling::RelaySender;
use crate::wire::Verified;
use crate::{HANDSHAKE_TIME, media, random, sdp};

/// Candidates of ours that may wait for the relay.
const CANDIDATE_QUEUE: usize = 128;

/// What all offers are answered with.
pub(super) struct Settings {
    pub(super) introduction: Introduction,
    pub(super) room: RoomId,
    pub(super) host_secret: Secret,
    pub(super) media_addrs: Vec<IpAddr>,
}

pub(super) struct Answering {
    pub(super) settings: Arc<Settings>,
    pub(super) from: ParticipantId,
    pub(super) attempt: u32,
    pub(super) offer: String,
    pub(super) ice_restart: bool,
    pub(super) relay: RelaySender,
    pub(super) signals: mpsc::Receiver<SignalBody>,
}

/// Sends a step of a negotiation to a member.
pub(super) fn send(relay: &RelaySender, to: ParticipantId, attempt: u32, body: SignalBody) {
    relay.send(ClientMessage::Signal { to: Some(to), signal: Signal { attempt, body } });
}

impl Answering {
    /// None when nothing came of it; the member was told why, if there is a reason.
    pub(super) async fn run(self) -> Option<Verified> {
        let (relay, from, attempt) = (self.relay.clone(), self.from, self.attempt);
        let result = tokio::time::timeout(HANDSHAKE_TIME, self.answer()).await;
        match result {
            Ok(Ok(verified)) => Some(verified),
            Ok(Err(AttemptError::Refused(error))) => {
                tracing::warn!(code = %error.code, "an offer is refused");
                send(&relay, from, attempt, SignalBody::Refused { error });
                None
            }
            Ok(Err(AttemptError::Broken(why))) => {
                tracing::debug!(%why, attempt, "no link came of an offer");
                None
            }
            Err(_) => {
                tracing::info!(attempt, "an offer led to no link in time");
                None
            }
        }
    }

    async fn answer(mut self) -> Result<Verified, AttemptError> {
        let offered = offer_policy::judge(&self.offer).map_err(AttemptError::Refused)?;
        if self.ice_restart {
            // No program of this version restarts ICE: a new connection is as fast, and its SCTP timers are fresh.
            return Err(refused("this recorder does not restart a connection", "connect anew"));
        }
        let unreadable = |error: sdp::FingerprintError| refused(&error.to_string(), "update Roomtone");
        let member = sdp::fingerprint(&self.offer).map_err(unreadable)?;
        let mut connection = Connection::answering(&self.settings.media_addrs).await?;
        let answer = connection.answer(std::mem::take(&mut self.offer)).await?;
        let recorder = sdp::fingerprint(&answer).map_err(unreadable)?;
        let place_id = sdp::extension_id(&answer, media::PLACE);
        self.send(SignalBody::Answer { sdp: answer });
        let binding = Binding { room: self.settings.room, member, recorder };
        let channel = self.channel(&mut connection).await?;
        let verdict = self.introduce(&mut connection, &channel, &binding, offered).await;
        let (peer, rtp_clock) = match verdict {
            Ok(introduced) => introduced,
            Err(AttemptError::Refused(error)) => {
                // Over the channel, which the relay cannot read; it need not be told as well.
                refuse(&channel, error.clone()).await;
                return Err(AttemptError::Broken(format!("a hello was refused: {}", error.code)));
            }
            Err(broken) => return Err(broken),
        };
        let nonce = URL_SAFE_NO_PAD.encode(random::bytes::<16>());
        let hello = self.settings.introduction.hello(&binding, true, nonce);
        let (candidates, mut candidates_rx) = mpsc::channel(CANDIDATE_QUEUE);
        let (relay, from, attempt) = (self.relay, self.from, self.attempt);
        tokio::spawn(async move {
            while let Some(body) = candidates_rx.recv().await {
                send(&relay, from, attempt, body);
            }
        });
        Ok(Verified {
            connection,
            channel,
            first: Some(json(&AtRecorder::hello(hello))),
            track: None,
            takes_media: offered.microphone,
            rtp_clock: rtp_clock && offered.microphone,
            place_id,
            peer,
            signals: self.signals,
            candidates,
        })
    }

    async fn channel(&mut self, connection: &mut Connection) -> Result<Arc<dyn DataChannel>, AttemptError> {
        loop {
            tokio::select! {
                event = connection.next_event() => match event {
                    Some(ConnectionEvent::Channel(channel)) => return Ok(channel),
                    event => self.event(event)?,
                },
                Some(signal) = self.signals.recv() => candidate(connection, signal).await?,
            }
        }
    }

    /// Who it is, and whether they let their clock be heard from RTP alone.
    async fn introduce(
        &mut self,
        connection: &mut Connection,
        channel: &Arc<dyn DataChannel>,
        binding: &Binding,
        offered: Offered,
    ) -> Result<(crate::Peer, bool), AttemptError> {
        let settings = self.settings.clone();
        let introduced = hear_hello(channel);
        tokio::pin!(introduced);
        let hello = loop {
            tokio::select! {
                hello = &mut introduced => break hello?,
                event = connection.next_event() => self.event(event)?,
                Some(signal) = self.signals.recv() => candidate(connection, signal).await?,
            }
        };
        let rtp_clock = hello.capabilities.iter().any(|capability| capability == RTP_CLOCK);
        let peer = verify_member(*hello, binding, &settings.introduction.secret, &settings.host_secret)
            .map_err(AttemptError::Refused)?;
        if peer.participant != self.from {
            return Err(AttemptError::Refused(ErrorReport::new(
                code::UNAUTHORIZED,
                "the hello is signed with another key than the entry at the relay",
                "connect again; if it happens again, use another relay",
            )));
        }
        if offered.microphone && (peer.role == Role::Observer || peer.passing) {
            return Err(refused("an observer's offer holds a microphone", "update Roomtone"));
        }
        Ok((peer, rtp_clock))
    }

    fn event(&self, event: Option<ConnectionEvent>) -> Result<(), AttemptError> {
        match event {
            Some(ConnectionEvent::Candidate(body)) => self.send(body),
            Some(ConnectionEvent::Failed) | None => {
                return Err(AttemptError::Broken("the connection failed".to_owned()));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn send(&self, body: SignalBody) {
        send(&self.relay, self.from, self.attempt, body);
    }
}

fn refused(message: &str, hint: &str) -> AttemptError {
    AttemptError::Refused(ErrorReport::new(code::BAD_REQUEST, message, hint))
}
