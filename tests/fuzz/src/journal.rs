//! A journal's files.

use std::path::Path;
use std::sync::Arc;

use roomtone_disk::{Disk as _, SimulatedDisk, create_dirs};
use roomtone_packets::{Packet, Record};
use roomtone_protocol::{ClockNs, ParticipantId, SampleIndex, SegmentId, SegmentKey, WakeEpoch};
use roomtone_recorder::{Journal, JournalError};

use crate::hear::{decide, hear};
use crate::split;

/// The participant whose track is among the files; the seeds are of the same.
const ADA: ParticipantId = ParticipantId::from_bytes([0xad; 16]);

/// Parts: `recording.rtj`, Ada's track, and the second file of either.
pub fn journal(bytes: &[u8]) {
    let dir = Path::new("/journal");
    let disk = SimulatedDisk::new();
    create_dirs(&disk, dir).expect("the disk is in memory");
    let track = format!("track-{ADA}");
    let names =
        ["recording.rtj".to_owned(), format!("{track}.rtj"), "recording.2.rtj".to_owned(), format!("{track}.2.rtj")];
    let files: Vec<_> = names.iter().map(|name| dir.join(name)).zip(split(bytes)).collect();
    for (path, bytes) in &files {
        disk.put(path, bytes);
    }
    let mut journal = match Journal::open_on(Arc::new(disk.clone()), dir) {
        Ok(journal) => journal,
        Err(JournalError::Newer { .. }) => {
            assert!(files.iter().all(|(path, bytes)| disk.bytes(path).as_deref() == Some(bytes)), "left as they are");
            return;
        }
        Err(JournalError::NoRecording { .. }) => return,
        Err(error) => panic!("bytes are no reason for {error}"),
    };
    decide(&mut journal);
    hear(&journal, Some(ClockNs(5_000_000_000)));

    // It takes more, and what it takes it has.
    let segment = SegmentKey { epoch: WakeEpoch(u32::MAX), segment: SegmentId(7) };
    let packet = Packet { segment, index: SampleIndex(960), samples: 960, opus: vec![0xf8, 0xff, 0xfe] };
    let before = journal.coverage(ADA).clone();
    journal.append(ADA, &Record::Packet(packet.clone())).expect("the disk is in memory");
    journal.sync().expect("the disk is in memory");
    drop(journal);
    disk.sync_dir(dir).expect("the disk is in memory");
    let journal = Journal::open_on(Arc::new(disk), dir).expect("it was open a moment ago");
    assert!(journal.coverage(ADA).covers(packet.range()));
    assert!(before.iter().all(|range| journal.coverage(ADA).covers(range)));
}
