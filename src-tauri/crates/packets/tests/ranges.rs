//! Sets of ranges against a set of numbers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeSet;

use common::{key, range};
use proptest::prelude::*;
use roomtone_packets::{Coverage, RangeSet};

/// Small, so that ranges meet often.
const WORLD: u64 = 48;

fn span() -> impl Strategy<Value = (u64, u64)> {
    (0..WORLD, 0..WORLD)
}

/// The maximal runs of `from..to` whose numbers satisfy `wanted`.
fn runs(from: u64, to: u64, wanted: impl Fn(u64) -> bool) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for n in (from..to).filter(|&n| wanted(n)) {
        match runs.last_mut() {
            Some((_, end)) if *end == n => *end = n + 1,
            _ => runs.push((n, n + 1)),
        }
    }
    runs
}

proptest! {
    #[test]
    fn a_range_set_is_a_set(inserted in prop::collection::vec(span(), 0..24), (from, to) in span()) {
        let mut set = RangeSet::default();
        let mut model = BTreeSet::new();
        for (from, to) in inserted {
            let new = (from..to).any(|n| !model.contains(&n));
            prop_assert_eq!(set.insert(from, to), new);
            model.extend(from..to);
        }
        prop_assert_eq!(set.covers(from, to), (from..to).all(|n| model.contains(&n)));
        prop_assert_eq!(set.missing(from, to), runs(from, to, |n| !model.contains(&n)));
        prop_assert_eq!(set.within(from, to).collect::<Vec<_>>(), runs(from, to, |n| model.contains(&n)));
        prop_assert_eq!(set.iter().collect::<Vec<_>>(), runs(0, WORLD, |n| model.contains(&n)));
        prop_assert_eq!(set.is_empty(), model.is_empty());
        let around = runs(0, WORLD, |n| model.contains(&n)).into_iter().find(|run| (run.0..run.1).contains(&from));
        prop_assert_eq!(set.range_of(from), around);
        set.remove(from, to);
        model.retain(|n| !(from..to).contains(n));
        prop_assert_eq!(set.iter().collect::<Vec<_>>(), runs(0, WORLD, |n| model.contains(&n)));
    }

    #[test]
    fn coverage_keeps_segments_apart(
        inserted in prop::collection::vec((0u32..3, span()), 0..24),
        asked in 0u32..3,
        (from, to) in span(),
    ) {
        let mut coverage = Coverage::default();
        let mut model = BTreeSet::new();
        for (segment, (from, to)) in inserted {
            let new = (from..to).any(|n| !model.contains(&(segment, n)));
            prop_assert_eq!(coverage.insert(range(key(1, segment), from, to)), new);
            model.extend((from..to).map(|n| (segment, n)));
        }
        let asked_key = key(1, asked);
        let whole = range(asked_key, from, to);
        prop_assert_eq!(coverage.covers(whole), (from..to).all(|n| model.contains(&(asked, n))));
        let missing: Vec<_> = runs(from, to, |n| !model.contains(&(asked, n)))
            .into_iter()
            .map(|(from, to)| range(asked_key, from, to))
            .collect();
        prop_assert_eq!(coverage.missing(whole), missing);
        let everything: Vec<_> = (0..3)
            .flat_map(|segment| {
                let held = &model;
                runs(0, WORLD, move |n| held.contains(&(segment, n)))
                    .into_iter()
                    .map(move |(from, to)| range(key(1, segment), from, to))
            })
            .collect();
        prop_assert_eq!(coverage.iter().collect::<Vec<_>>(), everything);
        prop_assert_eq!(coverage.is_empty(), model.is_empty());
        prop_assert_eq!(
            coverage.segment(asked_key).is_some_and(|set| !set.is_empty()),
            model.iter().any(|&(segment, _)| segment == asked)
        );
    }
}
