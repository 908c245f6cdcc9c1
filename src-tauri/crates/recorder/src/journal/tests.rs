use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use roomtone_packets::{
    ChannelGiven, Described, Interval, IntervalEdge, MapStretch, MarkerSet, NameGiven, Packet, PersonLeft, encode,
};
use roomtone_protocol::channel::{Inventory, Segment};
use roomtone_protocol::{ClockNs, IndexRange, SampleIndex, SegmentId, SegmentKey, WakeEpoch};

use super::*;
use crate::render::PacketSource as _;

pub(super) const ADA: ParticipantId = ParticipantId::from_bytes([0xad; 16]);
pub(super) const BEN: ParticipantId = ParticipantId::from_bytes([0xbe; 16]);
pub(super) const SEGMENT: SegmentKey = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };

pub(super) fn header() -> RecordingHeader {
    RecordingHeader {
        recording: RecordingId::from_bytes([1; 16]),
        room_id: RoomId::from_bytes([2; 16]),
        room: "Studio".to_owned(),
        title: None,
        started_by: Some(ADA),
    }
}

pub(super) fn packet(number: u64) -> Record {
    let opus = vec![number as u8; 20 + (number % 7) as usize];
    Record::Packet(Packet { segment: SEGMENT, index: SampleIndex(number * 960), samples: 960, opus })
}

pub(super) fn range(from: u64, to: u64) -> IndexRange {
    IndexRange { segment: SEGMENT, from: SampleIndex(from * 960), to: SampleIndex(to * 960) }
}

pub(super) fn segment() -> Record {
    Record::Segment(Segment {
        segment: SEGMENT,
        first: SampleIndex(0),
        captured_at: ClockNs(0),
        codec_delay: 312,
        device: "Mic".to_owned(),
        device_rate: 44_100,
        cause: None,
    })
}

pub(super) fn inventory(complete: bool) -> Record {
    let recording = header().recording;
    Record::Inventory(Inventory { recording, held: vec![range(0, 9)], holes: Vec::new(), complete })
}

pub(super) fn stretch(frame: i64) -> MapStretch {
    MapStretch {
        segment: SEGMENT,
        from: SampleIndex(0),
        frame,
        fraction: 0,
        frames_per_sample: 1 << 32,
        residual_ns: 0,
        uncertainty_ns: 0,
    }
}

/// The numbers of the packets that a reader finds within a range, each of them checked.
fn numbers(journal: &Journal, of: IndexRange) -> Vec<u64> {
    let packets = journal.packets(ADA).unwrap().unwrap().packets(of).unwrap();
    for held in &packets {
        assert_eq!(Record::Packet(held.clone()), packet(held.index.0 / 960));
    }
    packets.iter().map(|packet| packet.index.0 / 960).collect()
}

fn track_path(dir: &Path) -> PathBuf {
    dir.join(format!("track-{ADA}.rtj"))
}

#[test]
fn what_was_written_is_there_after_opening() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), header()).unwrap();
    let edge = |edge, at| Record::Interval(Interval { edge, at: ClockNs(at), wall_ns: 5 });
    let described = |title: &str, notes: &str| {
        Record::Described(Described { title: Some(title.to_owned()), notes: Some(notes.to_owned()) })
    };
    let (recording, text, by) = (header().recording, "here".to_owned(), Some(BEN));
    let marker = MarkerSet { recording, at: ClockNs(2), text, by, asked: None };
    for note in [
        edge(IntervalEdge::Start, 1),
        Record::Channel(ChannelGiven { participant: ADA, index: 0 }),
        Record::Name(NameGiven { participant: ADA, name: "Guest 1".to_owned() }),
        Record::Name(NameGiven { participant: ADA, name: "Ada".to_owned() }),
        Record::Marker(marker.clone()),
        Record::Left(PersonLeft { participant: BEN, at: ClockNs(3) }),
        described("Pilot", "in the kitchen"),
        described("Pilot 2", "in the kitchen"),
        edge(IntervalEdge::Stop, 9),
    ] {
        journal.note(&note).unwrap();
    }
    for record in [segment(), packet(0), packet(1), Record::MapStretch(stretch(7)), inventory(false), inventory(true)] {
        assert!(journal.append(ADA, &record).unwrap());
    }
    let (notes, track) = (journal.notes().clone(), journal.track(ADA).unwrap().clone());
    drop(journal);

    let journal = Journal::open(dir.path()).unwrap();
    assert_eq!(journal.header(), &header());
    assert_eq!(journal.notes(), &notes);
    assert_eq!(journal.track(ADA), Some(&track));
    assert_eq!(notes.names[&ADA], "Ada");
    assert_eq!(notes.markers, [marker]);
    assert_eq!((journal.title(), journal.description()), (Some("Pilot 2"), Some("in the kitchen")));
    assert_eq!(notes.left[&BEN], [ClockNs(3)]);
    assert_eq!(track.inventory.map(|inventory| inventory.complete), Some(true));
    assert_eq!(journal.coverage(ADA).iter().collect::<Vec<_>>(), [range(0, 2)]);
    assert_eq!(journal.durable(ADA), journal.coverage(ADA));
    assert_eq!(journal.participants().collect::<Vec<_>>(), [ADA]);
    assert_eq!(numbers(&journal, range(0, 2)), [0, 1]);
    assert!(journal.coverage(BEN).is_empty() && journal.packets(BEN).unwrap().is_none());
}

#[test]
fn whatever_the_order_a_reader_sees_rising_indices_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), header()).unwrap();
    let count = 1_500;
    // 7 is coprime to the count: every number once, far from sorted.
    for n in (0..count).map(|n| n * 7 % count) {
        assert!(journal.append(ADA, &packet(n)).unwrap());
        assert!(!journal.append(ADA, &packet(n)).unwrap(), "packet {n} is there already");
    }
    let journal = [journal, Journal::open(dir.path()).unwrap()];
    for journal in journal {
        for (from, to) in [(0, count), (3, 4), (499, 777), (count - 1, count + 5)] {
            assert_eq!(numbers(&journal, range(from, to)), (from..to.min(count)).collect::<Vec<_>>());
        }
        assert!(numbers(&journal, range(count, count + 9)).is_empty());
    }
}

#[test]
fn notes_that_are_told_twice_stand_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), header()).unwrap();
    for record in [segment(), inventory(true), Record::MapStretch(stretch(7))] {
        assert!(journal.append(ADA, &record).unwrap());
        assert!(!journal.append(ADA, &record).unwrap());
    }
    assert!(!journal.append(ADA, &Record::MapStretch(stretch(8))).unwrap(), "a decision is not revised");
    assert_eq!(journal.track(ADA).unwrap().stretches[&SEGMENT], [stretch(7)]);
}

#[test]
fn what_cannot_be_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), header()).unwrap();
    let of = |index, samples, opus: &[u8]| {
        Record::Packet(Packet { segment: SEGMENT, index: SampleIndex(index), samples, opus: opus.to_vec() })
    };
    for impossible in [of(0, 0, b"x"), of(0, 960, b""), of(0, 5_761, b"x"), of(1 << 63, 960, b"x")] {
        assert!(!journal.append(ADA, &impossible).unwrap());
    }
    assert!(journal.coverage(ADA).is_empty());
}

#[test]
fn durable_is_what_was_fsynced() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), header()).unwrap();
    journal.append(ADA, &packet(0)).unwrap();
    assert!(journal.coverage(ADA).covers(range(0, 1)));
    assert!(journal.durable(ADA).is_empty());
    journal.sync().unwrap();
    journal.append(ADA, &packet(1)).unwrap();
    assert_eq!(journal.durable(ADA).iter().collect::<Vec<_>>(), [range(0, 1)]);
}

#[test]
fn killed_at_any_byte_it_opens_with_everything_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), header()).unwrap();
    journal.append(ADA, &segment()).unwrap();
    let mut ends = Vec::new();
    for n in 0..3 {
        journal.append(ADA, &packet(n)).unwrap();
        ends.push(track_path(dir.path()).metadata().unwrap().len());
    }
    drop(journal);
    let whole = fs::read(track_path(dir.path())).unwrap();
    for cut in 0..=whole.len() {
        fs::write(track_path(dir.path()), &whole[..cut]).unwrap();
        let mut journal = Journal::open(dir.path()).unwrap();
        let survivors = ends.iter().filter(|&&end| end <= cut as u64).count() as u64;
        assert_eq!(numbers(&journal, range(0, 9)), (0..survivors).collect::<Vec<_>>(), "cut at {cut}");
        // It goes on as if nothing had been, and the next opening finds no damage in the middle.
        assert_eq!(journal.append(ADA, &packet(2)).unwrap(), survivors < 3, "cut at {cut}");
        drop(journal);
        let expected: Vec<u64> = (0..survivors.min(2)).chain([2]).collect();
        assert_eq!(numbers(&Journal::open(dir.path()).unwrap(), range(0, 9)), expected, "cut at {cut}");
    }
}

#[test]
fn a_session_file_killed_at_any_byte_opens_or_was_never_begun() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), header()).unwrap();
    let path = dir.path().join("recording.rtj");
    let head = path.metadata().unwrap().len();
    let start = Interval { edge: IntervalEdge::Start, at: ClockNs(1), wall_ns: 2 };
    journal.note(&Record::Interval(start)).unwrap();
    let whole = fs::read(&path).unwrap();
    for cut in 0..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        match Journal::open(dir.path()) {
            Ok(journal) => {
                assert!(cut as u64 >= head);
                assert_eq!(journal.notes().intervals.len(), usize::from(cut == whole.len()), "cut at {cut}");
            }
            Err(JournalError::NoRecording { .. }) => assert!((cut as u64) < head, "cut at {cut}"),
            Err(other) => panic!("cut at {cut}: {other}"),
        }
    }
}

#[test]
fn damage_becomes_absence_and_can_be_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), header()).unwrap();
    for n in 0..9 {
        journal.append(ADA, &packet(n)).unwrap();
    }
    drop(journal);
    let mut bytes = fs::read(track_path(dir.path())).unwrap();
    let mut record = Vec::new();
    encode(&packet(4), &mut record);
    let at = bytes.windows(record.len()).position(|window| window == record).unwrap();
    bytes[at + 15] ^= 1;
    fs::write(track_path(dir.path()), &bytes).unwrap();

    let mut journal = Journal::open(dir.path()).unwrap();
    assert_eq!(journal.coverage(ADA).missing(range(0, 9)), [range(4, 5)]);
    assert_eq!(numbers(&journal, range(0, 9)), [0, 1, 2, 3, 5, 6, 7, 8]);
    assert!(journal.append(ADA, &packet(4)).unwrap());
    assert_eq!(numbers(&journal, range(0, 9)), (0..9).collect::<Vec<_>>());
    assert_eq!(numbers(&Journal::open(dir.path()).unwrap(), range(0, 9)), (0..9).collect::<Vec<_>>());
}

#[test]
fn what_a_newer_version_wrote_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), header()).unwrap();
    journal.append(ADA, &packet(0)).unwrap();
    drop(journal);
    let all = [track_path(dir.path()), dir.path().join("recording.rtj")];
    for path in &all {
        // A torn tail elsewhere in the folder stays as well.
        let other = all.iter().find(|other| *other != path).unwrap();
        let whole = fs::read(other).unwrap();
        fs::write(other, [&whole[..], b"RT torn"].concat()).unwrap();
        let original = fs::read(path).unwrap();
        let mut newer = original.clone();
        newer[8] = JOURNAL_SCHEMA as u8 + 1;
        newer.extend_from_slice(b"something torn");
        fs::write(path, &newer).unwrap();
        let error = Journal::open(dir.path()).unwrap_err();
        assert!(matches!(error, JournalError::Newer { found: 2, .. }), "{error}");
        assert_eq!(fs::read(path).unwrap(), newer);
        assert!(fs::read(other).unwrap().ends_with(b"RT torn"));
        fs::write(other, &whole).unwrap();
        fs::write(path, &original).unwrap();
    }
}

#[test]
fn a_folder_holds_one_recording() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Journal::open(dir.path()), Err(JournalError::NoRecording { .. })));
    let _first = Journal::create(dir.path(), header()).unwrap();
    assert!(matches!(Journal::create(dir.path(), header()), Err(JournalError::Exists { .. })));
}

#[test]
fn measurements_are_read_back_when_they_are_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), header()).unwrap();
    let records = [segment(), packet(0), Record::MapStretch(stretch(7))];
    for record in &records {
        journal.append(ADA, record).unwrap();
    }
    let mut replayed = Vec::new();
    journal.replay(ADA, |record| replayed.push(record)).unwrap();
    assert_eq!(replayed, records);
}

#[test]
fn other_files_in_the_folder_are_none_of_its_business() {
    let dir = tempfile::tempdir().unwrap();
    drop(Journal::create(dir.path(), header()).unwrap());
    for name in ["take.wav", "track-zz.rtj", "notes.txt"] {
        fs::File::create(dir.path().join(name)).unwrap().write_all(b"RT").unwrap();
    }
    assert_eq!(Journal::open(dir.path()).unwrap().participants().count(), 0);
    assert_eq!(fs::read(dir.path().join("take.wav")).unwrap(), b"RT");
}
