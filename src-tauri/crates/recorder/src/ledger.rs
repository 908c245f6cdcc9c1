//! The gap ledger: what is missing from a channel, and why.
//!
//! | span without audio | cause |
//! |---|---|
//! | taken back by its speaker | retracted |
//! | muted | muted |
//! | a hole that the participant knows of | its own cause |
//! | captured, as far as segments, packets and inventory show, and not obtained | network |
//! | before the first segment | not joined; unknown extent if an earlier one was announced and nothing places it |
//! | between segments | left after a goodbye; else the cause that the next segment names, of who has said what they hold; else crash |
//! | behind the last segment | left after a goodbye |
//! | whatever nobody vouches for | unknown extent |
//!
//! A channel is gapless on evidence only: nothing is missing, and the participant's complete inventory says so.

use roomtone_packets::{Coverage, RangeSet};
use roomtone_protocol::channel::Inventory;
use roomtone_protocol::metadata::{Gap, GapCause};
use roomtone_protocol::{ClockNs, SegmentKey};

use crate::journal::TrackNotes;
use crate::render::{Piece, pieces_of};
use crate::timeline::{Timeline, TimelineFrame};

/// A goodbye belongs to the segment that ended with it even if clocks disagree by this many frames: 1 s.
pub(crate) const GOODBYE_SLACK_FRAMES: i64 = 48_000;

/// What is known of one channel.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What was recorded.
    pub timeline: &'a Timeline,
    /// Segments, maps, inventory, mutes.
    pub notes: &'a TrackNotes,
    /// What arrived.
    pub coverage: &'a Coverage,
    /// Explicit goodbyes, on the recorder's clock.
    pub left: &'a [ClockNs],
}

/// What is missing from one channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelLedger {
    /// Every span without audio, in order, in file frames.
    pub gaps: Vec<Gap>,
    /// Frames of the gaps whose cause counts as missing.
    pub missing_frames: u64,
    /// Whether nothing is missing, on evidence.
    pub gapless: bool,
}

impl ChannelLedger {
    /// Weighs the evidence.
    #[must_use]
    pub fn new(evidence: &Evidence<'_>) -> Self {
        let pieces = pieces_of(&evidence.notes.segments, &evidence.notes.stretches);
        let mut account = Account { timeline: evidence.timeline, explained: RangeSet::default(), gaps: Vec::new() };
        for piece in &pieces {
            account.silenced(piece, evidence);
        }
        for piece in &pieces {
            account.captured(piece, evidence);
        }
        account.outside(&pieces, evidence);
        account.close(TimelineFrame(i64::MIN), TimelineFrame(i64::MAX), GapCause::UnknownExtent);

        let gaps = account.finish();
        let missing_frames = gaps.iter().filter(|gap| gap.cause.is_missing()).map(|gap| gap.to - gap.from).sum();
        let vouched = evidence.notes.inventory.as_ref().is_some_and(|inventory| inventory.complete);
        Self { gaps, missing_frames, gapless: missing_frames == 0 && vouched }
    }
}

/// File frames get their explanation once; the first one holds.
struct Account<'a> {
    timeline: &'a Timeline,
    explained: RangeSet,
    gaps: Vec<Gap>,
}

impl Account<'_> {
    /// There is audio.
    fn present(&mut self, from: TimelineFrame, to: TimelineFrame) {
        for (from, to) in self.timeline.project(from, to) {
            self.explained.insert(from, to);
        }
    }

    /// What has no explanation yet gets this one.
    fn close(&mut self, from: TimelineFrame, to: TimelineFrame, cause: GapCause) {
        for (from, to) in self.timeline.project(from, to) {
            for (from, to) in self.explained.missing(from, to) {
                self.gaps.push(Gap { from, to, cause });
                self.explained.insert(from, to);
            }
        }
    }

    /// Spans that are silent on purpose, whatever arrived of them.
    fn silenced(&mut self, piece: &Piece, evidence: &Evidence<'_>) {
        let notes = evidence.notes;
        for (from, to) in notes.retracted.segment(piece.segment).into_iter().flat_map(RangeSet::iter) {
            let (from, to) = frames(piece, from, to);
            self.close(from, to, GapCause::Retracted);
        }
        let end = captured_end(piece, evidence);
        // A person who is muted stays so on the next device of the same epoch.
        let before =
            notes.muted.iter().filter(|edge| edge.segment.epoch == piece.segment.epoch && edge.segment < piece.segment);
        let muted_before = before.max_by_key(|edge| (edge.segment, edge.from)).is_some_and(|edge| edge.muted);
        let mut since = muted_before.then_some(piece.first);
        let mut edges: Vec<_> = notes.muted.iter().filter(|edge| edge.segment == piece.segment).collect();
        edges.sort_by_key(|edge| edge.from);
        for edge in edges {
            match (edge.muted, since) {
                (true, None) => since = Some(edge.from.0),
                (false, Some(from)) => {
                    let (from, to) = frames(piece, from, edge.from.0.min(end));
                    self.close(from, to, GapCause::Muted);
                    since = None;
                }
                (true, Some(_)) | (false, None) => {}
            }
        }
        if let Some(from) = since {
            let (from, to) = frames(piece, from, end);
            self.close(from, to, GapCause::Muted);
        }
    }

    /// Spans of one segment.
    fn captured(&mut self, piece: &Piece, evidence: &Evidence<'_>) {
        for (from, to) in evidence.coverage.segment(piece.segment).into_iter().flat_map(RangeSet::iter) {
            let (from, to) = frames(piece, from, to);
            self.present(from, to);
        }
        let holes = evidence.notes.inventory.iter().flat_map(|inventory| &inventory.holes);
        for hole in holes.filter(|hole| hole.range.segment == piece.segment) {
            let (from, to) = frames(piece, hole.range.from.0, hole.range.to.0);
            self.close(from, to, hole.cause);
        }
        let (from, to) = frames(piece, piece.first, captured_end(piece, evidence));
        self.close(from, to, GapCause::Network);
    }

    /// Spans before, between and behind segments.
    fn outside(&mut self, pieces: &[Piece], evidence: &Evidence<'_>) {
        if let Some(first) = pieces.first() {
            // Who was there before, in a run of their program whose place nobody knows, had joined.
            let unplaced = evidence.notes.segments.keys().any(|&key| key < first.segment);
            let goodbyes = evidence.left.iter().map(|&at| TimelineFrame::at(at)).filter(|&at| at < first.starts);
            match goodbyes.max() {
                Some(goodbye) if unplaced => self.close(goodbye, first.starts, GapCause::Left),
                None if unplaced => {}
                _ => self.close(TimelineFrame(i64::MIN), first.starts, GapCause::NotJoined),
            }
        }
        for (number, piece) in pieces.iter().enumerate() {
            let next = pieces.get(number + 1);
            let (_, end) = frames(piece, piece.first, captured_end(piece, evidence));
            let until = piece.ends;
            let vouched = vouches_for(evidence.notes.inventory.as_ref(), piece);
            let goodbye =
                evidence.left.iter().map(|&at| TimelineFrame::at(at)).find(|at| {
                    at.0.saturating_add(GOODBYE_SLACK_FRAMES) >= end.0 && (piece.starts..until).contains(at)
                });
            match (goodbye, next) {
                (Some(goodbye), _) => {
                    // Who vanished first and said goodbye later may have captured something in between, and so may a
                    // run of their program whose place nobody knows.
                    let between =
                        |&other: &SegmentKey| other > piece.segment && next.is_none_or(|next| other < next.segment);
                    let unplaced = evidence.notes.segments.keys().any(between);
                    let spoken = speaks_of(evidence.notes.inventory.as_ref(), piece);
                    let from = if vouched && spoken && !unplaced { end } else { goodbye };
                    self.close(from, until, GapCause::Left);
                }
                (None, Some(next)) => {
                    let named = evidence.notes.segments.get(&next.segment).and_then(|segment| segment.cause);
                    // Whose holdings nobody knows may have captured more before their device stopped.
                    let cause = match named.filter(|_| evidence.notes.inventory.is_some()) {
                        Some(cause) => cause,
                        None if vouched => GapCause::Crash,
                        None => GapCause::UnknownExtent,
                    };
                    self.close(end, until, cause);
                }
                (None, None) => {}
            }
        }
    }

    fn finish(mut self) -> Vec<Gap> {
        self.gaps.sort_unstable_by_key(|gap| gap.from);
        self.gaps.dedup_by(|next, kept| {
            let joins = kept.cause == next.cause && kept.to == next.from;
            if joins {
                kept.to = next.to;
            }
            joins
        });
        self.gaps
    }
}

/// Where a piece shows samples `from..to`.
fn frames(piece: &Piece, from: u64, to: u64) -> (TimelineFrame, TimelineFrame) {
    let clip = |sample: u64| piece.frame_of(sample).clamp(piece.starts, piece.ends);
    (clip(from), clip(to))
}

/// One past the last sample of a segment that anything shows to have been captured.
pub(crate) fn captured_end(piece: &Piece, evidence: &Evidence<'_>) -> u64 {
    // A live packet that overtook the announcement of its segment may lie in the one before.
    let mut later = evidence.notes.segments.range(piece.segment..).filter(|(key, _)| **key != piece.segment);
    let next = later.next().filter(|(key, _)| key.epoch == piece.segment.epoch).map(|(_, next)| next.first.0);
    let own = |&(from, _): &(u64, u64)| next.is_none_or(|next| from < next);
    let arrived = evidence.coverage.segment(piece.segment).into_iter().flat_map(RangeSet::iter);
    let told = evidence.notes.inventory.iter().flat_map(|inventory| {
        let holes = inventory.holes.iter().map(|hole| &hole.range);
        let ranges = inventory.held.iter().chain(holes).filter(|range| range.segment == piece.segment);
        ranges.map(|range| (range.from.0, range.to.0))
    });
    told.chain(arrived).filter(own).map(|(_, to)| to).max().unwrap_or(piece.first)
}

/// Whether the participant itself said where a segment ended: nothing more comes, or it went on to a later one.
pub(crate) fn vouches_for(inventory: Option<&Inventory>, piece: &Piece) -> bool {
    inventory
        .is_some_and(|inventory| inventory.complete || inventory.held.iter().any(|range| range.segment > piece.segment))
}

/// Whether the participant said anything of what this run of their program captured. One that left before it was told of
/// the recording has kept nothing, and nobody knows what there was.
fn speaks_of(inventory: Option<&Inventory>, piece: &Piece) -> bool {
    inventory.is_some_and(|inventory| inventory.held.iter().any(|range| range.segment.epoch == piece.segment.epoch))
}

#[cfg(test)]
mod tests;
