use roomtone_packets::{Interval, IntervalEdge, MapStretch, MutedFrom};
use roomtone_protocol::channel::{Hole, Segment};
use roomtone_protocol::metadata::GapCause::{
    CaptureStall, Crash, DeviceChange, Left, Muted, Network, NotJoined, Retracted, UnknownExtent,
};
use roomtone_protocol::{IndexRange, RecordingId, SampleIndex, SegmentId, SegmentKey, WakeEpoch};

use super::*;
use crate::stretch::ONE;

const SECOND: u64 = 48_000;

fn key(epoch: u32, segment: u32) -> SegmentKey {
    SegmentKey { epoch: WakeEpoch(epoch), segment: SegmentId(segment) }
}

/// Recorded from 100 s to 110 s of the timeline. Samples of epoch 1 count from timeline zero, so that sample n of a
/// segment lies at timeline frame n; all numbers in these tests are seconds in the file.
struct Case {
    notes: TrackNotes,
    coverage: Coverage,
    left: Vec<ClockNs>,
    timeline: Timeline,
}

fn at(second: f64) -> u64 {
    ((100.0 + second) * SECOND as f64) as u64
}

fn range(segment: SegmentKey, from: f64, to: f64) -> IndexRange {
    IndexRange { segment, from: SampleIndex(at(from)), to: SampleIndex(at(to)) }
}

fn instant(second: f64) -> ClockNs {
    ClockNs(((100.0 + second) * 1e9) as i64)
}

impl Case {
    fn new() -> Self {
        let edge = |edge, second| Interval { edge, at: instant(second), wall_ns: 0 };
        let timeline = Timeline::new(&[edge(IntervalEdge::Start, 0.0), edge(IntervalEdge::Stop, 10.0)], None);
        Self { notes: TrackNotes::default(), coverage: Coverage::default(), left: Vec::new(), timeline }
    }

    fn segment(mut self, segment: SegmentKey, starts: f64, cause: Option<GapCause>) -> Self {
        let first = SampleIndex(at(starts));
        self.notes.segments.insert(
            segment,
            Segment {
                segment,
                first,
                captured_at: ClockNs(0),
                codec_delay: 312,
                device: String::new(),
                device_rate: 48_000,
                cause,
            },
        );
        let stretch = MapStretch {
            segment,
            from: first,
            frame: i64::try_from(first.0).unwrap(),
            fraction: 0,
            frames_per_sample: ONE,
            residual_ns: 0,
            uncertainty_ns: 0,
        };
        self.notes.stretches.insert(segment, vec![stretch]);
        self
    }

    fn arrived(mut self, segment: SegmentKey, from: f64, to: f64) -> Self {
        self.coverage.insert(range(segment, from, to));
        self
    }

    fn inventory(mut self, held: &[(SegmentKey, f64, f64)], complete: bool) -> Self {
        self.notes.inventory = Some(Inventory {
            recording: RecordingId::from_bytes([1; 16]),
            held: held.iter().map(|&(segment, from, to)| range(segment, from, to)).collect(),
            holes: Vec::new(),
            complete,
        });
        self
    }

    fn hole(mut self, segment: SegmentKey, from: f64, to: f64, cause: GapCause) -> Self {
        let inventory = self.notes.inventory.as_mut().unwrap();
        inventory.holes.push(Hole { range: range(segment, from, to), cause });
        self
    }

    fn muted(mut self, segment: SegmentKey, from: f64, muted: bool) -> Self {
        self.notes.muted.push(MutedFrom { segment, from: SampleIndex(at(from)), muted });
        self
    }

    fn left(mut self, second: f64) -> Self {
        self.left.push(instant(second));
        self
    }

    #[track_caller]
    fn shows(&self, gaps: &[(f64, f64, GapCause)], missing: f64, gapless: bool) {
        let ledger = ChannelLedger::new(&Evidence {
            timeline: &self.timeline,
            notes: &self.notes,
            coverage: &self.coverage,
            left: &self.left,
        });
        let frame = |second: f64| (second * SECOND as f64) as u64;
        let expected: Vec<Gap> =
            gaps.iter().map(|&(from, to, cause)| Gap { from: frame(from), to: frame(to), cause }).collect();
        assert_eq!(ledger, ChannelLedger { gaps: expected, missing_frames: frame(missing), gapless });
    }
}

const A: SegmentKey = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };

#[test]
fn everything_arrived_and_the_participant_vouches() {
    let case = Case::new().segment(A, -5.0, None).arrived(A, -0.02, 10.02).inventory(&[(A, -0.02, 10.02)], true);
    case.shows(&[], 0.0, true);
}

#[test]
fn nothing_missing_but_nobody_vouches() {
    let case = Case::new().segment(A, -5.0, None).arrived(A, 0.0, 10.0);
    case.shows(&[], 0.0, false);
    case.inventory(&[(A, 0.0, 10.0)], false).shows(&[], 0.0, false);
}

#[test]
fn held_and_never_obtained_is_the_networks() {
    Case::new()
        .segment(A, -5.0, None)
        .arrived(A, 0.0, 4.0)
        .arrived(A, 5.0, 10.0)
        .inventory(&[(A, 0.0, 10.0)], true)
        .shows(&[(4.0, 5.0, Network)], 1.0, false);
}

#[test]
fn captured_before_the_pre_roll_reaches_is_the_networks_too() {
    Case::new().segment(A, -5.0, None).arrived(A, 3.0, 10.0).inventory(&[(A, 3.0, 10.0)], true).shows(
        &[(0.0, 3.0, Network)],
        3.0,
        false,
    );
}

#[test]
fn a_known_hole_has_its_own_cause() {
    Case::new()
        .segment(A, -5.0, None)
        .arrived(A, 0.0, 4.0)
        .arrived(A, 5.0, 10.0)
        .inventory(&[(A, 0.0, 4.0), (A, 5.0, 10.0)], true)
        .hole(A, 4.0, 5.0, CaptureStall)
        .shows(&[(4.0, 5.0, CaptureStall)], 1.0, false);
}

#[test]
fn who_comes_late_was_not_there() {
    Case::new().segment(A, 3.0, None).arrived(A, 3.0, 10.0).inventory(&[(A, 3.0, 10.0)], true).shows(
        &[(0.0, 3.0, NotJoined)],
        0.0,
        true,
    );
}

#[test]
fn who_says_goodbye_has_left() {
    Case::new().segment(A, -1.0, None).arrived(A, 0.0, 6.0).inventory(&[(A, 0.0, 6.0)], true).left(6.2).shows(
        &[(6.0, 10.0, Left)],
        0.0,
        true,
    );
}

#[test]
fn who_vanishes_and_says_goodbye_later_leaves_a_doubt() {
    Case::new().segment(A, -1.0, None).arrived(A, 0.0, 6.0).inventory(&[(A, 0.0, 6.0)], false).left(8.0).shows(
        &[(6.0, 8.0, UnknownExtent), (8.0, 10.0, Left)],
        2.0,
        false,
    );
}

#[test]
fn who_vanishes_leaves_a_doubt() {
    Case::new().segment(A, -1.0, None).arrived(A, 0.0, 6.0).inventory(&[(A, 0.0, 6.5)], false).shows(
        &[(6.0, 6.5, Network), (6.5, 10.0, UnknownExtent)],
        4.0,
        false,
    );
}

#[test]
fn who_leaves_and_comes_back_was_away_in_between() {
    let again = key(2, 0);
    Case::new()
        .segment(A, -1.0, None)
        .segment(again, 7.0, None)
        .arrived(A, 0.0, 4.0)
        .arrived(again, 7.0, 10.0)
        .inventory(&[(A, 0.0, 4.0), (again, 7.0, 10.0)], true)
        .left(4.0)
        .shows(&[(4.0, 7.0, Left)], 0.0, true);
}

#[test]
fn a_run_of_which_nothing_was_kept_is_vouched_for_by_nobody() {
    // It came back at 5 s, was never told of the recording, and said goodbye at 8 s.
    Case::new()
        .segment(A, -1.0, None)
        .segment(key(2, 0), 5.0, None)
        .arrived(A, 0.0, 4.0)
        .inventory(&[(A, 0.0, 4.0)], true)
        .left(4.0)
        .left(8.0)
        .shows(&[(4.0, 5.0, Left), (5.0, 8.0, UnknownExtent), (8.0, 10.0, Left)], 3.0, false);
}

#[test]
fn a_goodbye_just_before_a_return_is_not_the_returns_own() {
    Case::new()
        .segment(key(1, 0), 0.0, None)
        .arrived(key(1, 0), 0.0, 5.0)
        .left(5.0)
        .segment(key(2, 0), 5.5, None)
        .shows(&[(5.0, 5.5, Left), (5.5, 10.0, UnknownExtent)], 4.5, false);
}

#[test]
fn a_goodbye_long_ago_says_nothing_about_now() {
    let again = key(2, 0);
    Case::new()
        .segment(A, -90.0, None)
        .segment(again, -20.0, None)
        .arrived(again, 0.0, 5.0)
        .inventory(&[(again, 0.0, 5.0)], false)
        .left(-30.0)
        .shows(&[(5.0, 10.0, UnknownExtent)], 5.0, false);
}

#[test]
fn a_program_that_died_is_a_crash_once_it_tells() {
    let again = key(2, 0);
    let case =
        Case::new().segment(A, -1.0, None).segment(again, 5.0, None).arrived(A, 0.0, 4.0).arrived(again, 5.0, 10.0);
    case.shows(&[(4.0, 5.0, UnknownExtent)], 1.0, false);
    case.inventory(&[(A, 0.0, 4.0), (again, 5.0, 10.0)], true).shows(&[(4.0, 5.0, Crash)], 1.0, false);
}

#[test]
fn another_device_names_the_gap_before_it() {
    let other = key(1, 1);
    Case::new()
        .segment(A, -1.0, None)
        .segment(other, 4.5, Some(DeviceChange))
        .arrived(A, 0.0, 4.0)
        .arrived(other, 4.5, 10.0)
        .inventory(&[(A, 0.0, 4.0), (other, 4.5, 10.0)], true)
        .shows(&[(4.0, 4.5, DeviceChange)], 0.5, false);
}

#[test]
fn muted_spans_are_listed_and_not_missing() {
    let case = Case::new()
        .segment(A, -1.0, None)
        .arrived(A, 0.0, 10.0)
        .inventory(&[(A, 0.0, 10.0)], true)
        .muted(A, -0.5, true)
        .muted(A, 2.0, false)
        .muted(A, 5.0, true)
        .muted(A, 6.0, false)
        .muted(A, 9.0, true);
    case.shows(&[(0.0, 2.0, Muted), (5.0, 6.0, Muted), (9.0, 10.0, Muted)], 0.0, true);
}

#[test]
fn who_is_muted_stays_muted_on_another_device() {
    let other = key(1, 1);
    Case::new()
        .segment(A, -1.0, None)
        .segment(other, 4.0, Some(DeviceChange))
        .arrived(A, 0.0, 4.0)
        .arrived(other, 4.0, 10.0)
        .inventory(&[(A, 0.0, 4.0), (other, 4.0, 10.0)], true)
        .muted(A, 3.0, true)
        .muted(other, 5.0, false)
        .shows(&[(3.0, 5.0, Muted)], 0.0, true);
}

#[test]
fn retracted_spans_are_listed_and_not_missing() {
    let mut case = Case::new().segment(A, -1.0, None).arrived(A, 0.0, 10.0).inventory(&[(A, 0.0, 10.0)], true);
    case.notes.retracted.insert(range(A, 2.0, 3.0));
    case.shows(&[(2.0, 3.0, Retracted)], 0.0, true);
}

#[test]
fn a_channel_that_never_delivered_is_a_doubt() {
    Case::new().shows(&[(0.0, 10.0, UnknownExtent)], 10.0, false);
    let mut unmapped = Case::new().segment(A, -1.0, None).arrived(A, 0.0, 10.0).inventory(&[(A, 0.0, 10.0)], true);
    unmapped.notes.stretches.clear();
    unmapped.shows(&[(0.0, 10.0, UnknownExtent)], 10.0, false);
}

#[test]
fn a_device_that_opened_for_a_moment_does_not_cut_off_the_next_one() {
    // Placed by what was measured of each, the first of them lies a little behind the second.
    let second = key(1, 1);
    let case = Case::new().segment(A, 0.01, None).segment(second, 0.0, Some(DeviceChange)).arrived(second, 0.0, 10.0);
    let case = case.inventory(&[(second, 0.0, 10.0)], true);
    case.shows(&[(0.0, 0.01, NotJoined)], 0.0, true);
}

#[test]
fn a_packet_that_lies_in_the_segment_before_its_own_says_nothing_of_the_time_between() {
    let second = key(1, 1);
    let case = Case::new().segment(A, 0.0, None).segment(second, 6.0, Some(DeviceChange));
    let case = case.arrived(A, 0.0, 2.0).arrived(A, 6.5, 6.52).arrived(second, 6.0, 10.0);
    case.inventory(&[(A, 0.0, 2.0), (second, 6.0, 10.0)], true).shows(&[(2.0, 6.0, DeviceChange)], 4.0, false);
}

#[test]
fn who_was_there_before_in_a_run_that_nobody_can_place_had_joined() {
    let again = key(2, 0);
    let mut case = Case::new().segment(A, 0.0, None).segment(again, 6.0, None).arrived(again, 6.0, 10.0);
    case.notes.stretches.remove(&A);
    let case = case.inventory(&[(again, 6.0, 10.0)], true);
    case.shows(&[(0.0, 6.0, UnknownExtent)], 6.0, false);
    case.left(2.0).shows(&[(0.0, 2.0, UnknownExtent), (2.0, 6.0, Left)], 2.0, false);
}
