//! What a later start knows of an earlier one.

use roomtone_packets::MutedFrom;
use roomtone_protocol::ClockNs;
use roomtone_protocol::channel::{Anchor, Hole, Segment};
use roomtone_protocol::metadata::GapCause;

use super::*;

fn segment(segment: SegmentKey, first: u64) -> Segment {
    Segment {
        segment,
        first: SampleIndex(first * 960),
        captured_at: ClockNs(first.cast_signed() * 20_000_000),
        codec_delay: 312,
        device: "mic".to_owned(),
        device_rate: 44_100,
        cause: None,
    }
}

fn anchor(segment: SegmentKey, n: u64) -> Anchor {
    Anchor { segment, index: SampleIndex(n * 960), at: ClockNs(n.cast_signed() * 20_000_000 + 7) }
}

#[test]
fn a_later_start_knows_what_an_earlier_one_noted() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), RECORDER).unwrap();
    let (first, second) = (key(1, 0), key(1, 1));
    let muted = MutedFrom { segment: first, from: SampleIndex(500), muted: true };
    let hole = Hole { range: range(first, 100, 140), cause: GapCause::CaptureStall };
    // Before anything is recorded, and while it is.
    spool.note(&Note::Segment(segment(first, 0))).unwrap();
    spool.note(&Note::Anchor(anchor(first, 50))).unwrap();
    for n in 80..100 {
        spool.append(ONE, &packet(first, n)).unwrap();
    }
    spool.note(&Note::Anchor(anchor(first, 100))).unwrap();
    spool.note(&Note::Muted(muted)).unwrap();
    spool.note(&Note::Hole(hole)).unwrap();
    spool.note(&Note::Segment(segment(second, 140))).unwrap();
    spool.append(ONE, &packet(second, 140)).unwrap();
    assert_eq!((spool.earlier(), spool.holes(ONE)), (vec![], vec![hole]), "all of it is this start's own");
    // Killed: nothing is closed or flushed.
    std::mem::forget(spool);
    let mut spool = Spool::open(dir.path(), RECORDER).unwrap();
    let expected = [
        Note::Segment(segment(first, 0)),
        Note::Anchor(anchor(first, 50)),
        Note::Muted(muted),
        Note::Segment(segment(second, 140)),
    ];
    assert_eq!(spool.earlier(), expected);
    assert_eq!((spool.holes(ONE), spool.holes(TWO)), (vec![hole], vec![]));
    assert_eq!(spool.inventory(ONE), [range(first, 80, 100), range(second, 140, 141)]);
    // What this start notes is its own business.
    let third = key(2, 0);
    spool.note(&Note::Segment(segment(third, 0))).unwrap();
    spool.append(TWO, &packet(third, 0)).unwrap();
    assert_eq!(spool.earlier(), expected);
    spool.archive(ONE).unwrap();
    assert_eq!(spool.earlier(), []);
}

#[test]
fn anchors_are_kept_every_ten_seconds_and_only_near_packets() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), RECORDER).unwrap();
    let segment_key = key(1, 0);
    spool.note(&Note::Segment(segment(segment_key, 0))).unwrap();
    for n in 0..50 * 60 {
        spool.append(ONE, &packet(segment_key, n)).unwrap();
        if n % 50 == 0 {
            spool.note(&Note::Anchor(anchor(segment_key, n))).unwrap();
        }
    }
    let written = |dir: &Path| fs::metadata(packet_file(dir)).unwrap().len();
    let before = written(dir.path());
    // The recording is over, the microphone goes on for hours.
    for second in 180..7_200 {
        spool.note(&Note::Anchor(anchor(segment_key, second * 50))).unwrap();
    }
    assert_eq!(written(dir.path()), before);
    drop(spool);
    let earlier = Spool::open(dir.path(), RECORDER).unwrap().earlier();
    let newest = Note::Anchor(anchor(segment_key, 50 * 50));
    assert_eq!(earlier, [Note::Segment(segment(segment_key, 0)), Note::Anchor(anchor(segment_key, 0)), newest]);
}

#[test]
fn a_program_killed_at_any_byte_keeps_what_was_appended_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), RECORDER).unwrap();
    spool.note(&Note::Segment(segment(key(1, 0), 0))).unwrap();
    let mut ends = Vec::new();
    for n in 0..12 {
        spool.append(ONE, &packet(key(1, 0), n)).unwrap();
        ends.push(fs::metadata(packet_file(dir.path())).unwrap().len());
    }
    std::mem::forget(spool);
    let file = packet_file(dir.path());
    for length in (0..=*ends.last().unwrap()).rev() {
        fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(length).unwrap();
        let spool = Spool::open(dir.path(), RECORDER).unwrap();
        let whole = ends.iter().filter(|&&end| end <= length).count() as u64;
        let expected: Vec<_> = (whole > 0).then(|| range(key(1, 0), 0, whole)).into_iter().collect();
        assert_eq!(spool.inventory(ONE), expected, "{length} bytes");
        assert!(whole == 0 || spool.earlier() == [Note::Segment(segment(key(1, 0), 0))], "{length} bytes");
    }
}
