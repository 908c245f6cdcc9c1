//! From journals to files.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use common::{ONE, SECOND, encode, instant, inventory, key, participant, range, recording, segment, stretch, voice};
use roomtone_packets::{ChannelGiven, Interval, IntervalEdge, MarkerSet, NameGiven, PersonLeft, Record};
use roomtone_protocol::metadata::{Consent, Gap, GapCause};
use roomtone_recorder::{BitDepth, ChannelSpec, FinalizeError, FinalizeOptions, Finished, Journal, Progress, finalize};

const SOFTWARE: &str = "roomtone test";

/// Somebody who speaks from timeline frame `from` on; sample n of the segment lies at timeline frame n.
fn speak(journal: &mut Journal, number: u8, name: &str, from: u64, source: &[f32]) {
    let id = participant(number);
    let segment_key = key(1, 0);
    let encoded = encode(segment_key, from, source);
    journal.note(&Record::Channel(ChannelGiven { participant: id, index: u16::from(number) })).unwrap();
    journal.note(&Record::Name(NameGiven { participant: id, name: name.to_owned() })).unwrap();
    journal.append(id, &Record::Segment(segment(segment_key, from, encoded.codec_delay))).unwrap();
    journal.append(id, &Record::MapStretch(stretch(segment_key, from, from as i64, 0, ONE))).unwrap();
    for packet in encoded.packets {
        journal.append(id, &Record::Packet(packet)).unwrap();
    }
    let held = range(segment_key, from, from + source.len() as u64 / 960 * 960);
    journal.append(id, &inventory(1, vec![held])).unwrap();
}

fn options(out: &Path, journal: &Journal) -> FinalizeOptions<'static> {
    FinalizeOptions::new(out.to_owned(), ChannelSpec::from_journal(journal), SOFTWARE.to_owned())
}

/// Channels of a WAV, as hound reads it.
fn read(path: &Path) -> (hound::WavSpec, Vec<Vec<f32>>) {
    let mut reader = hound::WavReader::open(path).unwrap();
    let spec = reader.spec();
    let samples: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().map(Result::unwrap).collect(),
        hound::SampleFormat::Int => {
            let full = (1u64 << (spec.bits_per_sample - 1)) as f32;
            reader.samples::<i32>().map(|sample| sample.unwrap() as f32 / full).collect()
        }
    };
    let count = usize::from(spec.channels);
    (spec, (0..count).map(|channel| samples.iter().skip(channel).step_by(count).copied().collect()).collect())
}

#[test]
fn everybody_is_on_their_own_channel_at_the_right_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = common::journal(&dir.path().join("journal"), 1, 48_000, 48_000 + 4 * 48_000);
    let voices: Vec<Vec<f32>> = (0..3).map(|seed| voice(seed, 6 * 48_000)).collect();
    speak(&mut journal, 0, "Ada <&>", 0, &voices[0]);
    speak(&mut journal, 1, "Ben", 24_000, &voices[1]);
    // Comes a second after the start, leaves a second before the end.
    speak(&mut journal, 2, "Cy", 2 * SECOND, &voices[2][..2 * 48_000]);
    journal.note(&Record::Left(PersonLeft { participant: participant(2), at: instant(4 * 48_000 + 99) })).unwrap();
    let marker = |frame, text: &str, by| {
        let (recording, at, text) = (recording(1), instant(frame), text.to_owned());
        Record::Marker(MarkerSet { recording, at, text, by, asked: None })
    };
    journal.note(&marker(48_000 + 96_000, "a good bit", Some(participant(1)))).unwrap();
    journal.note(&marker(0, "before", None)).unwrap();
    journal.sync().unwrap();

    let out = dir.path().join("take.wav");
    let Finished { metadata, path, frames, size } = finalize(&journal, options(&out, &journal)).unwrap();
    assert_eq!((&path, frames), (&out, 4 * SECOND));
    assert!(!dir.path().join("take.wav.partial").exists());
    let bytes = fs::read(&out).unwrap();
    assert_eq!(size, bytes.len() as u64);

    let (spec, channels) = read(&out);
    assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (3, 48_000, 24));
    let likeness = |channel: usize, source: &[f32], from: usize| {
        common::correlation(&channels[channel][from..from + source.len()], source)
    };
    assert!(likeness(0, &voices[0][48_000..5 * 48_000], 0) > 0.98);
    assert!(likeness(1, &voices[1][24_000..24_000 + 4 * 48_000], 0) > 0.98);
    assert!(likeness(2, &voices[2][..2 * 48_000], 48_000) > 0.98);
    assert!(likeness(0, &voices[1][24_000..24_000 + 4 * 48_000], 0).abs() < 0.1);
    assert!(channels[2][..48_000].iter().chain(&channels[2][3 * 48_000..]).all(|&sample| sample == 0.0));

    assert_eq!((metadata.frames, metadata.size, metadata.bit_depth), (frames, size, 24));
    assert_eq!(metadata.started_at, "2026-11-21T22:26:40Z");
    assert_eq!(metadata.ended_at, "2026-11-21T22:26:44Z");
    assert_eq!((metadata.room.as_str(), metadata.title.as_deref()), ("Studio", Some("Evening")));
    assert_eq!(metadata.software, SOFTWARE);
    assert!(metadata.gapless);
    let names: Vec<_> = metadata.channels.iter().map(|channel| (channel.index, channel.name.as_str())).collect();
    assert_eq!(names, [(0, "Ada <&>"), (1, "Ben"), (2, "Cy")]);
    let gap = |from, to, cause| Gap { from, to, cause };
    assert_eq!(
        metadata.channels[2].gaps,
        [gap(0, SECOND, GapCause::NotJoined), gap(3 * SECOND, 4 * SECOND, GapCause::Left)]
    );
    assert_eq!(metadata.channels[2].missing_frames, 0);
    let alignment = metadata.channels[0].alignment;
    assert_eq!(
        (alignment.skew_ppm, alignment.residual_us, alignment.uncertainty_us),
        (Some(0.0), Some(20.0), Some(300.0))
    );
    let markers: Vec<_> =
        metadata.markers.iter().map(|marker| (marker.frame, marker.text.as_str(), marker.by.as_deref())).collect();
    assert_eq!(markers, [(0, "before", None), (96_000, "a good bit", Some("Ben"))]);

    let sha256 = |bytes: &[u8]| {
        use sha2::Digest as _;
        sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(metadata.sha256.as_deref(), Some(sha256(&bytes).as_str()));
    let parts: Vec<String> = bytes.chunks(8 << 20).map(sha256).collect();
    assert_eq!((metadata.parts.size, metadata.parts.sha256), (8 << 20, parts));
}

#[test]
fn names_and_markers_are_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = common::journal(&dir.path().join("journal"), 1, 0, 48_001);
    speak(&mut journal, 0, "Zoë <&>", 0, &voice(1, 60_000));
    let text = "odd".to_owned();
    let marker = MarkerSet { recording: recording(1), at: instant(100), text, by: None, asked: None };
    journal.note(&Record::Marker(marker)).unwrap();
    let out = dir.path().join("take.wav");
    finalize(&journal, options(&out, &journal)).unwrap();

    // One channel of 24 bits and an odd number of frames: data needs its padding byte.
    let bytes = fs::read(&out).unwrap();
    let chunks = chunks(&bytes);
    let ids: Vec<&[u8]> = chunks.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [&b"bext"[..], b"fmt ", b"JUNK", b"data", b"cue ", b"LIST", b"iXML"]);
    let of = |id: &[u8]| chunks.iter().find(|chunk| chunk.0 == id).unwrap().1;
    assert_eq!(of(b"data").as_ptr() as usize - bytes.as_ptr() as usize, 4_096);
    assert_eq!(of(b"data").len(), 3 * 48_001);
    assert_eq!(of(b"fmt ")[..4], [1, 0, 1, 0], "plain PCM, one channel");
    assert_eq!(of(b"cue ")[8..12], 100u32.to_le_bytes());
    assert!(of(b"LIST").windows(3).any(|window| window == b"odd"));
    let ixml = std::str::from_utf8(of(b"iXML")).unwrap();
    assert!(ixml.contains(
        "<CHANNEL_INDEX>1</CHANNEL_INDEX><INTERLEAVE_INDEX>1</INTERLEAVE_INDEX><NAME>Zoë &lt;&amp;&gt;</NAME>"
    ));
    assert!(of(b"bext").starts_with(b"Evening"));
}

/// Chunks of a RIFF file that is whole: id and body.
fn chunks(bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    assert_eq!(&bytes[..4], b"RIFF");
    let size = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    assert_eq!(size + 8, bytes.len());
    let mut at = 12;
    let mut chunks = Vec::new();
    while at < bytes.len() {
        let size = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        chunks.push((&bytes[at..at + 4], &bytes[at + 8..at + 8 + size]));
        at += 8 + size.next_multiple_of(2);
    }
    assert_eq!(at, bytes.len());
    chunks
}

#[test]
fn every_depth_and_layout_is_read_by_others() {
    for depth in [BitDepth::Int16, BitDepth::Int24, BitDepth::Float32] {
        for count in [1, 2, 3, 5] {
            let dir = tempfile::tempdir().unwrap();
            let mut journal = common::journal(&dir.path().join("journal"), 1, 0, 24_001);
            let sources: Vec<_> = (0..count).map(|number| voice(u64::from(number), 28_800)).collect();
            for number in 0..count {
                speak(&mut journal, number, "x", 0, &sources[usize::from(number)]);
            }
            let out = dir.path().join("take.wav");
            let finished = finalize(&journal, FinalizeOptions { bit_depth: depth, ..options(&out, &journal) }).unwrap();
            let (spec, channels) = read(&out);
            assert_eq!(spec.channels, u16::from(count));
            assert_eq!(finished.metadata.bit_depth, depth.bits());
            assert_eq!(spec.bits_per_sample, depth.bits());
            for (channel, source) in channels.iter().zip(&sources) {
                assert_eq!(channel.len(), 24_001);
                assert!(common::correlation(channel, &source[..24_001]) > 0.98, "{depth:?}, {count} channels");
            }
        }
    }
}

#[test]
fn the_second_recording_begins_where_the_first_ends() {
    let dir = tempfile::tempdir().unwrap();
    let source = voice(2, 8 * 48_000);
    let encoded = encode(key(1, 0), 0, &source);
    let ada = participant(0);
    // The seam lies anywhere but at the edge of a packet. Each journal gets what a participant sends: one packet of
    // margin before, two behind.
    let (seam, end) = (4 * SECOND + 301, 7 * SECOND);
    let mut files = Vec::new();
    for (number, from, to) in [(1u8, SECOND, seam), (2, seam, end)] {
        let mut journal = common::journal(&dir.path().join(format!("{number}")), number, from as i64, to as i64);
        journal.note(&Record::Channel(ChannelGiven { participant: ada, index: 0 })).unwrap();
        journal.append(ada, &Record::Segment(segment(key(1, 0), 0, encoded.codec_delay))).unwrap();
        journal.append(ada, &Record::MapStretch(stretch(key(1, 0), 0, 0, 0, ONE))).unwrap();
        let wanted = |index: u64| index + 2 * 960 > from && index < to + 2 * 960;
        let sent: Vec<_> = encoded.packets.iter().filter(|packet| wanted(packet.index.0)).collect();
        for packet in &sent {
            journal.append(ada, &Record::Packet((*packet).clone())).unwrap();
        }
        let held = range(key(1, 0), sent[0].index.0, sent[sent.len() - 1].range().to.0);
        journal.append(ada, &inventory(number, vec![held])).unwrap();
        let out = dir.path().join(format!("{number}.wav"));
        let finished = finalize(&journal, options(&out, &journal)).unwrap();
        assert_eq!(finished.frames, to - from);
        assert!(finished.metadata.gapless, "{:?}", finished.metadata.channels[0].gaps);
        files.push(read(&out).1.remove(0));
    }
    let joined = files.concat();
    let truth = &source[SECOND as usize..end as usize];
    let likeness = common::correlation(&joined, truth);
    assert!(likeness > 0.99, "{likeness}");
    // Around the seam itself, where a doubled or a lost sample would show; the second decoder is still cold there.
    let at = (seam - SECOND) as usize;
    for (from, to, least) in [(at - 4_800, at, 0.98), (at, at + 4_800, 0.98), (at + 4_800, at + 14_400, 0.98)] {
        let likeness = common::correlation(&joined[from..to], &truth[from..to]);
        assert!(likeness > least, "frames {from}..{to}: {likeness}");
    }
}

#[test]
fn pauses_are_cut_out_and_marked() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(&dir.path().join("journal"), common::header(1)).unwrap();
    let frames = [
        (IntervalEdge::Start, 0),
        (IntervalEdge::Pause, 48_000),
        (IntervalEdge::Resume, 96_000),
        (IntervalEdge::Stop, 144_000),
    ];
    common::edges(&frames).into_iter().for_each(|edge: Interval| journal.note(&Record::Interval(edge)).unwrap());
    let source = voice(1, 150_720);
    speak(&mut journal, 0, "Ada", 0, &source);
    let out = dir.path().join("take.wav");
    let finished = finalize(&journal, options(&out, &journal)).unwrap();
    assert_eq!(finished.frames, 96_000);
    assert_eq!(finished.metadata.markers.iter().map(|marker| marker.frame).collect::<Vec<_>>(), [48_000]);
    let expected = [&source[..48_000], &source[96_000..144_000]].concat();
    assert!(common::correlation(&read(&out).1[0], &expected) > 0.98);
    assert_eq!(finished.metadata.ended_at, "2026-11-21T22:26:43Z", "wall time goes on in a pause");
}

#[test]
fn nothing_to_keep_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = common::journal(&dir.path().join("nobody"), 1, 0, 48_000);
    let out = dir.path().join("take.wav");
    assert!(matches!(finalize(&nobody, options(&out, &nobody)), Err(FinalizeError::Empty)));
    let mut instantly = common::journal(&dir.path().join("instantly"), 1, 0, 0);
    speak(&mut instantly, 0, "Ada", 0, &voice(1, 9_600));
    assert!(matches!(finalize(&instantly, options(&out, &instantly)), Err(FinalizeError::Empty)));
    assert!(!out.exists());
}

#[test]
fn somebody_who_never_delivered_has_a_silent_channel() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = common::journal(&dir.path().join("journal"), 1, 0, 48_000);
    journal.note(&Record::Channel(ChannelGiven { participant: participant(0), index: 0 })).unwrap();
    let out = dir.path().join("take.wav");
    let finished = finalize(&journal, options(&out, &journal)).unwrap();
    assert!(!finished.metadata.gapless);
    assert_eq!(finished.metadata.channels[0].missing_frames, 48_000);
    assert_eq!(finished.metadata.channels[0].consent, Consent::Unknown);
    assert!(read(&out).1[0].iter().all(|&sample| sample == 0.0));
}

#[test]
fn nothing_is_overwritten_and_breaking_off_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = common::journal(&dir.path().join("journal"), 1, 0, 5 * 48_000);
    speak(&mut journal, 0, "Ada", 0, &voice(1, 6 * 48_000));
    let out = dir.path().join("take.wav");

    let mut seen = Vec::new();
    let mut broken_off = options(&out, &journal);
    broken_off.on_progress = Some(Box::new(|progress: Progress| {
        seen.push(progress);
        if seen.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }));
    assert!(matches!(finalize(&journal, broken_off), Err(FinalizeError::Cancelled)));
    assert_eq!(seen.last(), Some(&Progress { frames: 96_000, of: 240_000 }));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "only the journal is left");

    // What a run left that was killed is begun anew.
    fs::write(dir.path().join("take.wav.partial"), vec![7; 9_999_999]).unwrap();
    let finished = finalize(&journal, options(&out, &journal)).unwrap();
    assert_eq!(finished.size, out.metadata().unwrap().len());
    let error = finalize(&journal, options(&out, &journal)).unwrap_err();
    assert!(matches!(error, FinalizeError::Exists { .. }), "{error}");
    assert_eq!(finished.size, out.metadata().unwrap().len());
}

#[test]
fn the_same_journal_gives_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = common::journal(&dir.path().join("journal"), 1, 0, 48_000);
    speak(&mut journal, 0, "Ada", 0, &voice(1, 57_600));
    let hash = |journal: &Journal, name: &str| {
        finalize(journal, options(&dir.path().join(name), journal)).unwrap().metadata.sha256.unwrap()
    };
    let first = hash(&journal, "a.wav");
    assert_eq!(hash(&journal, "b.wav"), first);
    drop(journal);
    assert_eq!(hash(&Journal::open(&dir.path().join("journal")).unwrap(), "c.wav"), first);
}
