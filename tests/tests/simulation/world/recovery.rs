//! What is left of a host's program that died: what the next one finds, and goes on with.

use std::cmp::Reverse;

use roomtone_disk::Cut;
use roomtone_engine::{GoingOn, RecorderInput};
use roomtone_protocol::RecordingId;
use roomtone_recorder::Journal;

use super::World;
use super::making::finished;
use crate::clocks::{MachineClock, SECOND, True};
use crate::desk::Beside;
use crate::store::MemoryStore;

impl World {
    /// The disk is lost with all that was on it.
    pub(super) fn wiped(&mut self) {
        self.host.disk.wipe();
        if let Some(own) = self.own {
            self.people[own.person].disk = MemoryStore::default();
        }
        for truth in self.truth.recordings.values_mut() {
            truth.wiped = true;
        }
    }

    /// The computer loses power. When it has booted again, its clock begins anew, and its wall clock is a little off.
    pub(super) fn power_cut(&mut self, torn: bool) {
        let cut = if torn { Cut::Torn { seed: self.random.bits() } } else { Cut::Dropped };
        self.host.disk.power_cut(cut);
        self.unsure_marks();
        let boot = MachineClock::any(&mut self.random);
        self.host.clock = self.host.clock.booted(boot);
        self.host.wall_off_ns = boot.wall_off_ns();
        self.host.boots += 1;
        self.host.cut_at = self.now;
        if let Some(own) = self.own {
            self.people[own.person].clock = self.host.clock;
        }
    }

    /// What an earlier start left is brought to its end, or goes on.
    pub(super) fn recover(&mut self) {
        self.host.disk.bury();
        let left = self.truth.recordings.iter().filter(|(_, truth)| !truth.wiped && truth.cancelled.is_none());
        let left: Vec<RecordingId> = left.map(|(&recording, _)| recording).collect();
        let mut journals = Vec::new();
        for recording in left {
            let beside = *self.host.disk.beside(recording);
            match beside {
                Beside { made: Some(gapless), completed: false, submitted, .. } => {
                    let finished = finished(gapless);
                    let (title, notes) = (None, None);
                    self.tell_host(RecorderInput::FoundTake { recording, title, notes, finished, submitted });
                    if submitted {
                        self.comes_through(recording);
                    }
                }
                Beside { made: None, .. } if self.host.disk.holds(recording) => journals.push(recording),
                Beside { made: None, .. } => {
                    // It died before the disk had heard of it.
                    let truth = self.truth.recordings.get_mut(&recording).expect("of the list");
                    truth.wiped = true;
                }
                Beside { .. } => {}
            }
            if let Beside { submitted: true, repairing: true, .. } = *self.host.disk.beside(recording) {
                self.tell_host(RecorderInput::FoundRepair { recording });
            }
        }
        let goes_on = self.goes_on(&journals);
        for recording in journals.into_iter().filter(|&other| Some(other) != goes_on) {
            if let Some(truth) = self.truth.recordings.get_mut(&recording) {
                truth.orphaned = Some(self.now);
            }
            self.tell_host(RecorderInput::FoundJournal { recording });
        }
    }

    /// The newest recording in progress, if the recorder was not away for longer than the grace time.
    fn goes_on(&mut self, journals: &[RecordingId]) -> Option<RecordingId> {
        let moment = self.host.moment(self.now);
        let (config, run) = (self.host.config(), self.host.run());
        let in_progress = journals.iter().filter_map(|&recording| {
            let journal = self.host.disk.open_found(recording)?;
            let going_on = GoingOn::of(&journal, moment, &run).expect("a disk that works")?;
            let now = going_on.on_timeline(moment);
            let away_ns = now.0 - going_on.continued.last_there.0;
            config.goes_on(going_on.continued.last_there, now).then_some((going_on, away_ns, journal))
        });
        let (going_on, _, journal) =
            in_progress.min_by_key(|(going_on, away_ns, _)| (*away_ns, Reverse(going_on.continued.begun)))?;
        let recording = going_on.continued.recording;
        if self.host.disk.lost_words {
            self.is_what_is_written(recording, &going_on);
            self.goodbyes_are_what_is_written(recording, &journal);
        }
        self.host.disk.adopt(recording, journal);
        self.host.timeline = self.truth.recordings[&recording].clock;
        self.tell_host(RecorderInput::GoingOn(Box::new(going_on)));
        Some(recording)
    }

    /// A goodbye of the last second before a power cut was never heard.
    fn goodbyes_are_what_is_written(&mut self, recording: RecordingId, journal: &Journal) {
        let clock = self.truth.recordings[&recording].clock;
        for (one, truth) in self.people.iter().zip(&mut self.truth.people) {
            let written = journal.notes().left.get(&one.id).map_or(&[][..], Vec::as_slice);
            let is_written = |at: True| written.iter().any(|left| (left.0 - clock.at(at).0).abs() < SECOND);
            truth.goodbyes.retain(|&at| at < self.host.cut_at.plus(-2 * SECOND) || is_written(at));
        }
    }

    /// What was agreed to while the disk stalled, or in the last second before a power cut, and died with the program,
    /// never was.
    fn is_what_is_written(&mut self, recording: RecordingId, going_on: &GoingOn) {
        let numbers = &self.numbers;
        let Some(truth) = self.truth.recordings.get_mut(&recording) else { return };
        truth.channels = going_on.continued.channels.iter().map(|who| numbers[who]).collect();
        (truth.until, truth.by_rule) = (None, false);
        truth.pauses.truncate(going_on.cuts.len());
        if let (Some(pause), Some((_, None))) = (truth.pauses.last_mut(), going_on.cuts.last()) {
            pause.1 = None;
        }
    }
}
