//! One attempt to reach the recorder, from the offer to its hello.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roomtone_protocol::signal::{ClientMessage, Signal, SignalBody};
use roomtone_protocol::{ErrorReport, Invite, code};
use tokio::sync::mpsc;

use super::SIGNAL_QUEUE;
use crate::connection::{Connection, ConnectionEvent, Offering};
use crate::hello::{Binding, Introduction, verify_recorder};
use crate::introduce::{AttemptError, candidate, say_hello};
use crate::signalling::RelaySender;
use crate::wire::Verified;
use crate::{HANDSHAKE_TIME, media, random, sdp};

/// What it takes; a new attempt has a new number and a new connection.
pub(super) struct Attempt {
    pub(super) number: u32,
    pub(super) introduction: Introduction,
    pub(super) microphone: bool,
    pub(super) media_addrs: Vec<IpAddr>,
    pub(super) invite: Invite,
    pub(super) relay: RelaySender,
    pub(super) signals: mpsc::Receiver<SignalBody>,
}

impl Attempt {
    pub(super) async fn run(self) -> Result<Verified, AttemptError> {
        let late = || AttemptError::Broken(format!("the handshake took longer than {HANDSHAKE_TIME:?}"));
        tokio::time::timeout(HANDSHAKE_TIME, self.connect()).await.unwrap_or_else(|_| Err(late()))
    }

    fn send(&self, body: SignalBody) {
        send(&self.relay, self.number, body);
    }

    async fn connect(mut self) -> Result<Verified, AttemptError> {
        let Offering { mut connection, channel, track } =
            Connection::offering(&self.media_addrs, self.microphone).await?;
        let offer = connection.offer().await?;
        self.send(SignalBody::Offer { sdp: offer.clone(), ice_restart: false });
        let answer = self.answer(&mut connection).await?;
        let fingerprint = |sdp: &str| {
            sdp::fingerprint(sdp).map_err(|error| {
                AttemptError::Refused(ErrorReport::new(code::BAD_REQUEST, error.to_string(), "update Roomtone"))
            })
        };
        let binding = Binding { room: self.invite.room, member: fingerprint(&offer)?, recorder: fingerprint(&answer)? };
        let nonce = URL_SAFE_NO_PAD.encode(random::bytes::<16>());
        let own = self.introduction.hello(&binding, false, nonce);
        let hello = {
            let introduced = say_hello(&channel, own);
            tokio::pin!(introduced);
            loop {
                tokio::select! {
                    hello = &mut introduced => break hello?,
                    event = connection.next_event() => self.event(event)?,
                    Some(signal) = self.signals.recv() => candidate(&connection, signal).await?,
                }
            }
        };
        let peer = verify_recorder(*hello, &binding, &self.invite.secret, &self.invite.recorder)
            .map_err(AttemptError::Refused)?;
        let (candidates, mut candidates_rx) = mpsc::channel(SIGNAL_QUEUE);
        let (relay, number) = (self.relay.clone(), self.number);
        tokio::spawn(async move {
            while let Some(body) = candidates_rx.recv().await {
                send(&relay, number, body);
            }
        });
        Ok(Verified {
            connection,
            channel,
            first: None,
            track,
            takes_media: false,
            rtp_clock: false,
            place_id: sdp::extension_id(&answer, media::PLACE),
            peer,
            signals: self.signals,
            candidates,
        })
    }

    async fn answer(&mut self, connection: &mut Connection) -> Result<String, AttemptError> {
        // Candidates may overtake the answer; they are of use only after it.
        let mut early = Vec::new();
        loop {
            tokio::select! {
                signal = self.signals.recv() => match signal {
                    Some(SignalBody::Answer { sdp }) => {
                        connection.accept_answer(sdp.clone()).await?;
                        for signal in early {
                            candidate(connection, signal).await?;
                        }
                        return Ok(sdp);
                    }
                    Some(SignalBody::Refused { error }) => return Err(AttemptError::Refused(error)),
                    Some(signal @ SignalBody::Candidate { .. }) if early.len() < SIGNAL_QUEUE => early.push(signal),
                    Some(_) => {}
                    None => return Err(AttemptError::Broken("the attempt was given up".to_owned())),
                },
                event = connection.next_event() => self.event(event)?,
            }
        }
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
}

fn send(relay: &RelaySender, attempt: u32, body: SignalBody) {
    relay.send(ClientMessage::Signal { to: None, signal: Signal { attempt, body } });
}
