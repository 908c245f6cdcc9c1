//! How far a channel is settled: up to where nothing is expected to change any more.
//!
//! It decides only when something is rendered, never what: whatever comes later after all is repaired.

use roomtone_protocol::ClockNs;

use crate::clock_map::NODE_SAMPLES;
use crate::ledger::{Evidence, GOODBYE_SLACK_FRAMES, captured_end, vouches_for};
use crate::render::{Piece, REACH_SAMPLES, pieces_of};
use crate::stretch::StretchMap as _;
use crate::timeline::TimelineFrame;

/// How long a take waits for what is missing, 30 s: an outage that is over by then leaves nothing to repair, and the map
/// of a device that drifts, decided some 20 s behind, need not be guessed.
const PATIENCE_FRAMES: i64 = 30 * 48_000;

/// How long it waits for the map of somebody who is heard and of whom nobody knows yet when that was, 5 minutes: all of
/// it would go into the file as silence, and be rendered, and sent to where the file goes, once more. Clocks are known
/// within a minute or two.
const UNMAPPED_PATIENCE_FRAMES: i64 = 300 * 48_000;

/// Frames at the edge of what is there that the next packets may still change.
const EDGE_FRAMES: i64 = REACH_SAMPLES as i64;

/// Up to where one channel can be rendered, from `from` on, at an instant of the recorder's clock.
pub(super) fn frontier(evidence: &Evidence<'_>, from: TimelineFrame, now: ClockNs) -> TimelineFrame {
    let pieces = pieces_of(&evidence.notes.segments, &evidence.notes.stretches);
    let now = TimelineFrame::at(now);
    let arrived = settled(&pieces, evidence, from).min(now);
    let ready = match mapped_to(&pieces) {
        // Where nothing was captured there is nothing to map.
        Some(mapped) if captures_behind(&pieces, evidence, mapped) => arrived.min(mapped),
        _ => arrived,
    };
    let patience = if is_unmapped(&pieces, evidence) { UNMAPPED_PATIENCE_FRAMES } else { PATIENCE_FRAMES };
    TimelineFrame(ready.0 - EDGE_FRAMES).max(TimelineFrame(now.0 - patience))
}

/// Up to where the map of the newest segment can be relied on; None if all the way. A device that is copied sample for
/// sample goes on like that until measurements contradict it, which hardly ever happens. One that is followed from node
/// to node takes another direction at the next one.
fn mapped_to(pieces: &[Piece]) -> Option<TimelineFrame> {
    let piece = pieces.last()?;
    let last = piece.stretches.last()?;
    (!last.is_whole()).then(|| piece.frame_of(last.from.0.saturating_add(NODE_SAMPLES)))
}

/// The end of what is there without a hole that anything may still fill.
fn settled(pieces: &[Piece], evidence: &Evidence<'_>, from: TimelineFrame) -> TimelineFrame {
    let inventory = evidence.notes.inventory.as_ref();
    let mut at = from;
    for (number, piece) in pieces.iter().enumerate().filter(|(_, piece)| piece.ends > from) {
        at = at.max(piece.starts);
        let captured = captured_end(piece, evidence);
        let reached = reach(piece, evidence, piece.sample_at(at));
        let end = piece.frame_of(reached).max(at);
        if reached < captured {
            return end;
        }
        let goodbye = evidence
            .left
            .iter()
            .map(|&left| TimelineFrame::at(left))
            .any(|left| left.0.saturating_add(GOODBYE_SLACK_FRAMES) >= end.0 && left < piece.ends);
        let over = if number + 1 == pieces.len() {
            inventory.is_some_and(|inventory| inventory.complete)
        } else {
            vouches_for(inventory, piece)
        };
        if !(goodbye || over) {
            return end;
        }
        at = piece.ends;
    }
    if is_unmapped(pieces, evidence) || (pieces.is_empty() && evidence.left.is_empty()) {
        from
    } else {
        TimelineFrame(i64::MAX)
    }
}

/// Whether anything is there of a device that has no map yet.
fn is_unmapped(pieces: &[Piece], evidence: &Evidence<'_>) -> bool {
    evidence.coverage.iter().any(|range| pieces.iter().all(|piece| piece.segment != range.segment))
}

/// The first sample at or after `from` that is neither there nor known to be nowhere.
fn reach(piece: &Piece, evidence: &Evidence<'_>, from: u64) -> u64 {
    let covered = evidence.coverage.segment(piece.segment);
    let holes = || {
        let holes = evidence.notes.inventory.iter().flat_map(|inventory| &inventory.holes);
        holes.map(|hole| hole.range).filter(move |range| range.segment == piece.segment)
    };
    let mut at = from;
    loop {
        let there = covered.and_then(|covered| covered.range_of(at)).map(|(_, end)| end);
        let nowhere = || holes().find(|hole| hole.from.0 <= at && at < hole.to.0).map(|hole| hole.to.0);
        match there.or_else(nowhere) {
            Some(end) => at = end,
            None => return at,
        }
    }
}

/// Whether anything arrived that lies at or behind a frame.
fn captures_behind(pieces: &[Piece], evidence: &Evidence<'_>, frame: TimelineFrame) -> bool {
    let last = pieces.iter().rev().find_map(|piece| {
        let (_, end) = evidence.coverage.segment(piece.segment)?.iter().last()?;
        Some(piece.frame_of(end).min(piece.ends))
    });
    last.is_some_and(|end| end > frame)
}

#[cfg(test)]
mod tests;
