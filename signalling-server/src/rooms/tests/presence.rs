use roomtone_protocol::code;

use super::*;

/// A room with its recorder and two guests: connections 1, 2 and 3.
fn three() -> (Relay, RoomId, [Identity; 3]) {
    let mut relay = Relay::new();
    let (room, people) = (relay.room(1), [person(1), person(2), person(3)]);
    relay.recorder(room, &people[0], 5);
    relay.member(room, &people[1], 5);
    relay.member(room, &people[2], 5);
    (relay, room, people)
}

#[test]
fn an_explicit_goodbye_is_left_at_once() {
    let (mut relay, _, [_, one, _]) = three();
    let out = relay.says(2, &ClientMessage::Leave);
    assert_eq!(out, [change(3, &one, MemberChange::Left), change(1, &one, MemberChange::Left), Out::Close(2)]);
    assert_eq!(relay.lose(2), []);
}

#[test]
fn whoever_vanishes_is_away_and_returns_with_the_same_key() {
    let (mut relay, room, [_, one, two]) = three();
    let out = relay.lose(2);
    assert_eq!(out, [change(3, &one, MemberChange::Away), change(1, &one, MemberChange::Away)]);
    let (back, out) = relay.member(room, &one, 5);
    let everybody = [(&one, true), (&two, true)];
    let expected = [
        entered(back, &everybody, true, None),
        change(3, &one, MemberChange::Returned),
        change(1, &one, MemberChange::Returned),
    ];
    assert_eq!(out, expected);
    let quiet = relay.pass(700, &[1, 3, back]);
    assert_eq!(quiet, [], "the grace time is over only for those who are away");
}

#[test]
fn whoever_is_away_may_return_with_any_epoch() {
    let (mut relay, room, [_, one, _]) = three();
    relay.lose(2);
    let (_, out) = relay.member(room, &one, 1);
    assert_eq!(out[1..], [change(3, &one, MemberChange::Returned), change(1, &one, MemberChange::Returned)]);
}

#[test]
fn whoever_stays_away_has_left_after_the_grace_time() {
    let (mut relay, room, [_, one, two]) = three();
    relay.lose(2);
    assert_eq!(relay.pass(599, &[1, 3]), []);
    let out = relay.pass(1, &[1, 3]);
    assert_eq!(out, [change(3, &one, MemberChange::Left), change(1, &one, MemberChange::Left)]);
    let (back, out) = relay.member(room, &one, 6);
    assert_eq!(out[0], entered(back, &[(&one, true), (&two, true)], true, None));
    assert_eq!(out[1], change(3, &one, MemberChange::Joined));
}

#[test]
fn those_who_come_see_who_is_away() {
    let (mut relay, room, [_, one, two]) = three();
    relay.lose(2);
    let newcomer = person(9);
    let (connection, out) = relay.member(room, &newcomer, 1);
    assert_eq!(out[0], entered(connection, &[(&one, false), (&two, true), (&newcomer, true)], true, None));
}

#[test]
fn a_silent_connection_is_gone_within_ten_seconds() {
    let (mut relay, _, [_, one, _]) = three();
    let out = relay.pass(10, &[1, 3]);
    assert_eq!(out, [Out::Close(2), change(3, &one, MemberChange::Away), change(1, &one, MemberChange::Away)]);
}

#[test]
fn the_same_key_from_a_later_start_replaces_its_own_ghost_at_once() {
    let (mut relay, room, [_, one, two]) = three();
    for epoch in [6, 6] {
        let ghost = if relay.next == 4 { 2 } else { 4 };
        let (connection, out) = relay.member(room, &one, epoch);
        let expected = [
            entered(connection, &[(&one, true), (&two, true)], true, None),
            change(3, &one, MemberChange::Returned),
            change(1, &one, MemberChange::Returned),
            Out::Refused(ghost, code::ALREADY_PRESENT.to_owned()),
            Out::Close(ghost),
        ];
        assert_eq!(out, expected, "epoch {epoch}: the same start may lose its connection and come again");
        assert_eq!(relay.lose(ghost), [], "the ghost's end is nobody's news");
    }
}

#[test]
fn the_same_key_from_an_earlier_start_is_refused_while_the_later_one_is_alive() {
    let (mut relay, room, [host, one, _]) = three();
    let (connection, out) = relay.member(room, &one, 4);
    assert_eq!(out, refused(connection, code::ALREADY_PRESENT));
    let (connection, out) = relay.recorder(room, &host, 4);
    assert_eq!(out, refused(connection, code::ALREADY_PRESENT));
    assert_eq!(relay.says(2, &ClientMessage::Level { dbfs: -20.0 }).len(), 3, "the later one goes on");
}

#[test]
fn the_recorders_key_is_no_members() {
    let (mut relay, room, [host, ..]) = three();
    let (connection, out) = relay.member(room, &host, 9);
    assert_eq!(out, refused(connection, code::ALREADY_PRESENT));
}

#[test]
fn members_hear_that_the_recorder_vanished_and_came_back() {
    let (mut relay, room, [host, one, two]) = three();
    let out = relay.lose(1);
    assert!(out.len() == 2 && out.contains(&recorder_is(2, false)) && out.contains(&recorder_is(3, false)), "{out:?}");
    let newcomer = person(9);
    let (late, out) = relay.member(room, &newcomer, 1);
    assert_eq!(out[0], entered(late, &[(&one, true), (&two, true), (&newcomer, true)], false, None));
    let (back, out) = relay.recorder(room, &host, 5);
    assert_eq!(out[0], entered(back, &[(&one, true), (&two, true), (&newcomer, true)], true, None));
    assert_eq!(out.len(), 4);
    assert!([2, 3, late].iter().all(|member| out.contains(&recorder_is(*member, true))), "{out:?}");
}

#[test]
fn a_recorder_that_connects_again_replaces_its_own_ghost() {
    let (mut relay, room, [host, ..]) = three();
    let (back, out) = relay.recorder(room, &host, 5);
    assert!(out.contains(&Out::Refused(1, code::ALREADY_PRESENT.to_owned())) && out.contains(&Out::Close(1)));
    assert!(out.contains(&recorder_is(2, true)));
    assert_eq!(relay.lose(1), []);
    let out = relay.says(2, &ClientMessage::Signal { to: None, signal: offer(1) });
    assert!(matches!(out[..], [Out::To(to, _)] if to == back), "{out:?}");
}

#[test]
fn the_recorders_goodbye_ends_no_room() {
    let (mut relay, room, _) = three();
    let out = relay.says(1, &ClientMessage::Leave);
    assert_eq!(out.len(), 3);
    assert!(
        out.contains(&Out::Close(1)) && out.contains(&recorder_is(2, false)) && out.contains(&recorder_is(3, false))
    );
    assert_eq!(relay.rooms.standing(room), Standing::Known);
}

#[test]
fn the_host_closes_the_room_for_everybody() {
    let (mut relay, room, [host, one, _]) = three();
    let (visitor, _) = relay.passing(room, &person(4));
    let (late, _) = relay.connect(room);
    let out = relay.says(1, &ClientMessage::CloseRoom);
    for connection in [1, 2, 3, visitor] {
        let told = out.iter().position(|out| *out == Out::To(connection, ServerMessage::RoomClosed)).unwrap();
        assert_eq!(out[told + 1], Out::Close(connection));
    }
    assert_eq!(out.len(), 8);
    assert_eq!(relay.rooms.standing(room), Standing::Closed);
    let (connection, out) = relay.member(room, &one, 9);
    assert_eq!(out, refused(connection, code::ROOM_CLOSED));
    relay.lose(late);
    let (again, out) = relay.recorder(room, &host, 6);
    assert_eq!(out, [entered(again, &[], true, None)], "its recorder may open it again");
    assert_eq!(relay.rooms.standing(room), Standing::Known);
}

#[test]
fn only_the_host_closes_the_room() {
    let (mut relay, room, [_, one, _]) = three();
    let out = relay.says(2, &ClientMessage::CloseRoom);
    let away = [change(3, &one, MemberChange::Away), change(1, &one, MemberChange::Away)];
    assert_eq!(out[..2], refused(2, code::NOT_ALLOWED));
    assert_eq!(out[2..], away);
    let (visitor, _) = relay.passing(room, &person(4));
    assert_eq!(relay.says(visitor, &ClientMessage::CloseRoom), refused(visitor, code::NOT_ALLOWED));
}

#[test]
fn a_room_without_anybody_is_forgotten_after_a_while() {
    let mut relay = Relay::new();
    let (room, host) = (relay.room(1), person(1));
    let (recorder, _) = relay.recorder(room, &host, 1);
    relay.says(recorder, &ClientMessage::State { state: state(room, 1, "old") });
    relay.lose(recorder);
    relay.pass(599, &[]);
    assert_eq!(relay.rooms.rooms.len(), 1);
    relay.pass(1, &[]);
    assert_eq!(relay.rooms.rooms.len(), 0);
    assert_eq!(relay.rooms.next_deadline(), None);
    let (again, out) = relay.recorder(room, &host, 2);
    assert_eq!(out, [entered(again, &[], true, None)], "it opens again with its host token");
}

#[test]
fn a_room_is_kept_while_somebody_is_away_from_it() {
    let mut relay = Relay::new();
    let (room, guest) = (relay.room(1), person(2));
    let (member, _) = relay.member(room, &guest, 1);
    relay.lose(member);
    relay.pass(600, &[]);
    assert_eq!(relay.rooms.rooms.len(), 1, "left now, and the room is empty from now on");
    relay.pass(600, &[]);
    assert_eq!(relay.rooms.rooms.len(), 0);
}

#[test]
fn after_a_restart_members_wait_for_their_recorder_in_the_same_room() {
    let (mut relay, room, [host, one, _]) = three();
    relay.rooms = Rooms::new(SECRET, Limits::default());
    let (member, out) = relay.member(room, &one, 5);
    assert_eq!(out, [entered(member, &[(&one, true)], false, None)]);
    let (recorder, out) = relay.recorder(room, &host, 5);
    assert_eq!(out, [entered(recorder, &[(&one, true)], true, None), recorder_is(member, true)]);
}

#[test]
fn a_relay_of_another_secret_knows_none_of_it() {
    let (mut relay, room, _) = three();
    relay.rooms = Rooms::new([1; 32], Limits::default());
    let (connection, out) = relay.connect(room);
    assert_eq!(out, refused(connection, code::ROOM_NOT_FOUND));
}
