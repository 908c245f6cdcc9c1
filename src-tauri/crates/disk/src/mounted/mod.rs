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
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("roomtone-disk".to_owned()), MountOption::NoAtime];
        let session = Some(fuser::spawn_mount(Volume::new(disk.clone()), folder.path(), &config)?);
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

    /// The power is cut and comes back. Files that are open stay dead: every call on them fails.
    pub fn power_cut(&self, cut: Cut) {
        self.disk.power_cut(cut);
    }
}

impl Drop for MountedDisk {
    fn drop(&mut self) {
        // Before its folder is removed.
        self.session = None;
    }
}

#[cfg(test)]
mod tests;
