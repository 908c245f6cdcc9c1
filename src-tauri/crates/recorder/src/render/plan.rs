//! What of a track is heard, and where.

use std::collections::BTreeMap;

use roomtone_packets::{Coverage, MapStretch, RangeSet};
use roomtone_protocol::SegmentKey;
use roomtone_protocol::channel::Segment;

use crate::journal::TrackNotes;
use crate::stretch::{Position, StretchMap};
use crate::timeline::TimelineFrame;

/// Longest gap that the decoder conceals, 100 ms. Up to five packets of 20 ms it repeats the pitch, which is plausible;
/// behind that it makes noise up.
pub(crate) const MAX_CONCEALED_SAMPLES: u64 = 4_800;

/// A track's segments, placed on the timeline.
#[derive(Debug, Clone, Default)]
pub struct TrackPlan {
    pieces: Vec<Piece>,
}

/// One segment on the timeline, until the next one begins.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) segment: SegmentKey,
    /// The segment's first sample: origin of the decoding grid.
    pub(crate) first: u64,
    /// See [`Segment::codec_delay`].
    pub(crate) codec_delay: u64,
    /// In order of samples, never empty.
    pub(crate) stretches: Vec<MapStretch>,
    pub(crate) starts: TimelineFrame,
    pub(crate) ends: TimelineFrame,
    /// The samples whose packets are there.
    pub(crate) covered: RangeSet,
    /// What is decoded in one go: coverage with short gaps bridged.
    pub(crate) islands: RangeSet,
    /// What of it is heard.
    pub(crate) audible: RangeSet,
}

impl TrackPlan {
    /// Places what a journal holds. A segment without a map is left out: nobody knows where it belongs.
    #[must_use]
    pub fn new(notes: &TrackNotes, coverage: &Coverage) -> Self {
        let mut pieces = pieces_of(&notes.segments, &notes.stretches);
        for piece in &mut pieces {
            let Some(covered) = coverage.segment(piece.segment) else { continue };
            piece.cover(covered.clone());
            let end = piece.sample_at(piece.ends);
            for (from, to) in piece.islands.iter() {
                let to = to.min(end);
                let retracted = notes.retracted.segment(piece.segment);
                let heard = retracted.map_or_else(|| vec![(from, to)], |retracted| retracted.missing(from, to));
                for (from, to) in heard {
                    piece.audible.insert(from, to);
                }
            }
        }
        pieces.retain(|piece| !piece.audible.is_empty());
        Self { pieces }
    }

    /// The pieces that show some of a timeline range, by number.
    pub(super) fn within(&self, from: TimelineFrame, to: TimelineFrame) -> impl Iterator<Item = usize> + '_ {
        let first = self.pieces.partition_point(|piece| piece.ends <= from);
        (first..self.pieces.len()).take_while(move |&number| self.pieces[number].starts < to)
    }

    pub(super) fn piece(&self, number: usize) -> &Piece {
        &self.pieces[number]
    }

    /// All pieces, in order of time.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

/// Places segments without looking at what is covered. Where two overlap, the later one is heard from its start on.
///
/// Within an epoch segments follow each other, however exactly each of them could be placed: one of a moment that seems to
/// begin behind the next one would cut that one off.
pub(crate) fn pieces_of(
    segments: &BTreeMap<SegmentKey, Segment>,
    stretches: &BTreeMap<SegmentKey, Vec<MapStretch>>,
) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = segments
        .values()
        .filter_map(|segment| {
            let stretches = stretches.get(&segment.segment).filter(|known| !known.is_empty())?.clone();
            let starts = stretches[0].frame_of(segment.first);
            Some(Piece {
                segment: segment.segment,
                first: segment.first.0,
                codec_delay: u64::from(segment.codec_delay),
                stretches,
                starts,
                ends: TimelineFrame(i64::MAX),
                covered: RangeSet::default(),
                islands: RangeSet::default(),
                audible: RangeSet::default(),
            })
        })
        .collect();
    for number in 1..pieces.len() {
        let before = &pieces[number - 1];
        if before.segment.epoch == pieces[number].segment.epoch {
            pieces[number].starts = pieces[number].starts.max(before.starts);
        }
    }
    pieces.sort_by_key(|piece| (piece.starts, piece.segment));
    for number in 1..pieces.len() {
        pieces[number - 1].ends = pieces[number].starts;
    }
    pieces
}

impl FromIterator<Piece> for TrackPlan {
    fn from_iter<I: IntoIterator<Item = Piece>>(pieces: I) -> Self {
        Self { pieces: pieces.into_iter().collect() }
    }
}

impl Piece {
    /// Sets what is covered, and what follows from it.
    pub(crate) fn cover(&mut self, covered: RangeSet) {
        self.islands = bridged(&covered);
        self.covered = covered;
    }

    /// The stretch that maps a timeline frame, and the frame from which the next one does.
    pub(crate) fn stretch_at(&self, frame: TimelineFrame) -> (&MapStretch, TimelineFrame) {
        let begun = self.stretches.partition_point(|stretch| stretch.frame_of(stretch.from) <= frame).max(1);
        let until = self.stretches.get(begun).map_or(TimelineFrame(i64::MAX), |next| next.frame_of(next.from));
        (&self.stretches[begun - 1], until)
    }

    /// The first timeline frame at or after a sample.
    pub(crate) fn frame_of(&self, sample: u64) -> TimelineFrame {
        let begun = self.stretches.partition_point(|stretch| stretch.from.0 <= sample).max(1);
        self.stretches[begun - 1].frame_of(roomtone_protocol::SampleIndex(sample))
    }

    /// The first sample at or after a timeline frame.
    pub(crate) fn sample_at(&self, frame: TimelineFrame) -> u64 {
        if frame.0 == i64::MAX {
            return u64::MAX;
        }
        let Position { index, fraction } = self.stretch_at(frame).0.position_of(frame);
        u64::try_from(index.saturating_add(i64::from(fraction > 0))).unwrap_or(0)
    }
}

/// Ranges with gaps up to [`MAX_CONCEALED_SAMPLES`] between them joined.
fn bridged(covered: &RangeSet) -> RangeSet {
    let mut bridged = RangeSet::default();
    let mut last: Option<(u64, u64)> = None;
    for (from, to) in covered.iter() {
        last = match last {
            Some((start, end)) if from - end <= MAX_CONCEALED_SAMPLES => Some((start, to)),
            Some((start, end)) => {
                bridged.insert(start, end);
                Some((from, to))
            }
            None => Some((from, to)),
        };
    }
    if let Some((start, end)) = last {
        bridged.insert(start, end);
    }
    bridged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_gaps_are_bridged_and_long_ones_are_not() {
        let mut covered = RangeSet::default();
        for (from, to) in [(0, 960), (5_760, 6_720), (11_521, 12_480)] {
            covered.insert(from, to);
        }
        assert_eq!(bridged(&covered).iter().collect::<Vec<_>>(), [(0, 6_720), (11_521, 12_480)]);
    }
}
