//! Room on the disk that is kept for the end of a recording.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// 64 MiB: what still comes after a disk is full is the last second of packets, a few notes, metadata and the upload's
/// records, some hundred kilobytes; and where something else than Roomtone filled the disk, the file: a minute and a half
/// of four people.
pub const RESERVE_BYTES: u64 = 64 << 20;

/// A file that takes room, and is removed when room runs out. Clones are the same file.
#[derive(Debug, Clone)]
pub struct Reserve {
    path: PathBuf,
    bytes: u64,
    /// Held while room is taken, given free, or looked at.
    turn: Arc<Mutex<()>>,
}

impl Reserve {
    /// A reserve at `path`, of [`RESERVE_BYTES`]. Nothing is held yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self::of_bytes(path, RESERVE_BYTES)
    }

    fn of_bytes(path: PathBuf, bytes: u64) -> Self {
        Self { path, bytes, turn: Arc::default() }
    }

    /// Takes the room, unless it is held already.
    ///
    /// # Errors
    /// What the system says; no part of the room is held then.
    pub fn hold(&self) -> io::Result<()> {
        let _turn = self.turn();
        if self.is_held() {
            return Ok(());
        }
        let taken = self.take();
        if taken.is_err() {
            self.remove()?;
        }
        taken
    }

    /// Looks at something while room is neither taken nor given free: what it saw, and the bytes that were held meanwhile.
    /// The free space of the disk, seen at any other time, may lack a reserve that does not count as held yet.
    pub fn beside<T>(&self, look: impl FnOnce() -> T) -> (T, u64) {
        let _turn = self.turn();
        let held = if self.is_held() { self.bytes } else { 0 };
        (look(), held)
    }

    /// Whether the room is held.
    #[must_use]
    pub fn is_held(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|file| file.len() == self.bytes)
    }

    /// Nothing is left half done by a panic: the file itself tells what is held.
    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the room free; whether there was any.
    ///
    /// # Errors
    /// What the system says.
    pub fn release(&self) -> io::Result<bool> {
        let _turn = self.turn();
        self.remove()
    }

    fn remove(&self) -> io::Result<bool> {
        match fs::remove_file(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn take(&self) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&self.path)?;
        if allocate(&file, self.bytes)? {
            return Ok(());
        }
        // Noise: file systems that compress would hold next to nothing for zeros.
        let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
        let mut block = Vec::with_capacity(BLOCK);
        let mut left = self.bytes;
        while left > 0 {
            block.clear();
            while block.len() < BLOCK {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                block.extend_from_slice(&noise.to_le_bytes());
            }
            let part = left.min(BLOCK as u64);
            file.write_all(&block[..usize::try_from(part).unwrap_or(BLOCK)])?;
            left -= part;
        }
        file.sync_all()
    }
}

/// Bytes written at once.
const BLOCK: usize = 1 << 20;

/// Takes the room without writing it; false where the file system cannot.
#[cfg(target_os = "linux")]
fn allocate(file: &fs::File, bytes: u64) -> io::Result<bool> {
    use rustix::fs::FallocateFlags;
    use rustix::io::Errno;
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Takes the room without writing it; false where the file system cannot.
#[cfg(not(target_os = "linux"))]
fn allocate(_file: &fs::File, _bytes: u64) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_held_until_it_is_released_and_can_be_held_again() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::of_bytes(dir.path().join("reserve"), 3 << 20);
        assert!(!reserve.is_held());
        for _ in 0..2 {
            reserve.hold().unwrap();
            reserve.hold().unwrap();
            assert!(reserve.is_held());
            assert!(reserve.release().unwrap());
            assert!(!reserve.release().unwrap());
            assert!(!reserve.is_held());
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_held_is_not_a_hole() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::of_bytes(dir.path().join("reserve"), 3 << 20);
        reserve.hold().unwrap();
        // Counted in blocks of 512 bytes, whatever the file system's own are.
        assert!(fs::metadata(&reserve.path).unwrap().blocks() * 512 >= reserve.bytes);
    }

    #[test]
    fn half_a_reserve_counts_as_none_and_is_made_whole() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::of_bytes(dir.path().join("reserve"), 1 << 20);
        fs::write(&reserve.path, "cut off").unwrap();
        assert!(!reserve.is_held());
        reserve.hold().unwrap();
        assert!(reserve.is_held());
    }

    #[test]
    fn room_is_neither_taken_nor_given_free_while_somebody_looks() {
        const LOOKS: usize = 200;
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::of_bytes(dir.path().join("reserve"), 1 << 20);
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    reserve.hold().unwrap();
                    reserve.release().unwrap();
                }
            });
            let taken = || fs::metadata(&reserve.path).map_or(0, |file| file.len());
            let differ = (0..LOOKS).filter(|_| {
                let (before_and_after, held) = reserve.beside(|| {
                    let before = taken();
                    std::thread::yield_now();
                    (before, taken())
                });
                before_and_after != (held, held)
            });
            let differ = differ.count();
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(differ, 0, "of {LOOKS} looks");
        });
    }
}
