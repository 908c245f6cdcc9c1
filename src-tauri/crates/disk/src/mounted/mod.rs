//! A [`SimulatedDisk`] under a folder of the real system, for whole programs and for code that knows only `std::fs`.
//!
//! The kernel hands every call to it (FUSE), so a program's own system calls meet the faults, and a power cut leaves what
//! they had made durable. Every `write(2)` is one operation of the disk: nothing is gathered in between.

mod nodes;
mod volume;

use std::io;
use std::path::Path;

use fuser::{BackgroundSession, Config, MountOption};
use tempfile::TempDir;

use crate::{Cut, SimulatedDisk};
use volume::Volume;

/// A simulated disk and the folder under which it is. It is taken away when dropped.
#[derive(Debug)]
pub struct MountedDisk {
    disk: SimulatedDisk,
    folder: TempDir,
    session: Option<BackgroundSession>,
}

impl MountedDisk {
    /// Mounts an empty disk.
    ///
    /// # Errors
    /// What the system says: mounting needs `/dev/fuse`, and root or `fusermount3`.
    pub fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("roomtone-disk-").tempdir()?;
        let disk = SimulatedDisk::new();
        let session = Some(mount(&disk, folder.path())?);
        Ok(Self { disk, folder, session })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The disk: to let operations fail, to count them. Paths within it begin at its root.
    #[must_use]
    pub fn disk(&self) -> &SimulatedDisk {
        &self.disk
    }

    /// The power is cut and comes back. Whoever had files open on it must be dead by then, as a power cut has it.
    ///
    /// # Errors
    /// Somebody has a file open, or it cannot be mounted again.
    pub fn power_cut(&mut self, cut: Cut) -> io::Result<()> {
        // What the kernel remembers of names and bytes goes with the mount.
        if let Some(session) = self.session.take() {
            session.umount_and_join()?;
        }
        self.disk.power_cut(cut);
        self.session = Some(mount(&self.disk, self.folder.path())?);
        Ok(())
    }
}

impl Drop for MountedDisk {
    fn drop(&mut self) {
        // Before its folder is removed.
        self.session = None;
    }
}

fn mount(disk: &SimulatedDisk, folder: &Path) -> io::Result<BackgroundSession> {
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("roomtone-disk".to_owned()), MountOption::NoAtime];
    fuser::spawn_mount(Volume::new(disk.clone()), folder, &config)
}

#[cfg(test)]
mod tests;
