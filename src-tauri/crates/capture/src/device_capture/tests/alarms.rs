//! What people are told, and how soon.

use super::*;

#[test]
fn exact_zeros_are_told_within_five_seconds_and_answered_with_a_new_stream_ever_less_often() {
    let mut rig = Rig::new(identity("mute switch", 48_000));
    rig.run(2_000);
    rig.hear(&[0.0]);
    assert!(rig.until_alarm(AlarmKind::SilentMic, true) < 5_000);
    let mut opened = Vec::new();
    for second in 0..120 {
        rig.run(1_000);
        if rig.opened() > opened.len() + 1 {
            opened.push(second);
        }
    }
    let pauses: Vec<_> = opened.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(opened[0] <= 1 && pauses.windows(2).all(|pair| pair[0] <= pair[1]), "{opened:?}");
    assert!((5..9).contains(&opened.len()), "{opened:?}");
    assert_eq!(rig.segments().len(), 1, "as long as none of them hears anything, the first one stays");
    rig.hear(&[0.25]);
    assert!(rig.until_alarm(AlarmKind::SilentMic, false) < 100);
    rig.run(10_000);
    rig.check();
    assert_eq!(rig.alarms(), [(AlarmKind::SilentMic, true), (AlarmKind::SilentMic, false)]);
    assert_eq!((rig.segments().len(), rig.holes().len()), (1, 0));
    let open = |stream: &&Stream| !*stream.closed.lock().unwrap();
    let deadline = roomtone_clock::now().0 + 30_000_000_000;
    // Streams are closed on threads of their own.
    while rig.system.0.lock().unwrap().streams.iter().filter(open).count() > 1 {
        assert!(roomtone_clock::now().0 < deadline, "streams that were tried are closed");
        std::thread::yield_now();
    }
}

#[test]
fn a_stream_opened_again_that_hears_something_takes_the_place_of_the_silent_one() {
    let mut rig = Rig::new(identity("taken by a call", 48_000));
    rig.run(5_000);
    rig.script(|system| system.streams[0].sound = vec![0.0]);
    rig.until_alarm(AlarmKind::SilentMic, true);
    rig.until_alarm(AlarmKind::SilentMic, false);
    rig.run(2_000);
    rig.check();
    assert_eq!((rig.opened(), rig.segments().len(), rig.holes().len()), (2, 2, 0));
    assert_eq!(rig.segments()[1].cause, Some(GapCause::CaptureStall));
}

#[test]
fn zeros_since_the_start_are_a_denied_permission_where_the_system_hides_it() {
    for (hides_denial, kind) in [(true, AlarmKind::PermissionDenied), (false, AlarmKind::SilentMic)] {
        let mut rig = Rig::new(identity("denied", 48_000));
        rig.script(|system| system.hides_denial = hides_denial);
        rig.hear(&[0.0]);
        rig.run(20);
        assert!(rig.until_alarm(kind, true) < 5_000);
        rig.hear(&[0.25]);
        rig.until_alarm(kind, false);
    }
}

#[test]
fn a_permission_that_is_taken_away_has_an_alarm_of_its_own() {
    let mut rig = Rig::new(identity("mic", 48_000));
    rig.run(5_000);
    let denied = CaptureError::Denied { reason: "0x80070005".to_owned() };
    rig.script(|system| {
        system.streams[0].failure.set(CaptureError::Device { reason: "invalidated".to_owned() }).unwrap();
        system.refuses = Some(denied.clone());
    });
    assert!(rig.until_alarm(AlarmKind::PermissionDenied, true) < 5_000);
    rig.run(20_000);
    assert!(denied.hint().contains("privacy settings"));
    rig.script(|system| system.refuses = None);
    rig.until_alarm(AlarmKind::PermissionDenied, false);
    rig.run(2_000);
    rig.check();
    let kinds: Vec<_> = rig.alarms();
    assert_eq!(
        kinds,
        [
            (AlarmKind::DeviceLost, true),
            (AlarmKind::DeviceLost, false),
            (AlarmKind::PermissionDenied, true),
            (AlarmKind::PermissionDenied, false)
        ],
        "told once each"
    );
}

#[test]
fn clipping_is_told_within_five_seconds_and_ends() {
    let mut rig = Rig::new(identity("hot", 48_000));
    rig.run(2_000);
    // A square wave of full scale.
    let square: Vec<f32> = (0..240).map(|n| if n < 120 { 1.0 } else { -1.0 }).collect();
    rig.hear(&square);
    assert!(rig.until_alarm(AlarmKind::Clipping, true) < 5_000);
    rig.hear(&square.iter().map(|sample| sample * 0.7).collect::<Vec<_>>());
    rig.until_alarm(AlarmKind::Clipping, false);
    assert_eq!(rig.problems(), [None, Some(DeviceProblem::Clipping), None]);
    assert_eq!(rig.segments().len(), 1);
}

#[test]
fn a_voice_mode_that_takes_the_level_away_is_told() {
    let mut rig = Rig::new(identity("gated", 48_000));
    rig.run(30_000);
    rig.hear(&[0.01]);
    assert!(rig.until_alarm(AlarmKind::QuietMic, true) < 9_000);
    rig.hear(&[0.25]);
    rig.until_alarm(AlarmKind::QuietMic, false);
    assert_eq!(rig.segments().len(), 1);
}

#[test]
fn callbacks_that_stop_without_an_error_are_told_within_five_seconds() {
    let mut rig = Rig::new(identity("unlinked node", 48_000));
    rig.run(5_000);
    rig.script(|system| {
        system.streams[0].flows = false;
        system.refuses = Some(CaptureError::NoDefault);
    });
    assert!(rig.until_alarm(AlarmKind::StalledCapture, true) < 5_000);
    rig.script(|system| system.refuses = None);
    rig.until_alarm(AlarmKind::StalledCapture, false);
    rig.check();
}

#[test]
fn a_microphone_that_is_plugged_in_again_goes_on_behind_a_hole_of_the_true_length() {
    let mut rig = Rig::new(identity("usb", 48_000));
    rig.run(5_000);
    rig.script(|system| {
        system.streams[0].flows = false;
        system.streams[0].failure.set(CaptureError::Device { reason: "gone".to_owned() }).unwrap();
        system.refuses = Some(CaptureError::NoDefault);
    });
    assert!(rig.until_alarm(AlarmKind::DeviceLost, true) < 5_000);
    rig.run(20_000);
    rig.script(|system| system.refuses = None);
    rig.until_alarm(AlarmKind::DeviceLost, false);
    rig.run(2_000);
    rig.check();
    let (segments, holes) = (rig.segments(), rig.holes());
    assert_eq!((segments.len(), holes.len(), holes[0].cause), (2, 1, GapCause::DeviceChange));
    let missing = (holes[0].range.to.0 - holes[0].range.from.0).cast_signed() / 48;
    assert!((missing - (segments[1].captured_at.0 / MS - 5_000)).abs() <= 1, "{missing} ms");
}
