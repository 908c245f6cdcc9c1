//! Framed records.

use roomtone_packets::{Scanned, Scanner, encode};

/// What is found does not depend on how the bytes came, and what is a record says so again.
pub fn records(bytes: &[u8]) {
    let whole = scan(bytes, bytes.len().max(1));
    for piece in [1, 13, 4_096] {
        assert_eq!(scan(bytes, piece), whole, "in pieces of {piece} bytes");
    }
    let mut end = 0;
    for found in whole {
        match found {
            Scanned::Record { offset, bytes: length, record } => {
                assert!(offset >= end);
                end = offset + u64::from(length);
                let mut again = Vec::new();
                encode(&record, &mut again);
                let read = scan(&again, again.len());
                assert!(matches!(&read[..], [Scanned::Record { record: same, .. }] if *same == record), "{record:?}");
            }
            Scanned::Unknown { offset, .. } => assert!(offset >= end),
            Scanned::Damage { from, to } => assert!(from >= end && from < to),
        }
    }
    assert!(end <= bytes.len() as u64);
}

fn scan(bytes: &[u8], piece: usize) -> Vec<Scanned> {
    let mut scanner = Scanner::new(0);
    let mut found = Vec::new();
    for piece in bytes.chunks(piece) {
        scanner.push(piece);
        found.extend(std::iter::from_fn(|| scanner.next_scanned()));
    }
    found.extend(std::iter::from_fn(|| scanner.next_at_end()));
    found
}
