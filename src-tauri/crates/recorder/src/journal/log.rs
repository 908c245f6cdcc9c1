//! Append-only files of records: one stem, one or more files.
//!
//! There is a second file only where writing to the first one failed. A file that failed once is never written to
//! again, because nobody can tell what of its dirty pages the system has thrown away.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use roomtone_disk::{AppendFile, Disk, is_full};
use roomtone_packets::{Record, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::JournalError;
use super::files::{cut_tail, file_name, of_stem, scan};
use super::header;

/// Where a record lies: in which of a log's files, at what byte, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: u32,
    pub(super) offset: u64,
    pub(super) bytes: u32,
}

/// The folder of a journal, and the disk that it lies on.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
}

/// A record that was not written.
#[derive(Debug)]
pub(super) struct Unwritten {
    pub(super) error: JournalError,
    /// What was appended before is durable: the disk was full, and has kept what it had taken.
    pub(super) rest_is_durable: bool,
}

#[derive(Debug)]
pub(super) struct Log {
    folder: Folder,
    stem: String,
    header: Vec<u8>,
    files: Vec<PathBuf>,
    /// The number in the next file's name.
    next: u32,
    /// Something was to be written already, whether or not there is a file for it.
    begun: bool,
    /// The last of `files`, unless writing to it failed.
    open: Option<Open>,
    /// Reused for encoding.
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    file: Box<dyn AppendFile>,
    length: u64,
    /// Something was written since the last fsync.
    dirty: bool,
    /// The folder's entry may not be on the disk yet.
    new: bool,
}

impl Log {
    /// A log without a file yet; the first append makes one.
    pub(super) fn new<H: Serialize>(folder: Folder, stem: String, header: &H) -> Self {
        let header = header::encode(header);
        Self { folder, stem, header, files: Vec::new(), next: 1, begun: false, open: None, scratch: Vec::new() }
    }

    /// Reads all files of a stem among `names`, cuts their torn tails and stands ready to append to the last one. Gives
    /// the header of the first file that still has one. A disk that cannot be written to is found out by the next append.
    pub(super) fn open<H: Serialize + DeserializeOwned>(
        folder: Folder,
        names: &[String],
        stem: String,
        fallback: Option<&H>,
        mut on_record: impl FnMut(Place, Record),
    ) -> Result<(Self, Option<H>), JournalError> {
        let (disk, numbered) = (Arc::clone(&folder.disk), of_stem(&folder.dir, names, &stem));
        let next = numbered.last().map_or(1, |(number, _)| number.saturating_add(1));
        let mut first = None;
        let mut open = None;
        for (file, (_, path)) in (0..).zip(&numbered) {
            let scanned =
                scan::<H>(&*disk, path, |offset, bytes, record| on_record(Place { file, offset, bytes }, record))?;
            let dirty = scanned.length < scanned.total;
            open = cut_tail(&*disk, path, &scanned).map(|file| Open { file, length: scanned.length, dirty, new: true });
            first = first.or(scanned.header);
        }
        let header = first.as_ref().or(fallback).map(header::encode).unwrap_or_default();
        // A file cut down to nothing gets its header back.
        open = open.and_then(|mut open| {
            let whole = open.length > 0 || open.write(&header).is_ok();
            whole.then_some(open)
        });
        let files: Vec<_> = numbered.into_iter().map(|(_, path)| path).collect();
        let begun = !files.is_empty();
        Ok((Self { folder, stem, header, files, next, begun, open, scratch: Vec::new() }, first))
    }

    /// Whether the next append begins a new file.
    pub(super) fn is_closed(&self) -> bool {
        self.open.is_none()
    }

    /// Whether something was to be written before, and there is no file any more that takes it, or there never was.
    pub(super) fn has_failed(&self) -> bool {
        self.open.is_none() && self.begun
    }

    /// The files, for readers with descriptors of their own.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Where the files lie.
    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.folder.disk
    }

    /// The same, for readers that outlive the log.
    pub(super) fn shared_disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.folder.disk)
    }

    /// Writes one record. After an error the file is closed for good.
    pub(super) fn append(&mut self, record: &Record) -> Result<Place, Unwritten> {
        self.append_all(&[record]).map(|places| places[0])
    }

    /// Writes records at once, all or none of them. After an error the file is closed for good.
    pub(super) fn append_all(&mut self, records: &[&Record]) -> Result<Vec<Place>, Unwritten> {
        if self.open.is_none() {
            self.begin_file().map_err(|error| Unwritten { error, rest_is_durable: false })?;
        }
        let file = u32::try_from(self.files.len() - 1).expect("fewer files than numbers for their names");
        let path = self.files.last().expect("a log that is open has a file");
        let open = self.open.as_mut().expect("opened above");
        self.scratch.clear();
        let mut places = Vec::with_capacity(records.len());
        for record in records {
            let before = self.scratch.len();
            encode(record, &mut self.scratch);
            let bytes = u32::try_from(self.scratch.len() - before).expect("records are bounded by their framing");
            places.push(Place { file, offset: open.length + before as u64, bytes });
        }
        if let Err(error) = open.write(&self.scratch) {
            // A full disk refuses what is new. About what it took before, it can be asked; other failures leave doubt.
            let rest_is_durable = is_full(&error) && open.sync(&self.folder).is_ok();
            let error = JournalError::io(path)(error);
            self.open = None;
            return Err(Unwritten { error, rest_is_durable });
        }
        Ok(places)
    }

    /// Everything appended is on the disk when this returns. After an error the file is closed for good.
    pub(super) fn sync(&mut self) -> Result<(), JournalError> {
        let (Some(open), Some(path)) = (&mut self.open, self.files.last()) else { return Ok(()) };
        let result = open.sync(&self.folder).map_err(JournalError::io(path));
        if result.is_err() {
            self.open = None;
        }
        result
    }

    /// Makes durable what an earlier run of the program left unsynced; whether it could be done. Where it could not,
    /// nothing more is written to these files.
    pub(super) fn sync_all_files(&mut self) -> bool {
        let Folder { disk, dir } = &self.folder;
        let synced = self.files.iter().try_for_each(|path| disk.open(path)?.sync()).and_then(|()| disk.sync_dir(dir));
        match (&synced, &mut self.open) {
            (Ok(()), Some(open)) => (open.dirty, open.new) = (false, false),
            (Ok(()), None) => {}
            (Err(error), _) => {
                tracing::warn!(%error, "what an earlier run left in a journal cannot be made durable");
                self.open = None;
            }
        }
        synced.is_ok()
    }

    /// Reads all records once more.
    pub(super) fn replay(&self, on_record: &mut dyn FnMut(Record)) -> Result<(), JournalError> {
        for path in &self.files {
            scan::<serde::de::IgnoredAny>(self.disk(), path, |_, _, record| on_record(record))?;
        }
        Ok(())
    }

    /// Begins the first file, or the next one after a failure.
    pub(super) fn begin_file(&mut self) -> Result<(), JournalError> {
        self.begun = true;
        let Folder { disk, dir } = &self.folder;
        let path = dir.join(file_name(&self.stem, self.next));
        let file = disk.create(&path).map_err(JournalError::io(&path))?;
        // The name counts from here on, also if the header cannot be written: a name is used once.
        self.files.push(path.clone());
        self.next = self.next.saturating_add(1);
        let mut open = Open { file, length: 0, dirty: false, new: true };
        open.write(&self.header).map_err(JournalError::io(&path))?;
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.dirty = true;
        self.file.append(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self, folder: &Folder) -> io::Result<()> {
        if self.dirty {
            self.file.sync()?;
            self.dirty = false;
        }
        if self.new {
            folder.disk.sync_dir(&folder.dir)?;
            self.new = false;
        }
        Ok(())
    }
}
