//! R1, R7, R12: joining, names, leaving, muting.

use roomtone_protocol::code;

use super::*;

#[test]
fn joining_adds_a_guest_who_counts_arrivals() {
    let mut stage = Stage::new();
    assert_eq!(stage.enter(1), [person(1, PersonChange::Joined), Output::Changed]);
    stage.give(named(2, "Ann"));
    stage.enter(3);
    assert_eq!([stage.label(1), stage.label(2), stage.label(3)], ["Guest 1", "Ann", "Guest 3"]);
    let order: Vec<_> = stage.state().people.iter().map(|person| person.participant).collect();
    assert_eq!(order, [who(1), who(2), who(3)]);
}

#[test]
fn a_guest_keeps_the_number_through_names_and_absence() {
    let mut stage = Stage::new();
    stage.enter(1);
    stage.enter(2);
    stage.ask(member(2), Command::SetName { name: Some("Ben".to_owned()) }).expect("in the room");
    stage.leave(2);
    stage.enter(3);
    stage.enter(2);
    assert_eq!(stage.label(2), "Ben");
    stage.ask(member(2), Command::SetName { name: None }).expect("in the room");
    assert_eq!(stage.label(2), "Guest 2");
}

#[test]
fn a_name_can_change_at_any_time() {
    let mut stage = Stage::new();
    stage.enter(1);
    let (n, outputs) = stage.command(member(1), Command::SetName { name: Some("  Ann ".to_owned()) });
    assert_eq!(outputs, [person(1, PersonChange::Renamed), Output::Changed, done(1, n)]);
    let (n, outputs) = stage.command(member(1), Command::SetName { name: Some("Ann".to_owned()) });
    assert_eq!(outputs, [done(1, n)], "the same name is no news");
}

#[test]
fn a_bad_name_is_refused_and_the_old_one_stays() {
    let mut stage = Stage::new();
    stage.give(named(1, "Ann"));
    for bad in ["a\nb".to_owned(), "x".repeat(81)] {
        assert_eq!(stage.ask(member(1), Command::SetName { name: Some(bad) }), refused(code::BAD_REQUEST));
    }
    assert_eq!(stage.label(1), "Ann");
    stage.give(named(2, "a\u{1b}[31m"));
    assert_eq!(stage.label(2), "Guest 2", "a bad name on entering is none");
}

#[test]
fn a_link_that_repeats_an_old_introduction_does_not_undo_a_name() {
    let mut stage = Stage::new();
    stage.give(named(1, "Ann"));
    stage.ask(member(1), Command::SetName { name: Some("Anna".to_owned()) }).expect("in the room");
    assert_eq!(stage.give(named(1, "Ann")), []);
    assert_eq!(stage.label(1), "Anna");
    assert_eq!(stage.give(named(1, "Annika")), [person(1, PersonChange::Renamed), Output::Changed]);
    assert_eq!(stage.give(entered(1)), [], "a program without a name takes none away");
    assert_eq!(stage.label(1), "Annika");
}

#[test]
fn only_people_in_the_room_have_a_name_to_change_and_a_microphone_to_mute() {
    let mut stage = Stage::new();
    stage.enter(1);
    let name = || Command::SetName { name: Some("Ann".to_owned()) };
    let mute = || Command::SetMuted { muted: true };
    for caller in [member(9), passing(1)] {
        assert_eq!(stage.ask(caller, name()), refused(code::NOT_ALLOWED));
        assert_eq!(stage.ask(caller, mute()), refused(code::NOT_ALLOWED));
    }
    stage.leave(1);
    assert_eq!(stage.ask(member(1), name()), refused(code::NOT_ALLOWED));
    assert_eq!(stage.label(1), "Guest 1");
}

#[test]
fn leaving_is_told_once() {
    let mut stage = Stage::new();
    stage.enter(1);
    assert_eq!(stage.leave(1), [person(1, PersonChange::Left), Output::Changed]);
    assert_eq!(stage.leave(1), []);
    assert_eq!(stage.leave(9), []);
    assert_eq!(stage.link(1, false), []);
    assert_eq!(stage.presence(1), Presence::Left);
    assert_eq!(stage.enter(1), [person(1, PersonChange::Returned), Output::Changed]);
}

#[test]
fn muting_shows_and_ends_with_a_goodbye() {
    let mut stage = Stage::new();
    stage.enter(1);
    let muted = |stage: &Stage| stage.state().people[0].muted;
    let (n, outputs) = stage.command(member(1), Command::SetMuted { muted: true });
    assert_eq!(outputs, [Output::Changed, done(1, n)]);
    stage.link(1, false);
    stage.enter(1);
    assert!(muted(&stage), "a broken link opens no microphone");
    stage.leave(1);
    stage.enter(1);
    assert!(!muted(&stage));
}

#[test]
fn only_the_host_closes_the_room_and_what_runs_is_finalized() {
    let mut stage = Stage::new();
    stage.enter(1);
    let (take, _) = stage.command(member(1), start());
    assert_eq!(stage.ask(member(1), Command::CloseRoom), refused(code::NOT_ALLOWED));
    let (n, outputs) = stage.wait(3.0).command(host(2), Command::CloseRoom);
    assert_eq!(outputs, [end(take, 3.0), Output::Changed, done(2, n), Output::RoomClosed]);
    assert_eq!(stage.ask(host(2), start()), refused(code::ROOM_CLOSED));
    assert_eq!(stage.enter(3), []);
    let repeated = Input::Command {
        caller: host(2),
        id: CommandId::from_bytes([n; 16]),
        based_on: None,
        command: Command::CloseRoom,
        fresh: super::take(99),
    };
    assert_eq!(stage.give(repeated), [done(2, n)], "closed once");
    stage.give(Input::Finalized { recording: super::take(take) });
    assert_eq!(stage.life(take), Some(RecordingState::Uploading), "uploads go on");
}
