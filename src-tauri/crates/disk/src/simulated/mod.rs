//! A disk in memory that does to a program what disks do: fail, fill up, and lose power.
//!
//! It is stricter than most real ones: no name survives without a sync of its folder, and no byte without a sync of its
//! file. It panics where a program breaks the rule of [`crate::AppendFile`] and goes on with a file that failed.

mod cut;
mod file;
mod places;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use cut::Cut;
pub use places::Entry;

use crate::{AppendFile, Disk, ReadFile};
use file::{Content, Handle, Reader};

/// What goes wrong with an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No space left. Of what was to be appended, this many thousandths reach the file.
    Full {
        /// 0 to 1000.
        written: u16,
    },
    /// Input/output error. Of what was to be appended, this many thousandths reach the file.
    Io {
        /// 0 to 1000.
        written: u16,
    },
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::Full { .. } => io::Error::from(io::ErrorKind::StorageFull),
            Self::Io { .. } => io::Error::other("input/output error"),
        }
    }

    fn written(self) -> usize {
        match self {
            Self::Full { written } | Self::Io { written } => usize::from(written.min(1_000)),
        }
    }
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// All there ever were, by number.
    contents: Vec<Content>,
    /// What programs see.
    names: BTreeMap<PathBuf, Name>,
    /// What a power cut leaves of it.
    durable_names: BTreeMap<PathBuf, Name>,
    /// Operations that could have failed so far.
    operations: u64,
    /// Which of them fail, and how.
    fails: Vec<Failing>,
    /// Counts power cuts: what was opened before one is dead.
    power: u64,
}

/// Operations that fail.
#[derive(Debug)]
struct Failing {
    /// Those on paths with this in them.
    within: String,
    /// Counted among those, from 0.
    which: std::ops::Range<u64>,
    fault: Fault,
    /// So many of those there were.
    seen: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Folder,
    File(usize),
}

impl SimulatedDisk {
    /// An empty disk that works.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many operations could have failed so far: every create, append, sync, truncate, rename, remove, making and
    /// syncing of a folder counts as one, also if it failed.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Lets these operations fail, counted from 0.
    pub fn fail(&self, operations: std::ops::Range<u64>, fault: Fault) {
        let mut state = self.state();
        let seen = state.operations;
        state.fails.push(Failing { within: String::new(), which: operations, fault, seen });
    }

    /// Lets some of the operations from now on fail whose path has `within` in it, counted from 0.
    pub fn fail_within(&self, within: &str, operations: std::ops::Range<u64>, fault: Fault) {
        self.state().fails.push(Failing { within: within.to_owned(), which: operations, fault, seen: 0 });
    }

    /// Everything works again.
    pub fn mend(&self) {
        self.state().fails.clear();
    }

    /// The power is cut and comes back. Files that are open are dead.
    pub fn power_cut(&self, cut: Cut) {
        cut::apply(&mut self.state(), cut);
    }

    /// How often the power was cut.
    #[must_use]
    pub fn power_cuts(&self) -> u64 {
        self.state().power
    }

    /// The bytes of a file.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        match state.names.get(path) {
            Some(&Name::File(number)) => Some(state.contents[number].now.clone()),
            _ => None,
        }
    }

    /// Puts a file there as it is, name and bytes durable.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        state.contents.push(Content {
            now: bytes.to_vec(),
            durable: bytes.to_vec(),
            same: bytes.len(),
            ..Content::default()
        });
        let name = Name::File(state.contents.len() - 1);
        state.names.insert(path.to_owned(), name);
        state.durable_names.insert(path.to_owned(), name);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked looks at nothing else.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts an operation; the fault that it meets.
    fn meets(&mut self, path: &Path) -> Option<Fault> {
        self.operations += 1;
        let path = path.to_string_lossy();
        let mut met = None;
        for failing in self.fails.iter_mut().filter(|failing| path.contains(&failing.within)) {
            let fails = failing.which.contains(&failing.seen);
            failing.seen += 1;
            met = met.or(fails.then_some(failing.fault));
        }
        met
    }

    fn count(&mut self, path: &Path) -> io::Result<()> {
        self.meets(path).map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn folder(&self, dir: &Path) -> io::Result<()> {
        let root = dir.parent().is_none() || dir.as_os_str().is_empty();
        if root || self.names.get(dir) == Some(&Name::Folder) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(&Name::File(number)) => Ok(number),
            Some(Name::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Disk for SimulatedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let number = self.create_numbered(path)?;
        let power = self.state().power;
        Ok(Box::new(Handle::new(self.clone(), number, power)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let state = self.state();
        let number = state.file(path)?;
        Ok(Box::new(Handle::new(self.clone(), number, state.power)))
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let number = self.state().file(path)?;
        Ok(Box::new(Reader { disk: self.clone(), number }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.rename_file(from, to, true)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.count(path)?;
        state.file(path)?;
        state.names.remove(path);
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let state = self.state();
        state.folder(dir)?;
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| path.file_name()).map(ToOwned::to_owned).collect())
    }

    fn exists(&self, path: &Path) -> bool {
        let state = self.state();
        state.names.contains_key(path) || state.folder(path).is_ok()
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.count(dir)?;
        state.folder(dir.parent().unwrap_or(Path::new("")))?;
        match state.names.get(dir) {
            None | Some(Name::Folder) => {
                state.names.insert(dir.to_owned(), Name::Folder);
                Ok(())
            }
            Some(Name::File(_)) => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.count(dir)?;
        state.folder(dir)?;
        let State { names, durable_names, .. } = &mut *state;
        durable_names.retain(|path, _| path.parent() != Some(dir));
        let inside = names.iter().filter(|(path, _)| path.parent() == Some(dir));
        durable_names.extend(inside.map(|(path, name)| (path.clone(), *name)));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
