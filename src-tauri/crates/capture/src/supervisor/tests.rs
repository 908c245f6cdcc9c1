use super::*;

const fn at(ms: i64) -> ClockNs {
    ClockNs(ms * MS)
}

/// A supervisor with a live stream since 0.
fn live() -> Supervisor {
    let mut supervisor = Supervisor::new(at(0));
    assert_eq!(supervisor.step(at(0)), [Order::Open]);
    supervisor.opened(at(0));
    supervisor.proved(at(0));
    supervisor
}

/// Steps every 20 ms while `each` says so; the orders with their time in milliseconds.
fn run(
    supervisor: &mut Supervisor,
    from: i64,
    to: i64,
    mut each: impl FnMut(&mut Supervisor, i64),
) -> Vec<(i64, Order)> {
    let mut orders = Vec::new();
    for ms in (from..to).step_by(20) {
        each(supervisor, ms);
        orders.extend(supervisor.step(at(ms)).into_iter().map(|order| (ms, order)));
    }
    orders
}

#[test]
fn two_seconds_without_a_call_are_a_stall() {
    let mut supervisor = live();
    let orders = run(&mut supervisor, 20, 2_100, |_, _| {});
    let stalled = Order::Report(DeviceProblem::Stalled);
    assert_eq!(orders, [(2_000, Order::DropLive), (2_000, stalled), (2_000, Order::Open)]);
    assert_eq!(supervisor.cause(), Some(GapCause::CaptureStall));
}

#[test]
fn a_second_without_a_call_is_forgiven() {
    let mut supervisor = live();
    let deliver = |supervisor: &mut Supervisor, ms: i64| {
        if ms % 1_500 == 0 {
            supervisor.delivered(at(ms));
        }
        if ms % 3_000 == 100 {
            supervisor.identified(at(ms));
        }
    };
    let orders = run(&mut supervisor, 20, 20_000, deliver);
    assert!(orders.iter().all(|(_, order)| *order == Order::Identify), "{orders:?}");
}

#[test]
fn a_worker_that_slept_blames_nobody() {
    let mut supervisor = live();
    supervisor.delivered(at(10));
    assert!(!supervisor.step(at(60_000)).contains(&Order::DropLive));
    assert!(run(&mut supervisor, 60_020, 62_200, |_, _| {}).iter().any(|(_, order)| *order == Order::DropLive));
}

#[test]
fn attempts_back_off_from_a_quarter_second_to_thirty() {
    let mut supervisor = Supervisor::new(at(0));
    let mut opened = Vec::new();
    for ms in (0..200_000).step_by(10) {
        if supervisor.step(at(ms)).contains(&Order::Open) {
            opened.push(ms);
            let order = supervisor.failed_to_open(at(ms), CaptureError::NoDefault);
            assert_eq!(order.is_some(), opened.len() == 1, "people are told once");
        }
    }
    let pauses: Vec<_> = opened.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses[..9], [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
}

#[test]
fn a_sound_system_that_hangs_is_given_up() {
    let mut supervisor = Supervisor::new(at(0));
    let orders = run(&mut supervisor, 0, 10_100, |_, _| {});
    assert_eq!(orders[..2], [(0, Order::Open), (10_000, Order::GiveUp)]);

    let mut supervisor = live();
    let orders = run(&mut supervisor, 20, 13_100, |supervisor, ms| supervisor.delivered(at(ms)));
    assert_eq!(orders, [(3_000, Order::Identify), (13_000, Order::GiveUp)]);
}

#[test]
fn a_stream_that_never_delivers_is_dropped() {
    let mut supervisor = Supervisor::new(at(0));
    supervisor.step(at(0));
    supervisor.opened(at(10));
    let orders = run(&mut supervisor, 20, 4_400, |_, _| {});
    assert_eq!(orders[0].1, Order::DropCandidate);
    assert_eq!(orders.last().map(|(_, order)| order), Some(&Order::Open));
}

#[test]
fn a_change_keeps_the_old_stream_until_the_new_one_delivers() {
    let mut supervisor = live();
    supervisor.delivered(at(20));
    assert_eq!(run(&mut supervisor, 2_980, 3_020, |s, ms| s.delivered(at(ms))), [(3_000, Order::Identify)]);
    supervisor.changed(at(3_020));
    assert_eq!(supervisor.step(at(3_040)), [Order::Open]);
    assert_eq!(supervisor.cause(), Some(GapCause::DeviceChange));
    // It cannot be opened: nobody is alarmed, and it is tried again.
    assert_eq!(supervisor.failed_to_open(at(3_060), CaptureError::NoDefault), None);
    let orders = run(&mut supervisor, 3_080, 3_400, |s, ms| s.delivered(at(ms)));
    assert_eq!(orders, [(3_320, Order::Open)]);
    supervisor.opened(at(3_400));
    supervisor.proved(at(3_500));
    assert_eq!(supervisor.cause(), None);
}

#[test]
fn an_error_drops_the_stream_and_waits_for_things_to_settle() {
    let mut supervisor = live();
    supervisor.delivered(at(50));
    let orders = supervisor.failed(at(60), CaptureError::NoDefault);
    assert_eq!(orders[0], Order::DropLive);
    assert_eq!(run(&mut supervisor, 60, 400, |_, _| {}), [(320, Order::Open)]);
}

#[test]
fn a_device_that_keeps_dying_is_not_opened_in_a_tight_loop() {
    let mut supervisor = Supervisor::new(at(0));
    let mut opened = Vec::new();
    for ms in (0..60_000).step_by(10) {
        if supervisor.step(at(ms)).contains(&Order::Open) {
            opened.push(ms);
            supervisor.opened(at(ms));
            supervisor.proved(at(ms));
            supervisor.failed(at(ms), CaptureError::NoDefault);
        }
    }
    assert!(opened.len() < 12, "{opened:?}");
}
