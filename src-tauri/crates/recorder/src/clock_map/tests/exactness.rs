//! How near to the truth maps lie, and that they say so.

use super::*;

#[test]
fn a_perfect_path_is_exact_to_the_frame() {
    for ahead in [0.0, 1e-9, -3_600.0, 0.987_654_321] {
        let run = Run::new(World { ahead, one_way: 0.0, ..World::default() }).all();
        assert!(is_copied(&run.decided), "{:?}", run.decided);
        assert_eq!((run.decided[0].from, run.decided[0].frame), (SampleIndex(FIRST), 0), "{ahead}");
    }
}

#[test]
fn four_hours_of_drift_and_wander_stay_aligned() {
    for (seed, ppm) in [(1, 100.0), (2, -100.0), (3, 0.0), (4, 37.0)] {
        let run = Run::new(World {
            seed,
            seconds: 4 * 3_600,
            device: Rate { ppm, sine: (2.0, 1_300.0), walk: 0.03 },
            clock: Rate { ppm: -ppm / 3.0, sine: (1.0, 4_000.0), walk: 0.02 },
            queue: 0.002,
            late: 0.000_1,
            very_late_every: 23,
            ..World::default()
        })
        .all();
        assert_continuous(&run.decided);
        let (start, rest) = (run.worst(0.0, 60.0), run.worst(60.0, 4.0 * 3_600.0));
        println!("seed {seed}, {ppm} ppm: start {:.0} µs, rest {:.0} µs", start * 1e6, rest * 1e6);
        assert!(start < 0.002, "seed {seed}: {start} s at the start");
        // One that drifts so little is taken for nominal until the queues can no longer explain what is seen.
        assert!(rest < if ppm == 0.0 { 0.000_7 } else { 0.000_3 }, "seed {seed}: {rest} s");
        assert!(run.decided.len() < 3_000, "{}", run.decided.len());
    }
}

#[test]
fn a_bad_path_and_a_sound_server_that_jitters_stay_under_a_millisecond() {
    let run = Run::new(World {
        seconds: 3_600,
        device: Rate { ppm: 60.0, sine: (1.0, 1_800.0), walk: 0.02 },
        one_way: 0.030,
        queue: 0.004,
        late: 0.000_3,
        very_late_every: 7,
        ..World::default()
    })
    .all();
    let (start, rest) = (run.worst(0.0, 60.0), run.worst(60.0, 3_600.0));
    println!("start {:.0} µs, rest {:.0} µs", start * 1e6, rest * 1e6);
    assert!(start < 0.002 && rest < 0.001, "{start} {rest}");
    let last = run.decided.last().unwrap();
    // Half of an empty round trip, and what queues leave open.
    assert!((30_000_000..36_000_000).contains(&last.uncertainty_ns), "{last:?}");
    assert!((200_000..5_000_000).contains(&last.residual_ns), "{last:?}");
}

#[test]
fn skews_up_to_a_thousand_ppm_are_followed_from_the_start() {
    for ppm in [-1_000.0, -300.0, 12.0, 1_000.0] {
        let device = Rate { ppm, ..Rate::default() };
        let run = Run::new(World { seconds: 600, device, queue: 0.001, late: 0.000_1, ..World::default() }).all();
        assert_continuous(&run.decided);
        let (start, rest) = (run.worst(0.0, 60.0), run.worst(60.0, 600.0));
        println!("{ppm} ppm: start {:.0} µs, rest {:.0} µs", start * 1e6, rest * 1e6);
        let limit = if ppm == 12.0 { 0.000_7 } else { 0.000_3 };
        assert!(start < 0.001 && rest < limit, "{ppm} ppm: {start} {rest}");
    }
}

#[test]
fn a_nominal_device_is_copied_whatever_its_exchanges_went_through() {
    for seed in 0..40 {
        for queue in [20e-6, 100e-6, 200e-6, 2e-3] {
            let world = World { seed, seconds: 900, one_way: 40e-6, queue, ..World::default() };
            let run = Run::new(world).all();
            // Milliseconds of queues may put the beginning wrong. One shift, and it is copied again.
            let last = run.decided.last().unwrap();
            let shifts = run.decided.iter().filter(|stretch| !stretch.is_whole()).count();
            let is_right = is_copied(&run.decided) || queue > 1e-3 && shifts == 1 && last.is_whole();
            assert!(is_right, "seed {seed}, {queue} s: {:?}", run.decided);
            assert!(run.decided.len() < 20, "seed {seed}, {queue} s: it is said {} times", run.decided.len());
            let error = run.worst(0.0, 900.0);
            assert!(error < 0.5 * queue.max(100e-6), "seed {seed}, {queue} s: {error} s");
        }
    }
}

#[test]
fn load_that_comes_and_goes_moves_no_nominal_device() {
    for seed in 0..20 {
        let world = World { seed, seconds: 1, one_way: 40e-6, ..World::default() };
        let mut track = Run::new(world).track;
        let mut noise = Noise(seed);
        for n in 0..1_200 {
            // For minutes answers wait for the processor by milliseconds, and only at one end.
            let busy = if n / 120 % 2 == 1 { 3e6 } else { 30e3 };
            let t0 = n * SECOND;
            let t1 = t0 + 40_000 + (busy * noise.exponential()) as i64;
            let t3 = t1 + 40_000 + (30e3 * noise.exponential()) as i64;
            let ahead = (world.ahead * 1e9) as i64;
            let [t1, t2] = [t1 + ahead, t1 + ahead];
            let [t0, t1, t2, t3] = [t0, t1, t2, t3].map(ClockNs);
            track.on_exchange(&ClockExchange { epoch: WakeEpoch(1), t0, t1, t2, t3 });
            let index = SampleIndex(FIRST + 48_000 * n as u64);
            track.on_anchor(&Anchor { segment: key(1, 0), index, at: ClockNs(n * SECOND + ahead) });
            track.decide();
        }
        let decided: Vec<MapStretch> = track.stretches().copied().collect();
        assert!(is_copied(&decided), "seed {seed}: {decided:?}");
        assert!(decided[0].frame.abs() <= 5, "seed {seed}: {decided:?}");
    }
}

#[test]
fn one_part_per_million_is_not_overlooked() {
    for ppm in [1.0, -1.0, 3.0] {
        let device = Rate { ppm, ..Rate::default() };
        let world = World { seconds: 2 * 3_600, device, one_way: 1e-3, queue: 100e-6, ..World::default() };
        let run = Run::new(world).all();
        assert_continuous(&run.decided);
        let worst = run.worst(0.0, 7_200.0);
        println!("{ppm} ppm: {:.0} µs in {} stretches", worst * 1e6, run.decided.len());
        assert!(worst < 0.000_2, "{ppm} ppm: {worst} s");
    }
}

#[test]
fn maps_begin_after_a_minute_and_are_then_decided_some_seventeen_seconds_behind() {
    for ppm in [0.0, 200.0] {
        let device = Rate { ppm, ..Rate::default() };
        let mut run = Run::new(World { seconds: 200, device, queue: 0.001, ..World::default() });
        for second in 0..200 {
            run.second(second);
            let decided_to = run.track.decided_to(key(1, 0)).map_or(0.0, |index| run.truth(index.0 as f64));
            let behind = second as f64 + 1.0 - decided_to;
            let fits = if second < 68 { decided_to == 0.0 || second >= 59 } else { (9.0..18.5).contains(&behind) };
            assert!(fits, "{behind} s behind at {second} s");
        }
    }
}

#[test]
fn an_outage_is_bridged_once_it_is_over() {
    let device = Rate { ppm: 80.0, sine: (1.0, 2_000.0), walk: 0.02 };
    let world = World { seconds: 900, device, queue: 0.001, outage: (300, 600), ..World::default() };
    let mut run = Run::new(world);
    for second in 0..900 {
        run.second(second);
        let decided_to = run.truth(run.track.decided_to(key(1, 0)).map_or(0.0, |index| index.0 as f64));
        assert!(!(300..600).contains(&second) || decided_to < 300.0, "{decided_to} is decided without evidence");
    }
    assert_continuous(&run.decided);
    let (before, within, after) = (run.worst(60.0, 300.0), run.worst(300.0, 600.0), run.worst(620.0, 880.0));
    println!("before {:.0} µs, within {:.0} µs, after {:.0} µs", before * 1e6, within * 1e6, after * 1e6);
    assert!(before < 0.000_2 && within < 0.000_5 && after < 0.000_2, "{before} {within} {after}");
}

#[test]
fn the_truth_lies_within_what_is_stated() {
    // Queues hide for a while how fast a device runs, and an outage leaves only the ends.
    let (mut wrong, mut all) = (Vec::new(), 0);
    for (seed, ppm) in (0..20).flat_map(|seed| [-1_000.0, -650.0, -150.0, 0.0, 40.0, 400.0].map(|ppm| (seed, ppm))) {
        for (seconds, queue) in [9, 30, 55, 150].into_iter().flat_map(|seconds| [2e-3, 20e-3].map(|q| (seconds, q))) {
            let device = Rate { ppm, ..Rate::default() };
            let outage = (seconds * 3 / 5, seconds * 9 / 10);
            let world =
                World { seed, seconds, device, one_way: 0.0, queue, late: 0.000_05, outage, ..World::default() };
            let run = Run::new(world).all();
            assert_continuous(&run.decided);
            let samples =
                (0..).map(|n| 0.25 * f64::from(n)).take_while(|&t| t < seconds as f64).map(|t| run.sample_at(t));
            let beyond = samples.map(|sample| run.error(sample).abs() - run.stated(sample)).fold(f64::MIN, f64::max);
            all += 1;
            if beyond > 0.001 {
                wrong.push((seed, ppm, seconds, queue, beyond));
            }
        }
    }
    println!("{} of {all}", wrong.len());
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_device_that_is_opened_again_for_seconds_runs_as_it_did() {
    for ppm in [-1_000.0, 0.0, 790.0] {
        // Every sample of it takes so much longer, on both clocks, which are one but for a path of 1 ms.
        let late = |seconds: f64| (seconds * ppm * 1e3) as i64;
        let mut clock = TrackClock::default();
        let named = |key, first, at| Segment { device: "a microphone".to_owned(), ..segment(key, first, at) };
        let anchor = |clock: &mut TrackClock, key, first: u64, began: i64, second: u64| {
            let at = ClockNs(began + second.cast_signed() * SECOND + late(second as f64));
            clock.on_anchor(&Anchor { segment: key, index: SampleIndex(first + 48_000 * second), at });
        };
        clock.on_segment(&named(key(1, 0), 0, 0));
        (0..45).for_each(|n| {
            let [t0, t1, t3] = [0, 1_000_000, 2_000_000].map(|ns| ClockNs(n * SECOND + ns));
            clock.on_exchange(&ClockExchange { epoch: WakeEpoch(1), t0, t1, t2: t1, t3 });
        });
        (1..30).for_each(|n| anchor(&mut clock, key(1, 0), 0, 0, n));
        let (first, began) = (40 * 48_000, 40 * SECOND);
        clock.on_segment(&named(key(1, 1), first, began));
        (1..4).for_each(|n| anchor(&mut clock, key(1, 1), first, began, n));
        clock.conclude(None);
        let decided: Vec<MapStretch> = clock.stretches().filter(|map| map.segment == key(1, 1)).copied().collect();
        for seconds in [0.0, 2.0, 4.0] {
            let frame = super::simulation::frame(&decided, first as f64 + seconds * 48_000.0);
            let error = frame / 48e3 - (began + late(seconds)) as f64 / 1e9 - seconds;
            assert!(error.abs() < 0.000_3, "{ppm} ppm, {seconds} s: {error} s");
        }
    }
}

#[test]
fn who_spoke_long_before_the_recorder_knew_them_is_followed_from_then_on() {
    let mut worst: f64 = 0.0;
    for (seed, ppm) in (0..20).flat_map(|seed| [-1_000.0, -280.0, 30.0, 180.0].map(|ppm| (seed, ppm))) {
        let (mut noise, mut clock) = (Noise(seed), TrackClock::default());
        let truth = |seconds: f64| seconds * (1.0 + ppm * 1e-6);
        clock.on_segment(&segment(key(1, 0), 0, 0));
        // A minute later a recorder starts, for ten seconds.
        for n in 60..73 {
            let [there, back] = [(); 2].map(|()| 20_000_000 + (noise.exponential() * 8e5) as i64);
            let t0 = n * SECOND;
            let [t0, t1, t3] = [t0, t0 + there, t0 + there + back].map(ClockNs);
            clock.on_exchange(&ClockExchange { epoch: WakeEpoch(1), t0, t1, t2: t1, t3 });
            let at = ClockNs((truth(n as f64) * 1e9) as i64);
            clock.on_anchor(&Anchor { segment: key(1, 0), index: SampleIndex(48_000 * n as u64), at });
        }
        clock.conclude(None);
        let decided: Vec<MapStretch> = clock.stretches().copied().collect();
        assert_continuous(&decided);
        for second in [60.5, 63.0, 67.0, 72.0] {
            let off = super::simulation::frame(&decided, second * 48_000.0) / 48e3 - truth(second);
            worst = worst.max(off.abs());
            assert!(off.abs() < 0.002, "seed {seed}, {ppm} ppm: {off} s at {second} s");
        }
    }
    println!("{:.0} µs", worst * 1e6);
}

#[test]
fn a_device_that_is_far_off_is_followed_over_a_path_that_hides_it() {
    let mut worst: f64 = 0.0;
    for (seed, ppm) in (0..20).flat_map(|seed| [-1_000.0, 650.0].map(|ppm| (seed, ppm))) {
        let device = Rate { ppm, ..Rate::default() };
        let world = World { seed, seconds: 60, device, queue: 0.020, late: 0.000_05, ..World::default() };
        let run = Run::new(world).all();
        worst = worst.max(run.worst(0.0, 60.0));
    }
    println!("{:.1} ms", worst * 1e3);
    assert!(worst < 0.015, "{worst} s");
}

#[test]
fn corrections_are_slow_and_small() {
    let device = Rate { ppm: 50.0, sine: (3.0, 900.0), walk: 0.05 };
    let world = World { seconds: 3_600, device, queue: 0.003, late: 0.000_2, very_late_every: 11, ..World::default() };
    let run = Run::new(world).all();
    for stretch in &run.decided {
        let ppm = (stretch.frames_per_sample as f64 / ONE as f64 - 1.0) * 1e6;
        assert!(ppm == 0.0 || (ppm + 50.0).abs() < 120.0, "{ppm} ppm in {stretch:?}");
    }
    // One jump of the measurements, 10 ms, as a clock that is set: 100 s are the least.
    let mut run = Run::new(World { seconds: 60, ..World::default() }).all();
    for n in 0..200 {
        let (t0, ahead) = ((60 + n) * SECOND, (-98_765.432_1 * 1e9) as i64 + 10_000_000);
        let [t1, t2] = [t0 + 100_000 + ahead; 2];
        let [t0, t1, t2, t3] = [t0, t1, t2, t0 + 200_000].map(ClockNs);
        run.track.on_exchange(&ClockExchange { epoch: WakeEpoch(1), t0, t1, t2, t3 });
        let index = SampleIndex(FIRST + 48_000 * (60 + n) as u64);
        let at = ClockNs((60 + n) * SECOND + (-98_765.432_1 * 1e9) as i64);
        run.track.on_anchor(&Anchor { segment: key(1, 0), index, at });
        run.track.decide();
    }
    let decided: Vec<MapStretch> = run.track.stretches().copied().collect();
    assert_continuous(&decided);
    assert!(decided.len() > 3, "it was followed: {decided:?}");
}
