//! Programs that are killed at any instant: what was acknowledged stays, files are whole, and nobody loses more than the
//! time for which their own program was dead.

mod acknowledged;
mod room;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use roomtone_tests::signal::{SAMPLE_RATE, Speaker, read_time_code, weakest_stretch};
use roomtone_tests::{Chance, Deadline, Outcome, PATIENCE, Stage, now_unix_ms};

/// Kills in every run; `ROOMTONE_KILLS` asks for more.
const KILLS: u32 = 52;
/// Kills of one room: its file must not get longer than what the sources' time codes tell apart.
const KILLS_A_ROOM: u32 = 13;
/// Rooms at a time.
const ROOMS: usize = 4;

#[test]
fn what_was_acknowledged_before_the_host_was_killed_is_in_a_file_that_any_reader_takes() {
    let kills = std::env::var("ROOMTONE_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let seed = Chance::seed();
    println!("ROOMTONE_SEED={seed} ROOMTONE_KILLS={kills}");
    let rooms = u64::from(kills.div_ceil(KILLS_A_ROOM));
    let next = AtomicU64::new(0);
    let survived: Vec<room::Survived> = std::thread::scope(|scope| {
        let work = || {
            let number = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&number| number < rooms);
            std::iter::from_fn(number).map(|number| room::survives(seed + number, KILLS_A_ROOM)).collect::<Vec<_>>()
        };
        let workers: Vec<_> = (0..ROOMS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let total: u32 = survived.iter().map(|room| room.kills).sum();
    assert!(total >= kills, "{total} of {kills}");
    // Unless hosts lived long enough to record, nothing was put to the test: half a second of each of two people a life.
    let packets: usize = survived.iter().map(|room| room.packets).sum();
    println!("{total} kills, {packets} packets, all of them in the files");
    assert!(packets >= 50 * kills as usize, "only {packets} packets in {total} lives");
}

const ADA: Speaker = Speaker(1);
const BEN: Speaker = Speaker(2);
/// Length of their sources.
const SOURCE_S: usize = 180;
/// How often Ada's program is killed.
const DEATHS: u64 = 5;
/// Frames of five packets around a hole, where the codec falls silent and finds its feet again.
const EDGE: usize = 4_800;
/// Likeness that the codec keeps up in every 20 ms.
const REAL: f64 = 0.9;

/// A life, or the time between two: its length is the test's choice, and nothing is waited for.
fn let_pass(ms: u64) {
    Deadline::after(Duration::from_millis(ms)).poll(|| None::<()>);
}

#[test]
fn who_is_killed_again_and_again_keeps_one_channel_and_lacks_only_the_time_of_their_deaths() {
    let seed = Chance::seed();
    println!("ROOMTONE_SEED={seed}");
    let mut chance = Chance::new(seed);
    let stage = Stage::new();
    let mut host = stage.host(&[]);
    stage.prepare(&[ADA, BEN], SOURCE_S);
    let at_ms = (now_unix_ms() + 500.0).round();
    let ada = || stage.join(&host.invite, "Ada", &stage.microphone(ADA, SOURCE_S, at_ms), &[]);
    let mut person = ada();
    let id = person.events().iter().find(|event| event["event"] == "joined").unwrap()["participant"].clone();
    let _ben = stage.join(&host.invite, "Ben", &stage.microphone(BEN, SOURCE_S, at_ms), &[]);
    let recording = stage.ask(&["record", &host.invite, "start"]).unwrap()["recording"].as_str().unwrap().to_owned();
    let elapsed = || stage.ask(&["record", &host.invite, "status"]).unwrap()["elapsed_ms"].as_u64().unwrap();
    let mut deaths = Vec::new();
    for _ in 0..DEATHS {
        let_pass(chance.within(1_500..5_000));
        person.kill().unwrap();
        room::no_panic(&person.log());
        let killed_ms = now_unix_ms();
        let_pass(chance.within(0..1_500));
        person = ada();
        deaths.push((killed_ms, now_unix_ms()));
    }
    let until = elapsed() + 5_000;
    host.recorded(&recording, until);
    let outcome = Outcome::of(&stage.ask_within(&["record", &host.invite, "stop", "--wait"], PATIENCE * 2).unwrap());
    assert!(person.stop(PATIENCE).unwrap().status.success());

    assert_eq!(outcome.names().iter().filter(|&&name| name == "Ada").count(), 1, "one channel: {}", outcome.metadata);
    let index = outcome.names().iter().position(|&name| name == "Ada").unwrap();
    let channel = outcome.channel(index);
    assert_eq!(channel["participant"], id);
    let frames = |gap: &serde_json::Value, key: &str| usize::try_from(gap[key].as_u64().unwrap()).unwrap();
    let gaps = channel["gaps"].as_array().unwrap();
    assert!(gaps.iter().all(|gap| gap["cause"] == "crash"), "{gaps:?}");
    assert_eq!(gaps.len(), deaths.len(), "{gaps:?} for {deaths:?}");
    let at = |frame: usize| outcome.started_ms() + frame as f64 * 1000.0 / SAMPLE_RATE as f64;
    for (gap, (killed_ms, back_ms)) in gaps.iter().zip(&deaths) {
        let (from, to) = (at(frames(gap, "from")), at(frames(gap, "to")));
        println!("dead from {:+.0} ms of the kill to {:+.0} ms of the return", from - killed_ms, to - back_ms);
        assert!(
            (-1_000.0..=10.0).contains(&(from - killed_ms)),
            "{gap} begins {:+.0} ms from the kill",
            from - killed_ms
        );
        assert!(to <= back_ms + 10.0, "{gap} ends {:+.0} ms from the return", to - back_ms);
    }
    // Where the ledger says that nothing is missing, everything is what was said, and at its time.
    let wav = outcome.wav();
    let heard = &wav.channels[index];
    let began = (at_ms - outcome.started_ms()) * SAMPLE_RATE as f64 / 1000.0;
    let marks = read_time_code(heard, ADA);
    assert!(marks.iter().all(|mark| (mark.origin() - began).abs() <= 480.0), "{began}: {marks:?}");
    let source = ADA.says(SOURCE_S);
    let edges = std::iter::once(0).chain(gaps.iter().map(|gap| frames(gap, "to")));
    let ends = gaps.iter().map(|gap| frames(gap, "from")).chain([heard.len()]);
    for (from, to) in edges.zip(ends) {
        let mark = marks.iter().find(|mark| (from as f64..to as f64).contains(&mark.frame));
        let mark = mark.unwrap_or_else(|| panic!("no second is whole between {from} and {to}: {marks:?}"));
        #[expect(clippy::cast_possible_truncation, reason = "a frame of the file, or one before it")]
        let origin = mark.origin().round() as i64;
        let (weakest, count) = weakest_stretch(heard, from + EDGE..to.saturating_sub(EDGE), &source, origin);
        println!("{count} stretches from {from} to {to}, the weakest is {weakest:?}");
        assert!(weakest.is_none_or(|weakest| weakest.likeness > REAL), "{weakest:?} was not said");
    }
}
