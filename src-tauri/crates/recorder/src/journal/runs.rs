//! Where a track's packets lie in its files, in little memory.
//!
//! A run is a piece of a file inside which packets of a span of samples lie in rising order; records of other spans may
//! lie between them. Live packets with holes and repairs that come in between make two runs, not thousands.

use std::collections::BTreeMap;

use roomtone_protocol::{IndexRange, SegmentKey};

use super::log::Place;

/// Longest span of a run: what a reader at any place reads in vain is bounded by it. 10 s at 48 kHz.
const MAX_RUN_SAMPLES: u64 = 480_000;

/// Longest piece of file of a run; 10 s at 128 kb/s are 190 KB with their framing.
const MAX_RUN_BYTES: u64 = 512 * 1024;

/// Live packets and a repair arrive side by side.
const GROWING_RUNS: usize = 2;

/// Identifies a run and sorts it: segment, first sample, file, offset.
type Key = (SegmentKey, u64, u32, u64);

#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    /// To (last sample of all plus one, end of the piece of file).
    runs: BTreeMap<Key, (u64, u64)>,
    /// Runs that may still grow, the latest last.
    growing: Vec<Key>,
}

impl Runs {
    /// Notes a packet.
    pub(super) fn add(&mut self, place: Place, range: IndexRange) {
        let end = place.offset + u64::from(place.bytes);
        let last_sample = |key: &Key| self.runs.get(key).expect("growing runs are in the map").0;
        let fits = |key: &Key| {
            let &(segment, from, file, offset) = key;
            segment == range.segment
                && file == place.file
                && range.from.0 >= last_sample(key)
                && range.to.0 - from <= MAX_RUN_SAMPLES
                && end - offset <= MAX_RUN_BYTES
        };
        // A live packet also fits behind a repair: the nearer one is its own.
        let nearest = (0..self.growing.len())
            .filter(|&at| fits(&self.growing[at]))
            .max_by_key(|&at| last_sample(&self.growing[at]));
        let key = match nearest {
            Some(at) => self.growing.remove(at),
            None => {
                if self.growing.len() == GROWING_RUNS {
                    self.growing.remove(0);
                }
                (range.segment, range.from.0, place.file, place.offset)
            }
        };
        self.runs.insert(key, (range.to.0, end));
        self.growing.push(key);
    }

    /// The pieces of files that hold packets of a range: file, from, to.
    pub(super) fn of(&self, range: IndexRange) -> Vec<(u32, u64, u64)> {
        // No run is longer than the bound, but for one of a single packet.
        let first = range.from.0.saturating_sub(MAX_RUN_SAMPLES);
        let mut pieces: Vec<_> = self
            .runs
            .range((range.segment, first, 0, 0)..(range.segment, range.to.0, 0, 0))
            .filter(|(_, (to, _))| *to > range.from.0)
            .map(|(&(_, _, file, offset), &(_, end))| (file, offset, end))
            .collect();
        pieces.sort_unstable();
        // Runs that grew side by side share bytes: read them once.
        pieces.dedup_by(|next, kept| {
            let touches = next.0 == kept.0 && next.1 <= kept.2;
            if touches {
                kept.2 = kept.2.max(next.2);
            }
            touches
        });
        pieces
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.runs.len()
    }
}

#[cfg(test)]
mod tests {
    use roomtone_protocol::{SampleIndex, SegmentId, WakeEpoch};

    use super::*;

    fn range(from: u64, to: u64) -> IndexRange {
        let segment = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };
        IndexRange { segment, from: SampleIndex(from), to: SampleIndex(to) }
    }

    fn runs(packets: impl IntoIterator<Item = u64>) -> Runs {
        let mut runs = Runs::default();
        for (n, packet) in packets.into_iter().enumerate() {
            let place = Place { file: 0, offset: n as u64 * 350, bytes: 350 };
            runs.add(place, range(packet * 960, (packet + 1) * 960));
        }
        runs
    }

    #[test]
    fn a_minute_is_six_runs() {
        assert_eq!(runs(0..3_000).len(), 6);
    }

    #[test]
    fn loss_and_its_repair_in_between_cost_little() {
        // Every fifth packet is lost and comes 40 packets later.
        let arrivals = (0..3_000).flat_map(|n: u64| {
            let live = (!n.is_multiple_of(5)).then_some(n);
            let repaired = (n >= 40 && n.is_multiple_of(5)).then(|| n - 40);
            [live, repaired].into_iter().flatten()
        });
        assert!(runs(arrivals).len() <= 13);
    }

    #[test]
    fn a_lookup_finds_exactly_the_bytes_around() {
        let runs = runs(0..3_000);
        assert_eq!(runs.of(range(0, 1)), [(0, 0, 500 * 350)]);
        assert_eq!(runs.of(range(480_000, 480_001)), [(0, 500 * 350, 1_000 * 350)]);
        assert_eq!(runs.of(range(479_999, 480_001)), [(0, 0, 1_000 * 350)]);
        assert_eq!(runs.of(range(3_000 * 960, 4_000 * 960)), []);
    }
}
