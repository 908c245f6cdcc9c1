//! Saying that nothing more comes.

use super::*;

#[test]
fn only_while_nothing_can_deliver_is_it_said_that_all_has_been_told() {
    let quiet = |rig: &Rig| {
        let until = |e: &CaptureEvent| if let CaptureEvent::Quiet { until } = e { Some(until.0 / MS) } else { None };
        rig.events.iter().filter_map(until).collect::<Vec<_>>()
    };
    let mut rig = Rig::new(identity("stalls", 48_000));
    rig.run(5_000);
    rig.script(|system| {
        system.streams[0].flows = false;
        system.refuses = Some(CaptureError::NoDefault);
    });
    rig.run(1_500);
    assert!(quiet(&rig).is_empty(), "it may go on at any moment");
    rig.run(3_500);
    let told = quiet(&rig);
    assert!((2..=4).contains(&told.len()), "{told:?}");
    assert!(told.iter().all(|until| (5_000..=9_000).contains(until)), "{told:?}");
    // One is being opened, and delivers before anybody knows.
    rig.script(|system| system.hangs = true);
    rig.run(2_000);
    rig.events.clear();
    rig.run(5_000);
    assert!(quiet(&rig).is_empty());
}
