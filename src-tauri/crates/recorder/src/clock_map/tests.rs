use roomtone_protocol::SegmentId;

use super::*;

const SECOND: i64 = 1_000_000_000;

fn key(epoch: u32, segment: u32) -> SegmentKey {
    SegmentKey { epoch: WakeEpoch(epoch), segment: SegmentId(segment) }
}

fn segment(segment: SegmentKey, first: u64, captured_at: i64) -> Segment {
    Segment {
        segment,
        first: SampleIndex(first),
        captured_at: ClockNs(captured_at),
        codec_delay: 312,
        device: String::new(),
        device_rate: 48_000,
        cause: None,
    }
}

/// A random number below `limit`, the same in every run.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as i64) % limit.max(1)
    }
}

impl Noise {
    /// How long a packet waits in queues: mostly hardly, seldom up to `limit`.
    fn wait(&mut self, limit: i64) -> i64 {
        (0..3).fold(limit, |most, _| self.below(most))
    }
}

/// A participant whose clock is `ahead` of the recorder's, over a path of `one_way` with queues of up to `queue` on top,
/// and callbacks up to `late` late.
struct Simulation {
    ahead: i64,
    one_way: i64,
    queue: i64,
    late: i64,
}

impl Simulation {
    /// The clock after a minute of a segment that begins at 10 s of the recorder's clock, sample 48000.
    fn run(&self, clock: &mut TrackClock) {
        let mut noise = Noise(7);
        let begins = 10 * SECOND + self.ahead;
        clock.on_segment(&segment(key(1, 0), 48_000, begins + noise.below(self.late)));
        for n in 0..60 {
            let asked = (10 + n) * SECOND;
            let t1 = asked + self.ahead + self.one_way + noise.wait(self.queue);
            let t2 = t1 + noise.below(200_000);
            let t3 = t2 - self.ahead + self.one_way + noise.wait(self.queue);
            let [t0, t1, t2, t3] = [asked, t1, t2, t3].map(ClockNs);
            clock.on_exchange(&ClockExchange { epoch: WakeEpoch(1), t0, t1, t2, t3 });
            let index = SampleIndex(48_000 * (n as u64 + 1));
            clock.on_anchor(&Anchor {
                segment: key(1, 0),
                index,
                at: ClockNs(begins + n * SECOND + noise.below(self.late)),
            });
        }
    }

    /// Nanoseconds by which the map is wrong, and the map.
    fn error(&self) -> (i64, MapStretch) {
        let mut clock = TrackClock::default();
        self.run(&mut clock);
        let stretch = clock.stretch(key(1, 0)).unwrap();
        (stretch.frame * SECOND / 48_000 - 10 * SECOND, stretch)
    }
}

#[test]
fn a_perfect_path_is_exact_to_the_frame() {
    for ahead in [0, 1, -3_600 * SECOND, 987_654_321] {
        let (error, stretch) = Simulation { ahead, one_way: 0, queue: 0, late: 0 }.error();
        assert_eq!(error, 0, "{ahead}");
        assert_eq!((stretch.from, stretch.fraction, stretch.frames_per_sample), (SampleIndex(48_000), 0, ONE));
        assert_eq!((stretch.residual_ns, stretch.uncertainty_ns), (0, 0));
    }
}

#[test]
fn jitter_of_network_and_callbacks_stays_under_a_millisecond() {
    let simulation = Simulation { ahead: -123_456_789_012, one_way: 12_000_000, queue: 30_000_000, late: 1_500_000 };
    let (error, stretch) = simulation.error();
    assert!(error.abs() < SECOND / 1_000, "{error} ns");
    assert!((12_000_000..14_000_000).contains(&stretch.uncertainty_ns), "{stretch:?}");
    assert!((100_000..1_500_000).contains(&stretch.residual_ns), "{stretch:?}");
}

#[test]
fn a_map_is_decided_once() {
    let mut clock = TrackClock::default();
    let simulation = Simulation { ahead: 5, one_way: 1_000_000, queue: 9_000_000, late: 0 };
    simulation.run(&mut clock);
    let decided = clock.stretch(key(1, 0)).unwrap();
    let at = ClockNs(0);
    clock.on_exchange(&ClockExchange { epoch: WakeEpoch(1), t0: at, t1: at, t2: at, t3: at });
    for n in 0..500 {
        clock.on_anchor(&Anchor { segment: key(1, 0), index: SampleIndex(48_000), at: ClockNs(n) });
    }
    assert_eq!(clock.stretch(key(1, 0)), Some(decided));
}

#[test]
fn a_restarted_recorder_keeps_the_decision() {
    let decided = MapStretch {
        segment: key(1, 0),
        from: SampleIndex(0),
        frame: 42,
        fraction: 0,
        frames_per_sample: ONE,
        residual_ns: 1,
        uncertainty_ns: 2,
    };
    let mut clock = TrackClock::default();
    clock.restore(&Record::MapStretch(decided));
    Simulation { ahead: 0, one_way: 0, queue: 0, late: 0 }.run(&mut clock);
    assert_eq!(clock.stretch(key(1, 0)), Some(decided));
}

#[test]
fn without_an_exchange_there_is_no_map_and_no_instant() {
    let mut clock = TrackClock::default();
    clock.on_segment(&segment(key(1, 0), 0, 0));
    assert_eq!(clock.stretch(key(1, 0)), None);
    assert_eq!(clock.to_participant(ClockNs(5)), None);
    assert_eq!(clock.stretch(key(1, 1)), None);
}

#[test]
fn instants_are_told_on_the_newest_epochs_clock() {
    let mut clock = TrackClock::default();
    let exchange = |epoch, ahead: i64| {
        let (asked, came) = (ClockNs(SECOND), ClockNs(SECOND + ahead));
        ClockExchange { epoch: WakeEpoch(epoch), t0: asked, t1: came, t2: came, t3: asked }
    };
    clock.on_exchange(&exchange(1, 100));
    assert_eq!(clock.to_participant(ClockNs(5)), Some(ClockNs(105)));
    clock.on_segment(&segment(key(2, 0), 0, 0));
    assert_eq!(clock.to_participant(ClockNs(5)), None, "the old clock says nothing about the new one");
    clock.on_exchange(&exchange(2, -7));
    assert_eq!(clock.to_participant(ClockNs(5)), Some(ClockNs(-2)));
    assert_eq!(clock.to_recorder(WakeEpoch(1), ClockNs(105)), Some(ClockNs(5)));
}

#[test]
fn rtp_timestamps_are_extended_both_ways_across_the_wrap() {
    let wrap = 1u64 << 32;
    let mut clock = TrackClock::default();
    assert_eq!(clock.extend(0), None);
    clock.on_segment(&segment(key(1, 0), 5 * wrap - 96_000, 0));
    let at = |index: u64| Some((key(1, 0), SampleIndex(index)));
    for (newest, index) in [
        (5 * wrap - 96_000, 5 * wrap - 96_000),
        (5 * wrap - 960, 5 * wrap),
        (5 * wrap + 4_800, 5 * wrap - 960),
        (5 * wrap + (1 << 31), 5 * wrap + 960),
        (6 * wrap - 1, 6 * wrap + 960),
    ] {
        clock.on_anchor(&Anchor { segment: key(1, 0), index: SampleIndex(newest), at: ClockNs(0) });
        assert_eq!(clock.extend(index as u32), at(index), "newest {newest}");
    }
}

#[test]
fn an_rtp_timestamp_finds_its_segment() {
    let mut clock = TrackClock::default();
    clock.on_segment(&segment(key(1, 0), 1_000, 0));
    clock.on_segment(&segment(key(1, 1), 9_000, 0));
    assert_eq!(clock.extend(8_999), Some((key(1, 0), SampleIndex(8_999))));
    assert_eq!(clock.extend(9_000), Some((key(1, 1), SampleIndex(9_000))));
    assert_eq!(clock.extend(999), None, "before anything was captured");
    clock.on_segment(&segment(key(2, 0), 50, 0));
    assert_eq!(clock.extend(9_000), Some((key(2, 0), SampleIndex(9_000))), "only the newest epoch sends");
}
