//! Version 1 stays readable: these files were written once and are never written again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::path::PathBuf;

use roomtone_packets::{Scanned, Scanner, encode};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.v1"))
}

#[test]
fn every_kind_of_version_1_reads_back() {
    for (name, record) in common::every_kind() {
        let bytes = std::fs::read(golden(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut scanner = Scanner::new(0);
        scanner.push(&bytes);
        let length = u32::try_from(bytes.len()).unwrap();
        assert_eq!(scanner.next_scanned(), Some(Scanned::Record { offset: 0, bytes: length, record }), "{name}");
        assert_eq!(scanner.next_at_end(), None, "{name}");
    }
}

#[test]
fn every_kind_is_still_written_as_version_1_wrote_it() {
    for (name, record) in common::every_kind() {
        let mut bytes = Vec::new();
        encode(&record, &mut bytes);
        assert_eq!(bytes, std::fs::read(golden(name)).unwrap(), "{name}");
    }
}

#[test]
fn no_kind_is_without_a_golden_file() {
    let kinds: Vec<u8> = common::every_kind()
        .iter()
        .map(|(_, record)| {
            let mut bytes = Vec::new();
            encode(record, &mut bytes);
            bytes[3]
        })
        .collect();
    assert_eq!(kinds, (1..=17).collect::<Vec<u8>>());
}

/// Writes the golden file of a kind that has none yet. Run by hand after adding a kind:
/// `cargo test -p roomtone-packets --test golden -- --ignored`
#[test]
#[ignore = "writes files; only for a kind that is new"]
fn write_the_golden_file_of_a_new_kind() {
    for (name, record) in common::every_kind() {
        let path = golden(name);
        if !path.exists() {
            let mut bytes = Vec::new();
            encode(&record, &mut bytes);
            std::fs::write(path, bytes).unwrap();
        }
    }
}
