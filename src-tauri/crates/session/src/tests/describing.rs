//! L4: titles, notes and markers.

use roomtone_protocol::code;

use super::*;

fn mark(text: &str) -> Command {
    Command::Mark { text: text.to_owned() }
}

fn describe(title: Option<&str>, notes: Option<&str>) -> Command {
    Command::Describe { recording: None, title: title.map(str::to_owned), notes: notes.map(str::to_owned) }
}

fn described(n: u8, title: Option<&str>, notes: Option<&str>) -> Output {
    Output::Described { recording: take(n), title: title.map(str::to_owned), notes: notes.map(str::to_owned) }
}

/// By whoever gave a command, who may only be passing.
fn marked(n: u8, seconds: f64, text: &str, (caller, command): (u8, u8), passing: bool) -> Output {
    let by = (!passing).then_some(who(caller));
    let asked = (who(caller), CommandId::from_bytes([command; 16]));
    Output::Mark { recording: take(n), at: at(seconds), text: text.to_owned(), by, asked }
}

#[test]
fn whoever_is_in_the_room_marks_the_instant() {
    let mut stage = Stage::with(Config { record_by: RecordBy::Host, ..config() });
    stage.enter(1);
    stage.give(observing(2));
    assert_eq!(stage.ask(member(1), mark("early")), refused(code::NOT_RECORDING));
    let (n, _) = stage.command(host(9), start());
    let (command, outputs) = stage.wait(1.5).command(member(1), mark(" good one "));
    assert_eq!(outputs, [marked(n, 1.5, "good one", (1, command), false), Output::Changed, done(1, command)]);
    let (command, outputs) = stage.command(member(2), mark("seen"));
    assert_eq!(
        outputs,
        [marked(n, 1.5, "seen", (2, command), false), Output::Changed, done(2, command)],
        "observers too"
    );
    let (command, outputs) = stage.command(passing(3), mark("from a script"));
    assert_eq!(outputs, [marked(n, 1.5, "from a script", (3, command), true), Output::Changed, done(3, command)]);
    assert_eq!(stage.current().markers, 3);
    stage.leave(2);
    assert_eq!(stage.ask(member(2), mark("late")), refused(code::NOT_ALLOWED));
    for bad in ["", "  ", "a\nb"] {
        assert_eq!(stage.ask(member(1), mark(bad)), refused(code::BAD_REQUEST));
    }
    assert_eq!(stage.current().markers, 3);
}

#[test]
fn a_marker_means_now_whatever_was_seen() {
    let mut stage = Stage::new();
    stage.enter(1);
    let idle = stage.version();
    let (n, _) = stage.command(member(1), start());
    stage.ask(member(1), Command::Pause).expect("it runs");
    let (command, outputs) = stage.wait(3.0).command_on(member(1), idle, mark("seam"));
    assert_eq!(
        outputs,
        [marked(n, 3.0, "seam", (1, command), false), Output::Changed, done(1, command)],
        "also in a pause"
    );
}

#[test]
fn a_recording_is_described_at_its_beginning_and_while_it_runs() {
    let mut stage = Stage::new();
    stage.enter(1);
    let start = Command::Start { title: Some("Pilot".to_owned()), notes: Some("two\nlines".to_owned()) };
    let (n, outputs) = stage.command(member(1), start);
    let title = Some("Pilot".to_owned());
    assert_eq!(
        outputs[..2],
        [
            Output::Begin { recording: take(n), at: at(0.0), title, started_by: Some(who(1)) },
            described(n, Some("Pilot"), Some("two\nlines")),
        ]
    );
    let (command, outputs) = stage.command(member(1), describe(Some(" Pilot 2 "), None));
    assert_eq!(outputs, [described(n, Some("Pilot 2"), Some("two\nlines")), Output::Changed, done(1, command)]);
    let (command, outputs) = stage.command(member(1), describe(None, Some("")));
    assert_eq!(outputs, [described(n, Some("Pilot 2"), None), Output::Changed, done(1, command)]);
    let (command, outputs) = stage.command(member(1), describe(Some("Pilot 2"), None));
    assert_eq!(outputs, [done(1, command)], "no news");
    assert_eq!(stage.current().title.as_deref(), Some("Pilot 2"));
    assert_eq!(stage.ask(member(1), describe(Some("a\nb"), None)), refused(code::BAD_REQUEST));
    assert_eq!(stage.ask(member(1), describe(None, Some("a\u{7}b"))), refused(code::BAD_REQUEST));
}

#[test]
fn what_is_over_is_described_here_until_the_bucket_has_it() {
    let mut stage = Stage::new();
    stage.enter(1);
    let (n, _) = stage.command(member(1), start());
    stage.ask(member(1), Command::Stop).expect("it runs");
    let named =
        |title: &str| Command::Describe { recording: Some(take(n)), title: Some(title.to_owned()), notes: None };
    assert_eq!(stage.ask(member(1), describe(Some("x"), None)), refused(code::NOT_RECORDING));
    let (command, outputs) = stage.command(member(1), named("After"));
    assert_eq!(outputs, [described(n, Some("After"), None), Output::Changed, done(1, command)]);
    stage.give(Input::Finalized { recording: take(n) });
    assert_eq!(stage.ask(member(1), named("Later")), Ok(Answer::Done));
    assert_eq!(stage.state().finalizing[0].title.as_deref(), Some("Later"));
    stage.give(Input::Completed { recording: take(n) });
    assert_eq!(stage.ask(member(1), named("Too late")), refused(code::BAD_REQUEST), "it is the list's");
    stage.run(10.0);
    assert_eq!(stage.ask(member(1), named("Too late")), refused(code::RECORDING_NOT_FOUND));
}

#[test]
fn who_may_record_may_describe_what_they_saw() {
    let mut stage = Stage::with(Config { record_by: RecordBy::Host, ..config() });
    stage.enter(1);
    let idle = stage.version();
    stage.ask(host(2), start()).expect("the host may");
    assert_eq!(stage.ask(member(1), describe(Some("x"), None)), refused(code::NOT_ALLOWED));
    assert_eq!(stage.ask_on(host(2), idle, describe(Some("x"), None)), refused(code::ALREADY_CHANGED));
    assert_eq!(stage.ask(host(2), describe(Some("x"), None)), Ok(Answer::Done));
}
