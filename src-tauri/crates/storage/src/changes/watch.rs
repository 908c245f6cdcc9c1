//! How a bucket's changes are noticed: the rules. No store, file or clock here.
//!
//! ```text
//! what the source of notifications tells --+
//! what the bucket lists -------------------+-> Watch --next--> Task: connect, list, tell
//! time ------------------------------------+
//! ```
//!
//! Where a source works, its events say when to list again, and listings are compared now and then beside it. Where there
//! is none, or it fails, comparing has to do, and the source is tried again. An event never says what is in the bucket.
//!
//! A source that works and does not tell is worse than none: somebody else may take its messages away, or it may have been
//! set up for some of the objects only. So a change that a listing shows, and no event told of, takes the trust away for
//! a while.

#[cfg(test)]
mod tests;

use std::time::Duration;

use roomtone_protocol::ClockNs;

use super::debounce::Debounce;
use super::fingerprint::Fingerprint;
use super::time::after;

/// Between the first attempts to reach a source that failed; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between attempts at a source that may come back any time, as often as listings are compared then.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Pause where the store does not have such a source, or these keys may not use it: until somebody changes that, each
/// attempt is an error in somebody's log.
const UNSUPPORTED_PAUSE: Duration = Duration::from_secs(3_600);

/// A source that worked for so long and then failed is tried again without delay.
const STEADY: Duration = Duration::from_secs(60);

/// Between attempts to list a bucket that does not answer.
const LIST_AGAIN: Duration = Duration::from_secs(5);

/// How much later than a listing shows it an event may tell of a change. Events usually take less than a second; queues
/// promise nothing.
const LATE: Duration = Duration::from_secs(30);

/// How long a source is not trusted that missed a change.
const DISTRUST: Duration = Duration::from_secs(3_600);

/// How often listings are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Without a source of notifications that can be trusted.
    pub(crate) alone: Duration,
    /// Beside one.
    pub(crate) beside: Duration,
}

/// What it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// The source is connected: from here on it tells of changes.
    Connected,
    /// Something changed.
    Event,
    /// The source does not work, or no longer.
    Failed(Setback),
    /// This is what the bucket holds.
    Listed(Fingerprint),
    /// The bucket could not be listed.
    NotListed,
}

/// What to expect of a source that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setback {
    /// It may come back any time.
    Gone,
    /// There is no such thing, or it may not be used: it takes a person to change that.
    Unsupported,
}

/// What is to be done. Connecting and listing are each answered by an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Try the source.
    Connect,
    /// List the bucket.
    List,
    /// Say that something may have changed.
    Tell,
}

/// How it stands with the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// There is none to be tried.
    None,
    Waits {
        until: ClockNs,
        attempts: u32,
    },
    Connecting {
        attempts: u32,
    },
    Works {
        since: ClockNs,
        attempts: u32,
    },
}

#[derive(Debug)]
pub(super) struct Watch {
    pace: Pace,
    source: Source,
    debounce: Debounce,
    next_listing: ClockNs,
    /// When the listing under way was asked for.
    listing: Option<ClockNs>,
    /// The one under way is not enough.
    list_again: bool,
    /// The last listing, and when it was asked for.
    seen: Option<(Fingerprint, ClockNs)>,
    /// Whether an event came since a listing was last asked for, and whether one had come before that.
    events: (bool, bool),
    /// When the event of a change that was listed is overdue.
    overdue: Option<ClockNs>,
    distrust_until: Option<ClockNs>,
    tell: bool,
}

impl Watch {
    pub(super) fn new(now: ClockNs, pace: Pace, has_source: bool) -> Self {
        Self {
            pace,
            source: if has_source { Source::Waits { until: now, attempts: 0 } } else { Source::None },
            debounce: Debounce::Calm,
            next_listing: now,
            listing: None,
            list_again: false,
            seen: None,
            events: (false, false),
            overdue: None,
            distrust_until: None,
            tell: false,
        }
    }

    pub(super) fn handle(&mut self, now: ClockNs, input: Input) {
        match input {
            Input::Connected => {
                if let Source::Connecting { attempts } = self.source {
                    self.source = Source::Works { since: now, attempts };
                    // What happened before nobody told.
                    self.list_now(now);
                }
            }
            Input::Event => {
                self.debounce.event(now);
                self.events.0 = true;
                self.overdue = None;
            }
            Input::Failed(setback) => self.failed(now, setback),
            Input::Listed(listing) => self.listed(now, listing),
            Input::NotListed => {
                self.listing = None;
                self.next_listing = after(now, LIST_AGAIN.min(self.pace.alone));
            }
        }
    }

    fn failed(&mut self, now: ClockNs, setback: Setback) {
        let attempts = match self.source {
            Source::Works { since, .. } if after(since, STEADY) <= now => 0,
            Source::Works { attempts, .. } | Source::Connecting { attempts } => attempts,
            Source::None | Source::Waits { .. } => return,
        };
        if matches!(self.source, Source::Works { .. }) {
            // What it had still to tell may be lost with it.
            self.list_now(now);
        }
        let pause = match setback {
            Setback::Gone => FIRST_PAUSE.saturating_mul(1 << attempts.min(16)).min(LONGEST_PAUSE),
            Setback::Unsupported => UNSUPPORTED_PAUSE,
        };
        self.source = Source::Waits { until: after(now, pause), attempts: attempts.saturating_add(1) };
        self.overdue = None;
    }

    fn listed(&mut self, now: ClockNs, listing: Fingerprint) {
        let Some(asked) = self.listing.take() else { return };
        let before = self.seen.replace((listing, asked));
        if before.is_none_or(|(before, _)| before != listing) {
            self.tell = true;
            let told = self.events.0 || self.events.1;
            if before.is_some_and(|(_, asked)| self.worked_since(asked)) && !told {
                self.overdue = Some(after(now, LATE));
            }
        }
        self.events.1 = false;
        self.next_listing = if std::mem::take(&mut self.list_again) { now } else { after(now, self.interval(now)) };
    }

    fn list_now(&mut self, now: ClockNs) {
        self.next_listing = now;
        self.list_again = self.listing.is_some();
    }

    /// What is to be done next; None until an input or the deadline.
    pub(super) fn next(&mut self, now: ClockNs) -> Option<Task> {
        if self.overdue.is_some_and(|overdue| overdue <= now) {
            self.overdue = None;
            self.distrust_until = Some(after(now, DISTRUST));
            self.next_listing = self.next_listing.min(after(now, self.pace.alone));
        }
        if self.distrust_until.is_some_and(|until| until <= now) {
            self.distrust_until = None;
        }
        if let Source::Waits { until, attempts } = self.source
            && until <= now
        {
            self.source = Source::Connecting { attempts };
            return Some(Task::Connect);
        }
        if self.listing.is_none() && self.next_listing <= now {
            self.listing = Some(now);
            self.events = (false, self.events.0 || self.events.1);
            return Some(Task::List);
        }
        if self.debounce.take(now) || std::mem::take(&mut self.tell) {
            self.tell = false;
            return Some(Task::Tell);
        }
        None
    }

    /// When there is something to do without an input.
    pub(super) fn next_deadline(&self) -> Option<ClockNs> {
        let connect = if let Source::Waits { until, .. } = self.source { Some(until) } else { None };
        let list = self.listing.is_none().then_some(self.next_listing);
        [connect, list, self.debounce.due(), self.overdue].into_iter().flatten().min()
    }

    /// Whether the source works.
    pub(super) fn is_connected(&self) -> bool {
        matches!(self.source, Source::Works { .. })
    }

    /// Whether the source missed a change lately.
    pub(super) fn is_distrusted(&self) -> bool {
        self.distrust_until.is_some()
    }

    fn worked_since(&self, at: ClockNs) -> bool {
        matches!(self.source, Source::Works { since, .. } if since <= at)
    }

    fn interval(&self, now: ClockNs) -> Duration {
        let trusted = self.is_connected() && self.distrust_until.is_none_or(|until| until <= now);
        if trusted { self.pace.beside } else { self.pace.alone }
    }
}
