//! A member that does not use our program.

use futures_util::{SinkExt as _, StreamExt as _};
use roomtone_protocol::signal::{ClientMessage, ServerMessage, Signal, SignalBody, Station, VERSION, entry_transcript};
use roomtone_protocol::state::Role;
use roomtone_protocol::{Identity, code};
use tokio_tungstenite::tungstenite::Message;

use crate::room::{PATIENCE, Room, participant_link, recorder_link};

const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n";
const G722: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 9\r\na=rtpmap:9 G722/8000\r\n";
const VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n";
const DATA: &str = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";

#[tokio::test]
async fn offers_that_hold_anything_else_are_refused_with_clear_codes() {
    let room = Room::open().await;
    let (_recorder, mut at_recorder) = room.recorder(1).await;
    let identity = Identity::from_seed([66; 32]);
    let address = format!("{}/api/rooms/{}/socket", room.invite.relay.replacen("http", "ws", 1), room.created.room);
    let (mut socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
    let mut answers = Vec::new();
    let talk = async {
        let mut offers = vec![
            [AUDIO, VIDEO, DATA].concat(),
            [AUDIO, AUDIO, DATA].concat(),
            [G722, DATA].concat(),
            AUDIO.to_owned(),
            // Acceptable sections, and nothing to connect to.
            [AUDIO, DATA].concat(),
            "nonsense".to_owned(),
        ]
        .into_iter()
        .enumerate();
        let total = offers.len();
        while let Some(message) = socket.next().await {
            let Message::Text(text) = message.unwrap() else { continue };
            let reply = match serde_json::from_str(&text).unwrap() {
                ServerMessage::Welcome { nonce, .. } => Some(ClientMessage::Enter {
                    version: VERSION,
                    public_key: identity.public_key(),
                    signature: identity.sign(&entry_transcript(room.created.room, &nonce)),
                    epoch: 1,
                    station: Station::Member { role: Role::Participant, passing: false },
                }),
                ServerMessage::Entered { .. } => offers.next().map(offer),
                ServerMessage::Signal { signal: Signal { body: SignalBody::Refused { error }, .. }, .. } => {
                    answers.push(error.code);
                    offers.next().map(offer)
                }
                _ => None,
            };
            if let Some(reply) = reply {
                socket.send(Message::text(serde_json::to_string(&reply).unwrap())).await.unwrap();
            }
            if answers.len() == total {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, talk).await.expect("every offer is answered");
    assert_eq!(
        answers,
        [
            code::VIDEO_REFUSED,
            code::SECOND_AUDIO_REFUSED,
            code::CODEC_REFUSED,
            code::BAD_REQUEST,
            code::BAD_REQUEST,
            code::BAD_REQUEST,
        ]
    );

    // Others are unharmed.
    let (_participant, mut at_participant) = room.participant(1).await;
    participant_link(&mut at_participant).await;
    recorder_link(&mut at_recorder).await;
}

fn offer((number, sections): (usize, String)) -> ClientMessage {
    let sdp = format!("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{sections}");
    let body = SignalBody::Offer { sdp, ice_restart: false };
    ClientMessage::Signal {
        to: None,
        signal: Signal { attempt: u32::try_from(number).expect("a handful of offers"), body },
    }
}
