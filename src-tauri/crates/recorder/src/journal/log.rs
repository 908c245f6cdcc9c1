//! Append-only files of records: one stem, one or more files.
//!
//! There is a second file only where writing to the first one failed. A descriptor that failed once is never written to
//! again, because nobody can tell what of its dirty pages the system has thrown away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use roomtone_packets::{Record, Scanned, Scanner, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::header::{self, MAX_HEADER_BYTES};
use super::{EXTENSION, JournalError};

/// Bytes read at once while scanning.
const SCAN_BYTES: usize = 64 * 1024;

/// Where a record lies: in which of a log's files, at what byte, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: u16,
    pub(super) offset: u64,
    pub(super) bytes: u32,
}

#[derive(Debug)]
pub(super) struct Log {
    dir: PathBuf,
    stem: String,
    header: Vec<u8>,
    files: Vec<PathBuf>,
    /// The last of `files`, unless writing to it failed.
    open: Option<Open>,
    /// Reused for encoding.
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
    /// Something was written since the last fsync.
    dirty: bool,
    /// The folder's entry may not be on the disk yet.
    new: bool,
}

impl Log {
    /// A log without a file yet; the first append makes one.
    pub(super) fn new<H: Serialize>(dir: &Path, stem: String, header: &H) -> Self {
        Self {
            dir: dir.to_owned(),
            stem,
            header: header::encode(header),
            files: Vec::new(),
            open: None,
            scratch: Vec::new(),
        }
    }

    /// Reads all files of a stem, cuts their torn tails and stands ready to append to the last one.
    /// Gives the header of the first file that still has one.
    pub(super) fn open<H: Serialize + DeserializeOwned>(
        dir: &Path,
        stem: String,
        fallback: Option<&H>,
        mut on_record: impl FnMut(Place, Record),
    ) -> Result<(Self, Option<H>), JournalError> {
        let files = existing(dir, &stem);
        let mut first = None;
        let mut open = None;
        for (number, path) in files.iter().enumerate() {
            let file = u16::try_from(number).unwrap_or(u16::MAX);
            let (header, opened) =
                scan::<H>(path, |offset, bytes, record| on_record(Place { file, offset, bytes }, record))?;
            first = first.or(header);
            open = Some(opened);
        }
        let header = first.as_ref().or(fallback).map(header::encode).unwrap_or_default();
        let mut log = Self { dir: dir.to_owned(), stem, header, files, open, scratch: Vec::new() };
        // A file cut down to nothing gets its header back.
        if let Some(open) = &mut log.open
            && open.length == 0
            && let Some(path) = log.files.last()
        {
            open.write(&log.header).map_err(JournalError::io(path))?;
        }
        Ok((log, first))
    }

    /// Whether the next append begins a new file.
    pub(super) fn is_closed(&self) -> bool {
        self.open.is_none()
    }

    /// The files, for readers with descriptors of their own.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Writes one record. After an error the file is closed for good.
    pub(super) fn append(&mut self, record: &Record) -> Result<Place, JournalError> {
        if self.open.is_none() {
            self.begin_file()?;
        }
        let file = u16::try_from(self.files.len() - 1).unwrap_or(u16::MAX);
        let path = self.files.last().expect("a log that is open has a file");
        self.scratch.clear();
        encode(record, &mut self.scratch);
        let open = self.open.as_mut().expect("opened above");
        let offset = open.length;
        match open.write(&self.scratch) {
            Ok(()) => {
                let bytes = u32::try_from(self.scratch.len()).expect("records are bounded by their framing");
                Ok(Place { file, offset, bytes })
            }
            Err(error) => {
                let error = JournalError::io(path)(error);
                self.open = None;
                Err(error)
            }
        }
    }

    /// Everything appended is on the disk when this returns. After an error the file is closed for good.
    pub(super) fn sync(&mut self) -> Result<(), JournalError> {
        let (Some(open), Some(path)) = (&mut self.open, self.files.last()) else { return Ok(()) };
        let result = open.sync(&self.dir).map_err(JournalError::io(path));
        if result.is_err() {
            self.open = None;
        }
        result
    }

    /// Like [`Self::sync`], also for what an earlier run of the program left unsynced.
    pub(super) fn sync_all_files(&mut self) -> Result<(), JournalError> {
        for path in &self.files {
            let file = OpenOptions::new().append(true).open(path).map_err(JournalError::io(path))?;
            file.sync_data().map_err(JournalError::io(path))?;
        }
        if let Some(open) = &mut self.open {
            open.dirty = false;
        }
        Ok(())
    }

    /// Reads all records once more.
    pub(super) fn replay(&self, on_record: &mut dyn FnMut(Record)) -> Result<(), JournalError> {
        for path in &self.files {
            let mut file = File::open(path).map_err(JournalError::io(path))?;
            let mut scanner = Scanner::new(0);
            let mut bytes = vec![0; SCAN_BYTES];
            loop {
                let read = file.read(&mut bytes).map_err(JournalError::io(path))?;
                scanner.push(&bytes[..read]);
                let next = if read == 0 { Scanner::next_at_end } else { Scanner::next_scanned };
                while let Some(scanned) = next(&mut scanner) {
                    if let Scanned::Record { record, .. } = scanned {
                        on_record(record);
                    }
                }
                if read == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Every write fails from here on, as on a disk that went away.
    #[cfg(test)]
    pub(super) fn break_file(&mut self) {
        let path = self.files.last().expect("a log that was written to has a file");
        self.open.as_mut().expect("not broken yet").file = File::open(path).expect("it can be read");
    }

    /// Begins the first file, or the next one after a failure.
    pub(super) fn begin_file(&mut self) -> Result<(), JournalError> {
        let path = self.dir.join(file_name(&self.stem, self.files.len()));
        let file = OpenOptions::new().append(true).create_new(true).open(&path).map_err(JournalError::io(&path))?;
        // The name counts from here on, also if the header cannot be written: a name is used once.
        self.files.push(path.clone());
        let mut open = Open { file, length: 0, dirty: false, new: true };
        open.write(&self.header).map_err(JournalError::io(&path))?;
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.dirty = true;
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self, dir: &Path) -> io::Result<()> {
        if self.dirty {
            self.file.sync_data()?;
            self.dirty = false;
        }
        if self.new {
            sync_dir(dir)?;
            self.new = false;
        }
        Ok(())
    }
}

/// Makes a folder's entries durable, where the system has a way to say so.
#[cfg(unix)]
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes a folder's entries durable, where the system has a way to say so.
#[cfg(not(unix))]
pub(crate) fn sync_dir(_dir: &Path) -> io::Result<()> {
    Ok(())
}

fn file_name(stem: &str, number: usize) -> String {
    match number {
        0 => format!("{stem}.{EXTENSION}"),
        _ => format!("{stem}.{}.{EXTENSION}", number + 1),
    }
}

fn existing(dir: &Path, stem: &str) -> Vec<PathBuf> {
    (0..)
        .map(|number| dir.join(file_name(stem, number)))
        .take_while(|path| fs::symlink_metadata(path).is_ok())
        .collect()
}

/// Reads one file and cuts its tail.
fn scan<H: DeserializeOwned>(
    path: &Path,
    mut on_record: impl FnMut(u64, u32, Record),
) -> Result<(Option<H>, Open), JournalError> {
    let mut file = OpenOptions::new().read(true).append(true).open(path).map_err(JournalError::io(path))?;
    let mut bytes = Vec::new();
    (&file).take(MAX_HEADER_BYTES as u64).read_to_end(&mut bytes).map_err(JournalError::io(path))?;
    let decoded = header::decode::<H>(path, &bytes)?;
    let (header, records_from) = decoded.map_or((None, 0), |(header, length)| (Some(header), length));
    let mut scanner = Scanner::new(records_from);
    let mut total = bytes.len() as u64;
    bytes.drain(..usize::try_from(records_from).expect("a header fits in memory"));
    let mut take = |scanned: Scanned| match scanned {
        Scanned::Record { offset, bytes, record } => on_record(offset, bytes, record),
        Scanned::Unknown { offset, kind } => tracing::info!(kind, offset, "a record of a later version is skipped"),
        Scanned::Damage { from, to } => tracing::warn!(from, to, "damage in a journal; what it held will be missing"),
    };
    loop {
        scanner.push(&bytes);
        std::iter::from_fn(|| scanner.next_scanned()).for_each(&mut take);
        bytes.resize(SCAN_BYTES, 0);
        let read = file.read(&mut bytes).map_err(JournalError::io(path))?;
        bytes.truncate(read);
        total += read as u64;
        if read == 0 {
            break;
        }
    }
    std::iter::from_fn(|| scanner.next_at_end()).for_each(&mut take);
    let length = scanner.tail();
    if length < total {
        tracing::info!(length, cut = total - length, "the torn tail of a journal is cut");
        file.set_len(length).map_err(JournalError::io(path))?;
    }
    Ok((header, Open { file, length, dirty: length < total, new: false }))
}
