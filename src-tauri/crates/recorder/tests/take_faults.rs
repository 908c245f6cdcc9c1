//! A take on a disk that fails and loses power: what is finished is right and stays, whatever happened on the way.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

use common::{Encoded, ONE, SECOND, encode, instant, key, participant, segment, stretch, voice};
use roomtone_disk::{Cut, Fault, MountedDisk};
use roomtone_packets::{ChannelGiven, Interval, IntervalEdge, Record};
use roomtone_recorder::{
    BitDepth, ChannelSpec, FinalizeError, FinalizeOptions, Finished, Horizon, Journal, Step, Take, TakeSettings,
    finalize,
};

/// Longer than what a take renders between two states.
const END: u64 = 34;
/// Seconds of the first one that come late: after a state was saved that calls them silent.
const LATE: Range<u64> = 5..8;
/// The second in which they come.
const COME: u64 = 32;

static VOICES: LazyLock<Vec<Encoded>> =
    LazyLock::new(|| (0..2).map(|n| encode(key(1, 0), 0, &voice(n, (END as usize + 1) * 48_000))).collect());

/// A recording of two, as it is recorded.
struct Session {
    journal: Journal,
    next: [usize; 2],
    /// The late ones have come.
    complete: bool,
}

impl Session {
    fn new(dir: &Path) -> Self {
        let mut journal = Journal::create(&dir.join("journal"), common::header(1)).unwrap();
        journal.note(&edge(IntervalEdge::Start, 0)).unwrap();
        for (who, voice) in (0u8..).zip(VOICES.iter()) {
            let given = ChannelGiven { participant: participant(who), index: u16::from(who) };
            journal.note(&Record::Channel(given)).unwrap();
            let segment = Record::Segment(segment(key(1, 0), 0, voice.codec_delay));
            journal.append(participant(who), &segment).unwrap();
            let map = Record::MapStretch(stretch(key(1, 0), 0, 0, 0, ONE + u64::from(who) * 200_000));
            journal.append(participant(who), &map).unwrap();
        }
        Self { journal, next: [0; 2], complete: false }
    }

    /// What arrives up to a second.
    fn until(&mut self, second: u64) {
        let late = |who: usize, n: usize| who == 0 && LATE.contains(&(n as u64 / 50));
        for who in 0..2 {
            let until = (usize::try_from(second).unwrap() * 50).min(VOICES[who].packets.len());
            for n in self.next[who]..until {
                if !late(who, n) {
                    self.append(who, n);
                }
            }
            self.next[who] = self.next[who].max(until);
        }
        if second >= COME && !std::mem::replace(&mut self.complete, true) {
            (0..VOICES[0].packets.len()).filter(|&n| late(0, n)).for_each(|n| self.append(0, n));
        }
        if second == END {
            self.journal.note(&edge(IntervalEdge::Stop, END * SECOND)).unwrap();
        }
    }

    fn append(&mut self, who: usize, n: usize) {
        let packet = Record::Packet(VOICES[who].packets[n].clone());
        self.journal.append(participant(u8::try_from(who).unwrap()), &packet).unwrap();
    }

    fn options(&self, out: &Path) -> FinalizeOptions<'static> {
        let channels = ChannelSpec::from_journal(&self.journal);
        FinalizeOptions::new(out.to_owned(), channels, "roomtone test".to_owned())
    }
}

fn edge(edge: IntervalEdge, frame: u64) -> Record {
    Record::Interval(Interval { edge, at: instant(frame.cast_signed()), wall_ns: 1_795_300_000_000_000_000 })
}

fn settings(out: &Path) -> TakeSettings {
    TakeSettings { out: out.to_owned(), depth: BitDepth::Int24, recording: common::recording(1) }
}

/// The file that one pass over the whole journal gives.
static EXPECTED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let mut session = Session::new(dir.path());
    (0..=END).for_each(|second| session.until(second));
    let out = dir.path().join("one-pass.wav");
    finalize(&session.journal, session.options(&out)).unwrap();
    fs::read(out).unwrap()
});

/// Records with a take that grows, from a second on, and finishes it.
fn record(session: &mut Session, out: &Path, from: u64) -> Result<Finished, FinalizeError> {
    let mut take = Take::open(settings(out))?;
    for second in from..=END {
        session.until(second);
        let snapshot = session.journal.snapshot();
        let now = instant((second * SECOND).cast_signed());
        let grown = take.update(&snapshot, &snapshot.layout(), &Horizon::Running { now }).and_then(|()| {
            while take.step()? == Step::Worked {}
            Ok(())
        });
        if let Err(error) = grown {
            take.discard();
            return Err(error);
        }
    }
    take.finish(&session.journal.snapshot(), session.options(out))
}

/// How many operations on paths with `part` in them a recording takes.
fn operations(part: &str) -> u64 {
    let (mounted, dir) = (MountedDisk::new().unwrap(), tempfile::tempdir().unwrap());
    let out = mounted.path().join("take.wav");
    // Where it begins to fail says how many there are.
    let fails = |operation| {
        mounted.disk().fail_within(part, operation..u64::MAX, Fault::Full { written: 0 });
        let done = record(&mut Session::new(&dir.path().join(operation.to_string())), &out, 0).is_ok();
        mounted.disk().mend();
        for left in fs::read_dir(mounted.path()).unwrap() {
            fs::remove_file(left.unwrap().path()).unwrap();
        }
        !done
    };
    (4..12).map(|power| 1 << power).find(|&operations| !fails(operations)).unwrap()
}

/// Some of so many operations: all of the last, in which the file gets its head and its name.
fn some_of(operations: u64) -> impl Iterator<Item = u64> {
    (0..operations).filter(move |&n| n < 12 || n + 24 > operations || n % 41 == 0)
}

#[test]
fn a_take_that_failed_is_made_anew_and_nothing_of_it_is_taken_for_a_file() {
    let dir = tempfile::tempdir().unwrap();
    for part in [".state", "take.wav"] {
        for operation in some_of(operations(part)) {
            let mounted = MountedDisk::new().unwrap();
            let out = mounted.path().join("take.wav");
            let mut session = Session::new(&dir.path().join(format!("{part}-{operation}")));
            mounted.disk().fail_within(part, operation..operation + 1, Fault::Full { written: 300 });
            let finished = record(&mut session, &out, 0);
            mounted.disk().mend();
            if finished.is_err() {
                assert!(!out.exists() || fs::read(&out).unwrap() == *EXPECTED, "{part} {operation}");
                if !out.exists() {
                    record(&mut session, &out, END).unwrap();
                }
            }
            assert!(fs::read(&out).unwrap() == *EXPECTED, "{part} {operation}");
        }
    }
}

#[test]
fn a_take_goes_on_after_a_power_cut_and_is_the_same_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    for operation in some_of(operations("take.wav")) {
        for cut in [Cut::Dropped, Cut::Torn { seed: operation }] {
            let mounted = MountedDisk::new().unwrap();
            let out = mounted.path().join("take.wav");
            let mut session = Session::new(&dir.path().join(format!("{operation}-{cut:?}")));
            mounted.disk().fail_within("take.wav", operation..u64::MAX, Fault::Io { written: 300 });
            let finished = record(&mut session, &out, 0);
            mounted.disk().mend();
            mounted.power_cut(cut);
            if finished.is_ok() {
                assert!(fs::read(&out).unwrap() == *EXPECTED, "{operation} {cut:?}: it was finished");
                continue;
            }
            if !out.exists() {
                record(&mut session, &out, END).unwrap();
            }
            assert!(fs::read(&out).unwrap() == *EXPECTED, "{operation} {cut:?}");
        }
    }
}
