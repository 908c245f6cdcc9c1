use roomtone_disk::{Fault, SimulatedDisk};
use roomtone_packets::{ChannelGiven, Interval, IntervalEdge, MapStretch, Packet};
use roomtone_protocol::channel::Segment;
use roomtone_protocol::{ClockNs, IndexRange, RoomId, SampleIndex, SegmentId, SegmentKey, WakeEpoch};
use roomtone_recorder::{BitDepth, TimelineFrame};

use super::*;

const ADA: ParticipantId = ParticipantId::from_bytes([0xad; 16]);
const RECORDING: RecordingId = RecordingId::from_bytes([1; 16]);
const SEGMENT: SegmentKey = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };

/// A writer whose thread is the test.
struct Stage {
    disk: SimulatedDisk,
    writing: Writing,
    told: mpsc::UnboundedReceiver<Written>,
    reserve: Reserve,
    place: tempfile::TempDir,
}

impl Stage {
    /// With one recording begun, and the first `packets` of Ada's written and synced.
    fn new(packets: u64) -> Self {
        let place = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(place.path().join("reserve"));
        reserve.hold().unwrap();
        let (tell, told) = mpsc::unbounded_channel();
        let disk = SimulatedDisk::new();
        let writing = Writing {
            disk: Arc::new(disk.clone()),
            journals: HashMap::new(),
            gathered: BTreeMap::new(),
            reserve: reserve.clone(),
            ground: Ground::default(),
            tell,
            synced_ns: 0,
        };
        let mut stage = Self { disk, writing, told, reserve, place };
        stage.begin();
        (0..packets).for_each(|n| stage.packet(n));
        stage.writing.sync();
        stage.tidings();
        stage
    }

    fn begin(&mut self) {
        let header = RecordingHeader {
            recording: RECORDING,
            room_id: RoomId::from_bytes([2; 16]),
            room: "Studio".to_owned(),
            title: None,
            started_by: None,
        };
        let folder = PathBuf::from("/data/recordings/one/journal");
        let out = self.place.path().join("take.wav");
        let take = TakeSettings { out, depth: BitDepth::Int24, recording: RECORDING };
        self.writing.work(Job::Open { recording: RECORDING, folder, header: Box::new(header), take });
    }

    /// One packet comes, and nothing else for a while.
    fn packet(&mut self, n: u64) {
        self.one_of_many(n);
        self.writing.write_gathered();
    }

    fn one_of_many(&mut self, n: u64) {
        let packet = Packet { segment: SEGMENT, index: SampleIndex(n * 960), samples: 960, opus: vec![n as u8; 40] };
        self.writing.work(Job::Append { recording: RECORDING, participant: ADA, record: Record::Packet(packet) });
    }

    fn stop(&mut self) {
        let stop = Interval { edge: IntervalEdge::Stop, at: ClockNs(9), wall_ns: 9 };
        self.writing.work(Job::Note { recording: RECORDING, record: Record::Interval(stop) });
    }

    fn fail_next(&self, operations: u64, fault: Fault) {
        self.disk.fail(self.disk.operations()..self.disk.operations().saturating_add(operations), fault);
    }

    /// What was told, as words: `durable 3` means packets 0 to 3.
    fn tidings(&mut self) -> Vec<String> {
        let told = std::iter::from_fn(|| self.told.try_recv().ok());
        let words = told.map(|written| match written {
            Written::Open { .. } => "open".to_owned(),
            Written::Durable { coverage, .. } => format!("durable {}", packets(&coverage)),
            Written::Forgotten { coverage, .. } => format!("left {}", packets(&coverage)),
            Written::DiskFull { .. } => "full".to_owned(),
            Written::Failed { .. } => "failed".to_owned(),
        });
        words.collect()
    }

    /// Ada began to talk twenty seconds ago, on the recorder's own clock; half of it has arrived.
    fn talks(&mut self) {
        let began = ClockNs(now().0 - 20_000_000_000);
        let start = Interval { edge: IntervalEdge::Start, at: began, wall_ns: 0 };
        let channel = ChannelGiven { participant: ADA, index: 0 };
        for record in [Record::Interval(start), Record::Channel(channel)] {
            self.writing.work(Job::Note { recording: RECORDING, record });
        }
        let segment = Segment {
            segment: SEGMENT,
            first: SampleIndex(0),
            captured_at: ClockNs(0),
            codec_delay: 312,
            device: String::new(),
            device_rate: 48_000,
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
        for record in [Record::Segment(segment), Record::MapStretch(map)] {
            self.writing.work(Job::Append { recording: RECORDING, participant: ADA, record });
        }
        (0..500).for_each(|n| self.packet(n));
    }

    /// Closes; what the take beside the journal made of what it was shown, in bytes.
    fn grown(mut self) -> u64 {
        let (done, mut closed) = oneshot::channel();
        self.writing.work(Job::Close { recording: RECORDING, done });
        let growing = closed.try_recv().unwrap().growing.unwrap();
        let _grown = growing.stop().unwrap();
        self.writing.ground.bytes.total()
    }

    fn close(mut self) -> Option<Journal> {
        let (done, mut closed) = oneshot::channel();
        self.writing.work(Job::Close { recording: RECORDING, done });
        closed.try_recv().ok().map(|closed: Closed| closed.journal)
    }
}

/// How many of the first packets a coverage holds.
fn packets(coverage: &Coverage) -> u64 {
    let held = |n: u64| IndexRange { segment: SEGMENT, from: SampleIndex(0), to: SampleIndex(n * 960) };
    (0..).take_while(|&n| coverage.covers(held(n + 1))).count() as u64
}

#[test]
fn after_an_error_it_goes_on_in_another_file_and_what_was_lost_is_told() {
    let mut stage = Stage::new(3);
    stage.packet(3);
    stage.fail_next(1, Fault::Io { written: 300 });
    stage.packet(4);
    assert_eq!(stage.tidings(), ["left 3"]);
    stage.packet(3);
    stage.packet(4);
    stage.writing.sync();
    assert_eq!(stage.tidings(), ["durable 5"]);
    assert_eq!(packets(stage.close().unwrap().durable(ADA)), 5);
}

#[test]
fn what_came_together_is_written_at_once_and_what_is_there_is_not_written_again() {
    let mut stage = Stage::new(3);
    let before = stage.disk.operations();
    (0..20).for_each(|n| stage.one_of_many(n));
    stage.one_of_many(7);
    stage.writing.write_gathered();
    assert_eq!(stage.disk.operations() - before, 1);
    stage.fail_next(1, Fault::Io { written: 300 });
    (18..30).for_each(|n| stage.one_of_many(n));
    // Whatever is not for a track waits until tracks have what came before.
    stage.stop();
    assert_eq!(stage.tidings(), ["left 3"], "what was not synced is to be asked for again");
    (3..18).for_each(|n| stage.one_of_many(n));
    stage.writing.write_gathered();
    stage.writing.sync();
    assert_eq!(stage.tidings(), ["durable 30"]);
}

#[test]
fn a_sync_that_fails_is_told_as_what_is_left() {
    let mut stage = Stage::new(3);
    stage.packet(3);
    stage.fail_next(1, Fault::Io { written: 0 });
    stage.writing.sync();
    assert_eq!(stage.tidings(), ["left 3", "durable 3"]);
}

#[test]
fn packets_that_come_while_nothing_can_be_written_are_told_as_missing() {
    let mut stage = Stage::new(3);
    stage.fail_next(u64::MAX, Fault::Io { written: 0 });
    (3..200).for_each(|n| stage.packet(n));
    let attempts = stage.disk.operations();
    stage.packet(200);
    assert_eq!(stage.disk.operations(), attempts, "a disk that fails is not tried with every packet");
    stage.stop();
    stage.writing.sync();
    assert_eq!(stage.tidings(), ["left 3", "durable 3"]);
    stage.disk.mend();
    stage.writing.sync();
    assert_eq!(stage.tidings(), ["durable 3"]);
    (3..9).for_each(|n| stage.packet(n));
    let journal = stage.close().unwrap();
    assert_eq!(packets(journal.durable(ADA)), 9);
    assert_eq!(journal.notes().intervals.len(), 1, "the end, which was noted while nothing could be written");
}

#[test]
fn a_full_disk_ends_the_recording_with_what_was_held_in_reserve() {
    let mut stage = Stage::new(3);
    stage.packet(3);
    assert!(stage.reserve.is_held());
    stage.fail_next(1, Fault::Full { written: 500 });
    stage.packet(4);
    assert!(!stage.reserve.is_held());
    assert_eq!(stage.tidings(), ["full"], "what was there before counts as durable");
    stage.fail_next(1, Fault::Full { written: 0 });
    stage.packet(5);
    stage.stop();
    stage.writing.sync();
    assert_eq!(stage.tidings(), ["durable 6"], "it is told once");
    let journal = stage.close().unwrap();
    assert_eq!((packets(journal.durable(ADA)), journal.notes().intervals.len()), (6, 1));
}

#[test]
fn a_take_grows_with_what_is_synced_and_no_further_on_a_full_disk() {
    let nine_seconds = 9 * 48_000 * 3;
    let mut stage = Stage::new(0);
    stage.talks();
    let patience = now().0 + 60_000_000_000;
    while stage.writing.ground.bytes.total() < nine_seconds {
        assert!(now().0 < patience);
        stage.writing.sync();
        std::thread::yield_now();
    }
    stage.tidings();
    stage.fail_next(1, Fault::Full { written: 0 });
    (500..1_000).for_each(|n| stage.packet(n));
    assert_eq!(stage.tidings(), ["full"]);
    stage.writing.sync();
    let grown = stage.grown();
    assert!((nine_seconds..nine_seconds * 10 / 9).contains(&grown), "{grown} bytes");
}

#[test]
fn a_recording_begins_on_a_full_disk_if_the_reserve_has_room() {
    let mut stage = Stage::new(0);
    stage.writing.journals.clear();
    stage.disk.power_cut(roomtone_disk::Cut::Dropped);
    stage.disk.remove(std::path::Path::new("/data/recordings/one/journal/recording.rtj")).unwrap();
    // The file's first bytes.
    stage.disk.fail(stage.disk.operations()..stage.disk.operations() + 6, Fault::Full { written: 0 });
    stage.begin();
    assert_eq!(stage.tidings(), ["failed"], "nor can it be made later");
    assert!(!stage.reserve.is_held());
    stage.disk.mend();
    stage.begin();
    assert_eq!(stage.tidings(), ["open"]);
    assert!(stage.reserve.is_held(), "there is room again");
}

#[test]
fn a_disk_that_stays_broken_fails_the_recording_and_keeps_it() {
    let mut stage = Stage::new(3);
    stage.fail_next(u64::MAX, Fault::Io { written: 0 });
    for _ in 1..PATIENCE {
        stage.packet(3);
        stage.writing.sync();
        assert!(!stage.tidings().contains(&"failed".to_owned()));
    }
    stage.packet(3);
    stage.writing.sync();
    assert_eq!(stage.tidings(), ["failed"]);
    let disk = stage.disk.clone();
    assert!(stage.close().is_none());
    let journal = Journal::open_on(Arc::new(disk), std::path::Path::new("/data/recordings/one/journal")).unwrap();
    assert_eq!(packets(journal.coverage(ADA)), 3);
}
