//! Whatever the disk does: what was called durable is there, and what is not there is not called covered.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use roomtone_disk::{Cut, Fault, SimulatedDisk};
use roomtone_packets::{ChannelGiven, Interval, IntervalEdge, MutedFrom, Record};
use roomtone_protocol::{ClockNs, SampleIndex};

use super::tests::{ADA, BEN, SEGMENT, header, packet, range, segment};
use super::*;
use crate::render::PacketSource as _;

const DIR: &str = "/data/recordings/one/journal";

/// Faults that differ in what they leave in the file.
const FAULTS: [Fault; 5] = [
    Fault::Io { written: 0 },
    Fault::Io { written: 400 },
    Fault::Full { written: 0 },
    Fault::Full { written: 700 },
    Fault::Full { written: 1_000 },
];

fn create(disk: &SimulatedDisk) -> Result<Journal, JournalError> {
    Journal::create_on(Arc::new(disk.clone()), Path::new(DIR), header())
}

fn open(disk: &SimulatedDisk) -> Result<Journal, JournalError> {
    Journal::open_on(Arc::new(disk.clone()), Path::new(DIR))
}

fn interval(edge: IntervalEdge, at: i64) -> Record {
    Record::Interval(Interval { edge, at: ClockNs(at), wall_ns: 5 })
}

/// One step of a session.
#[derive(Debug, Clone)]
enum Step {
    Note(Record),
    Append(ParticipantId, Record),
    Sync,
}

/// A short session of two people: Start, names and channels, packets with a sync now and then, mute, Stop.
fn session() -> Vec<Step> {
    let mut steps = vec![Step::Note(interval(IntervalEdge::Start, 1))];
    for (index, participant) in [(0, ADA), (1, BEN)] {
        steps.push(Step::Note(Record::Channel(ChannelGiven { participant, index })));
        steps.push(Step::Append(participant, segment()));
    }
    for round in 0..5 {
        for n in round * 3..round * 3 + 3 {
            steps.extend([ADA, BEN].map(|participant| Step::Append(participant, packet(n))));
        }
        if round == 2 {
            let muted = MutedFrom { segment: SEGMENT, from: SampleIndex(960), muted: true };
            steps.push(Step::Append(ADA, Record::Muted(muted)));
        }
        steps.push(Step::Sync);
    }
    steps.extend([Step::Note(interval(IntervalEdge::Stop, 9)), Step::Sync]);
    steps
}

/// What the journal promised.
#[derive(Debug, Default, Clone)]
struct Promised {
    durable: BTreeMap<ParticipantId, Coverage>,
    /// As of the last sync that succeeded.
    notes: SessionNotes,
    tracks: BTreeMap<ParticipantId, TrackNotes>,
}

impl Promised {
    /// Does a step; whether the disk did it.
    fn step(&mut self, journal: &mut Journal, step: &Step) -> bool {
        let done = match step {
            Step::Note(record) => journal.note(record).is_ok(),
            Step::Append(participant, record) => journal.append(*participant, record).is_ok(),
            Step::Sync => journal.sync().is_ok(),
        };
        if done && matches!(step, Step::Sync) {
            self.notes = journal.notes().clone();
            let tracks = journal.participants().map(|of| (of, journal.track(of).unwrap().clone()));
            self.tracks = tracks.collect();
        }
        for participant in journal.participants() {
            let durable = self.durable.entry(participant).or_default();
            assert!(durable.iter().all(|range| journal.durable(participant).covers(range)), "durable never shrinks");
            *durable = journal.durable(participant).clone();
            assert!(durable.iter().all(|range| journal.coverage(participant).covers(range)));
        }
        done
    }

    /// All of it is in a journal.
    fn are_kept(&self, journal: &Journal) {
        for (&participant, durable) in &self.durable {
            for promised in durable.iter() {
                assert!(journal.coverage(participant).covers(promised), "{promised:?} was durable and is gone");
            }
        }
        assert!(self.notes.records().iter().all(|note| journal.notes().knows(note)), "{:?}", journal.notes());
        for (participant, notes) in &self.tracks {
            let there = journal.track(*participant).unwrap();
            assert!(notes.records().iter().all(|note| there.knows(note)), "{there:?}");
        }
        are_true(journal);
    }
}

/// What a journal says to be covered can be read, and is what was written.
fn are_true(journal: &Journal) {
    for participant in journal.participants() {
        let packets = journal.packets(participant).unwrap().unwrap().packets(range(0, 1_000)).unwrap();
        let mut read = Coverage::default();
        for held in packets {
            assert_eq!(Record::Packet(held.clone()), packet(held.index.0 / 960));
            read.insert(held.range());
        }
        for covered in journal.coverage(participant).iter() {
            assert!(read.covers(covered), "{covered:?} is covered and cannot be read");
        }
    }
}

/// Plays a session as its writer does: what was forgotten is asked for and comes again, failed steps of other kinds are
/// made good by the next sync.
fn play(journal: &mut Journal, promised: &mut Promised) -> u64 {
    let mut failures = 0;
    let mut expected: BTreeMap<ParticipantId, Coverage> = BTreeMap::new();
    for step in session() {
        failures += u64::from(!promised.step(journal, &step));
        if let Step::Append(participant, Record::Packet(packet)) = &step {
            expected.entry(*participant).or_default().insert(packet.range());
        }
        for participant in journal.take_forgotten() {
            assert!(!journal.coverage(participant).covers(range(0, 15)), "something was forgotten");
        }
        for (&participant, sent) in &expected {
            let missing: Vec<_> = sent.iter().flat_map(|sent| journal.coverage(participant).missing(sent)).collect();
            for n in missing.iter().flat_map(|missing| missing.from.0 / 960..missing.to.0 / 960) {
                failures += u64::from(!promised.step(journal, &Step::Append(participant, packet(n))));
            }
        }
    }
    failures
}

/// The operations of a session without a fault.
fn operations() -> u64 {
    let disk = SimulatedDisk::new();
    let mut journal = create(&disk).unwrap();
    assert_eq!(play(&mut journal, &mut Promised::default()), 0);
    disk.operations()
}

fn cuts(seed: u64) -> [Cut; 4] {
    let torn = |n| Cut::Torn { seed: seed * 3 + n };
    [Cut::Dropped, torn(0), torn(1), torn(2)]
}

#[test]
fn a_single_failure_anywhere_costs_nothing() {
    for k in 0..operations() {
        for (fault, cut) in FAULTS.into_iter().flat_map(|fault| cuts(k).map(|cut| (fault, cut))) {
            let disk = SimulatedDisk::new();
            disk.fail(k..k + 1, fault);
            // A journal that could not be begun can be begun again.
            let mut journal = create(&disk).or_else(|_| create(&disk)).unwrap();
            let mut promised = Promised::default();
            play(&mut journal, &mut promised);
            journal.sync().unwrap();
            promised.step(&mut journal, &Step::Sync);
            for participant in [ADA, BEN] {
                assert!(promised.durable[&participant].covers(range(0, 15)), "operation {k}, {fault:?}");
            }
            assert_eq!(journal.notes().intervals.len(), 2);
            are_true(&journal);
            disk.power_cut(cut);
            promised.are_kept(&open(&disk).unwrap());
        }
    }
}

#[test]
fn a_disk_that_fails_from_some_operation_on_keeps_what_it_called_durable() {
    for k in 0..operations() {
        for (fault, cut) in FAULTS.into_iter().flat_map(|fault| cuts(k).map(|cut| (fault, cut))) {
            let disk = SimulatedDisk::new();
            disk.fail(k..u64::MAX, fault);
            let mut promised = Promised::default();
            if let Ok(mut journal) = create(&disk) {
                assert!(play(&mut journal, &mut promised) > 0);
                journal.sync().unwrap_err();
                are_true(&journal);
            }
            // It can be read as it is, ...
            match open(&disk) {
                Ok(journal) => promised.are_kept(&journal),
                Err(error) => assert!(promised.durable.is_empty(), "operation {k}, {fault:?}: {error}"),
            }
            // ... and after a cut, with a disk that works again, it goes on.
            disk.mend();
            disk.power_cut(cut);
            match open(&disk) {
                Ok(mut journal) => {
                    promised.are_kept(&journal);
                    assert_eq!(play(&mut journal, &mut promised), 0);
                    promised.are_kept(&journal);
                }
                Err(JournalError::NoRecording { .. } | JournalError::Io { .. }) => {
                    assert!(promised.durable.is_empty(), "operation {k}, {fault:?}, {cut:?}");
                }
                Err(error) => panic!("operation {k}, {fault:?}, {cut:?}: {error}"),
            }
        }
    }
}

#[test]
fn a_disk_that_fails_for_a_while_is_tried_in_new_files_until_it_works() {
    let operations = operations();
    for (from, length) in (0..operations).step_by(3).flat_map(|from| [2, 5, 17].map(|length| (from, length))) {
        let disk = SimulatedDisk::new();
        let mut journal = create(&disk).unwrap();
        let begun = disk.operations();
        disk.fail(begun + from..begun + from + length, Fault::Io { written: 300 });
        let mut promised = Promised::default();
        play(&mut journal, &mut promised);
        disk.mend();
        play(&mut journal, &mut promised);
        disk.power_cut(Cut::Dropped);
        let journal = open(&disk).unwrap();
        promised.are_kept(&journal);
        for participant in [ADA, BEN] {
            assert!(journal.coverage(participant).covers(range(0, 15)), "from {from}, {length} operations");
        }
    }
}

#[test]
fn what_is_not_durable_when_writing_fails_is_to_be_asked_for_again() {
    let disk = SimulatedDisk::new();
    let mut journal = create(&disk).unwrap();
    for record in [segment(), packet(0)] {
        journal.append(ADA, &record).unwrap();
    }
    journal.sync().unwrap();
    journal.append(ADA, &packet(1)).unwrap();
    assert!(journal.take_forgotten().is_empty());
    disk.fail(disk.operations()..disk.operations() + 1, Fault::Io { written: 0 });
    assert!(matches!(journal.append(ADA, &packet(2)), Err(JournalError::Io { .. })));
    assert_eq!(journal.coverage(ADA).iter().collect::<Vec<_>>(), [range(0, 1)], "only what is durable counts");
    assert_eq!(journal.take_forgotten(), [ADA]);
    assert!(journal.take_forgotten().is_empty());
    for n in 1..4 {
        assert!(journal.append(ADA, &packet(n)).unwrap());
    }
    journal.sync().unwrap();
    assert!(journal.durable(ADA).covers(range(0, 4)));
}

#[test]
fn a_full_disk_keeps_what_it_had_taken() {
    let disk = SimulatedDisk::new();
    let mut journal = create(&disk).unwrap();
    journal.append(ADA, &packet(0)).unwrap();
    disk.fail(disk.operations()..disk.operations() + 1, Fault::Full { written: 500 });
    assert!(matches!(journal.append(ADA, &packet(1)), Err(JournalError::DiskFull { .. })));
    assert!(journal.take_forgotten().is_empty());
    assert!(journal.durable(ADA).covers(range(0, 1)));
    disk.power_cut(Cut::Dropped);
    let journal = open(&disk).unwrap();
    assert_eq!(journal.coverage(ADA).iter().collect::<Vec<_>>(), [range(0, 1)]);
}

#[test]
fn each_file_says_what_its_packets_belong_to() {
    let disk = SimulatedDisk::new();
    let mut journal = create(&disk).unwrap();
    journal.note(&interval(IntervalEdge::Start, 1)).unwrap();
    for record in [segment(), packet(0)] {
        journal.append(ADA, &record).unwrap();
    }
    journal.sync().unwrap();
    disk.fail(disk.operations()..disk.operations() + 2, Fault::Io { written: 0 });
    journal.append(ADA, &packet(1)).unwrap_err();
    journal.note(&interval(IntervalEdge::Stop, 2)).unwrap_err();
    journal.append(ADA, &packet(1)).unwrap();
    journal.sync().unwrap();
    // The first files are lost altogether.
    for name in [format!("track-{ADA}.rtj"), "recording.rtj".to_owned()] {
        disk.remove(&Path::new(DIR).join(name)).unwrap();
    }
    let journal = open(&disk).unwrap();
    assert_eq!(journal.header(), &header());
    assert_eq!(journal.notes().intervals.len(), 2, "the note that failed, too");
    assert_eq!(journal.coverage(ADA).iter().collect::<Vec<_>>(), [range(1, 2)]);
    assert!(journal.track(ADA).unwrap().segments.contains_key(&SEGMENT));
    are_true(&journal);
}

#[test]
fn a_disk_that_takes_nothing_can_still_be_read() {
    let disk = SimulatedDisk::new();
    let mut journal = create(&disk).unwrap();
    play(&mut journal, &mut Promised::default());
    drop(journal);
    // A torn tail that cannot be cut.
    let path = Path::new(DIR).join(format!("track-{ADA}.rtj"));
    let bytes = disk.bytes(&path).unwrap();
    disk.put(&path, &bytes[..bytes.len() - 5]);
    disk.fail(0..u64::MAX, Fault::Full { written: 0 });
    let mut journal = open(&disk).unwrap();
    are_true(&journal);
    assert!(journal.coverage(ADA).covers(range(0, 14)) && journal.durable(ADA).is_empty());
    journal.append(ADA, &packet(14)).unwrap_err();
    disk.mend();
    journal.append(ADA, &packet(14)).unwrap();
    journal.sync().unwrap();
    are_true(&journal);
}

/// A step of a random session: people send packets in any order, notes come, syncs happen.
fn random_step() -> impl Strategy<Value = Step> {
    let participant = || prop_oneof![Just(ADA), Just(BEN)];
    prop_oneof![
        20 => (participant(), 0_u64..60).prop_map(|(participant, n)| Step::Append(participant, packet(n))),
        2 => participant().prop_map(|participant| Step::Append(participant, segment())),
        2 => (0_i64..9).prop_map(|at| Step::Note(interval(IntervalEdge::Start, at))),
        3 => Just(Step::Sync),
    ]
}

fn random_fault() -> impl Strategy<Value = Option<(u64, u64, Fault)>> {
    let fault = proptest::sample::select(FAULTS.to_vec());
    proptest::option::of((0_u64..200, 1_u64..6, fault))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Power goes again and again, at any instant, and tears what was not synced in any way; the disk fails now and then.
    #[test]
    fn power_cuts_at_any_instant_take_nothing_that_was_durable(
        lives in proptest::collection::vec(
            (proptest::collection::vec(random_step(), 0..80), random_fault(), any::<u64>()),
            1..5,
        ),
    ) {
        let disk = SimulatedDisk::new();
        let mut journal = create(&disk).unwrap();
        let mut promised = Promised::default();
        for (steps, fault, seed) in lives {
            if let Some((after, operations, fault)) = fault {
                let from = disk.operations() + after;
                disk.fail(from..from + operations, fault);
            }
            for step in &steps {
                promised.step(&mut journal, step);
            }
            are_true(&journal);
            drop(journal);
            disk.mend();
            disk.power_cut(Cut::Torn { seed });
            journal = open(&disk).unwrap();
            promised.are_kept(&journal);
            // What is found is durable from here on.
            for participant in [ADA, BEN] {
                prop_assert_eq!(journal.durable(participant), journal.coverage(participant));
            }
        }
    }
}
