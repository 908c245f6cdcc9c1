use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use roomtone_protocol::code;
use roomtone_protocol::signal::{ClientMessage, MAX_MESSAGE_BYTES, MemberChange, ServerMessage, Signal, SignalBody};
use roomtone_relay::{Limits, Rate, Relay, RelayConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::client::{Client, PATIENCE, config, create_room, get, person, relay};

/// Marsaglia's xorshift64: the same bytes every time, from a seed that a failure prints.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, longest: u64) -> Vec<u8> {
        (0..1 + self.next() % longest).map(|_| self.next().to_le_bytes()[3]).collect()
    }

    /// JSON of the right outside and wrong inside.
    fn json(&mut self) -> String {
        let kinds = ["enter", "signal", "level", "state", "leave", "close_room", "nothing"];
        let values = ["null", "-1", "\"\"", "[]", "{}", "1e400", "true", "\"\\ud800\""];
        let kind = kinds[usize::try_from(self.next() % 7).unwrap()];
        let names = ["version", "public_key", "signature", "epoch", "station", "to", "signal", "dbfs", "state"];
        let mut json = format!("{{\"type\":\"{kind}\"");
        for name in names {
            if self.next().is_multiple_of(2) {
                let value = values[usize::try_from(self.next() % 8).unwrap()];
                json.push_str(&format!(",\"{name}\":{value}"));
            }
        }
        json + "}"
    }
}

#[tokio::test]
async fn random_messages_are_refused_with_bad_request() {
    let relay = relay().await;
    let to = relay.local_addr();
    let created = create_room(to, &person(1)).await;
    for seed in 1..=60_u64 {
        let mut random = Random(seed * 0x9E37_79B9);
        let (mut client, _) = Client::connect(to, created.room).await;
        let message = match seed % 3 {
            0 => Message::binary(random.bytes(3000)),
            1 => Message::text(random.json()),
            _ => Message::text(String::from_utf8_lossy(&random.bytes(3000)).into_owned()),
        };
        client.send(message).await;
        assert_eq!(client.refused().await, code::BAD_REQUEST, "seed {seed}");
    }
    assert_eq!(get(to, "/healthz").await.status, 200);
    relay.shutdown().await;
}

#[tokio::test]
async fn random_bytes_instead_of_frames_end_their_connection_only() {
    // Some of it looks like the head of a long frame, of which the rest never comes.
    let limits = Limits { entry: Duration::from_secs(1), silence: Duration::from_secs(60), ..Limits::default() };
    let relay = Relay::start(RelayConfig { limits, ..config() }).await.unwrap();
    let to = relay.local_addr();
    let created = create_room(to, &person(1)).await;
    let mut bystander = Client::member(to, created.room, &person(2)).await;
    let head = format!(
        "GET /api/rooms/{}/socket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        created.room
    );
    let attack = async |seed: u64| {
        let mut random = Random(seed * 0x9E37_79B9);
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // The relay may be through with us before all of it is sent.
        let _cut_off = stream.write_all(&random.bytes(20_000)).await;
        let ended = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "seed {seed}: the connection goes on");
    };
    join_all((1..=50).map(attack)).await;
    bystander.say(&ClientMessage::Level { dbfs: -9.0 }).await;
    bystander.hear("its own level", |message| matches!(message, ServerMessage::Levels { .. })).await;
    relay.shutdown().await;
}

#[tokio::test]
async fn an_oversize_message_is_refused_and_other_rooms_are_unharmed() {
    let relay = relay().await;
    let to = relay.local_addr();
    let (one, two) = (create_room(to, &person(1)).await, create_room(to, &person(2)).await);
    let mut bystander = Client::member(to, two.room, &person(3)).await;
    let mut recorder = Client::recorder(to, &one, &person(1)).await;
    for bytes in [MAX_MESSAGE_BYTES + 1, 10 << 20] {
        let client = Client::member(to, one.room, &person(4)).await;
        let (mut sink, stream) = client.socket.split();
        let sending = tokio::spawn(async move {
            // The relay does not wait for the end of it.
            let _cut_off = sink.send(Message::text("x".repeat(bytes))).await;
            sink
        });
        let refused = stream.filter_map(async |message| match message {
            Ok(Message::Text(text)) => match serde_json::from_str(&text).unwrap() {
                ServerMessage::Refused { error } => Some(error.code),
                _ => None,
            },
            _ => None,
        });
        let mut refused = std::pin::pin!(refused);
        let code = timeout(PATIENCE, refused.next()).await.expect("an answer in time");
        assert_eq!(code.as_deref(), Some(code::BAD_REQUEST), "{bytes} bytes");
        recorder.hear_change(&person(4), MemberChange::Away).await;
        drop(timeout(PATIENCE, sending).await.expect("the relay closes"));
    }
    bystander.say(&ClientMessage::Level { dbfs: -9.0 }).await;
    bystander.hear("its own level", |message| matches!(message, ServerMessage::Levels { .. })).await;
    relay.shutdown().await;
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_noticed() {
    let limits = Limits { ping: Duration::from_millis(500), silence: Duration::from_secs(3), ..Limits::default() };
    let relay = Relay::start(RelayConfig { limits, ..config() }).await.unwrap();
    let to = relay.local_addr();
    let (host, guest) = (person(1), person(2));
    let created = create_room(to, &host).await;
    let mut recorder = Client::recorder(to, &created, &host).await;
    // Never read again: its pings are not answered, and its TCP connection stays.
    let mut dead = Client::member(to, created.room, &guest).await;
    let since = roomtone_clock::now();
    recorder.hear_change(&guest, MemberChange::Away).await;
    let seconds = (roomtone_clock::now().0 - since.0) as f64 / 1e9;
    assert!((2.0..8.0).contains(&seconds), "noticed after {seconds} s");
    while dead.next().await.is_some() {}
    recorder.say(&ClientMessage::Level { dbfs: -9.0 }).await;
    recorder.hear("its own level", |message| matches!(message, ServerMessage::Levels { .. })).await;
    relay.shutdown().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_and_nobody_waits_for_it() {
    let rate =
        Rate { messages_per_second: 100_000, message_burst: 100_000, bytes_per_second: 1 << 30, byte_burst: 1 << 30 };
    let minute = Duration::from_secs(60);
    let limits =
        Limits { recorder_rate: rate, queue_bytes: 512 << 10, silence: minute, stall: minute, ..Limits::default() };
    let relay = Relay::start(RelayConfig { limits, ..config() }).await.unwrap();
    let to = relay.local_addr();
    let (host, slow, calm) = (person(1), person(2), person(3));
    let created = create_room(to, &host).await;
    let recorder = Client::recorder(to, &created, &host).await;
    let mut unread = Client::member(to, created.room, &slow).await;
    let mut reading = Client::member(to, created.room, &calm).await;

    let (mut sink, mut stream) = recorder.socket.split();
    let body = SignalBody::Answer { sdp: "x".repeat(60_000) };
    let signal = Signal { attempt: 1, body };
    let message = ClientMessage::Signal { to: Some(slow.participant()), signal };
    let text = serde_json::to_string(&message).unwrap();
    let flood = tokio::spawn(async move {
        loop {
            if sink.send(Message::text(text.clone())).await.is_err() {
                return;
            }
        }
    });
    let away = async {
        loop {
            let Some(Ok(message)) = stream.next().await else { panic!("the recorder was dropped") };
            let Message::Text(text) = message else { continue };
            if let ServerMessage::Member { participant, change: MemberChange::Away, .. } =
                serde_json::from_str(&text).unwrap()
            {
                return participant;
            }
        }
    };
    assert_eq!(timeout(PATIENCE, away).await.expect("dropped in time"), slow.participant());
    flood.abort();
    reading.hear_change(&slow, MemberChange::Away).await;
    let ended = async { while unread.next().await.is_some() {} };
    timeout(PATIENCE, ended).await.expect("its connection ended");
    relay.shutdown().await;
}

#[tokio::test]
async fn connections_of_any_kind_are_bounded() {
    let limits = Limits { connections: 3, ..Limits::default() };
    let relay = Relay::start(RelayConfig { limits, ..config() }).await.unwrap();
    let to = relay.local_addr();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(to).await.unwrap());
    }
    let mut fourth = TcpStream::connect(to).await.unwrap();
    let mut nothing = [0];
    let closed = timeout(PATIENCE, fourth.read(&mut nothing)).await.expect("closed in time");
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    held.clear();
    let again = async {
        loop {
            let mut stream = TcpStream::connect(to).await.unwrap();
            let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
            let mut text = String::new();
            if asked.is_ok() && stream.read_to_string(&mut text).await.is_ok() && text.starts_with("HTTP/1.1 200") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, again).await.expect("places are given back");
    relay.shutdown().await;
}
