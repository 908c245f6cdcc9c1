//! Nobody can make a room grow without end, nor its state too long to be sent.

use roomtone_protocol::channel::MAX_NAME_CHARS;
use roomtone_protocol::signal::{MAX_MESSAGE_BYTES, ServerMessage};

use super::*;
use crate::{MAX_CHANNELS, MAX_MARKERS, MAX_NOTES_CHARS, MAX_PAUSES, MAX_TITLE_CHARS};

fn stranger(n: u32) -> ParticipantId {
    ParticipantId::from_bytes((u128::from(n) << 8).to_be_bytes())
}

fn arrive(n: u32, name: Option<&str>) -> Input {
    let name = name.map(str::to_owned);
    Input::Entered { participant: stranger(n), role: Role::Participant, host: false, name, microphone: true }
}

fn message_bytes(state: RoomState) -> usize {
    serde_json::to_vec(&ServerMessage::State { state }).expect("it serialises").len()
}

#[test]
fn people_who_left_are_forgotten_oldest_first() {
    let mut stage = Stage::new();
    stage.enter(1);
    for n in 0..1_000 {
        stage.give(arrive(n, None));
        stage.give(Input::Left { participant: stranger(n) });
    }
    let state = stage.state();
    assert!(state.people.len() <= 256, "{}", state.people.len());
    assert_eq!(state.people[0].participant, who(1), "who is present stays");
    assert_eq!(state.people.last().map(|person| person.participant), Some(stranger(999)));
    assert_eq!(state.people.last().map(|person| person.label.as_str()), Some("Guest 1001"));
    assert!(message_bytes(state) < MAX_MESSAGE_BYTES);
}

#[test]
fn people_who_vanish_are_forgotten_too_but_not_their_channels() {
    let mut stage = Stage::new();
    stage.enter(1);
    stage.leave(1);
    for n in 0..300 {
        stage.give(arrive(n, None));
        stage.give(Input::Presence { participant: stranger(n), path: Path::Link, up: false });
    }
    assert!(stage.state().person(who(1)).is_none(), "who left goes first");
    assert!(stage.state().people.len() <= 256);
    stage.enter(2);
    stage.command(member(2), start());
    for n in 1_000..1_600 {
        stage.give(arrive(n, None));
        stage.give(Input::Left { participant: stranger(n) });
    }
    let state = stage.state();
    assert!(state.people.iter().all(|person| person.channel.is_some()));
    assert_eq!(state.people.len(), MAX_CHANNELS);
}

#[test]
fn channels_stay_through_a_crowd_whose_names_are_too_long_to_be_shown() {
    let mut stage = Stage::new();
    stage.enter(1);
    let (n, _) = stage.command(member(1), start());
    let name = "𝄞".repeat(MAX_NAME_CHARS);
    for n in 0..200 {
        stage.give(arrive(n, Some(&name)));
        stage.give(Input::Presence { participant: stranger(n), path: Path::Link, up: false });
    }
    let state = stage.state();
    assert_eq!(state.people[0].participant, who(1), "who is present is shown");
    let bytes = message_bytes(state);
    assert!(bytes < MAX_MESSAGE_BYTES, "{bytes} bytes");
    let outputs = stage.give(arrive(0, Some(&name)));
    let back = Output::Person { participant: stranger(0), change: PersonChange::Returned };
    assert_eq!(outputs, [back, Output::Changed]);
    let state = stage.state();
    assert_eq!(state.person(stranger(0)).and_then(|person| person.channel), Some(1));
    assert_eq!(state.current.map(|current| current.recording), Some(take(n)));
}

#[test]
fn long_names_and_titles_cannot_make_the_state_too_long() {
    let mut stage = Stage::new();
    stage.enter(1);
    let name = "\"".repeat(MAX_NAME_CHARS);
    for n in 0..300 {
        stage.give(arrive(n, Some(&name)));
        stage.give(Input::Left { participant: stranger(n) });
    }
    let title = "𝄞".repeat(MAX_TITLE_CHARS);
    let notes = "𝄞".repeat(MAX_NOTES_CHARS);
    let start = || Command::Start { title: Some(title.clone()), notes: Some(notes.clone()) };
    for _ in 0..200 {
        let (n, _) = stage.command(member(1), start());
        let reason = "\\".repeat(1_000);
        stage.give(Input::Failed { recording: take(n), reason, hint: String::new() });
    }
    stage.command(member(1), start());
    let state = stage.state();
    assert!(state.current.is_some());
    assert_eq!(state.finalizing.last().map(|status| status.recording), Some(take(200)), "the newest are shown");
    let bytes = message_bytes(state);
    assert!(bytes < MAX_MESSAGE_BYTES, "{bytes} bytes");
    let known = (1..=200).filter(|&n| stage.life(n).is_some()).count();
    assert_eq!(known, 200, "what is not shown is known all the same");
}

#[test]
fn markers_and_pauses_of_a_recording_are_counted() {
    let mut stage = Stage::new();
    stage.enter(1);
    stage.command(member(1), start());
    let mut give = |n: u32, command: &Command| {
        let id = CommandId::from_bytes(u128::from(n).to_be_bytes());
        let fresh = take(250);
        let command = command.clone();
        let outputs = stage.give(Input::Command { caller: member(1), id, based_on: None, command, fresh });
        outputs.into_iter().find_map(|output| match output {
            Output::Reply { result, .. } => Some(result.map_err(|error| error.code)),
            _ => None,
        })
    };
    let mark = Command::Mark { text: "here".to_owned() };
    for n in 0..MAX_MARKERS {
        assert_eq!(give(1_000_000 + n, &mark), Some(Ok(Answer::Done)));
    }
    assert_eq!(give(2_000_000, &mark), Some(refused("limit_reached")));
    for n in 0..MAX_PAUSES {
        assert_eq!(give(3_000_000 + 2 * n, &Command::Pause), Some(Ok(Answer::Done)));
        assert_eq!(give(3_000_001 + 2 * n, &Command::Resume), Some(Ok(Answer::Done)));
    }
    assert_eq!(give(4_000_000, &Command::Pause), Some(refused("limit_reached")), "it goes on recording");
}
