use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use roomtone_packets::Packet;
use roomtone_protocol::{IndexRange, RecordingId, SampleIndex, SegmentId, SegmentKey, WakeEpoch};

use super::*;

#[cfg(target_os = "linux")]
mod faults;
mod notes;

const RECORDER: [u8; 16] = [7; 16];
const ONE: RecordingId = RecordingId::from_bytes([1; 16]);
const TWO: RecordingId = RecordingId::from_bytes([2; 16]);

fn key(epoch: u32, segment: u32) -> SegmentKey {
    SegmentKey { epoch: WakeEpoch(epoch), segment: SegmentId(segment) }
}

/// The `n`th packet; no two have the same bytes.
fn packet(segment: SegmentKey, n: u64) -> Packet {
    let opus = (0..40 + n % 80).map(|byte| (byte * 7 + n * 13) as u8).collect();
    Packet { segment, index: SampleIndex(n * 960), samples: 960, opus }
}

fn range(segment: SegmentKey, from: u64, to: u64) -> IndexRange {
    IndexRange { segment, from: SampleIndex(from * 960), to: SampleIndex(to * 960) }
}

fn filled(dir: &Path, recording: RecordingId, packets: u64) -> Spool {
    let mut spool = Spool::open(dir, RECORDER).unwrap();
    for n in 0..packets {
        assert!(spool.append(recording, &packet(key(1, 0), n)).unwrap());
    }
    spool.flush().unwrap();
    spool
}

/// The one packet file below `dir`.
fn packet_file(dir: &Path) -> PathBuf {
    let recording = fs::read_dir(dir).unwrap().flat_map(|recorder| fs::read_dir(recorder.unwrap().path()).unwrap());
    let folder = recording.map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn what_goes_in_comes_out_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = filled(dir.path(), ONE, 1_300);
    for restarted in [false, true] {
        if restarted {
            spool = Spool::open(dir.path(), RECORDER).unwrap();
        }
        assert_eq!(spool.inventory(ONE), [range(key(1, 0), 0, 1_300)]);
        assert_eq!(spool.recordings(), [ONE]);
        for (from, to) in [(0, 1), (0, 1_300), (511, 514), (1_299, 5_000), (1_300, 1_400)] {
            let expected: Vec<_> = (from..to.min(1_300)).map(|n| packet(key(1, 0), n)).collect();
            assert_eq!(spool.read(ONE, range(key(1, 0), from, to)).unwrap(), expected);
        }
        let part = IndexRange { from: SampleIndex(500), to: SampleIndex(961), ..range(key(1, 0), 0, 0) };
        assert_eq!(spool.read(ONE, part).unwrap().len(), 2, "packets that hold only some of it");
        assert_eq!(spool.read(ONE, range(key(1, 1), 0, 9)).unwrap(), []);
        assert_eq!(spool.read(TWO, range(key(1, 0), 0, 9)).unwrap(), []);
    }
}

#[test]
fn a_packet_is_taken_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = filled(dir.path(), ONE, 10);
    assert!(!spool.append(ONE, &packet(key(1, 0), 3)).unwrap());
    assert!(spool.append(TWO, &packet(key(1, 0), 3)).unwrap(), "another recording is another matter");
    drop(spool);
    let mut spool = Spool::open(dir.path(), RECORDER).unwrap();
    assert!(!spool.append(ONE, &packet(key(1, 0), 3)).unwrap());
    assert!(spool.append(ONE, &packet(key(2, 0), 0)).unwrap(), "a later start");
    assert!(spool.append(ONE, &packet(key(1, 0), 20)).unwrap());
    assert_eq!(spool.inventory(ONE).len(), 3);
}

#[test]
fn holes_and_segments_show_in_the_inventory() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), RECORDER).unwrap();
    for (segment, n) in [(0, 0), (0, 1), (0, 4), (1, 9), (0, 3)] {
        spool.append(ONE, &packet(key(1, segment), n)).unwrap();
    }
    let expected = [range(key(1, 0), 0, 2), range(key(1, 0), 3, 5), range(key(1, 1), 9, 10)];
    assert_eq!(spool.inventory(ONE), expected);
    assert_eq!(spool.read(ONE, range(key(1, 0), 3, 5)).unwrap(), [packet(key(1, 0), 3), packet(key(1, 0), 4)]);
}

#[test]
fn a_torn_tail_is_left_out_and_appending_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), ONE, 100));
    let file = packet_file(dir.path());
    let length = fs::metadata(&file).unwrap().len();
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(length - 5).unwrap();
    let mut spool = Spool::open(dir.path(), RECORDER).unwrap();
    assert_eq!(spool.inventory(ONE), [range(key(1, 0), 0, 99)]);
    // The same epoch again, as after a restart that could not count it up.
    for n in 99..120 {
        assert!(spool.append(ONE, &packet(key(1, 0), n)).unwrap());
    }
    drop(spool);
    let mut spool = Spool::open(dir.path(), RECORDER).unwrap();
    assert_eq!(spool.inventory(ONE), [range(key(1, 0), 0, 120)]);
    assert_eq!(spool.read(ONE, range(key(1, 0), 95, 105)).unwrap().len(), 10);
}

#[test]
fn what_is_discarded_or_archived_never_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = filled(dir.path(), ONE, 10);
    spool.append(TWO, &packet(key(1, 0), 0)).unwrap();
    spool.discard(ONE).unwrap();
    spool.archive(TWO).unwrap();
    for restarted in [false, true] {
        if restarted {
            spool = Spool::open(dir.path(), RECORDER).unwrap();
        }
        assert_eq!(spool.recordings(), []);
        assert!(!spool.append(ONE, &packet(key(1, 0), 50)).unwrap());
        assert_eq!(spool.inventory(ONE), []);
        assert_eq!(spool.read(ONE, range(key(1, 0), 0, 10)).unwrap(), []);
    }
    spool.discard(RecordingId::from_bytes([3; 16])).unwrap();
}

#[test]
fn a_discard_that_was_interrupted_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), ONE, 10));
    let file = packet_file(dir.path());
    fs::write(file.parent().unwrap().with_extension("gone"), b"discarded").unwrap();
    let spool = Spool::open(dir.path(), RECORDER).unwrap();
    assert_eq!(spool.recordings(), []);
    assert!(!file.exists());
}

#[test]
fn it_serves_its_own_recorder_only() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), ONE, 10));
    assert_eq!(Spool::open(dir.path(), [8; 16]).unwrap().recordings(), []);
    let pin = packet_file(dir.path()).ancestors().nth(2).unwrap().join("recorder.json");
    let text = fs::read_to_string(&pin).unwrap();
    fs::write(&pin, text.replace("0707", "0808")).unwrap();
    assert!(matches!(Spool::open(dir.path(), RECORDER), Err(SpoolError::WrongRecorder { .. })));
    let newer =
        [text.replace("\"schema\":1", "\"schema\":2"), r#"{"schema":2,"recorders":["of another shape"]}"#.to_owned()];
    for newer in newer {
        fs::write(&pin, &newer).unwrap();
        assert!(matches!(Spool::open(dir.path(), RECORDER), Err(SpoolError::NewerVersion { .. })));
        assert_eq!(fs::read_to_string(&pin).unwrap(), newer, "left as it is");
    }
    fs::write(&pin, b"").unwrap();
    assert_eq!(Spool::open(dir.path(), RECORDER).unwrap().recordings(), [ONE]);
}

#[test]
fn damage_found_while_reading_leaves_the_inventory() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = filled(dir.path(), ONE, 50);
    let file = packet_file(dir.path());
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&file, bytes).unwrap();
    let read = spool.read(ONE, range(key(1, 0), 0, 50)).unwrap();
    assert_eq!(read.len(), 49);
    assert_eq!(spool.inventory(ONE).len(), 2, "what cannot be given any more is not promised");
}

#[test]
fn what_cannot_be_read_keeps_nobody_from_what_is_still_to_be_said() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), ONE, 10));
    let folder = packet_file(dir.path()).parent().unwrap().to_owned();
    // A folder in a file's place opens, and fails when it is read.
    let unreadable = folder.join("0000000000-0000.packets");
    fs::create_dir(&unreadable).unwrap();
    let mut spool = Spool::open(dir.path(), RECORDER).unwrap();
    assert_eq!(spool.inventory(ONE), [range(key(1, 0), 0, 10)]);
    for n in 10..20 {
        assert!(spool.append(ONE, &packet(key(1, 0), n)).unwrap());
    }
    assert_eq!(spool.read(ONE, range(key(1, 0), 0, 20)).unwrap().len(), 20);
    assert!(unreadable.exists(), "it stays for somebody who can read it");
}

#[test]
fn a_spool_knows_the_newest_run_of_the_program_that_left_something_whosever_recorder_it_is_kept_for() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(newest_epoch(&dir.path().join("not there")).unwrap(), None);
    for (recorder, recording, epoch) in [(RECORDER, ONE, 3), ([8; 16], TWO, 12), (RECORDER, TWO, 9)] {
        let mut spool = Spool::open(dir.path(), recorder).unwrap();
        spool.append(recording, &packet(key(epoch, 0), 0)).unwrap();
    }
    fs::write(packet_file(dir.path()).with_file_name("99-notes.txt"), b"none of ours").unwrap();
    assert_eq!(newest_epoch(dir.path()).unwrap(), Some(WakeEpoch(12)));
}

#[test]
fn what_is_overdue_is_named_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let nothing = overdue(&dir.path().join("not there"), &Limits::default(), 0, |_| false).unwrap();
    assert_eq!(nothing, []);
    drop(filled(dir.path(), ONE, 10));
    let written = overdue(dir.path(), &Limits { bytes: 0, ..Limits::default() }, 0, |_| false).unwrap();
    assert_eq!((written.len(), written[0].recorder, written[0].recording), (1, RECORDER, ONE));
    let now = written[0].written_ns;
    let day = 24 * 3600 * 1_000_000_000;
    assert_eq!(overdue(dir.path(), &Limits::default(), now + 13 * day, |_| false).unwrap(), []);
    assert_eq!(overdue(dir.path(), &Limits::default(), now + 15 * day, |_| false).unwrap().len(), 1);
    drop(filled(dir.path(), TWO, 10));
    let limits = Limits { bytes: written[0].bytes, age: Duration::MAX };
    assert_eq!(overdue(dir.path(), &limits, now, |_| false).unwrap().len(), 1, "the oldest makes room for the other");
    assert_eq!(Spool::open(dir.path(), RECORDER).unwrap().recordings(), [ONE, TWO]);
}

/// Everything below `from`, copied.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() { copy(&path, &target) } else { fs::copy(path, target).map(|_| ()).unwrap() }
    }
}

#[test]
fn a_discard_that_was_interrupted_between_any_two_steps_is_completed() {
    let template = tempfile::tempdir().unwrap();
    // Three files: of two starts, and a third one of the second.
    for epoch in [1, 2, 2] {
        let mut spool = Spool::open(template.path(), RECORDER).unwrap();
        let n = spool.inventory(ONE).len() as u64 * 5;
        spool.append(ONE, &packet(key(epoch, 0), n)).unwrap();
    }
    for step in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        copy(template.path(), dir.path());
        let folder = packet_file(dir.path()).parent().unwrap().to_owned();
        let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert_eq!(files.len(), 3);
        // The tombstone's name, its content, one file after the other; the folder itself would be the last.
        fs::write(folder.with_extension("gone"), if step == 0 { &b""[..] } else { b"discarded" }).unwrap();
        files.iter().take(usize::saturating_sub(step, 1)).for_each(|file| fs::remove_file(file).unwrap());
        for start in 0..2 {
            let mut spool = Spool::open(dir.path(), RECORDER).unwrap();
            assert_eq!((spool.recordings(), spool.earlier()), (vec![], vec![]), "step {step}, start {start}");
            assert!(!spool.append(ONE, &packet(key(3, 0), 50)).unwrap(), "step {step}, start {start}");
            assert_eq!(spool.read(ONE, range(key(1, 0), 0, 10)).unwrap(), []);
            assert!(!folder.exists(), "step {step}, start {start}");
        }
    }
}

#[test]
fn what_is_overdue_goes_for_good_and_what_is_in_use_stays() {
    const OTHER: [u8; 16] = [9; 16];
    let dir = tempfile::tempdir().unwrap();
    let mut other = Spool::open(dir.path(), OTHER).unwrap();
    other.append(TWO, &packet(key(1, 0), 0)).unwrap();
    drop(other);
    let mut spool = filled(dir.path(), ONE, 10);
    spool.append(TWO, &packet(key(1, 0), 0)).unwrap();
    let nothing_may_stay = Limits { bytes: 0, ..Limits::default() };
    let goes = spool.overdue(&nothing_may_stay, 0, |recording| recording == ONE).unwrap();
    let named: Vec<_> = goes.iter().map(|stored| (stored.recorder, stored.recording)).collect();
    assert_eq!(named.len(), 2);
    assert!(named.contains(&(OTHER, TWO)) && named.contains(&(RECORDER, TWO)));
    goes.iter().for_each(|stored| spool.expire(stored).unwrap());
    assert_eq!(spool.recordings(), [ONE]);
    assert!(!spool.append(TWO, &packet(key(1, 0), 1)).unwrap());
    drop(spool);
    assert_eq!(Spool::open(dir.path(), RECORDER).unwrap().recordings(), [ONE]);
    let mut other = Spool::open(dir.path(), OTHER).unwrap();
    assert_eq!(other.recordings(), []);
    assert!(!other.append(TWO, &packet(key(2, 0), 0)).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever happens to a file's bytes: nothing false comes out, and all that is untouched does.
    #[test]
    fn damage_costs_only_what_it_touches(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1_u8..=255), 0..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        insert in proptest::option::of((any::<prop::sample::Index>(), proptest::collection::vec(any::<u8>(), 1..300))),
    ) {
        let dir = tempfile::tempdir().unwrap();
        drop(filled(dir.path(), ONE, 60));
        let file = packet_file(dir.path());
        let whole = fs::read(&file).unwrap();
        let mut starts = vec![0];
        for n in 0..60 {
            starts.push(starts[n as usize] + 12 + 18 + packet(key(1, 0), n).opus.len());
        }
        prop_assert_eq!(*starts.last().unwrap(), whole.len());
        let touched = |at: usize| starts.iter().rposition(|&start| start <= at).unwrap();
        let mut hurt = std::collections::BTreeSet::new();
        let mut bytes = whole.clone();
        for (at, flip) in &flips {
            let at = at.index(whole.len());
            bytes[at] ^= flip;
            hurt.insert(touched(at));
        }
        if let Some(cut) = cut {
            let cut = cut.index(whole.len());
            bytes.truncate(cut);
            hurt.extend(touched(cut)..60);
        }
        if let Some((at, noise)) = insert {
            let at = at.index(bytes.len() + 1);
            hurt.insert(touched(at));
            bytes.splice(at..at, noise);
        }
        fs::write(&file, bytes).unwrap();
        let mut spool = Spool::open(dir.path(), RECORDER).unwrap();
        let read = spool.read(ONE, range(key(1, 0), 0, 60)).unwrap();
        for packet_read in &read {
            prop_assert_eq!(packet_read, &packet(key(1, 0), packet_read.index.0 / 960));
        }
        for n in 0..60 {
            let there = read.iter().any(|packet| packet.index.0 == n * 960);
            prop_assert!(there || hurt.contains(&(n as usize)), "packet {} is gone", n);
        }
    }
}
