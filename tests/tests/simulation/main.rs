//! Whole sessions on virtual time: both ends of a room as they are, real journals, clock maps, back-fill, repairs and
//! ledgers, in a world where devices run wrong, networks lose and delay, programs die, machines sleep and lose power, and
//! people pause, mute themselves and take back what was recorded. One session in a hundred lasts for hours.
//!
//! A seed decides everything and repeats it: `ROOMTONE_SEED=17 cargo test -p roomtone-tests --test simulation`.
//! `ROOMTONE_SEEDS` says how many are played.

mod clocks;
mod desk;
mod microphone;
mod network;
mod oracle;
mod person;
mod random;
mod script;
mod store;
mod truth;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use oracle::Figures;
use script::Script;
use world::World;

/// Sessions that every run of the tests plays.
const SEEDS: u64 = 200;

fn play(seed: u64, script: &Script) -> Figures {
    World::new(script, seed).run(script.end)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|value| value.parse().expect("a number"))
}

#[test]
fn every_word_is_in_its_place_or_in_the_ledger() {
    let seeds = match number("ROOMTONE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROOMTONE_SEEDS").unwrap_or(SEEDS),
    };
    let mut figures = Figures::default();
    let mut failed = Vec::new();
    for seed in seeds {
        let script = Script::any(seed);
        match catch_unwind(AssertUnwindSafe(|| play(seed, &script))) {
            Ok(played) => figures.add(played),
            Err(_) => {
                eprintln!("seed {seed}: {script}");
                failed.push(seed);
            }
        }
    }
    println!("{figures:?}");
    assert!(failed.is_empty(), "repeat with ROOMTONE_SEED={}; all that failed: {failed:?}", failed[0]);
}
