//! What is to be done about each recording, most urgent first, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use roomtone_protocol::{ClockNs, RecordingId};

/// One thing to be done about a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// Nothing of it may stay in the bucket.
    Discard,
    /// Its take goes up for the first time.
    Publish,
    /// A newer version takes the place of what is there.
    Revise {
        /// Counts what was handed in.
        version: u64,
        /// Not before this instant of the timeline clock: more may come.
        due: ClockNs,
    },
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Errands {
    discard: bool,
    publish: bool,
    revision: Option<Waiting>,
}

/// The newest version of a take.
#[derive(Debug, PartialEq, Eq)]
struct Waiting {
    version: u64,
    due: ClockNs,
    /// An attempt to bring this very version up was begun.
    taken_up: bool,
}

/// All errands. A recording stays in it until nothing is left to be done, and then once again is asked for the next.
#[derive(Debug, Default)]
pub(super) struct Desk {
    recordings: BTreeMap<RecordingId, Errands>,
    /// Recordings of which nothing will be published any more.
    discarded: BTreeSet<RecordingId>,
}

impl Desk {
    /// Nothing is to be done.
    pub(super) fn is_empty(&self) -> bool {
        self.recordings.is_empty()
    }

    /// Nothing is to be done about this recording.
    pub(super) fn is_settled(&self, recording: RecordingId) -> bool {
        !self.recordings.contains_key(&recording)
    }

    /// The recordings to be published for the first time.
    pub(super) fn publishing(&self) -> Vec<RecordingId> {
        let publishing = self.recordings.iter().filter(|(_, errands)| errands.publish && !errands.discard);
        publishing.map(|(recording, _)| *recording).collect()
    }

    /// Whether anything is left to be done about the recording.
    pub(super) fn has(&self, recording: RecordingId) -> bool {
        self.recordings.contains_key(&recording)
    }

    pub(super) fn is_publishing(&self, recording: RecordingId) -> bool {
        self.recordings.get(&recording).is_some_and(|errands| errands.publish)
    }

    pub(super) fn is_discarding(&self, recording: RecordingId) -> bool {
        self.recordings.get(&recording).is_some_and(|errands| errands.discard)
    }

    pub(super) fn is_discarded(&self, recording: RecordingId) -> bool {
        self.discarded.contains(&recording)
    }

    /// Remembers what was discarded before.
    pub(super) fn remember_discarded(&mut self, recording: RecordingId) {
        self.discarded.insert(recording);
    }

    /// A take is to be published. Whether nothing was to be done about the recording before.
    pub(super) fn publish(&mut self, recording: RecordingId) -> bool {
        let fresh = !self.recordings.contains_key(&recording);
        self.recordings.entry(recording).or_default().publish = true;
        fresh
    }

    /// A newer version is there. What was handed in within `gather` before it, and has not been taken up, never goes
    /// up: only the newest does, `gather` after the first. Whether nothing was to be done before.
    pub(super) fn revise(&mut self, recording: RecordingId, now: ClockNs, gather: Duration) -> bool {
        let fresh = !self.recordings.contains_key(&recording);
        let revision = &mut self.recordings.entry(recording).or_default().revision;
        let (version, due) = match revision {
            Some(Waiting { version, due, taken_up: false }) => (*version + 1, *due),
            Some(Waiting { version, .. }) => (*version + 1, after(now, gather)),
            None => (0, after(now, gather)),
        };
        *revision = Some(Waiting { version, due, taken_up: false });
        fresh
    }

    /// The recording is to be discarded. Whether nothing was to be done before.
    pub(super) fn discard(&mut self, recording: RecordingId) -> bool {
        let fresh = !self.recordings.contains_key(&recording);
        self.recordings.entry(recording).or_default().discard = true;
        self.discarded.insert(recording);
        fresh
    }

    /// What to do next; with nothing left the recording is gone from the desk.
    pub(super) fn next(&mut self, recording: RecordingId) -> Option<Errand> {
        let errands = self.recordings.get(&recording)?;
        let next = if errands.discard {
            Some(Errand::Discard)
        } else if errands.publish {
            Some(Errand::Publish)
        } else {
            errands.revision.as_ref().map(|waiting| Errand::Revise { version: waiting.version, due: waiting.due })
        };
        if next.is_none() {
            self.recordings.remove(&recording);
        }
        next
    }

    /// The attempt at this version begins; false if a newer one has been handed in.
    pub(super) fn take_up(&mut self, recording: RecordingId, version: u64) -> bool {
        let waiting = self.recordings.get_mut(&recording).and_then(|errands| errands.revision.as_mut());
        let newest = waiting.filter(|waiting| waiting.version == version);
        newest.map(|waiting| waiting.taken_up = true).is_some()
    }

    /// Whether this is the newest version that was handed in.
    pub(super) fn is_newest(&self, recording: RecordingId, version: u64) -> bool {
        let waiting = self.recordings.get(&recording).and_then(|errands| errands.revision.as_ref());
        waiting.is_some_and(|waiting| waiting.version == version)
    }

    /// The newest version is published with something else, or never.
    pub(super) fn drop_revision(&mut self, recording: RecordingId) {
        if let Some(errands) = self.recordings.get_mut(&recording) {
            errands.revision = None;
        }
    }

    /// The errand is done. A newer version than the one done stays to be done.
    pub(super) fn done(&mut self, recording: RecordingId, errand: Errand) {
        let newest = matches!(errand, Errand::Revise { version, .. } if self.is_newest(recording, version));
        let Some(errands) = self.recordings.get_mut(&recording) else { return };
        match errand {
            Errand::Discard => *errands = Errands::default(),
            Errand::Publish => errands.publish = false,
            Errand::Revise { .. } if newest => errands.revision = None,
            Errand::Revise { .. } => {}
        }
    }
}

fn after(now: ClockNs, wait: Duration) -> ClockNs {
    ClockNs(now.0.saturating_add(i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const SECOND: i64 = 1_000_000_000;

    fn id() -> RecordingId {
        RecordingId::from_bytes([1; 16])
    }

    fn at(seconds: i64) -> ClockNs {
        ClockNs(seconds * SECOND)
    }

    #[test]
    fn repairs_of_one_minute_go_up_as_one() {
        let mut desk = Desk::default();
        assert!(desk.revise(id(), at(10), MINUTE));
        for second in [20, 50, 69] {
            assert!(!desk.revise(id(), at(second), MINUTE), "the same task does it");
        }
        // A minute after the first, not after the last: a trickle must not put it off for ever.
        assert_eq!(desk.next(id()), Some(Errand::Revise { version: 3, due: at(70) }));
    }

    #[test]
    fn what_comes_while_a_version_is_on_its_way_waits_for_its_own_minute() {
        let mut desk = Desk::default();
        desk.revise(id(), at(0), MINUTE);
        let first = desk.next(id()).unwrap();
        assert!(desk.take_up(id(), 0));
        desk.revise(id(), at(65), MINUTE);
        desk.revise(id(), at(80), MINUTE);
        desk.done(id(), first);
        assert_eq!(desk.next(id()), Some(Errand::Revise { version: 2, due: at(125) }));
        assert!(!desk.take_up(id(), 1), "outdated");
        assert!(desk.take_up(id(), 2));
        desk.done(id(), Errand::Revise { version: 2, due: at(125) });
        assert_eq!(desk.next(id()), None);
        assert!(desk.is_empty());
    }

    #[test]
    fn a_first_version_goes_before_a_newer_one_and_a_discard_before_both() {
        let mut desk = Desk::default();
        desk.publish(id());
        desk.revise(id(), at(0), MINUTE);
        assert_eq!(desk.next(id()), Some(Errand::Publish));
        assert_eq!(desk.publishing(), [id()]);
        assert!(!desk.discard(id()));
        assert_eq!(desk.next(id()), Some(Errand::Discard));
        assert_eq!(desk.publishing(), []);
        desk.done(id(), Errand::Discard);
        assert_eq!(desk.next(id()), None);
        assert!(desk.is_empty() && desk.is_discarded(id()));
    }
}
