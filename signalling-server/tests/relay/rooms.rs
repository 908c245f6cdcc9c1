use roomtone_protocol::code;
use roomtone_protocol::signal::{ClientMessage, MemberChange, ServerMessage, Signal, SignalBody, Station};
use roomtone_protocol::state::Role;
use roomtone_relay::{Relay, RelayConfig};

use super::client::{Client, SECRET, config, create_room, person, relay};

fn offer() -> Signal {
    Signal { attempt: 1, body: SignalBody::Offer { sdp: "v=0\r\n".into(), ice_restart: false } }
}

fn answer() -> Signal {
    Signal { attempt: 1, body: SignalBody::Answer { sdp: "v=0\r\n".into() } }
}

#[tokio::test]
async fn a_room_is_made_entered_and_signals_pass_between_its_recorder_and_a_member() {
    let relay = relay().await;
    let to = relay.local_addr();
    let (host, guest, other) = (person(1), person(2), person(3));
    let created = create_room(to, &host).await;
    assert_eq!(created.share_link, format!("{}/r/{}", relay.url(), created.room));
    let mut recorder = Client::recorder(to, &created, &host).await;
    let mut member = Client::member(to, created.room, &guest).await;
    let mut bystander = Client::member(to, created.room, &other).await;
    recorder.hear_change(&guest, MemberChange::Joined).await;

    member.say(&ClientMessage::Signal { to: None, signal: offer() }).await;
    let is_signal = |message: &ServerMessage| matches!(message, ServerMessage::Signal { .. });
    let heard = recorder.hear("the offer", is_signal).await;
    assert_eq!(heard, ServerMessage::Signal { from: guest.participant(), signal: offer() });
    recorder.say(&ClientMessage::Signal { to: Some(guest.participant()), signal: answer() }).await;
    let heard = member.hear("the answer", is_signal).await;
    assert_eq!(heard, ServerMessage::Signal { from: host.participant(), signal: answer() });

    member.say(&ClientMessage::Level { dbfs: -20.0 }).await;
    let levels = bystander.hear("levels", |message| matches!(message, ServerMessage::Levels { .. })).await;
    let ServerMessage::Levels { levels } = levels else { unreachable!() };
    assert_eq!(levels.get(&guest.participant()), Some(&-20.0));

    member.say(&ClientMessage::Leave).await;
    bystander.hear_change(&guest, MemberChange::Left).await;
    drop(recorder);
    bystander
        .hear("the recorder vanished", |message| matches!(message, ServerMessage::Recorder { connected: false }))
        .await;
    relay.shutdown().await;
    assert_eq!(bystander.next().await, None);
}

#[tokio::test]
async fn a_wrong_signature_opens_nothing() {
    let relay = relay().await;
    let to = relay.local_addr();
    let (host, guest) = (person(1), person(2));
    let created = create_room(to, &host).await;
    let (mut client, _) = Client::connect(to, created.room).await;
    let signature = guest.sign(b"something else");
    let station = Station::Member { role: Role::Participant, passing: false };
    let public_key = guest.public_key();
    client.say(&ClientMessage::Enter { version: 1, public_key, signature, epoch: 1, station }).await;
    assert_eq!(client.refused().await, code::UNAUTHORIZED);

    let station = Station::Recorder { host_token: created.host_token.clone() };
    let mut thief = Client::enter(to, created.room, &guest, station).await;
    assert_eq!(thief.refused().await, code::UNAUTHORIZED);
    relay.shutdown().await;
}

#[tokio::test]
async fn whoever_vanishes_is_away_and_comes_back_to_the_same_place() {
    let relay = relay().await;
    let to = relay.local_addr();
    let (host, guest) = (person(1), person(2));
    let created = create_room(to, &host).await;
    let mut recorder = Client::recorder(to, &created, &host).await;
    let member = Client::member(to, created.room, &guest).await;
    recorder.hear_change(&guest, MemberChange::Joined).await;
    drop(member);
    recorder.hear_change(&guest, MemberChange::Away).await;
    let mut member = Client::member(to, created.room, &guest).await;
    recorder.hear_change(&guest, MemberChange::Returned).await;
    let again = Client::member(to, created.room, &guest).await;
    recorder.hear_change(&guest, MemberChange::Returned).await;
    assert_eq!(member.refused().await, code::ALREADY_PRESENT);
    recorder.say(&ClientMessage::CloseRoom).await;
    let mut again = again;
    again.hear("the end", |message| *message == ServerMessage::RoomClosed).await;
    assert_eq!(again.next().await, None);
    relay.shutdown().await;
}

#[tokio::test]
async fn a_relay_that_is_started_again_has_everyone_back_in_the_same_place() {
    let relay = relay().await;
    let to = relay.local_addr();
    let (host, guest) = (person(1), person(2));
    let created = create_room(to, &host).await;
    let mut recorder = Client::recorder(to, &created, &host).await;
    let mut member = Client::member(to, created.room, &guest).await;
    relay.shutdown().await;
    while recorder.next().await.is_some() {}
    while member.next().await.is_some() {}

    let relay = Relay::start(RelayConfig { listen: to, secret: SECRET, ..config() }).await.unwrap();
    let mut member = Client::member(to, created.room, &guest).await;
    let _recorder = Client::recorder(to, &created, &host).await;
    member.hear("the recorder is back", |message| matches!(message, ServerMessage::Recorder { connected: true })).await;
    relay.shutdown().await;
}
