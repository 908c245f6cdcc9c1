//! L7: recording that begins by itself.

use super::*;

fn auto(people: u32) -> Stage {
    Stage::with(Config { auto_record: Some(people), ..config() })
}

fn auto_start(n: u8) -> Input {
    Input::AutoStart { fresh: take(n) }
}

fn begin_by_itself(n: u8, seconds: f64) -> Output {
    Output::Begin { recording: take(n), at: at(seconds), title: None, started_by: None }
}

#[test]
fn it_begins_when_enough_people_with_microphones_are_present() {
    let mut stage = auto(2);
    assert_eq!(stage.state().auto_record, Some(2));
    stage.give(silent(1));
    stage.give(observing(2));
    assert_eq!(stage.enter(3), [person(3, PersonChange::Joined), Output::Changed]);
    assert_eq!(stage.enter(4), [person(4, PersonChange::Joined), Output::WantsRecording, Output::Changed]);
    assert_eq!(stage.give(Input::Tick), [], "asked once");
    let outputs = stage.wait(0.1).give(auto_start(77));
    assert_eq!(outputs, [begin_by_itself(77, 0.1), channel(77, 3, 0), channel(77, 4, 1), Output::Changed]);
    assert_eq!(stage.current().started_by, None);
}

#[test]
fn an_answer_that_comes_too_late_begins_nothing() {
    let mut stage = auto(2);
    stage.enter(1);
    stage.enter(2);
    stage.link(2, false);
    assert_eq!(stage.give(auto_start(77)), []);
    let outputs = stage.link(2, true);
    assert_eq!(outputs, [person(2, PersonChange::Returned), Output::WantsRecording, Output::Changed], "asked anew");
    stage.ask(member(1), start()).expect("allowed");
    assert_eq!(stage.give(auto_start(78)), [], "somebody was faster");
}

#[test]
fn an_id_that_is_taken_is_asked_for_again() {
    let mut stage = auto(1);
    let recovered = Input::Recovered {
        recording: take(77),
        title: None,
        notes: None,
        started_by: None,
        length: Duration::ZERO,
        finalized: true,
    };
    stage.give(recovered);
    stage.enter(1);
    assert_eq!(stage.give(auto_start(77)), [Output::WantsRecording]);
    assert!(stage.give(auto_start(78)).contains(&begin_by_itself(78, 0.0)));
}

#[test]
fn who_stops_it_in_a_full_room_means_it_until_there_were_fewer() {
    let mut stage = auto(2);
    stage.enter(1);
    stage.enter(2);
    stage.give(auto_start(77));
    stage.ask(member(1), Command::Stop).expect("it runs");
    assert!(!stage.enter(3).contains(&Output::WantsRecording));
    stage.leave(3);
    assert_eq!(stage.leave(2), [person(2, PersonChange::Left), Output::Changed]);
    assert!(stage.enter(2).contains(&Output::WantsRecording));
}

#[test]
fn what_was_begun_by_hand_and_stopped_does_not_begin_again_either() {
    let mut stage = auto(2);
    stage.enter(1);
    stage.ask(member(1), start()).expect("allowed");
    assert!(!stage.enter(2).contains(&Output::WantsRecording), "it runs already");
    assert_eq!(stage.ask(member(1), cancel()), Ok(Answer::Done));
    assert!(!stage.give(Input::Tick).contains(&Output::WantsRecording));
}

#[test]
fn a_recording_that_ends_in_a_small_room_is_no_reason_to_wait() {
    let mut stage = auto(2);
    stage.enter(1);
    stage.ask(member(1), start()).expect("allowed");
    stage.ask(member(1), Command::Stop).expect("it runs");
    assert!(stage.enter(2).contains(&Output::WantsRecording));
}

#[test]
fn a_failure_does_not_start_over_by_itself() {
    let mut stage = auto(1);
    stage.enter(1);
    stage.give(auto_start(77));
    let failed = Input::Failed { recording: take(77), reason: "no".to_owned(), hint: String::new() };
    assert!(!stage.give(failed).contains(&Output::WantsRecording));
}

#[test]
fn it_does_not_begin_where_nothing_may_be_recorded() {
    let mut stage = Stage::with(Config { auto_record: Some(1), recording_enabled: false, ..config() });
    assert_eq!(stage.enter(1), [person(1, PersonChange::Joined), Output::Changed]);
    let mut stage = auto(1);
    stage.give(Input::Disk { free_bytes: 0 });
    assert_eq!(stage.enter(1), [person(1, PersonChange::Joined), Output::Changed], "the disk is full");
    assert_eq!(stage.give(auto_start(77)), []);
    assert!(stage.give(Input::Disk { free_bytes: 1 << 40 }).contains(&Output::WantsRecording));
    stage.ask(host(1), Command::CloseRoom).expect("the host may");
    assert_eq!(stage.give(auto_start(77)), []);
    let mut stage = auto(0);
    assert_eq!((stage.state().auto_record, stage.give(Input::Tick)), (None, vec![]), "0 means never");
}
