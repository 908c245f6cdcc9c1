//! Records survive what happens to bytes on disks and wires.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{every_kind, packet};
use proptest::prelude::*;
use roomtone_packets::{HEADER_BYTES, MAX_PAYLOAD_BYTES, Record, Scanned, Scanner, encode};

fn encoded(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        encode(record, &mut bytes);
    }
    bytes
}

/// Scans to the end; what was found, and where the tail begins.
fn scan(bytes: &[u8]) -> (Vec<Scanned>, u64) {
    scan_in_pieces(bytes, &[bytes.len()])
}

fn scan_in_pieces(mut bytes: &[u8], pieces: &[usize]) -> (Vec<Scanned>, u64) {
    let mut scanner = Scanner::new(0);
    let mut found = Vec::new();
    let mut pieces = pieces.iter().cycle();
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at((*pieces.next().unwrap()).clamp(1, bytes.len()));
        scanner.push(piece);
        found.extend(std::iter::from_fn(|| scanner.next_scanned()));
        bytes = rest;
    }
    found.extend(std::iter::from_fn(|| scanner.next_at_end()));
    (found, scanner.tail())
}

fn records(found: &[Scanned]) -> Vec<Record> {
    found
        .iter()
        .filter_map(|found| if let Scanned::Record { record, .. } = found { Some(record.clone()) } else { None })
        .collect()
}

fn all() -> Vec<Record> {
    every_kind().into_iter().map(|(_, record)| record).collect()
}

#[test]
fn every_kind_comes_back_with_its_place() {
    let bytes = encoded(&all());
    let (found, tail) = scan(&bytes);
    assert_eq!(records(&found), all());
    assert_eq!(tail, bytes.len() as u64);
    let mut expected = 0;
    for found in found {
        let Scanned::Record { offset, bytes, .. } = found else { panic!("{found:?}") };
        assert_eq!(offset, expected);
        expected += u64::from(bytes);
    }
}

#[test]
fn a_scanner_may_start_anywhere_in_a_file() {
    let bytes = encoded(&[packet(0, b"one")]);
    let mut scanner = Scanner::new(5_000);
    scanner.push(&bytes);
    assert!(matches!(scanner.next_scanned(), Some(Scanned::Record { offset: 5_000, .. })));
    assert_eq!(scanner.tail(), 5_000 + bytes.len() as u64);
}

#[test]
fn a_later_kind_is_skipped() {
    let mut later = encoded(&[packet(0, b"??")]);
    later[3] = 200;
    let crc = {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&later[2..8]);
        crc.update(&later[HEADER_BYTES..]);
        crc.finalize()
    };
    later[8..12].copy_from_slice(&crc.to_le_bytes());
    let mut bytes = encoded(&[packet(0, b"before")]);
    let offset = bytes.len() as u64;
    bytes.extend(later);
    bytes.extend(encoded(&[packet(960, b"after")]));

    let (found, _) = scan(&bytes);
    assert_eq!(records(&found), [packet(0, b"before"), packet(960, b"after")]);
    assert_eq!(found[1], Scanned::Unknown { offset, kind: 200 });
}

#[test]
fn a_damaged_record_is_passed_over_and_named() {
    let parts: Vec<Vec<u8>> = (0..3).map(|n| encoded(&[packet(n * 960, &[n as u8; 40])])).collect();
    let whole = parts.concat();
    for at in 0..parts[1].len() {
        let mut bytes = whole.clone();
        bytes[parts[0].len() + at] ^= 0x5a;
        let (found, tail) = scan(&bytes);
        assert_eq!(records(&found), [packet(0, &[0; 40]), packet(1_920, &[2; 40])], "byte {at}");
        let (from, to) = (parts[0].len() as u64, (parts[0].len() + parts[1].len()) as u64);
        assert_eq!(found[1], Scanned::Damage { from, to }, "byte {at}");
        assert_eq!(tail, whole.len() as u64, "byte {at}");
    }
}

#[test]
fn a_length_that_lies_cannot_hide_what_follows() {
    for lie in [60_000, MAX_PAYLOAD_BYTES as u32, MAX_PAYLOAD_BYTES as u32 + 1, u32::MAX] {
        let mut bytes = encoded(&[packet(0, b"liar")]);
        bytes[4..8].copy_from_slice(&lie.to_le_bytes());
        bytes.extend(encoded(&[packet(960, b"hidden")]));
        assert_eq!(records(&scan(&bytes).0), [packet(960, b"hidden")], "{lie}");
    }
}

#[test]
fn a_torn_tail_is_cut_where_the_last_whole_record_ends() {
    let head = encoded(&[packet(0, b"whole"), packet(960, b"whole too")]);
    let torn = encoded(&[packet(1_920, b"torn RT RT")]);
    for kept in 0..torn.len() {
        let bytes = [&head[..], &torn[..kept]].concat();
        let (found, tail) = scan(&bytes);
        assert_eq!(records(&found).len(), 2, "{kept} bytes");
        assert_eq!(tail, head.len() as u64, "{kept} bytes");
    }
}

#[test]
fn the_magic_inside_a_payload_is_no_record() {
    let inner = encoded(&[packet(0, b"inner")]);
    let bytes = encoded(&[packet(960, &inner), packet(1_920, b"RTRTRT")]);
    assert_eq!(records(&scan(&bytes).0), [packet(960, &inner), packet(1_920, b"RTRTRT")]);
}

proptest! {
    #[test]
    fn pieces_of_any_size_give_the_same(
        picks in prop::collection::vec(0usize..15, 0..12),
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        pieces in prop::collection::vec(1usize..200, 1..8),
    ) {
        let kinds = all();
        let mut bytes = encoded(&picks.iter().map(|&pick| kinds[pick].clone()).collect::<Vec<_>>());
        bytes.push(b'R');
        for (at, value) in noise {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        prop_assert_eq!(scan_in_pieces(&bytes, &pieces), scan(&bytes));
    }

    #[test]
    fn noise_never_becomes_a_record(bytes in prop::collection::vec(prop_oneof![Just(b'R'), Just(b'T'), any::<u8>()], 0..600)) {
        let (found, tail) = scan(&bytes);
        prop_assert!(found.is_empty());
        prop_assert_eq!(tail, 0);
    }
}
