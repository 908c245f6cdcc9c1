use std::time::Duration;

use bytes::{Bytes, BytesMut};
use webrtc::data_channel::DataChannelEvent;
use webrtc::media_stream::track_remote::TrackRemoteEvent;

use super::*;

mod hearing;
mod lossy;

const LOOPBACK: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)];

async fn opened(channel: &Arc<dyn DataChannel>) {
    while !matches!(channel.poll().await.expect("the channel opens"), DataChannelEvent::OnOpen) {}
}

async fn message(channel: &Arc<dyn DataChannel>) -> BytesMut {
    loop {
        if let DataChannelEvent::OnMessage(message) = channel.poll().await.expect("the channel stays") {
            return message.data;
        }
    }
}

async fn connected(microphone: bool) -> (Offering, Connection, Arc<dyn DataChannel>, String, String) {
    let mut member = Connection::offering(&LOOPBACK, microphone).await.unwrap();
    let mut recorder = Connection::answering(&LOOPBACK).await.unwrap();
    let offer = member.connection.offer().await.unwrap();
    let answer = recorder.answer(offer.clone()).await.unwrap();
    member.connection.accept_answer(answer.clone()).await.unwrap();
    let channel = loop {
        if let ConnectionEvent::Channel(channel) = recorder.next_event().await.expect("the connection stays") {
            break channel;
        }
    };
    opened(&member.channel).await;
    opened(&channel).await;
    (member, recorder, channel, offer, answer)
}

#[tokio::test]
async fn two_peers_connect_and_exchange_messages_and_media() {
    let test = async {
        let (mut member, mut recorder, channel, offer, answer) = connected(true).await;
        assert!(offer.contains("a=rtcp-fb:111 nack") && answer.contains("a=rtcp-fb:111 nack"));
        assert!(answer.contains(OPUS_PARAMETERS) && answer.contains("a=recvonly"));
        member.channel.send_text("hello").await.unwrap();
        channel.send(BytesMut::from(&b"back"[..])).await.unwrap();
        assert_eq!(&message(&channel).await[..], b"hello");
        assert_eq!(&message(&member.channel).await[..], b"back");

        let track = member.track.as_mut().unwrap();
        for n in 0..50u32 {
            track.send(n * 960, Bytes::from(vec![0xfc; 100])).await.unwrap();
        }
        let remote = loop {
            if let ConnectionEvent::Track(track) = recorder.next_event().await.expect("the connection stays") {
                break track;
            }
        };
        let mut timestamps = Vec::new();
        while timestamps.len() < 50 {
            if let TrackRemoteEvent::OnRtpPacket(packet) = remote.poll().await.expect("the track goes on") {
                timestamps.push(packet.header.timestamp);
            }
        }
        assert_eq!(timestamps, (0..50).map(|n| n * 960).collect::<Vec<u32>>());
    };
    tokio::time::timeout(Duration::from_secs(10), test).await.expect("within 10 s");
}

#[tokio::test]
async fn packets_tell_their_place_only_where_both_ends_know_how() {
    let mut member = Connection::offering(&LOOPBACK, true).await.unwrap();
    let offer = member.connection.offer().await.unwrap();
    let of_an_earlier_version: String =
        offer.lines().filter(|line| !line.contains(media::PLACE)).map(|line| format!("{line}\r\n")).collect();
    for (offer, known) in [(offer, true), (of_an_earlier_version, false)] {
        let answer = Connection::answering(&LOOPBACK).await.unwrap().answer(offer.clone()).await.unwrap();
        let ids = [&offer, &answer].map(|description| sdp::extension_id(description, media::PLACE));
        assert!(ids[0] == ids[1] && ids[0].is_some() == known, "{ids:?}");
    }
}

#[tokio::test]
async fn without_a_microphone_there_is_no_audio_section() {
    let test = async {
        let (member, _recorder, _channel, offer, answer) = connected(false).await;
        assert!(member.track.is_none());
        for description in [offer, answer] {
            assert!(!description.contains("m=audio") && description.contains("m=application"), "{description}");
        }
    };
    tokio::time::timeout(Duration::from_secs(10), test).await.expect("within 10 s");
}

/// Carries datagrams between two connections and loses some of the audio: every tenth packet on average, from a fixed
/// seed. Both ends see each other at the proxy's addresses only.
async fn lossy_proxy(recorder: std::net::SocketAddr) -> std::net::SocketAddr {
    let to_member = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to_recorder = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = to_member.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut there, mut back) = ([0; 2048], [0; 2048]);
        let (mut member, mut seed) = (None, 1u64);
        loop {
            tokio::select! {
                Ok((length, from)) = to_member.recv_from(&mut there) => {
                    member = Some(from);
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    // RFC 7983: RTP and RTCP; RTCP's payload types begin at 192.
                    let is_audio = (128..192).contains(&there[0]) && there[1] & 0x7f == OPUS_PAYLOAD_TYPE;
                    if !is_audio || (seed >> 33) % 10 != 0 {
                        to_recorder.send_to(&there[..length], recorder).await.unwrap();
                    }
                }
                Ok((length, _)) = to_recorder.recv_from(&mut back) => {
                    if let Some(member) = member {
                        to_member.send_to(&back[..length], member).await.unwrap();
                    }
                }
            }
        }
    });
    address
}

fn without_candidates(sdp: &str) -> String {
    let keep = |line: &&str| !line.starts_with("a=candidate") && !line.starts_with("a=end-of-candidates");
    sdp.lines().filter(keep).map(|line| format!("{line}\r\n")).collect()
}

#[tokio::test]
async fn lost_packets_are_asked_for_and_sent_again() {
    const PACKETS: u32 = 600;
    let test = async {
        let mut member = Connection::offering(&LOOPBACK, true).await.unwrap();
        let mut recorder = Connection::answering(&LOOPBACK).await.unwrap();
        let offer = member.connection.offer().await.unwrap();
        let answer = recorder.answer(without_candidates(&offer)).await.unwrap();
        let port = answer.split("127.0.0.1 ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        let proxy = lossy_proxy(format!("127.0.0.1:{port}").parse().unwrap()).await;
        member
            .connection
            .accept_answer(answer.replace(&format!(" {port} "), &format!(" {} ", proxy.port())))
            .await
            .unwrap();
        opened(&member.channel).await;
        let mut track = member.track.take().unwrap();
        tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(5));
            for n in 0.. {
                pace.tick().await;
                if track.send(n * 960, Bytes::from(vec![0xfc; 100])).await.is_err() {
                    return;
                }
            }
        });
        let remote = loop {
            if let ConnectionEvent::Track(track) = recorder.next_event().await.expect("the connection stays") {
                break track;
            }
        };
        let mut missing: std::collections::BTreeSet<u32> = (0..PACKETS).collect();
        let first_pass = loop {
            if let TrackRemoteEvent::OnRtpPacket(packet) = remote.poll().await.expect("the track goes on") {
                missing.remove(&(packet.header.timestamp / 960));
                if packet.header.timestamp / 960 == PACKETS + 200 {
                    break missing.len();
                }
            }
        };
        // Nothing shows the recorder what was lost before its first packet; back-fill finds that.
        assert!(first_pass <= 3, "{missing:?}");
    };
    tokio::time::timeout(Duration::from_secs(30), test).await.expect("within 30 s");
}

#[tokio::test]
async fn a_certificate_that_the_description_did_not_promise_leads_nowhere() {
    let mut member = Connection::offering(&LOOPBACK, true).await.unwrap();
    let mut recorder = Connection::answering(&LOOPBACK).await.unwrap();
    let offer = member.connection.offer().await.unwrap();
    let answer = recorder.answer(offer).await.unwrap();
    let promised = crate::sdp::fingerprint(&answer).unwrap();
    let forged = promised.chars().rev().collect::<String>();
    member.connection.accept_answer(answer.replace(&promised, &forged)).await.unwrap();
    let open = tokio::time::timeout(Duration::from_secs(3), opened_or_over(&member.channel)).await;
    assert!(!matches!(open, Ok(true)), "the channel opened to a stranger");
}

async fn opened_or_over(channel: &Arc<dyn DataChannel>) -> bool {
    loop {
        match channel.poll().await {
            Some(DataChannelEvent::OnOpen) => return true,
            Some(_) => {}
            None => return false,
        }
    }
}
