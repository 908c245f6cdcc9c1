//! Makes what was spooled survive a power cut, about once a second, on a thread that nobody waits for.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::time::Duration;

use roomtone_disk::{Disk as _, SystemDisk};

/// How much a power cut may take, and more than an fsync takes.
const EVERY: Duration = Duration::from_secs(1);

/// A file that grows.
#[derive(Debug)]
pub(crate) struct Growing {
    pub(crate) file: File,
    path: PathBuf,
    /// Its name survives a power cut.
    named: AtomicBool,
    /// Something was appended since the last flush.
    dirty: AtomicBool,
    /// A flush failed: what is behind the last good one nobody knows.
    failed: AtomicBool,
}

impl Growing {
    /// A new file.
    pub(crate) fn new(file: File, path: &Path) -> Arc<Self> {
        let [named, dirty, failed] = [(); 3].map(|()| AtomicBool::new(false));
        Arc::new(Self { file, path: path.to_owned(), named, dirty, failed })
    }

    /// Something was appended.
    pub(crate) fn grew(&self) {
        self.dirty.store(true, Ordering::Release);
    }

    /// Whether it must be left alone from now on.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Flushes what was appended. After an error it does not succeed any more: what is behind the last good flush nobody
    /// knows, and the system tells of it once.
    pub(crate) fn flush(&self) -> io::Result<()> {
        if self.has_failed() {
            return Err(io::Error::other("it could not be flushed before"));
        }
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        self.file.sync_data().and_then(|()| self.name()).inspect_err(|_| self.failed.store(true, Ordering::Release))
    }

    /// The first time, the name of the file is flushed as well, and that of the recording's folder in which it is.
    fn name(&self) -> io::Result<()> {
        if self.named.load(Ordering::Acquire) {
            return Ok(());
        }
        for folder in self.path.ancestors().skip(1).take(2) {
            SystemDisk.sync_dir(folder)?;
        }
        self.named.store(true, Ordering::Release);
        Ok(())
    }
}

/// The thread's end that takes files. The thread ends with it, after a last flush.
#[derive(Debug)]
pub(crate) struct Syncing(Option<mpsc::Sender<Weak<Growing>>>);

impl Syncing {
    pub(crate) fn start() -> Self {
        let (tell, told) = mpsc::channel();
        let thread = std::thread::Builder::new().name("spool-sync".to_owned()).spawn(move || run(&told));
        if let Err(error) = &thread {
            tracing::warn!(%error, "no thread to flush the spool on: a power cut can cost half a minute");
        }
        Self(thread.is_ok().then_some(tell))
    }

    /// This file is flushed from now on.
    pub(crate) fn watch(&self, file: &Arc<Growing>) {
        if let Some(tell) = &self.0
            && tell.send(Arc::downgrade(file)).is_err()
        {
            tracing::warn!("the spool is not flushed any more");
        }
    }
}

fn run(told: &mpsc::Receiver<Weak<Growing>>) {
    let mut files: Vec<Weak<Growing>> = Vec::new();
    loop {
        let over = match told.recv_timeout(EVERY) {
            Ok(file) => {
                files.push(file);
                continue;
            }
            Err(timeout) => timeout == mpsc::RecvTimeoutError::Disconnected,
        };
        files.retain(|file| {
            let Some(file) = file.upgrade() else { return false };
            if let Err(error) = file.flush() {
                tracing::error!(%error, "the spool could not be flushed to disk; it goes on in a new file");
            }
            !file.has_failed()
        });
        if over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_grew_is_flushed_within_a_moment_and_the_thread_lets_go_of_files() {
        let syncing = Syncing::start();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one");
        let file = File::create(&path).unwrap();
        let file = Growing::new(file, &path);
        syncing.watch(&file);
        (&file.file).write_all(b"sound").unwrap();
        file.grew();
        let until = roomtone_clock::now().0 + 30_000_000_000;
        while file.dirty.load(Ordering::Acquire) {
            assert!(roomtone_clock::now().0 < until, "nobody flushes");
            std::thread::yield_now();
        }
        assert!(!file.has_failed());
        drop(syncing);
        while Arc::weak_count(&file) > 0 {
            assert!(roomtone_clock::now().0 < until, "the thread does not end");
            std::thread::yield_now();
        }
    }
}
