//! Whole recordings, played against a store that fails and a program that dies: in the end there is one object, and it is
//! the file.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::*;

/// A unit of content.
const MIB: u64 = 1 << 20;
/// Units a part, of up to six channels.
const PART: usize = 8;
const BYTES_PER_CHANNEL: u64 = 48_000 * 3;

/// Something that happens, most of it while the file grows.
#[derive(Debug, Clone)]
enum Event {
    Grow(u64),
    /// From, how much; told or done while nobody watches.
    Rewrite(u64, u64),
    /// The end of what is there does not count after all.
    Cut(u64),
    Join,
    Wait(u16),
    /// A task comes to its end.
    Finish(u8, Fate),
    /// Everything that may go arrives.
    CatchUp,
    /// The program dies and starts again; what is rewritten before anybody watches, and how much is rendered again.
    Crash(u64, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Good,
    /// Nothing arrived.
    Failed,
    /// It arrived, and the answer was lost.
    AnswerLost,
    /// The store has lost the upload.
    Gone,
}

/// Content is what it is made of, so that equal hashes and equal content are the same.
type Content = Vec<u32>;

#[derive(Debug, Default)]
struct Store {
    /// The uploads that were begun and neither completed nor discarded.
    uploads: BTreeMap<u32, BTreeMap<i32, Content>>,
    begun: u32,
    objects: Vec<Content>,
    sent: usize,
}

/// What the program remembers on its disk.
#[derive(Debug, Default)]
struct Ledger {
    upload: u32,
    part_size: u64,
    channels: usize,
    wasted: u64,
    parts: BTreeMap<i32, Content>,
    /// The whole file, and the parts that may not be of it.
    whole: Option<(Content, Vec<i32>)>,
}

struct World {
    now: ClockNs,
    file: Content,
    versions: u32,
    channels: usize,
    store: Store,
    ledger: Option<Ledger>,
    planner: Planner,
    /// Tasks with what was read for them.
    under_way: Vec<(Task, Content)>,
    /// Parts that were touched by what was written over.
    touched: usize,
    failures: usize,
}

fn units(range: &PartRange) -> std::ops::Range<usize> {
    (range.offset / MIB) as usize..(range.end() / MIB) as usize
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            now: ClockNs(0),
            file: vec![],
            versions: 0,
            channels: 0,
            store: Store::default(),
            ledger: None,
            planner: Planner::growing(NonZero::new(u64::MAX)),
            under_way: vec![],
            touched: 0,
            failures: 0,
        };
        world.join();
        world
    }

    fn fresh(&mut self) -> u32 {
        self.versions += 1;
        self.versions
    }

    fn tell(&mut self, input: Input) {
        self.planner.handle(self.now, input);
        self.pump();
    }

    fn settled(&mut self) {
        self.tell(Input::Settled { bytes: self.file.len() as u64 * MIB });
    }

    fn begun(&mut self) {
        let bytes_per_s = self.channels as u64 * BYTES_PER_CHANNEL;
        self.tell(Input::Begun { channels: self.channels, bytes_per_s });
        self.settled();
    }

    fn join(&mut self) {
        if self.channels == 6 {
            return;
        }
        let (before, length) = (self.channels.max(1), self.file.len());
        self.channels += 1;
        self.file = (0..length.div_ceil(before) * self.channels).map(|_| self.fresh()).collect();
        self.begun();
    }

    /// Bytes become others; which parts had any of them.
    fn rewrite(&mut self, from: u64, length: u64) -> Option<Input> {
        let all = self.file.len() as u64;
        let from = from.checked_rem(all)?;
        let to = (from + length).min(all);
        (from..to).for_each(|unit| self.file[unit as usize] = self.fresh());
        self.touched += length as usize / PART + 2;
        Some(Input::Rewritten { from: from * MIB, to: to * MIB })
    }

    fn cut(&mut self, length: u64) {
        let before = self.file.len() as u64;
        let end = before.saturating_sub(length);
        self.file.truncate(end as usize);
        self.touched += length as usize / PART + 2;
        self.tell(Input::Rewritten { from: end * MIB, to: before * MIB });
        self.settled();
    }

    /// Does at once what needs no time, and puts the rest under way.
    fn pump(&mut self) {
        while let Some(task) = self.planner.next(self.now) {
            match task {
                Task::Create { part_size } => {
                    self.create(part_size);
                    self.planner.handle(self.now, Input::Created);
                }
                Task::Abort => {
                    assert!(self.under_way.is_empty(), "nothing may arrive behind it");
                    let ledger = self.ledger.take().expect("there is an upload");
                    self.store.uploads.remove(&ledger.upload);
                    self.planner.handle(self.now, Input::Aborted);
                }
                Task::Send(range) | Task::Check(range) => {
                    let read = self.file[units(&range)].to_vec();
                    if let Task::Send(_) = task {
                        self.store.sent += read.len();
                    }
                    self.under_way.push((task, read));
                }
            }
        }
        assert!(self.under_way.len() <= PARALLEL + 1, "{:?}", self.under_way);
    }

    fn create(&mut self, part_size: u64) {
        self.store.begun += 1;
        self.store.uploads.insert(self.store.begun, BTreeMap::new());
        let (channels, wasted) = (self.planner.channels(), self.planner.wasted());
        self.ledger = Some(Ledger { upload: self.store.begun, part_size, channels, wasted, ..Ledger::default() });
    }

    fn arrives(&mut self, number: i32, content: &Content) {
        let upload = self.ledger.as_ref().and_then(|ledger| self.store.uploads.get_mut(&ledger.upload));
        if let Some(parts) = upload {
            parts.insert(number, content.clone());
        }
    }

    /// A task ends. False if the upload is gone, or the attempt at a whole file failed.
    fn finish(&mut self, which: u8, fate: Fate) -> bool {
        if self.under_way.is_empty() {
            return true;
        }
        let (task, read) = self.under_way.remove(usize::from(which) % self.under_way.len());
        let input = match task {
            Task::Check(range) => {
                let ledger = self.ledger.as_ref().expect("there is an upload");
                Input::Checked { number: range.number, same: ledger.parts[&range.number] == read }
            }
            Task::Send(range) => {
                if matches!(fate, Fate::Good | Fate::AnswerLost) {
                    self.arrives(range.number, &read);
                }
                self.failures += usize::from(fate != Fate::Good);
                match fate {
                    Fate::Good => {
                        let ledger = self.ledger.as_mut().expect("there is an upload");
                        ledger.parts.insert(range.number, read);
                        if let Some((_, doubtful)) = &mut ledger.whole {
                            doubtful.retain(|number| *number != range.number);
                        }
                        Input::Sent { number: range.number, took: Duration::from_millis(50) }
                    }
                    Fate::Failed | Fate::AnswerLost => Input::Failed(task),
                    Fate::Gone => {
                        let ledger = self.ledger.take().expect("there is an upload");
                        self.store.uploads.remove(&ledger.upload);
                        self.under_way.clear();
                        Input::Lost
                    }
                }
            }
            Task::Create { .. } | Task::Abort => unreachable!("these take no time here"),
        };
        let good = !matches!(input, Input::Failed(_) | Input::Lost);
        self.tell(input);
        good
    }

    /// What an earlier run left, as the next one finds it.
    fn known(&self, whole: bool) -> Vec<Known> {
        let Some(ledger) = &self.ledger else { return vec![] };
        let held = &self.store.uploads[&ledger.upload];
        let there = ledger.parts.iter().filter(|(number, content)| held.get(number) == Some(content));
        let sure = |number: &i32| match &ledger.whole {
            Some((file, doubtful)) => whole && *file == self.file && !doubtful.contains(number),
            None => false,
        };
        let known = there.map(|(number, content)| Known {
            number: *number,
            length: content.len() as u64 * MIB,
            sure: sure(number),
        });
        known.collect()
    }

    fn dies(&mut self, arrived: u64) {
        for (n, (task, content)) in std::mem::take(&mut self.under_way).into_iter().enumerate() {
            if let Task::Send(range) = task
                && arrived >> (n % 64) & 1 == 1
            {
                self.arrives(range.number, &content);
            }
        }
        self.failures += PARALLEL;
    }

    fn crash(&mut self, arrived: u64, rendered_again: u64) {
        self.dies(arrived);
        // What was rendered last is rendered again, and nobody tells that it was there before.
        let from = (self.file.len() as u64).saturating_sub(rendered_again % 6);
        (from..self.file.len() as u64).for_each(|unit| self.file[unit as usize] = self.fresh());
        let _nobody_is_told = self.rewrite(arrived, rendered_again % 3);
        let planner = Planner::growing(NonZero::new(u64::MAX));
        self.planner = match &self.ledger {
            Some(ledger) => planner.resumed(ledger.part_size, ledger.channels, ledger.wasted, self.known(false)),
            None => planner,
        };
        self.begun();
    }

    fn play(&mut self, event: &Event) {
        match *event {
            Event::Grow(more) => {
                self.file.extend((0..more).map(|n| self.versions + 1 + n as u32));
                self.versions += more as u32;
                self.now.0 += 1_000_000_000;
                self.settled();
            }
            Event::Rewrite(from, length) => {
                if let Some(told) = self.rewrite(from, length) {
                    self.tell(told);
                }
            }
            Event::Cut(length) => self.cut(length),
            Event::Join => self.join(),
            Event::Wait(seconds) => {
                self.now.0 += i64::from(seconds) * 1_000_000_000;
                self.pump();
            }
            Event::Finish(which, fate) => drop(self.finish(which, fate)),
            Event::CatchUp => {
                while !self.under_way.is_empty() {
                    self.finish(0, Fate::Good);
                }
            }
            Event::Crash(arrived, again) => self.crash(arrived, again),
        }
    }

    /// Stop: the head is written, and what stands behind the samples.
    fn whole(&mut self) {
        let tail = self.fresh();
        self.file.push(tail);
        self.file[0] = self.fresh();
        self.tell(Input::Whole { bytes: self.file.len() as u64 * MIB });
    }

    fn hand_over(&mut self) {
        self.tell(Input::HandedOver);
        while !self.planner.is_over() {
            assert!(!self.under_way.is_empty(), "{:?}", self.planner);
            self.finish(0, Fate::Good);
        }
        let doubtful = self.planner.doubtful();
        if let Some(ledger) = &mut self.ledger {
            ledger.whole = Some((self.file.clone(), doubtful));
        }
    }

    /// The publisher's attempts: the first ones fail.
    fn publish(&mut self, fates: &[(u8, Fate)]) {
        let mut fates = fates.iter();
        loop {
            let bytes = self.file.len() as u64 * MIB;
            if self.ledger.is_none() {
                self.create(plan::part_size(bytes));
            }
            let part_size = self.ledger.as_ref().map_or(0, |ledger| ledger.part_size);
            self.planner = Planner::whole(bytes, part_size, self.known(true));
            self.pump();
            let failed = loop {
                if self.planner.is_complete() {
                    break false;
                }
                let &(which, fate) = fates.next().unwrap_or(&(0, Fate::Good));
                if !self.finish(which, fate) {
                    break true;
                }
            };
            if !failed {
                return self.complete(bytes, part_size);
            }
            self.dies(0x5555);
        }
    }

    fn complete(&mut self, bytes: u64, part_size: u64) {
        let ledger = self.ledger.take().expect("there is an upload");
        let mut parts = self.store.uploads.remove(&ledger.upload).expect("there is an upload");
        let object = plan::parts(bytes, part_size).flat_map(|range| parts.remove(&range.number).expect("it is there"));
        self.store.objects.push(object.collect());
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Good),
        2 => Just(Fate::Failed),
        2 => Just(Fate::AnswerLost),
        1 => Just(Fate::Gone),
    ]
}

fn event(faults: bool) -> impl Strategy<Value = Event> {
    let fate = if faults { fate().boxed() } else { Just(Fate::Good).boxed() };
    prop_oneof![
        6 => (1..24u64).prop_map(Event::Grow),
        2 => (0..400u64, 1..20u64).prop_map(|(from, length)| Event::Rewrite(from, length)),
        1 => (1..12u64).prop_map(Event::Cut),
        1 => Just(Event::Join),
        2 => prop_oneof![1..100u16, 600..900u16].prop_map(Event::Wait),
        8 => (any::<u8>(), fate).prop_map(|(which, fate)| Event::Finish(which, fate)),
        u32::from(faults) => (any::<u64>(), 0..20u64).prop_map(|(arrived, again)| Event::Crash(arrived, again)),
    ]
}

/// People come, and nothing else happens.
fn calm_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (8..48u64).prop_map(Event::Grow),
        1 => Just(Event::Join),
        3 => (600..900u16).prop_map(Event::Wait),
        3 => Just(Event::CatchUp),
    ]
}

/// Plays a recording to its end; what the store has then.
fn play(events: &[Event], after: &[Event], fates: &[(u8, Fate)]) -> Result<World, TestCaseError> {
    let mut world = World::new();
    world.file = vec![0];
    events.iter().for_each(|event| world.play(event));
    world.whole();
    for event in after {
        match event {
            Event::Finish(..) | Event::Wait(_) => world.play(event),
            _ => {}
        }
    }
    world.hand_over();
    world.publish(fates);
    prop_assert_eq!(world.store.objects.len(), 1);
    prop_assert!(world.store.objects[0] == world.file, "another object than the file");
    prop_assert!(world.store.uploads.is_empty(), "an upload stays: {:?}", world.store.uploads.keys());
    Ok(world)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_there_is_one_object_and_it_is_the_file(
        events in prop::collection::vec(event(true), 0..150),
        after in prop::collection::vec(event(true), 0..20),
        fates in prop::collection::vec((any::<u8>(), fate()), 0..30),
    ) {
        play(&events, &after, &fates)?;
    }

    #[test]
    fn at_most_twice_the_file_is_sent_and_every_rewritten_part_once_more(
        events in prop_oneof![
            prop::collection::vec(event(false), 0..150),
            prop::collection::vec(calm_event(), 0..150),
        ],
        after in prop::collection::vec(event(false), 0..20),
    ) {
        let world = play(&events, &after, &[])?;
        prop_assert_eq!(world.failures, 0);
        let most = 2 * world.file.len() + world.touched * PART;
        prop_assert!(world.store.sent <= most, "{} for {} MiB", world.store.sent, world.file.len());
    }
}
