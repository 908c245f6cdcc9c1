//! What comes after the file was made: somebody returns with a spool, seconds later or days.
//!
//! The journal is opened again and takes what it lacks; then the file is made anew, and takes the place of the earlier
//! one in the bucket.

use std::collections::BTreeSet;

use roomtone_packets::{Coverage, Record};
use roomtone_protocol::channel::{Inventory, ToParticipant};
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId, SegmentKey};
use roomtone_recorder::BackfillInput;

use super::take::{Line, OpenTake, Repair, TakeTrack};
use super::{Desk, Output, RecorderEnd};

/// Recordings whose journals may wait to be opened again; whoever is not heard comes again with the next link.
const MOST_LATE: usize = 64;

/// Recordings and spools that are remembered to bring nothing; a journal too many that is opened in vain costs a moment.
const MOST_REMEMBERED: usize = 4_096;

/// What the journal of a recording that is over holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Reopened {
    /// When it ended, on this run's timeline clock.
    pub until: ClockNs,
    /// Whether its measurements were made on this run's timeline clock: the computer has not been booted since.
    pub same_clock: bool,
    /// The segments whose maps were decided.
    pub mapped: BTreeSet<(ParticipantId, SegmentKey)>,
    /// Its pauses, on the same clock: from, until; None where it ended while it was paused.
    pub cuts: Vec<(ClockNs, Option<ClockNs>)>,
    /// Whose channels, in order.
    pub channels: Vec<ParticipantId>,
    /// What is there of each track, and whether its participant has said that nothing more will come.
    pub tracks: Vec<(ParticipantId, Coverage, bool)>,
}

impl RecorderEnd {
    /// Somebody still keeps a recording that takes nothing any more: its spool may go once the bucket has a file that
    /// lacks nothing. Until then its journal takes what it lacks.
    pub(super) fn late(&mut self, desk: &dyn Desk, participant: ParticipantId, inventory: Inventory) {
        let recording = inventory.recording;
        if self.discarded.contains(&recording) || desk.is_discarded(recording) {
            self.send(participant, ToParticipant::Discard { recording });
        } else if self.archived.contains(&recording) || desk.is_archived(recording) {
            self.archived.insert(recording);
            self.send(participant, ToParticipant::Archived { recording });
        } else if self.absent.contains(&recording) {
            self.nothing_here(participant, recording);
        } else if !self.exhausted.contains(&(recording, participant)) && self.late.len() < MOST_LATE {
            self.late.entry(recording).or_default().insert(participant, inventory);
            self.reopen(recording);
        }
    }

    /// Has the journal opened again if somebody waits for it and its file is not being made.
    pub(super) fn reopen(&mut self, recording: RecordingId) {
        let busy = self.finalizing.contains(&recording) || self.takes.contains_key(&recording);
        if self.ending.is_none() && !busy && self.late.contains_key(&recording) && self.reopening.insert(recording) {
            self.outputs.push_back(Output::ReopenJournal { recording });
        }
    }

    pub(super) fn reopened(&mut self, desk: &mut dyn Desk, recording: RecordingId, result: Result<Reopened, String>) {
        self.reopening.remove(&recording);
        let late = self.late.remove(&recording).unwrap_or_default();
        if self.discarded.contains(&recording) {
            return self.outputs.push_back(Output::CloseJournal { recording });
        }
        let reopened = match result {
            Ok(reopened) => reopened,
            Err(reason) => {
                tracing::info!(%recording, reason, "a recording that somebody keeps a spool of is not here");
                remember(&mut self.absent, recording);
                return late.into_keys().for_each(|participant| self.nothing_here(participant, recording));
            }
        };
        let mut take = OpenTake::new(recording, reopened.until);
        take.until = Some(reopened.until);
        take.cuts = reopened.cuts;
        let Reopened { same_clock, mapped, .. } = reopened;
        take.repair = Some(Repair { moved_at: self.now.clock, changed: false, same_clock, mapped });
        take.channels = reopened.channels;
        for (participant, coverage, vouched) in reopened.tracks {
            let track = TakeTrack { durable: coverage.clone(), received: coverage, vouched, ..TakeTrack::default() };
            take.tracks.insert(participant, track);
        }
        self.takes.insert(recording, take);
        for (participant, inventory) in late {
            let known = self.tracks.get(&participant).map(super::track::Track::records).unwrap_or_default();
            let link = self.links.get(&participant).map(|link| link.generation);
            let Some(take) = self.takes.get_mut(&recording) else { return };
            for record in known {
                if take.has_use_for(participant, &record) {
                    take.append(desk, participant, record);
                }
            }
            if let (Some(link), Some(track)) = (link, take.tracks.get_mut(&participant)) {
                track.announced = Some(Line { generation: link, settling: false }.told(reopened.until));
                track.backfill.handle(BackfillInput::LinkUp);
            }
            self.announce(participant);
            self.inventory(desk, participant, inventory);
        }
    }

    /// Nobody wants what is kept; so that at least nothing is added to it. Told once a link: the answer is an inventory.
    fn nothing_here(&mut self, participant: ParticipantId, recording: RecordingId) {
        let now = self.now.clock;
        if self.room.recording(now, recording).is_some() {
            return;
        }
        let Some(track) = self.tracks.get_mut(&participant) else { return };
        if let Some(until) = track.clock.to_participant(now)
            && track.told_over.insert(recording)
        {
            self.send(participant, ToParticipant::SpoolUntil { recording, until });
        }
    }

    /// Everybody who is there has brought what they could.
    pub(super) fn finish_repair(&mut self, take: OpenTake, changed: bool) {
        let recording = take.recording;
        for (&participant, _) in take.tracks.iter().filter(|(_, track)| track.whole()) {
            remember(&mut self.exhausted, (recording, participant));
        }
        if changed {
            self.finalizing.insert(recording);
            self.outputs.push_back(Output::FinalizeAgain { recording });
        } else {
            self.outputs.push_back(Output::CloseJournal { recording });
        }
    }

    /// A journal that was opened again cannot be written: the file that is there stays.
    pub(super) fn repair_failed(&mut self, recording: RecordingId, reason: &str) {
        tracing::error!(%recording, reason, "a recording could not be repaired; what is missing is asked for again later");
        self.takes.remove(&recording);
        self.outputs.push_back(Output::CloseJournal { recording });
    }

    /// Something came that the file lacks.
    pub(super) fn note_repaired(take: &mut OpenTake, now: ClockNs) {
        if let Some(repair) = &mut take.repair {
            (repair.moved_at, repair.changed) = (now, true);
        }
    }

    /// The participant's word that nothing more will come; the first one may change the verdict.
    pub(super) fn vouched(desk: &mut dyn Desk, take: &mut OpenTake, participant: ParticipantId, inventory: &Inventory) {
        let Some(track) = take.tracks.get_mut(&participant) else { return };
        let first = !std::mem::replace(&mut track.vouched, true);
        if let Some(repair) = take.repair.as_mut().filter(|_| first) {
            repair.changed = true;
        }
        take.append(desk, participant, Record::Inventory(inventory.clone()));
    }
}

fn remember<T: Ord>(known: &mut BTreeSet<T>, new: T) {
    if known.len() >= MOST_REMEMBERED {
        known.pop_first();
    }
    known.insert(new);
}
