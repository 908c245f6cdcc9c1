//! Versions of the state, commands that come twice, and commands that come too late.

use roomtone_protocol::code;

use super::*;

#[test]
fn every_change_has_a_higher_version() {
    let mut stage = Stage::new();
    assert_eq!(stage.state().version(), (5, 0));
    stage.enter(1);
    assert_eq!(stage.state().version(), (5, 1));
    stage.enter(1);
    stage.give(Input::Tick);
    assert_eq!(stage.state().version(), (5, 1), "nothing changed");
    stage.ask(member(1), start()).expect("allowed");
    assert_eq!(stage.state().version(), (5, 2), "one input, one change");
}

#[test]
fn a_command_that_comes_again_is_answered_again_and_not_carried_out() {
    let mut stage = Stage::new();
    stage.enter(1);
    stage.enter(2);
    let repeated = |caller| Input::Command {
        caller,
        id: CommandId::from_bytes([77; 16]),
        based_on: None,
        command: start(),
        fresh: take(50),
    };
    let reply = |n| Output::Reply { to: who(n), id: CommandId::from_bytes([77; 16]), result: Ok(Answer::Done) };
    assert_eq!(stage.give(repeated(member(1))).last(), Some(&reply(1)));
    assert_eq!(stage.give(repeated(member(1))), [reply(1)]);
    stage.ask(member(1), Command::Stop).expect("it runs");
    assert_eq!(stage.give(repeated(member(1))), [reply(1)], "also when it would mean something else now");
    assert_eq!(stage.state().current, None);
}

#[test]
fn a_refusal_is_repeated_too() {
    let mut stage = Stage::new();
    stage.enter(1);
    let stop = || Input::Command {
        caller: member(1),
        id: CommandId::from_bytes([77; 16]),
        based_on: None,
        command: Command::Stop,
        fresh: take(50),
    };
    let refusal = stage.give(stop());
    stage.ask(member(1), start()).expect("allowed");
    assert_eq!(stage.give(stop()), refusal);
    assert!(stage.state().current.is_some());
}

#[test]
fn stop_ends_only_the_recording_that_was_seen() {
    let mut stage = Stage::new();
    stage.enter(1);
    stage.enter(2);
    let idle = stage.version();
    stage.ask(member(1), start()).expect("allowed");
    let first = stage.version();
    assert_eq!(stage.ask_on(member(2), idle, Command::Stop), refused(code::ALREADY_CHANGED));
    stage.run(3.0);
    stage.ask(member(1), start()).expect("allowed");
    assert_eq!(stage.ask_on(member(2), first, Command::Stop), refused(code::ALREADY_CHANGED));
    assert_eq!(stage.ask_on(member(2), stage.version(), Command::Stop), Ok(Answer::Done));
    assert_eq!(stage.ask_on(member(2), first, Command::Stop), refused(code::ALREADY_CHANGED), "stopped by another");
    assert_eq!(stage.ask_on(member(2), stage.version(), Command::Stop), refused(code::NOT_RECORDING));
}

#[test]
fn stop_based_on_an_older_state_of_the_same_recording_still_fits() {
    let mut stage = Stage::new();
    stage.enter(1);
    stage.ask(member(1), start()).expect("allowed");
    let seen = stage.version();
    stage.run(3.0);
    stage.enter(2);
    assert_eq!(stage.ask_on(member(2), seen, Command::Stop), Ok(Answer::Done));
}

#[test]
fn two_people_who_press_record_at_once_begin_one_recording() {
    let mut stage = Stage::new();
    stage.enter(1);
    stage.enter(2);
    let idle = stage.version();
    assert_eq!(stage.ask_on(member(1), idle, start()), Ok(Answer::Done));
    let running = stage.version();
    assert_eq!(stage.ask_on(member(2), idle, start()), refused(code::ALREADY_CHANGED));
    assert_eq!(stage.ask_on(member(2), running, start()), Ok(Answer::Done), "meant: a fresh one");
    assert_eq!(stage.ask_on(member(1), running, start()), refused(code::ALREADY_CHANGED));
    stage.ask(member(1), Command::Stop).expect("it runs");
    assert_eq!(stage.ask_on(member(1), running, start()), Ok(Answer::Done), "nothing runs that it could cut off");
}

#[test]
fn a_state_of_another_run_of_the_recorder_says_nothing_of_this_one() {
    let mut stage = Stage::new();
    stage.enter(1);
    let earlier = Some((4, 1));
    assert_eq!(stage.ask_on(member(1), earlier, start()), Ok(Answer::Done));
    assert_eq!(stage.ask_on(member(1), earlier, Command::Stop), refused(code::ALREADY_CHANGED));
    assert_eq!(stage.ask_on(member(1), earlier, start()), refused(code::ALREADY_CHANGED));
}

#[test]
fn a_recording_id_is_used_once() {
    let mut stage = Stage::new();
    stage.enter(1);
    let start = |n| Input::Command {
        caller: member(1),
        id: CommandId::from_bytes([n; 16]),
        based_on: None,
        command: start(),
        fresh: take(50),
    };
    stage.give(start(1));
    let outputs = stage.give(start(2));
    assert!(matches!(&outputs[..], [Output::Reply { result: Err(error), .. }] if error.code == code::BAD_REQUEST));
}
