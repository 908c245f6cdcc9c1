//! Everything in the corpus, and simple changes of it, comes back from every target.

#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use roomtone_fuzz::TARGETS;

/// Changed inputs a target. The eight of them take some fifteen seconds of processor time.
const CASES: u32 = 1_500;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{target} has seeds: cargo run -p roomtone-fuzz --example seeds");
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// What happens to an input.
#[derive(Debug, Clone)]
enum Change {
    Flip {
        at: prop::sample::Index,
        bits: u8,
    },
    Number {
        at: prop::sample::Index,
        number: Vec<u8>,
    },
    Cut {
        at: prop::sample::Index,
    },
    Remove {
        at: prop::sample::Index,
        bytes: usize,
    },
    Repeat {
        at: prop::sample::Index,
        bytes: usize,
    },
    /// In place of a run of decimal digits, as JSON has its numbers.
    Decimal {
        at: prop::sample::Index,
        text: &'static str,
    },
}

/// Where arithmetic ends.
const DECIMALS: [&str; 8] = [
    "0",
    "-1",
    "4294967295",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "4611686018427387903",
    "1e300",
];

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    let edge = prop_oneof![
        proptest::sample::select(vec![0_u64, 1, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX, 1 << 62])
            .prop_map(|number| number.to_le_bytes().to_vec()),
        proptest::sample::select(vec![0_u16, 5_760, 5_761, u16::MAX]).prop_map(|number| number.to_le_bytes().to_vec()),
    ];
    prop_oneof![
        4 => (at(), 1_u8..=255).prop_map(|(at, bits)| Change::Flip { at, bits }),
        3 => (at(), edge).prop_map(|(at, number)| Change::Number { at, number }),
        1 => at().prop_map(|at| Change::Cut { at }),
        2 => (at(), 1_usize..60).prop_map(|(at, bytes)| Change::Remove { at, bytes }),
        2 => (at(), 1_usize..400).prop_map(|(at, bytes)| Change::Repeat { at, bytes }),
        4 => (at(), proptest::sample::select(DECIMALS.to_vec())).prop_map(|(at, text)| Change::Decimal { at, text }),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match change {
            Change::Flip { at, bits } => bytes[at.index(length)] ^= bits,
            Change::Number { at, number } => {
                let at = at.index(length);
                let end = (at + number.len()).min(length);
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            Change::Cut { at } => bytes.truncate(at.index(length)),
            Change::Remove { at, bytes: count } => {
                let at = at.index(length);
                bytes.drain(at..(at + count).min(length));
            }
            Change::Repeat { at, bytes: count } => {
                let at = at.index(length);
                let again = bytes[at..(at + count).min(length)].to_vec();
                bytes.splice(at..at, again);
            }
            Change::Decimal { at, text } => {
                let from = at.index(length);
                let Some(start) = bytes[from..].iter().position(u8::is_ascii_digit).map(|start| from + start) else {
                    continue;
                };
                let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                bytes.splice(start..start + digits, text.bytes());
            }
        }
    }
    bytes
}

/// Framed records again, where a change broke their checksums: else nothing behind the frame would ever be tried.
fn mended(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(3).position(|three| three == [b'R', b'T', 1]) {
        let start = at + found;
        at = start + 2;
        let Some(head) = bytes.get(start..start + roomtone_packets::HEADER_BYTES) else { break };
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let payload = start + roomtone_packets::HEADER_BYTES;
        if let Some(end) = payload.checked_add(length).filter(|&end| end <= bytes.len()) {
            let mut crc = crc32fast::Hasher::new();
            crc.update(&bytes[start + 2..start + 8]);
            crc.update(&bytes[payload..end]);
            bytes[start + 8..payload].copy_from_slice(&crc.finalize().to_le_bytes());
            at = end;
        }
    }
    bytes
}

#[test]
fn the_corpus_and_what_is_near_it_comes_back_from_every_target() {
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        corpus.iter().for_each(|seed| target(seed));
        let inputs = (proptest::sample::select(corpus), proptest::collection::vec(change(), 1..6), any::<bool>());
        let config = ProptestConfig { cases: CASES, ..ProptestConfig::with_source_file(file!()) };
        let run = TestRunner::new(config).run(&inputs, |(seed, changes, mend)| {
            let bytes = changed(seed, &changes);
            target(&if mend { mended(bytes) } else { bytes });
            Ok(())
        });
        run.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn noise_comes_back_from_every_target() {
    for (name, target) in TARGETS {
        let noise = proptest::collection::vec(any::<u8>(), 0..300);
        let config = ProptestConfig { cases: CASES / 8, ..ProptestConfig::with_source_file(file!()) };
        let run = TestRunner::new(config).run(&noise, |bytes| {
            target(&bytes);
            Ok(())
        });
        run.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
