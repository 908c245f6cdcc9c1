//! Files beyond 4 GiB, which nobody wants to write in a test: the frame of one, around a hole.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use roomtone_recorder::{BitDepth, Origination, WavDescription, WavFrame};
use time::macros::datetime;

fn description(channels: usize, frames: u64) -> WavDescription {
    WavDescription {
        depth: BitDepth::Int24,
        channels: (0..channels).map(|number| format!("Guest {number}")).collect(),
        frames,
        origination: Origination {
            started: datetime!(2026-11-21 13:00 UTC),
            title: "Long".to_owned(),
            software: "roomtone test".to_owned(),
            reference: String::new(),
        },
        cues: vec![(7, "seven".to_owned())],
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

#[test]
fn behind_4_gib_the_sizes_stand_in_ds64() {
    // 8 channels, an hour and 20 minutes: 5.5 GB.
    let frames = 4_800 * 48_000;
    let frame = WavFrame::new(&description(8, frames));
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&frame.head).unwrap();
    file.set_len(4_096 + frame.data_bytes).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(&frame.tail).unwrap();
    assert_eq!(file.metadata().unwrap().len(), frame.file_bytes());
    assert!(frame.file_bytes() > 1 << 32);
    read_rf64(&mut file, frames, 8);
}

/// Reads it as EBU Tech 3306 tells a reader to.
fn read_rf64(file: &mut File, frames: u64, channels: u64) {
    let length = file.metadata().unwrap().len();
    file.rewind().unwrap();
    let mut head = vec![0; 4_096];
    file.read_exact(&mut head).unwrap();
    assert_eq!((&head[..4], u32_at(&head, 4), &head[8..12]), (&b"RF64"[..], u32::MAX, &b"WAVE"[..]));
    assert_eq!((&head[12..16], u32_at(&head, 16)), (&b"ds64"[..], 28), "ds64 comes first");
    let (riff, data, samples) = (u64_at(&head, 20), u64_at(&head, 28), u64_at(&head, 36));
    assert_eq!((riff, data, samples), (length - 8, frames * channels * 3, frames));
    let mut at = 48;
    let mut ids = Vec::new();
    while at < 4_088 {
        ids.push(head[at..at + 4].to_vec());
        at += 8 + u32_at(&head, at + 4) as usize;
        at += at % 2;
    }
    assert_eq!(ids, [&b"bext"[..], b"fmt ", b"JUNK"]);
    assert_eq!((at, &head[at..at + 4], u32_at(&head, at + 4)), (4_088, &b"data"[..], u32::MAX));
    file.seek(SeekFrom::Start(4_096 + data)).unwrap();
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).unwrap();
    assert!(tail.starts_with(b"cue "));
}

#[test]
fn the_last_byte_before_4_gib_still_is_riff() {
    let tail = WavFrame::new(&description(1, 2)).tail.len() as u64;
    // The size in the header is 8 less than the file's; all ones means "see ds64".
    let most = (u64::from(u32::MAX) - 1 - 4_088 - tail) / 6 * 2;
    let riff = WavFrame::new(&description(1, most));
    assert_eq!((&riff.head[..4], u64::from(u32_at(&riff.head, 4))), (&b"RIFF"[..], riff.file_bytes() - 8));
    let rf64 = WavFrame::new(&description(1, most + 2));
    assert_eq!(&rf64.head[..4], b"RF64");
    assert_eq!((riff.head.len(), rf64.head.len()), (4_096, 4_096));
}

#[test]
fn more_than_two_channels_are_extensible_without_positions() {
    for (channels, tag, length) in [(1, 1, 16), (2, 1, 16), (3, 0xfffe, 40), (32, 0xfffe, 40)] {
        let head = WavFrame::new(&description(channels, 10)).head;
        let at = head.windows(4).position(|window| window == b"fmt ").unwrap();
        assert_eq!(u32_at(&head, at + 4), length, "{channels}");
        assert_eq!(u16::from_le_bytes([head[at + 8], head[at + 9]]), tag, "{channels}");
        assert_eq!(u16::from_le_bytes([head[at + 10], head[at + 11]]) as usize, channels);
        if channels > 2 {
            assert_eq!(u32_at(&head, at + 8 + 20), 0, "no speaker positions");
            assert_eq!(head[at + 8 + 24..at + 8 + 26], [1, 0], "PCM inside");
        }
    }
}
