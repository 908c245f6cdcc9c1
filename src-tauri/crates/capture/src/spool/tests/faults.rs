//! Whatever the disk does: what was taken can be given, and what was flushed survives a power cut.

use roomtone_disk::{Cut, Fault, MountedDisk};
use roomtone_protocol::ClockNs;
use roomtone_protocol::channel::Anchor;

use super::*;

/// Faults that differ in what they leave in the file.
const FAULTS: [Fault; 4] =
    [Fault::Io { written: 0 }, Fault::Io { written: 400 }, Fault::Full { written: 0 }, Fault::Full { written: 700 }];

/// What a person says in a short recording, and what was promised of it.
#[derive(Debug, Default)]
struct Said {
    taken: Vec<u64>,
    /// Of those, the ones whose next flush succeeded.
    flushed: Vec<u64>,
}

/// Twelve packets with a note and a flush now and then; what the disk refuses is not said again.
fn say(spool: &mut Spool, epoch: u32) -> Said {
    let segment = key(epoch, 0);
    let mut said = Said::default();
    let mut unflushed = Vec::new();
    for n in 0..12 {
        if n % 5 == 2 {
            let anchor = Anchor { segment, index: SampleIndex(n * 960), at: ClockNs(7) };
            // A note that fails is known to this start all the same.
            let _noted = spool.note(&Note::Anchor(anchor));
        }
        if matches!(spool.append(ONE, &packet(segment, n)), Ok(true)) {
            said.taken.push(n);
            unflushed.push(n);
        }
        if n % 4 == 3 {
            // What a flush that failed was about is not promised by a later one.
            let promised = std::mem::take(&mut unflushed);
            said.flushed.extend(if spool.flush().is_ok() { promised } else { Vec::new() });
        }
    }
    said
}

/// These packets, and of those that were never taken none that is not as it was said.
fn holds(spool: &mut Spool, epoch: u32, expected: &[u64]) {
    let there = spool.read(ONE, range(key(epoch, 0), 0, 100)).unwrap();
    for packet_there in &there {
        assert_eq!(*packet_there, packet(key(epoch, 0), packet_there.index.0 / 960));
    }
    let there: Vec<u64> = there.iter().map(|packet| packet.index.0 / 960).collect();
    assert!(expected.iter().all(|n| there.contains(n)), "{expected:?} were promised, and {there:?} are there");
}

/// Every operation of a recording, from the opening of the spool on, on a disk that works.
fn operations() -> u64 {
    let mounted = MountedDisk::new().unwrap();
    say(&mut Spool::open(mounted.path(), RECORDER).unwrap(), 1);
    mounted.disk().operations()
}

#[test]
fn what_was_taken_can_be_given_whichever_operation_fails() {
    let operations = operations();
    assert!(operations > 20, "{operations}");
    for fault in FAULTS {
        for lasting in [1, u64::MAX / 2] {
            for operation in 0..operations {
                let mounted = MountedDisk::new().unwrap();
                mounted.disk().fail(operation..operation + lasting, fault);
                let Ok(mut spool) = Spool::open(mounted.path(), RECORDER) else {
                    // The room cannot be entered, and the person is told; the next attempt finds nothing in its way.
                    mounted.disk().mend();
                    holds(&mut Spool::open(mounted.path(), RECORDER).unwrap(), 1, &[]);
                    continue;
                };
                let said = say(&mut spool, 1);
                holds(&mut spool, 1, &said.taken);
                drop(spool);
                mounted.disk().mend();
                let mut spool = Spool::open(mounted.path(), RECORDER).unwrap();
                holds(&mut spool, 1, &said.taken);
                let again = say(&mut spool, 2);
                assert_eq!(again.taken.len(), 12, "{fault:?} of operation {operation} is still in the way");
                holds(&mut spool, 2, &again.taken);
            }
        }
    }
}

#[test]
fn what_was_flushed_survives_a_power_cut_after_any_operation() {
    for operation in 0..=operations() {
        for cut in [Cut::Dropped, Cut::Torn { seed: operation }, Cut::Torn { seed: operation + 1_000 }] {
            let mounted = MountedDisk::new().unwrap();
            mounted.disk().fail(operation..u64::MAX, Fault::Io { written: 300 });
            let said = Spool::open(mounted.path(), RECORDER).map(|mut spool| say(&mut spool, 1)).unwrap_or_default();
            mounted.disk().mend();
            mounted.power_cut(cut);
            let mut spool = Spool::open(mounted.path(), RECORDER).unwrap();
            holds(&mut spool, 1, &said.flushed);
            let again = say(&mut spool, 2);
            assert_eq!(again.taken.len(), 12);
            holds(&mut spool, 2, &again.taken);
        }
    }
}

#[test]
fn what_was_discarded_does_not_come_back_after_a_power_cut_at_any_operation() {
    let before = |spool: &mut Spool| drop(say(spool, 1));
    let mounted = MountedDisk::new().unwrap();
    let mut spool = Spool::open(mounted.path(), RECORDER).unwrap();
    before(&mut spool);
    let from = mounted.disk().operations();
    spool.discard(ONE).unwrap();
    let until = mounted.disk().operations();
    for operation in from..=until {
        for seed in 0..3 {
            let mounted = MountedDisk::new().unwrap();
            let mut spool = Spool::open(mounted.path(), RECORDER).unwrap();
            before(&mut spool);
            mounted.disk().fail(operation..u64::MAX, Fault::Io { written: 500 });
            let discarded = spool.discard(ONE).is_ok();
            assert_eq!(spool.inventory(ONE), [], "not even in this run");
            drop(spool);
            mounted.disk().mend();
            mounted.power_cut(Cut::Torn { seed });
            let spool = Spool::open(mounted.path(), RECORDER).unwrap();
            assert!(!discarded || spool.inventory(ONE).is_empty(), "operation {operation}");
        }
    }
}
