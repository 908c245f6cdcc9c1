use roomtone_packets::{Coverage, MapStretch};
use roomtone_protocol::channel::{Hole, Inventory, Segment};
use roomtone_protocol::metadata::GapCause;
use roomtone_protocol::{IndexRange, RecordingId, SampleIndex, SegmentId, SegmentKey, WakeEpoch};

use super::*;
use crate::journal::TrackNotes;
use crate::stretch::ONE;
use crate::timeline::Timeline;

const SECOND: i64 = 48_000;
/// Late enough that nothing is settled by patience alone.
const NOW: i64 = 20;

#[derive(Default)]
struct Track {
    notes: TrackNotes,
    coverage: Coverage,
    left: Vec<ClockNs>,
}

fn key(segment: u32) -> SegmentKey {
    SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(segment) }
}

/// Seconds of a segment as samples.
fn range(segment: u32, from: i64, to: i64) -> IndexRange {
    let sample = |second: i64| SampleIndex((second * SECOND).unsigned_abs());
    IndexRange { segment: key(segment), from: sample(from), to: sample(to) }
}

impl Track {
    /// A segment whose samples lie at the frames of their numbers, and seconds of it that arrived.
    fn with(mut self, segment: u32, first: i64, arrived: &[(i64, i64)]) -> Self {
        let first = SampleIndex((first * SECOND).unsigned_abs());
        let known = Segment {
            segment: key(segment),
            first,
            captured_at: ClockNs(0),
            codec_delay: 312,
            device: String::new(),
            device_rate: 48_000,
            cause: None,
        };
        self.notes.segments.insert(key(segment), known);
        let map = MapStretch {
            segment: key(segment),
            from: first,
            frame: i64::try_from(first.0).unwrap(),
            fraction: 0,
            frames_per_sample: ONE,
            residual_ns: 0,
            uncertainty_ns: 0,
        };
        self.notes.stretches.insert(key(segment), vec![map]);
        for &(from, to) in arrived {
            self.coverage.insert(range(segment, from, to));
        }
        self
    }

    fn told(mut self, held: &[IndexRange], holes: &[IndexRange], complete: bool) -> Self {
        let recording = RecordingId::from_bytes([1; 16]);
        let holes = holes.iter().map(|&range| Hole { range, cause: GapCause::CaptureStall }).collect();
        self.notes.inventory = Some(Inventory { recording, held: held.to_vec(), holes, complete });
        self
    }

    /// Frames before the end of what is settled, in seconds plus the edge.
    fn frontier(&self, now: i64) -> i64 {
        let evidence =
            Evidence { timeline: &Timeline::default(), notes: &self.notes, coverage: &self.coverage, left: &self.left };
        frontier(&evidence, TimelineFrame(0), ClockNs(now * 1_000_000_000)).0
    }

    fn settled(&self) -> i64 {
        self.frontier(NOW) + EDGE_FRAMES
    }

    /// From a second on, the device of the first segment runs at another rate than the recorder.
    fn drifting_from(mut self, second: i64) -> Self {
        let known = self.notes.stretches.get_mut(&key(0)).unwrap();
        let from = SampleIndex((second * SECOND).unsigned_abs());
        known.push(MapStretch { from, frame: second * SECOND, frames_per_sample: ONE + ONE / 20_000, ..known[0] });
        self
    }
}

#[test]
fn what_arrived_without_a_hole_is_settled() {
    assert_eq!(Track::default().with(0, 0, &[(0, 19)]).settled(), 19 * SECOND);
    assert_eq!(Track::default().with(0, 5, &[(5, 19)]).settled(), 19 * SECOND, "before the first segment is nothing");
}

#[test]
fn a_hole_is_waited_for_but_not_longer_than_its_time() {
    let track = Track::default().with(0, 0, &[(0, 3), (4, 19)]);
    assert_eq!(track.settled(), 3 * SECOND);
    assert_eq!(track.frontier(32), 3 * SECOND - EDGE_FRAMES);
    assert_eq!(track.frontier(40), 10 * SECOND);
}

#[test]
fn what_is_announced_is_waited_for_and_what_is_nowhere_is_not() {
    let track = || Track::default().with(0, 0, &[(0, 3), (4, 19)]);
    assert_eq!(track().told(&[range(0, 0, 3), range(0, 4, 19)], &[range(0, 3, 4)], false).settled(), 19 * SECOND);
    let behind = Track::default().with(0, 0, &[(0, 3)]).told(&[range(0, 0, 8)], &[], true);
    assert_eq!(behind.settled(), 3 * SECOND);
}

#[test]
fn who_said_goodbye_or_holds_nothing_more_keeps_nobody_waiting() {
    let mut gone = Track::default().with(0, 0, &[(0, 5)]);
    assert_eq!(gone.settled(), 5 * SECOND);
    gone.left.push(ClockNs(5_000_000_000));
    assert_eq!(gone.settled(), NOW * SECOND);
    let complete = Track::default().with(0, 0, &[(0, 5)]).told(&[range(0, 0, 5)], &[], true);
    assert_eq!(complete.settled(), NOW * SECOND);
    // Left, but something is still on its way.
    let mut missing = Track::default().with(0, 0, &[(0, 2), (3, 5)]);
    missing.left.push(ClockNs(5_000_000_000));
    assert_eq!(missing.settled(), 2 * SECOND);
}

#[test]
fn between_segments_somebody_must_vouch() {
    let track = || Track::default().with(0, 0, &[(0, 5)]).with(1, 7, &[(7, 19)]);
    assert_eq!(track().settled(), 5 * SECOND);
    assert_eq!(track().told(&[range(0, 0, 5), range(1, 7, 19)], &[], false).settled(), 19 * SECOND);
}

#[test]
fn a_device_that_drifts_is_followed_as_far_as_its_map_is_decided_and_one_that_is_copied_all_the_way() {
    let arrived = || Track::default().with(0, 0, &[(0, 19)]);
    assert_eq!(arrived().settled(), 19 * SECOND);
    let node = i64::try_from(NODE_SAMPLES).unwrap();
    let decided = 8 * SECOND + node + node / 20_000 + 1;
    assert_eq!(arrived().drifting_from(8).settled(), decided);
    assert_eq!(arrived().drifting_from(8).frontier(35), decided - EDGE_FRAMES);
    assert_eq!(arrived().drifting_from(8).frontier(300), 270 * SECOND, "nobody measures any more");
    let away = Track::default().with(0, 0, &[(0, 5)]).drifting_from(4).told(&[range(0, 0, 5)], &[], true);
    assert_eq!(away.settled(), NOW * SECOND, "where nothing was captured there is nothing to map");
}

#[test]
fn nobody_knows_about_who_never_delivered() {
    let silent = Track::default();
    assert_eq!((silent.settled(), silent.frontier(50)), (0, 20 * SECOND));
    let mut unmapped = Track::default().told(&[], &[], true);
    unmapped.coverage.insert(range(0, 0, 19));
    assert_eq!(unmapped.settled(), 0, "it lies somewhere");
    assert_eq!(unmapped.frontier(250), -EDGE_FRAMES, "and is not put down as silence");
    assert_eq!(unmapped.frontier(400), 100 * SECOND, "unless nobody ever finds out where");
}
