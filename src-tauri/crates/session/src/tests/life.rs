//! L1, L6, R8: the states of a recording, who may download it, and the clock that everyone sees.

use roomtone_protocol::code;
use roomtone_protocol::state::UploadProgress;

use super::*;

/// A room with one participant and a recording that was stopped after two seconds.
fn stopped() -> (Stage, u8) {
    let mut stage = Stage::new();
    stage.enter(1);
    let (n, _) = stage.command(member(1), start());
    stage.give(Input::Prepared { recording: take(n) });
    stage.wait(2.0).ask(member(1), Command::Stop).expect("it runs");
    (stage, n)
}

#[test]
fn a_recording_goes_through_its_states_and_out_of_sight() {
    let mut stage = Stage::new();
    stage.enter(1);
    let (n, _) = stage.command(member(1), start());
    let recording = take(n);
    assert_eq!(stage.life(n), Some(RecordingState::Preparing));
    assert_eq!(stage.give(Input::Prepared { recording }), [Output::Changed]);
    assert_eq!(stage.life(n), Some(RecordingState::Recording));
    assert_eq!(stage.give(Input::Finalized { recording }), [], "it still runs");
    stage.ask(member(1), Command::Stop).expect("it runs");
    assert_eq!(stage.life(n), Some(RecordingState::Finalizing));
    assert_eq!(stage.give(Input::Finalized { recording }), [Output::Changed]);
    assert_eq!(stage.life(n), Some(RecordingState::Uploading));
    assert_eq!(stage.give(Input::Completed { recording }), [Output::Changed]);
    assert_eq!(stage.life(n), Some(RecordingState::Completed));
    for late in [Input::Finalized { recording }, Input::Empty { recording }, Input::Prepared { recording }] {
        assert_eq!(stage.give(late), [], "nothing goes back");
    }
    assert_eq!(stage.run(9.9), []);
    assert_eq!(stage.run(0.1), [Output::Changed]);
    assert_eq!(stage.state().finalizing, []);
    assert_eq!(stage.room.next_deadline(), None);
}

#[test]
fn everyone_sees_whom_a_recording_waits_for_until_its_file_is_made() {
    let (mut stage, n) = stopped();
    let recording = take(n);
    let waits = |stage: &Stage| {
        let status = stage.room.recording(at(stage.now), recording).expect("it is not out of sight");
        status.waiting.map(|waiting| (waiting.people, waiting.left_ms))
    };
    assert_eq!(waits(&stage), None);
    let waiting = |people: &[u8], until| {
        let people = people.iter().map(|&n| who(n)).collect();
        Input::Waiting { recording, people, until: at(until) }
    };
    assert_eq!(stage.give(waiting(&[1, 2], 32.0)), [Output::Changed]);
    assert_eq!(waits(&stage), Some((vec![who(1), who(2)], 30_000)));
    assert_eq!(stage.wait(10.0).give(Input::Tick), [], "time alone is no news");
    assert_eq!(waits(&stage), Some((vec![who(1), who(2)], 20_000)));
    assert_eq!(stage.give(waiting(&[2], 32.0)), [Output::Changed]);
    assert_eq!(stage.give(waiting(&[], 32.0)), [Output::Changed]);
    assert_eq!(waits(&stage), None);
    stage.give(waiting(&[2], 32.0));
    stage.give(Input::Finalized { recording });
    assert_eq!(waits(&stage), None, "it is on its way to the bucket");
    let other = Input::Waiting { recording: take(99), people: vec![who(1)], until: at(40.0) };
    assert_eq!(stage.give(other), []);
}

#[test]
fn everyone_sees_how_an_upload_goes_for_as_long_as_it_does() {
    let (mut stage, n) = stopped();
    let recording = take(n);
    let shown = |stage: &Stage| {
        stage.room.recording(at(stage.now), recording).expect("it is in sight").upload.map(|upload| *upload)
    };
    let upload = UploadProgress { bytes: 43, total: 100, rate: Some(2), left_ms: Some(28_500) };
    stage.give(Input::GoesUp { recording, upload });
    assert_eq!(shown(&stage), None, "it is not whole yet");
    stage.give(Input::Finalized { recording });
    assert_eq!(stage.give(Input::GoesUp { recording, upload }), [], "that is known");
    assert_eq!(shown(&stage), Some(upload));
    let later = UploadProgress { bytes: 99, ..upload };
    assert_eq!(stage.give(Input::GoesUp { recording, upload: later }), [Output::Changed]);
    stage.give(Input::Completed { recording });
    assert_eq!(shown(&stage), None);
}

#[test]
fn one_without_a_channel_is_cancelled_and_forgotten_everywhere() {
    let (mut stage, n) = stopped();
    let recording = take(n);
    assert_eq!(stage.give(Input::Empty { recording }), [Output::Discard { recording }, Output::Changed]);
    assert_eq!(stage.life(n), Some(RecordingState::Cancelled));
    assert_eq!(code_of(stage.room.may_download(recording)), Err(code::RECORDING_NOT_FOUND.to_owned()));
    assert_eq!(stage.run(10.0), [Output::Changed]);
    assert_eq!(stage.life(n), None);
}

#[test]
fn only_what_is_completed_can_be_downloaded() {
    let mut stage = Stage::new();
    stage.enter(1);
    let (n, _) = stage.command(member(1), start());
    let recording = take(n);
    let may = |stage: &Stage| code_of(stage.room.may_download(recording));
    assert_eq!(may(&stage), Err(code::NOT_FINALIZED.to_owned()));
    stage.ask(member(1), Command::Stop).expect("it runs");
    assert_eq!(may(&stage), Err(code::NOT_FINALIZED.to_owned()));
    stage.give(Input::Finalized { recording });
    assert_eq!(may(&stage), Err(code::NOT_UPLOADED.to_owned()));
    stage.give(Input::Completed { recording });
    assert_eq!(may(&stage), Ok(()));
    assert_eq!(code_of(stage.room.may_download(take(99))), Ok(()), "the bucket knows");
}

#[test]
fn a_recording_that_fails_leaves_the_room_going_and_says_why() {
    let mut stage = Stage::new();
    stage.enter(1);
    let (n, _) = stage.command(member(1), start());
    let recording = take(n);
    let failed = || Input::Failed { recording, reason: "the disk is full".to_owned(), hint: "free some".to_owned() };
    assert_eq!(stage.wait(0.5).give(failed()), [end(n, 0.5), Output::Changed]);
    let shown = stage.state().finalizing[0].clone();
    assert_eq!((shown.state, shown.failure.as_deref()), (RecordingState::Failed, Some("the disk is full; free some")));
    assert_eq!(code_of(stage.room.may_download(recording)), Err(code::RECORDING_FAILED.to_owned()));
    assert_eq!(stage.give(Input::Completed { recording }), [], "what failed stays failed");
    assert_eq!(stage.give(failed()), []);
    assert_eq!(stage.run(1e6), []);
    assert_eq!(stage.life(n), Some(RecordingState::Failed));
    assert_eq!(stage.ask(member(1), start()), Ok(Answer::Done));
}

#[test]
fn a_recording_that_is_cut_short_is_finished_and_says_why_until_it_is_out_of_sight() {
    let mut stage = Stage::new();
    stage.enter(1);
    let (n, _) = stage.command(member(1), start());
    let recording = take(n);
    let full = || Input::CutShort { recording, reason: "the disk is full".to_owned(), hint: "free some".to_owned() };
    let shown = |stage: &Stage| {
        let status = stage.state().finalizing[0].clone();
        (status.state, status.failure.unwrap_or_default())
    };
    let why = || "the disk is full; free some".to_owned();
    assert_eq!(stage.wait(0.5).give(full()), [end(n, 0.5), Output::Changed]);
    assert_eq!(shown(&stage), (RecordingState::Finalizing, why()));
    assert_eq!(stage.give(full()), [], "it is over");
    stage.give(Input::Finalized { recording });
    assert_eq!(shown(&stage), (RecordingState::Uploading, why()));
    let trouble = ErrorReport::new(code::STORAGE_UNREACHABLE, "no answer", "it is tried again");
    stage.give(Input::Trouble { recording, trouble: Some(trouble) });
    assert_eq!(shown(&stage).1, "no answer; it is tried again", "what can be acted on now comes first");
    stage.give(Input::Completed { recording });
    assert_eq!(shown(&stage), (RecordingState::Completed, why()));
    assert_eq!(code_of(stage.room.may_download(recording)), Ok(()));
    assert_eq!(stage.ask(member(1), start()), Ok(Answer::Done), "the room goes on");
}

#[test]
fn finalizing_can_fail_too() {
    let (mut stage, n) = stopped();
    let failed = Input::Failed { recording: take(n), reason: "unreadable".to_owned(), hint: "see the log".to_owned() };
    assert_eq!(stage.give(failed), [Output::Changed]);
    assert_eq!(stage.life(n), Some(RecordingState::Failed));
}

#[test]
fn trouble_with_an_upload_shows_and_goes() {
    let (mut stage, n) = stopped();
    let recording = take(n);
    let trouble = || Some(ErrorReport::new(code::STORAGE_UNREACHABLE, "no answer", "it is tried again"));
    assert_eq!(stage.give(Input::Trouble { recording, trouble: trouble() }), [], "it is not being uploaded");
    stage.give(Input::Finalized { recording });
    assert_eq!(stage.give(Input::Trouble { recording, trouble: trouble() }), [Output::Changed]);
    let shown = stage.state().finalizing[0].clone();
    assert_eq!(
        (shown.state, shown.failure.as_deref()),
        (RecordingState::Uploading, Some("no answer; it is tried again"))
    );
    assert_eq!(stage.give(Input::Trouble { recording, trouble: trouble() }), [], "no news");
    assert_eq!(stage.give(Input::Trouble { recording, trouble: None }), [Output::Changed]);
    assert_eq!(stage.state().finalizing[0].failure, None);
}

#[test]
fn what_an_earlier_run_left_behind_is_shown_and_guarded() {
    let mut stage = Stage::new();
    let recovered = |n, finalized| Input::Recovered {
        recording: take(n),
        title: Some("Pilot".to_owned()),
        notes: Some("in the kitchen".to_owned()),
        started_by: None,
        length: Duration::from_secs(90),
        finalized,
    };
    assert_eq!(stage.give(recovered(1, true)), [Output::Changed]);
    stage.give(recovered(2, false));
    assert_eq!(stage.give(recovered(2, true)), [], "known already");
    let shown: Vec<_> = stage.state().finalizing.iter().map(|status| (status.state, status.elapsed_ms)).collect();
    assert_eq!(shown, [(RecordingState::Uploading, 90_000), (RecordingState::Finalizing, 90_000)]);
    assert_eq!(stage.state().finalizing[0].notes.as_deref(), Some("in the kitchen"));
    assert_eq!(code_of(stage.room.may_download(take(1))), Err(code::NOT_UPLOADED.to_owned()));
    stage.give(Input::Completed { recording: take(1) });
    assert_eq!(code_of(stage.room.may_download(take(1))), Ok(()));
}

#[test]
fn everyone_sees_the_elapsed_time_move_each_second() {
    let mut stage = Stage::new();
    stage.enter(1);
    stage.wait(0.25).command(member(1), start());
    let mut sequence = stage.state().sequence;
    for second in 1..=5 {
        assert_eq!(stage.run(1.0), [Output::Changed]);
        let state = stage.state();
        assert_eq!(state.current.map(|current| current.elapsed_ms), Some(second * 1_000));
        assert_eq!(state.sequence, sequence + 1);
        sequence = state.sequence;
    }
    let outputs = stage.wait(3.3).give(Input::Tick);
    assert_eq!(outputs, [Output::Changed], "a late driver renews once");
    assert_eq!(stage.room.next_deadline(), Some(at(9.25)), "and is back in step");
    stage.ask(member(1), Command::Stop).expect("it runs");
    assert_eq!(stage.run(100.0), []);
}

#[test]
fn status_tells_the_current_recording_and_those_on_their_way() {
    let (mut stage, old) = stopped();
    let (new, _) = stage.command(member(1), start());
    let answer = stage.wait(0.7).ask(passing(9), Command::Status);
    let Ok(Answer::Status { current, finalizing }) = answer else { panic!("{answer:?}") };
    let current = current.expect("it runs");
    assert_eq!((current.recording, current.elapsed_ms), (take(new), 700));
    assert_eq!(finalizing.iter().map(|status| status.recording).collect::<Vec<_>>(), [take(old)]);
}
