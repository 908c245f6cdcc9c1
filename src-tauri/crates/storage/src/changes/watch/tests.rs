use super::*;
use crate::ObjectInfo;
use time::OffsetDateTime;

const PACE: Pace = Pace { alone: Duration::from_secs(60), beside: Duration::from_secs(600) };

fn holds(version: &str) -> Fingerprint {
    let modified = OffsetDateTime::UNIX_EPOCH;
    Fingerprint::of(&[ObjectInfo { key: "a.wav".into(), size: 1, modified, etag: version.into() }])
}

fn at(ms: i64) -> ClockNs {
    ClockNs(ms * 1_000_000)
}

/// A bucket whose listings and whose source answer as told, and the time.
struct World {
    watch: Watch,
    now_ms: i64,
    /// What the bucket holds; none: it does not answer.
    holds: Option<&'static str>,
    /// What comes of an attempt at the source; none: nothing yet.
    source: Option<Result<(), Setback>>,
    log: Vec<(i64, Task)>,
}

impl World {
    fn new(has_source: bool) -> Self {
        Self {
            watch: Watch::new(at(0), PACE, has_source),
            now_ms: 0,
            holds: Some("1"),
            source: Some(Ok(())),
            log: Vec::new(),
        }
    }

    fn input(&mut self, input: Input) {
        self.watch.handle(at(self.now_ms), input);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(task) = self.watch.next(at(self.now_ms)) {
            self.log.push((self.now_ms, task));
            let answer = match task {
                Task::Tell => None,
                Task::List => Some(self.holds.map_or(Input::NotListed, |version| Input::Listed(holds(version)))),
                Task::Connect => self.source.map(|source| source.map_or_else(Input::Failed, |()| Input::Connected)),
            };
            if let Some(answer) = answer {
                self.watch.handle(at(self.now_ms), answer);
            }
        }
    }

    /// Lets the time go by to this second, and says what was done meanwhile, in milliseconds.
    fn until(&mut self, seconds: i64) -> Vec<(i64, Task)> {
        self.settle();
        while let Some(deadline) = self.watch.next_deadline().filter(|deadline| deadline.0 <= seconds * 1_000_000_000) {
            assert!(deadline > at(self.now_ms), "a deadline that has passed is no reason to wake up");
            self.now_ms = deadline.0 / 1_000_000;
            self.settle();
        }
        self.now_ms = seconds * 1_000;
        std::mem::take(&mut self.log)
    }

    fn listings(&mut self, until_seconds: i64) -> Vec<i64> {
        let done = self.until(until_seconds);
        done.into_iter().filter(|(_, task)| *task == Task::List).map(|(ms, _)| ms / 1_000).collect()
    }
}

#[test]
fn without_a_source_listings_are_compared_and_only_changes_are_told() {
    let mut world = World::new(false);
    assert_eq!(world.until(1), [(0, Task::List), (0, Task::Tell)], "the first listing is told");
    assert_eq!(world.until(150), [(60_000, Task::List), (120_000, Task::List)]);
    world.holds = Some("2");
    assert_eq!(world.until(200), [(180_000, Task::List), (180_000, Task::Tell)]);
}

#[test]
fn beside_a_source_that_works_listings_are_rare() {
    let mut world = World::new(true);
    assert_eq!(world.until(1), [(0, Task::Connect), (0, Task::List), (0, Task::Tell)]);
    assert_eq!(world.listings(1_900), [600, 1_200, 1_800]);
    world.input(Input::Event);
    assert_eq!(world.until(1_901), [(1_900_020, Task::Tell)], "an event is no reason to compare");
}

#[test]
fn after_a_connection_that_took_time_the_bucket_is_listed_once_more() {
    let mut world = World::new(true);
    world.source = None;
    assert_eq!(world.until(5), [(0, Task::Connect), (0, Task::List), (0, Task::Tell)]);
    world.holds = Some("2");
    world.input(Input::Connected);
    assert_eq!(world.until(6), [(5_000, Task::List), (5_000, Task::Tell)]);
    assert!(!world.watch.is_distrusted(), "nobody could tell of it");
    assert_eq!(world.listings(700), [605]);
}

#[test]
fn a_connection_during_a_listing_is_followed_by_another_one() {
    let mut watch = Watch::new(at(0), PACE, true);
    assert_eq!([watch.next(at(0)), watch.next(at(0))], [Some(Task::Connect), Some(Task::List)]);
    watch.handle(at(1), Input::Connected);
    assert_eq!(watch.next(at(1)), None);
    watch.handle(at(2), Input::Listed(holds("1")));
    assert_eq!([watch.next(at(2)), watch.next(at(2))], [Some(Task::List), Some(Task::Tell)]);
}

#[test]
fn a_source_that_fails_is_replaced_at_once_and_tried_until_it_is_back() {
    let mut world = World::new(true);
    world.until(100);
    world.source = Some(Err(Setback::Gone));
    world.input(Input::Failed(Setback::Gone));
    let done = world.until(400);
    let of = |wanted| done.iter().filter(|(_, task)| *task == wanted).map(|(ms, _)| ms / 1_000).collect::<Vec<_>>();
    assert_eq!(of(Task::List), [100, 160, 220, 280, 340, 400]);
    assert_eq!(of(Task::Connect), [101, 103, 107, 115, 131, 163, 223, 283, 343]);
    world.source = Some(Ok(()));
    let back = world.until(410);
    assert_eq!(back, [(403_000, Task::Connect), (403_000, Task::List)]);
    assert_eq!(world.listings(1_100), [1_003]);
    // It worked for a while, so the first pause is short again.
    world.input(Input::Failed(Setback::Gone));
    assert_eq!(world.until(1_102), [(1_100_000, Task::List), (1_101_000, Task::Connect), (1_101_000, Task::List)]);
}

#[test]
fn a_source_that_never_lasts_is_not_tried_all_the_time() {
    let mut world = World::new(true);
    for _ in 0..8 {
        world.until(world.now_ms / 1_000 + 61);
        world.input(Input::Failed(Setback::Gone));
    }
    // Steady by 61 s each time: tried again after a second.
    assert_eq!(world.until(489).iter().filter(|(_, task)| *task == Task::Connect).count(), 1);
    for seconds in [492, 497, 506, 523, 556] {
        world.input(Input::Failed(Setback::Gone));
        world.until(seconds);
    }
    world.input(Input::Failed(Setback::Gone));
    assert_eq!(world.until(610).iter().filter(|(_, task)| *task == Task::Connect).count(), 0);
}

#[test]
fn what_a_store_does_not_offer_is_asked_for_once_an_hour() {
    let mut world = World::new(true);
    world.source = Some(Err(Setback::Unsupported));
    let done = world.until(7_300);
    let tried: Vec<_> = done.iter().filter(|(_, task)| *task == Task::Connect).map(|(ms, _)| ms / 1_000).collect();
    assert_eq!(tried, [0, 3_600, 7_200]);
    assert_eq!(done.iter().filter(|(_, task)| *task == Task::List).count(), 122);
}

#[test]
fn a_bucket_that_does_not_answer_is_asked_again_soon_and_its_change_is_told() {
    let mut world = World::new(false);
    world.until(90);
    world.holds = None;
    assert_eq!(world.listings(133), [120, 125, 130]);
    world.holds = Some("2");
    assert_eq!(world.until(136), [(135_000, Task::List), (135_000, Task::Tell)]);
}

#[test]
fn a_source_that_misses_a_change_is_not_relied_on_for_an_hour() {
    let mut world = World::new(true);
    world.until(590);
    world.holds = Some("2");
    assert_eq!(world.until(610), [(600_000, Task::List), (600_000, Task::Tell)]);
    assert!(!world.watch.is_distrusted(), "its event may be late");
    assert_eq!(world.listings(4_235).first(), Some(&690), "the overdue event at 630, and the pace of one's own after");
    assert!(!world.watch.is_distrusted());
    world.input(Input::Event);
    assert_eq!(world.listings(5_400), [4_830], "trusted again: {:?}", world.watch);
}

#[test]
fn a_change_that_is_told_late_or_early_costs_no_trust() {
    let mut world = World::new(true);
    world.until(599);
    // Told before the listing.
    world.input(Input::Event);
    world.holds = Some("2");
    world.until(640);
    assert!(!world.watch.is_distrusted());
    // Told after it.
    world.holds = Some("3");
    world.until(1_210);
    world.input(Input::Event);
    world.until(1_300);
    assert!(!world.watch.is_distrusted());
}

#[test]
fn an_event_during_a_listing_counts_for_that_one_and_for_the_next() {
    let mut watch = Watch::new(at(0), PACE, true);
    assert_eq!([watch.next(at(0)), watch.next(at(0))], [Some(Task::Connect), Some(Task::List)]);
    watch.handle(at(0), Input::Connected);
    watch.handle(at(0), Input::Listed(holds("1")));
    assert_eq!(watch.next(at(0)), Some(Task::List));
    watch.handle(at(0), Input::Event);
    // The listing was made before the change of which the event tells.
    watch.handle(at(1), Input::Listed(holds("1")));
    while watch.next(at(600_001)).is_some_and(|task| task != Task::List) {}
    watch.handle(at(600_002), Input::Listed(holds("2")));
    while watch.next(at(640_000)).is_some() {}
    assert!(!watch.is_distrusted());
}

#[test]
fn a_burst_of_events_is_told_twice() {
    let mut world = World::new(true);
    world.until(10);
    for _ in 0..50 {
        world.input(Input::Event);
        world.now_ms += 10;
        world.settle();
    }
    let told: Vec<_> = world.until(20).into_iter().filter(|(_, task)| *task == Task::Tell).map(|(ms, _)| ms).collect();
    assert_eq!(told, [10_020, 10_740]);
}
