//! Pauses: stretches of a recording of which nothing is kept or sent, and when which sample was captured.

use std::collections::BTreeMap;

use roomtone_packets::Packet;
use roomtone_protocol::{ClockNs, IndexRange, SampleIndex, SegmentKey};

/// Pauses of one recording that are remembered; recorders allow fewer.
const MAX_CUTS: usize = 4_096;

/// How far a packet may lie from where the ones before it put it before that is noted, 1 ms: pauses have margins of a
/// hundred, and a device that runs 100 ppm fast needs a note every ten seconds.
const DEVIATION_NS: i64 = 1_000_000;

/// The pauses of one recording, on the participant's clock.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    by_number: BTreeMap<u32, Cut>,
}

#[derive(Debug, Clone, Copy)]
struct Cut {
    from: ClockNs,
    until: Option<ClockNs>,
}

impl Cuts {
    /// The recorder told of a pause. True if it is news: every new link tells all of them again, and every comparison
    /// of the clocks moves them a little, but only what was told first counts. One that is over where it begins takes back
    /// those from its number on.
    pub(super) fn learn(&mut self, number: u32, from: ClockNs, until: Option<ClockNs>) -> bool {
        if until.is_some_and(|until| until <= from) {
            return !self.by_number.split_off(&number).is_empty();
        }
        let room = self.by_number.len() < MAX_CUTS;
        match self.by_number.get_mut(&number) {
            Some(known) if known.until.is_none() && until.is_some() => known.until = until,
            None if room => drop(self.by_number.insert(number, Cut { from, until })),
            _ => return false,
        }
        true
    }

    /// What is cut out, `margin` away from the edges: from, until, where None is for ever.
    pub(super) fn inside(&self, margin_ns: i64) -> impl Iterator<Item = (ClockNs, Option<ClockNs>)> + '_ {
        let shrunk = move |cut: &Cut| {
            let until = cut.until.map(|until| ClockNs(until.0.saturating_sub(margin_ns)));
            (ClockNs(cut.from.0.saturating_add(margin_ns)), until)
        };
        self.by_number.values().map(shrunk)
    }

    /// Whether all that was captured from `start` to `end` is cut out.
    pub(super) fn hides(&self, start: ClockNs, end: ClockNs, margin_ns: i64) -> bool {
        self.inside(margin_ns).any(|(from, until)| from <= start && until.is_none_or(|until| end <= until))
    }
}

/// When which sample was captured, since the program started.
#[derive(Debug, Default)]
pub(super) struct Times {
    runs: Vec<Run>,
}

/// Samples that follow each other at the nominal rate.
#[derive(Debug)]
struct Run {
    segment: SegmentKey,
    from: u64,
    to: u64,
    /// When `from` was captured.
    at: ClockNs,
}

impl Run {
    fn instant(&self, index: u64) -> i64 {
        self.at.0 + nanoseconds(index.saturating_sub(self.from))
    }

    /// The samples that were captured in `from..until`, as far as they are of this run.
    fn within(&self, from: ClockNs, until: Option<ClockNs>) -> Option<IndexRange> {
        let first = self.from + samples_up(from.0.saturating_sub(self.at.0));
        let end = until.map_or(self.to, |until| self.from + samples_down(until.0.saturating_sub(self.at.0)));
        let (first, end) = (first.max(self.from), end.min(self.to));
        (first < end).then_some(IndexRange { segment: self.segment, from: SampleIndex(first), to: SampleIndex(end) })
    }
}

impl Times {
    /// A packet was captured at `at`.
    pub(super) fn push(&mut self, packet: &Packet, at: ClockNs) {
        let (from, to) = (packet.index.0, packet.range().to.0);
        match self.runs.last_mut() {
            Some(run)
                if run.segment == packet.segment
                    && run.to == from
                    && (run.instant(from) - at.0).abs() < DEVIATION_NS =>
            {
                run.to = to;
            }
            _ => self.runs.push(Run { segment: packet.segment, from, to, at }),
        }
    }

    /// The samples that were captured in `from..until`.
    pub(super) fn within(&self, from: ClockNs, until: Option<ClockNs>) -> impl Iterator<Item = IndexRange> + '_ {
        self.runs.iter().filter_map(move |run| run.within(from, until))
    }
}

/// Nanoseconds of so many samples at 48 kHz: 1e9 / 48e3 = 62500 / 3.
fn nanoseconds(samples: u64) -> i64 {
    i64::try_from(samples / 3 * 62_500 + samples % 3 * 62_500 / 3).unwrap_or(i64::MAX)
}

/// The first sample that begins after so many nanoseconds.
fn samples_up(ns: i64) -> u64 {
    (u64::try_from(ns).unwrap_or(0).saturating_mul(3)).div_ceil(62_500)
}

/// The samples that are over after so many nanoseconds.
fn samples_down(ns: i64) -> u64 {
    u64::try_from(ns).unwrap_or(0).saturating_mul(3) / 62_500
}

#[cfg(test)]
mod tests {
    use roomtone_protocol::{SegmentId, WakeEpoch};

    use super::*;

    const MS: i64 = 1_000_000;

    fn ms(ms: i64) -> ClockNs {
        ClockNs(ms * MS)
    }

    fn segment(n: u32) -> SegmentKey {
        SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(n) }
    }

    fn packet(segment: SegmentKey, n: u64) -> Packet {
        Packet { segment, index: SampleIndex(n * 960), samples: 960, opus: Vec::new() }
    }

    #[test]
    fn what_was_told_first_counts_and_an_open_pause_can_close() {
        let mut cuts = Cuts::default();
        assert!(cuts.learn(0, ms(1_000), None));
        assert!(!cuts.learn(0, ms(1_003), None));
        assert!(cuts.hides(ms(9_000), ms(9_020), 0), "nobody resumed");
        assert!(cuts.learn(0, ms(1_003), Some(ms(2_000))));
        assert!(!cuts.learn(0, ms(1_000), Some(ms(5_000))));
        assert!(!cuts.hides(ms(9_000), ms(9_020), 0));
        assert!(cuts.hides(ms(1_000), ms(1_020), 0));
        assert!(!cuts.hides(ms(1_000), ms(1_020), 100 * MS), "the margin is kept");
        assert!(cuts.hides(ms(1_880), ms(1_900), 100 * MS) && !cuts.hides(ms(1_881), ms(1_901), 100 * MS));
    }

    #[test]
    fn what_the_recorder_lost_is_taken_back_and_can_be_told_anew() {
        let mut cuts = Cuts::default();
        assert!(!cuts.learn(0, ms(500), Some(ms(500))), "there is nothing to take back");
        cuts.learn(0, ms(1_000), Some(ms(2_000)));
        cuts.learn(1, ms(3_000), None);
        assert!(cuts.learn(1, ms(500), Some(ms(500))));
        assert!(!cuts.hides(ms(9_000), ms(9_020), 0) && cuts.hides(ms(1_000), ms(1_020), 0));
        assert!(cuts.learn(1, ms(6_000), None) && cuts.hides(ms(9_000), ms(9_020), 0));
        assert!(cuts.learn(0, ms(500), Some(ms(500))) && !cuts.hides(ms(9_000), ms(9_020), 0));
    }

    #[test]
    fn samples_are_found_by_the_instant_of_their_capture() {
        let mut times = Times::default();
        for n in 0..100 {
            times.push(&packet(segment(0), n), ms(500 + 20 * n.cast_signed()));
        }
        // The device stalled for a second; another one follows.
        for n in 100..200 {
            times.push(&packet(segment(0), n), ms(1_500 + 20 * n.cast_signed()));
        }
        times.push(&packet(segment(1), 0), ms(5_500));
        assert_eq!(times.runs.len(), 3);
        let within = |from, until: Option<i64>| {
            let ranges = times.within(ms(from), until.map(ms));
            ranges.map(|range| (range.segment.segment.0, range.from.0, range.to.0)).collect::<Vec<_>>()
        };
        assert_eq!(within(600, Some(700)), [(0, 4_800, 9_600)]);
        assert_eq!(within(0, Some(500)), []);
        assert_eq!(within(2_490, Some(3_510)), [(0, 95_520, 96_000), (0, 96_000, 96_480)]);
        assert_eq!(within(5_400, None), [(0, 187_200, 192_000), (1, 0, 960)]);
    }

    #[test]
    fn a_device_that_runs_fast_is_followed() {
        let mut times = Times::default();
        for n in 0..50_000 {
            times.push(&packet(segment(0), n), ClockNs(n.cast_signed() * 19_998_000));
        }
        let whole: Vec<_> = times.within(ClockNs(0), None).collect();
        assert!((90..=110).contains(&whole.len()), "{}", whole.len());
        let last = times.within(ClockNs(49_999 * 19_998_000 - MS), None).map(|range| range.from.0).min();
        let expected = 49_999 * 960;
        assert!(last.is_some_and(|last| last.abs_diff(expected) < 96), "{last:?}");
    }
}
