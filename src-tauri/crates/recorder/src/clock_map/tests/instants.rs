//! Instants and timestamps of the other clock.

use super::*;

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

#[test]
fn who_spoke_long_before_the_recorder_knew_them_is_put_where_they_are_now() {
    for seed in 0..40 {
        let mut noise = Noise(seed);
        let mut clock = TrackClock::default();
        clock.on_segment(&segment(key(1, 0), 0, 0));
        // Ten minutes later a recorder starts, on a machine that is busy: answers wait for up to 4 ms.
        for n in 600..606 {
            let [there, back] = [(); 2].map(|()| 200_000 + (noise.uniform() * 4e6) as i64);
            let t0 = n * SECOND;
            let [t0, t1, t3] = [t0, t0 + there, t0 + there + back].map(ClockNs);
            clock.on_exchange(&ClockExchange { epoch: WakeEpoch(1), t0, t1, t2: t1, t3 });
            clock.on_anchor(&Anchor {
                segment: key(1, 0),
                index: SampleIndex(48_000 * n as u64),
                at: ClockNs(n * SECOND),
            });
        }
        clock.conclude(None);
        let decided: Vec<MapStretch> = clock.stretches().copied().collect();
        for second in [600.0, 603.0, 605.0] {
            let off = super::simulation::frame(&decided, second * 48_000.0) - second * 48_000.0;
            assert!(off.abs() < 96.0, "seed {seed}: {off} frames at {second} s");
        }
    }
}
