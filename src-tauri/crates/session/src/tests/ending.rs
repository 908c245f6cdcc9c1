//! L5: what ends a recording by itself, and the warnings ahead of it.

use roomtone_protocol::code;

use super::*;

const MIB: u64 = 1024 * 1024;

/// Journal and 24-bit file of one channel for a second, in bytes.
const CHANNEL_SECOND: u64 = 20_000 + 48_000 * 3;

fn limited(seconds: u64) -> Stage {
    let mut stage = Stage::with(Config { time_limit: Some(Duration::from_secs(seconds)), ..config() });
    stage.enter(1);
    stage
}

/// What is not a renewal, and when it came.
fn told(stage: &mut Stage, seconds: f64) -> Vec<(f64, Output)> {
    let until = stage.now + seconds;
    let mut told = Vec::new();
    while let Some(due) = stage.room.next_deadline().filter(|&due| due <= at(until)) {
        stage.now = due.0 as f64 / 1e9;
        told.extend(stage.give(Input::Tick).into_iter().map(|output| (stage.now, output)));
    }
    stage.now = until;
    told.retain(|(_, output)| *output != Output::Changed);
    told
}

fn of_limit(n: u8, left_s: u64) -> Output {
    Output::Warning { recording: take(n), warning: Warning::TimeLimit { left: Duration::from_secs(left_s) } }
}

fn of_disk(n: u8, left_s: u64) -> Output {
    Output::Warning { recording: take(n), warning: Warning::Disk { left: Duration::from_secs(left_s) } }
}

#[test]
fn the_time_limit_warns_and_ends_as_stop_does() {
    let mut stage = limited(3_600);
    let (n, _) = stage.wait(0.5).command(member(1), start());
    assert_eq!(stage.current().remaining_ms, Some(3_600_000));
    let expected = [(3_300.5, of_limit(n, 300)), (3_540.5, of_limit(n, 60)), (3_600.5, end(n, 3_600.5))];
    assert_eq!(told(&mut stage, 4_000.0), expected);
    assert_eq!(stage.life(n), Some(RecordingState::Finalizing));
    assert_eq!(stage.state().finalizing[0].elapsed_ms, 3_600_000);
    assert_eq!(stage.state().finalizing[0].remaining_ms, None);
}

#[test]
fn pauses_do_not_count_towards_the_limit() {
    let mut stage = limited(600);
    let (n, _) = stage.command(member(1), start());
    stage.run(290.0);
    stage.ask(member(1), Command::Pause).expect("it runs");
    assert_eq!(told(&mut stage, 10_000.0), []);
    assert_eq!(stage.current().remaining_ms, Some(310_000));
    stage.ask(member(1), Command::Resume).expect("it is paused");
    let expected = [(10_300.0, of_limit(n, 300)), (10_540.0, of_limit(n, 60)), (10_600.0, end(n, 10_600.0))];
    assert_eq!(told(&mut stage, 1_000.0), expected);
}

#[test]
fn a_short_limit_warns_only_of_what_lies_ahead() {
    let mut stage = limited(120);
    let (n, _) = stage.command(member(1), start());
    assert_eq!(told(&mut stage, 200.0), [(60.0, of_limit(n, 60)), (120.0, end(n, 120.0))]);
    let mut stage = limited(60);
    let (n, _) = stage.command(member(1), start());
    assert_eq!(told(&mut stage, 200.0), [(60.0, end(n, 60.0))]);
}

#[test]
fn a_late_driver_warns_once_and_ends_at_the_instant_that_was_due() {
    let mut stage = limited(600);
    let (n, _) = stage.command(member(1), start());
    let outputs = stage.wait(570.0).give(Input::Tick);
    assert_eq!(outputs, [of_limit(n, 30), Output::Changed]);
    let outputs = stage.wait(100.0).give(Input::Tick);
    assert_eq!(outputs, [end(n, 600.0), Output::Changed]);
}

#[test]
fn the_disk_is_forecast_from_the_channels() {
    let mut stage = Stage::new();
    stage.enter(1);
    assert_eq!(stage.state().disk_left_ms, None);
    let free_bytes = 64 * MIB + CHANNEL_SECOND * 7_199;
    assert_eq!(stage.give(Input::Disk { free_bytes }), [Output::Changed]);
    assert_eq!(stage.state().disk_left_ms, Some(119 * 60_000));
    stage.enter(2);
    assert_eq!(stage.state().disk_left_ms, Some(59 * 60_000));
    stage.command(member(1), start());
    assert_eq!(stage.give(Input::Disk { free_bytes: free_bytes - CHANNEL_SECOND }), [], "less than a minute less");
}

#[test]
fn a_disk_that_fills_up_warns_and_ends_the_recording() {
    let mut stage = Stage::new();
    stage.enter(1);
    let (n, _) = stage.command(member(1), start());
    let room_for = |seconds: u64| Input::Disk { free_bytes: 64 * MIB + CHANNEL_SECOND * seconds };
    assert_eq!(stage.give(room_for(1_801)), [Output::Changed]);
    assert_eq!(stage.give(room_for(1_800)), [of_disk(n, 1_800)]);
    assert_eq!(stage.give(room_for(1_799)), [Output::Changed], "once");
    assert_eq!(stage.give(room_for(299)), [of_disk(n, 299), Output::Changed]);
    assert_eq!(stage.give(room_for(1_000)), [Output::Changed]);
    assert_eq!(stage.give(room_for(298)), [Output::Changed]);
    let full = Output::Warning { recording: take(n), warning: Warning::DiskFull };
    assert_eq!(stage.wait(0.5).give(Input::Disk { free_bytes: 64 * MIB }), [end(n, 0.5), full, Output::Changed]);
    assert_eq!(stage.life(n), Some(RecordingState::Finalizing), "with all that was recorded");
    let why = stage.state().finalizing[0].failure.clone();
    assert!(why.is_some_and(|why| why.contains("disk filled up")), "everybody is told");
    assert_eq!(stage.ask(host(1), start()), refused(code::DISK_FULL));
    stage.give(room_for(3_600));
    assert_eq!(stage.ask(host(1), start()), Ok(Answer::Done));
}

#[test]
fn who_begins_on_a_scarce_disk_is_warned_at_once_and_by_every_channel_more() {
    let mut stage = Stage::new();
    stage.enter(1);
    stage.give(Input::Disk { free_bytes: 64 * MIB + CHANNEL_SECOND * 602 });
    let (n, outputs) = stage.command(member(1), start());
    assert!(outputs.contains(&of_disk(n, 602)), "{outputs:?}");
    assert!(!stage.enter(2).iter().any(|output| matches!(output, Output::Warning { .. })), "301 s");
    let mut stage = Stage::new();
    stage.enter(1);
    stage.give(Input::Disk { free_bytes: 64 * MIB + CHANNEL_SECOND * 598 });
    let (n, _) = stage.command(member(1), start());
    let outputs = stage.enter(2);
    assert!(outputs.contains(&of_disk(n, 299)), "{outputs:?}");
}
