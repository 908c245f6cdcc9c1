//! What goes up next: the rules of an upload in parts, also of a file that still grows. No store, file or clock here.
//!
//! ```text
//! what happens to the file --+
//! what the store confirmed --+-> Planner --next--> Task: create, send, check, abort
//! time ----------------------+
//! ```
//!
//! Parts are equal but for the last one. While the file grows, those that are settled go up in order, but for the first,
//! which has the head; parts that were written over wait until their bytes have been left alone for a while. With the file
//! whole, the rest goes up, the first part last. What an earlier run sent is compared with the file before it counts.
//!
//! A file that becomes another one, because somebody joined, makes the parts of before worthless: the upload is discarded
//! and begun anew later, so that at most twice the file is ever sent on account of that.

mod course;
mod parts;
#[cfg(test)]
mod tests;

use std::num::NonZero;
use std::time::Duration;

use roomtone_protocol::ClockNs;

use super::plan::{self, PartRange};
use course::Course;
use parts::Parts;

/// How long a file must have stayed the same one before the upload of another is followed by its own (10 minutes: people
/// who come late come early).
const STABLE: Duration = Duration::from_secs(600);

/// How long bytes that were written over must have been left alone before their part is sent again, while there is no
/// hurry: the packets of one hole come within seconds of each other.
const QUIET: Duration = Duration::from_secs(60);

/// How many of the bytes that a second adds a link must carry in a second for an upload to be begun anew, in tenths.
const HEADROOM: u64 = 15;

/// How many times as fast as it grows a file goes up where nothing else is set, so that what it is behind is caught up
/// with and the call beside it is not drowned.
const PACE: u64 = 4;

/// Parts on their way at once after the file is whole; a fast link with a slow answer is full with four.
const PARALLEL: usize = 4;

/// Bytes of parts that may be in memory at once, where that leaves two.
const IN_MEMORY: u64 = 64 << 20;

/// What a planner is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// Another file goes up from here on: so many channels, growing by so many bytes a second.
    Begun { channels: usize, bytes_per_s: u64 },
    /// So many bytes from its start on are there, and change only where that is told.
    Settled { bytes: u64 },
    /// These bytes, from and to, are others now.
    Rewritten { from: u64, to: u64 },
    /// The file is whole.
    Whole { bytes: u64 },
    /// Nothing more is to be begun.
    HandedOver,
    /// The upload was begun.
    Created,
    /// The store has confirmed a part, which took so long.
    Sent { number: i32, took: Duration },
    /// A part of an earlier run has the bytes of the file, or other ones.
    Checked { number: i32, same: bool },
    /// This task did not succeed.
    Failed(Task),
    /// The upload was discarded.
    Aborted,
    /// The store no longer knows the upload.
    Lost,
}

/// What is to be done. Several may be under way at the same time; each is answered by an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Begin an upload with parts of this size.
    Create { part_size: u64 },
    /// Send this part as the file has it.
    Send(PartRange),
    /// Compare this part, which the store has, with the file.
    Check(PartRange),
    /// Discard the upload.
    Abort,
}

/// A part that the store has by an earlier run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) number: i32,
    pub(super) length: u64,
    /// It is known to have the bytes of the file.
    pub(super) sure: bool,
}

/// The upload of one file.
#[derive(Debug)]
pub(super) struct Planner {
    /// Bytes a second while it grows; None: a multiple of what the file grows by.
    limit: Option<NonZero<u64>>,
    file: Option<File>,
    upload: Upload,
    /// Bytes sent for files that are no more.
    wasted: u64,
    course: Course,
    handed_over: bool,
}

/// The file that goes up.
#[derive(Debug, Clone, Copy)]
struct File {
    channels: usize,
    bytes_per_s: u64,
    since: ClockNs,
    settled: u64,
    whole: Option<u64>,
}

/// How the upload stands.
#[derive(Debug)]
enum Upload {
    /// There is none.
    None,
    Creating {
        part_size: u64,
    },
    Open(Parts),
    /// Its file is no more; it is discarded as soon as nothing is on its way.
    Leaving(Parts),
    Aborting,
}

impl Planner {
    /// A file that is to grow.
    pub(super) fn growing(limit: Option<NonZero<u64>>) -> Self {
        Self { limit, file: None, upload: Upload::None, wasted: 0, course: Course::default(), handed_over: false }
    }

    /// Goes on with an upload of an earlier run of a file that had so many channels.
    pub(super) fn resumed(
        self,
        part_size: u64,
        channels: usize,
        wasted: u64,
        known: impl IntoIterator<Item = Known>,
    ) -> Self {
        let parts = Parts::known(part_size, channels, known);
        Self { upload: Upload::Open(parts), wasted, ..self }
    }

    /// A whole file, of whose parts these are there.
    pub(super) fn whole(bytes: u64, part_size: u64, known: impl IntoIterator<Item = Known>) -> Self {
        let file = File { channels: 0, bytes_per_s: 0, since: ClockNs(0), settled: bytes, whole: Some(bytes) };
        Self { file: Some(file), ..Self::growing(None).resumed(part_size, 0, 0, known) }
    }

    /// Takes in what happened.
    pub(super) fn handle(&mut self, now: ClockNs, input: Input) {
        match input {
            Input::Begun { channels, bytes_per_s } => self.begun(now, channels, bytes_per_s),
            Input::Settled { bytes } => {
                if let Some(file) = &mut self.file {
                    file.settled = bytes;
                }
            }
            Input::Rewritten { from, to } => {
                if let Upload::Open(parts) = &mut self.upload {
                    parts.rewritten(now, from, to);
                }
            }
            Input::Whole { bytes } => {
                if let Some(file) = &mut self.file {
                    (file.settled, file.whole) = (bytes, Some(bytes));
                }
            }
            Input::HandedOver => self.handed_over = true,
            Input::Created => self.created(),
            Input::Sent { number, took } => {
                if let Upload::Open(parts) | Upload::Leaving(parts) = &mut self.upload {
                    let (bytes, beside) = (parts.sent(number), parts.sending());
                    self.course.carried(bytes, took, beside as u64 + 1);
                }
            }
            Input::Checked { number, same } => {
                if let Upload::Open(parts) | Upload::Leaving(parts) = &mut self.upload {
                    parts.checked(number, same);
                }
            }
            Input::Failed(task) => {
                self.course.failed(now);
                match (task, &mut self.upload) {
                    (Task::Create { .. }, upload) => *upload = Upload::None,
                    (Task::Send(part), Upload::Open(parts) | Upload::Leaving(parts)) => parts.not_sent(part.number),
                    (Task::Check(part), Upload::Open(parts) | Upload::Leaving(parts)) => parts.not_checked(part.number),
                    (Task::Abort | Task::Send(_) | Task::Check(_), _) => {}
                }
            }
            Input::Aborted => self.upload = Upload::None,
            Input::Lost => {
                self.course.failed(now);
                self.wasted += self.bytes_sent();
                self.upload = Upload::None;
            }
        }
    }

    fn begun(&mut self, now: ClockNs, channels: usize, bytes_per_s: u64) {
        // Nobody is in the file yet.
        if channels == 0 {
            return;
        }
        let first = self.file.is_none();
        self.file = Some(File { channels, bytes_per_s, since: now, settled: 0, whole: None });
        if let Upload::Open(parts) = &self.upload {
            // Whether an earlier run's parts are of this very file is seen by their bytes.
            let same = first && parts.channels == channels && parts.size == plan::growing_part_size(bytes_per_s);
            if !same && let Upload::Open(parts) = std::mem::replace(&mut self.upload, Upload::None) {
                self.upload = Upload::Leaving(parts);
            }
        }
    }

    fn created(&mut self) {
        let Upload::Creating { part_size } = self.upload else { return };
        self.course.went_well();
        let file = self.file.filter(|file| file.channels > 0);
        let parts = Parts::known(part_size, file.map_or(0, |file| file.channels), []);
        // Somebody may have joined meanwhile.
        let fits = file.is_some_and(|file| plan::growing_part_size(file.bytes_per_s) == part_size);
        self.upload = if fits { Upload::Open(parts) } else { Upload::Leaving(parts) };
    }

    /// What to do now; None for the time being, or for good. To be asked until there is nothing.
    pub(super) fn next(&mut self, now: ClockNs) -> Option<Task> {
        match &mut self.upload {
            Upload::None => {
                let part_size = self.may_begin(now)?;
                self.upload = Upload::Creating { part_size };
                Some(Task::Create { part_size })
            }
            Upload::Leaving(parts) if !parts.is_busy() => {
                self.wasted += parts.bytes_sent();
                self.upload = Upload::Aborting;
                Some(Task::Abort)
            }
            Upload::Creating { .. } | Upload::Leaving(_) | Upload::Aborting => None,
            Upload::Open(_) if self.handed_over || self.course.rests_until() > now => None,
            Upload::Open(_) => self.next_check().or_else(|| self.next_part(now)),
        }
    }

    /// The size of the parts, if an upload may be begun.
    fn may_begin(&self, now: ClockNs) -> Option<u64> {
        // The rest of a whole file that has none is somebody else's.
        let file = self.file.filter(|file| file.whole.is_none())?;
        let part_size = plan::growing_part_size(file.bytes_per_s);
        let fast = self.course.rate().is_none_or(|rate| rate * 10 >= file.bytes_per_s * HEADROOM);
        let again = self.wasted == 0 || (now >= after(file.since, STABLE) && fast);
        let ready = file.settled >= 2 * part_size && self.wasted + part_size <= file.at_least_once_another();
        (again && ready && !self.handed_over && self.course.rests_until() <= now).then_some(part_size)
    }

    fn next_check(&mut self) -> Option<Task> {
        let (Some(file), Upload::Open(parts)) = (self.file, &mut self.upload) else { return None };
        parts.check(file.settled, file.whole).map(Task::Check)
    }

    fn next_part(&mut self, now: ClockNs) -> Option<Task> {
        let (Some(file), Upload::Open(parts)) = (self.file, &mut self.upload) else { return None };
        if let Some(bytes) = file.whole {
            let parallel = usize::try_from(IN_MEMORY / parts.size).unwrap_or(PARALLEL).clamp(2, PARALLEL);
            return if parts.sending() < parallel { parts.send_of_whole(bytes).map(Task::Send) } else { None };
        }
        let behind = parts.fresh(file.settled).nth(1).is_some();
        if parts.sending() > usize::from(behind) || self.course.next_send() > now {
            return None;
        }
        let affordable = self.wasted + parts.bytes_fresh() + parts.size <= file.at_least_once_another();
        let part = parts.send_while_growing(file.settled, affordable, before(now, QUIET))?;
        if let Some(pace) = self.pace() {
            self.course.sending(now, part.length, pace.get());
        }
        Some(Task::Send(part))
    }

    /// Bytes a second that may go, all parts together; None: as fast as they can, once the file is whole.
    pub(super) fn pace(&self) -> Option<NonZero<u64>> {
        let file = self.file.filter(|file| file.whole.is_none())?;
        self.limit.or_else(|| NonZero::new(file.bytes_per_s * PACE))
    }

    /// When to ask again although nothing happened.
    pub(super) fn next_deadline(&self, now: ClockNs) -> Option<ClockNs> {
        let stable = self.file.map(|file| after(file.since, STABLE));
        let quiet = match &self.upload {
            Upload::Open(parts) => parts.rewritten_after(before(now, QUIET)).map(|at| after(at, QUIET)),
            _ => None,
        };
        let candidates = [stable, quiet, Some(self.course.next_send()), Some(self.course.rests_until())];
        candidates.into_iter().flatten().filter(|&at| at > now).min()
    }

    /// Whether the store has every part of the whole file, and nothing is on its way.
    pub(super) fn is_complete(&self) -> bool {
        match (self.file.and_then(|file| file.whole), &self.upload) {
            (Some(bytes), Upload::Open(parts)) => parts.are_all_there(bytes),
            _ => false,
        }
    }

    /// Whether nothing will happen any more.
    pub(super) fn is_over(&self) -> bool {
        match &self.upload {
            Upload::Creating { .. } | Upload::Leaving(_) | Upload::Aborting => false,
            Upload::None => self.handed_over || self.file.is_some_and(|file| file.whole.is_some()),
            Upload::Open(parts) => !parts.is_busy() && (self.handed_over || self.is_complete()),
        }
    }

    /// Bytes of the parts that are there as the file has them.
    pub(super) fn bytes_there(&self) -> u64 {
        if let Upload::Open(parts) = &self.upload { parts.bytes_there() } else { 0 }
    }

    /// Bytes sent for files that are no more.
    pub(super) fn wasted(&self) -> u64 {
        self.wasted
    }

    /// Channels of the file that goes up.
    pub(super) fn channels(&self) -> usize {
        self.file.map_or(0, |file| file.channels)
    }

    /// Parts that the store has, of which it is not known that they have the bytes of the file.
    pub(super) fn doubtful(&self) -> Vec<i32> {
        if let Upload::Open(parts) = &self.upload { parts.doubtful() } else { Vec::new() }
    }

    fn bytes_sent(&self) -> u64 {
        match &self.upload {
            Upload::Open(parts) | Upload::Leaving(parts) => parts.bytes_sent(),
            _ => 0,
        }
    }
}

impl File {
    /// Bytes that the file has in the end if it is to become another one once more: a channel more at least.
    fn at_least_once_another(&self) -> u64 {
        let channels = self.channels as u64;
        self.settled / channels.max(1) * (channels + 1)
    }
}

fn after(at: ClockNs, wait: Duration) -> ClockNs {
    ClockNs(at.0.saturating_add(i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX)))
}

fn before(at: ClockNs, time: Duration) -> ClockNs {
    ClockNs(at.0.saturating_sub(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)))
}
