//! A take that grows: whatever arrives when, its bytes are those of one pass over the journal that it ends with.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use common::copyist::Copyist;
use common::{Encoded, ONE, SECOND, encode, instant, inventory, key, participant, range, segment, stretch, voice};
use proptest::prelude::*;
use roomtone_packets::{ChannelGiven, Interval, IntervalEdge, Record};
use roomtone_recorder::{
    BitDepth, ChannelSpec, FinalizeOptions, Finished, Horizon, Journal, Step, Take, TakeSettings, finalize,
};

const END: u64 = 40;
const VOICE: usize = (END as usize + 1) * 48_000;

static VOICES: LazyLock<Vec<Encoded>> =
    LazyLock::new(|| (0..3).map(|n| encode(key(1, 0), 10_000 * n, &voice(n, VOICE))).collect());
static SECOND_DEVICE: LazyLock<Encoded> =
    LazyLock::new(|| encode(key(1, 1), 5_000_000, &voice(7, VOICE - 20 * 48_000)));

/// Draws numbers from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A record, the second at which the journal gets it, and whose track it belongs to.
type Event = (u64, Option<u8>, Record);

/// Packets, each in its second, or late, or not before the file is finished.
fn packets(dice: &mut Dice, loss: u64, who: u8, starts: u64, encoded: &Encoded, events: &mut Vec<Event>) {
    let outage = 3 + dice.below(30);
    let outage = outage..outage + dice.below(8);
    for (n, packet) in (0u64..).zip(&encoded.packets) {
        let second = starts + n / 50;
        let late = match (dice.chance(loss) || outage.contains(&second), dice.below(8)) {
            (false, _) => 0,
            (true, 0) => 1_000,
            (true, 1..3) => 1 + dice.below(40),
            (true, _) => 1 + dice.below(3),
        };
        events.push((second + late, Some(who), Record::Packet(packet.clone())));
    }
}

fn notes(dice: &mut Dice, events: &mut Vec<Event>) {
    let edge = |edge, frame: u64| {
        Record::Interval(Interval { edge, at: instant(frame as i64), wall_ns: 1_795_300_000_000_000_000 })
    };
    // Edges are learned in order, and some time after they were.
    let pause = 8 + dice.below(20);
    let told = [0, pause + dice.below(4)];
    let told = [told[0], told[1], told[1].max(pause + 2), told[1].max(END) + dice.below(3)];
    let edges = [
        edge(IntervalEdge::Start, 300),
        edge(IntervalEdge::Pause, pause * SECOND + 77),
        edge(IntervalEdge::Resume, pause * SECOND + 50_000),
        edge(IntervalEdge::Stop, END * SECOND),
    ];
    events.extend(told.into_iter().zip(edges).map(|(told, edge)| (told, None, edge)));
    // Two from the start, the third later, with what was said before.
    for (number, joins) in [(0u8, 0), (1, dice.below(3)), (2, 3 + dice.below(25))] {
        let given = ChannelGiven { participant: participant(number), index: u16::from(number) };
        events.push((joins, None, Record::Channel(given)));
    }
    for (who, encoded) in (0u8..).zip(VOICES.iter()) {
        let first = 10_000 * u64::from(who);
        events.push((0, Some(who), Record::Segment(segment(key(1, 0), first, encoded.codec_delay))));
        if who != 1 {
            events.push((dice.below(4), Some(who), Record::MapStretch(stretch(key(1, 0), first, 0, 0, ONE))));
        }
    }
    // The second one's clock drifts, and its map is decided piece by piece.
    let mut exact = 1i128 << 30;
    for piece in 0..4u64 {
        let rate = ONE - 300_000 + dice.below(600_000);
        let from = 10_000 + piece * 11 * SECOND;
        let map = stretch(key(1, 0), from, (exact >> 32) as i64, exact as u32, rate);
        events.push((piece * 11 + dice.below(3), Some(1), Record::MapStretch(map)));
        exact += i128::from(11 * SECOND) * i128::from(rate);
    }
    // The third one changes the microphone; the first one takes something back.
    let second = key(1, 1);
    let at = (20 + dice.below(3)) * SECOND;
    events.push((20, Some(2), Record::Segment(segment(second, 5_000_000, SECOND_DEVICE.codec_delay))));
    events.push((20 + dice.below(5), Some(2), Record::MapStretch(stretch(second, 5_000_000, at as i64 + 9, 0, ONE))));
    let from = dice.below(30) * SECOND;
    let taken_back = Record::Retract(range(key(1, 0), from, from + dice.below(3 * SECOND)));
    events.push((dice.below(45), Some(0), taken_back));
}

fn settings(out: &Path) -> TakeSettings {
    TakeSettings { out: out.to_owned(), depth: BitDepth::Int24, recording: common::recording(1) }
}

fn options(out: &Path, journal: &Journal) -> FinalizeOptions<'static> {
    FinalizeOptions::new(out.to_owned(), ChannelSpec::from_journal(journal), "roomtone test".to_owned())
}

fn append(journal: &mut Journal, who: Option<u8>, record: &Record) {
    match who {
        Some(who) => assert!(journal.append(participant(who), record).is_ok()),
        None => journal.note(record).unwrap(),
    }
}

/// The same bytes as one pass, and the same metadata.
fn same_as_one_pass(dir: &Path, journal: &Journal, finished: &Finished) -> Result<(), TestCaseError> {
    let out = dir.join("one-pass.wav");
    let expected = finalize(journal, options(&out, journal)).unwrap();
    let (bytes, expected_bytes) = (fs::read(&finished.path).unwrap(), fs::read(&out).unwrap());
    let differs = bytes.iter().zip(&expected_bytes).position(|(a, b)| a != b);
    let frame = |byte: usize| byte.saturating_sub(4_096) / 9;
    prop_assert_eq!(differs.map(|byte| (byte, frame(byte))), None);
    prop_assert_eq!(bytes.len(), expected_bytes.len());
    let mut hashed = finished.clone();
    hashed.hash().unwrap();
    prop_assert_eq!(hashed.metadata, expected.metadata);
    fs::remove_file(&out).unwrap();
    Ok(())
}

fn play(seed: u64, loss: u64) -> Result<(), TestCaseError> {
    let mut dice = Dice(seed);
    let mut events = Vec::new();
    notes(&mut dice, &mut events);
    for (who, encoded) in (0u8..).zip(VOICES.iter()) {
        packets(&mut dice, loss, who, 0, encoded, &mut events);
    }
    packets(&mut dice, loss, 2, 20, &SECOND_DEVICE, &mut events);
    events.sort_by_key(|event| event.0);

    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(&dir.path().join("journal"), common::header(1)).unwrap();
    let out = dir.path().join("take.wav");
    let copied: Arc<Mutex<Vec<u8>>> = Arc::default();
    let watched = || {
        let mut take = Take::open(settings(&out)).unwrap();
        take.watch(Box::new(Copyist::new(&copied)));
        take
    };
    let mut take = watched();
    let mut events = events.into_iter().peekable();
    let (mut largest, mut resumed) = (0, 0);
    for second in 0..END + 5 {
        while let Some((_, who, record)) = events.next_if(|event| event.0 <= second) {
            append(&mut journal, who, &record);
        }
        if dice.chance(30) {
            continue;
        }
        let snapshot = journal.snapshot();
        let now = instant((second * SECOND) as i64 + 48_000);
        take.update(&snapshot, &snapshot.layout(), &Horizon::Running { now }).unwrap();
        let mut steps = if dice.chance(30) { dice.below(4) } else { 1_000 };
        while steps > 0 && take.step().unwrap() == Step::Worked {
            steps -= 1;
        }
        largest = largest.max(take.rendered_frames());
        if second > 30 && dice.chance(20) {
            // The program dies, with whatever it has written.
            drop(take);
            take = watched();
            resumed = take.rendered_frames().max(resumed);
        }
    }
    prop_assert!(largest > 0, "something is rendered on the way");
    let finished = take.finish(&journal.snapshot(), options(&out, &journal)).unwrap();
    same_as_one_pass(dir.path(), &journal, &finished)?;
    let copied = std::mem::take(&mut *copied.lock().unwrap());
    prop_assert!(copied == fs::read(&out).unwrap(), "who copied the file as it grew has another one");

    // What comes afterwards makes a new version.
    for (_, who, record) in events {
        append(&mut journal, who, &record);
    }
    let before = fs::read(&out).unwrap();
    let beside = dir.path().join("take.2.wav");
    let take = Take::renew(settings(&beside), &out).unwrap();
    prop_assert_eq!(take.rendered_frames(), finished.frames, "nothing is begun anew");
    let renewed = take.finish(&journal.snapshot(), options(&beside, &journal)).unwrap();
    same_as_one_pass(dir.path(), &journal, &renewed)?;
    prop_assert!(fs::read(&out).unwrap() == before, "the earlier version is as it was");
    let take = Take::reopen(settings(&out)).unwrap();
    prop_assert_eq!(take.rendered_frames(), finished.frames, "nothing is begun anew");
    let finished = take.finish(&journal.snapshot(), options(&out, &journal)).unwrap();
    same_as_one_pass(dir.path(), &journal, &finished)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn any_schedule_gives_the_bytes_of_one_pass(seed: u64, loss in prop_oneof![Just(0u64), 0..30u64]) {
        play(seed, loss)?;
    }
}

/// Ada speaks, live and whole; Ben is somebody who may come later.
struct Live {
    dir: tempfile::TempDir,
    journal: Journal,
    take: Take,
    missing: Vec<usize>,
    second: u64,
}

impl Live {
    fn new(missing: Vec<usize>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(&dir.path().join("journal"), common::header(1)).unwrap();
        let start = common::edges(&[(IntervalEdge::Start, 0)]).remove(0);
        append(&mut journal, None, &Record::Interval(start));
        Self::joins(&mut journal, 0);
        let take = Take::open(settings(&dir.path().join("take.wav"))).unwrap();
        Self { dir, journal, take, missing, second: 0 }
    }

    fn joins(journal: &mut Journal, who: u8) {
        let (first, delay) = (10_000 * u64::from(who), VOICES[0].codec_delay);
        let given = ChannelGiven { participant: participant(who), index: u16::from(who) };
        append(journal, None, &Record::Channel(given));
        append(journal, Some(who), &Record::Segment(segment(key(1, 0), first, delay)));
        append(journal, Some(who), &Record::MapStretch(stretch(key(1, 0), first, 0, 0, ONE)));
    }

    fn out(&self) -> std::path::PathBuf {
        self.dir.path().join("take.wav")
    }

    /// Packets of one more second, and what the take makes of them.
    fn second(&mut self, who: &[u8]) {
        let packets = self.second as usize * 50..(self.second as usize + 1) * 50;
        for &who in who {
            for n in packets.clone().filter(|n| who != 0 || !self.missing.contains(n)) {
                append(&mut self.journal, Some(who), &Record::Packet(VOICES[usize::from(who)].packets[n].clone()));
            }
        }
        self.second += 1;
        self.update();
    }

    fn update(&mut self) {
        let snapshot = self.journal.snapshot();
        let now = instant((self.second * SECOND) as i64);
        self.take.update(&snapshot, &snapshot.layout(), &Horizon::Running { now }).unwrap();
    }

    fn work(&mut self) -> u64 {
        let mut steps = 0;
        while self.take.step().unwrap() == Step::Worked {
            steps += 1;
        }
        steps
    }

    fn finish(mut self, frames: u64) {
        let stop = common::edges(&[(IntervalEdge::Stop, frames as i64)]).remove(0);
        append(&mut self.journal, None, &Record::Interval(stop));
        let held = range(key(1, 0), 0, frames);
        append(&mut self.journal, Some(0), &inventory(1, vec![held]));
        let out = self.out();
        let finished = self.take.finish(&self.journal.snapshot(), options(&out, &self.journal)).unwrap();
        same_as_one_pass(self.dir.path(), &self.journal, &finished).unwrap();
    }
}

#[test]
fn a_take_keeps_up_and_renders_nothing_twice() {
    let mut live = Live::new(vec![]);
    for second in 1..=35 {
        live.second(&[0]);
        assert_eq!(live.take.dirty_frames(), 0, "at {second} s");
        live.work();
        assert!(live.take.rendered_frames() + SECOND / 2 > second * SECOND, "at {second} s");
    }
    live.finish(35 * SECOND);
}

#[test]
fn a_hole_is_waited_for_and_then_silent_until_it_is_filled() {
    let hole = vec![100, 101, 102];
    let mut live = Live::new(hole.clone());
    for _ in 0..20 {
        live.second(&[0]);
        live.work();
    }
    assert!(live.take.rendered_frames() < 2 * SECOND, "it waits before the hole");
    for _ in 20..38 {
        live.second(&[0]);
        live.work();
    }
    let rendered = live.take.rendered_frames();
    assert!(rendered > 37 * SECOND, "30 s are enough, and behind the hole everything is there");
    for n in hole {
        append(&mut live.journal, Some(0), &Record::Packet(VOICES[0].packets[n].clone()));
    }
    live.update();
    let dirty = live.take.dirty_frames();
    assert!((28 * SECOND..29 * SECOND).contains(&dirty), "the rest of its chunk of 30 s, not {dirty} frames");
    live.work();
    assert!(live.take.dirty_frames() > 0, "more of it may be on its way");
    live.update();
    live.work();
    assert_eq!(live.take.dirty_frames(), 0);
    live.finish(37 * SECOND);
}

#[test]
fn a_late_joiner_widens_by_copying() {
    let mut live = Live::new(vec![]);
    for _ in 0..10 {
        live.second(&[0]);
        live.work();
    }
    let before = live.take.rendered_frames();
    Live::joins(&mut live.journal, 1);
    live.update();
    // One step copies 4 MiB: all that there is. Nothing is rendered, and nothing is dirty: he has said nothing yet.
    assert_eq!((live.take.dirty_frames(), live.work(), live.take.rendered_frames()), (0, 1, before));
    for _ in 10..12 {
        live.second(&[0, 1]);
        live.work();
    }
    let names: Vec<_> = fs::read_dir(live.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.iter().filter(|name| name.to_string_lossy().contains("partial")).count(), 1, "{names:?}");
    live.finish(11 * SECOND);
}

#[test]
fn another_run_goes_on_where_the_state_says() {
    let mut live = Live::new(vec![]);
    for _ in 0..39 {
        live.second(&[0]);
        live.work();
    }
    let Live { dir, journal, take, missing, second } = live;
    drop(take);
    let take = Take::open(settings(&dir.path().join("take.wav"))).unwrap();
    assert!(take.rendered_frames() >= 30 * SECOND);
    Live { dir, journal, take, missing, second }.finish(39 * SECOND);
}

#[test]
fn a_state_of_another_build_or_a_lost_file_begins_anew() {
    for spoil in [
        |state: &Path, _: &Path| {
            let text = fs::read_to_string(state).unwrap();
            fs::write(state, text.replacen("\"epochs\":[\"", "\"epochs\":[\"0", 1)).unwrap();
        },
        |state: &Path, _: &Path| fs::write(state, "{").unwrap(),
        |_: &Path, partial: &Path| fs::write(partial, "short").unwrap(),
    ] {
        let mut live = Live::new(vec![]);
        for _ in 0..39 {
            live.second(&[0]);
            live.work();
        }
        let Live { dir, journal, take, missing, second } = live;
        drop(take);
        spoil(&dir.path().join("take.wav.state"), &dir.path().join("take.wav.partial"));
        let take = Take::open(settings(&dir.path().join("take.wav"))).unwrap();
        assert_eq!(take.rendered_frames(), 0);
        Live { dir, journal, take, missing, second }.finish(39 * SECOND);
    }
}

#[test]
fn a_finished_take_without_anything_new_stays_as_it_is() {
    let mut live = Live::new(vec![]);
    for _ in 0..3 {
        live.second(&[0]);
        live.work();
    }
    let stop = common::edges(&[(IntervalEdge::Stop, 2 * 48_000)]).remove(0);
    append(&mut live.journal, None, &Record::Interval(stop));
    let out = live.out();
    let finished = live.take.finish(&live.journal.snapshot(), options(&out, &live.journal)).unwrap();
    let snapshot = live.journal.snapshot();
    let mut take = Take::reopen(settings(&out)).unwrap();
    take.update(&snapshot, &snapshot.layout(), &Horizon::Over { open_end: None }).unwrap();
    assert_eq!((take.dirty_frames(), take.frames_behind()), (0, 0));
    let modified = fs::metadata(&out).unwrap().modified().unwrap();
    let again = take.finish(&snapshot, options(&out, &live.journal)).unwrap();
    assert_eq!((again, fs::metadata(&out).unwrap().modified().unwrap()), (finished, modified));
}

#[test]
fn a_new_version_without_anything_new_is_another_name_for_the_old_one() {
    let mut live = Live::new(vec![]);
    for _ in 0..3 {
        live.second(&[0]);
        live.work();
    }
    let stop = common::edges(&[(IntervalEdge::Stop, 2 * 48_000)]).remove(0);
    append(&mut live.journal, None, &Record::Interval(stop));
    let (first, second) = (live.out(), live.dir.path().join("take.2.wav"));
    let finished = live.take.finish(&live.journal.snapshot(), options(&first, &live.journal)).unwrap();
    // An interrupted run left its half.
    fs::write(live.dir.path().join("take.2.wav.partial"), "half").unwrap();
    fs::copy(live.dir.path().join("take.wav.state"), live.dir.path().join("take.2.wav.state")).unwrap();
    let take = Take::renew(settings(&second), &first).unwrap();
    let again = take.finish(&live.journal.snapshot(), options(&second, &live.journal)).unwrap();
    assert_eq!((&again.metadata, &again.path), (&finished.metadata, &second));
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap());
    assert!(Take::renew(settings(&second), &first).is_err(), "it is there");
    fs::remove_file(&first).unwrap();

    // What comes later is put into the second one's copy.
    append(&mut live.journal, Some(0), &Record::Retract(range(key(1, 0), 9_600, 96_000)));
    let third = live.dir.path().join("take.3.wav");
    let take = Take::renew(settings(&third), &second).unwrap();
    assert_eq!(take.rendered_frames(), finished.frames);
    let finished = take.finish(&live.journal.snapshot(), options(&third, &live.journal)).unwrap();
    same_as_one_pass(live.dir.path(), &live.journal, &finished).unwrap();
}

#[test]
fn a_take_can_be_rendered_on_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Take>();
    is_send::<roomtone_recorder::JournalSnapshot>();
}
