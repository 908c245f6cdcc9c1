//! One WebSocket connection.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use roomtone_protocol::RoomId;
use tokio::time::MissedTickBehavior;

use crate::hub::Hub;
use crate::outbox::Outbox;
use crate::rooms::{ConnectionId, Input};

/// How long a client has to read why it is not served any longer.
const LINGER: Duration = Duration::from_secs(2);

/// Serves one client until either side ends.
pub(crate) async fn serve(hub: Arc<Hub>, room: RoomId, nonce: String, socket: WebSocket) {
    let (connection, outbox) = hub.connect(room, nonce);
    let (sink, stream) = socket.split();
    tokio::select! {
        () = read(&hub, connection, stream) => {}
        () = write(sink, &outbox, hub.limits().ping) => {}
        () = outbox.aborted() => {}
        () = async { outbox.ending().await; tokio::time::sleep(2 * LINGER).await } => {}
    }
    hub.handle(Input::Disconnected { connection });
}

/// Ends when the client does.
async fn read(hub: &Hub, connection: ConnectionId, mut stream: SplitStream<WebSocket>) {
    while let Some(message) = stream.next().await {
        match message {
            Ok(Message::Text(text)) => hub.handle(Input::Text { connection, text: &text }),
            Ok(Message::Ping(_) | Message::Pong(_)) => hub.handle(Input::Control { connection }),
            Ok(Message::Binary(_)) => hub.handle(Input::Unreadable { connection }),
            Ok(Message::Close(_)) => {}
            Err(error) => {
                tracing::debug!(connection = connection.0, %error, "a connection broke off");
                hub.handle(Input::Unreadable { connection });
                // The client may still be able to read why; the writer ends the connection.
                return std::future::pending().await;
            }
        }
    }
}

/// Ends after the last message, and a moment for the client to read it.
async fn write(mut sink: SplitSink<WebSocket, Message>, outbox: &Outbox, ping: Duration) {
    let mut pings = tokio::time::interval(ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let sent = tokio::select! {
            text = outbox.next() => match text {
                Some(text) => sink.send(Message::Text(text)).await,
                None => break,
            },
            _ = pings.tick() => sink.send(Message::Ping(Default::default())).await,
        };
        if sent.is_err() {
            return;
        }
    }
    let goodbye = CloseFrame { code: close_code::NORMAL, reason: "".into() };
    if sink.send(Message::Close(Some(goodbye))).await.is_ok() {
        tokio::time::sleep(LINGER).await;
    }
}
