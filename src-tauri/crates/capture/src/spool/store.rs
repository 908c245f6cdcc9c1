//! The spool itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use roomtone_disk::{SystemDisk, create_dirs, write_whole};
use roomtone_packets::{Coverage, Packet};
use roomtone_protocol::channel::Hole;
use roomtone_protocol::{IndexRange, RecordingId};
use serde::{Deserialize, Serialize};

use super::limits::{Limits, Stored, overdue};
use super::notes::{Note, Notes};
use super::spooled::Spooled;
use super::sync::Syncing;
use super::{SpoolError, failed};

/// Version of the spool's layout.
const SCHEMA: u32 = 1;

const PIN: &str = "recorder.json";
const GONE: &str = "gone";

/// Whose spool a directory is.
#[derive(Debug, Serialize, Deserialize)]
struct Pin {
    schema: u32,
    /// The hash of the recorder's key, hexadecimal.
    recorder: String,
}

/// What every version's pin says.
#[derive(Debug, Deserialize)]
struct Version {
    schema: u32,
}

/// The spool of everything that one recorder may ask for.
#[derive(Debug)]
pub struct Spool {
    /// Of all recorders' spools.
    root: PathBuf,
    recorder: [u8; 16],
    dir: PathBuf,
    recordings: BTreeMap<RecordingId, Spooled>,
    /// Recordings that are over and done with.
    gone: BTreeSet<RecordingId>,
    /// What was noted since the program started, for recordings that begin later.
    notes: Notes,
    syncing: Syncing,
}

impl Spool {
    /// The spool in `dir` for the recorder whose key has this hash ([`roomtone_protocol::PublicKey::hash`]). What is on
    /// disk from earlier is scanned: unfinished tails are left out, damage and what cannot be read are skipped, for they
    /// must not cost what is still to be said.
    ///
    /// # Errors
    /// If the folder cannot be made or read, or what is there belongs to another recorder or a newer version.
    pub fn open(dir: &Path, recorder: [u8; 16]) -> Result<Self, SpoolError> {
        let (root, name) = (dir.to_owned(), folder_name(recorder));
        let dir = dir.join(&name);
        create_dirs(&SystemDisk, &dir).map_err(failed("created", &dir))?;
        pin(&dir, name)?;
        let (recordings, gone) = (BTreeMap::new(), BTreeSet::new());
        let syncing = Syncing::start();
        let mut spool = Self { root, recorder, dir, recordings, gone, notes: Notes::default(), syncing };
        let mut found = Vec::new();
        for entry in fs::read_dir(&spool.dir).map_err(failed("read", &spool.dir))? {
            let path = entry.map_err(failed("read", &spool.dir))?.path();
            let recording = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            let Some(recording) = recording else { continue };
            if path.extension().is_some_and(|extension| extension == GONE) {
                spool.gone.insert(recording);
            } else if path.is_dir() {
                found.push((recording, path));
            }
        }
        for (recording, path) in found {
            if spool.gone.contains(&recording) {
                // The program ended between the tombstone and the removal.
                if let Err(error) = fs::remove_dir_all(&path) {
                    tracing::error!(%recording, %error, "what was discarded cannot be removed; the next start tries again");
                }
                continue;
            }
            match Spooled::read(recording, &path) {
                Ok(spooled) => drop(spool.recordings.insert(recording, spooled)),
                Err(error) => tracing::error!(%recording, %error, "a recording's part of the spool is left out"),
            }
        }
        Ok(spool)
    }

    /// Appends a packet. False if it is there already, or the recording is archived or discarded.
    ///
    /// # Errors
    /// If the disk fails. The packet is not in the spool then; the next one goes to a new file.
    pub fn append(&mut self, recording: RecordingId, packet: &Packet) -> Result<bool, SpoolError> {
        if self.gone.contains(&recording) {
            return Ok(false);
        }
        let dir = self.dir.join(recording.to_string());
        let spooled = self.recordings.entry(recording).or_insert_with(|| Spooled::new(recording));
        spooled.append(&dir, packet, &self.notes, &self.syncing)
    }

    /// Whether [`Self::append`] would add this packet, if the disk let it.
    #[must_use]
    pub fn wants(&self, recording: RecordingId, packet: &Packet) -> bool {
        let held = self.coverage(recording).is_some_and(|held| held.covers(packet.range()));
        !held && !self.gone.contains(&recording)
    }

    /// Notes something about a segment of this start of the program: in recordings that hold packets of it, at once; in
    /// those that begin later, with the first packet.
    ///
    /// # Errors
    /// If the disk fails. The note is known to this start then, and not to the next one.
    pub fn note(&mut self, note: &Note) -> Result<(), SpoolError> {
        if !self.notes.take(note) {
            return Ok(());
        }
        let noted: Vec<_> = self.recordings.values_mut().map(|spooled| spooled.note(note)).collect();
        noted.into_iter().collect()
    }

    /// What earlier starts noted about the packets that are still here, without holes: a recorder that is told all of
    /// it, in this order, can place them.
    #[must_use]
    pub fn earlier(&self) -> Vec<Note> {
        let mut all = Notes::default();
        for note in self.recordings.values().flat_map(|spooled| spooled.notes().iter()) {
            let current = self.notes.of(note.segment()).next().is_some();
            if !current && !matches!(note, Note::Hole(_)) {
                all.take(&note);
            }
        }
        all.iter().collect()
    }

    /// What devices never delivered of a recording, as far as it lies behind or between what is held, in order.
    #[must_use]
    pub fn holes(&self, recording: RecordingId) -> Vec<Hole> {
        let Some(spooled) = self.recordings.get(&recording) else { return Vec::new() };
        let mut holes: Vec<Hole> = Vec::new();
        for hole in spooled.notes().holes().chain(self.notes.holes()) {
            if !holes.contains(&hole) && spooled.reaches(hole.range) {
                holes.push(hole);
            }
        }
        holes
    }

    /// The packets that hold some of a range, in order.
    ///
    /// # Errors
    /// If the disk fails. Packets that are damaged are left out, and from the inventory as well.
    pub fn read(&mut self, recording: RecordingId, range: IndexRange) -> Result<Vec<Packet>, SpoolError> {
        self.recordings.get_mut(&recording).map_or_else(|| Ok(Vec::new()), |spooled| spooled.packets(range))
    }

    /// What is there of a recording, in order.
    #[must_use]
    pub fn inventory(&self, recording: RecordingId) -> Vec<IndexRange> {
        self.coverage(recording).map_or_else(Vec::new, |held| held.iter().collect())
    }

    /// The same as a set.
    #[must_use]
    pub fn coverage(&self, recording: RecordingId) -> Option<&Coverage> {
        self.recordings.get(&recording).map(Spooled::held)
    }

    /// The recordings that the spool holds something of.
    #[must_use]
    pub fn recordings(&self) -> Vec<RecordingId> {
        self.recordings.keys().copied().collect()
    }

    /// The recording is safe in the bucket: its packets go, for good.
    ///
    /// # Errors
    /// If the disk fails; nothing comes back all the same.
    pub fn archive(&mut self, recording: RecordingId) -> Result<(), SpoolError> {
        self.forget(recording, "archived")
    }

    /// The recording was cancelled or taken back: its packets go, for good, and none is taken any more.
    ///
    /// # Errors
    /// If the disk fails; nothing comes back all the same.
    pub fn discard(&mut self, recording: RecordingId) -> Result<(), SpoolError> {
        self.forget(recording, "discarded")
    }

    /// What is to go to keep everybody's spool within the limits, oldest first: say so, then [`Self::expire`] it.
    /// Recordings that `in_use` names stay.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn overdue(
        &self,
        limits: &Limits,
        wall_ns: i64,
        in_use: impl Fn(RecordingId) -> bool,
    ) -> Result<Vec<Stored>, SpoolError> {
        overdue(&self.root, limits, wall_ns, |stored| stored.recorder == self.recorder && in_use(stored.recording))
    }

    /// Drops a recording that was kept for long enough, whoever's it is, for good.
    ///
    /// # Errors
    /// If the disk fails; nothing comes back all the same.
    pub fn expire(&mut self, stored: &Stored) -> Result<(), SpoolError> {
        if stored.recorder == self.recorder {
            return self.forget(stored.recording, "expired");
        }
        bury(&self.root.join(folder_name(stored.recorder)), stored.recording, "expired")
    }

    /// Everything appended so far survives a power cut from here on; about once a second it does so anyway.
    ///
    /// # Errors
    /// If the disk fails: then a file that could not be flushed is closed, and the next packet goes to a new one.
    pub fn flush(&mut self) -> Result<(), SpoolError> {
        let flushed: Vec<_> = self.recordings.values_mut().map(Spooled::flush).collect();
        flushed.into_iter().collect()
    }

    fn forget(&mut self, recording: RecordingId, why: &str) -> Result<(), SpoolError> {
        self.gone.insert(recording);
        self.recordings.remove(&recording);
        bury(&self.dir, recording, why)
    }
}

/// A recorder's directory.
fn folder_name(recorder: [u8; 16]) -> String {
    recorder.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Removes a recording from a recorder's directory so that it cannot come back.
fn bury(dir: &Path, recording: RecordingId, why: &str) -> Result<(), SpoolError> {
    // The tombstone first: a crash in between must not bring anything back. Its name is what counts.
    let tombstone = dir.join(format!("{recording}.{GONE}"));
    write_synced(&tombstone, why.as_bytes())?;
    let dir = dir.join(recording.to_string());
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("removed", dir)(error)),
        _ => Ok(()),
    }
}

/// Checks the directory's pin, or writes it.
fn pin(dir: &Path, recorder: String) -> Result<(), SpoolError> {
    let path = dir.join(PIN);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let pin = serde_json::to_vec(&Pin { schema: SCHEMA, recorder }).expect("a plain struct");
            return write_synced(&path, &pin);
        }
        Err(error) => return Err(failed("read", path)(error)),
    };
    // Looked at alone: a later version may have other fields.
    if serde_json::from_slice::<Version>(&text).is_ok_and(|found| found.schema > SCHEMA) {
        return Err(SpoolError::NewerVersion { path });
    }
    match serde_json::from_slice::<Pin>(&text) {
        Ok(pin) if pin.recorder != recorder => Err(SpoolError::WrongRecorder { path }),
        Ok(_) => Ok(()),
        // The directory's name says the same: a pin that a power cut left unfinished is written again.
        Err(_) => {
            let pin = serde_json::to_vec(&Pin { schema: SCHEMA, recorder }).expect("a plain struct");
            write_synced(&path, &pin)
        }
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), SpoolError> {
    write_whole(&SystemDisk, path, bytes).map_err(failed("written", path))
}
