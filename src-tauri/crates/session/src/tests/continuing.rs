//! L8: a recorder that is back goes on.

use roomtone_protocol::code;

use super::*;

/// Of recording 7: begun at -100 s, paused from -80 s to -60 s, last heard of at -30 s; channels of 2 and 1.
fn continued() -> Continued {
    Continued {
        recording: take(7),
        title: Some("Pilot".to_owned()),
        notes: Some("in the kitchen".to_owned()),
        started_by: Some(who(1)),
        begun: at(-100.0),
        recorded: Duration::from_secs(20),
        running_since: Some(at(-60.0)),
        channels: vec![who(2), who(1)],
        markers: 3,
        marked: Vec::new(),
        pauses: 1,
        last_there: at(-30.0),
    }
}

fn back() -> Stage {
    let mut stage = Stage::new();
    assert_eq!(stage.give(Input::Continued(Box::new(continued()))), [Output::Changed]);
    stage
}

#[test]
fn it_is_current_again_with_its_time_and_everything_said_about_it() {
    let mut stage = back();
    let current = stage.current();
    assert_eq!((current.recording, current.state, current.elapsed_ms), (take(7), RecordingState::Recording, 80_000));
    assert_eq!((current.title.as_deref(), current.notes.as_deref()), (Some("Pilot"), Some("in the kitchen")));
    assert_eq!((current.started_by, current.markers), (Some(who(1)), 3));
    assert_eq!(stage.run(0.999), []);
    assert_eq!(stage.run(0.001), [Output::Changed], "the time in which the recorder was gone counts");
    let (n, outputs) = stage.command(member(1), cancel());
    assert_eq!(outputs, [end(7, 1.0), discard(7), Output::Changed, done(1, n)], "who started it may still cancel it");
}

#[test]
fn the_same_people_come_back_to_the_same_channels() {
    let mut stage = back();
    assert_eq!(stage.enter(1), [person(1, PersonChange::Joined), Output::Changed]);
    assert_eq!(stage.enter(3), [person(3, PersonChange::Joined), channel(7, 3, 2), Output::Changed]);
    stage.enter(2);
    assert_eq!([stage.channel(1), stage.channel(2), stage.channel(3)], [Some(1), Some(0), Some(2)]);
}

#[test]
fn what_was_paused_is_paused() {
    let mut stage = Stage::new();
    let paused = Continued { running_since: None, recorded: Duration::from_secs(40), ..continued() };
    stage.give(Input::Continued(Box::new(paused)));
    assert_eq!((stage.current().state, stage.current().elapsed_ms), (RecordingState::Paused, 40_000));
    let (n, outputs) = stage.wait(5.0).command(member(1), Command::Resume);
    assert_eq!(outputs, [resume(7, 5.0), Output::Changed, done(1, n)]);
    stage.run(2.0);
    assert_eq!(stage.current().elapsed_ms, 42_000);
}

#[test]
fn the_grace_time_counts_from_the_last_sign_of_life() {
    let mut stage = back();
    stage.run(GRACE_S as f64 - 30.5);
    assert!(stage.state().current.is_some());
    stage.run(0.5);
    assert_eq!(stage.life(7), Some(RecordingState::Finalizing));
    let mut stage = back();
    stage.enter(1);
    stage.run(2.0 * GRACE_S as f64);
    assert!(stage.state().current.is_some(), "somebody is there");
    let config = config();
    assert!(config.goes_on(at(0.0), at(GRACE_S as f64 - 0.001)));
    assert!(!config.goes_on(at(0.0), at(GRACE_S as f64)));
}

#[test]
fn limits_go_on_counting() {
    let mut stage = Stage::with(Config { time_limit: Some(Duration::from_secs(130)), ..config() });
    stage.give(Input::Continued(Box::new(continued())));
    stage.enter(1);
    assert_eq!(stage.current().remaining_ms, Some(50_000));
    let outputs = stage.run(60.0);
    assert!(outputs.contains(&end(7, 50.0)), "{outputs:?}");
}

#[test]
fn beside_another_recording_it_only_comes_to_its_end() {
    let mut stage = Stage::new();
    stage.enter(1);
    let (n, _) = stage.command(member(1), start());
    assert_eq!(stage.give(Input::Continued(Box::new(continued()))), [Output::Changed]);
    assert_eq!(stage.current().recording, take(n));
    let shown = stage.state().finalizing[0].clone();
    assert_eq!((shown.recording, shown.state, shown.elapsed_ms), (take(7), RecordingState::Finalizing, 50_000));
    assert_eq!(stage.give(Input::Continued(Box::new(continued()))), [], "known already");
}

#[test]
fn a_marker_that_is_asked_for_again_stands_already() {
    let mut stage = Stage::new();
    let asked = (who(1), CommandId::from_bytes([9; 16]));
    stage.give(Input::Continued(Box::new(Continued { marked: vec![asked], ..continued() })));
    stage.enter(1);
    let ask = |n, text: &str| Input::Command {
        caller: member(1),
        id: CommandId::from_bytes([n; 16]),
        based_on: None,
        command: Command::Mark { text: text.to_owned() },
        fresh: take(8),
    };
    assert_eq!(stage.give(ask(9, "before")), [done(1, 9)]);
    assert_eq!(stage.current().markers, 3);
    stage.give(ask(10, "after"));
    assert_eq!(stage.current().markers, 4);
}

#[test]
fn commands_based_on_the_earlier_run_are_too_old() {
    let mut stage = back();
    assert_eq!(stage.ask_on(member(1), Some((4, 9)), Command::Stop), refused(code::ALREADY_CHANGED));
    assert_eq!(stage.ask_on(member(1), stage.version(), Command::Stop), Ok(Answer::Done));
}

#[test]
fn behind_a_boot_the_room_goes_on_on_the_timeline_of_its_recording() {
    // The clock of this run shows an hour more than that timeline, and a second too much is thought of it at first.
    let mut stage = Stage::new();
    stage.room.clock_moved(ClockNs(i64::MIN), at(-3_600.0).0);
    let behind = |seconds: f64| at(seconds - 3_600.0);
    stage.room.handle(
        behind(0.0),
        Input::Continued(Box::new(Continued {
            begun: behind(-100.0),
            running_since: Some(behind(-60.0)),
            last_there: behind(-30.0),
            ..continued()
        })),
    );
    stage.room.handle(behind(10.0), Input::Tick);
    assert_eq!(
        stage.room.state(behind(10.0)).current.map(|current| current.elapsed_ms),
        Some(90_000),
        "it is not over"
    );
    stage.room.clock_moved(behind(0.0), at(-1.0).0);
    assert_eq!(stage.room.next_deadline(), Some(behind(11.0)), "what was shown is shown again when it is over");
    let still = GRACE_S as f64 - 30.0;
    stage.room.handle(behind(still - 0.1), Input::Tick);
    assert!(stage.room.state(behind(still - 0.1)).current.is_some());
    stage.room.handle(behind(still), Input::Tick);
    assert!(stage.room.state(behind(still)).current.is_none(), "nobody was there from its last sign of life on");
}
