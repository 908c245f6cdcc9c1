//! One append-only file of packets and of notes about them.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use roomtone_packets::{Packet, Record, Scanned, Scanner, encode};

use super::sync::{Growing, Syncing};
use super::{SpoolError, failed};

/// Bytes read at a time.
const PIECE: usize = 64 * 1024;

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct PacketFile {
    file: Arc<Growing>,
    path: PathBuf,
    length: u64,
    record: Vec<u8>,
}

impl PacketFile {
    /// A new file; the name must be free.
    pub(crate) fn create(path: &Path, syncing: &Syncing) -> Result<Self, SpoolError> {
        let file = OpenOptions::new().append(true).create_new(true).open(path).map_err(failed("created", path))?;
        let file = Growing::new(file, path);
        syncing.watch(&file);
        Ok(Self { file, path: path.to_owned(), length: 0, record: Vec::new() })
    }

    /// Appends a record; tells where it lies and how long it is. After an error the file must be left alone: what is
    /// behind its last whole record is for the scanner to skip.
    pub(crate) fn append(&mut self, record: &Record) -> Result<(u64, u64), SpoolError> {
        self.record.clear();
        encode(record, &mut self.record);
        // In one write: a program that is killed in between leaves all of it or nothing.
        (&self.file.file).write_all(&self.record).map_err(failed("written", &self.path))?;
        let (offset, bytes) = (self.length, self.record.len() as u64);
        self.length += bytes;
        self.file.grew();
        Ok((offset, bytes))
    }

    /// Whether it could not be flushed at some time.
    pub(crate) fn has_failed(&self) -> bool {
        self.file.has_failed()
    }

    /// Whether no whole record went into it.
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Removes the file.
    pub(crate) fn remove(self) -> Result<(), SpoolError> {
        std::fs::remove_file(&self.path).map_err(failed("removed", &self.path))
    }

    /// Everything appended survives a power cut from here on.
    pub(crate) fn flush(&self) -> Result<(), SpoolError> {
        self.file.flush().map_err(failed("flushed to disk", &self.path))
    }
}

/// What a file holds between two of its bytes.
pub(crate) enum Found {
    Packet { packet: Packet, offset: u64, bytes: u64 },
    Other(Record),
}

/// Gives every record of `bytes` bytes from `offset` on to `found`; tells whether all of them belonged to records.
pub(crate) fn scan(path: &Path, offset: u64, bytes: u64, mut found: impl FnMut(Found)) -> Result<bool, SpoolError> {
    let mut file = File::open(path).map_err(failed("opened", path))?;
    file.seek(SeekFrom::Start(offset)).map_err(failed("read", path))?;
    let mut file = file.take(bytes);
    let mut scanner = Scanner::new(offset);
    let mut piece = vec![0; PIECE];
    let mut whole = true;
    let mut see = |scanned: Scanned| match scanned {
        Scanned::Record { offset, bytes, record: Record::Packet(packet) } => {
            found(Found::Packet { packet, offset, bytes: u64::from(bytes) });
        }
        Scanned::Record { record, .. } => found(Found::Other(record)),
        Scanned::Unknown { .. } => {}
        Scanned::Damage { from, to } => {
            whole = false;
            tracing::warn!(bytes = to - from, "damage in a spool was skipped");
        }
    };
    let mut seen = 0;
    loop {
        let read = file.read(&mut piece).map_err(failed("read", path))?;
        if read == 0 {
            break;
        }
        seen += read as u64;
        scanner.push(&piece[..read]);
        while let Some(scanned) = scanner.next_scanned() {
            see(scanned);
        }
    }
    while let Some(scanned) = scanner.next_at_end() {
        see(scanned);
    }
    Ok(whole && scanner.tail() == offset + seen)
}
