//! R11: random sequences of events against the real room and against a model of the rules, compared after each.
//!
//! A failure prints its shrunk script and its seed, and keeps the seed in `proptest-regressions` beside this file.
//! `PROPTEST_CASES` sets the number of sequences.

mod model;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// Enough that each of the rules' exceptions comes up dozens of times.
const CASES: u32 = 512;

fn settings() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let seeds = FileFailurePersistence::Direct("tests/proptest-regressions/random_sequences.txt");
    ProptestConfig { cases, failure_persistence: Some(Box::new(seeds)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn the_room_does_what_the_rules_say(script in model::scripts()) {
        model::play(&script);
    }
}
