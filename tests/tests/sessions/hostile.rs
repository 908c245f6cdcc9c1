//! Whatever anybody sends to a relay, the room beside it goes on recording, and so does the room itself.

use std::fs;

use futures_util::{SinkExt as _, StreamExt as _};
use roomtone_protocol::Identity;
use roomtone_protocol::signal::{ClientMessage, ServerMessage, Signal, SignalBody, Station, VERSION, entry_transcript};
use roomtone_protocol::state::Role;
use roomtone_tests::signal::Speaker;
use roomtone_tests::{Host, Outcome, PATIENCE, Stage, Truth, now_unix_ms};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const ADA: Speaker = Speaker(1);
const SOURCE_S: usize = 60;

/// Somebody with a program of their own, connected to a room's socket.
struct Attacker {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    room: String,
}

/// Start of an invite up to the room, and the room.
fn parts(invite: &str) -> (&str, &str) {
    invite.split('#').next().unwrap().rsplit_once("/r/").unwrap()
}

fn address(relay: &str, room: &str) -> String {
    format!("{}/api/rooms/{room}/socket", relay.replacen("http", "ws", 1))
}

impl Attacker {
    async fn connect(invite: &str) -> Self {
        let (relay, room) = parts(invite);
        let (socket, _) = tokio_tungstenite::connect_async(address(relay, room)).await.unwrap();
        Self { socket, room: room.to_owned() }
    }

    /// What the relay says next; None when it is through with us.
    async fn hear(&mut self) -> Option<ServerMessage> {
        let next = async {
            while let Some(message) = self.socket.next().await {
                match message {
                    Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                    Ok(_) => {}
                    Err(_) => return None,
                }
            }
            None
        };
        timeout(PATIENCE, next).await.expect("the relay neither answers nor closes")
    }

    async fn say(&mut self, message: &ClientMessage) {
        self.socket.send(Message::text(serde_json::to_string(message).unwrap())).await.unwrap();
    }

    /// Sends something that the relay does not want, and hears what it says to that while it is still on its way: a
    /// relay that has seen enough does not wait for the rest.
    async fn refused(self, message: String) -> String {
        let (mut to, mut from) = self.socket.split();
        let sending = tokio::spawn(async move {
            let _cut_off = to.send(Message::text(message)).await;
            to
        });
        let hearing = async {
            let mut code = None;
            while let Some(Ok(message)) = from.next().await {
                let Message::Text(text) = message else { continue };
                if let ServerMessage::Refused { error } = serde_json::from_str(&text).unwrap() {
                    assert!(!error.message.is_empty() && !error.hint.is_empty(), "{error:?}");
                    code = Some(error.code);
                }
            }
            code
        };
        let code = timeout(PATIENCE, hearing).await.expect("the relay neither answers nor closes");
        drop(timeout(PATIENCE, sending).await.expect("the relay closes"));
        code.expect("a reason is given")
    }

    /// Enters properly, as a participant.
    async fn enter(&mut self, identity: &Identity) {
        let Some(ServerMessage::Welcome { nonce, .. }) = self.hear().await else { panic!("no welcome") };
        let room = self.room.parse().unwrap();
        let station = Station::Member { role: Role::Participant, passing: false };
        let signature = identity.sign(&entry_transcript(room, &nonce));
        let public_key = identity.public_key();
        self.say(&ClientMessage::Enter { version: VERSION, public_key, signature, epoch: 1, station }).await;
        while !matches!(self.hear().await, Some(ServerMessage::Entered { .. })) {}
    }

    /// The recorder's word on an offer of these sections.
    async fn offered(&mut self, attempt: u32, sections: &str) -> String {
        let sdp = format!("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{sections}");
        let signal = Signal { attempt, body: SignalBody::Offer { sdp, ice_restart: false } };
        self.say(&ClientMessage::Signal { to: None, signal }).await;
        loop {
            let message = self.hear().await.expect("the relay closed instead of passing the answer on");
            if let ServerMessage::Signal { signal: Signal { body: SignalBody::Refused { error }, .. }, .. } = message {
                assert!(!error.message.is_empty() && !error.hint.is_empty(), "{error:?}");
                return error.code;
            }
        }
    }
}

async fn attack(invite: &str) {
    let long = || "x".repeat(10 << 20);
    let garbage = r#"{"type":"enter","version":{"no":["#.to_owned();
    assert_eq!(Attacker::connect(invite).await.refused(garbage).await, "bad_request");
    assert_eq!(Attacker::connect(invite).await.refused(long()).await, "bad_request");
    let nowhere = tokio_tungstenite::connect_async(address(parts(invite).0, &"0".repeat(32))).await;
    let Err(Error::Http(told)) = nowhere else { panic!("an unknown room has a socket: {nowhere:?}") };
    let body = String::from_utf8_lossy(told.body().as_deref().unwrap_or_default()).into_owned();
    assert!(told.status() == 404 && body.contains("room_not_found"), "{body}");

    let mut member = Attacker::connect(invite).await;
    member.enter(&Identity::from_seed([66; 32])).await;
    let audio = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n";
    let video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n";
    let data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";
    assert_eq!(member.offered(1, &[audio, video, data].concat()).await, "video_refused");
    assert_eq!(member.offered(2, &[audio, audio, data].concat()).await, "second_audio_refused");
    // Once inside, too: what cannot be read ends the connection.
    assert_eq!(member.refused(long()).await, "bad_request");
}

/// Somebody who got hold of a host's room file, but not of its key.
fn a_second_recorder(stage: &Stage, relay: &str) {
    let thief = stage.data_dir("thief");
    fs::create_dir_all(&thief).unwrap();
    fs::copy(stage.data_dir("host").join("room.json"), thief.join("room.json")).unwrap();
    let arguments = ["host", "--room", "First light", "--relay", relay, "--mic", "none"];
    let finished = roomtone_tests::Program::run("thief", &mut stage.roomtone("thief", &arguments), PATIENCE).unwrap();
    let error = &finished.events.last().unwrap()["error"];
    let told = (error["code"].as_str(), finished.status.code());
    assert_eq!(told, (Some("unauthorized"), Some(4)), "{error} {}", finished.log);
}

/// The room of an invite, with another recorder's key in it.
fn a_wrong_key(stage: &Stage, host: &Host, other: &Host) {
    let (page, secrets) = host.invite.split_once('#').unwrap();
    let key = other.invite.split_once('#').unwrap().1.split_once('.').unwrap().0;
    let forged = format!("{page}#{key}.{}", secrets.split_once('.').unwrap().1);
    let refusal = stage.ask(&["join", &forged, "--mic", "none"]).unwrap_err();
    assert_eq!((refusal.code.as_str(), refusal.status), ("wrong_recorder", Some(4)), "{refusal:?}");
}

#[test]
fn a_recording_outlives_whatever_is_sent_to_its_relay() {
    let stage = Stage::new();
    let relay = stage.relay("127.0.0.1:0");
    let mut host = stage.host(&["--relay", &relay.url]);
    let other = stage.host_as("other", &["--relay", &relay.url]);
    stage.prepare(&[ADA], SOURCE_S);
    let at_ms = (now_unix_ms() + 500.0).round();
    let ada = stage.join(&host.invite, "Ada", &stage.microphone(ADA, SOURCE_S, at_ms), &[]);
    host.person("participant_joined", "Ada");
    let recording = stage.ask(&["record", &host.invite, "start"]).unwrap()["recording"].as_str().unwrap().to_owned();
    host.recorded(&recording, 2_000);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(attack(&host.invite));
    a_second_recorder(&stage, &relay.url);
    a_wrong_key(&stage, &host, &other);

    let status = stage.ask(&["record", &host.invite, "status"]).unwrap();
    assert_eq!((&status["recording"], &status["state"]), (&recording.clone().into(), &"recording".into()), "{status}");
    host.recorded(&recording, status["elapsed_ms"].as_u64().unwrap() + 2_000);
    let outcome = Outcome::of(&stage.ask(&["record", &host.invite, "stop", "--wait"]).unwrap());
    assert!(ada.stop(PATIENCE).unwrap().status.success());
    Truth::check(&outcome, &[Truth::of_a_file("Ada", ADA, at_ms)], SOURCE_S);
    // The neighbours never noticed.
    let status = stage.ask(&["record", &other.invite, "status"]).unwrap();
    assert!(status["recording"].is_null(), "{status}");
}
