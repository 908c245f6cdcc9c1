//! What channels lack is told while it happens.

use roomtone_protocol::channel::Hole;
use roomtone_protocol::metadata::GapCause;

use super::*;

fn gaps(outputs: &[Output]) -> Vec<(GapCause, u64)> {
    let gap = |output: &Output| match output {
        Output::Event(HostEvent::Gap { recording: TAKE, participant: ADA, cause, missing_ms }) => {
            Some((*cause, *missing_ms))
        }
        _ => None,
    };
    outputs.iter().filter_map(gap).collect()
}

/// Ada is recorded, and her first second has come.
fn recorded() -> Stage {
    let mut stage = Stage::with_ada();
    stage.ask(Command::Start { title: None, notes: None });
    stage.say(segment());
    for packet in 0..50 {
        stage.tell(Input::Media { from: ADA, timestamp: packet * 960, opus: opus() });
    }
    stage.say(holds(48_000, false));
    assert_eq!(gaps(&stage.after(1_000)), []);
    stage
}

fn bring(stage: &mut Stage, packets: std::ops::Range<u64>) {
    let mut records = Vec::new();
    for n in packets {
        let packet = Packet { segment: SEGMENT, index: SampleIndex(n * 960), samples: 960, opus: opus() };
        encode(&Record::Packet(packet), &mut records);
    }
    stage.tell(Input::Bulk { from: ADA, records });
}

#[test]
fn what_somebody_holds_and_has_not_come_is_told_and_that_it_has_come() {
    let mut stage = recorded();
    stage.say(holds(4 * 48_000, false));
    // The newest half second may still be on its way.
    assert_eq!(gaps(&stage.after(1_000)), [(GapCause::Network, 2_500)]);
    stage.say(holds(4 * 48_000, false));
    assert_eq!(gaps(&stage.after(1_000)), [], "it is told once");
    bring(&mut stage, 50..200);
    stage.say(holds(4 * 48_000, false));
    assert_eq!(gaps(&stage.after(1_000)), [(GapCause::Network, 0)]);
}

#[test]
fn who_cannot_be_heard_lacks_more_with_every_second_unless_the_recording_is_paused() {
    let mut stage = recorded();
    stage.tell(Input::LinkClosed { participant: ADA });
    assert_eq!(gaps(&stage.after(1_500)), []);
    assert_eq!(gaps(&stage.after(1_000)), [(GapCause::Network, 3_500)]);
    assert_eq!(gaps(&stage.after(2_000)), [(GapCause::Network, 5_500)]);
    let (role, epoch) = (Role::Participant, WakeEpoch(1));
    stage.tell(Input::Linked(Peer { participant: ADA, role, host: false, passing: false, epoch, name: None }));
    bring(&mut stage, 50..325);
    stage.say(holds(325 * 960, false));
    assert_eq!(gaps(&stage.after(1_000)), [(GapCause::Network, 0)]);
    stage.ask(Command::Pause);
    stage.tell(Input::LinkClosed { participant: ADA });
    assert_eq!(gaps(&stage.after(60_000)), []);
}

#[test]
fn who_said_goodbye_or_has_nothing_more_to_say_lacks_nothing() {
    let mut stage = recorded();
    stage.say(holds(48_000, true));
    assert_eq!(gaps(&stage.after(60_000)), [], "a file that is over, whose program stays");
    let mut stage = recorded();
    stage.say(ToRecorder::Leave);
    stage.tell(Input::LinkClosed { participant: ADA });
    assert_eq!(gaps(&stage.after(60_000)), []);
}

#[test]
fn what_a_device_never_delivered_is_told_with_its_cause() {
    let mut stage = recorded();
    let hole = Hole { range: range(48_000, 48_000 + 96), cause: GapCause::CaptureStall };
    let held = vec![range(0, 48_000)];
    let inventory = Inventory { recording: TAKE, held, holes: vec![hole], complete: false };
    stage.say(ToRecorder::Inventory(inventory.clone()));
    assert_eq!(gaps(&stage.after(1_000)), [(GapCause::CaptureStall, 2)]);
    stage.say(ToRecorder::Inventory(inventory));
    assert_eq!(gaps(&stage.after(1_000)), []);
}
