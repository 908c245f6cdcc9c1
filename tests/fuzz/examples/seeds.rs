//! Writes the corpus that the targets begin with, from real records: `cargo run -p roomtone-fuzz --example seeds`.
//! What was added to it by hand stays.

use std::path::Path;

use opus::{Application, Channels, Encoder};
use roomtone_fuzz::{join, take_journal};
use roomtone_packets::{
    ChannelGiven, ClockExchange, Interval, IntervalEdge, MapStretch, MarkerSet, MutedFrom, NameGiven, Packet,
    PersonLeft, Record, encode,
};
use roomtone_protocol::channel::{Anchor, Command, Hole, Inventory, Segment, ToParticipant, ToRecorder};
use roomtone_protocol::metadata::GapCause;
use roomtone_protocol::{
    ClockNs, CommandId, IndexRange, ParticipantId, RecordingId, RoomId, SampleIndex, SegmentId, SegmentKey, WakeEpoch,
};
use roomtone_recorder::{BitDepth, ChannelSpec, FinalizeOptions, Journal, RecordingHeader, Take, TakeSettings};

const ADA: ParticipantId = ParticipantId::from_bytes([0xad; 16]);
const RECORDING: RecordingId = RecordingId::from_bytes([1; 16]);
const SEGMENT: SegmentKey = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let opus = speech()?;
    let packets: Vec<Record> = (0..).zip(&opus).map(|(n, opus)| packet(n, opus)).collect();
    let (notes, track) = (notes(), track());
    write("records", "session", &framed(&notes))?;
    write("records", "track", &framed(track.iter().chain(&packets[..4])))?;
    write("journal", "two-files", &journal(&notes, &track, &packets)?)?;
    let pin = format!(r#"{{"schema":1,"recorder":"{}"}}"#, "07".repeat(16));
    let (first, second) = (framed(&packets[..6]), framed(&packets[6..]));
    write("spool", "two-files", &join([&first[..], &second, pin.as_bytes()]))?;
    let payloads: Vec<Vec<u8>> =
        (0_u32..).zip(&opus).map(|(n, opus)| [&(n * 960).to_le_bytes(), &opus[..]].concat()).collect();
    write("payload", "speech", &join(payloads.iter().map(Vec::as_slice)))?;
    let far = [0x8000_0000_u32, 0xffff_ffff, 960].map(|at| [&at.to_le_bytes(), &opus[0][..]].concat());
    write("payload", "far-apart", &join(far.iter().map(Vec::as_slice)))?;
    write("to_recorder", "session", &to_recorder(&packets, &opus)?)?;
    write("to_participant", "session", &to_participant()?)?;
    let (grown, finished) = take()?;
    write("take", "grown", &grown)?;
    write("take", "finished", &finished)?;
    for (name, channels, bits) in [("mono-16", 1_u16, 16_u16), ("stereo-24", 2, 24)] {
        write("wav", name, &wav(channels, bits))?;
    }
    Ok(())
}

fn write(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(name), bytes)
}

/// A fifth of a second of a gliding tone, at a bit rate that keeps the corpus small.
fn speech() -> Result<Vec<Vec<u8>>, opus::Error> {
    let mut encoder = Encoder::new(48_000, Channels::Mono, Application::Audio)?;
    encoder.set_bitrate(opus::Bitrate::Bits(16_000))?;
    let frame = |n: usize| -> Vec<f32> {
        (n * 960..(n + 1) * 960).map(|t| (t as f32 * (0.02 + t as f32 * 1e-7)).sin() * 0.4).collect()
    };
    (0..10).map(|n| encoder.encode_vec_float(&frame(n), 400)).collect()
}

fn packet(n: u64, opus: &[u8]) -> Record {
    Record::Packet(Packet { segment: SEGMENT, index: SampleIndex(n * 960), samples: 960, opus: opus.to_vec() })
}

fn range(from: u64, to: u64) -> IndexRange {
    IndexRange { segment: SEGMENT, from: SampleIndex(from * 960), to: SampleIndex(to * 960) }
}

fn segment() -> Segment {
    Segment {
        segment: SEGMENT,
        first: SampleIndex(0),
        captured_at: ClockNs(1_000_000_000),
        codec_delay: 312,
        device: "Mic".to_owned(),
        device_rate: 44_100,
        cause: None,
    }
}

fn inventory() -> Inventory {
    let holes = vec![Hole { range: range(4, 5), cause: GapCause::CaptureStall }];
    Inventory { recording: RECORDING, held: vec![range(0, 4), range(5, 10)], holes, complete: true }
}

fn notes() -> Vec<Record> {
    let edge = |edge, at| Record::Interval(Interval { edge, at: ClockNs(at), wall_ns: 1_700_000_000_000_000_000 });
    let (at, text) = (ClockNs(1_050_000_000), "here".to_owned());
    vec![
        edge(IntervalEdge::Start, 1_000_000_000),
        Record::Channel(ChannelGiven { participant: ADA, index: 0 }),
        Record::Name(NameGiven { participant: ADA, name: "Ada".to_owned() }),
        Record::Marker(MarkerSet { recording: RECORDING, at, text, by: Some(ADA), asked: None }),
        Record::Left(PersonLeft { participant: ADA, at: ClockNs(1_190_000_000) }),
        edge(IntervalEdge::Stop, 1_200_000_000),
    ]
}

fn track() -> Vec<Record> {
    let stretch = MapStretch {
        segment: SEGMENT,
        from: SampleIndex(0),
        frame: 48_000,
        fraction: 0,
        frames_per_sample: 1 << 32,
        residual_ns: 9,
        uncertainty_ns: 9,
    };
    let (t0, t1, t2, t3) = (ClockNs(1), ClockNs(2), ClockNs(3), ClockNs(4));
    vec![
        Record::Segment(segment()),
        Record::ClockExchange(ClockExchange { epoch: WakeEpoch(1), t0, t1, t2, t3 }),
        Record::Anchor(Anchor { segment: SEGMENT, index: SampleIndex(0), at: ClockNs(1_000_000_000) }),
        Record::Muted(MutedFrom { segment: SEGMENT, from: SampleIndex(960), muted: true }),
        Record::Muted(MutedFrom { segment: SEGMENT, from: SampleIndex(1_920), muted: false }),
        Record::Retract(range(7, 8)),
        Record::MapStretch(stretch),
        Record::Inventory(inventory()),
    ]
}

fn framed<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<u8> {
    let mut bytes = Vec::new();
    records.into_iter().for_each(|record| encode(record, &mut bytes));
    bytes
}

/// A journal as the recorder writes it, and once more the track's records, as in a second file.
fn journal(notes: &[Record], track: &[Record], packets: &[Record]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let place = tempfile::tempdir()?;
    let header = RecordingHeader {
        recording: RECORDING,
        room_id: RoomId::from_bytes([2; 16]),
        room: "Studio".to_owned(),
        title: None,
        started_by: Some(ADA),
    };
    let mut journal = Journal::create(place.path(), header)?;
    for note in notes {
        journal.note(note)?;
    }
    for record in track.iter().chain(packets) {
        journal.append(ADA, record)?;
    }
    journal.sync()?;
    let session = std::fs::read(place.path().join("recording.rtj"))?;
    let first = std::fs::read(place.path().join(format!("track-{ADA}.rtj")))?;
    Ok(join([&session[..], &first, &session, &framed(&packets[3..6])]))
}

fn json<M: serde::Serialize>(messages: &[M]) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for message in messages {
        serde_json::to_writer(&mut bytes, message)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Messages, and audio between Start and Stop.
fn to_recorder(packets: &[Record], opus: &[Vec<u8>]) -> serde_json::Result<Vec<u8>> {
    let request = |n: u8, command| ToRecorder::Request { id: CommandId::from_bytes([n; 16]), based_on: None, command };
    // The second request is the one that begins a recording.
    let inventory = Inventory { recording: RecordingId::from_bytes([2; 16]), ..inventory() };
    let before = json(&[
        ToRecorder::Segment(segment()),
        ToRecorder::ClockPong { t0: ClockNs(1), t1: ClockNs(2), t2: ClockNs(3) },
        ToRecorder::Anchor(Anchor { segment: SEGMENT, index: SampleIndex(960), at: ClockNs(1_020_000_000) }),
        request(1, Command::SetName { name: Some("Ada".to_owned()) }),
        request(2, Command::Start { title: Some("Evening".to_owned()), notes: None }),
        ToRecorder::Muted { segment: SEGMENT, from: SampleIndex(960), muted: true },
        request(3, Command::Mark { text: "here".to_owned() }),
        request(4, Command::Pause),
        request(5, Command::Resume),
    ])?;
    let live = (0_u32..).zip(opus).map(|(n, opus)| [&b"M"[..], &(n * 960).to_le_bytes(), opus].concat());
    let asked_for = packets.iter().map(|packet| [&b"B"[..], &framed([packet])].concat());
    // A line ends where these bytes happen to say so.
    let audio = live.take(5).chain(asked_for.skip(5)).filter(|line| !line.contains(&b'\n'));
    let audio: Vec<u8> = audio.flat_map(|line| [line, vec![b'\n']].concat()).collect();
    let after = json(&[ToRecorder::Inventory(inventory), request(6, Command::Stop), ToRecorder::Leave])?;
    Ok([&before[..], &audio, b"L\n", &after].concat())
}

/// The state of a file that was finished, and the same of one that still grew.
fn take() -> Result<(Vec<u8>, Vec<u8>), Box<dyn std::error::Error>> {
    let place = tempfile::tempdir()?;
    let (journal, out) = (take_journal(), place.path().join("take.wav"));
    let settings = TakeSettings { out: out.clone(), depth: BitDepth::Int16, recording: RECORDING };
    let options = FinalizeOptions::new(out.clone(), ChannelSpec::from_journal(&journal), "seed".to_owned());
    Take::open(settings)?.finish(&journal.snapshot(), options)?;
    let state = std::fs::read_to_string(place.path().join("take.wav.state"))?;
    let length = u16::try_from(std::fs::metadata(out)?.len())?.to_le_bytes();
    let growing = state.replace("\"take.wav\"", "\"take.wav.partial\"");
    let parts = [state.as_bytes(), &length, b"whole"];
    Ok((join([growing.as_bytes(), &length]), join(parts)))
}

fn to_participant() -> serde_json::Result<Vec<u8>> {
    let (recording, ranges) = (RECORDING, vec![range(0, 3), range(7, 30)]);
    json(&[
        ToParticipant::ClockPing { t0: ClockNs(1) },
        ToParticipant::SpoolFrom { recording, from: ClockNs(1) },
        ToParticipant::Want { recording, ranges: ranges.clone() },
        ToParticipant::Durable { recording, ranges, complete: false },
        ToParticipant::SpoolUntil { recording, until: ClockNs(9) },
        ToParticipant::Archived { recording: RecordingId::from_bytes([3; 16]) },
        ToParticipant::Discard { recording },
        ToParticipant::RoomClosed,
    ])
}

/// A PCM file of a hundred frames (Microsoft's RIFF WAVE, with its `fmt ` and `data` chunks).
fn wav(channels: u16, bits: u16) -> Vec<u8> {
    let frame = channels * bits / 8;
    let samples: Vec<u8> = (0..u32::from(frame) * 100).map(|n| (n * 37 % 251) as u8).collect();
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + samples.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(48_000_u32.to_le_bytes());
    bytes.extend((48_000 * u32::from(frame)).to_le_bytes());
    bytes.extend(frame.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend((samples.len() as u32).to_le_bytes());
    bytes.extend(samples);
    bytes
}
