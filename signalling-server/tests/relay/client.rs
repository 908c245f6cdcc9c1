//! A plain HTTP client, a WebSocket client, and a relay to point them at.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use roomtone_protocol::signal::{
    self, ClientMessage, CreateRoom, MemberChange, RoomCreated, ServerMessage, Station, entry_transcript,
};
use roomtone_protocol::state::Role;
use roomtone_protocol::{Identity, RoomId};
use roomtone_relay::{Limits, Relay, RelayConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Longest that any answer may take on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const SECRET: [u8; 32] = [3; 32];

pub(crate) fn config() -> RelayConfig {
    RelayConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        public_url: None,
        secret: SECRET,
        files: None,
        limits: Limits::default(),
    }
}

pub(crate) async fn relay() -> Relay {
    Relay::start(config()).await.unwrap()
}

pub(crate) fn person(number: u8) -> Identity {
    Identity::from_seed([number; 32])
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// `code` of `{"error":{"code","message","hint"}}`.
    pub(crate) fn error_code(&self) -> String {
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        let error = &json["error"];
        assert!(error["message"].is_string() && error["hint"].is_string(), "{json}");
        error["code"].as_str().unwrap().to_owned()
    }
}

pub(crate) async fn request(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {to}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !headers.iter().any(|(name, _)| *name == "connection") {
        head.push_str("connection: close\r\n");
    }
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("an answer in time").unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Reply { status, headers, body: bytes[end + 4..].to_vec() }
}

pub(crate) async fn get(to: SocketAddr, path: &str) -> Reply {
    request(to, "GET", path, &[], "").await
}

pub(crate) async fn create_room(to: SocketAddr, recorder: &Identity) -> RoomCreated {
    let body = serde_json::to_string(&CreateRoom { recorder_key: recorder.public_key() }).unwrap();
    let reply = request(to, "POST", "/api/rooms", &[("content-type", "application/json")], &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    serde_json::from_slice(&reply.body).unwrap()
}

/// A WebSocket client in a room.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

impl Client {
    /// Connects and does not enter.
    pub(crate) async fn connect(to: SocketAddr, room: RoomId) -> (Self, String) {
        let stream = TcpStream::connect(to).await.unwrap();
        let url = format!("ws://{to}/api/rooms/{room}/socket");
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        let mut client = Self { socket };
        match client.next().await {
            Some(ServerMessage::Welcome { version: signal::VERSION, nonce }) => (client, nonce),
            other => panic!("no welcome but {other:?}"),
        }
    }

    pub(crate) async fn enter(to: SocketAddr, room: RoomId, who: &Identity, station: Station) -> Self {
        let (mut client, nonce) = Self::connect(to, room).await;
        let signature = who.sign(&entry_transcript(room, &nonce));
        let (version, public_key) = (signal::VERSION, who.public_key());
        client.say(&ClientMessage::Enter { version, public_key, signature, epoch: 1, station }).await;
        client
    }

    pub(crate) async fn recorder(to: SocketAddr, created: &RoomCreated, who: &Identity) -> Self {
        let station = Station::Recorder { host_token: created.host_token.clone() };
        let mut client = Self::enter(to, created.room, who, station).await;
        client.hear("entered", |message| matches!(message, ServerMessage::Entered { .. })).await;
        client
    }

    pub(crate) async fn member(to: SocketAddr, room: RoomId, who: &Identity) -> Self {
        let station = Station::Member { role: Role::Participant, passing: false };
        let mut client = Self::enter(to, room, who, station).await;
        client.hear("entered", |message| matches!(message, ServerMessage::Entered { .. })).await;
        client
    }

    pub(crate) async fn say(&mut self, message: &ClientMessage) {
        self.send(Message::text(serde_json::to_string(message).unwrap())).await;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        timeout(PATIENCE, self.socket.send(message)).await.expect("sent in time").unwrap();
    }

    /// The next message; None when the relay ended the connection.
    pub(crate) async fn next(&mut self) -> Option<ServerMessage> {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("a message in time");
            match message {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => {}
                None | Some(Err(Error::ConnectionClosed | Error::Io(_) | Error::Protocol(_))) => return None,
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next message that is wanted; what comes before it does not matter.
    pub(crate) async fn hear(&mut self, what: &str, wanted: impl Fn(&ServerMessage) -> bool) -> ServerMessage {
        loop {
            match self.next().await {
                Some(message) if wanted(&message) => return message,
                Some(_) => {}
                None => panic!("the connection ended before: {what}"),
            }
        }
    }

    pub(crate) async fn hear_change(&mut self, who: &Identity, wanted: MemberChange) {
        let participant = who.participant();
        let is_it = |message: &ServerMessage| {
            matches!(message, ServerMessage::Member { participant: of, change, .. }
                if *of == participant && *change == wanted)
        };
        self.hear(&format!("{wanted:?}"), is_it).await;
    }

    /// The code of the refusal, after which the connection ends.
    pub(crate) async fn refused(&mut self) -> String {
        let refused = self.hear("refused", |message| matches!(message, ServerMessage::Refused { .. })).await;
        let ServerMessage::Refused { error } = refused else { unreachable!() };
        assert_eq!(self.next().await, None, "the relay closes after a refusal");
        error.code
    }
}
