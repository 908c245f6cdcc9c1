use roomtone_protocol::code;

use super::*;

#[test]
fn a_relay_greets_with_version_and_nonce() {
    let mut relay = Relay::new();
    let (connection, out) = relay.connect(relay.room(1));
    let nonce = format!("nonce {connection}");
    assert_eq!(out, [Out::To(connection, ServerMessage::Welcome { version: signal::VERSION, nonce })]);
}

#[test]
fn a_room_that_the_relay_did_not_make_is_refused() {
    let mut relay = Relay::new();
    let (connection, out) = relay.connect(RoomId::from_bytes([1; 16]));
    assert_eq!(out, refused(connection, code::ROOM_NOT_FOUND));
    assert_eq!(relay.rooms.standing(RoomId::from_bytes([1; 16])), Standing::Unknown);
    assert_eq!(relay.rooms.next_deadline(), None);
}

#[test]
fn a_created_room_takes_its_recorder_and_then_a_member() {
    let mut relay = Relay::new();
    let (host, guest) = (person(1), person(2));
    let created = relay.rooms.create([1; RANDOM_BYTES], &host.public_key(), "https://relay.example");
    assert_eq!(created.share_link, format!("https://relay.example/r/{}", created.room));
    assert_eq!(relay.rooms.standing(created.room), Standing::Known);
    let station = Station::Recorder { host_token: created.host_token };
    let (recorder, out) = relay.enter(created.room, &host, 1, station);
    assert_eq!(out, [entered(recorder, &[], true, None)]);
    let (member, out) = relay.member(created.room, &guest, 1);
    let expected = [entered(member, &[(&guest, true)], true, None), change(recorder, &guest, MemberChange::Joined)];
    assert_eq!(out, expected);
}

#[test]
fn a_signature_counts_for_its_key_its_room_and_its_connection_only() {
    let mut relay = Relay::new();
    let (room, other_room) = (relay.room(1), relay.room(2));
    let (guest, thief) = (person(2), person(3));
    let forgeries: [(&Identity, RoomId, &str); 4] =
        [(&thief, room, "nonce 1"), (&guest, other_room, "nonce 2"), (&guest, room, "nonce 1"), (&guest, room, "")];
    for (signer, signed_room, nonce) in forgeries {
        let (connection, _) = relay.connect(room);
        let signature = signer.sign(&entry_transcript(signed_room, nonce));
        let (version, public_key) = (signal::VERSION, guest.public_key());
        let station = Station::Member { role: Role::Participant, passing: false };
        let enter = ClientMessage::Enter { version, public_key, signature, epoch: 1, station };
        assert_eq!(relay.says(connection, &enter), refused(connection, code::UNAUTHORIZED), "{nonce}");
    }
}

#[test]
fn only_the_key_that_made_the_room_is_its_recorder() {
    let mut relay = Relay::new();
    let room = relay.room(1);
    let (host, thief) = (person(1), person(2));
    let host_token = relay.rooms.mint.host_token(room, &host.public_key());
    let (connection, out) = relay.enter(room, &thief, 1, Station::Recorder { host_token });
    assert_eq!(out, refused(connection, code::UNAUTHORIZED));
    let host_token = relay.rooms.mint.host_token(relay.room(2), &host.public_key());
    let (connection, out) = relay.enter(room, &host, 1, Station::Recorder { host_token });
    assert_eq!(out, refused(connection, code::UNAUTHORIZED));
}

#[test]
fn another_version_is_told_so_even_if_its_entry_looks_different() {
    let mut relay = Relay::new();
    let room = relay.room(1);
    let (connection, _) = relay.connect(room);
    let out = relay.text(connection, r#"{"type":"enter","version":2,"certificate":"…"}"#);
    assert_eq!(out, refused(connection, code::VERSION_MISMATCH));
    let who = person(1);
    let (connection, _) = relay.connect(room);
    let signature = who.sign(&entry_transcript(room, &format!("nonce {connection}")));
    let station = Station::Member { role: Role::Participant, passing: false };
    let enter = ClientMessage::Enter { version: 0, public_key: who.public_key(), signature, epoch: 1, station };
    assert_eq!(relay.says(connection, &enter), refused(connection, code::VERSION_MISMATCH));
}

#[test]
fn the_first_message_is_to_enter_and_no_other_is() {
    let mut relay = Relay::new();
    let room = relay.room(1);
    for message in [ClientMessage::Leave, ClientMessage::CloseRoom, ClientMessage::Level { dbfs: 0.0 }] {
        let (connection, _) = relay.connect(room);
        assert_eq!(relay.says(connection, &message), refused(connection, code::BAD_REQUEST));
    }
    let guest = person(2);
    let (connection, _) = relay.member(room, &guest, 1);
    let signature = guest.sign(&entry_transcript(room, &format!("nonce {connection}")));
    let station = Station::Member { role: Role::Participant, passing: false };
    let (version, public_key) = (signal::VERSION, guest.public_key());
    let enter = ClientMessage::Enter { version, public_key, signature, epoch: 1, station };
    assert_eq!(relay.says(connection, &enter), refused(connection, code::BAD_REQUEST));
}

#[test]
fn whoever_does_not_enter_in_time_is_refused() {
    let mut relay = Relay::new();
    let (connection, _) = relay.connect(relay.room(1));
    assert_eq!(relay.pass(9, &[connection]), []);
    assert_eq!(relay.pass(1, &[connection]), refused(connection, code::BAD_REQUEST));
    assert_eq!(relay.rooms.next_deadline(), None);
}

#[test]
fn rooms_members_visitors_and_connections_are_bounded() {
    let limits = Limits { rooms: 2, members: 1, passing: 1, sockets: 5, ..Limits::default() };
    let mut relay = Relay::with(limits);
    let (one, two, three) = (relay.room(1), relay.room(2), relay.room(3));
    relay.member(one, &person(1), 1);
    let (second, out) = relay.member(one, &person(2), 1);
    assert_eq!(out, refused(second, code::LIMIT_REACHED));
    relay.passing(one, &person(3));
    let (visitor, out) = relay.passing(one, &person(4));
    assert_eq!(out, refused(visitor, code::LIMIT_REACHED));
    relay.member(two, &person(5), 1);
    let (late, out) = relay.member(three, &person(6), 1);
    assert_eq!(out, refused(late, code::LIMIT_REACHED));
    relay.connect(one);
    relay.connect(one);
    let (sixth, out) = relay.connect(one);
    assert_eq!(out, refused(sixth, code::LIMIT_REACHED));
    assert_eq!(relay.rooms.admits(one).unwrap_err().code, code::LIMIT_REACHED);
}

#[test]
fn a_full_room_takes_its_own_members_back() {
    let mut relay = Relay::with(Limits { members: 1, ..Limits::default() });
    let (room, guest) = (relay.room(1), person(2));
    let (connection, _) = relay.member(room, &guest, 1);
    relay.lose(connection);
    let (back, out) = relay.member(room, &guest, 1);
    assert_eq!(out, [entered(back, &[(&guest, true)], false, None)]);
}

#[test]
fn a_room_that_nobody_is_in_gives_way_when_all_places_are_taken() {
    let mut relay = Relay::with(Limits { rooms: 1, ..Limits::default() });
    let (one, two) = (relay.room(1), relay.room(2));
    let (connection, _) = relay.member(one, &person(1), 1);
    relay.says(connection, &ClientMessage::Leave);
    let (member, out) = relay.member(two, &person(2), 1);
    assert_eq!(out, [entered(member, &[(&person(2), true)], false, None)]);
}
