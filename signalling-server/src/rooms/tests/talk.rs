use std::collections::BTreeMap;

use super::*;

/// A room with its recorder and two guests: connections 1, 2 and 3.
fn three() -> (Relay, RoomId, [Identity; 3]) {
    let mut relay = Relay::new();
    let (room, people) = (relay.room(1), [person(1), person(2), person(3)]);
    relay.recorder(room, &people[0], 1);
    relay.member(room, &people[1], 1);
    relay.member(room, &people[2], 1);
    (relay, room, people)
}

fn levels(levels: &[(&Identity, f32)]) -> ServerMessage {
    ServerMessage::Levels { levels: levels.iter().map(|(who, dbfs)| (who.participant(), *dbfs)).collect() }
}

#[test]
fn signals_go_between_a_member_and_the_recorder_only() {
    let (mut relay, _, [host, one, two]) = three();
    let to_other = Some(two.participant());
    let out = relay.says(2, &ClientMessage::Signal { to: to_other, signal: offer(1) });
    assert_eq!(out, [from(1, one.participant(), offer(1))], "whatever address a member gives");
    let out = relay.says(1, &ClientMessage::Signal { to: Some(one.participant()), signal: answer(1) });
    assert_eq!(out, [from(2, host.participant(), answer(1))]);
}

#[test]
fn signals_for_nobody_are_dropped() {
    let (mut relay, _, [_, one, _]) = three();
    let stranger = Some(person(9).participant());
    assert_eq!(relay.says(1, &ClientMessage::Signal { to: stranger, signal: answer(1) }), []);
    relay.lose(2);
    assert_eq!(relay.says(1, &ClientMessage::Signal { to: Some(one.participant()), signal: answer(1) }), []);
    relay.lose(1);
    assert_eq!(relay.says(3, &ClientMessage::Signal { to: None, signal: offer(1) }), []);
}

#[test]
fn rooms_hear_nothing_of_each_other() {
    let (mut relay, _, [_, one, two]) = three();
    let other_room = relay.room(2);
    let (recorder, _) = relay.recorder(other_room, &person(8), 1);
    let (guest, _) = relay.member(other_room, &one, 1);
    assert_eq!(
        relay.says(guest, &ClientMessage::Signal { to: None, signal: offer(1) }),
        [from(recorder, one.participant(), offer(1))]
    );
    let to_other_room = ClientMessage::Signal { to: Some(two.participant()), signal: answer(1) };
    assert_eq!(relay.says(recorder, &to_other_room), []);
    let heard = relay.says(guest, &ClientMessage::Level { dbfs: -20.0 });
    let expected = [Out::To(guest, levels(&[(&one, -20.0)])), Out::To(recorder, levels(&[(&one, -20.0)]))];
    assert_eq!(heard, expected);
}

#[test]
fn the_recorder_says_to_whom() {
    let (mut relay, ..) = three();
    let out = relay.says(1, &ClientMessage::Signal { to: None, signal: answer(1) });
    assert_eq!(out[..2], refused(1, roomtone_protocol::code::BAD_REQUEST));
}

#[test]
fn passing_visitors_are_nobodys_news_and_talk_with_the_recorder() {
    let (mut relay, room, [host, one, two]) = three();
    let visitor = person(7);
    let (connection, out) = relay.passing(room, &visitor);
    assert_eq!(out, [entered(connection, &[(&one, true), (&two, true)], true, None)]);
    let out = relay.says(connection, &ClientMessage::Signal { to: None, signal: offer(1) });
    assert_eq!(out, [from(1, visitor.participant(), offer(1))]);
    let out = relay.says(1, &ClientMessage::Signal { to: Some(visitor.participant()), signal: answer(1) });
    assert_eq!(out, [from(connection, host.participant(), answer(1))]);
    assert_eq!(relay.says(connection, &ClientMessage::Level { dbfs: -3.0 }), []);
    assert_eq!(relay.lose(connection), []);
}

#[test]
fn a_member_who_passes_by_as_well_gets_each_answer_where_it_asked() {
    let (mut relay, room, [host, one, _]) = three();
    relay.says(2, &ClientMessage::Signal { to: None, signal: offer(7) });
    let (connection, out) = relay.passing(room, &one);
    assert_eq!(out.len(), 1, "the member stays as it is: {out:?}");
    relay.says(connection, &ClientMessage::Signal { to: None, signal: offer(1) });
    for (attempt, to) in [(7, 2), (1, connection)] {
        let out = relay.says(1, &ClientMessage::Signal { to: Some(one.participant()), signal: answer(attempt) });
        assert_eq!(out, [from(to, host.participant(), answer(attempt))]);
    }
}

#[test]
fn a_passing_visitor_does_not_keep_its_absent_member_from_leaving() {
    let (mut relay, room, [_, one, _]) = three();
    relay.lose(2);
    let (visitor, _) = relay.passing(room, &one);
    relay.lose(visitor);
    let out = relay.pass(600, &[1, 3]);
    assert_eq!(out, [change(3, &one, MemberChange::Left), change(1, &one, MemberChange::Left)]);
}

#[test]
fn levels_go_to_everyone_at_most_five_times_a_second() {
    let (mut relay, _, [_, one, two]) = three();
    let first = relay.says(2, &ClientMessage::Level { dbfs: -20.0 });
    let mut heard: Vec<u64> =
        first.iter().map(|out| if let Out::To(to, _) = out { *to } else { unreachable!("{out:?}") }).collect();
    heard.sort_unstable();
    assert_eq!(heard, [1, 2, 3]);
    let start = relay.now;
    relay.now = ClockNs(start.0 + 40_000_000);
    assert_eq!(relay.says(2, &ClientMessage::Level { dbfs: -30.0 }), []);
    assert_eq!(relay.says(3, &ClientMessage::Level { dbfs: -40.0 }), []);
    relay.now = ClockNs(start.0 + 80_000_000);
    assert_eq!(relay.says(2, &ClientMessage::Level { dbfs: -10.0 }), []);
    assert_eq!(relay.rooms.next_deadline(), Some(ClockNs(start.0 + 200_000_000)));
    relay.now = ClockNs(start.0 + 200_000_000);
    let out = relay.handle(Input::Tick);
    assert_eq!(out.len(), 3);
    assert!(out.contains(&Out::To(1, levels(&[(&one, -10.0), (&two, -40.0)]))), "the newest of each: {out:?}");
}

#[test]
fn nothing_is_told_while_nobody_speaks() {
    let (mut relay, _, [_, one, _]) = three();
    relay.says(2, &ClientMessage::Level { dbfs: -20.0 });
    assert_eq!(relay.pass(6, &[1, 2, 3]), []);
    let out = relay.says(2, &ClientMessage::Level { dbfs: -21.0 });
    assert!(out.contains(&Out::To(1, levels(&[(&one, -21.0)]))), "only what is new: {out:?}");
}

#[test]
fn the_recorders_own_microphone_has_a_level_and_an_observer_has_none() {
    let (mut relay, room, [host, ..]) = three();
    let (observer, _) = relay.enter(room, &person(5), 1, Station::Member { role: Role::Observer, passing: false });
    assert_eq!(relay.says(observer, &ClientMessage::Level { dbfs: -1.0 }), []);
    let out = relay.says(1, &ClientMessage::Level { dbfs: -50.0 });
    assert!(out.contains(&Out::To(observer, levels(&[(&host, -50.0)]))));
}

#[test]
fn levels_stay_within_what_a_meter_shows() {
    for (told, passed_on) in [("-1e39", -127.0), ("1e39", 0.0), ("3", 0.0), ("-128", -127.0), ("-12.5", -12.5)] {
        let (mut relay, _, [_, one, _]) = three();
        let out = relay.text(2, &format!(r#"{{"type":"level","dbfs":{told}}}"#));
        assert!(out.contains(&Out::To(1, levels(&[(&one, passed_on)]))), "{told}: {out:?}");
    }
}

#[test]
fn a_level_of_somebody_who_is_gone_is_not_told() {
    let (mut relay, _, [_, _, two]) = three();
    relay.says(3, &ClientMessage::Level { dbfs: -20.0 });
    relay.says(2, &ClientMessage::Level { dbfs: -20.0 });
    relay.lose(2);
    relay.now = ClockNs(relay.now.0 + 200_000_000);
    let out = relay.handle(Input::Tick);
    assert!(out.contains(&Out::To(1, levels(&[(&two, -20.0)]))) && out.len() == 2, "{out:?}");
}

#[test]
fn who_tells_a_level_just_after_the_others_does_not_flicker_and_who_tells_none_falls_to_nothing() {
    let (mut relay, _, [_, one, two]) = three();
    relay.says(2, &ClientMessage::Level { dbfs: -20.0 });
    let start = relay.now;
    relay.now = ClockNs(start.0 + 150_000_000);
    relay.says(3, &ClientMessage::Level { dbfs: -40.0 });
    relay.now = ClockNs(start.0 + 200_000_000);
    let out = relay.handle(Input::Tick);
    assert!(out.contains(&Out::To(1, levels(&[(&one, -20.0), (&two, -40.0)]))), "{out:?}");
    relay.now = ClockNs(start.0 + 410_000_000);
    let out = relay.says(3, &ClientMessage::Level { dbfs: -41.0 });
    assert!(out.contains(&Out::To(1, levels(&[(&two, -41.0)]))), "{out:?}");
}

#[test]
fn the_recorders_state_is_passed_on_and_kept_for_newcomers() {
    let (mut relay, room, [host, one, two]) = three();
    let newest = state(room, 2, "two");
    relay.says(1, &ClientMessage::State { state: state(room, 1, "one") });
    let out = relay.says(1, &ClientMessage::State { state: newest.clone() });
    assert_eq!(out.len(), 2);
    for member in [2, 3] {
        assert!(out.contains(&Out::To(member, ServerMessage::State { state: newest.clone() })));
    }
    relay.lose(1);
    let newcomer = person(4);
    let (late, out) = relay.member(room, &newcomer, 1);
    let everybody = [(&one, true), (&two, true), (&newcomer, true)];
    assert_eq!(out[0], entered(late, &everybody, false, Some(newest.clone())), "stale, and better than nothing");
    let (back, out) = relay.recorder(room, &host, 2);
    assert_eq!(out[0], entered(back, &everybody, true, Some(newest)));
}

#[test]
fn only_the_recorder_tells_the_state_and_only_of_its_room() {
    let (mut relay, room, _) = three();
    let out = relay.says(2, &ClientMessage::State { state: state(room, 9, "mine") });
    assert_eq!(out[..2], refused(2, roomtone_protocol::code::NOT_ALLOWED));
    let elsewhere = state(relay.room(2), 9, "elsewhere");
    let out = relay.says(1, &ClientMessage::State { state: elsewhere });
    assert_eq!(out[..2], refused(1, roomtone_protocol::code::BAD_REQUEST));
}

#[test]
fn a_state_too_long_to_go_with_the_members_follows_by_itself() {
    let (mut relay, room, [_, one, two]) = three();
    let long = state(room, 1, &"x".repeat(signal::MAX_MESSAGE_BYTES - 300));
    let out = relay.says(1, &ClientMessage::State { state: long.clone() });
    assert_eq!(out.len(), 2, "it is not too long by itself");
    let newcomer = person(4);
    let (late, out) = relay.member(room, &newcomer, 1);
    assert_eq!(out[0], entered(late, &[(&one, true), (&two, true), (&newcomer, true)], true, None));
    assert_eq!(out[1], Out::To(late, ServerMessage::State { state: long }));
}

#[test]
fn no_message_to_a_client_is_longer_than_messages_may_be() {
    let mut relay = Relay::new();
    let room = relay.room(1);
    let (recorder, _) = relay.recorder(room, &person(0), 1);
    relay.says(recorder, &ClientMessage::State { state: state(room, 1, &"x".repeat(50_000)) });
    for number in 1..=100 {
        relay.now = ClockNs(relay.now.0 + SECOND / 100);
        let (_, out) = relay.member(room, &person(number), 1);
        for out in out {
            let Out::To(_, message) = out else { unreachable!("{out:?}") };
            assert!(serde_json::to_string(&message).unwrap().len() <= signal::MAX_MESSAGE_BYTES);
        }
    }
    let levels: BTreeMap<ParticipantId, f32> =
        (0..101).map(|number| (person(number).participant(), -123.456_79)).collect();
    let longest = serde_json::to_string(&ServerMessage::Levels { levels }).unwrap();
    assert!(longest.len() <= signal::MAX_MESSAGE_BYTES, "{}", longest.len());
}
