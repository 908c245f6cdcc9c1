//! Recorded time: where a recording's file lies on the recorder's timeline.
//!
//! Timeline frames count at 48 kHz from the zero of the recorder's timeline clock. File frames count from the start of
//! the file; pauses are cut out of them.

use roomtone_packets::{Interval, IntervalEdge};
use roomtone_protocol::{ClockNs, SAMPLE_RATE};

/// Counts at 48 kHz from the zero of the recorder's timeline clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimelineFrame(pub i64);

/// Counts at 48 kHz from the start of a recording's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileFrame(pub u64);

impl TimelineFrame {
    /// The frame that is running at an instant of the recorder's clock.
    #[must_use]
    pub fn at(instant: ClockNs) -> Self {
        Self(Self::round(instant, 0))
    }

    /// The frame that begins closest to an instant of the recorder's clock.
    #[must_use]
    pub fn nearest(instant: ClockNs) -> Self {
        Self(Self::round(instant, 500_000_000))
    }

    fn round(instant: ClockNs, offset: i128) -> i64 {
        let frames = (i128::from(instant.0) * i128::from(SAMPLE_RATE) + offset).div_euclid(1_000_000_000);
        i64::try_from(frames).expect("48 thousand a second are fewer than nanoseconds")
    }
}

/// A stretch that was recorded without interruption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First file frame.
    pub file: FileFrame,
    /// The timeline frame that it shows.
    pub timeline: TimelineFrame,
    /// Length in frames.
    pub frames: u64,
}

impl Span {
    fn timeline_end(&self) -> i64 {
        self.timeline.0.saturating_add_unsigned(self.frames)
    }
}

/// The recorded stretches of one recording, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    spans: Vec<Span>,
    frames: u64,
}

impl Timeline {
    /// Projects the edges that a journal noted. A recording that nobody stopped ends at `open_end`, if it is given,
    /// else at its last edge. Edges that say what is already so, or go back in time, change nothing.
    #[must_use]
    pub fn new(intervals: &[Interval], open_end: Option<ClockNs>) -> Self {
        let mut timeline = Self::default();
        let mut running: Option<TimelineFrame> = None;
        let mut over = false;
        for interval in intervals {
            let at = TimelineFrame::at(interval.at);
            match (interval.edge, running) {
                (IntervalEdge::Start, None) if timeline.spans.is_empty() && !over => running = Some(at),
                (IntervalEdge::Resume, None) if !over => running = Some(at.max(timeline.end())),
                (IntervalEdge::Pause | IntervalEdge::Stop, Some(from)) => {
                    timeline.push(from, at);
                    running = None;
                }
                _ => {}
            }
            over |= interval.edge == IntervalEdge::Stop;
        }
        if let (Some(from), Some(end)) = (running, open_end) {
            timeline.push(from, TimelineFrame::at(end));
        }
        timeline
    }

    /// Spans in order that do not overlap.
    pub(crate) fn of_spans(spans: Vec<Span>) -> Self {
        let frames = spans.iter().map(|span| span.frames).sum();
        Self { spans, frames }
    }

    fn end(&self) -> TimelineFrame {
        TimelineFrame(self.spans.last().map_or(i64::MIN, Span::timeline_end))
    }

    fn push(&mut self, from: TimelineFrame, to: TimelineFrame) {
        let frames = u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0);
        if frames > 0 {
            self.spans.push(Span { file: FileFrame(self.frames), timeline: from, frames });
            self.frames += frames;
        }
    }

    /// Length of the file in frames.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The recorded stretches, in order.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The file frame that shows a timeline frame; None if it was not recorded.
    #[must_use]
    pub fn to_file(&self, frame: TimelineFrame) -> Option<FileFrame> {
        let span = self.spans[..self.after(frame)].last()?;
        (frame.0 < span.timeline_end()).then(|| FileFrame(span.file.0 + frame.0.abs_diff(span.timeline.0)))
    }

    /// The file frame that shows a timeline frame, or the first one after it; the file's length if there is none.
    #[must_use]
    pub fn to_file_or_next(&self, frame: TimelineFrame) -> FileFrame {
        let next = self.after(frame);
        self.to_file(frame).unwrap_or_else(|| self.spans.get(next).map_or(FileFrame(self.frames), |span| span.file))
    }

    /// The timeline frame that a file frame shows; None behind the end.
    #[must_use]
    pub fn to_timeline(&self, frame: FileFrame) -> Option<TimelineFrame> {
        let after = self.spans.partition_point(|span| span.file <= frame);
        let span = self.spans[..after].last()?;
        let into = frame.0 - span.file.0;
        (into < span.frames).then(|| TimelineFrame(span.timeline.0.saturating_add_unsigned(into)))
    }

    /// The parts of a file range, each of them without a cut.
    pub fn pieces(&self, from: FileFrame, to: FileFrame) -> impl Iterator<Item = Span> + '_ {
        self.spans.iter().filter_map(move |span| {
            let start = span.file.0.max(from.0);
            let end = (span.file.0 + span.frames).min(to.0);
            (start < end).then(|| Span {
                file: FileFrame(start),
                timeline: TimelineFrame(span.timeline.0.saturating_add_unsigned(start - span.file.0)),
                frames: end - start,
            })
        })
    }

    /// The file ranges that show some of a timeline range: from, to.
    pub fn project(&self, from: TimelineFrame, to: TimelineFrame) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.spans.iter().filter_map(move |span| {
            let start = span.timeline.0.max(from.0);
            let end = span.timeline_end().min(to.0);
            (start < end).then(|| {
                let start = span.file.0 + start.abs_diff(span.timeline.0);
                (start, start + end.abs_diff(span.timeline.0.max(from.0)))
            })
        })
    }

    /// How many file frames from the first on show the same in both.
    #[must_use]
    pub(crate) fn agrees_until(&self, other: &Self) -> FileFrame {
        let mut agreed = 0;
        for (a, b) in self.spans.iter().zip(&other.spans) {
            if a.timeline != b.timeline {
                break;
            }
            agreed += a.frames.min(b.frames);
            if a.frames != b.frames {
                break;
            }
        }
        FileFrame(agreed)
    }

    /// How many spans begin at or before a timeline frame.
    fn after(&self, frame: TimelineFrame) -> usize {
        self.spans.partition_point(|span| span.timeline <= frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn edges(edges: &[(IntervalEdge, i64)]) -> Vec<Interval> {
        edges.iter().map(|&(edge, at)| Interval { edge, at: ClockNs(at), wall_ns: 0 }).collect()
    }

    #[test]
    fn an_instant_is_a_frame() {
        assert_eq!(TimelineFrame::at(ClockNs(SECOND)), TimelineFrame(48_000));
        assert_eq!(TimelineFrame::at(ClockNs(20_833)), TimelineFrame(0));
        assert_eq!(TimelineFrame::nearest(ClockNs(20_833)), TimelineFrame(1));
        assert_eq!(TimelineFrame::at(ClockNs(-1)), TimelineFrame(-1));
        assert_eq!(TimelineFrame::nearest(ClockNs(-1)), TimelineFrame(0));
    }

    #[test]
    fn pauses_are_cut_out_and_both_ways_agree() {
        use IntervalEdge::{Pause, Resume, Start, Stop};
        let timeline = Timeline::new(
            &edges(&[(Start, SECOND), (Pause, 2 * SECOND), (Resume, 5 * SECOND), (Stop, 6 * SECOND)]),
            None,
        );
        assert_eq!(timeline.frames(), 96_000);
        for (on_timeline, in_file) in [(48_000, 0), (95_999, 47_999), (240_000, 48_000), (287_999, 95_999)] {
            let (on_timeline, in_file) = (TimelineFrame(on_timeline), FileFrame(in_file));
            assert_eq!(timeline.to_file(on_timeline), Some(in_file));
            assert_eq!(timeline.to_timeline(in_file), Some(on_timeline));
        }
        for outside in [0, 47_999, 96_000, 239_999, 288_000] {
            assert_eq!(timeline.to_file(TimelineFrame(outside)), None, "{outside}");
        }
        assert_eq!(timeline.to_timeline(FileFrame(96_000)), None);
        assert_eq!(timeline.to_file_or_next(TimelineFrame(100_000)), FileFrame(48_000));
        assert_eq!(timeline.to_file_or_next(TimelineFrame(999_999)), FileFrame(96_000));
        let projected: Vec<_> = timeline.project(TimelineFrame(90_000), TimelineFrame(250_000)).collect();
        assert_eq!(projected, [(42_000, 48_000), (48_000, 58_000)]);
        let pieces: Vec<_> = timeline.pieces(FileFrame(47_000), FileFrame(49_000)).collect();
        assert_eq!(pieces[0], Span { file: FileFrame(47_000), timeline: TimelineFrame(95_000), frames: 1_000 });
        assert_eq!(pieces[1], Span { file: FileFrame(48_000), timeline: TimelineFrame(240_000), frames: 1_000 });
    }

    #[test]
    fn one_recording_begins_where_the_other_ends() {
        use IntervalEdge::{Start, Stop};
        let seam = 7_123_456_789;
        let first = Timeline::new(&edges(&[(Start, 0), (Stop, seam)]), None);
        let second = Timeline::new(&edges(&[(Start, seam), (Stop, 2 * seam)]), None);
        let last = first.to_timeline(FileFrame(first.frames() - 1)).unwrap();
        assert_eq!(second.to_timeline(FileFrame(0)), Some(TimelineFrame(last.0 + 1)));
    }

    #[test]
    fn edges_out_of_place_change_nothing() {
        use IntervalEdge::{Pause, Resume, Start, Stop};
        let told_twice = edges(&[
            (Pause, 0),
            (Start, SECOND),
            (Start, 2 * SECOND),
            (Pause, 3 * SECOND),
            (Pause, 4 * SECOND),
            (Resume, 2 * SECOND),
            (Stop, 4 * SECOND),
            (Stop, 5 * SECOND),
            (Resume, 6 * SECOND),
            (Start, 7 * SECOND),
        ]);
        let timeline = Timeline::new(&told_twice, Some(ClockNs(9 * SECOND)));
        assert_eq!(timeline.frames(), 3 * 48_000);
        assert_eq!(timeline.to_file(TimelineFrame(4 * 48_000)), None);
    }

    #[test]
    fn a_pause_that_is_learned_late_cuts_what_was_agreed() {
        use IntervalEdge::{Pause, Resume, Start, Stop};
        let all = edges(&[(Start, 0), (Pause, 4 * SECOND), (Resume, 5 * SECOND), (Stop, 9 * SECOND)]);
        let known = |count: usize, now| Timeline::new(&all[..count], Some(ClockNs(now)));
        let agree = |a: &Timeline, b: &Timeline| (a.agrees_until(b).0, b.agrees_until(a).0);
        assert_eq!(agree(&known(1, 3 * SECOND), &known(1, 6 * SECOND)), (144_000, 144_000));
        assert_eq!(agree(&known(1, 6 * SECOND), &known(2, 6 * SECOND)), (192_000, 192_000));
        assert_eq!(agree(&known(3, 6 * SECOND), &known(4, 99 * SECOND)), (240_000, 240_000));
        assert_eq!(agree(&known(1, SECOND), &Timeline::default()), (0, 0));
    }

    #[test]
    fn nobody_stopped_it() {
        let intervals = edges(&[(IntervalEdge::Start, SECOND)]);
        assert_eq!(Timeline::new(&intervals, None).frames(), 0);
        assert_eq!(Timeline::new(&intervals, Some(ClockNs(3 * SECOND))).frames(), 96_000);
    }
}
