//! Somebody who cannot be asked for their clock, as a browser: packets and sender reports over a way that delays, bursts,
//! loses and changes. The truth is in seconds and floats, and nothing of it comes from what the maps are made with.

use roomtone_packets::{Arrival, SenderReport};

use super::*;

/// What a world without questions is made of. Times in seconds.
#[derive(Debug, Clone, Copy)]
struct Way {
    seed: u64,
    seconds: f64,
    /// The device and its computer's clock, beside the recorder's, in parts per million.
    device_ppm: f64,
    clock_ppm: f64,
    /// The least that the way there takes, from an instant on, and as much back.
    one_way: &'static [(f64, f64)],
    /// Mean of what a datagram waits.
    jitter: f64,
    /// From, until, and how long everything waits in the middle of it: a queue that fills and empties.
    burst: (f64, f64, f64),
    /// Of a hundred datagrams so many are lost.
    loss: f64,
    /// Between reports; none at all, if it never ends.
    reports: f64,
    /// What they are off: the sender pairs a sample with the instant at which it happened to be sent.
    scatter: f64,
    round_trips: bool,
}

const GOOD: Way = Way {
    seed: 1,
    seconds: 600.0,
    device_ppm: 0.0,
    clock_ppm: 0.0,
    one_way: &[(0.0, 0.020)],
    jitter: 0.004,
    burst: (0.0, 0.0, 0.0),
    loss: 0.02,
    reports: 5.0,
    scatter: 0.002,
    round_trips: true,
};

/// The sender's clock counts from 1970, and the first sample is captured at second 0 of the recorder's.
const BEGAN: f64 = 1_763_700_000.0;

/// An encoder and its program take so long after the last sample of a packet.
const ENCODING: f64 = 0.003;

/// What is taken for that.
const SENDING: f64 = 0.005;

fn ns(seconds: f64) -> ClockNs {
    ClockNs((seconds * 1e9).round() as i64)
}

/// On the sender's clock. A float of so many seconds does not hold nanoseconds.
fn sent(way: &Way, seconds: f64) -> ClockNs {
    ClockNs(BEGAN as i64 * SECOND + ns(seconds * (1.0 + way.clock_ppm * 1e-6)).0)
}

struct Heard {
    way: Way,
    records: Vec<Record>,
    track: TrackClock,
    decided: Vec<MapStretch>,
}

impl Heard {
    fn of(way: Way) -> Self {
        let mut events: Vec<(f64, Record)> = Vec::new();
        let mut noise = Noise(way.seed);
        let rate = 48_000.0 * (1.0 + way.device_ppm * 1e-6);
        let least = |at: f64| way.one_way.iter().rev().find(|(from, _)| *from <= at).map_or(0.0, |(_, takes)| *takes);
        let mut arrives = |at: f64| {
            let (from, until, most) = way.burst;
            let middle = f64::midpoint(from, until);
            let queue =
                if at > from && at < until { most * (1.0 - (at - middle).abs() / (middle - from)) } else { 0.0 };
            let lost = noise.uniform() * 100.0 < way.loss;
            let came = at + least(at) + queue + way.jitter * noise.exponential();
            (!lost).then_some(came)
        };
        for packet in 1..(way.seconds * 50.0) as u64 {
            let end = FIRST + packet * 960;
            let captured = (end - FIRST) as f64 / rate;
            if let Some(at) = arrives(captured + ENCODING) {
                events.push((at, Record::Arrival(Arrival { segment: key(1, 0), end: SampleIndex(end), at: ns(at) })));
            }
        }
        let mut scatter = Noise(way.seed ^ 0x5ca);
        let reports = (1..).map(|n| (f64::from(n) - 0.5) * way.reports).take_while(|at| *at < way.seconds);
        for at in reports {
            // As browsers do: a packet's first sample, and when that packet went.
            let late = 0.020 + ENCODING + way.scatter * scatter.uniform();
            let index = SampleIndex(FIRST + ((at - late).max(0.0) * rate) as u64);
            let round_trip_ns =
                way.round_trips.then(|| ((2.0 * least(at) + way.jitter * scatter.exponential()) * 1e9) as u64);
            if let Some(came) = arrives(at) {
                let report =
                    SenderReport { segment: key(1, 0), index, sent: sent(&way, at), at: ns(came), round_trip_ns };
                events.push((came, Record::Report(report)));
            }
        }
        events.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut heard = Self { way, records: Vec::new(), track: TrackClock::default(), decided: Vec::new() };
        heard.take(Record::Segment(segment(key(1, 0), FIRST, sent(&way, 0.0).0)));
        let mut arrivals = Arrivals::default();
        for (_, event) in events {
            match event {
                Record::Arrival(arrival) => {
                    if let Some(least) = arrivals.take(arrival) {
                        heard.take(Record::Arrival(least));
                    }
                }
                event => heard.take(event),
            }
        }
        heard.end();
        heard
    }

    /// The journal holds the last packet.
    fn end(&mut self) {
        let last = (self.way.seconds * 50.0) as u64 - 1;
        let index = SampleIndex(FIRST + (last - 1) * 960);
        let packet = roomtone_packets::Packet { segment: key(1, 0), index, samples: 960, opus: Vec::new() };
        self.track.restore(&Record::Packet(packet));
        self.decided.extend(self.track.conclude(None));
    }

    fn take(&mut self, record: Record) {
        self.track.restore(&record);
        self.records.push(record);
        self.decided.extend(self.track.decide());
    }

    /// How much later than it was captured the map puts what is captured at an instant, in seconds.
    fn late(&self, captured: f64) -> f64 {
        let rate = 48_000.0 * (1.0 + self.way.device_ppm * 1e-6);
        super::super::simulation::frame(&self.decided, FIRST as f64 + captured * rate) / 48_000.0 - captured
    }

    /// The least and the most of that between two instants.
    fn between(&self, from: f64, until: f64) -> (f64, f64) {
        let at = (0..).map(|n| from + 0.731 * f64::from(n)).take_while(|at| *at < until);
        at.map(|at| self.late(at)).fold((f64::MAX, f64::MIN), |(least, most), late| (least.min(late), most.max(late)))
    }

    /// What the map says of itself at an instant, in seconds.
    fn stated(&self, captured: f64) -> f64 {
        let sample = FIRST as f64 + captured * 48_000.0;
        let begun = self.decided.partition_point(|stretch| stretch.from.0 as f64 <= sample).max(1);
        f64::from(self.decided[begun - 1].uncertainty_ns) * 1e-9
    }

    /// Decided without a jump, without running back, and as slowly as corrections are.
    fn assert_sound(&self) {
        assert_continuous(&self.decided);
        let all: Vec<MapStretch> = self.track.stretches().copied().collect();
        assert_eq!(all, self.decided, "what is told is what is kept");
        let ppm = |stretch: &MapStretch| (stretch.frames_per_sample as f64 / ONE as f64 - 1.0) * 1e6;
        let own = -self.way.device_ppm;
        // Two clocks that keep within 200 ppm, and a correction; or copied, as long as nothing contradicts that.
        let followed = self.decided.iter().map(ppm).filter(|ppm| *ppm != 0.0);
        let worst = followed.map(|ppm| (ppm - own).abs()).fold(0.0, f64::max);
        assert!(worst < 230.0 || !self.way.reports.is_finite(), "{worst} ppm, {:?}", self.way);
        let last = SampleIndex(FIRST + (self.way.seconds * 50.0) as u64 * 960 - 960);
        assert!(self.decided[0].from == SampleIndex(FIRST) && self.track.decided_to(key(1, 0)) >= Some(last));
    }
}

#[test]
fn three_hundred_ppm_are_followed_with_reports_and_without() {
    for device_ppm in [-300.0, -40.0, 0.0, 25.0, 300.0] {
        for (reports, clock_ppm) in [(5.0, 0.0), (1.0, -30.0), (5.0, 60.0), (f64::INFINITY, 0.0)] {
            let heard = Heard::of(Way { device_ppm, reports, clock_ppm, ..GOOD });
            heard.assert_sound();
            let (least, most) = heard.between(60.0, 590.0);
            println!(
                "{device_ppm} ppm, a report every {reports} s, clock {clock_ppm} ppm: {:.2} to {:.2} ms late",
                least * 1e3,
                most * 1e3
            );
            assert!(most - least < 0.002, "{least} to {most} s");
            // Of a way that is the same there and back nothing is left but what is taken for sending, and for one that is
            // not known.
            let expected = ENCODING - SENDING + if reports.is_finite() { 0.0 } else { 0.020 - 0.050 };
            assert!((least - expected).abs() < 0.003 && (most - expected).abs() < 0.003, "{least} to {most} s");
        }
    }
}

#[test]
fn the_truth_lies_within_what_is_stated() {
    let mut worst: f64 = 0.0;
    for seed in 0..12 {
        for (device_ppm, round_trips) in [(-300.0, true), (120.0, false), (0.0, true), (300.0, false)] {
            let burst = (100.0, 160.0, 0.150);
            let way = Way { seed, device_ppm, round_trips, jitter: 0.010, loss: 20.0, burst, seconds: 300.0, ..GOOD };
            let heard = Heard::of(way);
            heard.assert_sound();
            for at in [1.0, 30.0, 61.0, 99.0, 130.0, 161.0, 220.0, 290.0] {
                let (late, stated) = (heard.late(at).abs(), heard.stated(at));
                worst = worst.max(stated);
                assert!(late < stated, "seed {seed}, {device_ppm} ppm: {late} s, {stated} stated, at {at} s");
            }
        }
    }
    println!("{:.0} ms are stated at most", worst * 1e3);
}

#[test]
fn bursts_of_delay_hardly_move_it() {
    for seed in 0..10 {
        for device_ppm in [-300.0, 0.0, 300.0] {
            let burst = (200.0, 280.0, 0.400);
            let heard = Heard::of(Way { seed, device_ppm, burst, loss: 10.0, ..GOOD });
            heard.assert_sound();
            let ((least, most), (lowest, highest)) = (heard.between(60.0, 200.0), heard.between(200.0, 590.0));
            println!(
                "seed {seed}, {device_ppm} ppm: {:.1} to {:.1} ms, then {:.1} to {:.1}",
                least * 1e3,
                most * 1e3,
                lowest * 1e3,
                highest * 1e3
            );
            assert!(lowest > least - 0.004 && highest < most + 0.004, "seed {seed}, {device_ppm} ppm");
        }
    }
}

#[test]
fn another_route_hardly_moves_it_where_round_trips_are_known_and_otherwise_within_what_is_taken_for_one() {
    for routes in [&[(0.0, 0.020), (250.0, 0.045)], &[(0.0, 0.045), (250.0, 0.020)]] {
        for (device_ppm, round_trips) in [(-300.0, true), (300.0, true), (300.0, false), (0.0, false)] {
            let heard = Heard::of(Way { device_ppm, round_trips, one_way: routes, seconds: 1_200.0, ..GOOD });
            heard.assert_sound();
            let (least, most) = heard.between(60.0, 1_190.0);
            println!("{device_ppm} ppm, round trips {round_trips}: {:.1} to {:.1} ms", least * 1e3, most * 1e3);
            let (from, until) = if round_trips { (-0.005, 0.001) } else { (-0.055, 0.055) };
            assert!(least > from && most < until, "{least} to {most} s");
        }
    }
}

#[test]
fn reports_tell_a_device_from_a_queue_that_fills() {
    // For two minutes everything comes later and later, as from a device that is 1,000 ppm slower.
    let burst = (0.0, 240.0, 0.120);
    let moved = |reports: f64| {
        let way = Way { device_ppm: 200.0, seconds: 120.0, burst, jitter: 0.001, reports, ..GOOD };
        let heard = Heard::of(way);
        heard.late(115.0) - heard.late(5.0)
    };
    let (with, without) = (moved(5.0), moved(f64::INFINITY));
    println!("{:.1} ms with reports, {:.1} without", with * 1e3, without * 1e3);
    assert!(with.abs() < 0.030 && without > 0.080, "{with} s, {without} s");
}

#[test]
fn a_recorder_that_was_killed_rebuilds_what_was_decided_and_goes_on() {
    let way = Way { device_ppm: 280.0, seconds: 400.0, ..GOOD };
    let whole = Heard::of(way);
    let half = whole.records.len() / 2;
    let mut before = TrackClock::default();
    let mut journal = Vec::new();
    for record in &whole.records[..half] {
        before.restore(record);
        journal.push(record.clone());
        journal.extend(before.decide().into_iter().map(Record::MapStretch));
    }
    let mut again = TrackClock::default();
    journal.iter().for_each(|record| again.restore(record));
    let kept: Vec<MapStretch> = again.stretches().copied().collect();
    assert_eq!(kept, before.stretches().copied().collect::<Vec<_>>());
    assert!(kept.len() > 5, "{kept:?}");
    for record in &whole.records[half..] {
        again.restore(record);
        again.decide();
    }
    let decided: Vec<MapStretch> = again.stretches().copied().collect();
    let mut heard = Heard { way, records: Vec::new(), track: again, decided };
    heard.end();
    assert_eq!(heard.decided[..kept.len()], kept[..]);
    heard.assert_sound();
    let (least, most) = heard.between(60.0, 390.0);
    assert!(least > -0.005 && most < 0.001, "{least} to {most} s");
}

#[test]
fn who_answers_is_not_listened_to() {
    let mut run = Run::new(World { seconds: 120, device: Rate { ppm: 50.0, ..Rate::default() }, ..World::default() });
    for second in 0..120 {
        let (end, at) = (run.sample_at(second as f64) as u64, ClockNs(second as i64 * SECOND + 900_000_000));
        run.second(second);
        run.track.on_arrival(&Arrival { segment: key(1, 0), end: SampleIndex(end), at });
        let index = SampleIndex(end);
        run.track.on_report(&SenderReport { segment: key(1, 0), index, sent: at, at, round_trip_ns: None });
    }
    run.decided.extend(run.track.conclude(None));
    assert!(run.worst(0.0, 119.0) < 0.000_3, "{}", run.worst(0.0, 119.0));
}

#[test]
fn a_few_seconds_without_any_report_have_a_place() {
    let heard = Heard::of(Way { seconds: 6.0, reports: f64::INFINITY, ..GOOD });
    let (least, most) = heard.between(0.0, 5.0);
    assert!(least > -0.055 && most < 0.005, "{least} to {most} s");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_way_makes_a_map_jump_run_back_or_forget_a_sample(
        seed in 0u64..1 << 40,
        device_ppm in -300.0..300.0f64,
        clock_ppm in -100.0..100.0f64,
        jitter in 0.0..0.030f64,
        from in 0.0..200.0f64,
        lasts in 1.0..120.0f64,
        most in 0.0..2.0f64,
        loss in 0.0..40.0f64,
        reports in prop_oneof![Just(1.0), Just(5.0), Just(f64::INFINITY)],
    ) {
        let burst = (from, from + lasts, most);
        let way = Way { seed, seconds: 240.0, device_ppm, clock_ppm, jitter, burst, loss, reports, ..GOOD };
        let heard = Heard::of(way);
        assert_continuous(&heard.decided);
        prop_assert!(heard.decided[0].from == SampleIndex(FIRST));
        for stretch in &heard.decided {
            let ppm = (stretch.frames_per_sample as f64 / ONE as f64 - 1.0) * 1e6;
            prop_assert!(ppm.abs() < 12_101.0, "{} ppm", ppm);
        }
    }
}
