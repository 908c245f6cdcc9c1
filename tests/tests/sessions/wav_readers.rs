//! What other people's readers make of Roomtone's WAVs: libsndfile, ffmpeg and sox, in every depth, below and above 4 GiB.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use opus::{Application, Channels, Encoder};
use roomtone_packets::{ChannelGiven, Interval, IntervalEdge, MapStretch, MarkerSet, NameGiven, Packet, Record};
use roomtone_protocol::channel::Segment;
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId, RoomId, SampleIndex, SegmentId, SegmentKey, WakeEpoch};
use roomtone_recorder::{
    BitDepth, ChannelSpec, FinalizeOptions, Journal, Origination, RecordingHeader, WavDescription, WavFrame, finalize,
};
use roomtone_tests::readers::{self, As, Reading};

const SECOND: u64 = 48_000;
/// Bytes in front of the samples.
const HEAD: usize = 4_096;
const RECORDING: RecordingId = RecordingId::from_bytes([1; 16]);

/// A recording of so many people, of an odd number of frames, as Roomtone finishes it.
fn recorded(dir: &Path, people: u8, depth: BitDepth) -> PathBuf {
    let header = RecordingHeader {
        recording: RECORDING,
        room_id: RoomId::from_bytes([2; 16]),
        room: "Studio".to_owned(),
        title: Some("Evening".to_owned()),
        started_by: None,
    };
    let mut journal = Journal::create(&dir.join("journal"), header).unwrap();
    // 2026-11-21, a second after midnight.
    let wall_ns = 1_795_219_201_000_000_000;
    for (edge, ns) in [(IntervalEdge::Start, 0), (IntervalEdge::Stop, 1_500_021_000)] {
        journal.note(&Record::Interval(Interval { edge, at: ClockNs(ns), wall_ns })).unwrap();
    }
    let (at, text) = (ClockNs(500_000_000), "a good bit".to_owned());
    let marker = MarkerSet { recording: RECORDING, at, text, by: None, asked: None };
    journal.note(&Record::Marker(marker)).unwrap();
    for person in 0..people {
        let participant = ParticipantId::from_bytes([person; 16]);
        let segment = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };
        journal.note(&Record::Channel(ChannelGiven { participant, index: u16::from(person) })).unwrap();
        journal.note(&Record::Name(NameGiven { participant, name: format!("Ben {person}") })).unwrap();
        let mut encoder = Encoder::new(48_000, Channels::Mono, Application::Audio).unwrap();
        let captured_at = ClockNs(0);
        let (device, device_rate, cause, first) = (String::new(), 48_000, None, SampleIndex(0));
        let codec_delay = u32::try_from(encoder.get_lookahead().unwrap()).unwrap();
        let known = Segment { segment, first, captured_at, codec_delay, device, device_rate, cause };
        journal.append(participant, &Record::Segment(known)).unwrap();
        let (frame, fraction, frames_per_sample, residual_ns, uncertainty_ns) = (0, 0, 1 << 32, 0, 0);
        let from = first;
        let map = MapStretch { segment, from, frame, fraction, frames_per_sample, residual_ns, uncertainty_ns };
        journal.append(participant, &Record::MapStretch(map)).unwrap();
        for n in 0..80u64 {
            let tone = |at: u64| 0.5 * (at as f32 * 0.05 * f32::from(person + 1)).sin();
            let samples: Vec<f32> = (n * 960..(n + 1) * 960).map(tone).collect();
            let opus = encoder.encode_vec_float(&samples, 4_000).unwrap();
            let packet = Packet { segment, index: SampleIndex(n * 960), samples: 960, opus };
            journal.append(participant, &Record::Packet(packet)).unwrap();
        }
    }
    let out = dir.join("take.wav");
    let channels = ChannelSpec::from_journal(&journal);
    let mut options = FinalizeOptions::new(out.clone(), channels, "roomtone test".to_owned());
    options.bit_depth = depth;
    assert_eq!(finalize(&journal, options).unwrap().frames, 72_001);
    out
}

fn is(reading: &Reading, people: u8, frames: u64) {
    assert_eq!((reading.channels, reading.rate, reading.frames), (u64::from(people), SECOND, frames), "{reading:?}");
}

#[test]
fn integers_are_read_as_they_were_written() {
    for people in [1, 2, 3, 8] {
        for depth in [BitDepth::Int24, BitDepth::Int16] {
            let dir = tempfile::tempdir().unwrap();
            let path = recorded(dir.path(), people, depth);
            let reading = readers::all(&path);
            is(&reading, people, 72_001);
            let width = depth.bytes();
            let bytes = fs::read(&path).unwrap();
            let written = bytes[HEAD..HEAD + 72_001 * usize::from(people) * width].chunks_exact(width);
            assert!(written.clone().any(|sample| sample.iter().any(|&byte| byte != 0)));
            // Readers fill 16 bits up to 24 at the lower end.
            let filled = written.flat_map(|sample| [&[0][..3 - width], sample].concat());
            assert!(filled.eq(reading.pcm.iter().copied()), "{people} channels, {depth:?}");
        }
    }
}

#[test]
fn floats_are_read_as_they_were_written() {
    for people in [1, 2, 3, 8] {
        let dir = tempfile::tempdir().unwrap();
        let path = recorded(dir.path(), people, BitDepth::Float32);
        let bytes = fs::read(&path).unwrap();
        let written = &bytes[HEAD..HEAD + 72_001 * usize::from(people) * 4];
        let (ffmpeg, sox) = (readers::ffmpeg_from(&path, As::Floats, 0), readers::sox_from(&path, As::Floats, 0));
        let (libsndfile, _) = readers::libsndfile_from(&path, As::Floats, 0);
        for reading in [&ffmpeg, &sox, &libsndfile] {
            is(reading, people, 72_001);
        }
        assert!(ffmpeg.pcm == written && libsndfile.pcm == written, "{people} channels");
        let floats = |bytes: &[u8]| -> Vec<f32> {
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        };
        let error = floats(&sox.pcm).iter().zip(floats(written)).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(sox.pcm.len() == written.len() && error <= 2.0f32.powi(-24), "{people} channels: {error}");
    }
}

#[test]
fn others_find_the_time_the_title_and_the_markers() {
    let dir = tempfile::tempdir().unwrap();
    let path = recorded(dir.path(), 3, BitDepth::Int24);
    let tags = readers::tags(&path);
    let expected = [
        ("comment", "Evening (times in UTC)"),
        ("encoded_by", "Roomtone"),
        ("date", "2026-11-21"),
        ("creation_time", "00:00:01"),
        ("time_reference", "48000"),
    ];
    for (name, value) in expected {
        assert_eq!(tags[name].as_str(), Some(value), "{name} in {tags}");
    }
    let (_, cues) = readers::libsndfile_from(&path, As::Integers, 0);
    assert_eq!(cues, [(24_000, "a good bit".to_owned())]);
}

/// A file of which only the last second is not silent, and that second.
fn long(dir: &Path, depth: BitDepth, channels: usize, seconds: u64) -> (PathBuf, Vec<u8>) {
    let frame = WavFrame::new(&description(depth, channels, seconds * SECOND));
    let last: Vec<u8> = (0..SECOND as usize * channels * depth.bytes()).map(|n| (n * 7 % 251) as u8).collect();
    let path = dir.join("long.wav");
    let mut file = File::create(&path).unwrap();
    file.write_all(&frame.head).unwrap();
    file.seek(SeekFrom::Start(HEAD as u64 + frame.data_bytes - last.len() as u64)).unwrap();
    file.write_all(&last).unwrap();
    file.write_all(&frame.tail).unwrap();
    (path, last)
}

fn description(depth: BitDepth, channels: usize, frames: u64) -> WavDescription {
    let started = time::macros::datetime!(2026-11-21 13:00 UTC);
    let (title, software, reference) = ("Long".to_owned(), "roomtone test".to_owned(), String::new());
    WavDescription {
        depth,
        channels: (0..channels).map(|number| format!("Guest {number}")).collect(),
        frames,
        origination: Origination { started, title, software, reference },
        cues: vec![(7, "seven".to_owned()), (frames - 1, "the last".to_owned())],
    }
}

/// 8 channels of 24 bits over 63 minutes are 4.35 GB.
const LONG_SECONDS: u64 = 63 * 60;

#[test]
fn above_4_gib_the_far_end_is_found_by_ffmpeg_and_libsndfile() {
    let dir = tempfile::tempdir().unwrap();
    let (path, last) = long(dir.path(), BitDepth::Int24, 8, LONG_SECONDS);
    assert!(path.metadata().unwrap().len() > 1 << 32);
    let ffmpeg = readers::ffmpeg_from(&path, As::Integers, LONG_SECONDS - 1);
    // Libsndfile looks for cue points in RIFF files only.
    let (libsndfile, _) = readers::libsndfile_from(&path, As::Integers, LONG_SECONDS - 1);
    for reading in [&ffmpeg, &libsndfile] {
        is(reading, 8, LONG_SECONDS * SECOND);
        assert!(reading.pcm == last);
    }
}

/// Asks sox for the far end too. It does not seek there but reads all of it, sample by sample: over three minutes.
const SOX_READS_ALL: &str = "ROOMTONE_SOX_READS_ALL";

#[test]
fn above_4_gib_sox_knows_the_length_and_finds_what_it_is_given_time_for() {
    let dir = tempfile::tempdir().unwrap();
    let (path, last) = long(dir.path(), BitDepth::Int24, 8, LONG_SECONDS);
    let sized = readers::sox_size(&path);
    assert_eq!(sized, (8, SECOND, LONG_SECONDS * SECOND));
    if std::env::var_os(SOX_READS_ALL).is_some() {
        let sox = readers::sox_from(&path, As::Integers, LONG_SECONDS - 1);
        assert!(sox.pcm == last);
    }
}

#[test]
fn an_rf64_is_read_alike_whatever_its_length() {
    // The head of a long file with the sizes of a short one: other layouts than the sparse file's, read to the end.
    for (depth, channels) in [(BitDepth::Int24, 1), (BitDepth::Int24, 3), (BitDepth::Int16, 2)] {
        let dir = tempfile::tempdir().unwrap();
        let long = WavFrame::new(&description(depth, channels, 1 << 33));
        let short = WavFrame::new(&description(depth, channels, SECOND + 1));
        let mut head = long.head;
        assert!(head.starts_with(b"RF64\xff\xff\xff\xffWAVEds64"));
        let sizes = [HEAD as u64 - 8 + short.data_bytes + short.tail.len() as u64, short.data_bytes, SECOND + 1];
        head[20..44].copy_from_slice(&sizes.map(u64::to_le_bytes).concat());
        let samples: Vec<u8> = (0..short.data_bytes as usize).map(|n| (n * 7 % 251) as u8).collect();
        let path = dir.path().join("short.wav");
        fs::write(&path, [head, samples.clone(), short.tail].concat()).unwrap();
        let reading = readers::all(&path);
        is(&reading, channels as u8, SECOND + 1);
        let width = depth.bytes();
        let filled = samples.chunks_exact(width).flat_map(|sample| [&[0][..3 - width], sample].concat());
        assert!(filled.eq(reading.pcm.iter().copied()), "{channels} channels, {depth:?}");
    }
}
