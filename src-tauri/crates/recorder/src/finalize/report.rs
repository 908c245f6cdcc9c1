//! The metadata of a finished recording.

use roomtone_packets::MapStretch;
use roomtone_protocol::SAMPLE_RATE;
use roomtone_protocol::metadata::{Alignment, Channel, Marker, MeasuredBy, Metadata, Parts, SCHEMA};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::FinalizeOptions;
use super::hashing::PART_BYTES;
use crate::boots;
use crate::journal::{JournalSnapshot, TrackNotes};
use crate::ledger::{ChannelLedger, Evidence};
use crate::render::BitDepth;
use crate::stretch::ONE;
use crate::timeline::{Timeline, TimelineFrame};
use crate::wav::{Origination, WavDescription, WavFrame};

/// The text of the marker where a pause was cut out.
const PAUSE_TEXT: &str = "Pause";

/// What stands around the samples, and the markers in it.
pub(crate) fn wav_frame(
    journal: &JournalSnapshot,
    timeline: &Timeline,
    depth: BitDepth,
    options: &FinalizeOptions<'_>,
) -> (WavFrame, Vec<Marker>) {
    let markers = markers(journal, timeline, options);
    let wav = WavFrame::new(&WavDescription {
        depth,
        channels: options.channels.iter().map(|channel| channel.name.clone()).collect(),
        frames: timeline.frames(),
        origination: Origination {
            started: started(journal),
            title: title(journal, options).unwrap_or_default(),
            software: options.software.clone(),
            reference: journal.header().recording.to_string(),
        },
        cues: markers.iter().map(|marker| (marker.frame, marker.text.clone())).collect(),
    });
    (wav, markers)
}

/// What the recording is called: what the caller says, else what the journal does.
fn title(journal: &JournalSnapshot, options: &FinalizeOptions<'_>) -> Option<String> {
    options.title.as_deref().or(journal.title()).map(str::to_owned)
}

/// Instant of the first frame on the wall clock.
fn started(journal: &JournalSnapshot) -> OffsetDateTime {
    journal.started_at().unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Markers as people set them, and one where a pause was cut out.
fn markers(journal: &JournalSnapshot, timeline: &Timeline, options: &FinalizeOptions<'_>) -> Vec<Marker> {
    let header = journal.header();
    let notes = journal.notes();
    let set = notes.markers.iter().filter(|marker| marker.recording == header.recording).map(|marker| Marker {
        frame: timeline.to_file_or_next(TimelineFrame::at(marker.at)).0,
        text: marker.text.clone(),
        by: marker.by.map(|by| {
            let channel = options.channels.iter().find(|channel| channel.participant == by);
            let name = channel.map(|channel| &channel.name).or_else(|| notes.names.get(&by));
            name.cloned().unwrap_or_else(|| by.to_string())
        }),
    });
    let seams = timeline.spans().iter().skip(1).map(|span| Marker {
        frame: span.file.0,
        text: PAUSE_TEXT.to_owned(),
        by: None,
    });
    let mut markers: Vec<Marker> = set.chain(seams).collect();
    markers.sort_by_key(|marker| marker.frame);
    markers
}

/// What is published beside the file, its hashes left out.
pub(crate) fn metadata(
    journal: &JournalSnapshot,
    timeline: &Timeline,
    depth: BitDepth,
    options: &FinalizeOptions<'_>,
    markers: Vec<Marker>,
    wav: &WavFrame,
) -> Metadata {
    let header = journal.header();
    let channels: Vec<Channel> = (0..)
        .zip(&options.channels)
        .map(|(index, spec)| {
            let nothing = TrackNotes::default();
            let notes = journal.track(spec.participant).unwrap_or(&nothing);
            let coverage = journal.coverage(spec.participant);
            let ledger = ChannelLedger::new(&Evidence { timeline, notes, coverage, left: &spec.left_at });
            Channel {
                index,
                participant: spec.participant,
                name: spec.name.clone(),
                consent: spec.consent,
                gapless: ledger.gapless,
                missing_frames: ledger.missing_frames,
                gaps: ledger.gaps,
                alignment: alignment(notes),
            }
        })
        .collect();
    let started = started(journal);
    Metadata {
        schema: SCHEMA,
        id: header.recording,
        room: header.room.clone(),
        room_id: header.room_id,
        title: title(journal, options),
        notes: options.notes.as_deref().or(journal.description()).map(str::to_owned),
        started_at: rfc3339(started),
        ended_at: rfc3339(started + length(timeline)),
        sample_rate: SAMPLE_RATE,
        bit_depth: depth.bits(),
        frames: timeline.frames(),
        size: wav.file_bytes(),
        sha256: None,
        parts: Parts { size: PART_BYTES, sha256: Vec::new() },
        software: options.software.clone(),
        gapless: channels.iter().all(|channel| channel.gapless),
        channels,
        unrecorded: options.unrecorded.clone(),
        markers,
        clock_seams: boots::seams(journal.notes(), timeline),
    }
}

/// From the first frame to behind the last one, pauses included.
fn length(timeline: &Timeline) -> Duration {
    let (Some(first), Some(last)) = (timeline.spans().first(), timeline.spans().last()) else {
        return Duration::ZERO;
    };
    let frames = i128::from(last.timeline.0) + i128::from(last.frames) - i128::from(first.timeline.0);
    let ns = frames * 1_000_000_000 / i128::from(SAMPLE_RATE);
    Duration::nanoseconds(i64::try_from(ns).unwrap_or(i64::MAX))
}

fn rfc3339(instant: OffsetDateTime) -> String {
    instant.format(&Rfc3339).expect("years before 10000 have this form")
}

/// The worst of a track's maps: a recording is as exact as its least exact piece.
fn alignment(notes: &TrackNotes) -> Alignment {
    let stretches = || notes.stretches.values().flatten();
    let worst = |figure: Option<u32>| figure.map(|ns| f64::from(ns) / 1_000.0);
    let skew =
        notes.stretches.values().filter_map(|segment| skew_ppm(segment)).max_by(|a, b| a.abs().total_cmp(&b.abs()));
    Alignment {
        skew_ppm: skew,
        residual_us: worst(stretches().map(|stretch| stretch.residual_ns).max()),
        uncertainty_us: worst(stretches().map(|stretch| stretch.uncertainty_ns).max()),
        measured_by: stretches().next().map(|_| match (notes.report, notes.arrival) {
            (Some(_), _) => MeasuredBy::SenderReports,
            (None, Some(_)) => MeasuredBy::Arrivals,
            (None, None) => MeasuredBy::Exchanges,
        }),
    }
}

/// How much faster than the recorder's clock a segment's device ran: over all of it but its last stretch, whose end is
/// not written down, where there are several. None without a map.
fn skew_ppm(segment: &[MapStretch]) -> Option<f64> {
    let (first, last) = (segment.first()?, segment.last()?);
    let samples = last.from.0.saturating_sub(first.from.0);
    if samples == 0 {
        return Some((ONE as f64 / last.frames_per_sample.max(1) as f64 - 1.0) * 1e6);
    }
    let fraction = (f64::from(last.fraction) - f64::from(first.fraction)) / ONE as f64;
    let frames = last.frame.saturating_sub(first.frame) as f64 + fraction;
    Some((samples as f64 / frames.max(1.0) - 1.0) * 1e6)
}

#[cfg(test)]
mod tests {
    use roomtone_packets::{Arrival, SenderReport};
    use roomtone_protocol::{ClockNs, SampleIndex, SegmentId, SegmentKey, WakeEpoch};

    use super::*;

    const KEY: SegmentKey = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };

    fn stretch(from: u64, frame: i64, frames_per_sample: u64) -> MapStretch {
        let from = SampleIndex(from);
        MapStretch {
            segment: KEY,
            from,
            frame,
            fraction: 0,
            frames_per_sample,
            residual_ns: frame as u32,
            uncertainty_ns: 7_000,
        }
    }

    fn alignment_of(stretches: Vec<MapStretch>) -> Alignment {
        let mut notes = TrackNotes::default();
        notes.stretches.insert(KEY, stretches);
        alignment(&notes)
    }

    #[test]
    fn the_skew_is_a_number_wherever_there_is_a_map() {
        assert_eq!(alignment(&TrackNotes::default()).skew_ppm, None);
        assert_eq!(alignment_of(vec![stretch(5, 7, ONE)]).skew_ppm, Some(0.0));
        let slow = alignment_of(vec![stretch(0, 0, ONE + ONE / 10_000)]).skew_ppm;
        assert!((slow.unwrap() + 100.0).abs() < 0.02, "{slow:?}");
    }

    #[test]
    fn the_least_exact_thing_that_told_is_named() {
        let (at, end) = (ClockNs(7), SampleIndex(960));
        let arrival = Arrival { segment: KEY, end, at };
        let report = SenderReport { segment: KEY, index: end, sent: at, at, round_trip_ns: None };
        let told = |arrival, report| {
            let mut notes = TrackNotes { arrival, report, ..TrackNotes::default() };
            assert_eq!(alignment(&notes).measured_by, None, "nothing is aligned");
            notes.stretches.insert(KEY, vec![stretch(0, 0, ONE)]);
            alignment(&notes).measured_by
        };
        assert_eq!(told(None, None), Some(MeasuredBy::Exchanges));
        assert_eq!(told(Some(arrival), None), Some(MeasuredBy::Arrivals));
        assert_eq!(told(Some(arrival), Some(report)), Some(MeasuredBy::SenderReports));
        assert_eq!(told(None, Some(report)), Some(MeasuredBy::SenderReports));
    }

    #[test]
    fn the_skew_is_that_of_the_whole_segment() {
        // Ten seconds nominal, then twenty with 2,400 frames less than samples, of which the last stretch is one.
        let stretches = vec![stretch(0, 0, ONE), stretch(480_000, 480_000, ONE), stretch(1_440_000, 1_437_600, ONE)];
        let alignment = alignment_of(stretches);
        assert!((alignment.skew_ppm.unwrap() - 1_669.4).abs() < 0.1, "{alignment:?}");
        assert_eq!((alignment.residual_us, alignment.uncertainty_us), (Some(1_437.6), Some(7.0)));
    }
}
