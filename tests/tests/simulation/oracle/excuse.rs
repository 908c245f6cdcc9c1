//! Reasons for which audio may be missing, and what a ledger may say of each.

use std::collections::BTreeSet;

use roomtone_protocol::metadata::GapCause;
use roomtone_protocol::{IndexRange, RecordingId, SampleIndex, SegmentKey};

use super::MISSING;
use super::file::Channel;
use crate::clocks::{SECOND, True};
use crate::microphone::Said;
use crate::truth::Silence;
use crate::world::World;

/// What memory holds from before a recording was heard of: 120 s, but for a packet.
const PRE_ROLL: i64 = 119 * SECOND;

/// Who was reachable for this long before the journal was closed must have been able to deliver.
const TIME_TO_DELIVER: i64 = 15 * SECOND;

/// How long Stop waits for what is on its way: 30 s. Whatever comes later has to be in a later version.
const PATIENCE: i64 = 30 * SECOND;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Excuse {
    /// The recorder's program died, and the journal is all there is.
    RecorderDied,
    /// It was only in the memory of a program that died, or left before it was told of the recording.
    Died {
        /// The recorder has never heard of that run of the program.
        unheard: bool,
    },
    /// It was older than what memory holds when the recording was heard of.
    TooOld,
    /// Whoever has it could not be reached when the journal was closed.
    Unreachable {
        /// They had said goodbye, and the recorder does not know that they are back.
        unheard: bool,
    },
    /// It was still on its way when Stop had waited for as long as it does.
    Slow,
    /// Somebody came back with some of what is missing, and more of it comes with the next version.
    NotYet,
}

impl Excuse {
    /// Whether nobody but the one who lost it can know that there was anything.
    pub(super) fn is_unheard(self) -> bool {
        matches!(self, Self::Died { unheard: true } | Self::Unreachable { unheard: true })
    }

    pub(super) fn fits(self, cause: GapCause) -> bool {
        match self {
            Self::Died { unheard } => {
                MISSING.contains(&cause) || (unheard && matches!(cause, GapCause::NotJoined | GapCause::Left))
            }
            Self::Unreachable { unheard } => MISSING.contains(&cause) || (unheard && cause == GapCause::Left),
            Self::TooOld | Self::Slow => MISSING.contains(&cause),
            // Of what lies beside it, less is known than there was.
            Self::RecorderDied | Self::NotYet => cause.is_missing(),
        }
    }
}

/// What excuses somebody's channel of a recording.
pub(super) struct Excuses<'a> {
    world: &'a World,
    recording: RecordingId,
    person: usize,
    unreachable: bool,
    died: BTreeSet<(SegmentKey, u64)>,
    heard: BTreeSet<SegmentKey>,
    placed: BTreeSet<SegmentKey>,
    /// They said that nothing more would come.
    complete: bool,
}

impl<'a> Excuses<'a> {
    pub(super) fn new(world: &'a World, recording: RecordingId, person: usize, channel: &Channel) -> Self {
        let truth = &world.truth.recordings[&recording];
        let died = truth.died.iter().filter(|(who, _)| *who == person).map(|(_, said)| (said.segment, said.index));
        Self {
            world,
            recording,
            person,
            unreachable: !world.reachable_since(person, world.now.plus(-TIME_TO_DELIVER)),
            died: died.collect(),
            heard: channel.notes.segments.keys().copied().collect(),
            placed: channel.notes.stretches.keys().copied().collect(),
            complete: channel.notes.inventory.as_ref().is_some_and(|inventory| inventory.complete),
        }
    }

    pub(super) fn of(&self, said: &Said) -> Option<Excuse> {
        let truth = &self.world.truth.recordings[&self.recording];
        // What was measured of it died with the recorder: it is there, and nobody knows where it belongs.
        if truth.orphaned.is_some() && !self.placed.contains(&said.segment) {
            return Some(Excuse::RecorderDied);
        }
        let range =
            IndexRange { segment: said.segment, from: SampleIndex(said.index), to: SampleIndex(said.index + 960) };
        if !truth.wiped && truth.acknowledged.get(&self.person).is_some_and(|safe| safe.covers(range)) {
            return None;
        }
        if truth.versions > 0 {
            return Some(Excuse::NotYet);
        }
        if truth.orphaned.is_some() {
            return Some(Excuse::RecorderDied);
        }
        if self.died.contains(&(said.segment, said.index)) {
            return Some(Excuse::Died { unheard: !self.heard.contains(&said.segment) });
        }
        if truth.told.get(&self.person).is_some_and(|told| said.to < told.plus(-PRE_ROLL)) {
            return Some(Excuse::TooOld);
        }
        let unheard = !self.heard.contains(&said.segment) && self.left_before(said.from);
        if self.unreachable {
            return Some(Excuse::Unreachable { unheard });
        }
        let waited = truth.until.is_some_and(|until| self.world.now >= until.plus(PATIENCE));
        waited.then_some(Excuse::Slow)
    }

    /// Whether a ledger may say this of a span without sound.
    pub(super) fn silence_fits(&self, why: Silence, (at, open): (True, bool), cause: GapCause) -> bool {
        let truth = &self.world.truth.recordings[&self.recording];
        let blind = truth.orphaned.is_some()
            || truth.versions > 0
            || self.unreachable
            || !self.died.is_empty()
            || self.placed.is_empty();
        match why {
            Silence::NotThere => cause == GapCause::NotJoined || (blind && MISSING.contains(&cause)),
            Silence::Left => {
                let heard = self.heard_goodbye(at);
                // Who had left before it began has not joined it, or has left: both are so.
                let before = at < truth.from;
                let unheard = cause == GapCause::NotJoined && (before || !self.was_heard_before(at));
                // Whether an earlier run that nobody can place lasted until now, nobody knows.
                let unknown = cause == GapCause::UnknownExtent && self.begins_unplaced();
                cause == GapCause::Left
                    || unheard
                    || unknown
                    || ((!(heard && self.complete) || blind) && MISSING.contains(&cause))
            }
            Silence::Crash => match cause {
                GapCause::Crash | GapCause::UnknownExtent => true,
                // A run that nobody ever heard of is no reason to expect anybody.
                GapCause::NotJoined => !self.was_heard_before(at),
                GapCause::Left => self.crashed_unheard(at),
                _ => false,
            },
            Silence::Device(own) => cause == own || ((blind || open) && MISSING.contains(&cause)),
        }
    }

    /// Whether a span without sound is one that a recording without gaps cannot have.
    pub(super) fn breaks(&self, why: Silence, at: True) -> bool {
        match why {
            Silence::NotThere | Silence::Left => false,
            Silence::Crash => self.was_heard_before(at) && !self.crashed_unheard(at),
            Silence::Device(_) => true,
        }
    }

    /// Whether a goodbye that nobody heard looks like a crash.
    pub(super) fn looks_broken(&self, why: Silence, at: True) -> bool {
        why == Silence::Left && (!(self.complete && self.heard_goodbye(at)) || self.begins_unplaced())
    }

    /// Whether the first run that the recorder heard of has no place.
    fn begins_unplaced(&self) -> bool {
        self.heard.first().is_some_and(|first| !self.placed.contains(first))
    }

    fn heard_goodbye(&self, at: True) -> bool {
        let mut heard = self.world.truth.people[self.person].goodbyes.iter();
        heard.any(|&heard| heard >= at.plus(-SECOND) && heard < at.plus(20 * SECOND))
    }

    /// Whether somebody had said goodbye, and was heard, before they came back to say this.
    fn left_before(&self, at: True) -> bool {
        self.world.truth.people[self.person].goodbyes.iter().any(|&heard| heard < at)
    }

    /// Whether somebody who had said goodbye came back for a run of the program that the recorder never heard of.
    fn crashed_unheard(&self, at: True) -> bool {
        let said = &self.world.truth.people[self.person].said;
        let last = said[..said.partition_point(|said| said.from < at)].last();
        self.left_before(at) && last.is_some_and(|said| !self.heard.contains(&said.segment))
    }

    /// Whether the recorder has heard of anything that was captured before.
    fn was_heard_before(&self, at: True) -> bool {
        let said = &self.world.truth.people[self.person].said;
        said.iter().take_while(|said| said.from < at).any(|said| self.heard.contains(&said.segment))
    }

    /// Whether the person was there to say that this is all.
    pub(super) fn vouched(&self) -> bool {
        let truth = &self.world.truth.recordings[&self.recording];
        truth.orphaned.is_none() && truth.versions == 0 && !self.unreachable
    }
}
