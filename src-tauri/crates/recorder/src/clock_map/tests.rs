mod exactness;
mod hearing;
mod instants;

use proptest::prelude::*;

use super::simulation::{FIRST, Noise, Rate, Run, World, key, segment};
use super::*;
use crate::stretch::{ONE, StretchMap};

const SECOND: i64 = 1_000_000_000;

/// Sample for frame, with one origin: what is said anew of it changes nothing.
fn is_copied(stretches: &[MapStretch]) -> bool {
    let whole = stretches.iter().all(StretchMap::is_whole);
    whole && !stretches.is_empty() && stretches.windows(2).all(|pair| pair[1].goes_on_from(&pair[0]))
}

/// Where each stretch ends is exactly where the next one begins, in fixed point.
fn assert_continuous(stretches: &[MapStretch]) {
    for pair in stretches.windows(2) {
        let position = |stretch: &MapStretch| (i128::from(stretch.frame) << 32) + i128::from(stretch.fraction);
        let samples = i128::from(pair[1].from.0) - i128::from(pair[0].from.0);
        assert!(samples > 0, "{pair:?}");
        let end = position(&pair[0]) + samples * i128::from(pair[0].frames_per_sample);
        assert_eq!(end, position(&pair[1]), "{pair:?}");
    }
}

#[test]
fn a_recording_that_ends_is_decided_at_once_and_the_next_one_goes_on() {
    let device = Rate { ppm: -150.0, ..Rate::default() };
    let mut run = Run::new(World { seconds: 120, device, queue: 0.001, ..World::default() });
    (0..60).for_each(|second| run.second(second));
    let concluded = run.track.conclude(Some(ClockNs(58 * SECOND)));
    run.decided.extend(concluded);
    let decided_to = run.truth(run.track.decided_to(key(1, 0)).unwrap().0 as f64);
    assert!((58.0..58.3).contains(&decided_to), "{decided_to}");
    assert!(run.worst(0.0, 58.0) < 0.000_5, "{}", run.worst(0.0, 58.0));
    let first: Vec<MapStretch> = run.track.stretches().copied().collect();
    (60..120).for_each(|second| run.second(second));
    let both: Vec<MapStretch> = run.track.stretches().copied().collect();
    assert_eq!(both[..first.len()], first[..], "nothing is revised");
    assert!(both.len() > first.len());
    assert!(both[first.len()].from >= SampleIndex(run.sample_at(58.0) as u64), "the end is not touched");
    assert_continuous(&both);
    assert!(run.track.conclude(Some(ClockNs(58 * SECOND))).is_empty(), "a second time there is nothing to say");
}

#[test]
fn a_device_that_was_replaced_is_decided_to_its_end() {
    let mut run = Run::new(World { seconds: 110, device: Rate { ppm: 40.0, ..Rate::default() }, ..World::default() });
    (0..30).for_each(|second| run.second(second));
    let last = run.sample_at(30.3) as u64;
    let ahead = (-98_765.432_1 * 1e9) as i64;
    run.track.on_segment(&segment(key(1, 1), last, 31 * SECOND + ahead));
    for n in 31..110 {
        let decided = run.track.decided_to(key(1, 0));
        assert!(decided.is_none_or(|index| index.0 < u64::MAX) || n > 40);
        let (t0, t1) = (n * SECOND, n * SECOND + ahead + 10_000_000);
        let [t0, t1, t3] = [t0, t1, t0 + 20_000_000].map(ClockNs);
        run.track.on_exchange(&ClockExchange { epoch: WakeEpoch(1), t0, t1, t2: t1, t3 });
        let index = SampleIndex(last + 48_000 * (n - 31) as u64);
        run.track.on_anchor(&Anchor { segment: key(1, 1), index, at: ClockNs(n * SECOND + ahead) });
        run.decided.extend(run.track.decide().into_iter().filter(|stretch| stretch.segment == key(1, 0)));
    }
    assert_eq!(run.track.decided_to(key(1, 0)), Some(SampleIndex(u64::MAX)));
    assert!(run.error(last as f64).abs() < 0.000_2, "{}", run.error(last as f64));
    assert!(run.track.decided_to(key(1, 1)).unwrap().0 > last);
}

#[test]
fn a_restarted_recorder_keeps_decisions_and_goes_on() {
    let world = World { seconds: 200, device: Rate { ppm: 90.0, ..Rate::default() }, queue: 0.001, ..World::default() };
    let mut run = Run::new(world);
    (0..100).for_each(|second| run.second(second));
    let before: Vec<MapStretch> = run.track.stretches().copied().collect();
    let decided_to = run.track.decided_to(key(1, 0)).unwrap();
    // What a journal would have kept, in the order of a new one: segment, stretches, measurements.
    let mut again = Run::new(world);
    before.iter().for_each(|stretch| again.track.restore(&Record::MapStretch(*stretch)));
    (0..100).for_each(|second| again.measure(second));
    again.track.decide();
    assert!(again.track.decided_to(key(1, 0)).unwrap() >= decided_to);
    (100..200).for_each(|second| again.second(second));
    let after: Vec<MapStretch> = again.track.stretches().copied().collect();
    assert_eq!(after[..before.len()], before[..]);
    assert_continuous(&after);
    again.decided = after;
    assert!(again.worst(60.0, 180.0) < 0.000_3, "{}", again.worst(60.0, 180.0));
}

#[test]
fn what_an_older_recorder_decided_holds_for_all_that_it_had_seen() {
    let decided = MapStretch {
        segment: key(1, 0),
        from: SampleIndex(FIRST),
        frame: 42,
        fraction: 0,
        frames_per_sample: ONE,
        residual_ns: 1,
        uncertainty_ns: 2,
    };
    let mut run = Run::new(World { seconds: 60, ahead: 0.0, one_way: 0.0, ..World::default() });
    run.track.restore(&Record::MapStretch(decided));
    let run = run.all();
    assert_eq!(run.track.stretches().next(), Some(&decided));
    assert_continuous(&run.track.stretches().copied().collect::<Vec<_>>());
}

#[test]
fn an_old_journal_without_decisions_is_decided_from_all_of_it() {
    let device = Rate { ppm: 70.0, sine: (1.0, 3_000.0), ..Rate::default() };
    let mut run = Run::new(World { seconds: 3 * 3_600, device, queue: 0.001, late: 0.000_1, ..World::default() });
    (0..3 * 3_600).for_each(|second| run.measure(second));
    run.decided = run.track.conclude(None);
    assert_continuous(&run.decided);
    let worst = run.worst(60.0, 3.0 * 3_600.0);
    println!("{:.0} µs", worst * 1e6);
    assert!(worst < 0.000_3, "{worst}");
}

#[test]
fn a_microphone_beside_the_recorder_needs_one_exchange() {
    let mut clock = TrackClock::default();
    clock.on_segment(&segment(key(1, 0), 0, 5 * SECOND));
    let now = ClockNs(5 * SECOND);
    clock.on_exchange(&ClockExchange { epoch: WakeEpoch(1), t0: now, t1: now, t2: now, t3: now });
    for n in 1..80 {
        let at = ClockNs(5 * SECOND + n * (SECOND + 100_000));
        clock.on_anchor(&Anchor { segment: key(1, 0), index: SampleIndex(48_000 * n as u64), at });
        clock.decide();
    }
    let decided: Vec<MapStretch> = clock.stretches().copied().collect();
    assert_continuous(&decided);
    let frame = super::simulation::frame(&decided, 40.0 * 48_000.0);
    assert!((frame / 48_000.0 - 5.0 - 40.004).abs() < 20e-6, "{frame}");
    assert!(clock.decided_to(key(1, 0)).unwrap().0 > 40 * 48_000);
}

#[test]
fn without_an_exchange_there_is_no_map_and_no_instant() {
    let mut clock = TrackClock::default();
    clock.on_segment(&segment(key(1, 0), 0, 0));
    assert_eq!((clock.decide(), clock.conclude(None)), (Vec::new(), Vec::new()));
    assert_eq!(clock.decided_to(key(1, 0)), None);
    assert_eq!(clock.to_participant(ClockNs(5)), None);
}

#[test]
fn a_segment_that_lasted_no_second_has_a_map() {
    let mut clock = TrackClock::default();
    clock.on_segment(&segment(key(1, 0), 1_000, 7 * SECOND));
    let exchange = ClockExchange {
        epoch: WakeEpoch(1),
        t0: ClockNs(7 * SECOND),
        t1: ClockNs(7 * SECOND + 200),
        t2: ClockNs(7 * SECOND + 200),
        t3: ClockNs(7 * SECOND + 400),
    };
    clock.on_exchange(&exchange);
    assert!(clock.conclude(Some(ClockNs(6 * SECOND))).is_empty(), "the recording had ended before");
    let decided = clock.conclude(Some(ClockNs(8 * SECOND)));
    assert!(is_copied(&decided), "{decided:?}");
    assert_eq!((decided[0].from, decided[0].frame), (SampleIndex(1_000), 7 * 48_000));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_measurement_can_make_a_map_jump_or_lose_a_sample(
        captured_at in prop_oneof![any::<i64>(), -SECOND..SECOND],
        events in prop::collection::vec(
            (0u8..6, any::<[i64; 4]>(), 0i64..100 * SECOND, any::<u64>(), -40_000_000i64..40_000_000),
            1..120,
        ),
    ) {
        let first = 1_000u64;
        let mut clock = TrackClock::default();
        clock.on_segment(&segment(key(1, 0), first, captured_at));
        let mut told = Vec::new();
        let mut second = 0i64;
        for (kind, wild, plausible, index, off) in events {
            second += 1;
            match kind {
                0 => {
                    let [t0, t1, t2, t3] = wild.map(ClockNs);
                    clock.on_exchange(&ClockExchange { epoch: WakeEpoch(1), t0, t1, t2, t3 });
                }
                1 => {
                    let index = SampleIndex(index);
                    clock.on_anchor(&Anchor { segment: key(1, 0), index, at: ClockNs(wild[0]) });
                }
                2 | 3 => {
                    let (t0, t1) = (second * SECOND, captured_at.saturating_add(plausible));
                    let [t0, t1, t3] = [t0, t1, t0 + off.abs()].map(ClockNs);
                    clock.on_exchange(&ClockExchange { epoch: WakeEpoch(1), t0, t1, t2: t1, t3 });
                }
                _ => {
                    let index = SampleIndex(first + 48_000 * second.unsigned_abs());
                    let at = captured_at.saturating_add(second * SECOND).saturating_add(off * second % 1_000_000_000);
                    clock.on_anchor(&Anchor { segment: key(1, 0), index, at: ClockNs(at) });
                }
            }
            if kind == 5 { told.extend(clock.decide()); }
        }
        told.extend(clock.conclude(Some(ClockNs(50 * SECOND))));
        told.extend(clock.conclude(None));
        let decided: Vec<MapStretch> = clock.stretches().copied().collect();
        prop_assert_eq!(&told, &decided);
        assert_continuous(&decided);
        for stretch in &decided {
            let ppm = (stretch.frames_per_sample as f64 / ONE as f64 - 1.0) * 1e6;
            prop_assert!(ppm.abs() < 12_101.0, "{} ppm", ppm);
        }
        // The frames of a stretch begin where those of the one before end, and each shows a sample of its own.
        for pair in decided.windows(2) {
            let seam = pair[1].frame_of(pair[1].from);
            let (before, behind) = (pair[0].position_of(TimelineFrame(seam.0 - 1)), pair[1].position_of(seam));
            let passed = i128::from(behind.index - before.index) << 32;
            let passed = passed + i128::from(behind.fraction) - i128::from(before.fraction);
            prop_assert!((0.98..1.02).contains(&(passed as f64 / ONE as f64)), "{:?}", pair);
        }
        if let Some(start) = decided.first() {
            prop_assert_eq!(start.from, SampleIndex(first));
        }
    }
}
