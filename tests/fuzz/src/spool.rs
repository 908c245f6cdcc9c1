//! A spool's files.

use std::fs;

use roomtone_capture::{Spool, SpoolError};
use roomtone_packets::Packet;
use roomtone_protocol::{IndexRange, RecordingId, SampleIndex, SegmentId, SegmentKey, WakeEpoch};

use crate::split;

const RECORDER: [u8; 16] = [7; 16];
const RECORDING: RecordingId = RecordingId::from_bytes([1; 16]);

/// Parts: two files of packets, and the pin.
pub fn spool(bytes: &[u8]) {
    let place = tempfile::tempdir().expect("a temporary directory can be made");
    let dir = place.path().join("07".repeat(16));
    let packets = dir.join(RECORDING.to_string());
    fs::create_dir_all(&packets).expect("a folder can be made");
    let files =
        [packets.join("0000000001-0000.packets"), packets.join("0000000002-0000.packets"), dir.join("recorder.json")];
    let pin = files[2].clone();
    for (path, bytes) in files.iter().zip(split(bytes)) {
        fs::write(path, bytes).expect("a file can be written");
    }
    let before = fs::read(&pin).ok();
    let mut spool = match Spool::open(place.path(), RECORDER) {
        Ok(spool) => spool,
        Err(SpoolError::NewerVersion { .. } | SpoolError::WrongRecorder { .. }) => {
            assert_eq!(fs::read(&pin).ok(), before, "left as it is");
            return;
        }
        Err(error) => panic!("bytes are no reason for {error}"),
    };
    let inventory = spool.inventory(RECORDING);
    for range in inventory {
        let packets = spool.read(RECORDING, range).expect("the disk works");
        assert!(packets.iter().any(|packet| packet.range().to > range.from), "what is promised is there");
    }
    let segment = SegmentKey { epoch: WakeEpoch(3), segment: SegmentId(u32::MAX) };
    let packet = Packet { segment, index: SampleIndex(0), samples: 960, opus: vec![1; 9] };
    let anew = spool.append(RECORDING, &packet).expect("the disk works");
    let range = IndexRange { segment, from: SampleIndex(0), to: SampleIndex(960) };
    let read = spool.read(RECORDING, range).expect("the disk works");
    assert!(!anew || read.contains(&packet));
}
