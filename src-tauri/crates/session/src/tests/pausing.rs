//! L2: pause and resume.

use roomtone_protocol::code;

use super::*;

/// A recording that was begun by 1 at the instant 0 and whose journal is open.
fn running() -> (Stage, u8) {
    let mut stage = Stage::new();
    stage.enter(1);
    let (n, _) = stage.command(member(1), start());
    stage.give(Input::Prepared { recording: take(n) });
    (stage, n)
}

#[test]
fn paused_time_does_not_count_and_stands_still() {
    let (mut stage, n) = running();
    stage.run(2.5);
    let (command, outputs) = stage.command(member(1), Command::Pause);
    assert_eq!(outputs, [pause(n, 2.5), Output::Changed, done(1, command)]);
    assert_eq!((stage.current().state, stage.current().elapsed_ms), (RecordingState::Paused, 2_500));
    assert_eq!(stage.run(60.0), [], "nothing moves");
    assert_eq!(stage.current().elapsed_ms, 2_500);
    let (command, outputs) = stage.command(member(1), Command::Resume);
    assert_eq!(outputs, [resume(n, 62.5), Output::Changed, done(1, command)]);
    assert_eq!((stage.current().state, stage.current().elapsed_ms), (RecordingState::Recording, 2_500));
    assert_eq!(stage.run(0.499), []);
    assert_eq!(stage.run(0.001), [Output::Changed], "the third second is over");
    assert_eq!(stage.current().elapsed_ms, 3_000);
}

#[test]
fn stop_while_paused_ends_at_what_was_recorded() {
    let (mut stage, n) = running();
    stage.wait(2.0).ask(member(1), Command::Pause).expect("it runs");
    let (command, outputs) = stage.wait(5.0).command(member(1), Command::Stop);
    assert_eq!(outputs, [end(n, 7.0), Output::Changed, done(1, command)]);
    assert_eq!(stage.state().finalizing[0].elapsed_ms, 2_000);
}

#[test]
fn record_while_paused_finalizes_the_paused_one_and_begins_a_fresh_one() {
    let (mut stage, old) = running();
    stage.wait(2.0).ask(member(1), Command::Pause).expect("it runs");
    let (new, outputs) = stage.wait(5.0).command(member(1), start());
    assert_eq!(outputs, [end(old, 7.0), begin(new, 7.0, 1), channel(new, 1, 0), Output::Changed, done(1, new)]);
    assert_eq!((stage.current().state, stage.current().elapsed_ms), (RecordingState::Preparing, 0));
}

#[test]
fn a_second_pause_and_a_resume_of_what_runs_are_refused() {
    let (mut stage, _) = running();
    assert_eq!(stage.ask(member(1), Command::Resume), refused(code::ALREADY_CHANGED));
    assert_eq!(stage.ask(member(1), Command::Pause), Ok(Answer::Done));
    assert_eq!(stage.ask(member(1), Command::Pause), refused(code::ALREADY_CHANGED));
    assert_eq!(stage.ask(member(1), Command::Resume), Ok(Answer::Done));
    assert_eq!(stage.ask(member(1), Command::Resume), refused(code::ALREADY_CHANGED));
    stage.ask(member(1), Command::Stop).expect("it runs");
    for command in [Command::Pause, Command::Resume] {
        assert_eq!(stage.ask(member(1), command), refused(code::NOT_RECORDING));
    }
}

#[test]
fn pause_holds_only_the_recording_that_was_seen() {
    let (mut stage, _) = running();
    let seen = stage.version();
    stage.run(3.0);
    assert_eq!(stage.ask_on(member(1), seen, Command::Pause), Ok(Answer::Done), "it is still the same recording");
    assert_eq!(stage.ask_on(member(1), seen, Command::Resume), Ok(Answer::Done));
    stage.wait(1.0).ask(member(1), start()).expect("allowed");
    for command in [Command::Pause, Command::Resume] {
        assert_eq!(stage.ask_on(member(1), seen, command), refused(code::ALREADY_CHANGED));
    }
}

#[test]
fn who_may_record_may_pause() {
    let mut stage = Stage::with(Config { record_by: RecordBy::Host, ..config() });
    stage.enter(1);
    stage.ask(host(2), start()).expect("the host may");
    assert_eq!(stage.ask(member(1), Command::Pause), refused(code::NOT_ALLOWED));
    assert_eq!(stage.ask(host(2), Command::Pause), Ok(Answer::Done));
    assert_eq!(stage.ask(passing(3), Command::Resume), refused(code::NOT_ALLOWED));
    let (mut stage, _) = running();
    stage.give(observing(4));
    assert_eq!(stage.ask(member(4), Command::Pause), refused(code::NOT_ALLOWED));
    assert_eq!(stage.ask(passing(4), Command::Pause), Ok(Answer::Done));
}

#[test]
fn a_deserted_pause_ends_after_the_grace_time_too() {
    let (mut stage, n) = running();
    stage.wait(1.0).ask(member(1), Command::Pause).expect("it runs");
    stage.link(1, false);
    assert_eq!(stage.run(GRACE_S as f64), [end(n, 1.0 + GRACE_S as f64), Output::Changed]);
    assert_eq!(stage.state().finalizing[0].elapsed_ms, 1_000);
}

#[test]
fn who_comes_during_a_pause_has_a_channel() {
    let (mut stage, n) = running();
    stage.ask(member(1), Command::Pause).expect("it runs");
    assert_eq!(stage.enter(2), [person(2, PersonChange::Joined), channel(n, 2, 1), Output::Changed]);
}
