//! What would be in the file: packets and their frames, from the journal and the maps in it.

use roomtone_packets::MapStretch;
use roomtone_protocol::{ClockNs, RecordingId, SegmentKey};
use roomtone_recorder::{
    ChannelLedger, ChannelSpec, Evidence, Journal, PacketSource as _, Span, Timeline, TimelineFrame, TrackNotes,
};

use super::boots;
use crate::clocks::{MachineClock, True};
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
    pub(super) frame: Option<f64>,
    /// What the journal says that nobody can know about its place, in nanoseconds.
    pub(super) stated: f64,
}

impl Channel {
    /// The first sample of a segment.
    pub(super) fn first(&self, segment: SegmentKey) -> u64 {
        self.notes.segments.get(&segment).map_or(0, |segment| segment.first.0)
    }

    /// What the journal says that nobody can know about the place of a sample, there or not, in nanoseconds.
    pub(super) fn stated(&self, segment: SegmentKey, index: u64) -> f64 {
        let stretches = self.notes.stretches.get(&segment).map_or(&[][..], |stretches| &stretches[..]);
        let stretch = stretches.iter().rev().find(|stretch| stretch.from.0 <= index).or(stretches.first());
        stretch.map_or(0.0, |stretch| f64::from(stretch.uncertainty_ns))
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
                    let (frame, stated) = place(&timeline, &notes, key).unwrap_or((None, 0.0));
                    packets.push(Placed { key, code, frame, stated });
                }
                assert_eq!(next, range.to, "covered, and not there");
            }
        }
        Self { packets, ledger, notes }
    }
}

/// What [`MapStretch`] documents, and the cut of the timeline. A power cut may have left later stretches only: then the
/// first of them leads back.
fn place(timeline: &Timeline, notes: &TrackNotes, (segment, index): (SegmentKey, u64)) -> Option<(Option<f64>, f64)> {
    let stretches = notes.stretches.get(&segment)?;
    let stretch: &MapStretch = stretches.iter().rev().find(|stretch| stretch.from.0 <= index).or(stretches.first())?;
    let samples = index as f64 - stretch.from.0 as f64;
    let part = (f64::from(stretch.fraction) + samples * stretch.frames_per_sample as f64) / 2f64.powi(32);
    let whole = part.floor();
    let frame = TimelineFrame(stretch.frame + whole as i64);
    let stated = f64::from(stretch.uncertainty_ns);
    Some((timeline.to_file(frame).map(|file| file.0 as f64 + part - whole), stated))
}

/// The recorded stretches of true time, and where each of them begins in the file.
pub(super) struct Recorded {
    clock: MachineClock,
    spans: Vec<(True, True, f64)>,
    /// What the journal says that nobody can know about boots of the recorder's computer, in nanoseconds.
    pub(super) boots_ns: f64,
}

impl Recorded {
    /// What really was recorded, which the journal must agree with.
    pub(super) fn new(world: &World, recording: RecordingId, journal: &Journal, open_end: Option<ClockNs>) -> Self {
        let truth = &world.truth.recordings[&recording];
        let timeline = Timeline::new(&journal.notes().intervals, open_end);
        let clock = truth.clock;
        // An edge is a frame.
        let frame = |at: True| (clock.at(at).0 as f64 * 48e3 / 1e9).floor() as i64;
        let end = |span: &Span| span.timeline.0 + i64::try_from(span.frames).expect("short");
        let told = truth.until.filter(|_| !truth.by_rule && truth.orphaned.is_none());
        let until = told.unwrap_or_else(|| {
            let last = timeline.spans().last().map_or(frame(truth.from), end);
            clock.when(ClockNs((last as f64 / 48e3 * 1e9) as i64))
        });
        assert!(until <= world.now, "it ends in the future");
        let mut expected = truth.spans(until);
        expected.retain(|&(from, until)| frame(from) < frame(until));
        let boots_ns = boots::stated_ns(journal);
        let close = |a: i64, b: i64| (a - b).abs() <= 1 + (boots_ns * 48e3 / 1e9) as i64;
        // A program that died may have taken its last word with it.
        let lost = usize::from(truth.orphaned.is_some());
        let spans = timeline.spans();
        assert!(spans.len().abs_diff(expected.len()) <= lost, "{spans:?} instead of {expected:?}");
        for (number, (span, &(from, until))) in spans.iter().zip(&expected).enumerate() {
            assert!(close(span.timeline.0, frame(from)), "it did not begin when Record was pressed, or go on");
            let last = number + 1 == spans.len() && truth.orphaned.is_some();
            assert!(last || close(end(span), frame(until)), "it did not end when Stop was pressed, or pause");
        }
        let spans = spans.iter().zip(expected).map(|(span, (from, _))| {
            let until = clock.when(ClockNs((end(span) as f64 / 48e3 * 1e9) as i64));
            (from, until, span.file.0 as f64)
        });
        Self { clock, spans: spans.collect(), boots_ns }
    }

    /// The stretches: from, until.
    pub(super) fn spans(&self) -> impl Iterator<Item = (True, True)> + '_ {
        self.spans.iter().map(|&(from, until, _)| (from, until))
    }

    /// The stretch that all of this lies in.
    pub(super) fn around(&self, from: True, until: True) -> Option<(True, True)> {
        self.spans().find(|span| span.0 <= from && until <= span.1)
    }

    /// The frame of the file that a true instant falls on, or the first one behind it; the end of the file behind all.
    pub(super) fn frame_or_next(&self, at: True) -> f64 {
        let length = |from: True, until: True| (self.clock.at(until).0 - self.clock.at(from).0) as f64 * 48e3 / 1e9;
        let next = self.spans.iter().find(|span| at < span.1);
        let end = self.spans.last().map_or(0.0, |&(from, until, file)| file + length(from, until));
        next.map_or(end, |&(from, _, _)| self.frame(at.max(from)))
    }

    /// How far this lies outside of everything that was recorded, in nanoseconds; 0 if it touches some of it.
    pub(super) fn outside(&self, from: True, until: True) -> i64 {
        self.spans().map(|span| (span.0.0 - until.0).max(from.0 - span.1.0).max(0)).min().unwrap_or(i64::MAX)
    }

    /// The frame of the file that a true instant falls on, if it was recorded.
    pub(super) fn frame(&self, at: True) -> f64 {
        let next = self.spans.partition_point(|span| span.0 <= at).max(1);
        let (from, _, file) = self.spans[next - 1];
        file + (self.clock.at(at).0 - self.clock.at(from).0) as f64 * 48e3 / 1e9
    }
}
