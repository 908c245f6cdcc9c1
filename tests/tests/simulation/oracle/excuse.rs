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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Excuse {
    /// The recorder's program died, and the journal is all there is.
    RecorderDied,
    /// It was only in the memory of a program that died.
    Died {
        /// The recorder has never heard of that run of the program.
        unheard: bool,
    },
    /// It was older than what memory holds when the recording was heard of.
    TooOld,
    /// Whoever has it could not be reached when the journal was closed.
    Unreachable,
}

impl Excuse {
    /// Whether nobody but the one who lost it can know that there was anything.
    pub(super) fn is_unheard(self) -> bool {
        self == Self::Died { unheard: true }
    }

    pub(super) fn fits(self, cause: GapCause) -> bool {
        match self {
            Self::Died { unheard } => MISSING.contains(&cause) || (unheard && cause == GapCause::NotJoined),
            Self::RecorderDied | Self::TooOld | Self::Unreachable => MISSING.contains(&cause),
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
    placed: bool,
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
            placed: !channel.notes.stretches.is_empty(),
        }
    }

    pub(super) fn of(&self, said: &Said) -> Option<Excuse> {
        let truth = &self.world.truth.recordings[&self.recording];
        let range =
            IndexRange { segment: said.segment, from: SampleIndex(said.index), to: SampleIndex(said.index + 960) };
        if !truth.wiped && truth.acknowledged.get(&self.person).is_some_and(|safe| safe.covers(range)) {
            return None;
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
        self.unreachable.then_some(Excuse::Unreachable)
    }

    /// Whether a ledger may say this of a span without sound.
    pub(super) fn silence_fits(&self, why: Silence, at: True, cause: GapCause) -> bool {
        let truth = &self.world.truth.recordings[&self.recording];
        let blind = truth.orphaned.is_some() || self.unreachable || !self.died.is_empty() || !self.placed;
        match why {
            Silence::NotThere => cause == GapCause::NotJoined || (blind && MISSING.contains(&cause)),
            Silence::Left => {
                let heard = self.world.truth.people[self.person].goodbyes.iter();
                let heard = heard.clone().any(|&heard| heard >= at.plus(-SECOND) && heard < at.plus(20 * SECOND));
                cause == GapCause::Left || (!heard && MISSING.contains(&cause))
            }
            Silence::Crash => match cause {
                GapCause::Crash | GapCause::UnknownExtent => true,
                // A run that nobody ever heard of is no reason to expect anybody.
                GapCause::NotJoined => !self.was_heard_before(at),
                _ => false,
            },
            Silence::Device(own) => cause == own || (blind && MISSING.contains(&cause)),
        }
    }

    /// Whether a span without sound is one that a recording without gaps cannot have.
    pub(super) fn breaks(&self, why: Silence, at: True) -> bool {
        match why {
            Silence::NotThere | Silence::Left => false,
            Silence::Crash => self.was_heard_before(at),
            Silence::Device(_) => true,
        }
    }

    /// Whether the recorder has heard of anything that was captured before.
    fn was_heard_before(&self, at: True) -> bool {
        let said = &self.world.truth.people[self.person].said;
        said.iter().take_while(|said| said.from < at).any(|said| self.heard.contains(&said.segment))
    }

    /// Whether the person was there to say that this is all.
    pub(super) fn vouched(&self) -> bool {
        let truth = &self.world.truth.recordings[&self.recording];
        truth.orphaned.is_none() && !self.unreachable
    }
}
