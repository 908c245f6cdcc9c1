//! What would be in the file: packets and their frames, from the journal and the maps in it.

use roomtone_packets::MapStretch;
use roomtone_protocol::{ClockNs, RecordingId, SegmentKey};
use roomtone_recorder::{
    ChannelLedger, ChannelSpec, Evidence, Journal, PacketSource as _, Timeline, TimelineFrame, TrackNotes,
};

use crate::clocks::True;
use crate::microphone::time_code;
use crate::world::World;

/// One channel.
pub(super) struct Channel {
    pub(super) packets: Vec<Placed>,
    pub(super) ledger: ChannelLedger,
    pub(super) notes: TrackNotes,
}

pub(super) struct Placed {
    pub(super) key: (SegmentKey, u64),
    /// What its time code says.
    pub(super) code: (u8, True),
    /// In the file; None if it is in no recorded time, or nobody knows where it belongs.
    /// With what the journal says that nobody can know about the path, in nanoseconds.
    pub(super) frame: Option<(f64, f64)>,
}

impl Channel {
    /// The first sample of a segment.
    pub(super) fn first(&self, segment: SegmentKey) -> u64 {
        self.notes.segments.get(&segment).map_or(0, |segment| segment.first.0)
    }

    pub(super) fn read(journal: &Journal, spec: &ChannelSpec, open_end: Option<ClockNs>) -> Self {
        let timeline = Timeline::new(&journal.notes().intervals, open_end);
        let notes = journal.track(spec.participant).cloned().unwrap_or_default();
        let coverage = journal.coverage(spec.participant);
        let evidence = Evidence { timeline: &timeline, notes: &notes, coverage, left: &spec.left_at };
        let ledger = ChannelLedger::new(&evidence);
        let mut packets = Vec::new();
        if let Some(mut source) = journal.packets(spec.participant).expect("a folder in memory") {
            for range in coverage.iter() {
                let mut next = range.from;
                for packet in source.packets(range).expect("a folder in memory") {
                    assert_eq!(packet.index, next, "packets overlap, or are not where they are said to be");
                    next = packet.range().to;
                    let code = time_code(&packet.opus).expect("only what was said is stored");
                    let key = (packet.segment, packet.index.0);
                    packets.push(Placed { key, code, frame: place(&timeline, &notes, key) });
                }
                assert_eq!(next, range.to, "covered, and not there");
            }
        }
        Self { packets, ledger, notes }
    }
}

/// What [`MapStretch`] documents, and the cut of the timeline.
fn place(timeline: &Timeline, notes: &TrackNotes, (segment, index): (SegmentKey, u64)) -> Option<(f64, f64)> {
    let stretches = notes.stretches.get(&segment)?;
    let stretch: &MapStretch = stretches.iter().rev().find(|stretch| stretch.from.0 <= index)?;
    let samples = (index - stretch.from.0) as f64;
    let part = (f64::from(stretch.fraction) + samples * stretch.frames_per_sample as f64) / 2f64.powi(32);
    let whole = part.floor();
    let frame = TimelineFrame(stretch.frame + whole as i64);
    let stated = f64::from(stretch.uncertainty_ns) + f64::from(stretch.residual_ns);
    timeline.to_file(frame).map(|file| (file.0 as f64 + part - whole, stated))
}

/// From when to when a recording went, which the journal must agree with. None if nothing was recorded.
pub(super) fn recorded(
    world: &World,
    recording: RecordingId,
    journal: &Journal,
    open_end: Option<ClockNs>,
) -> Option<(True, True)> {
    let truth = &world.truth.recordings[&recording];
    let timeline = Timeline::new(&journal.notes().intervals, open_end);
    let span = *timeline.spans().first()?;
    let clock = &world.host.clock;
    // An edge is a frame.
    let frame = |at: True| (clock.at(at).0 as f64 * 48e3 / 1e9).floor() as i64;
    assert!((span.timeline.0 - frame(truth.from)).abs() <= 1, "it did not begin when Record was pressed");
    let end = span.timeline.0 + i64::try_from(span.frames).expect("short");
    let until = match truth.until {
        Some(until) if !truth.by_rule => {
            assert!(
                (end - frame(until)).abs() <= 1 || truth.orphaned.is_some(),
                "it did not end when Stop was pressed"
            );
            until
        }
        _ => {
            let end = clock.when(ClockNs((end as f64 / 48e3 * 1e9) as i64));
            assert!(end <= world.now, "it ends in the future");
            end
        }
    };
    Some((truth.from, until))
}
