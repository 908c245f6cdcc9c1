//! The opening of the data channel. The member says hello as soon as it is open; the recorder answers with its own hello
//! once it has let the member in, so that a member whose link is up knows that it was accepted.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use roomtone_protocol::channel::{Hello, ToParticipant};
use roomtone_protocol::signal::SignalBody;
use roomtone_protocol::{ErrorReport, code};
use webrtc::data_channel::{DataChannel, DataChannelEvent};

use crate::connection::Connection;
use crate::link::MAX_MESSAGE_BYTES;
use crate::messages::{AtMember, AtRecorder, End, Sorted, json};

/// Why no link came of a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttemptError {
    /// Somebody said no; trying again soon will not help.
    #[error("refused: {0}")]
    Refused(ErrorReport),
    /// The connection did not come up or broke; the next attempt may succeed.
    #[error("{0}")]
    Broken(String),
}

impl From<crate::connection::ConnectionError> for AttemptError {
    fn from(error: crate::connection::ConnectionError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Before the driver is woken for the first time.
const FIRST_NUDGE: Duration = Duration::from_millis(2);
/// Between wake-ups of a handshake that takes its time.
const LONGEST_NUDGE: Duration = Duration::from_millis(100);

/// How long a refusal may take to reach the other side.
const FAREWELL: Duration = Duration::from_secs(1);
/// Between looks at whether it did.
const FAREWELL_POLL: Duration = Duration::from_millis(10);

/// The member's part: says hello when the channel opens, and waits for the recorder's.
pub(crate) async fn say_hello(channel: &Arc<dyn DataChannel>, own: Hello) -> Result<Box<Hello>, AttemptError> {
    let mut own = Some(own);
    let mut nudge = FIRST_NUDGE;
    loop {
        let opening = tokio::select! {
            opening = next(channel) => opening?,
            () = tokio::time::sleep(nudge), if own.is_some() => {
                wake_driver(channel).await?;
                nudge = (nudge * 5 / 4).min(LONGEST_NUDGE);
                continue;
            }
        };
        match opening {
            Opening::Open => {
                if let Some(hello) = own.take() {
                    let hello = json(&AtMember::hello(hello));
                    channel.send_text(&hello).await.map_err(|error| broken(&error.to_string()))?;
                }
            }
            Opening::First { is_text, data } => return hello::<AtMember>(is_text, &data),
        }
    }
}

/// The recorder's part: waits for the member's hello.
pub(crate) async fn hear_hello(channel: &Arc<dyn DataChannel>) -> Result<Box<Hello>, AttemptError> {
    loop {
        if let Opening::First { is_text, data } = next(channel).await? {
            return hello::<AtRecorder>(is_text, &data);
        }
    }
}

/// The library's driver sends what a finished step of the handshake made ready only when it wakes for something else: the
/// first DTLS flight waits for an ICE timer, the SCTP handshake and the opening of the channel for 200 ms each. Setting
/// a threshold to the value that it has does nothing but wake it.
async fn wake_driver(channel: &Arc<dyn DataChannel>) -> Result<(), AttemptError> {
    channel.set_buffered_amount_low_threshold(0).await.map_err(|error| broken(&error.to_string()))
}

enum Opening {
    Open,
    First { is_text: bool, data: BytesMut },
}

async fn next(channel: &Arc<dyn DataChannel>) -> Result<Opening, AttemptError> {
    loop {
        match channel.poll().await {
            Some(DataChannelEvent::OnOpen) => return Ok(Opening::Open),
            Some(DataChannelEvent::OnMessage(message)) => {
                return Ok(Opening::First { is_text: message.is_string, data: message.data });
            }
            None | Some(DataChannelEvent::OnClose | DataChannelEvent::OnClosing) => {
                return Err(broken("the data channel closed before the hello"));
            }
            Some(_) => {}
        }
    }
}

fn hello<E: End>(is_text: bool, data: &BytesMut) -> Result<Box<Hello>, AttemptError> {
    match parse::<E::In>(is_text, data).map(E::sort) {
        Some(Sorted::Hello(hello)) => Ok(hello),
        Some(Sorted::Refused(error)) => Err(AttemptError::Refused(error)),
        _ => Err(AttemptError::Refused(ErrorReport::new(
            code::BAD_REQUEST,
            "the data channel does not open with a hello",
            "update Roomtone",
        ))),
    }
}

fn broken(what: &str) -> AttemptError {
    AttemptError::Broken(what.to_owned())
}

/// A text message as JSON; None for everything that is not one of ours.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(is_text: bool, data: &BytesMut) -> Option<T> {
    if !is_text || data.len() > MAX_MESSAGE_BYTES {
        return None;
    }
    match serde_json::from_slice(data) {
        Ok(message) => Some(message),
        Err(error) => {
            tracing::debug!(%error, "a message that this version cannot read");
            None
        }
    }
}

/// Tells a member why its hello was not good enough, and waits until it knows.
pub(crate) async fn refuse(channel: &Arc<dyn DataChannel>, error: ErrorReport) {
    let refusal = json(&ToParticipant::Refused { error });
    let told = async {
        channel.send_text(&refusal).await?;
        acknowledged(channel).await
    };
    match tokio::time::timeout(FAREWELL, told).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a refusal could not be sent"),
        Err(_) => tracing::debug!("a refusal was not acknowledged in time"),
    }
}

/// Waits until the other end has everything that was sent.
pub(crate) async fn acknowledged(channel: &Arc<dyn DataChannel>) -> webrtc::error::Result<()> {
    while channel.outstanding_bytes().await? > 0 {
        tokio::time::sleep(FAREWELL_POLL).await;
    }
    Ok(())
}

/// Hands a candidate of the other side over; other signals have no meaning here.
pub(crate) async fn candidate(connection: &Connection, signal: SignalBody) -> Result<(), AttemptError> {
    match signal {
        SignalBody::Candidate { candidate, mid, mline_index } => {
            // One that cannot be used is no reason to give the others up.
            if let Err(error) = connection.add_candidate(candidate, mid, mline_index).await {
                tracing::debug!(%error, "a candidate is of no use");
            }
            Ok(())
        }
        SignalBody::Refused { error } => Err(AttemptError::Refused(error)),
        _ => Ok(()),
    }
}
