use roomtone_protocol::code;

use super::*;

/// Marsaglia's xorshift64: the same bytes every time, from a seed that a failure prints.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }
}

const GARBAGE: &[&str] = &[
    "",
    "{",
    "null",
    "[]",
    "\"enter\"",
    "{\"type\":\"enter\"}",
    "{\"type\":\"enter\",\"version\":1}",
    "{\"type\":\"enter\",\"version\":1,\"public_key\":\"\",\"signature\":\"\",\"epoch\":-1,\"station\":{}}",
    "{\"type\":\"shutdown\"}",
    "{\"type\":\"level\",\"dbfs\":null}",
    "{\"type\":\"level\",\"dbfs\":\"NaN\"}",
    "{\"type\":\"level\",\"dbfs\":NaN}",
    "{\"type\":\"level\",\"dbfs\":1e999}",
    "{\"type\":\"signal\",\"to\":\"x\",\"signal\":{}}",
    "{\"type\":\"signal\",\"to\":null,\"signal\":{\"attempt\":1e99,\"body\":{\"kind\":\"answer\",\"sdp\":\"\"}}}",
    "{\"type\":\"state\",\"state\":{}}",
    "\u{0}\u{1}\u{feff}",
];

#[test]
fn garbage_is_refused_before_and_after_entering() {
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    for text in GARBAGE.iter().copied().chain([deep.as_str()]) {
        let mut relay = Relay::new();
        let room = relay.room(1);
        let (stranger, _) = relay.connect(room);
        assert_eq!(relay.text(stranger, text), refused(stranger, code::BAD_REQUEST), "{text:.60}");
        let (member, _) = relay.member(room, &person(1), 1);
        assert_eq!(relay.text(member, text), refused(member, code::BAD_REQUEST), "{text:.60}");
    }
}

#[test]
fn messages_are_bounded_also_by_how_long_they_become() {
    let mut relay = Relay::new();
    let room = relay.room(1);
    let longer = " ".repeat(signal::MAX_MESSAGE_BYTES + 1);
    let (member, _) = relay.member(room, &person(1), 1);
    assert_eq!(relay.text(member, &longer), refused(member, code::BAD_REQUEST));
    relay.recorder(room, &person(0), 1);
    let (member, _) = relay.member(room, &person(2), 1);
    let head = r#"{"type":"signal","signal":{"attempt":1,"body":{"kind":"candidate","candidate":""#;
    let full = format!("{head}{}\"}}}}}}", "x".repeat(signal::MAX_MESSAGE_BYTES - head.len() - 4));
    assert_eq!(full.len(), signal::MAX_MESSAGE_BYTES);
    let out = relay.text(member, &full);
    assert_eq!(out[..2], refused(member, code::BAD_REQUEST), "the recorder could not take it");
}

#[test]
fn a_connection_that_sends_too_much_is_refused_and_others_go_on() {
    let mut relay = Relay::new();
    let room = relay.room(1);
    let (recorder, _) = relay.recorder(room, &person(0), 1);
    let (loud, _) = relay.member(room, &person(1), 1);
    let (calm, _) = relay.member(room, &person(2), 1);
    let mut out = Vec::new();
    let mut sent = 0;
    while !out.contains(&Out::Close(loud)) {
        out = relay.says(loud, &ClientMessage::Level { dbfs: -20.0 });
        sent += 1;
        assert!(sent < 1000, "nobody stopped it");
    }
    assert_eq!(out[..2], refused(loud, code::LIMIT_REACHED));
    assert!(sent > 200, "stopped after {sent}");
    let signal = ClientMessage::Signal { to: None, signal: offer(1) };
    assert!(matches!(relay.says(calm, &signal)[..], [Out::To(to, _)] if to == recorder));
}

#[test]
fn pings_of_a_client_count_as_messages() {
    let mut relay = Relay::new();
    let (member, _) = relay.member(relay.room(1), &person(1), 1);
    let mut all = (0..1000).flat_map(|_| relay.handle(Input::Control { connection: ConnectionId(member) }));
    assert_eq!(all.next(), Some(Out::Refused(member, code::LIMIT_REACHED.to_owned())));
}

#[test]
fn what_is_no_text_message_is_refused() {
    let mut relay = Relay::new();
    let (member, _) = relay.member(relay.room(1), &person(1), 1);
    let out = relay.handle(Input::Unreadable { connection: ConnectionId(member) });
    assert_eq!(out, refused(member, code::BAD_REQUEST));
    assert_eq!(relay.handle(Input::Unreadable { connection: ConnectionId(member) }), []);
}

#[test]
fn a_connection_that_is_closed_says_nothing_more() {
    let mut relay = Relay::new();
    let room = relay.room(1);
    let (recorder, _) = relay.recorder(room, &person(0), 1);
    relay.text(recorder, "garbage");
    assert_eq!(relay.says(recorder, &ClientMessage::CloseRoom), []);
    assert_eq!(relay.rooms.standing(room), Standing::Known);
    assert_eq!(relay.handle(Input::Control { connection: ConnectionId(recorder) }), []);
    assert_eq!(relay.handle(Input::Disconnected { connection: ConnectionId(77) }), []);
}

/// Messages that are almost right: bytes changed, cut off, doubled.
#[test]
fn damaged_messages_never_panic_and_leave_no_half_seats() {
    for seed in 1..=40_u64 {
        let mut random = Random(seed * 0x9E37_79B9);
        let mut relay = Relay::with(Limits { rooms: 3, members: 3, passing: 2, sockets: 12, ..Limits::default() });
        let mut open: Vec<u64> = Vec::new();
        for _ in 0..400 {
            relay.now = ClockNs(relay.now.0 + i64::try_from(random.below(2_000_000_000)).unwrap());
            let room = relay.room(u8::try_from(random.below(4)).unwrap());
            let who = person(u8::try_from(random.below(5)).unwrap());
            let epoch = u32::try_from(random.below(3)).unwrap();
            let connection = if open.is_empty() { 0 } else { open[random.below(open.len())] };
            let (came, out) = match random.below(8) {
                0 => relay.recorder(room, &who, epoch),
                1 | 2 => relay.member(room, &who, epoch),
                3 => relay.passing(room, &who),
                4 => (0, relay.lose(connection)),
                5 => (0, relay.handle(Input::Tick)),
                6 => (0, relay.text(connection, GARBAGE[random.below(GARBAGE.len())])),
                _ => (0, relay.text(connection, &damaged(&mut random, room, &who))),
            };
            open.extend((came > 0).then_some(came));
            for out in out {
                if let Out::Close(closed) = out {
                    open.retain(|connection| *connection != closed);
                }
            }
            open.retain(|connection| relay.rooms.connections.contains_key(&ConnectionId(*connection)));
            consistent(&relay, seed);
        }
        relay.pass(2000, &[]);
        assert_eq!(relay.rooms.rooms.len() + relay.rooms.connections.len(), 0, "seed {seed}: something is left over");
        assert_eq!(relay.rooms.next_deadline(), None, "seed {seed}");
    }
}

fn damaged(random: &mut Random, room: RoomId, who: &Identity) -> String {
    let to = Some(who.participant());
    let message = match random.below(6) {
        0 => ClientMessage::Signal { to, signal: offer(1) },
        1 => ClientMessage::Signal { to: None, signal: answer(1) },
        2 => ClientMessage::Level { dbfs: -20.0 },
        3 => ClientMessage::State { state: state(room, 1, "name") },
        4 => ClientMessage::Leave,
        _ => ClientMessage::CloseRoom,
    };
    let mut bytes = serde_json::to_vec(&message).unwrap();
    match random.below(6) {
        0 => bytes.truncate(random.below(bytes.len())),
        1 => bytes = [bytes.clone(), bytes].concat(),
        2 => {
            let at = random.below(bytes.len());
            bytes[at] = u8::try_from(random.below(256)).unwrap();
        }
        _ => {}
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Every seat has its connection, and every seated connection its seat.
fn consistent(relay: &Relay, seed: u64) {
    let rooms = &relay.rooms;
    for (id, room) in &rooms.rooms {
        for connection in room.connections() {
            let client = rooms.connections.get(&connection);
            assert!(client.is_some_and(|client| client.room == *id), "seed {seed}: a seat without its connection");
        }
    }
    for (connection, client) in &rooms.connections {
        if let Progress::Seated(_) = client.progress {
            let room = rooms.rooms.get(&client.room);
            let sits = room.is_some_and(|room| room.connections().any(|seated| seated == *connection));
            assert!(sits, "seed {seed}: a connection without its seat");
        }
    }
    let limits = &rooms.limits;
    assert!(rooms.rooms.len() <= limits.rooms && rooms.connections.len() <= limits.sockets, "seed {seed}");
    assert!(rooms.rooms.values().all(|room| room.member_count() <= limits.members), "seed {seed}");
    assert!(rooms.rooms.values().all(|room| room.passing_count() <= limits.passing), "seed {seed}");
}
