//! L3: cancel.

use roomtone_protocol::code;

use super::*;

fn named(n: u8) -> Command {
    Command::Cancel { recording: Some(take(n)) }
}

#[test]
fn what_runs_ends_and_is_discarded() {
    let mut stage = Stage::new();
    stage.enter(1);
    let (n, _) = stage.command(member(1), start());
    let (command, outputs) = stage.wait(2.0).command(member(1), cancel());
    assert_eq!(outputs, [end(n, 2.0), discard(n), Output::Changed, done(1, command)]);
    assert_eq!((stage.state().current, stage.life(n)), (None, Some(RecordingState::Cancelled)));
    assert_eq!(code_of(stage.room.may_download(take(n))), Err(code::RECORDING_NOT_FOUND.to_owned()));
    for late in [Input::Prepared { recording: take(n) }, Input::Finalized { recording: take(n) }] {
        assert_eq!(stage.give(late), [], "nothing comes back");
    }
    assert_eq!(stage.give(Input::Completed { recording: take(n) }), []);
    assert_eq!(stage.run(10.0), [Output::Changed]);
    assert_eq!(stage.life(n), None);
    assert_eq!(stage.ask(member(1), cancel()), refused(code::NOT_RECORDING));
}

#[test]
fn the_host_may_and_who_started_it() {
    let mut stage = Stage::new();
    stage.enter(1);
    stage.enter(2);
    let (n, _) = stage.command(member(1), start());
    for caller in [member(2), passing(3)] {
        assert_eq!(stage.ask(caller, cancel()), refused(code::NOT_ALLOWED));
    }
    assert_eq!(stage.life(n), Some(RecordingState::Preparing));
    assert_eq!(stage.ask(host(2), cancel()), Ok(Answer::Done));
    stage.ask(passing(3), start()).expect("allowed");
    assert_eq!(stage.ask(passing(3), cancel()), Ok(Answer::Done));
}

#[test]
fn it_can_be_cancelled_until_it_is_completed() {
    let mut stage = Stage::new();
    stage.enter(1);
    let stop = |stage: &mut Stage| {
        let (n, _) = stage.command(member(1), start());
        stage.ask(member(1), Command::Stop).expect("it runs");
        n
    };
    let (finalizing, uploading, failed, completed) =
        (stop(&mut stage), stop(&mut stage), stop(&mut stage), stop(&mut stage));
    stage.give(Input::Finalized { recording: take(uploading) });
    stage.give(Input::Failed { recording: take(failed), reason: "stuck".to_owned(), hint: "push".to_owned() });
    stage.give(Input::Completed { recording: take(completed) });
    for n in [finalizing, uploading, failed] {
        let (command, outputs) = stage.command(member(1), named(n));
        assert_eq!(outputs, [discard(n), Output::Changed, done(1, command)]);
        assert_eq!(stage.ask(member(1), named(n)), refused(code::RECORDING_NOT_FOUND), "once");
    }
    assert_eq!(stage.ask(member(1), named(completed)), refused(code::ALREADY_CHANGED));
    assert_eq!(stage.life(completed), Some(RecordingState::Completed));
    assert_eq!(stage.ask(host(1), named(99)), refused(code::RECORDING_NOT_FOUND));
    assert_eq!(stage.ask(member(2), named(completed)), refused(code::NOT_ALLOWED));
}

#[test]
fn cancel_without_a_name_means_the_recording_that_was_seen() {
    let mut stage = Stage::new();
    stage.enter(1);
    let idle = stage.version();
    stage.ask(member(1), start()).expect("allowed");
    let first = stage.version();
    let (second, _) = stage.wait(1.0).command(member(1), start());
    for seen in [idle, first] {
        assert_eq!(stage.ask_on(member(1), seen, cancel()), refused(code::ALREADY_CHANGED));
    }
    assert_eq!(stage.ask_on(member(1), first, named(second)), Ok(Answer::Done), "a name says which");
}

#[test]
fn a_paused_recording_can_be_cancelled() {
    let mut stage = Stage::new();
    stage.enter(1);
    let (n, _) = stage.command(member(1), start());
    stage.ask(member(1), Command::Pause).expect("it runs");
    let (command, outputs) = stage.wait(4.0).command(member(1), cancel());
    assert_eq!(outputs, [end(n, 4.0), discard(n), Output::Changed, done(1, command)]);
}
