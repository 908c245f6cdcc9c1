use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use roomtone_packets::{ChannelGiven, Interval, IntervalEdge, MapStretch, Packet, Record};
use roomtone_protocol::channel::Segment;
use roomtone_protocol::{
    ParticipantId, RecordingId, RoomId, SAMPLE_RATE, SampleIndex, SegmentId, SegmentKey, WakeEpoch,
};
use roomtone_recorder::{BitDepth, ChannelSpec, RecordingHeader, TimelineFrame};

use super::*;

const RECORDING: RecordingId = RecordingId::from_bytes([1; 16]);
const SEGMENT: SegmentKey = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };
const PEOPLE: [u8; 2] = [0xad, 0xbe];

/// Longer than a state is old at most.
const SECONDS: u64 = 40;
const FRAMES: u64 = SECONDS * SAMPLE_RATE as u64;

/// Two people who have talked for [`SECONDS`] until now.
struct Stage {
    place: tempfile::TempDir,
    journal: Journal,
    ground: Ground,
    began: ClockNs,
}

impl Stage {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let header = RecordingHeader {
            recording: RECORDING,
            room_id: RoomId::from_bytes([2; 16]),
            room: "Studio".to_owned(),
            title: None,
            started_by: None,
        };
        let journal = Journal::create(&place.path().join("journal"), header).unwrap();
        let began = ClockNs(now().0 - Duration::from_secs(SECONDS).as_nanos() as i64);
        let mut stage = Self { place, journal, ground: Ground::default(), began };
        stage.edge(IntervalEdge::Start, began);
        for (index, person) in (0..).zip(PEOPLE) {
            let participant = ParticipantId::from_bytes([person; 16]);
            stage.journal.note(&Record::Channel(ChannelGiven { participant, index })).unwrap();
            let segment = Segment {
                segment: SEGMENT,
                first: SampleIndex(0),
                captured_at: ClockNs(0),
                codec_delay: 312,
                device: String::new(),
                device_rate: SAMPLE_RATE,
                cause: None,
            };
            let map = MapStretch {
                segment: SEGMENT,
                from: SampleIndex(0),
                frame: TimelineFrame::at(began).0,
                fraction: 0,
                frames_per_sample: 1 << 32,
                residual_ns: 0,
                uncertainty_ns: 0,
            };
            stage.journal.append(participant, &Record::Segment(segment)).unwrap();
            stage.journal.append(participant, &Record::MapStretch(map)).unwrap();
        }
        stage
    }

    /// Packets of both. Any bytes behind the first one, which says 20 ms of full-band CELT (RFC 6716, 3.1), are sound.
    fn packets(&mut self, numbers: impl Iterator<Item = u64> + Clone) {
        for person in PEOPLE {
            for n in numbers.clone() {
                let noise = (1..60u64).map(|byte| ((n + 1) * byte * u64::from(person) % 251) as u8);
                let opus = std::iter::once(0xf8).chain(noise).collect();
                let packet = Packet { segment: SEGMENT, index: SampleIndex(n * 960), samples: 960, opus };
                self.journal.append(ParticipantId::from_bytes([person; 16]), &Record::Packet(packet)).unwrap();
            }
        }
        self.journal.sync().unwrap();
    }

    fn edge(&mut self, edge: IntervalEdge, at: ClockNs) {
        self.journal.note(&Record::Interval(Interval { edge, at, wall_ns: 0 })).unwrap();
    }

    fn stop(&mut self) {
        let end = ClockNs(self.began.0 + Duration::from_secs(SECONDS).as_nanos() as i64);
        self.edge(IntervalEdge::Stop, end);
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn settings(&self, name: &str) -> TakeSettings {
        TakeSettings { out: self.file(name), depth: BitDepth::Int24, recording: RECORDING }
    }

    fn grows(&self) -> Growing {
        Growing::start(self.settings("take.wav"), &self.ground).unwrap()
    }

    /// Waits until a take has grown to so many frames; what it has is shown to it again and again.
    fn grown(&self, growing: &Growing, frames: u64) {
        self.fed_until(growing, || self.ground.bytes.total() >= frames * 2 * 3);
    }

    fn fed_until(&self, growing: &Growing, reached: impl Fn() -> bool) {
        let patience = now().0 + Duration::from_secs(60).as_nanos() as i64;
        while !reached() {
            assert!(now().0 < patience, "only {} bytes", self.ground.bytes.total());
            growing.feed(&self.journal);
            thread::yield_now();
        }
    }

    fn finish(&self, grown: Option<Grown>, name: &str, before: Option<&str>) -> Finished {
        let settings = self.settings(name);
        let before = before.map(|name| self.file(name));
        let channels = ChannelSpec::from_journal(&self.journal);
        finish(&self.journal, grown, &settings, before.as_deref(), || {
            FinalizeOptions::new(settings.out.clone(), channels.clone(), "test".to_owned())
        })
        .unwrap()
    }

    /// A file has the bytes of one pass over the journal, and some sound.
    fn is_as_of_one_pass(&self, name: &str) {
        let expected = self.finish(None, "one-pass.wav", None);
        let bytes = fs::read(self.file(name)).unwrap();
        assert!(bytes == fs::read(&expected.path).unwrap(), "{name}");
        assert!(bytes[4_096..].iter().filter(|&&byte| byte != 0).count() > 1_000_000, "there is sound in it");
        fs::remove_file(expected.path).unwrap();
    }

    /// Everything that begins like a take's name.
    fn takes(&self) -> Vec<String> {
        let names = fs::read_dir(self.place.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name.starts_with("take"));
        names.sort();
        names
    }
}

#[test]
fn stop_leaves_the_last_second_to_render() {
    let mut stage = Stage::new();
    let growing = stage.grows();
    stage.packets(0..SECONDS * 25);
    stage.grown(&growing, FRAMES / 2 - 24_000);
    stage.packets(SECONDS * 25..SECONDS * 50);
    stage.grown(&growing, FRAMES - 24_000);
    stage.stop();
    let grown = growing.stop().unwrap();
    assert!(grown.take.rendered_frames() + 24_000 >= FRAMES);
    assert_eq!(stage.takes(), ["take.wav.partial", "take.wav.state"]);
    let finished = stage.finish(Some(grown), "take.wav", None);
    assert_eq!((finished.frames, stage.ground.bytes.total()), (FRAMES, 0));
    assert_eq!(stage.takes(), ["take.wav", "take.wav.state"]);
    stage.is_as_of_one_pass("take.wav");
}

#[test]
fn another_start_goes_on_with_what_is_there() {
    let mut stage = Stage::new();
    stage.packets(0..SECONDS * 50);
    let growing = stage.grows();
    stage.grown(&growing, FRAMES - 24_000);
    drop(growing.stop());
    let again = stage.grows().stop().unwrap();
    assert!(again.take.rendered_frames() >= 30 * u64::from(SAMPLE_RATE));
    drop(again);
    // Nor does it matter who finishes it.
    stage.stop();
    stage.finish(None, "take.wav", None);
    stage.is_as_of_one_pass("take.wav");
}

#[test]
fn a_take_that_nothing_is_made_of_leaves_nothing() {
    let mut stage = Stage::new();
    stage.packets(0..SECONDS * 50);
    let growing = stage.grows();
    stage.grown(&growing, FRAMES - 24_000);
    growing.discard();
    assert_eq!((stage.takes(), stage.ground.bytes.total()), (vec![], 0));
}

#[test]
fn a_take_that_fails_gives_its_room_back_and_the_file_is_made_at_the_end() {
    let mut stage = Stage::new();
    stage.packets(0..SECONDS * 25);
    let growing = stage.grows();
    stage.grown(&growing, FRAMES / 2 - 24_000);
    let (journal, away) = (stage.file("journal"), stage.file("away"));
    fs::rename(&journal, &away).unwrap();
    stage.fed_until(&growing, || growing.thread.is_finished());
    assert_eq!((stage.takes(), stage.ground.bytes.total()), (vec![], 0));
    growing.feed(&stage.journal);
    assert!(growing.stop().is_none());
    fs::rename(&away, &journal).unwrap();
    stage.packets(SECONDS * 25..SECONDS * 50);
    stage.stop();
    stage.finish(None, "take.wav", None);
    stage.is_as_of_one_pass("take.wav");
}

#[test]
fn what_is_left_behind_and_cannot_be_used_is_rendered_from_the_beginning() {
    let mut stage = Stage::new();
    stage.packets(0..SECONDS * 50);
    stage.stop();
    // A file without the state that tells what it is made of.
    fs::write(stage.file("take.wav"), "torn").unwrap();
    stage.finish(None, "take.wav", None);
    stage.is_as_of_one_pass("take.wav");
}

#[test]
fn a_file_that_was_whole_before_its_metadata_was_written_stays_as_it_is() {
    let mut stage = Stage::new();
    stage.packets(0..SECONDS * 50);
    stage.stop();
    let modified = |stage: &Stage| fs::metadata(stage.file("take.wav")).unwrap().modified().unwrap();
    let first = stage.finish(None, "take.wav", None);
    let made = modified(&stage);
    assert_eq!((stage.finish(None, "take.wav", None), modified(&stage)), (first, made));
    stage.is_as_of_one_pass("take.wav");
}

#[test]
fn a_repair_patches_a_copy_and_the_earlier_version_stays_as_it_is() {
    let mut stage = Stage::new();
    let late = 300..310;
    stage.packets((0..SECONDS * 50).filter(|n| !late.contains(n)));
    stage.stop();
    stage.finish(None, "take.wav", None);
    let before = fs::read(stage.file("take.wav")).unwrap();
    stage.packets(late);
    let settings = stage.settings("take.2.wav");
    let begun = begin(settings, Some(&stage.file("take.wav"))).unwrap();
    assert_eq!(begun.rendered_frames(), FRAMES, "nothing is begun anew");
    stage.finish(None, "take.2.wav", Some("take.wav"));
    assert!(fs::read(stage.file("take.wav")).unwrap() == before);
    assert!(fs::read(stage.file("take.2.wav")).unwrap() != before);
    stage.is_as_of_one_pass("take.2.wav");
    // Without a state of the earlier one, all of it is rendered.
    fs::remove_file(stage.file("take.2.wav.state")).unwrap();
    stage.finish(None, "take.3.wav", Some("take.2.wav"));
    stage.is_as_of_one_pass("take.3.wav");
}
