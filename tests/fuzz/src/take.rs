//! What a run that was cut off left of a growing file, or of a finished one: its state, and some of the file.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use roomtone_disk::SimulatedDisk;
use roomtone_packets::{ChannelGiven, Interval, IntervalEdge, MapStretch, Packet, Record};
use roomtone_protocol::channel::Segment;
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId, RoomId, SampleIndex, SegmentId, SegmentKey, WakeEpoch};
use roomtone_recorder::{
    BitDepth, ChannelSpec, FinalizeOptions, Horizon, Journal, RecordingHeader, Step, Take, TakeSettings,
};

use crate::split;

const ADA: ParticipantId = ParticipantId::from_bytes([0xad; 16]);
const RECORDING: RecordingId = RecordingId::from_bytes([1; 16]);
const SEGMENT: SegmentKey = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };

/// Longest file that is left, in bytes.
const MAX_BYTES: u32 = 64 * 1024;

/// Packets in the journal: a fifth of a second.
const PACKETS: u64 = 10;

/// Parts: the state, and how long the file is, in two bytes; where a third one follows, the file is a finished one.
pub fn take(bytes: &[u8]) {
    let mut parts = split(bytes);
    let state = parts.next().unwrap_or_default();
    let length = parts.next().and_then(|part| part.first_chunk::<2>().copied()).map_or(0, u16::from_le_bytes);
    let whole = parts.next().is_some();
    let place = tempfile::tempdir().expect("a temporary directory can be made");
    let out = place.path().join("take.wav");
    let left = if whole { out.clone() } else { place.path().join("take.wav.partial") };
    fs::write(place.path().join("take.wav.state"), state).expect("a file can be written");
    let file = File::create(left).expect("a file can be made");
    file.set_len(u64::from(u32::from(length).min(MAX_BYTES))).expect("a file can be long");

    let journal = take_journal();
    let (snapshot, channels) = (journal.snapshot(), ChannelSpec::from_journal(&journal));
    let settings = TakeSettings { out: out.clone(), depth: BitDepth::Int16, recording: RECORDING };
    let options = || FinalizeOptions::new(out.clone(), channels.clone(), "fuzz".to_owned());
    let begun = if whole { Take::reopen(settings.clone()) } else { Take::open(settings.clone()) };
    let grown = begun.and_then(|mut take| {
        take.update(&snapshot, &snapshot.layout(), &Horizon::Running { now: ClockNs(100_000_000) })?;
        while take.step()? == Step::Worked {}
        take.finish(&snapshot, options())
    });
    // Whatever was left, the journal alone makes the file.
    let anew = || Take::anew(settings).and_then(|take| take.finish(&snapshot, options()));
    let finished = grown.or_else(|_| anew()).expect("a journal with sound has a file");
    let bytes = fs::read(&out).expect("it has its name");
    assert_eq!((finished.frames, finished.size), (PACKETS * 960, bytes.len() as u64));
    assert!(bytes.starts_with(b"RIFF"));
}

/// The journal that the file is of: two tenths of a second of Ada's, on the recorder's own clock.
///
/// # Panics
/// Never: the disk is in memory.
#[must_use]
pub fn take_journal() -> Journal {
    let header = RecordingHeader {
        recording: RECORDING,
        room_id: RoomId::from_bytes([2; 16]),
        room: "Studio".to_owned(),
        title: None,
        started_by: None,
    };
    let created = Journal::create_on(Arc::new(SimulatedDisk::new()), Path::new("/journal"), header);
    let mut journal = created.expect("the disk is in memory");
    let edge = |edge, at| Record::Interval(Interval { edge, at: ClockNs(at), wall_ns: at });
    let notes = [
        edge(IntervalEdge::Start, 0),
        Record::Channel(ChannelGiven { participant: ADA, index: 0 }),
        edge(IntervalEdge::Stop, 200_000_000),
    ];
    notes.iter().for_each(|note| journal.note(note).expect("the disk is in memory"));
    let segment = Segment {
        segment: SEGMENT,
        first: SampleIndex(0),
        captured_at: ClockNs(0),
        codec_delay: 0,
        device: "Mic".to_owned(),
        device_rate: 48_000,
        cause: None,
    };
    let map = MapStretch {
        segment: SEGMENT,
        from: SampleIndex(0),
        frame: 0,
        fraction: 0,
        frames_per_sample: 1 << 32,
        residual_ns: 0,
        uncertainty_ns: 0,
    };
    let packets = (0..PACKETS).map(|n| {
        let opus = vec![0xf8, n as u8, 7, 9, 200, 31];
        Record::Packet(Packet { segment: SEGMENT, index: SampleIndex(n * 960), samples: 960, opus })
    });
    for record in [Record::Segment(segment), Record::MapStretch(map)].into_iter().chain(packets) {
        journal.append(ADA, &record).expect("the disk is in memory");
    }
    journal.sync().expect("the disk is in memory");
    journal
}
