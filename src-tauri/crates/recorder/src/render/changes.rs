//! What comes out otherwise when more is known of a track.
//!
//! Samples are a function of the plan and of the packets that it covers, and this says which. A packet that arrives, is
//! taken away or lies elsewhere changes
//!
//! * its own samples, and those just before it: how long a gap is that is concealed, and which of two packets that
//!   overlap comes first, shows up to [`BEFORE_SAMPLES`] earlier;
//! * what a decoder gives that has seen it: the rest of its chunk, as far as its island goes;
//! * the next chunk, if it lies where that one's decoder warms up: all of it, because a decoder is a recursion and
//!   nothing promises that two of them ever agree to the last bit, even if they were measured to;
//! * the ramps at the edges of what is heard.
//!
//! What is retracted or cut off by the next segment changes ramps and itself, and a map changes every frame from its
//! first difference on.

use std::collections::BTreeMap;

use roomtone_packets::{MapStretch, RangeSet};
use roomtone_protocol::SegmentKey;

use super::channel::RAMP_SAMPLES;
use super::decode::{CHUNK_SAMPLES, MAX_PACKET_SAMPLES, WARM_UP_SAMPLES};
use super::filter::TAPS;
use super::plan::{MAX_CONCEALED_SAMPLES, Piece, TrackPlan};
use crate::stretch::StretchMap as _;
use crate::timeline::TimelineFrame;

/// Timeline frames: from, to.
pub(crate) type FrameRange = (TimelineFrame, TimelineFrame);

/// A packet that covers something new is at most this long, so it begins and ends this near.
const PACKET_SAMPLES: u64 = MAX_PACKET_SAMPLES as u64;

/// How far before itself a packet changes anything.
const BEFORE_SAMPLES: u64 = PACKET_SAMPLES + MAX_CONCEALED_SAMPLES;

/// How far interpolation looks around a sample, with the slack of two maps that meet.
const AROUND_SAMPLES: u64 = 512;
const _: () = assert!(TAPS as u64 * 2 <= AROUND_SAMPLES, "interpolation looks no further");

/// Whoever renders up to here before the end of what has arrived renders nothing twice when it goes on, 300 ms: the next
/// packets change nothing further back, and the decoder has not read further.
pub(crate) const REACH_SAMPLES: u64 = 14_400;
const _: () = assert!(REACH_SAMPLES > BEFORE_SAMPLES + AROUND_SAMPLES + 2 * 960, "with a packet and the codec's delay");

/// The difference between two plans of one track.
#[derive(Debug, Default)]
pub(super) struct Changes {
    segments: BTreeMap<SegmentKey, SegmentChanges>,
    frames: Vec<FrameRange>,
}

/// What of a segment there is otherwise.
#[derive(Debug)]
enum SegmentChanges {
    /// All of it.
    Everything,
    /// Samples as they leave the decoder, and as they were captured.
    Some { decoded: RangeSet, captured: RangeSet },
}

impl Changes {
    pub(super) fn between(old: &TrackPlan, new: &TrackPlan) -> Self {
        let mut changes = Self::default();
        let by_segment = |plan: &TrackPlan| -> BTreeMap<SegmentKey, usize> {
            plan.pieces().iter().enumerate().map(|(number, piece)| (piece.segment, number)).collect()
        };
        let (olds, news) = (by_segment(old), by_segment(new));
        for (segment, &number) in &olds {
            let before = &old.pieces()[number];
            match news.get(segment) {
                Some(&number) => changes.piece(before, &new.pieces()[number]),
                None => changes.all_of(before),
            }
        }
        for (_, &number) in news.iter().filter(|(segment, _)| !olds.contains_key(segment)) {
            changes.all_of(&new.pieces()[number]);
        }
        changes
    }

    /// Whether anything of samples `from..to` of a segment, as captured, is otherwise.
    pub(super) fn touches(&self, segment: SegmentKey, (from, to): (i64, i64)) -> bool {
        match self.segments.get(&segment) {
            None => false,
            Some(SegmentChanges::Everything) => true,
            Some(SegmentChanges::Some { captured, .. }) => {
                let sample = |index: i64| u64::try_from(index).unwrap_or(0);
                captured.within(sample(from), sample(to)).next().is_some()
            }
        }
    }

    /// What of a segment's decoded samples is otherwise; None for all of it.
    pub(super) fn decoded(&self, segment: SegmentKey) -> Option<RangeSet> {
        match self.segments.get(&segment) {
            None => Some(RangeSet::default()),
            Some(SegmentChanges::Everything) => None,
            Some(SegmentChanges::Some { decoded, .. }) => Some(decoded.clone()),
        }
    }

    pub(super) fn into_frames(self) -> Vec<FrameRange> {
        self.frames
    }

    /// A piece that came or went.
    fn all_of(&mut self, piece: &Piece) {
        self.segments.insert(piece.segment, SegmentChanges::Everything);
        self.heard(piece, piece.starts, piece.ends);
    }

    fn piece(&mut self, old: &Piece, new: &Piece) {
        if (old.first, old.codec_delay) != (new.first, new.codec_delay) {
            self.all_of(old);
            self.all_of(new);
            return;
        }
        self.edges(old, new);
        let decoded = decoded_otherwise(old, new);
        let delay = new.codec_delay;
        let mut captured = RangeSet::default();
        for (from, to) in decoded.iter() {
            captured.insert(from.saturating_sub(delay), to.saturating_sub(delay));
        }
        for (from, to) in difference(&old.audible, &new.audible) {
            captured.insert(from.saturating_sub(RAMP_SAMPLES), to + RAMP_SAMPLES);
        }
        if captured.is_empty() {
            return;
        }
        for piece in [old, new] {
            self.frames
                .extend(captured.iter().map(|(from, to)| frames(piece, from, to)).filter(|(from, to)| from < to));
        }
        self.segments.insert(new.segment, SegmentChanges::Some { decoded, captured });
    }

    /// Frames that show another sample, or another segment.
    fn edges(&mut self, old: &Piece, new: &Piece) {
        let courses = [old, new].map(|piece| turns(&piece.stretches));
        let same = courses[0].iter().zip(&courses[1]).take_while(|(old, new)| old == new).count();
        let begins = |stretch: &MapStretch| stretch.frame_of(stretch.from);
        let differ = courses.iter().filter_map(|course| course.get(same).copied());
        let moved = differ.map(begins).min().map(|from| if same == 0 { TimelineFrame(i64::MIN) } else { from });
        let differences = [
            (old.starts.min(new.starts), old.starts.max(new.starts)),
            (old.ends.min(new.ends), old.ends.max(new.ends)),
            (moved.unwrap_or(TimelineFrame(i64::MAX)), TimelineFrame(i64::MAX)),
        ];
        for (from, to) in differences.into_iter().filter(|(from, to)| from < to) {
            self.heard(old, from, to);
            self.heard(new, from, to);
        }
    }

    /// What of frames `from..to` shows any of a piece.
    fn heard(&mut self, piece: &Piece, from: TimelineFrame, to: TimelineFrame) {
        let shown = piece.audible.iter().map(|(first, end)| frames(piece, first, end));
        let clipped = shown.map(|(first, end)| (first.max(from), end.min(to)));
        self.frames.extend(clipped.filter(|(from, to)| from < to));
    }
}

/// The stretches at which a map takes another direction.
fn turns(stretches: &[MapStretch]) -> Vec<&MapStretch> {
    let before = std::iter::once(None).chain(stretches.iter().map(Some));
    let turned = stretches.iter().zip(before);
    turned
        .filter(|(next, before)| before.is_none_or(|before| !next.goes_on_from(before)))
        .map(|(next, _)| next)
        .collect()
}

/// The frames that show any of samples `from..to`, or are interpolated from them.
fn frames(piece: &Piece, from: u64, to: u64) -> FrameRange {
    let from = piece.frame_of(from.saturating_sub(AROUND_SAMPLES));
    let to = piece.frame_of(to.saturating_add(AROUND_SAMPLES));
    (from.max(piece.starts), to.min(piece.ends))
}

/// Samples, as they leave the decoder, that differ because packets do.
fn decoded_otherwise(old: &Piece, new: &Piece) -> RangeSet {
    let mut otherwise = RangeSet::default();
    let first = new.first;
    for (from, to) in difference(&old.covered, &new.covered) {
        let (from, to) = (from.saturating_sub(BEFORE_SAMPLES), to + PACKET_SAMPLES);
        let islands = [old, new]
            .into_iter()
            .flat_map(|piece| piece.islands.within(from, to).filter_map(|(inside, _)| piece.islands.range_of(inside)));
        let Some(island_end) = islands.map(|(_, end)| end).max() else { continue };
        // Behind its last packet a decoder still gives what it holds back.
        let end = island_end + new.codec_delay + PACKET_SAMPLES;
        let mut chunk = from.saturating_sub(first) / CHUNK_SAMPLES;
        let mut at = from;
        loop {
            let chunk_end = first + (chunk + 1) * CHUNK_SAMPLES;
            otherwise.insert(at, chunk_end.min(end));
            if chunk_end >= end || chunk_end.saturating_sub(WARM_UP_SAMPLES) >= to {
                break;
            }
            (chunk, at) = (chunk + 1, chunk_end);
        }
    }
    otherwise
}

/// What is in one of two sets only.
fn difference(a: &RangeSet, b: &RangeSet) -> Vec<(u64, u64)> {
    let only = |a: &RangeSet, b: &RangeSet| -> Vec<(u64, u64)> {
        a.iter().flat_map(|(from, to)| b.missing(from, to)).collect()
    };
    [only(a, b), only(b, a)].concat()
}

#[cfg(test)]
mod tests;
