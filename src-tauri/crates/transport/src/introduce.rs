//! The opening of the data channel: both ends send their hello at once, and nothing else counts before.

use std::sync::Arc;

use bytes::BytesMut;
use roomtone_protocol::channel::{Hello, ToParticipant};
use roomtone_protocol::{ErrorReport, code};
use std::time::Duration;
use webrtc::data_channel::{DataChannel, DataChannelEvent};

use crate::link::MAX_MESSAGE_BYTES;
use crate::messages::{End, Sorted, json};

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

/// How long a refusal may take to reach the other side.
const FAREWELL: Duration = Duration::from_secs(1);
/// Between looks at whether it did.
const FAREWELL_POLL: Duration = Duration::from_millis(10);

/// Waits for the channel to open, says hello, and waits for the other's.
pub(crate) async fn exchange<E: End>(channel: &Arc<dyn DataChannel>, own: Hello) -> Result<Box<Hello>, AttemptError> {
    let broken = |what: &str| AttemptError::Broken(what.to_owned());
    let mut own = Some(own);
    loop {
        match channel.poll().await {
            Some(DataChannelEvent::OnOpen) => {
                if let Some(hello) = own.take() {
                    let hello = json(&E::hello(hello));
                    channel.send_text(&hello).await.map_err(|error| broken(&error.to_string()))?;
                }
            }
            Some(DataChannelEvent::OnMessage(message)) => {
                return match parse::<E::In>(message.is_string, &message.data).map(E::sort) {
                    Some(Sorted::Hello(hello)) => Ok(hello),
                    Some(Sorted::Refused(error)) => Err(AttemptError::Refused(error)),
                    _ => Err(AttemptError::Refused(ErrorReport::new(
                        code::BAD_REQUEST,
                        "the data channel does not open with a hello",
                        "update Roomtone",
                    ))),
                };
            }
            None | Some(DataChannelEvent::OnClose | DataChannelEvent::OnClosing) => {
                return Err(broken("the data channel closed before the hello"));
            }
            Some(_) => {}
        }
    }
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
