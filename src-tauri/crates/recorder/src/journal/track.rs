//! One participant's part of the journal.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use roomtone_disk::{Disk, ReadFile};
use roomtone_packets::{Coverage, Packet, Record, Scanned, Scanner};
use roomtone_protocol::{IndexRange, ParticipantId, RecordingId};
use serde::{Deserialize, Serialize};

use super::log::{Folder, Log, Place};
use super::runs::Runs;
use super::{JournalError, TrackNotes};
use crate::render::PacketSource;

/// Longest packet that Opus knows: 120 ms at 48 kHz (RFC 6716, 2.1.4).
const MAX_PACKET_SAMPLES: u16 = 5_760;

/// Longest delay of an encoder, 100 ms at 48 kHz; Opus has 6.5 ms.
const MAX_CODEC_DELAY: u32 = 4_800;

/// Samples are refused from here on, 3 million years: arithmetic behind stays far from its limits whatever is sent.
const MAX_SAMPLE_INDEX: u64 = 1 << 62;

const STEM_PREFIX: &str = "track-";

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct TrackHeader {
    recording: RecordingId,
    participant: ParticipantId,
}

#[derive(Debug)]
pub(super) struct Track {
    log: Log,
    runs: Runs,
    notes: TrackNotes,
    coverage: Coverage,
    durable: Coverage,
    /// Covered since the last fsync.
    unsynced: Coverage,
    /// Something that counted as covered no longer does.
    forgot: bool,
}

impl Track {
    /// A track without a file yet.
    pub(super) fn new(folder: Folder, recording: RecordingId, participant: ParticipantId) -> Self {
        let header = TrackHeader { recording, participant };
        Self {
            log: Log::new(folder, stem(participant), &header),
            runs: Runs::default(),
            notes: TrackNotes::default(),
            coverage: Coverage::default(),
            durable: Coverage::default(),
            unsynced: Coverage::default(),
            forgot: false,
        }
    }

    /// Reads the track's files among `names`.
    pub(super) fn open(
        folder: Folder,
        names: &[String],
        recording: RecordingId,
        participant: ParticipantId,
    ) -> Result<Self, JournalError> {
        let mut runs = Runs::default();
        let mut notes = TrackNotes::default();
        let mut coverage = Coverage::default();
        let header = TrackHeader { recording, participant };
        let on_record = |place: Place, record: Record| match record {
            Record::Packet(packet) => {
                if coverage.insert(packet.range()) {
                    runs.add(place, packet.range());
                }
            }
            note if notes.knows(&note) => {}
            note => notes.take(note),
        };
        let (mut log, _) = Log::open(folder, names, stem(participant), Some(&header), on_record)?;
        // What was read may still be in the system's memory only.
        let durable = if log.sync_all_files() { coverage.clone() } else { Coverage::default() };
        Ok(Self { log, runs, notes, coverage, durable, unsynced: Coverage::default(), forgot: false })
    }

    /// Writes those records at once that are not there already; how many it were.
    pub(super) fn append_all(&mut self, records: &[Record]) -> Result<usize, JournalError> {
        let mut fresh = Vec::new();
        let mut covered = Coverage::default();
        for record in records.iter().filter(|record| is_possible(record)) {
            match record {
                Record::Packet(packet) if self.coverage.covers(packet.range()) || !covered.insert(packet.range()) => {
                    continue;
                }
                Record::Packet(_) => {}
                note if self.notes.knows(note) => continue,
                // First, so that it is among the notes that a new file begins with.
                note => self.notes.take(note.clone()),
            }
            fresh.push(record);
        }
        if fresh.is_empty() {
            return Ok(0);
        }
        self.reopen()?;
        let places = self.write(&fresh)?;
        for (record, place) in fresh.iter().zip(places) {
            if let Record::Packet(packet) = record {
                self.runs.add(place, packet.range());
                self.coverage.insert(packet.range());
                self.unsynced.insert(packet.range());
            }
        }
        Ok(fresh.len())
    }

    /// After a failure: all notes once more, in a file that can be written.
    fn reopen(&mut self) -> Result<(), JournalError> {
        if self.log.has_failed() {
            self.log.begin_file()?;
            for note in self.notes.records() {
                self.write(&[&note])?;
            }
        }
        Ok(())
    }

    fn write(&mut self, records: &[&Record]) -> Result<Vec<Place>, JournalError> {
        self.log.append_all(records).map_err(|unwritten| {
            if unwritten.rest_is_durable {
                self.keep_unsynced();
            } else {
                self.forget_unsynced();
            }
            unwritten.error
        })
    }

    pub(super) fn sync(&mut self) -> Result<(), JournalError> {
        match self.reopen().and_then(|()| self.log.sync()) {
            Ok(()) => {
                self.keep_unsynced();
                Ok(())
            }
            Err(error) => {
                self.forget_unsynced();
                Err(error)
            }
        }
    }

    fn keep_unsynced(&mut self) {
        for range in std::mem::take(&mut self.unsynced).iter() {
            self.durable.insert(range);
        }
    }

    /// Nobody knows what of it reaches the disk: it is asked for again.
    fn forget_unsynced(&mut self) {
        if !std::mem::take(&mut self.unsynced).is_empty() {
            self.coverage = self.durable.clone();
            self.forgot = true;
        }
    }

    /// Whether something that counted as covered no longer does, since the last call.
    pub(super) fn take_forgot(&mut self) -> bool {
        std::mem::take(&mut self.forgot)
    }

    pub(super) fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    pub(super) fn durable(&self) -> &Coverage {
        &self.durable
    }

    pub(super) fn notes(&self) -> &TrackNotes {
        &self.notes
    }

    pub(super) fn replay(&self, on_record: &mut dyn FnMut(Record)) -> Result<(), JournalError> {
        self.log.replay(on_record)
    }

    /// Where the packets lie: the index, the files that it names, and the disk that they are on.
    pub(super) fn index(&self) -> (&Runs, &[PathBuf], Arc<dyn Disk>) {
        (&self.runs, self.log.files(), self.log.shared_disk())
    }

    /// A reader with descriptors of its own.
    pub(super) fn packets(&self) -> Result<JournalPackets<'_>, JournalError> {
        let disk = self.log.disk();
        let files = self.log.files().iter().map(|path| disk.read(path).map_err(JournalError::io(path)));
        Ok(JournalPackets { runs: &self.runs, files: files.collect::<Result<_, _>>()? })
    }
}

/// Whether a record can be what it says; participants are strangers.
fn is_possible(record: &Record) -> bool {
    match record {
        Record::Packet(packet) => {
            packet.samples <= MAX_PACKET_SAMPLES && !packet.opus.is_empty() && packet.index.0 < MAX_SAMPLE_INDEX
        }
        Record::Segment(segment) => segment.first.0 < MAX_SAMPLE_INDEX && segment.codec_delay <= MAX_CODEC_DELAY,
        Record::Retract(range) => range.from <= range.to && range.to.0 < MAX_SAMPLE_INDEX,
        Record::Inventory(inventory) => {
            let holes = inventory.holes.iter().map(|hole| &hole.range);
            inventory.held.iter().chain(holes).all(|range| range.from <= range.to && range.to.0 < MAX_SAMPLE_INDEX)
        }
        Record::Arrival(arrival) => arrival.end.0 < MAX_SAMPLE_INDEX,
        Record::Report(report) => report.index.0 < MAX_SAMPLE_INDEX,
        Record::Epoch(_)
        | Record::ClockExchange(_)
        | Record::MapStretch(_)
        | Record::Interval(_)
        | Record::Marker(_)
        | Record::Name(_)
        | Record::Anchor(_)
        | Record::Muted(_)
        | Record::Left(_)
        | Record::Channel(_)
        | Record::Described(_) => true,
    }
}

/// The participant whose track a stem names.
pub(super) fn participant_of(name: &str) -> Option<ParticipantId> {
    let participant = name.strip_prefix(STEM_PREFIX)?.parse().ok()?;
    // One name for one track, however tolerant the parser is.
    (stem(participant) == name).then_some(participant)
}

fn stem(participant: ParticipantId) -> String {
    format!("{STEM_PREFIX}{participant}")
}

/// Reads a track's packets in any order. Damage on the disk is absence here.
#[derive(Debug)]
pub struct JournalPackets<'a> {
    runs: &'a Runs,
    files: Vec<Box<dyn ReadFile>>,
}

impl PacketSource for JournalPackets<'_> {
    fn packets(&mut self, range: IndexRange) -> io::Result<Vec<Packet>> {
        read(self.runs, &mut self.files, range)
    }
}

/// The packets that hold any sample of a range, by rising index, no index twice.
pub(super) fn read(runs: &Runs, files: &mut [Box<dyn ReadFile>], range: IndexRange) -> io::Result<Vec<Packet>> {
    let mut packets = Vec::new();
    let mut bytes = Vec::new();
    for (file, from, to) in runs.of(range) {
        let file = usize::try_from(file).ok().and_then(|file| files.get_mut(file));
        let file = file.expect("runs name files of their own track");
        bytes.resize(usize::try_from(to - from).expect("runs are bounded"), 0);
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(from + filled as u64, &mut bytes[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        bytes.truncate(filled);
        let mut scanner = Scanner::new(from);
        scanner.push(&bytes);
        while let Some(scanned) = scanner.next_at_end() {
            if let Scanned::Record { record: Record::Packet(packet), .. } = scanned {
                let held = packet.range();
                if held.segment == range.segment && held.from < range.to && held.to > range.from {
                    packets.push(packet);
                }
            }
        }
    }
    packets.sort_by_key(|packet| (packet.index, u16::MAX - packet.samples));
    packets.dedup_by_key(|packet| packet.index);
    Ok(packets)
}
