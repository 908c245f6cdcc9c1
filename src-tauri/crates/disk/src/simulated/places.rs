//! What programs do to files that [`Disk`](crate::Disk) has no word for: written at any place, known by a number whatever
//! they are called. A mounted disk needs it, to which whole programs write.

use std::io;
use std::path::Path;

use super::{Content, Name, SimulatedDisk, State};

/// What is under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Folder,
    /// A file, by its number: the same for as long as it exists, whatever it is called.
    File(usize),
}

impl SimulatedDisk {
    /// What is there under a name. The root always is.
    #[must_use]
    pub fn entry(&self, path: &Path) -> Option<Entry> {
        if path.parent().is_none() {
            return Some(Entry::Folder);
        }
        self.state().names.get(path).map(|name| match name {
            Name::Folder => Entry::Folder,
            Name::File(number) => Entry::File(*number),
        })
    }

    /// Makes an empty file, and answers its number. One operation.
    ///
    /// # Errors
    /// `AlreadyExists`, `NotFound` without its folder, or the fault that it meets.
    pub fn create_numbered(&self, path: &Path) -> io::Result<usize> {
        let mut state = self.state();
        state.count(path)?;
        state.folder(path.parent().unwrap_or(Path::new("")))?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.contents.push(Content::default());
        let number = state.contents.len() - 1;
        state.names.insert(path.to_owned(), Name::File(number));
        Ok(number)
    }

    /// Bytes of a file.
    #[must_use]
    pub fn len_of(&self, number: usize) -> usize {
        self.state().contents[number].now.len()
    }

    /// Reads up to `count` bytes from `offset` on; fewer at the end.
    #[must_use]
    pub fn read_numbered(&self, number: usize, offset: usize, count: usize) -> Vec<u8> {
        let state = self.state();
        let content = &state.contents[number].now;
        let from = offset.min(content.len());
        content[from..from.saturating_add(count).min(content.len())].to_vec()
    }

    /// Writes at a place. One operation; after an error some of it may stand there. Answers how many bytes were written:
    /// fewer than given where the disk was full or failed in between, as `write(2)` does.
    ///
    /// # Errors
    /// The fault that it meets, if nothing was written.
    pub fn write_numbered(&self, number: usize, offset: usize, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        let fault = state.meets_numbered(number);
        let written = fault.map_or(bytes.len(), |fault| bytes.len() * fault.written() / 1_000);
        match fault {
            Some(fault) if written == 0 => Err(fault.error()),
            _ => {
                state.contents[number].put(offset, &bytes[..written]);
                Ok(written)
            }
        }
    }

    /// Cuts a file, or lets it go on with zeros. One operation.
    ///
    /// # Errors
    /// The fault that it meets.
    pub fn set_len_numbered(&self, number: usize, length: usize) -> io::Result<()> {
        let mut state = self.state();
        state.meets_numbered(number).map_or(Ok(()), |fault| Err(fault.error()))?;
        state.contents[number].set_len(length);
        Ok(())
    }

    /// Syncs a file. One operation.
    ///
    /// # Errors
    /// The fault that it meets; then what was dirty is lost, as the system does it.
    pub fn sync_numbered(&self, number: usize) -> io::Result<()> {
        let mut state = self.state();
        match state.meets_numbered(number) {
            None => {
                state.contents[number].sync();
                Ok(())
            }
            Some(fault) => {
                state.contents[number].lose();
                Err(fault.error())
            }
        }
    }

    /// Gives a file another name, in place of whatever file had it only with `replace`. One operation.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` without `replace`; `Unsupported` where one of the two is a folder; or the fault that it
    /// meets.
    pub fn rename_file(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        let mut state = self.state();
        state.count(to)?;
        state.folder(to.parent().unwrap_or(Path::new("")))?;
        let moving = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        match (moving, state.names.get(to)) {
            (Name::Folder, _) | (_, Some(Name::Folder)) => return Err(io::ErrorKind::Unsupported.into()),
            (Name::File(_), Some(Name::File(_))) if !replace => return Err(io::ErrorKind::AlreadyExists.into()),
            (Name::File(_), _) => {}
        }
        state.names.remove(from);
        state.names.insert(to.to_owned(), moving);
        Ok(())
    }

    /// Gives a file a second name. One operation.
    ///
    /// # Errors
    /// `AlreadyExists`, `NotFound` without its folder, or the fault that it meets.
    pub fn link_numbered(&self, number: usize, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.count(path)?;
        state.folder(path.parent().unwrap_or(Path::new("")))?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.names.insert(path.to_owned(), Name::File(number));
        Ok(())
    }

    /// Removes an empty folder. One operation.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`, `DirectoryNotEmpty`, or the fault that it meets.
    pub fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.count(path)?;
        match state.names.get(path) {
            None => return Err(io::ErrorKind::NotFound.into()),
            Some(Name::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
            Some(Name::Folder) if !state.is_empty(path) => return Err(io::ErrorKind::DirectoryNotEmpty.into()),
            Some(Name::Folder) => state.names.remove(path),
        };
        Ok(())
    }
}

impl State {
    fn is_empty(&self, folder: &Path) -> bool {
        !self.names.keys().any(|path| path.parent() == Some(folder))
    }

    /// Counts an operation on a file, by any of its names.
    pub(super) fn meets_numbered(&mut self, number: usize) -> Option<super::Fault> {
        let named = self.names.iter().find(|(_, name)| **name == Name::File(number));
        let path = named.map(|(path, _)| path.clone()).unwrap_or_default();
        self.meets(&path)
    }
}
