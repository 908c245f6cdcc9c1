use roomtone_protocol::{IndexRange, SampleIndex, SegmentId, WakeEpoch};

use super::*;
use crate::journal::TrackNotes;
use crate::stretch::ONE;

const SECOND: u64 = 48_000;
const FIRST: u64 = 5_000;

fn key(segment: u32) -> SegmentKey {
    SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(segment) }
}

/// First sample, the frame of that sample, and what arrived.
type Known<'a> = (u64, i64, &'a [(u64, u64)]);

/// Segments, and what was taken back of the first one.
fn plan(segments: &[Known<'_>], retracted: &[(u64, u64)]) -> TrackPlan {
    let mut notes = TrackNotes::default();
    let mut coverage = roomtone_packets::Coverage::default();
    for (number, &(first, frame, covered)) in (0..).zip(segments) {
        let segment = key(number);
        notes.segments.insert(
            segment,
            roomtone_protocol::channel::Segment {
                segment,
                first: SampleIndex(first),
                captured_at: roomtone_protocol::ClockNs(0),
                codec_delay: 312,
                device: String::new(),
                device_rate: 48_000,
                cause: None,
            },
        );
        let from = SampleIndex(first);
        let (fraction, frames_per_sample, residual_ns, uncertainty_ns) = (0, ONE, 0, 0);
        let map = MapStretch { segment, from, frame, fraction, frames_per_sample, residual_ns, uncertainty_ns };
        notes.stretches.insert(segment, vec![map]);
        for &(from, to) in covered {
            coverage.insert(IndexRange { segment, from: SampleIndex(first + from), to: SampleIndex(first + to) });
        }
    }
    for &(from, to) in retracted {
        let (segment, first) = (key(0), segments[0].0);
        notes.retracted.insert(IndexRange { segment, from: SampleIndex(first + from), to: SampleIndex(first + to) });
    }
    TrackPlan::new(&notes, &coverage)
}

/// Frames that come out otherwise, joined.
fn changed(old: &TrackPlan, new: &TrackPlan) -> Vec<(u64, u64)> {
    let mut frames = RangeSet::default();
    for (from, to) in Changes::between(old, new).into_frames() {
        frames.insert(from.0.max(0) as u64, to.0.max(0) as u64);
    }
    frames.iter().collect()
}

#[test]
fn nothing_new_changes_nothing() {
    let known = plan(&[(FIRST, 0, &[(0, 60 * SECOND)])], &[(100, 200)]);
    assert_eq!(changed(&known, &known.clone()), []);
}

#[test]
fn a_map_that_only_goes_on_changes_nothing_and_one_that_turns_changes_what_follows() {
    let old = plan(&[(FIRST, 0, &[(0, 60 * SECOND)])], &[]);
    let with = |frames_per_sample| {
        let mut pieces = old.pieces().to_vec();
        let from = SampleIndex(FIRST + 20 * SECOND);
        let (frame, fraction, residual_ns, uncertainty_ns) = (20 * SECOND as i64, 0, 5, 7);
        let segment = key(0);
        let next = MapStretch { segment, from, frame, fraction, frames_per_sample, residual_ns, uncertainty_ns };
        pieces[0].stretches.push(next);
        pieces.into_iter().collect::<TrackPlan>()
    };
    assert_eq!(changed(&old, &with(ONE)), []);
    let (turned, end) = (changed(&with(ONE), &with(ONE + 1)), 60 * SECOND);
    assert!(turned.len() == 1 && turned[0].0 == 20 * SECOND && turned[0].1 >= end, "{turned:?}");
}

#[test]
fn live_packets_change_only_the_edge() {
    let (old, new) = (plan(&[(FIRST, 0, &[(0, 70 * SECOND)])], &[]), plan(&[(FIRST, 0, &[(0, 71 * SECOND)])], &[]));
    let changes = changed(&old, &new);
    assert_eq!(changes.len(), 1);
    assert!(changes[0].0 >= 70 * SECOND - REACH_SAMPLES, "{changes:?}");
}

#[test]
fn a_repaired_packet_changes_the_rest_of_its_chunk() {
    let old = plan(&[(FIRST, 0, &[(0, 40 * SECOND), (40 * SECOND + 960, 100 * SECOND)])], &[]);
    let new = plan(&[(FIRST, 0, &[(0, 100 * SECOND)])], &[]);
    let changes = changed(&old, &new);
    assert_eq!(changes.len(), 1, "{changes:?}");
    let (from, to) = changes[0];
    assert!(from < 40 * SECOND && from > 40 * SECOND - REACH_SAMPLES, "{from}");
    // The chunk ends at 60 s, on the decoder's side of its delay.
    assert!((60 * SECOND - 312..60 * SECOND + 1_000).contains(&to), "{to}");
}

#[test]
fn a_repaired_packet_where_the_next_chunk_warms_up_changes_that_one_too() {
    for (at, end) in [(57 * SECOND, 60 * SECOND), (58 * SECOND + 960, 90 * SECOND)] {
        let old = plan(&[(FIRST, 0, &[(0, at), (at + 960, 200 * SECOND)])], &[]);
        let new = plan(&[(FIRST, 0, &[(0, 200 * SECOND)])], &[]);
        let changes = changed(&old, &new);
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert!(changes[0].1.abs_diff(end) < 1_000, "{changes:?} does not end near {end}");
    }
}

#[test]
fn an_island_keeps_its_changes_to_itself() {
    // Far behind a hole another decoder begins.
    let there = (45 * SECOND, 100 * SECOND);
    let old = plan(&[(FIRST, 0, &[(30 * SECOND, 40 * SECOND), there])], &[]);
    let new = plan(&[(FIRST, 0, &[(30 * SECOND, 41 * SECOND), there])], &[]);
    let changes = changed(&old, &new);
    assert_eq!(changes.len(), 1);
    assert!(changes[0].1 < 42 * SECOND, "{changes:?}");
}

#[test]
fn a_retraction_changes_itself_and_its_ramps() {
    let covered: &[(u64, u64)] = &[(0, 100 * SECOND)];
    let (old, new) = (plan(&[(FIRST, 0, covered)], &[]), plan(&[(FIRST, 0, covered)], &[(SECOND, 2 * SECOND)]));
    let changes = changed(&old, &new);
    assert_eq!(changes, [(SECOND - RAMP_SAMPLES - AROUND_SAMPLES, 2 * SECOND + RAMP_SAMPLES + AROUND_SAMPLES)]);
}

#[test]
fn a_segment_that_comes_up_changes_what_it_shows_and_what_it_cuts_off() {
    let first = (FIRST, 0, &[(0, 50 * SECOND)][..]);
    let old = plan(&[first], &[]);
    // It lies at 45 s and holds a second of 47 s.
    let new = plan(&[first, (9_000_000, 45 * 48_000, &[(2 * SECOND, 3 * SECOND)])], &[]);
    let changes = changed(&old, &new);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes[0].0.abs_diff(45 * SECOND) < 1_000 && changes[0].1.abs_diff(50 * SECOND) < 1_000, "{changes:?}");
}
