//! R7: present, away, and what a silence of everyone brings about.

use super::*;

#[test]
fn away_is_who_is_silent_on_both_paths() {
    let mut stage = Stage::new();
    stage.relay(1, true);
    stage.enter(1);
    assert_eq!(stage.link(1, false), [], "the relay still sees them");
    assert_eq!(stage.relay(1, false), [person(1, PersonChange::Away), Output::Changed]);
    assert_eq!(stage.relay(1, true), [person(1, PersonChange::Returned), Output::Changed]);
    stage.relay(1, false);
    assert_eq!(stage.link(1, true), [person(1, PersonChange::Returned), Output::Changed]);
    assert_eq!(stage.relay(9, true), [], "a stranger at the relay is nobody here");
}

#[test]
fn while_the_relay_is_lost_the_links_decide() {
    let mut stage = Stage::new();
    for n in [1, 2] {
        stage.relay(n, true);
        stage.enter(n);
    }
    stage.link(2, false);
    assert_eq!(stage.give(Input::RelayLost), [person(2, PersonChange::Away), Output::Changed]);
    assert_eq!(stage.link(1, false), [person(1, PersonChange::Away), Output::Changed], "away, not left");
    stage.link(1, true);
    assert_eq!(stage.give(Input::RelayBack), [], "it has to say anew who is there");
    assert_eq!(stage.relay(2, true), [person(2, PersonChange::Returned), Output::Changed]);
}

#[test]
fn a_relay_that_is_gone_ends_nothing() {
    let mut stage = Stage::new();
    stage.relay(1, true);
    stage.enter(1);
    let (n, _) = stage.command(member(1), start());
    stage.give(Input::RelayLost);
    let outputs = stage.run(2.0 * GRACE_S as f64);
    assert!(outputs.iter().all(|output| *output == Output::Changed), "{outputs:?}");
    assert_eq!(stage.state().current.map(|current| current.recording), Some(take(n)));
}

#[test]
fn the_last_participants_goodbye_finalizes() {
    let mut stage = Stage::new();
    stage.enter(1);
    stage.enter(2);
    stage.give(observing(3));
    let (n, _) = stage.command(member(1), start());
    stage.wait(1.0).leave(1);
    assert_eq!(stage.leave(3), [person(3, PersonChange::Left), Output::Changed]);
    let outputs = stage.wait(1.5).leave(2);
    // The next renewal was due at 2 s: one message serves both.
    assert_eq!(outputs, [person(2, PersonChange::Left), end(n, 2.5), Output::Changed]);
    assert_eq!(stage.life(n), Some(RecordingState::Finalizing));
}

#[test]
fn who_is_away_keeps_the_session_open_for_the_grace_time() {
    let mut stage = Stage::new();
    stage.enter(1);
    stage.enter(2);
    let (n, _) = stage.command(member(1), start());
    stage.link(2, false);
    let outputs = stage.wait(10.0).leave(1);
    assert_eq!(outputs, [person(1, PersonChange::Left), Output::Changed]);
    stage.run(GRACE_S as f64 - 0.001);
    assert_eq!(stage.life(n), Some(RecordingState::Preparing));
    assert_eq!(stage.run(0.001), [end(n, 10.0 + GRACE_S as f64), Output::Changed]);
}

#[test]
fn somebody_back_in_time_stops_the_grace_time() {
    let mut stage = Stage::new();
    stage.enter(1);
    let (n, _) = stage.command(member(1), start());
    stage.link(1, false);
    stage.run(GRACE_S as f64 - 1.0);
    stage.enter(1);
    stage.run(100.0);
    stage.link(1, false);
    stage.run(GRACE_S as f64 - 1.0);
    assert_eq!(stage.life(n), Some(RecordingState::Preparing), "the grace time counts anew");
    stage.run(1.0);
    assert_eq!(stage.life(n), Some(RecordingState::Finalizing));
}

#[test]
fn a_recording_that_nobody_ever_attends_ends_after_the_grace_time() {
    let mut stage = Stage::new();
    stage.run(10_000.0);
    let (n, outputs) = stage.command(passing(7), start());
    assert_eq!(outputs, [begin(n, 10_000.0, 7), Output::Changed, done(7, n)]);
    stage.give(observing(8));
    let outputs = stage.run(GRACE_S as f64);
    assert_eq!(
        outputs.iter().filter(|output| **output != Output::Changed).collect::<Vec<_>>(),
        [&end(n, 10_000.0 + GRACE_S as f64)]
    );
}

#[test]
fn a_late_driver_ends_a_deserted_recording_at_the_instant_that_was_due() {
    let mut stage = Stage::new();
    stage.enter(1);
    let (n, _) = stage.command(member(1), start());
    stage.wait(5.0).link(1, false);
    let outputs = stage.wait(GRACE_S as f64 + 60.0).enter(1);
    assert_eq!(outputs, [end(n, 5.0 + GRACE_S as f64), person(1, PersonChange::Returned), Output::Changed]);
}
