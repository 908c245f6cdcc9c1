//! R4, R5, R6: who records, which channels there are, and Record while recording.

use roomtone_protocol::code;

use super::*;

#[test]
fn record_gives_everyone_with_a_microphone_a_channel_in_order_of_joining() {
    let mut stage = Stage::new();
    for n in [3, 1, 2, 6] {
        stage.enter(n);
    }
    stage.give(silent(4));
    stage.give(observing(5));
    stage.link(1, false);
    stage.leave(6);
    let (n, outputs) = stage.command(member(2), Command::Start { title: Some(" Pilot ".to_owned()), notes: None });
    let title = Some("Pilot".to_owned());
    assert_eq!(
        outputs,
        [
            Output::Begin { recording: take(n), at: at(0.0), title, started_by: Some(who(2)) },
            channel(n, 3, 0),
            channel(n, 1, 1),
            channel(n, 2, 2),
            Output::Changed,
            done(2, n),
        ]
    );
    assert_eq!([stage.channel(4), stage.channel(5), stage.channel(6)], [None; 3]);
}

#[test]
fn a_late_comer_gets_the_next_channel_and_who_returns_the_same() {
    let mut stage = Stage::new();
    stage.enter(1);
    stage.enter(2);
    let (n, _) = stage.command(member(1), start());
    stage.leave(2);
    assert_eq!(stage.enter(3), [person(3, PersonChange::Joined), channel(n, 3, 2), Output::Changed]);
    assert_eq!(stage.enter(2), [person(2, PersonChange::Returned), Output::Changed]);
    assert_eq!(stage.channel(2), Some(1));
    assert_eq!(stage.give(silent(4)), [person(4, PersonChange::Joined), Output::Changed]);
    assert_eq!(stage.enter(4), [channel(n, 4, 3), Output::Changed], "their microphone came later");
    assert_eq!(stage.give(silent(4)), [], "a channel stays");
    assert_eq!(stage.channel(4), Some(3));
}

#[test]
fn record_while_recording_finalizes_the_old_one_at_the_instant_where_the_new_begins() {
    let mut stage = Stage::new();
    stage.enter(1);
    stage.enter(2);
    let (old, _) = stage.command(member(1), start());
    stage.leave(1);
    let (new, outputs) = stage.wait(0.5).command(member(2), start());
    assert_eq!(outputs, [end(old, 0.5), begin(new, 0.5, 2), channel(new, 2, 0), Output::Changed, done(2, new)]);
    assert_eq!(stage.life(old), Some(RecordingState::Finalizing));
    assert_eq!(stage.life(new), Some(RecordingState::Preparing));
    assert_eq!((stage.channel(1), stage.channel(2)), (None, Some(0)), "channels are of the current recording");
}

#[test]
fn stop_finalizes_and_leaves_no_current_recording() {
    let mut stage = Stage::new();
    stage.enter(1);
    assert_eq!(stage.ask(member(1), Command::Stop), refused(code::NOT_RECORDING));
    let (take, _) = stage.command(member(1), start());
    let (n, outputs) = stage.wait(2.5).command(member(1), Command::Stop);
    assert_eq!(outputs, [end(take, 2.5), Output::Changed, done(1, n)]);
    let state = stage.state();
    assert_eq!(state.current, None);
    assert_eq!((state.finalizing[0].state, state.finalizing[0].elapsed_ms), (RecordingState::Finalizing, 2_500));
    assert_eq!(stage.wait(1.0).ask(member(1), Command::Stop), refused(code::NOT_RECORDING));
}

#[test]
fn a_room_may_leave_recording_to_the_host() {
    let mut stage = Stage::with(Config { record_by: RecordBy::Host, ..config() });
    stage.enter(1);
    for caller in [member(1), passing(2)] {
        assert_eq!(stage.ask(caller, start()), refused(code::NOT_ALLOWED));
        assert_eq!(stage.ask(caller, Command::Stop), refused(code::NOT_ALLOWED));
    }
    let passing_host = Caller { host: true, ..passing(3) };
    assert_eq!(stage.ask(passing_host, start()), Ok(Answer::Done));
    assert_eq!(stage.ask(host(4), Command::Stop), Ok(Answer::Done));
}

#[test]
fn observers_watch_and_passing_visitors_may_record() {
    let mut stage = Stage::new();
    stage.give(observing(1));
    assert_eq!(stage.ask(member(1), start()), refused(code::NOT_ALLOWED));
    assert_eq!(stage.ask(passing(1), start()), Ok(Answer::Done));
    assert_eq!(stage.ask(host(1), Command::Stop), Ok(Answer::Done));
    assert_eq!(stage.state().people.len(), 1);
}

#[test]
fn recording_can_be_switched_off() {
    let mut stage = Stage::with(Config { recording_enabled: false, ..config() });
    assert_eq!(stage.ask(host(1), start()), refused(code::RECORDING_DISABLED));
    assert_eq!(stage.state().current, None);
}

#[test]
fn what_is_not_the_rooms_business_or_cannot_be_shown_is_said() {
    let mut stage = Stage::new();
    stage.enter(1);
    assert_eq!(stage.ask(host(1), Command::Recordings { after: None, limit: None }), refused(code::BAD_REQUEST));
    let titled = |title: &str| Command::Start { title: Some(title.to_owned()), notes: None };
    assert_eq!(stage.ask(host(1), titled("a\nb")), refused(code::BAD_REQUEST));
    assert_eq!(stage.state().current, None);
}
