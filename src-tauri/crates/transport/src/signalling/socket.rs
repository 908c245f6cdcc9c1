//! One WebSocket to the relay, from the first handshake to its end.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use roomtone_protocol::signal::{ClientMessage, MAX_MESSAGE_BYTES, ServerMessage, VERSION, entry_transcript};
use roomtone_protocol::{ErrorReport, code};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::{Entry, RelayEvent};
use crate::http::{self, ANSWER_TIME};
use crate::messages::json;

/// Silence after which the relay counts as gone; it pings every few seconds.
const SILENCE: Duration = Duration::from_secs(15);
/// A connection that has not led into the room by then is begun anew: where packets are lost, TCP's timers for its first
/// ones double from a second on, and a fresh one is often there earlier.
const FRESH_ONE: Duration = Duration::from_secs(4);
/// How long the relay may take to accept a message.
const SEND_TIME: Duration = Duration::from_secs(10);

/// An entered connection.
pub(super) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// When something came last, a ping for instance.
    heard: Instant,
}

/// The connection is of no use any more.
#[derive(Debug)]
pub(super) struct Broken;

impl Socket {
    /// Connects, signs the relay's nonce and enters.
    pub(super) async fn enter(entry: &Entry) -> Result<(Self, RelayEvent), ErrorReport> {
        for limit in [FRESH_ONE, ANSWER_TIME] {
            if let Ok(answer) = timeout(limit, Self::try_enter(entry)).await {
                return answer;
            }
        }
        Err(http::unreachable("it does not answer in time"))
    }

    async fn try_enter(entry: &Entry) -> Result<(Self, RelayEvent), ErrorReport> {
        http::use_ring();
        let relay = entry.relay.trim_end_matches('/');
        let socket = relay.strip_prefix("http").ok_or_else(|| {
            ErrorReport::new(code::INVALID_SETTING, "a relay's address begins with http:// or https://", "correct it")
        })?;
        let address = format!("ws{socket}/api/rooms/{}/socket", entry.room);
        let mut config = WebSocketConfig::default();
        config.max_message_size = Some(MAX_MESSAGE_BYTES);
        config.max_frame_size = Some(MAX_MESSAGE_BYTES);
        let (stream, _) =
            connect_async_with_config(address, Some(config), true).await.map_err(|error| match error {
                Error::Http(answer) => {
                    let body = answer.body().as_deref().unwrap_or_default();
                    http::error_of(answer.status().as_u16(), body)
                }
                Error::Io(error) => http::unreachable(&error.to_string()),
                Error::Tls(error) => http::unreachable(&error.to_string()),
                Error::Url(error) => ErrorReport::new(
                    code::INVALID_SETTING,
                    format!("the relay's address is no address: {error}"),
                    "correct it",
                ),
                error => http::unreachable(&error.to_string()),
            })?;
        let mut socket = Self { stream, heard: Instant::now() };
        let nonce = match socket.next().await {
            Some(ServerMessage::Welcome { version: VERSION, nonce }) => nonce,
            Some(ServerMessage::Welcome { version, .. }) => {
                return Err(ErrorReport::new(
                    code::VERSION_MISMATCH,
                    format!("the relay speaks version {version} of the signalling protocol, this program {VERSION}"),
                    "update Roomtone or the relay",
                ));
            }
            Some(ServerMessage::Refused { error }) => return Err(error),
            _ => return Err(http::unreachable("it does not greet")),
        };
        let enter = ClientMessage::Enter {
            version: VERSION,
            public_key: entry.identity.public_key(),
            signature: entry.identity.sign(&entry_transcript(entry.room, &nonce)),
            epoch: entry.epoch,
            station: entry.station.clone(),
        };
        socket.send(&enter).await.map_err(|Broken| http::unreachable("it hung up"))?;
        match socket.next().await {
            Some(ServerMessage::Entered { members, recorder, state }) => {
                Ok((socket, RelayEvent::Entered { members, recorder, state }))
            }
            Some(ServerMessage::Refused { error }) => Err(error),
            _ => Err(http::unreachable("it hung up")),
        }
    }

    /// The next message; None when the connection is gone or has been silent for too long. Safe to cancel.
    pub(super) async fn next(&mut self) -> Option<ServerMessage> {
        loop {
            let message = match timeout_at(self.heard + SILENCE, self.stream.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => {
                    tracing::debug!(%error, "the relay's connection");
                    return None;
                }
                Ok(None) => return None,
                Err(_) => {
                    tracing::debug!("the relay has been silent for too long");
                    return None;
                }
            };
            self.heard = Instant::now();
            match message {
                Message::Text(text) => match serde_json::from_str(&text) {
                    Ok(message) => return Some(message),
                    Err(error) => tracing::debug!(%error, "a message of the relay that this version cannot read"),
                },
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// Sends a message.
    pub(super) async fn send(&mut self, message: &ClientMessage) -> Result<(), Broken> {
        match timeout(SEND_TIME, self.stream.send(Message::text(json(message)))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the relay's connection");
                Err(Broken)
            }
            Err(_) => Err(Broken),
        }
    }

    /// Ends the connection in order, without waiting for the relay's consent.
    pub(super) async fn close(&mut self) {
        if !matches!(timeout(SEND_TIME, self.stream.close(None)).await, Ok(Ok(()))) {
            tracing::debug!("the relay was gone before the goodbye");
        }
    }
}
