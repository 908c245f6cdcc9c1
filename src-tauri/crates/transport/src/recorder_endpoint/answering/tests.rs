use std::time::Duration;

use roomtone_protocol::channel::Hello;
use roomtone_protocol::{Identity, WakeEpoch};

use super::*;
use crate::introduce::say_hello;

const LOOPBACK: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)];
const SECRET: Secret = Secret::from_bytes([5; 16]);
const ROOM: RoomId = RoomId::from_bytes([1; 16]);

fn introduction(seed: u8) -> Introduction {
    Introduction {
        identity: Identity::from_seed([seed; 32]),
        secret: SECRET,
        host_secret: None,
        epoch: WakeEpoch(1),
        role: Role::Participant,
        passing: false,
        name: None,
    }
}

/// What comes of an offer whose hello names these capabilities.
async fn verified(microphone: bool, capabilities: &[&str]) -> Verified {
    let mut member = Connection::offering(&LOOPBACK, microphone).await.unwrap();
    let offer = member.connection.offer().await.unwrap();
    let (relay, mut told) = RelaySender::into_the_void();
    let (_signals, signals) = mpsc::channel(1);
    let own = introduction(7);
    let answering = Answering {
        settings: Arc::new(Settings {
            introduction: introduction(1),
            room: ROOM,
            host_secret: Secret::from_bytes([6; 16]),
            media_addrs: LOOPBACK.to_vec(),
        }),
        from: own.identity.participant(),
        attempt: 1,
        offer: offer.clone(),
        ice_restart: false,
        relay,
        signals,
    };
    let answered = tokio::spawn(answering.run());
    let answer = loop {
        let ClientMessage::Signal { signal, .. } = told.recv().await.expect("an answer comes") else { continue };
        if let SignalBody::Answer { sdp } = signal.body {
            break sdp;
        }
    };
    member.connection.accept_answer(answer.clone()).await.unwrap();
    let [of_member, of_recorder] = [&offer, &answer].map(|sdp| sdp::fingerprint(sdp).unwrap());
    let binding = Binding { room: ROOM, member: of_member, recorder: of_recorder };
    let capabilities = capabilities.iter().map(|&capability| capability.to_owned()).collect();
    let hello = Hello { capabilities, ..own.hello(&binding, false, "n".repeat(22)) };
    tokio::select! {
        verified = answered => verified.unwrap().expect("the hello is good enough"),
        _ = say_hello(&member.channel, hello) => panic!("the recorder has not said hello"),
    }
}

#[tokio::test]
async fn a_microphone_whose_hello_says_so_is_listened_to_instead_of_asked() {
    let test = async {
        let offers = [(true, &[][..], false), (true, &["later", RTP_CLOCK], true), (false, &[RTP_CLOCK], false)];
        for (microphone, capabilities, heard) in offers {
            let verified = verified(microphone, capabilities).await;
            assert_eq!(verified.rtp_clock, heard, "with a microphone: {microphone}, {capabilities:?}");
        }
    };
    tokio::time::timeout(Duration::from_secs(30), test).await.expect("within 30 s");
}
