//! Who is there, who is not, and who may be back.

use super::*;

#[test]
fn who_left_and_is_back_at_the_door_is_waited_for() {
    for back in [false, true] {
        let mut room = Stage::with_ada();
        room.say(segment());
        room.ask(Command::Start { title: None, notes: None });
        room.tell(Input::JournalOpen { recording: TAKE });
        room.say(ToRecorder::Leave);
        room.tell(Input::LinkClosed { participant: ADA });
        if back {
            room.tell(Input::Member { participant: ADA, change: MemberChange::Joined });
        }
        let (id, drain) = (CommandId::from_bytes([77; 16]), Duration::ZERO);
        room.tell(Input::Shutdown { drain, stop: Some((id, TAKE)) });
        let made = |outputs: &[Output]| outputs.iter().any(|output| matches!(output, Output::Finalize { .. }));
        assert_eq!(made(&room.after(1_000)), !back, "what was said since the return lies in a spool");
        assert_eq!(made(&room.after(12_000)), back);
    }
}
