//! The file of a recording in progress grows beside its journal, on a thread of its own, so that Stop leaves only its end
//! to render.
//!
//! ```text
//! writer --snapshot after a sync--> one waits --> thread: update, step until there is nothing to do
//! Stop   --the last snapshot------> finish: what is left, head, fsync, name
//! ```
//!
//! Where the settings have it so, somebody is told what happens to the file, and sends it on its way while it grows.
//!
//! It is a projection. Whatever fails here is logged, and the file is made of the journal in one pass at the end; on a
//! disk that fills up it gives its room to the journal.

mod growth;

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use roomtone_clock::now;
use roomtone_protocol::ClockNs;
use roomtone_recorder::{
    FinalizeError, FinalizeOptions, Finished, Horizon, Journal, JournalSnapshot, Step, Take, TakeSettings,
};

pub(super) use self::growth::{Ground, GrownBytes};

use self::growth::Share;

/// How far the thread stands back, where the system can say so of a thread: half way to the last rank. A call is going on
/// beside us, and the microphone's worker must not wait.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// A take that grows.
pub(super) struct Growing {
    snapshots: SyncSender<(JournalSnapshot, ClockNs)>,
    thread: JoinHandle<Option<Grown>>,
}

/// A take as far as it has grown.
pub(super) struct Grown {
    take: Take,
    share: Share,
}

impl Growing {
    /// Begins a take, or goes on with what an earlier start left of it. None if there is no thread for it.
    pub(super) fn start(settings: TakeSettings, ground: &Ground) -> Option<Self> {
        let recording = settings.recording;
        // One may wait while the thread is busy for some milliseconds; a second later comes the next one.
        let (snapshots, queue) = sync_channel(1);
        let ground = ground.clone();
        let thread = thread::Builder::new().name("take".into()).spawn(move || grow(settings, &ground, &queue));
        let thread = thread.inspect_err(|error| {
            tracing::warn!(%recording, %error, "a take does not grow; its file is made at the end");
        });
        Some(Self { snapshots, thread: thread.ok()? })
    }

    /// Shows what the journal holds; right after a sync, so that nothing is rendered that a power cut takes away. Never
    /// waits.
    pub(super) fn feed(&self, journal: &Journal) {
        if self.thread.is_finished() {
            return;
        }
        match self.snapshots.try_send((journal.snapshot(), journal.notes().on_timeline(now()))) {
            // Behind, or given up, which was logged.
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }

    /// What has grown until now; None if that failed. Waits for the step at hand.
    pub(super) fn stop(self) -> Option<Grown> {
        let Self { snapshots, thread } = self;
        drop(snapshots);
        thread.join().unwrap_or_else(|_| {
            tracing::error!("the thread of a take panicked; its file is made in one pass");
            None
        })
    }

    /// Nothing is made of it.
    pub(super) fn discard(self) {
        if let Some(grown) = self.stop() {
            grown.take.discard();
        }
    }
}

/// The thread: ends when nobody feeds it any more, or when it cannot go on.
fn grow(settings: TakeSettings, ground: &Ground, snapshots: &Receiver<(JournalSnapshot, ClockNs)>) -> Option<Grown> {
    let recording = settings.recording;
    stand_back();
    let given_up = |error: &FinalizeError| {
        tracing::warn!(%recording, %error, "a take stops growing; its file is made at the end");
    };
    let mut grown = Grown { take: Take::open(settings).inspect_err(given_up).ok()?, share: ground.bytes.share() };
    match grown.follow(snapshots, ground) {
        Ok(()) => Some(grown),
        Err(error) => {
            given_up(&error);
            grown.take.discard();
            None
        }
    }
}

impl Grown {
    fn follow(
        &mut self,
        snapshots: &Receiver<(JournalSnapshot, ClockNs)>,
        ground: &Ground,
    ) -> Result<(), FinalizeError> {
        let (mut idle, mut begun) = (true, false);
        loop {
            let news =
                if idle { snapshots.recv().map_err(|_| TryRecvError::Disconnected) } else { snapshots.try_recv() };
            match news {
                Ok((snapshot, now)) => {
                    self.take.update(&snapshot, &snapshot.layout(), &Horizon::Running { now })?;
                    // Its name in the bucket tells when it began.
                    if !begun && snapshot.started_at().is_some() {
                        begun = true;
                        if let Some(watch) = ground.watch(&snapshot) {
                            self.take.watch(watch);
                        }
                    }
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
            idle = self.take.step()? == Step::Idle;
            self.share.set(self.take.bytes());
        }
    }
}

/// Makes a recording's file: of what has grown, else of what an earlier start left, else of the version `before` it, else
/// of the journal alone.
pub(super) fn finish(
    journal: &Journal,
    grown: Option<Grown>,
    settings: &TakeSettings,
    before: Option<&Path>,
    options: impl Fn() -> FinalizeOptions<'static>,
) -> Result<Finished, FinalizeError> {
    let recording = settings.recording;
    let snapshot = journal.snapshot();
    let (take, share) = match grown {
        Some(Grown { take, share }) => (Ok(take), Some(share)),
        None => (begin(settings.clone(), before), None),
    };
    let finished = take.and_then(|take| {
        let known = take.rendered_frames();
        let finished = take.finish(&snapshot, options())?;
        tracing::info!(%recording, frames = finished.frames, known, "a take is whole");
        Ok(finished)
    });
    drop(share);
    match finished {
        Ok(finished) => Ok(finished),
        Err(error @ (FinalizeError::Empty | FinalizeError::DiskFull { .. })) => Err(error),
        Err(error) => {
            tracing::warn!(%recording, %error, "a recording's file is rendered from its beginning");
            Take::anew(settings.clone())?.finish(&snapshot, options())
        }
    }
}

fn begin(settings: TakeSettings, before: Option<&Path>) -> Result<Take, FinalizeError> {
    match before {
        // The program ended before its metadata was written.
        _ if settings.out.exists() => Take::reopen(settings),
        Some(before) => Take::renew(settings, before),
        None => Take::open(settings),
    }
}

/// Lets everything else go first.
#[cfg(target_os = "linux")]
pub(super) fn stand_back() {
    // On Linux the calling thread alone is meant.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a thread has the priority of everything else");
    }
}

/// Elsewhere a priority is that of the whole program, or is not asked for.
#[cfg(not(target_os = "linux"))]
pub(super) fn stand_back() {}

#[cfg(test)]
mod tests;
