//! What a participant sends, put to the recorder's end of a room.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use roomtone_disk::SimulatedDisk;
use roomtone_engine::{
    Desk, Finished, Moment, RecorderEnd, RecorderInput, RecorderOutput, Reopened, Run, Setup, last_audio, note_end,
    note_maps,
};
use roomtone_packets::{ClockExchange, MapStretch, Record};
use roomtone_protocol::channel::{Peer, ToParticipant, ToRecorder};
use roomtone_protocol::state::{RecordBy, Role};
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId, RoomId, WakeEpoch};
use roomtone_recorder::{Journal, RecordingHeader};
use roomtone_session::{Config, Room};

use crate::hear::hear;

const ADA: ParticipantId = ParticipantId::from_bytes([0xad; 16]);
const ROOM: RoomId = RoomId::from_bytes([2; 16]);

/// More than that in one go is only more of the same.
const MAX_MESSAGES: usize = 200;

/// Bytes of JSON that a room's state may take, whoever says what: what the relay takes.
const MAX_STATE_BYTES: usize = 64 * 1024;

/// Nanoseconds between messages: 50 ms.
const STEP_NS: i64 = 50_000_000;

/// Whoever is waited for is waited for so long behind the last message, in steps of a second.
const PATIENCE_S: i64 = 45;

/// Journals on a disk in memory.
#[derive(Default)]
struct Journals {
    open: BTreeMap<RecordingId, Journal>,
    over: BTreeMap<RecordingId, Journal>,
    discarded: Vec<RecordingId>,
}

impl Desk for Journals {
    fn open(&mut self, recording: RecordingId, header: RecordingHeader) -> bool {
        let folder = Path::new("/journals").join(recording.to_string());
        let journal = Journal::create_on(Arc::new(SimulatedDisk::new()), &folder, header);
        self.open.insert(recording, journal.expect("the disk is in memory"));
        true
    }

    fn append(&mut self, recording: RecordingId, participant: ParticipantId, record: Record) -> bool {
        if let Some(journal) = self.open.get_mut(&recording) {
            journal.append(participant, &record).expect("the disk is in memory");
        }
        true
    }

    fn note(&mut self, recording: RecordingId, record: Record) -> bool {
        if let Some(journal) = self.open.get_mut(&recording) {
            journal.note(&record).expect("the disk is in memory");
        }
        true
    }

    fn is_archived(&self, _recording: RecordingId) -> bool {
        false
    }

    fn is_discarded(&self, recording: RecordingId) -> bool {
        self.discarded.contains(&recording)
    }
}

struct Recorder {
    end: RecorderEnd,
    journals: Journals,
    now: ClockNs,
    /// Ids that were given out.
    ids: u8,
}

impl Recorder {
    fn new() -> Self {
        let moment = Moment { clock: ClockNs(0), wall_ns: 0 };
        let config = Config {
            room: ROOM,
            name: "Studio".to_owned(),
            record_by: RecordBy::Everyone,
            grace: Duration::from_secs(600),
            epoch: 1,
            recording_enabled: true,
            time_limit: None,
            auto_record: None,
            disk_bytes_per_sample: 3,
        };
        let setup = Setup {
            me: ParticipantId::from_bytes([9; 16]),
            room: ROOM,
            name: "Studio".to_owned(),
            disk_bytes_per_sample: 3,
            run: Run { epoch: WakeEpoch(1), boot_id: None },
        };
        let end = RecorderEnd::new(moment, setup, Room::new(ClockNs(0), config));
        let mut recorder = Self { end, journals: Journals::default(), now: ClockNs(0), ids: 0 };
        recorder.link();
        recorder
    }

    /// Ada's link is up, and her clock is compared.
    fn link(&mut self) {
        let peer = Peer {
            participant: ADA,
            role: Role::Participant,
            host: true,
            passing: false,
            epoch: WakeEpoch(1),
            name: Some("Ada".to_owned()),
        };
        self.tell(RecorderInput::Linked(peer));
        let at = self.now;
        self.exchange(at, at, at);
    }

    fn exchange(&mut self, t0: ClockNs, t1: ClockNs, t2: ClockNs) {
        let exchange = ClockExchange { epoch: WakeEpoch(1), t0, t1, t2, t3: self.now };
        self.tell(RecorderInput::Exchange { from: ADA, exchange });
    }

    fn fresh(&mut self) -> RecordingId {
        self.ids = self.ids.wrapping_add(1);
        RecordingId::from_bytes([self.ids; 16])
    }

    /// One line: a live packet, records, a new link, or a message.
    fn line(&mut self, line: &[u8]) {
        match line.split_first() {
            Some((b'M', packet)) => {
                let Some((timestamp, opus)) = packet.split_first_chunk::<4>() else { return };
                let timestamp = u32::from_le_bytes(*timestamp);
                self.tell(RecorderInput::Media { from: ADA, timestamp, opus: opus.to_vec() });
            }
            Some((b'B', records)) => self.tell(RecorderInput::Bulk { from: ADA, records: records.to_vec() }),
            Some((b'L', _)) => {
                self.tell(RecorderInput::LinkClosed { participant: ADA });
                self.link();
            }
            _ => {
                if let Ok(message) = serde_json::from_slice::<ToRecorder>(line) {
                    self.message(message);
                }
            }
        }
    }

    fn message(&mut self, message: ToRecorder) {
        match message {
            // As the transport deals with them.
            ToRecorder::ClockPong { t0, t1, t2 } => self.exchange(t0, t1, t2),
            ToRecorder::Request { id, based_on, command } => {
                let fresh = self.fresh();
                self.tell(RecorderInput::Request { from: ADA, id, based_on, command, fresh });
            }
            message => self.tell(RecorderInput::Message { from: ADA, message }),
        }
    }

    fn tell(&mut self, input: RecorderInput) {
        let moment = Moment { clock: self.now, wall_ns: self.now.0 };
        self.end.handle(moment, &mut self.journals, input);
        let outputs: Vec<_> = std::iter::from_fn(|| self.end.poll_output()).collect();
        outputs.into_iter().for_each(|output| self.wants(output));
    }

    fn wants(&mut self, output: RecorderOutput) {
        match output {
            RecorderOutput::Send { message: ToParticipant::Want { ranges, .. }, .. } => {
                assert!(ranges.iter().all(|range| range.from < range.to), "{ranges:?}");
            }
            RecorderOutput::PublishState(state) => {
                let state = serde_json::to_vec(&state).expect("a state is JSON");
                assert!(state.len() <= MAX_STATE_BYTES, "a state of {} bytes", state.len());
            }
            RecorderOutput::Finalize { recording, maps } => self.finalize(recording, Some(maps)),
            RecorderOutput::FinalizeAgain { recording } | RecorderOutput::FinalizeFound { recording } => {
                self.finalize(recording, None);
            }
            RecorderOutput::ReopenJournal { recording } => {
                let moment = Moment { clock: self.now, wall_ns: self.now.0 };
                let reopened = self.journals.over.remove(&recording).map(|journal| {
                    let reopened = Reopened::of(&journal, moment);
                    self.journals.open.insert(recording, journal);
                    reopened
                });
                let result = reopened.ok_or_else(|| "there is no journal of it".to_owned());
                self.tell(RecorderInput::JournalReopened { recording, result });
            }
            RecorderOutput::CloseJournal { recording } => self.close(recording),
            RecorderOutput::Publish { recording } => {
                self.tell(RecorderInput::Submitted { recording, result: Ok(()) });
                self.tell(RecorderInput::Completed { recording, key: recording.to_string(), size: 1 });
            }
            RecorderOutput::Discard { recording } => {
                self.journals.open.remove(&recording);
                self.journals.over.remove(&recording);
                self.journals.discarded.push(recording);
                self.tell(RecorderInput::Buried { recording });
            }
            RecorderOutput::WantsRecording => {
                let fresh = self.fresh();
                self.tell(RecorderInput::AutoStart { fresh });
            }
            _ => {}
        }
    }

    fn close(&mut self, recording: RecordingId) {
        if let Some(journal) = self.journals.open.remove(&recording) {
            self.journals.over.insert(recording, journal);
        }
    }

    fn finalize(&mut self, recording: RecordingId, maps: Option<Vec<(ParticipantId, MapStretch)>>) {
        self.close(recording);
        let Some(journal) = self.journals.over.get_mut(&recording) else { return };
        let maps = note_maps(journal, maps).expect("the disk is in memory");
        let end = last_audio(journal, &maps);
        note_end(journal, end).expect("the disk is in memory");
        let finished = Finished { path: PathBuf::new(), channels: 1, duration_ms: 0, gapless: false };
        self.tell(RecorderInput::Finalized { recording, result: Ok(finished) });
    }

    fn pass(&mut self, ns: i64) {
        self.now.0 += ns;
        self.tell(RecorderInput::Tick);
    }
}

/// A line each: `M`, four bytes of timestamp and a live packet; `B` and records; `L` for a new link; or a message.
pub fn to_recorder(bytes: &[u8]) {
    let mut recorder = Recorder::new();
    for line in bytes.split(|byte| *byte == b'\n').take(MAX_MESSAGES) {
        recorder.pass(STEP_NS);
        recorder.line(line);
    }
    // All recordings come to their end, whatever is missing.
    let (fresh, id) = (recorder.fresh(), roomtone_protocol::CommandId::from_bytes([0xee; 16]));
    recorder.tell(RecorderInput::Shutdown { drain: Duration::ZERO, stop: Some((id, fresh)) });
    for _ in 0..PATIENCE_S {
        recorder.pass(1_000_000_000);
    }
    assert!(recorder.end.is_over() && recorder.journals.open.is_empty(), "{:?}", recorder.end);
    recorder.journals.over.values().take(2).for_each(|journal| hear(journal, None));
}
