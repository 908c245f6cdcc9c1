use super::*;

const RATE: u32 = 48_000;
const MS: i64 = 1_000_000;
const START: i64 = 5_000 * MS;

/// A device with 20 ms buffers whose calls come when they are told to.
struct Device {
    placement: Placement,
    /// Frames that the device captured.
    captured: u64,
    rate: f64,
}

impl Device {
    fn new(rate: f64) -> Self {
        Self { placement: Placement::new(RATE), captured: 0, rate }
    }

    fn time(&self) -> i64 {
        START + (self.captured as f64 * 1e9 / self.rate) as i64
    }

    /// Captures 20 ms and delivers them `late_ms` late.
    fn call(&mut self, late_ms: f64) {
        let first = self.time();
        self.captured += 960;
        let at = self.time() + (late_ms * 1e6) as i64;
        self.chunk(at, at - first - (late_ms * 1e6) as i64, 960, 0);
    }

    fn chunk(&mut self, at: i64, latency_ns: i64, frames: u32, lost_before: u64) {
        self.placement.push(Chunk { at: ClockNs(at), latency_ns, frames, lost_before });
    }

    fn placed(&mut self) -> Vec<Placed> {
        std::iter::from_fn(|| self.placement.poll_placed()).collect()
    }
}

fn runs(placed: &[Placed]) -> Vec<i64> {
    let at = |placed: &Placed| if let Placed::Run { at } = placed { Some(at.0) } else { None };
    placed.iter().filter_map(at).collect()
}

fn frames(placed: &[Placed]) -> u64 {
    placed.iter().map(|placed| if let Placed::Frames(frames) = placed { u64::from(*frames) } else { 0 }).sum()
}

/// Worst error of the anchors, in milliseconds, of a device at `rate` that never paused.
fn worst_anchor(placed: &[Placed], rate: f64) -> f64 {
    let error = |placed: &Placed| match placed {
        Placed::Anchor { frame, at } => ((at.0 - START) as f64 - *frame as f64 * 1e9 / rate).abs() / 1e6,
        _ => 0.0,
    };
    placed.iter().map(error).fold(0.0, f64::max)
}

#[test]
fn jitter_makes_neither_gaps_nor_bad_anchors() {
    let rate = 48_000.0 * (1.0 + 100e-6);
    let mut device = Device::new(rate);
    let mut random = 1_u64;
    for _ in 0..50 * 60 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let roll = (random >> 33) as f64 / f64::from(1_u32 << 31);
        // Mostly punctual, now and then very late.
        device.call(if roll < 0.9 { roll } else { roll * 300.0 });
    }
    let placed = device.placed();
    let start = runs(&placed);
    assert!(start.len() == 1 && (start[0] - START).abs() < MS, "{start:?}");
    let anchors = placed.iter().filter(|placed| matches!(placed, Placed::Anchor { .. })).count();
    assert!((58..=60).contains(&anchors), "{anchors}");
    let worst = worst_anchor(&placed, rate);
    assert!(worst < 1.0, "{worst} ms");
    assert!(frames(&placed) >= 50 * 59 * 960);
}

#[test]
fn a_delivery_in_two_calls_counts_as_one() {
    let mut device = Device::new(48_000.0);
    for _ in 0..50 * 10 {
        let first = device.time();
        device.captured += 960;
        let at = device.time();
        // As PulseAudio does it: the second call's latency still holds what the first one delivered.
        device.chunk(at, at - first, 500, 0);
        device.chunk(at + MS / 5, at - first + MS / 5, 460, 0);
    }
    let placed = device.placed();
    assert_eq!(runs(&placed).len(), 1);
    let worst = worst_anchor(&placed, 48_000.0);
    assert!(worst < 0.01, "{worst} ms");
}

#[test]
fn frames_that_never_came_are_a_gap_of_their_true_length() {
    let mut device = Device::new(48_000.0);
    (0..100).for_each(|_| device.call(0.3));
    device.captured += 960 * 15;
    (0..200).for_each(|_| device.call(0.3));
    let placed = device.placed();
    let starts = runs(&placed);
    assert_eq!(starts.len(), 2, "{placed:?}");
    let before = placed.iter().take_while(|placed| !matches!(placed, Placed::Run { at } if at.0 == starts[1]));
    assert_eq!(frames(&before.copied().collect::<Vec<_>>()), 100 * 960, "the cut lies where frames are missing");
    assert_eq!(starts[1] - starts[0], 115 * 20 * MS);
}

#[test]
fn one_lost_buffer_is_enough() {
    let mut device = Device::new(48_000.0);
    (0..100).for_each(|_| device.call(0.3));
    device.captured += 960;
    (0..200).for_each(|_| device.call(0.3));
    let starts = runs(&device.placed());
    assert_eq!(starts.len(), 2);
    assert_eq!(starts[1] - starts[0], 101 * 20 * MS);
}

#[test]
fn what_a_gap_looks_like_is_held_back_until_it_is_sure() {
    let mut device = Device::new(48_000.0);
    (0..100).for_each(|_| device.call(0.0));
    let before = frames(&device.placed());
    // Late for nearly three seconds, then punctual again: nothing was lost.
    (0..140).for_each(|_| device.call(200.0));
    assert_eq!(frames(&device.placed()), 0);
    (0..5).for_each(|_| device.call(0.0));
    let placed = device.placed();
    assert_eq!((before, frames(&placed)), (100 * 960, 145 * 960));
    assert!(runs(&placed).is_empty());
}

#[test]
fn an_overrun_is_a_gap_at_once_and_exactly() {
    let mut device = Device::new(48_000.0);
    (0..100).for_each(|_| device.call(0.0));
    let lost = 9_600;
    device.captured += lost;
    let first = device.time();
    device.captured += 960;
    device.chunk(device.time() + 7 * MS, device.time() - first, 960, lost);
    let placed = device.placed();
    let starts = runs(&placed);
    assert_eq!(starts.len(), 2);
    assert_eq!(starts[1] - starts[0], (100 * 20 + 200) * MS);
}

#[test]
fn an_offset_that_was_too_late_is_mended_without_a_gap() {
    let mut device = Device::new(48_000.0);
    (0..30).for_each(|_| device.call(100.0));
    (0..100).for_each(|_| device.call(0.0));
    device.placement.settle();
    let placed = device.placed();
    assert_eq!(runs(&placed).len(), 1);
    assert_eq!(frames(&placed), 130 * 960);
    let Some(Placed::Anchor { frame, at }) = placed.iter().rfind(|p| matches!(p, Placed::Anchor { .. })) else {
        panic!("no anchor");
    };
    assert!((at.0 - START - *frame as i64 * 1_000_000 / 48).abs() < MS);
}

#[test]
fn a_short_stream_is_placed_all_the_same() {
    let mut device = Device::new(48_000.0);
    (0..3).for_each(|_| device.call(0.0));
    assert!(!device.placement.has_placed());
    device.placement.settle();
    assert_eq!(device.placed().first(), Some(&Placed::Run { at: ClockNs(START) }));
}

/// A pseudo-random number in 0..1.
fn roll(state: &mut u64) -> f64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*state >> 33) as f64 / f64::from(1_u32 << 31)
}

#[test]
fn a_starved_start_that_recovers_slowly_is_no_gap() {
    // Half a second late after the first second, then catching up over two more: not one call is punctual meanwhile.
    let mut device = Device::new(48_000.0);
    (0..60).for_each(|_| device.call(0.2));
    (0..120).for_each(|n| device.call(540.0 - f64::from(n) * 4.3));
    (0..200).for_each(|_| device.call(0.2));
    let placed = device.placed();
    assert_eq!((runs(&placed).len(), frames(&placed)), (1, 380 * 960));
}

#[test]
fn latencies_that_were_guessed_too_high_at_the_start_are_no_gap() {
    let mut device = Device::new(48_000.0);
    for n in 0..400 {
        let first = device.time();
        device.captured += 960;
        let at = device.time();
        // The server thinks for two seconds that it holds half a second more than it does.
        device.chunk(at, at - first + if n < 100 { 540 * MS } else { 0 }, 960, 0);
    }
    device.placement.settle();
    let placed = device.placed();
    assert_eq!((runs(&placed).len(), frames(&placed)), (1, 400 * 960));
    let Some(Placed::Anchor { frame, at }) = placed.iter().rfind(|p| matches!(p, Placed::Anchor { .. })) else {
        panic!("no anchor");
    };
    assert!((at.0 - START - *frame as i64 * 1_000_000 / 48).abs() < MS, "the place is mended");
}

#[test]
fn a_burst_that_brings_everything_after_a_starvation_is_no_gap() {
    let mut device = Device::new(48_000.0);
    (0..100).for_each(|_| device.call(0.2));
    // Four seconds without a call, then all of it within a millisecond.
    let first = device.time();
    let at = first + 4_000 * MS;
    for n in 0..200 {
        device.captured += 960;
        device.chunk(at + n * 5_000, 20 * MS, 960, 0);
    }
    (0..100).for_each(|_| device.call(0.2));
    let placed = device.placed();
    assert_eq!((runs(&placed).len(), frames(&placed)), (1, 400 * 960));
}

#[test]
fn a_loss_within_a_starvation_has_its_true_length() {
    let mut device = Device::new(48_000.0);
    (0..100).for_each(|_| device.call(0.2));
    // Late by a tenth of a second first; then 440 ms never come, and calls go on being late now and then.
    (0..10).for_each(|_| device.call(100.0));
    device.captured += 48 * 440;
    let mut random = 3;
    (0..300).for_each(|_| device.call(roll(&mut random) * 60.0));
    let placed = device.placed();
    let starts = runs(&placed);
    assert_eq!(starts.len(), 2, "{starts:?}");
    let before = placed.iter().take_while(|placed| !matches!(placed, Placed::Run { at } if at.0 == starts[1]));
    assert_eq!(frames(&before.copied().collect::<Vec<_>>()), 110 * 960, "late calls are no part of the gap");
    let wrong = starts[1] - starts[0] - (110 * 20 + 440) * MS;
    assert!(wrong.abs() < 2 * MS, "{wrong} ns");
}

#[test]
fn shorter_pieces_of_a_server_that_renders_ahead_are_no_gap() {
    let mut placement = Placement::new(RATE);
    let mut rendered = 0;
    for n in 0..600 {
        // 40 ms ahead at first, 20 ms later.
        let frames = if n < 200 { 1_920 } else { 960 };
        let at = START + rendered * 1_000_000 / 48;
        rendered += i64::from(frames);
        placement.push(Chunk { at: ClockNs(at), latency_ns: 0, frames, lost_before: 0 });
    }
    let placed: Vec<_> = std::iter::from_fn(|| placement.poll_placed()).collect();
    assert_eq!((runs(&placed).len(), frames(&placed)), (1, 200 * 1_920 + 400 * 960));
}

#[test]
fn a_device_that_calls_every_second_has_its_gaps_found_too() {
    let mut device = Device::new(48_000.0);
    for n in 0..30 {
        device.captured += if n == 15 { 14_400 } else { 0 };
        let first = device.time();
        device.captured += 48_000;
        device.chunk(device.time(), device.time() - first, 48_000, 0);
    }
    let starts = runs(&device.placed());
    assert_eq!(starts.len(), 2);
    assert_eq!(starts[1] - starts[0], 15_300 * MS);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 64, ..Default::default() })]

    /// Whatever a busy machine does to call times: without a loss there is no gap, and with one it has its length.
    #[test]
    fn only_losses_are_gaps(
        seed in proptest::prelude::any::<u64>(),
        busy in 0.0..0.9_f64,
        starved_ms in 0.0..2_000.0_f64,
        lost_ms in proptest::option::of(20_u64..3_000),
        ppm in -300.0..300.0_f64,
    ) {
        let mut random = seed;
        let mut device = Device::new(48_000.0 * (1.0 + ppm * 1e-6));
        let mut backlog = 0.0_f64;
        for n in 0..2_000 {
            // Delays end in a burst: a call cannot come before the one in front of it.
            backlog = (backlog - 20.0).max(0.0);
            // A calm start, so that the first run begins where it should.
            if n < 100 || roll(&mut random) > busy {
                backlog = backlog.min(0.3);
            } else if roll(&mut random) < 0.02 {
                backlog = starved_ms * roll(&mut random);
            }
            if n == 1_000 && let Some(lost) = lost_ms {
                device.captured += lost * 48;
            }
            device.call(backlog.max(0.3 * roll(&mut random)));
        }
        // A quiet end, so that everything is decided.
        (0..200).for_each(|_| device.call(0.2));
        let placed = device.placed();
        let starts = runs(&placed);
        proptest::prop_assert_eq!(starts.len(), 1 + usize::from(lost_ms.is_some()), "{:?}", starts);
        if let Some(lost) = lost_ms {
            let before = placed.iter().take_while(|placed| !matches!(placed, Placed::Run { at } if at.0 == starts[1]));
            let before = frames(&before.copied().collect::<Vec<_>>()) as f64 * 1e9 / 48e3;
            let wrong = ((starts[1] - starts[0]) as f64 - before) / 1e6 - lost as f64;
            proptest::prop_assert!(wrong.abs() < 15.0, "{} ms of {}", wrong, lost);
        }
    }
}
