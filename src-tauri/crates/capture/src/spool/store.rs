//! The spool itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use roomtone_packets::{Coverage, Packet};
use roomtone_protocol::{IndexRange, RecordingId, WakeEpoch};
use serde::{Deserialize, Serialize};

use super::file::{Found, PacketFile, scan};
use super::index::Index;
use super::{SpoolError, failed};

/// Version of the spool's layout.
const SCHEMA: u32 = 1;

const PIN: &str = "recorder.json";
pub(super) const PACKETS: &str = "packets";
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
    dir: PathBuf,
    recordings: BTreeMap<RecordingId, Spooled>,
    /// Recordings that are over and done with.
    gone: BTreeSet<RecordingId>,
}

/// One recording's part of it.
#[derive(Debug, Default)]
struct Spooled {
    index: Index,
    /// Files of this recording; the index names them by their place here.
    files: Vec<PathBuf>,
    /// The file that grows, with its place and epoch. Files of earlier starts are never appended to.
    open: Option<(WakeEpoch, usize, PacketFile)>,
}

impl Spool {
    /// The spool in `dir` for the recorder whose key has this hash ([`roomtone_protocol::PublicKey::hash`]). What is on
    /// disk from earlier is scanned: unfinished tails are left out, damage is skipped.
    ///
    /// # Errors
    /// If the disk fails, or what is there belongs to another recorder or a newer version.
    pub fn open(dir: &Path, recorder: [u8; 16]) -> Result<Self, SpoolError> {
        let name: String = recorder.iter().map(|byte| format!("{byte:02x}")).collect();
        let dir = dir.join(&name);
        fs::create_dir_all(&dir).map_err(failed("created", &dir))?;
        pin(&dir, name)?;
        let mut spool = Self { dir, recordings: BTreeMap::new(), gone: BTreeSet::new() };
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
                fs::remove_dir_all(&path).map_err(failed("removed", &path))?;
            } else {
                spool.recordings.insert(recording, Spooled::read(&path)?);
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
        self.recordings.entry(recording).or_default().append(&dir, packet)
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
        self.recordings.get(&recording).map(|spooled| spooled.index.held())
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

    /// Everything appended so far survives a power cut from here on.
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
        // The tombstone first: a crash in between must not bring anything back.
        let tombstone = self.dir.join(format!("{recording}.{GONE}"));
        write_synced(&tombstone, why.as_bytes())?;
        let dir = self.dir.join(recording.to_string());
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("removed", dir)(error)),
            _ => Ok(()),
        }
    }
}

impl Spooled {
    fn read(dir: &Path) -> Result<Self, SpoolError> {
        let mut files = Vec::new();
        for entry in fs::read_dir(dir).map_err(failed("read", dir))? {
            let path = entry.map_err(failed("read", dir))?.path();
            if path.extension().is_some_and(|extension| extension == PACKETS) {
                files.push(path);
            }
        }
        files.sort();
        let mut spooled = Self { files, ..Self::default() };
        spooled.rescan()?;
        Ok(spooled)
    }

    fn rescan(&mut self) -> Result<(), SpoolError> {
        self.index = Index::default();
        for (place, path) in self.files.iter().enumerate() {
            scan(path, 0, u64::MAX, |Found { packet, offset, bytes }| {
                self.index.insert(&packet, place, offset, bytes);
            })?;
        }
        Ok(())
    }

    fn append(&mut self, dir: &Path, packet: &Packet) -> Result<bool, SpoolError> {
        if self.index.holds(packet) {
            return Ok(false);
        }
        let epoch = packet.segment.epoch;
        if self.open.as_ref().is_none_or(|(open, ..)| *open != epoch) {
            self.flush()?;
            self.open = Some(self.create(dir, epoch)?);
        }
        let Some((_, place, file)) = &mut self.open else { return Ok(false) };
        match file.append(packet) {
            Ok((offset, bytes)) => Ok(self.index.insert(packet, *place, offset, bytes)),
            Err(error) => {
                self.open = None;
                Err(error)
            }
        }
    }

    /// The next free name: `{epoch}-{n}`.
    fn create(&mut self, dir: &Path, epoch: WakeEpoch) -> Result<(WakeEpoch, usize, PacketFile), SpoolError> {
        fs::create_dir_all(dir).map_err(failed("created", dir))?;
        let name = |n: usize| dir.join(format!("{:010}-{n:04}.{PACKETS}", epoch.0));
        let path = (0..).map(name).find(|path| !path.exists()).expect("a free number among all numbers");
        let file = PacketFile::create(&path)?;
        self.files.push(path);
        Ok((epoch, self.files.len() - 1, file))
    }

    fn packets(&mut self, range: IndexRange) -> Result<Vec<Packet>, SpoolError> {
        let mut packets = Vec::new();
        let mut whole = true;
        for run in self.index.runs(range) {
            whole &= scan(&self.files[run.file], run.offset, run.bytes, |Found { packet, .. }| {
                let held = packet.range();
                if held.segment == range.segment && held.from < range.to && held.to > range.from {
                    packets.push(packet);
                }
            })?;
        }
        if !whole {
            self.rescan()?;
        }
        Ok(packets)
    }

    fn flush(&mut self) -> Result<(), SpoolError> {
        let flushed = self.open.as_mut().map_or(Ok(()), |(.., file)| file.flush());
        if flushed.is_err() {
            // What a failed fsync left behind nobody knows: it is not tried again on the same descriptor.
            self.open = None;
        }
        flushed
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
    let mut file = fs::File::create(path).map_err(failed("created", path))?;
    file.write_all(bytes).map_err(failed("written", path))?;
    file.sync_all().map_err(failed("flushed to disk", path))
}
