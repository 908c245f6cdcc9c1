//! What a take's file holds, kept beside it, so that another run can go on with it.
//!
//! The invariant that a saved state promises: every frame before `frames` that is not listed as dirty is on the disk for
//! good, rendered from the pieces listed. It is written after the file's fsync, and before any of those frames is
//! written over. Whoever goes on compares the pieces with the journal's and renders what differs.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use roomtone_packets::{MapStretch, RangeSet};
use roomtone_protocol::{ParticipantId, RecordingId, SegmentKey};
use serde::{Deserialize, Serialize};

use super::file::beside;
use crate::render::{BitDepth, Piece, TrackPlan, epoch};
use crate::timeline::{FileFrame, Span, Timeline, TimelineFrame};

/// Version of this shape. Another one is not read: the take is begun anew.
const SCHEMA: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    schema: u32,
    /// See [`epoch`]: of every build that rendered any of the frames.
    epochs: Vec<String>,
    recording: RecordingId,
    depth: BitDepth,
    /// Name of the file, in the same folder.
    pub(super) file: String,
    pub(super) frames: u64,
    /// First timeline frame and length.
    spans: Vec<(i64, u64)>,
    pub(super) channels: Vec<ChannelState>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ChannelState {
    pub(super) participant: ParticipantId,
    pieces: Vec<PieceState>,
    dirty: Vec<(u64, u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PieceState {
    segment: SegmentKey,
    first: u64,
    codec_delay: u64,
    stretches: Vec<MapStretch>,
    starts: i64,
    ends: i64,
    covered: Vec<(u64, u64)>,
    audible: Vec<(u64, u64)>,
}

impl State {
    pub(super) fn new(
        recording: RecordingId,
        depth: BitDepth,
        file: &Path,
        (timeline, frames): (&Timeline, u64),
        epochs: &[String],
        channels: Vec<ChannelState>,
    ) -> Self {
        let file = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let spans = timeline.spans().iter().map(|span| (span.timeline.0, span.frames)).collect();
        Self { schema: SCHEMA, epochs: epochs.to_vec(), recording, depth, file, frames, spans, channels }
    }

    /// The state of the take `out`, if there is one that this version reads.
    pub(super) fn load(out: &Path, recording: RecordingId, depth: BitDepth) -> Option<Self> {
        let bytes = fs::read(beside(out, ".state")).ok()?;
        let state: Self = serde_json::from_slice(&bytes)
            .inspect_err(|error| tracing::warn!(%error, "the state of a take cannot be read; it is begun anew"))
            .ok()?;
        (state.schema == SCHEMA && state.recording == recording && state.depth == depth).then_some(state)
    }

    /// The builds whose bytes the frames are: this one, and those that rendered any before it.
    pub(super) fn epochs(&self) -> Vec<String> {
        let ours = epoch();
        self.epochs.iter().filter(|&epoch| *epoch != ours).cloned().chain([ours.clone()]).collect()
    }

    /// Whether no other build rendered any of it.
    pub(super) fn is_of_this_build(&self) -> bool {
        self.epochs.iter().all(|theirs| *theirs == epoch())
    }

    /// Whole or not at all, and on the disk for good.
    pub(super) fn save(&self, out: &Path) -> io::Result<()> {
        let (path, new) = (beside(out, ".state"), beside(out, ".state.new"));
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&new, &path)
    }

    /// The recorded time that the frames show.
    pub(super) fn timeline(&self) -> Timeline {
        let mut file = 0;
        let spans = self.spans.iter().map(|&(timeline, frames)| {
            let span = Span { file: FileFrame(file), timeline: TimelineFrame(timeline), frames };
            file += frames;
            span
        });
        Timeline::of_spans(spans.collect())
    }
}

impl ChannelState {
    pub(super) fn new(participant: ParticipantId, plan: &TrackPlan, dirty: &RangeSet) -> Self {
        let pieces = plan.pieces().iter().map(|piece| PieceState {
            segment: piece.segment,
            first: piece.first,
            codec_delay: piece.codec_delay,
            stretches: piece.stretches.clone(),
            starts: piece.starts.0,
            ends: piece.ends.0,
            covered: piece.covered.iter().collect(),
            audible: piece.audible.iter().collect(),
        });
        Self { participant, pieces: pieces.collect(), dirty: dirty.iter().collect() }
    }

    /// What the channel's frames were rendered from.
    pub(super) fn plan(&self) -> TrackPlan {
        let piece = |state: &PieceState| {
            let mut piece = Piece {
                segment: state.segment,
                first: state.first,
                codec_delay: state.codec_delay,
                stretches: state.stretches.clone(),
                starts: TimelineFrame(state.starts),
                ends: TimelineFrame(state.ends),
                covered: RangeSet::default(),
                islands: RangeSet::default(),
                audible: set(&state.audible),
            };
            piece.cover(set(&state.covered));
            piece
        };
        self.pieces.iter().filter(|piece| !piece.stretches.is_empty()).map(piece).collect()
    }

    pub(super) fn dirty(&self) -> RangeSet {
        set(&self.dirty)
    }
}

fn set(ranges: &[(u64, u64)]) -> RangeSet {
    let mut set = RangeSet::default();
    for &(from, to) in ranges {
        set.insert(from, to);
    }
    set
}
