//! What a power cut leaves.

use std::collections::BTreeMap;

use super::{Name, State};

/// How much of what was not synced is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// All of it: bytes, names, and cuts of files.
    Dropped,
    /// Anything: some of it reached the disk, in any order. A file may end at any byte; stretches within are old, new or
    /// zeros; whole sectors may hold what was there before the file was. Names and their removals may have made it or not.
    Torn {
        /// Chooses.
        seed: u64,
    },
}

/// What disks write whole: 512 bytes.
const SECTOR: usize = 512;

pub(super) fn apply(state: &mut State, cut: Cut) {
    state.power += 1;
    match cut {
        Cut::Dropped => {
            for content in &mut state.contents {
                content.now = content.durable.clone();
            }
            state.names = state.durable_names.clone();
        }
        Cut::Torn { seed } => {
            let mut dice = Dice(seed);
            for content in &mut state.contents {
                content.now = torn(&content.durable, &content.written(), &mut dice);
            }
            state.names = torn_names(&state.durable_names, &state.names, &mut dice);
        }
    }
    // A name below a folder that is gone is gone.
    let orphan = |names: &BTreeMap<_, _>, path: &std::path::Path| {
        path.ancestors().skip(1).any(|above| {
            above.parent().is_some() && !above.as_os_str().is_empty() && names.get(above) != Some(&Name::Folder)
        })
    };
    let names = state.names.clone();
    state.names.retain(|path, _| !orphan(&names, path));
    for content in &mut state.contents {
        content.durable = content.now.clone();
        content.lost.clear();
        content.same = content.now.len();
    }
    state.durable_names = state.names.clone();
}

/// Some of `new` over `old`.
fn torn(old: &[u8], new: &[u8], dice: &mut Dice) -> Vec<u8> {
    let same = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (shorter, longer) = (old.len().min(new.len()), old.len().max(new.len()));
    let length = match dice.below(4) {
        0 => shorter,
        1 => longer,
        _ => shorter + dice.below(longer - shorter + 1),
    };
    let mut bytes = old[..same].to_vec();
    // Behind a cut that was not synced and what was appended after it, nothing is sure.
    while bytes.len() < length {
        let at = bytes.len();
        let stale = at.is_multiple_of(SECTOR) && dice.below(4) == 0;
        let end = if stale { at + SECTOR } else { at + 1 + dice.below(2 * SECTOR) }.min(length);
        let choice = dice.below(8);
        for place in at..end {
            bytes.push(match choice {
                _ if stale => u8::try_from(dice.below(256)).expect("a byte"),
                0 => 0,
                1 => old.get(place).copied().unwrap_or(0),
                _ => new.get(place).copied().unwrap_or(0),
            });
        }
    }
    bytes.truncate(length.max(same));
    bytes
}

fn torn_names<P: Ord + Clone>(old: &BTreeMap<P, Name>, new: &BTreeMap<P, Name>, dice: &mut Dice) -> BTreeMap<P, Name> {
    let all: std::collections::BTreeSet<&P> = old.keys().chain(new.keys()).collect();
    let chosen = all.into_iter().filter_map(|path| {
        let (old, new) = (old.get(path), new.get(path));
        let survives = if dice.below(2) == 0 { old } else { new };
        survives.map(|name| (path.clone(), *name))
    });
    chosen.collect()
}

/// splitmix64 (Steele, Lea and Flood, 2014): one word of state, every seed is as good as any other.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % (bound.max(1) as u64)).expect("below a usize")
    }
}
