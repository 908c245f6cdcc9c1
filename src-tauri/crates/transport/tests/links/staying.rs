//! Coming back after everything that can happen to a connection.

use std::time::Duration;

use roomtone_protocol::channel::{ToParticipant, ToRecorder};
use roomtone_protocol::signal::MemberChange;
use roomtone_protocol::{WakeEpoch, code};
use roomtone_transport::{
    LinkEvent, ParticipantConfig, ParticipantEndpoint, ParticipantEvent, RecorderConfig, RecorderEndpoint,
    RecorderEvent, SendError,
};

use crate::room::{PATIENCE, Room, closed, participant_link, pick, recorder_link, refusal};

#[tokio::test]
async fn a_recorder_that_crashed_and_came_back_has_its_links_again() {
    let room = Room::open().await;
    let (recorder, mut at_recorder) = room.recorder(1).await;
    let (_participant, mut at_participant) = room.participant(1).await;
    let mut first = participant_link(&mut at_participant).await;
    recorder_link(&mut at_recorder).await;

    // Dropped, not closed: nobody is told.
    drop((recorder, at_recorder));
    let before = roomtone_clock::now();
    let (_recorder, mut at_recorder) = room.recorder(2).await;
    let second = participant_link(&mut at_participant).await;
    println!("back after {} ms", (roomtone_clock::now().0 - before.0) / 1_000_000);
    let mut back = recorder_link(&mut at_recorder).await;
    closed(&mut first).await;
    assert_eq!(first.sender.send(ToRecorder::Leave).await, Err(SendError::LinkClosed));
    second.sender.send(ToRecorder::Leave).await.unwrap();
    pick(&mut back.events, |event| (event == LinkEvent::Message(ToRecorder::Leave)).then_some(())).await;
}

#[tokio::test]
async fn a_recorder_that_closes_in_order_ends_its_links_at_once() {
    let room = Room::open().await;
    let (recorder, mut at_recorder) = room.recorder(1).await;
    let (_participant, mut at_participant) = room.participant(1).await;
    let mut link = participant_link(&mut at_participant).await;
    let back = recorder_link(&mut at_recorder).await;
    back.sender.send(ToParticipant::RoomClosed).await.unwrap();
    let before = roomtone_clock::now();
    recorder.close().await;
    let mut told = false;
    pick(&mut link.events, |event| {
        told |= event == LinkEvent::Message(ToParticipant::RoomClosed);
        matches!(event, LinkEvent::Closed).then_some(())
    })
    .await;
    assert!(told, "what was sent before the close arrives");
    let took = roomtone_clock::now().0 - before.0;
    println!("closed after {} ms", took / 1_000_000);
    assert!(took < 6_000_000_000, "without waiting for silence: {took} ns");
    pick(&mut at_participant, |event| matches!(event, ParticipantEvent::Recorder { connected: false }).then_some(()))
        .await;
}

#[tokio::test]
async fn a_participant_that_vanished_is_noticed_by_its_silence() {
    let room = Room::open().await;
    let (_recorder, mut at_recorder) = room.recorder(1).await;
    let (participant, mut at_participant) = room.participant(1).await;
    participant_link(&mut at_participant).await;
    let mut back = recorder_link(&mut at_recorder).await;
    let before = roomtone_clock::now();
    drop((participant, at_participant));
    closed(&mut back).await;
    println!("noticed after {} ms", (roomtone_clock::now().0 - before.0) / 1_000_000);
    pick(&mut at_recorder, |event| {
        matches!(event, RecorderEvent::Member { change: MemberChange::Away, .. }).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_relay_that_is_gone_ends_nothing() {
    let mut room = Room::open().await;
    let (_recorder, mut at_recorder) = room.recorder(1).await;
    let (_participant, mut at_participant) = room.participant(1).await;
    let mut link = participant_link(&mut at_participant).await;
    let mut back = recorder_link(&mut at_recorder).await;

    room.stop_relay().await;
    pick(&mut at_recorder, |event| matches!(event, RecorderEvent::Relay { connected: false }).then_some(())).await;
    pick(&mut at_participant, |event| matches!(event, ParticipantEvent::Relay { connected: false }).then_some(()))
        .await;
    link.sender.send(ToRecorder::Leave).await.unwrap();
    pick(&mut back.events, |event| (event == LinkEvent::Message(ToRecorder::Leave)).then_some(())).await;

    room.start_relay().await;
    pick(&mut at_recorder, |event| matches!(event, RecorderEvent::Relay { connected: true }).then_some(())).await;
    pick(&mut at_participant, |event| matches!(event, ParticipantEvent::Recorder { connected: true }).then_some(()))
        .await;
    back.sender.send(ToParticipant::RoomClosed).await.unwrap();
    pick(&mut link.events, |event| match event {
        LinkEvent::Closed => panic!("the link ended with the relay"),
        event => (event == LinkEvent::Message(ToParticipant::RoomClosed)).then_some(()),
    })
    .await;
}

#[tokio::test]
async fn a_newer_program_of_the_same_key_replaces_the_older() {
    let room = Room::open().await;
    let (_recorder, mut at_recorder) = room.recorder(1).await;
    let (_old, mut at_old) = room.participant(1).await;
    participant_link(&mut at_old).await;
    let mut old_back = recorder_link(&mut at_recorder).await;

    let newer = ParticipantConfig { epoch: WakeEpoch(2), ..room.participant_config(1) };
    let (_new, mut at_new) = ParticipantEndpoint::start(newer).await.unwrap();
    participant_link(&mut at_new).await;
    assert_eq!(recorder_link(&mut at_recorder).await.peer.epoch, WakeEpoch(2));
    closed(&mut old_back).await;
    let told =
        pick(&mut at_old, |event| if let ParticipantEvent::Refused(error) = event { Some(error.code) } else { None })
            .await;
    assert_eq!(told, code::ALREADY_PRESENT);
    // And it does not try to take the place back.
    let rest = async { while at_old.recv().await.is_some() {} };
    tokio::time::timeout(PATIENCE, rest).await.expect("nothing follows");
    let older = ParticipantEndpoint::start(room.participant_config(1)).await;
    assert_eq!(older.map(|_| ()).unwrap_err().code, code::ALREADY_PRESENT);
}

#[tokio::test]
async fn a_participant_may_come_before_the_recorder() {
    let room = Room::open().await;
    // Both on whatever addresses this machine has.
    let config = ParticipantConfig { media_addrs: Vec::new(), ..room.participant_config(1) };
    let (_participant, mut at_participant) = ParticipantEndpoint::start(config).await.unwrap();
    pick(&mut at_participant, |event| matches!(event, ParticipantEvent::Recorder { connected: false }).then_some(()))
        .await;
    let config = RecorderConfig { media_addrs: Vec::new(), ..room.recorder_config(1) };
    let (_recorder, mut at_recorder) = RecorderEndpoint::start(config).await.unwrap();
    participant_link(&mut at_participant).await;
    recorder_link(&mut at_recorder).await;
}

#[tokio::test]
async fn goodbyes_levels_and_the_end_of_the_room_reach_everybody() {
    let room = Room::open().await;
    let (recorder, mut at_recorder) = room.recorder(1).await;
    let (one, _at_one) = room.participant(1).await;
    let (_two, mut at_two) = room.participant(2).await;
    let id = room.participant_config(1).identity.participant();
    let change = |wanted: MemberChange| {
        move |event| match event {
            RecorderEvent::Member { participant, change, .. } if participant == id && change == wanted => Some(()),
            _ => None,
        }
    };
    pick(&mut at_recorder, change(MemberChange::Joined)).await;
    one.send_level(-20.0);
    pick(&mut at_recorder, |event| match event {
        RecorderEvent::Levels(levels) => (levels.get(&id) == Some(&-20.0)).then_some(()),
        _ => None,
    })
    .await;
    one.leave().await;
    pick(&mut at_recorder, change(MemberChange::Left)).await;
    recorder.close_room();
    pick(&mut at_recorder, |event| matches!(event, RecorderEvent::RoomClosed).then_some(())).await;
    pick(&mut at_two, |event| matches!(event, ParticipantEvent::RoomClosed).then_some(())).await;
    let late = ParticipantEndpoint::start(room.participant_config(3)).await;
    assert_eq!(late.map(|_| ()).unwrap_err().code, code::ROOM_CLOSED);
}

#[tokio::test]
async fn what_is_still_to_be_said_when_the_room_is_closed_arrives() {
    let room = Room::open().await;
    let (recorder, mut at_recorder) = room.recorder(1).await;
    let (_participant, mut at_participant) = room.participant(1).await;
    let mut link = participant_link(&mut at_participant).await;
    let mut back = recorder_link(&mut at_recorder).await;
    recorder.close_room();
    pick(&mut at_participant, |event| matches!(event, ParticipantEvent::RoomClosed).then_some(())).await;
    link.sender.send(ToRecorder::Leave).await.unwrap();
    pick(&mut back.events, |event| (event == LinkEvent::Message(ToRecorder::Leave)).then_some(())).await;
    recorder.close().await;
    closed(&mut link).await;
}

#[tokio::test]
async fn the_first_try_says_why_it_failed() {
    let mut room = Room::open().await;
    let mut elsewhere = room.participant_config(1);
    elsewhere.invite.room = roomtone_protocol::RoomId::from_bytes([7; 16]);
    let error = ParticipantEndpoint::start(elsewhere).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code, code::ROOM_NOT_FOUND);
    assert!(!error.hint.is_empty());

    let mut forged = room.recorder_config(1);
    forged.host_token = "forged".into();
    let error = RecorderEndpoint::start(forged).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code, code::UNAUTHORIZED);

    room.stop_relay().await;
    let error = ParticipantEndpoint::start(room.participant_config(1)).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code, code::RELAY_UNREACHABLE);
}

#[tokio::test]
async fn fifty_visits_leave_nothing_behind() {
    let room = Room::open().await;
    let (recorder, mut at_recorder) = room.recorder(1).await;
    let settled = |tasks: usize| {
        let recorder = &recorder;
        async move {
            let fewer = async {
                while recorder.media_tasks() > tasks {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let in_time = tokio::time::timeout(PATIENCE, fewer).await;
            assert!(in_time.is_ok(), "{} tasks, {tasks} at first", recorder.media_tasks());
        }
    };
    let at_first = recorder.media_tasks();
    let mut slowest = 0;
    for visit in 0..50u32 {
        let before = roomtone_clock::now();
        let mut config = room.participant_config(1 + (visit % 3) as u8);
        config.epoch = WakeEpoch(visit);
        let (participant, mut events) = ParticipantEndpoint::start(config).await.unwrap();
        participant_link(&mut events).await;
        slowest = slowest.max(roomtone_clock::now().0 - before.0);
        let mut back = recorder_link(&mut at_recorder).await;
        participant.leave().await;
        closed(&mut back).await;
    }
    println!("the slowest of 50 took {} ms", slowest / 1_000_000);
    settled(at_first).await;
}

#[tokio::test]
async fn a_wrong_invite_is_refused_and_told_once() {
    let room = Room::open().await;
    let (_recorder, mut at_recorder) = room.recorder(1).await;
    let mut config = room.participant_config(1);
    config.invite.secret = roomtone_protocol::Secret::from_bytes([77; 16]);
    let (_stranger, mut at_stranger) = ParticipantEndpoint::start(config).await.unwrap();
    assert_eq!(refusal(&mut at_stranger).await, code::UNAUTHORIZED);

    let mut config = room.participant_config(2);
    config.invite.host_secret = Some(roomtone_protocol::Secret::from_bytes([78; 16]));
    let (_liar, mut at_liar) = ParticipantEndpoint::start(config).await.unwrap();
    assert_eq!(refusal(&mut at_liar).await, code::UNAUTHORIZED);

    let mut config = room.participant_config(3);
    config.invite.recorder = [0; 16];
    let (_misled, mut at_misled) = ParticipantEndpoint::start(config).await.unwrap();
    assert_eq!(refusal(&mut at_misled).await, code::WRONG_RECORDER);

    // Nobody of them is in; somebody with the host's invite is, and has the host's rights.
    let mut config = room.participant_config(4);
    config.invite.host_secret = Some(room.recorder_config(1).host_secret);
    let (_host, mut at_host) = ParticipantEndpoint::start(config).await.unwrap();
    participant_link(&mut at_host).await;
    let links = pick(&mut at_recorder, |event| if let RecorderEvent::Link(link) = event { Some(link) } else { None });
    let first = links.await;
    // The misled member passed the recorder's own check: only it could know that the recorder was the wrong one.
    let first = if first.peer.host { first } else { recorder_link(&mut at_recorder).await };
    assert!(first.peer.host);
}
