//! One recording's part of the spool.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use roomtone_packets::{Coverage, Packet, Record};
use roomtone_protocol::{IndexRange, RecordingId, SAMPLE_RATE, SegmentKey, WakeEpoch};

use super::file::{Found, PacketFile, scan};
use super::index::Index;
use super::notes::{Note, Notes};
use super::sync::Syncing;
use super::{SpoolError, failed};

/// Extension of its files.
pub(super) const PACKETS: &str = "packets";

/// Samples between two anchors on disk: a clock is placed well enough by one in ten seconds, in a tenth of the bytes.
const ANCHOR_SAMPLES: u64 = 10 * SAMPLE_RATE as u64;

/// Samples behind its last packet that a recording wants notes for: what follows later belongs to no packet of it.
const REACH_SAMPLES: u64 = 60 * SAMPLE_RATE as u64;

/// Packets of a recording and what was noted about them.
#[derive(Debug)]
pub(super) struct Spooled {
    recording: RecordingId,
    index: Index,
    /// Files of this recording; the index names them by their place here.
    files: Vec<PathBuf>,
    /// What stands in the files.
    notes: Notes,
    /// The file that grows. Files of earlier starts are never appended to.
    open: Option<Open>,
    /// Why what is in a file that was left could not be flushed, until somebody is told.
    unflushed: Option<SpoolError>,
}

#[derive(Debug)]
struct Open {
    epoch: WakeEpoch,
    place: usize,
    file: PacketFile,
    /// The segments that it describes.
    described: BTreeMap<SegmentKey, Described>,
}

#[derive(Debug, Default)]
struct Described {
    /// End of the newest packet.
    until: u64,
    /// Sample of the newest anchor.
    anchored: Option<u64>,
}

impl Spooled {
    pub(super) fn new(recording: RecordingId) -> Self {
        Self {
            recording,
            index: Index::default(),
            files: Vec::new(),
            notes: Notes::default(),
            open: None,
            unflushed: None,
        }
    }

    /// What is on disk, as far as it can be read.
    ///
    /// # Errors
    /// If the folder itself cannot be.
    pub(super) fn read(recording: RecordingId, dir: &Path) -> Result<Self, SpoolError> {
        let mut spooled = Self::new(recording);
        for entry in fs::read_dir(dir).map_err(failed("read", dir))? {
            let path = entry.map_err(failed("read", dir))?.path();
            if path.extension().is_some_and(|extension| extension == PACKETS) {
                spooled.files.push(path);
            }
        }
        spooled.files.sort();
        spooled.rescan();
        Ok(spooled)
    }

    pub(super) fn held(&self) -> &Coverage {
        self.index.held()
    }

    pub(super) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Whether a range lies behind or between what is held of its segment.
    pub(super) fn reaches(&self, range: IndexRange) -> bool {
        self.held().segment(range.segment).is_some_and(|held| held.iter().any(|(_, to)| to >= range.from.0))
    }

    /// Appends a packet, and in front of its segment's first one what is known of the segment.
    pub(super) fn append(
        &mut self,
        dir: &Path,
        packet: &Packet,
        notes: &Notes,
        syncing: &Syncing,
    ) -> Result<bool, SpoolError> {
        if self.index.holds(packet) {
            return Ok(false);
        }
        let (epoch, segment) = (packet.segment.epoch, packet.segment);
        if self.open.as_ref().is_none_or(|open| open.epoch != epoch || open.file.has_failed()) {
            self.leave();
            self.open = Some(self.create(dir, epoch, syncing)?);
        }
        let describe = self.open.as_ref().is_some_and(|open| !open.described.contains_key(&segment));
        for note in notes.of(segment).filter(|_| describe) {
            self.write(&note)?;
        }
        let Some(open) = &mut self.open else { return Ok(false) };
        let described = open.described.entry(segment).or_default();
        described.until = described.until.max(packet.range().to.0);
        match open.file.append(&Record::Packet(packet.clone())) {
            Ok((offset, bytes)) => Ok(self.index.insert(packet, open.place, offset, bytes)),
            Err(error) => {
                self.close_failed();
                Err(error)
            }
        }
    }

    /// Notes what concerns packets that are here.
    pub(super) fn note(&mut self, note: &Note) -> Result<(), SpoolError> {
        let described = self.open.as_ref().and_then(|open| open.described.get(&note.segment()));
        let Some(described) = described.filter(|described| note.index() <= described.until + REACH_SAMPLES) else {
            return Ok(());
        };
        let soon = described.anchored.is_some_and(|anchored| note.index() < anchored + ANCHOR_SAMPLES);
        if matches!(note, Note::Anchor(_)) && soon { Ok(()) } else { self.write(note) }
    }

    fn write(&mut self, note: &Note) -> Result<(), SpoolError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let written = open.file.append(&note.clone().record(self.recording));
        if written.is_err() {
            self.close_failed();
        } else {
            if let Note::Anchor(anchor) = note {
                open.described.entry(anchor.segment).or_default().anchored = Some(anchor.index.0);
            }
            self.notes.take(note);
        }
        written.map(|_| ())
    }

    /// The file that grew grows no more. Nobody flushes it later, and what is in it was promised like the rest.
    fn leave(&mut self) {
        if let Some(open) = self.open.take()
            && let Err(error) = open.file.flush()
        {
            self.unflushed = Some(error);
        }
    }

    /// A file that a write failed on is left alone; one that nothing went into does not stay, or a full disk would collect
    /// them.
    fn close_failed(&mut self) {
        let Some(open) = self.open.take_if(|open| open.file.is_empty()) else { return self.leave() };
        // It is the newest: the index names none behind it.
        self.files.truncate(open.place);
        if let Err(error) = open.file.remove() {
            tracing::warn!(%error, "an empty file stays in the spool");
        }
    }

    /// The next free name: `{epoch}-{n}` ([`epoch_of`]).
    fn create(&mut self, dir: &Path, epoch: WakeEpoch, syncing: &Syncing) -> Result<Open, SpoolError> {
        fs::create_dir_all(dir).map_err(failed("created", dir))?;
        let name = |n: usize| dir.join(format!("{:010}-{n:04}.{PACKETS}", epoch.0));
        let path = (0..).map(name).find(|path| !path.exists()).expect("a free number among all numbers");
        let file = PacketFile::create(&path, syncing)?;
        self.files.push(path);
        Ok(Open { epoch, place: self.files.len() - 1, file, described: BTreeMap::new() })
    }

    /// The packets that hold some of a range.
    pub(super) fn packets(&mut self, range: IndexRange) -> Result<Vec<Packet>, SpoolError> {
        let mut packets = Vec::new();
        let mut whole = true;
        for run in self.index.runs(range) {
            whole &= scan(&self.files[run.file], run.offset, run.bytes, |found| {
                let Found::Packet { packet, .. } = found else { return };
                let held = packet.range();
                if held.segment == range.segment && held.from < range.to && held.to > range.from {
                    packets.push(packet);
                }
            })?;
        }
        if !whole {
            self.rescan();
        }
        Ok(packets)
    }

    pub(super) fn flush(&mut self) -> Result<(), SpoolError> {
        let flushed = self.open.as_ref().map_or(Ok(()), |open| open.file.flush());
        if flushed.is_err() {
            // What a failed fsync left behind nobody knows: it is not tried again on the same descriptor.
            self.open = None;
        }
        self.unflushed.take().map_or(flushed, Err)
    }

    /// Looks at all files anew. One that cannot be read is no reason to keep nothing of what is said from now on: what was
    /// found of it until then counts, and it stays for somebody who can read it.
    fn rescan(&mut self) {
        self.index = Index::default();
        for (place, path) in self.files.iter().enumerate() {
            let scanned = scan(path, 0, u64::MAX, |found| match found {
                Found::Packet { packet, offset, bytes } => {
                    self.index.insert(&packet, place, offset, bytes);
                }
                Found::Other(record) => Note::read(record).iter().for_each(|note| {
                    self.notes.take(note);
                }),
            });
            if let Err(error) = scanned {
                tracing::error!(recording = %self.recording, %error, "a file of a spool is left out; what it holds is missing");
            }
        }
    }
}

/// The run of the program whose packets a file holds, by its name.
pub(super) fn epoch_of(file: &Path) -> Option<WakeEpoch> {
    let (epoch, _) = file.file_name()?.to_str()?.strip_suffix(PACKETS)?.strip_suffix('.')?.split_once('-')?;
    epoch.parse().ok().map(WakeEpoch)
}
