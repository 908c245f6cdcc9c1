//! One append-only file of packets.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use roomtone_packets::{Packet, Record, Scanned, Scanner, encode};

use super::{SpoolError, failed};

/// Bytes read at a time.
const PIECE: usize = 64 * 1024;

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct PacketFile {
    file: File,
    path: PathBuf,
    length: u64,
    dirty: bool,
    record: Vec<u8>,
}

impl PacketFile {
    /// A new file; the name must be free.
    pub(crate) fn create(path: &Path) -> Result<Self, SpoolError> {
        let file = OpenOptions::new().append(true).create_new(true).open(path).map_err(failed("created", path))?;
        Ok(Self { file, path: path.to_owned(), length: 0, dirty: false, record: Vec::new() })
    }

    /// Appends a packet; tells where it lies and how long it is. After an error the file must be left alone: what is
    /// behind its last whole record is for the scanner to skip.
    pub(crate) fn append(&mut self, packet: &Packet) -> Result<(u64, u64), SpoolError> {
        self.record.clear();
        encode(&Record::Packet(packet.clone()), &mut self.record);
        self.file.write_all(&self.record).map_err(failed("written", &self.path))?;
        let (offset, bytes) = (self.length, self.record.len() as u64);
        self.length += bytes;
        self.dirty = true;
        Ok((offset, bytes))
    }

    /// Everything appended survives a power cut from here on.
    pub(crate) fn flush(&mut self) -> Result<(), SpoolError> {
        if self.dirty {
            self.file.sync_data().map_err(failed("flushed to disk", &self.path))?;
            self.dirty = false;
        }
        Ok(())
    }
}

/// What a file holds between two of its bytes.
pub(crate) struct Found {
    pub(crate) packet: Packet,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// Gives every packet of `bytes` bytes from `offset` on to `found`; tells whether all of them belonged to records.
pub(crate) fn scan(path: &Path, offset: u64, bytes: u64, mut found: impl FnMut(Found)) -> Result<bool, SpoolError> {
    let mut file = File::open(path).map_err(failed("opened", path))?;
    file.seek(SeekFrom::Start(offset)).map_err(failed("read", path))?;
    let mut file = file.take(bytes);
    let mut scanner = Scanner::new(offset);
    let mut piece = vec![0; PIECE];
    let mut whole = true;
    let mut see = |scanned: Scanned| match scanned {
        Scanned::Record { offset, bytes, record: Record::Packet(packet) } => {
            found(Found { packet, offset, bytes: u64::from(bytes) });
        }
        Scanned::Record { .. } | Scanned::Unknown { .. } => {}
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
