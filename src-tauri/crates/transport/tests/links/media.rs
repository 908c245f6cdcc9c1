//! What goes over a link.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use roomtone_packets::{ClockExchange, Packet, Record, encode};
use roomtone_protocol::channel::{ToParticipant, ToRecorder};
use roomtone_protocol::state::Role;
use roomtone_protocol::{SampleIndex, SegmentId, SegmentKey, WakeEpoch};
use roomtone_transport::{LinkEvent, ParticipantConfig, ParticipantEndpoint, SendError};

use crate::room::{Room, participant_link, pick, recorder_link};

#[tokio::test]
async fn a_link_comes_up_with_proven_peers_and_a_measured_clock() {
    let room = Room::open().await;
    let (_recorder, mut at_recorder) = room.recorder(1).await;
    let before = roomtone_clock::now();
    let (_participant, mut at_participant) = room.participant(1).await;
    let link = participant_link(&mut at_participant).await;
    let took = Duration::from_nanos((roomtone_clock::now().0 - before.0).unsigned_abs());
    println!("from start to link: {took:?}");
    let mut back = recorder_link(&mut at_recorder).await;

    assert_eq!(link.peer.participant, room.identity.participant());
    let expected = room.participant_config(1);
    assert_eq!(back.peer.participant, expected.identity.participant());
    assert_eq!((back.peer.epoch, back.peer.host, back.peer.passing), (WakeEpoch(1), false, false));
    assert_eq!(back.peer.name, expected.name);

    let mut exchanges: Vec<ClockExchange> = Vec::new();
    while exchanges.len() < 8 {
        exchanges.push(
            pick(&mut back.events, |event| if let LinkEvent::Exchange(one) = event { Some(one) } else { None }).await,
        );
    }
    for exchange in &exchanges {
        let ClockExchange { t0, t1, t2, t3, .. } = exchange;
        assert!(t0 <= t1 && t1 <= t2 && t2 <= t3, "one clock on one machine: {exchange:?}");
    }
    let least = exchanges.iter().map(|one| one.t3.0 - one.t0.0 - (one.t2.0 - one.t1.0)).min().unwrap();
    println!("least round trip: {} us", least / 1000);
    assert!(least < 20_000_000, "a stamp is far from the wire: {least} ns");
}

#[tokio::test]
async fn five_hundred_live_packets_arrive_with_their_timestamps() {
    let room = Room::open().await;
    let (_recorder, mut at_recorder) = room.recorder(1).await;
    let (_participant, mut at_participant) = room.participant(1).await;
    let link = participant_link(&mut at_participant).await;
    let mut back = recorder_link(&mut at_recorder).await;

    // Over the wrap of the 32-bit timestamp.
    let timestamps: Vec<u32> = (0..500u32).map(|n| n.wrapping_mul(960).wrapping_sub(200 * 960)).collect();
    let sent = timestamps.clone();
    tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(4));
        for timestamp in sent {
            pace.tick().await;
            link.sender.send_media(timestamp, Bytes::from(timestamp.to_be_bytes().repeat(80))).unwrap();
        }
        // The link stays up until the test is over.
        std::future::pending::<()>().await;
    });
    let mut arrived = Vec::new();
    while arrived.len() < timestamps.len() {
        let (timestamp, opus) = pick(&mut back.events, |event| match event {
            LinkEvent::Media { timestamp, opus } => Some((timestamp, opus)),
            LinkEvent::Closed => panic!("the link broke"),
            _ => None,
        })
        .await;
        assert_eq!(opus, Bytes::from(timestamp.to_be_bytes().repeat(80)));
        if !arrived.contains(&timestamp) {
            arrived.push(timestamp);
        }
    }
    arrived.sort_by_key(|timestamp| timestamp.wrapping_add(200 * 960));
    assert_eq!(arrived, timestamps);
}

#[tokio::test]
async fn packets_that_were_asked_for_come_beside_the_live_ones_with_their_places() {
    const PACKETS: u64 = 400;
    let room = Room::open().await;
    let (_recorder, mut at_recorder) = room.recorder(1).await;
    let (_participant, mut at_participant) = room.participant(1).await;
    let link = participant_link(&mut at_participant).await;
    let mut back = recorder_link(&mut at_recorder).await;

    // Of an earlier start, far behind the wrap of the timestamp.
    let segment = SegmentKey { epoch: WakeEpoch(0), segment: SegmentId(3) };
    let packet = move |n: u64| {
        let index = SampleIndex((1 << 33) + n * 960);
        Record::Packet(Packet { segment, index, samples: 960, opus: n.to_be_bytes().repeat(40) })
    };
    tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        for portion in 0..PACKETS / 8 {
            pace.tick().await;
            let mut records = Vec::new();
            (portion * 8..portion * 8 + 8).for_each(|n| encode(&packet(n), &mut records));
            link.sender.send_bulk(records).await.unwrap();
            link.sender.send_media(portion as u32 * 960, Bytes::from_static(b"live")).unwrap();
        }
        // The link stays up until the test is over.
        std::future::pending::<()>().await;
    });
    let (mut live, mut asked_for) = (BTreeSet::new(), BTreeSet::new());
    while live.len() < PACKETS as usize / 8 || asked_for.len() < PACKETS as usize {
        match pick(&mut back.events, Some).await {
            LinkEvent::Media { timestamp, opus } => {
                assert_eq!(&opus[..], b"live");
                live.insert(timestamp / 960);
            }
            LinkEvent::Bulk(record) => {
                let number = (0..PACKETS).find(|&n| {
                    let mut expected = Vec::new();
                    encode(&packet(n), &mut expected);
                    // One at a time: over the data channel they would come in larger messages.
                    record == expected
                });
                asked_for.insert(number.expect("one of those that were sent, alone"));
            }
            LinkEvent::Closed => panic!("the link broke"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_megabyte_of_records_arrives_whole_and_messages_pass_it() {
    let room = Room::open().await;
    let (_recorder, mut at_recorder) = room.recorder(1).await;
    let (_participant, mut at_participant) = room.participant(1).await;
    let mut link = participant_link(&mut at_participant).await;
    let mut back = recorder_link(&mut at_recorder).await;

    let records: Vec<u8> = (0..1_048_576u32).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect();
    let sender = link.sender.clone();
    let expected = records.clone();
    tokio::spawn(async move {
        for piece in records.chunks(100_000) {
            sender.send_bulk(piece.to_vec()).await.unwrap();
        }
    });
    let before = roomtone_clock::now();
    let mut arrived = Vec::new();
    let mut asked = false;
    while arrived.len() < expected.len() {
        let piece =
            pick(&mut back.events, |event| if let LinkEvent::Bulk(piece) = event { Some(piece) } else { None }).await;
        arrived.extend_from_slice(&piece);
        if !std::mem::replace(&mut asked, true) {
            back.sender.send(ToParticipant::RoomClosed).await.unwrap();
        }
    }
    println!("1 MiB of records took {} ms", (roomtone_clock::now().0 - before.0) / 1_000_000);
    assert!(arrived == expected, "the bytes differ");
    pick(&mut link.events, |event| (event == LinkEvent::Message(ToParticipant::RoomClosed)).then_some(())).await;
}

#[tokio::test]
async fn a_message_that_is_too_long_is_refused_and_the_link_stays() {
    let room = Room::open().await;
    let (_recorder, mut at_recorder) = room.recorder(1).await;
    let (_participant, mut at_participant) = room.participant(1).await;
    let link = participant_link(&mut at_participant).await;
    let mut back = recorder_link(&mut at_recorder).await;

    let message = |chars: usize| ToRecorder::Request {
        id: roomtone_protocol::CommandId::from_bytes([1; 16]),
        based_on: None,
        command: roomtone_protocol::channel::Command::Mark { text: "x".repeat(chars) },
    };
    let too_long = link.sender.send(message(300 * 1024)).await;
    assert!(matches!(too_long, Err(SendError::TooLong { .. })), "{too_long:?}");
    let long = message(200 * 1024);
    link.sender.send(long.clone()).await.unwrap();
    pick(&mut back.events, |event| (event == LinkEvent::Message(long.clone())).then_some(())).await;
}

#[tokio::test]
async fn observers_and_passing_visitors_have_a_link_without_media() {
    let room = Room::open().await;
    let (_recorder, mut at_recorder) = room.recorder(1).await;
    let observer = ParticipantConfig { role: Role::Observer, ..room.participant_config(1) };
    // The same key as the member's below: somebody who gives a command while in the room.
    let passing = ParticipantConfig { passing: true, ..room.participant_config(2) };
    let (_member, mut at_member) = room.participant(2).await;
    let mut member_link = participant_link(&mut at_member).await;
    let mut member_back = recorder_link(&mut at_recorder).await;

    for config in [observer, passing] {
        let (role, is_passing) = (config.role, config.passing);
        let (endpoint, mut events) = ParticipantEndpoint::start(config).await.unwrap();
        let link = participant_link(&mut events).await;
        let mut back = recorder_link(&mut at_recorder).await;
        assert_eq!((back.peer.role, back.peer.passing), (role, is_passing));
        link.sender.send_media(0, Bytes::from_static(b"not a microphone")).unwrap();
        link.sender.send(ToRecorder::Leave).await.unwrap();
        // What was said before a goodbye arrives.
        endpoint.leave().await;
        let message = pick(&mut back.events, |event| match event {
            LinkEvent::Media { .. } => panic!("audio without a microphone"),
            LinkEvent::Message(message) => Some(message),
            _ => None,
        })
        .await;
        assert_eq!(message, ToRecorder::Leave);
        crate::room::closed(&mut back).await;
    }

    // The member of the same key never noticed.
    member_link.sender.send(ToRecorder::Leave).await.unwrap();
    pick(&mut member_back.events, |event| match event {
        LinkEvent::Closed => panic!("the visitor replaced the member"),
        event => matches!(event, LinkEvent::Message(ToRecorder::Leave)).then_some(()),
    })
    .await;
    assert!(!std::iter::from_fn(|| member_link.events.try_recv().ok()).any(|event| event == LinkEvent::Closed));
}
