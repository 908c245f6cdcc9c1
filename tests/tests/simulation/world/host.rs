//! What happens on the host's machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use roomtone_engine::{
    Finished, HostEvent, Moment, RecorderEnd, RecorderInput, RecorderOutput, Setup, last_audio, note_maps,
};
use roomtone_packets::MapStretch;
use roomtone_protocol::channel::{Command, ToParticipant};
use roomtone_protocol::state::{RecordBy, RecordingState};
use roomtone_protocol::{CommandId, ParticipantId, RecordingId, RoomId};
use roomtone_session::{Config, Room};

use super::{Down, Happening, World};
use crate::clocks::{MachineClock, SECOND, True};
use crate::desk::HostDisk;
use crate::oracle;
use crate::random::Random;
use crate::truth::RecordingTruth;

/// Three bytes a sample, as in files of 24 bits.
const BYTES_PER_SAMPLE: u32 = 3;

/// How long a room goes on with nobody present.
const GRACE: Duration = Duration::from_secs(120);

pub(crate) struct Host {
    pub(crate) clock: MachineClock,
    id: ParticipantId,
    room: RoomId,
    pub(crate) epoch: u32,
    pub(crate) end: Option<RecorderEnd>,
    pub(crate) disk: HostDisk,
    /// The links that this end believes in.
    pub(crate) links: BTreeMap<ParticipantId, u32>,
    pub(crate) tick: Option<True>,
    pub(crate) frozen_until: True,
    /// Recordings that it said it makes.
    begun: BTreeSet<RecordingId>,
    /// Live packets that wait for the program, by person.
    pub(crate) media_waiting: BTreeMap<usize, usize>,
}

impl Host {
    pub(crate) fn new(random: &mut Random, folder: &Path) -> Self {
        Self {
            clock: MachineClock::any(random),
            id: ParticipantId::from_bytes(random.id()),
            room: RoomId::from_bytes(random.id()),
            epoch: 0,
            end: None,
            disk: HostDisk::new(folder.to_owned()),
            links: BTreeMap::new(),
            tick: None,
            frozen_until: True(0),
            begun: BTreeSet::new(),
            media_waiting: BTreeMap::new(),
        }
    }

    fn moment(&self, now: True) -> Moment {
        let clock = self.clock.at(now);
        Moment { clock, wall_ns: 1_700_000_000 * SECOND + now.0 }
    }
}

impl World {
    pub(super) fn host_starts(&mut self) {
        if self.host.end.is_some() {
            return;
        }
        self.host.epoch += 1;
        let moment = self.host.moment(self.now);
        let config = Config {
            room: self.host.room,
            name: "Simulation".into(),
            record_by: RecordBy::Everyone,
            grace: GRACE,
            epoch: self.host.epoch,
            recording_enabled: true,
            time_limit: None,
            auto_record: None,
            disk_bytes_per_sample: BYTES_PER_SAMPLE,
        };
        let setup = Setup {
            me: self.host.id,
            room: self.host.room,
            name: "Simulation".into(),
            disk_bytes_per_sample: BYTES_PER_SAMPLE,
        };
        self.host.end = Some(RecorderEnd::new(moment, setup, Room::new(moment.clock, config)));
        self.host.tick = None;
        self.truth.met.clear();
        let found = self.truth.recordings.iter().filter(|(_, truth)| truth.closed.is_none() && !truth.wiped);
        let found: Vec<RecordingId> = found.map(|(&recording, _)| recording).collect();
        for recording in found {
            self.tell_host(RecorderInput::FoundJournal { recording });
        }
        let epoch = self.host.epoch;
        self.after(SECOND, Happening::Sync { epoch });
    }

    /// The program is killed, and perhaps its disk is lost.
    pub(super) fn host_dies(&mut self, wipe: bool) {
        if self.host.end.is_none() {
            return;
        }
        self.host.end = None;
        self.host.links.clear();
        if wipe {
            self.host.disk.wipe();
        } else {
            self.host.disk.killed();
        }
        for truth in self.truth.recordings.values_mut().filter(|truth| truth.closed.is_none()) {
            truth.orphaned = Some(self.now);
            truth.wiped |= wipe;
        }
        for person in 0..self.people.len() {
            self.silence(person);
        }
    }

    pub(super) fn sync(&mut self) {
        let (opened, durable) = self.host.disk.sync();
        for recording in opened {
            self.tell_host(RecorderInput::JournalOpen { recording });
        }
        for (recording, participant, coverage) in durable {
            self.tell_host(RecorderInput::Durable { recording, participant, coverage });
        }
        let epoch = self.host.epoch;
        self.after(SECOND, Happening::Sync { epoch });
    }

    /// Somebody asks for something. What the recorder agrees to is what is to be true of the recording.
    pub(super) fn requested(&mut self, person: usize, id: CommandId, based_on: Option<(u32, u64)>, command: Command) {
        let fresh = RecordingId::from_bytes(self.random.id());
        let from = self.people[person].id;
        let starts = matches!(command, Command::Start { .. });
        let stops = matches!(command, Command::Stop);
        let current = self.current();
        if starts {
            // Whoever has a channel is known by who came before.
            let channels = self.truth.met.iter().copied().filter(|&met| !self.truth.people[met].left).collect();
            self.truth.recordings.insert(fresh, RecordingTruth::new(self.now, channels));
        }
        let done = self.tell_host_and_see(RecorderInput::Request { from, id, based_on, command, fresh }, |output| {
            let RecorderOutput::Send { message: ToParticipant::Answer { id: answered, result }, .. } = output else {
                return false;
            };
            *answered == id && result.is_ok()
        });
        // An answer that was given before is given again, and nothing happens.
        let begun = self.host.begun.contains(&fresh);
        if starts && !(done && begun) {
            self.truth.recordings.remove(&fresh);
        }
        if let Some(truth) = current.and_then(|current| self.truth.recordings.get_mut(&current))
            && ((starts && done && begun) || (stops && done))
        {
            truth.until = Some(self.now);
            truth.by_rule = false;
        }
    }

    /// The recording in progress.
    pub(super) fn current(&self) -> Option<RecordingId> {
        let runs = |truth: &RecordingTruth| truth.until.is_none() && truth.orphaned.is_none();
        self.truth.recordings.iter().find(|(_, truth)| runs(truth)).map(|(&recording, _)| recording)
    }

    /// Somebody is in the room from now on, and has a channel of what is being recorded.
    pub(super) fn joins_channels(&mut self, person: usize) {
        if let Some(truth) = self.current().and_then(|current| self.truth.recordings.get_mut(&current))
            && !truth.channels.contains(&person)
        {
            truth.channels.push(person);
        }
    }

    pub(super) fn tell_host(&mut self, input: RecorderInput) {
        self.tell_host_and_see(input, |_| false);
    }

    /// Tells the recorder's end what happened, and does what it wants. Whether any of it was what was looked for.
    fn tell_host_and_see(&mut self, input: RecorderInput, looked_for: impl Fn(&RecorderOutput) -> bool) -> bool {
        let moment = self.host.moment(self.now);
        let Some(end) = &mut self.host.end else { return false };
        end.handle(moment, &mut self.host.disk, input);
        let outputs: Vec<_> = std::iter::from_fn(|| end.poll_output()).collect();
        let seen = outputs.iter().any(looked_for);
        for output in outputs {
            self.host_wants(output);
        }
        self.tick_host();
        seen
    }

    fn tick_host(&mut self) {
        let Some(deadline) = self.host.end.as_ref().and_then(RecorderEnd::next_deadline) else { return };
        let at = self.host.clock.when(deadline);
        if self.host.tick.is_none_or(|tick| at < tick || tick <= self.now) {
            self.host.tick = Some(at);
            let epoch = self.host.epoch;
            self.at(at, Happening::HostTick { epoch });
        }
    }

    fn host_wants(&mut self, output: RecorderOutput) {
        match output {
            RecorderOutput::Send { to, message } => {
                if let (Some(&person), Some(&link)) = (self.numbers.get(&to), self.host.links.get(&to)) {
                    if let ToParticipant::Durable { recording, ranges, .. } = &message
                        && let Some(truth) = self.truth.recordings.get_mut(recording)
                    {
                        let safe = truth.acknowledged.entry(person).or_default();
                        for &range in ranges {
                            safe.insert(range);
                        }
                    }
                    self.send_down(person, link, Down::Message(message));
                }
            }
            RecorderOutput::ReopenJournal { recording } => {
                // What comes after the file is made is not part of these sessions: the disk says no.
                let result = Err("this disk keeps no journals of the past".to_owned());
                self.tell_host(RecorderInput::JournalReopened { recording, result });
            }
            RecorderOutput::Discard { recording } => self.tell_host(RecorderInput::Buried { recording }),
            RecorderOutput::Finalize { recording, maps } => self.finalize(recording, Some(maps)),
            RecorderOutput::FinalizeFound { recording } => self.finalize(recording, None),
            RecorderOutput::Publish { recording } => {
                self.after(SECOND / 10, Happening::Uploaded { epoch: self.host.epoch, recording });
            }
            RecorderOutput::Event(HostEvent::RecordingState(line)) if line.state == RecordingState::Finalizing => {
                // By the rules of the room: everybody left, or nobody was there for long enough.
                if let Some(truth) = self.truth.recordings.get_mut(&line.recording)
                    && truth.until.is_none()
                    && truth.orphaned.is_none()
                {
                    truth.until = Some(self.now);
                    truth.by_rule = true;
                }
            }
            RecorderOutput::Event(HostEvent::RecordingState(line)) => {
                assert!(line.state != RecordingState::Failed, "a recording failed: {:?}", line.failure);
                self.host.begun.insert(line.recording);
            }
            RecorderOutput::SendList { .. }
            | RecorderOutput::Shelf { .. }
            | RecorderOutput::PublishState(_)
            | RecorderOutput::CloseRoom
            | RecorderOutput::CloseJournal { .. }
            | RecorderOutput::FinalizeAgain { .. }
            | RecorderOutput::Describe { .. }
            | RecorderOutput::WantsRecording
            | RecorderOutput::Event(_) => {}
        }
    }

    /// The journal is closed: here the file would be made, and here it is checked what would be in it.
    fn finalize(&mut self, recording: RecordingId, maps: Option<Vec<(ParticipantId, MapStretch)>>) {
        let journal = match &maps {
            Some(_) => Some(self.host.disk.close(recording)),
            None => self.host.disk.open_found(recording),
        };
        if let Some(truth) = self.truth.recordings.get_mut(&recording) {
            truth.closed = Some(self.now);
        }
        let Some(mut journal) = journal else { return };
        let maps = note_maps(&mut journal, maps).expect("a folder in memory");
        let open_end = last_audio(&journal, &maps);
        let gapless = oracle::check(self, recording, &journal, open_end);
        let soon = self.some(0.2, 3.0);
        let epoch = self.host.epoch;
        self.after(soon, Happening::Made { epoch, recording, gapless });
    }

    pub(super) fn made(&mut self, epoch: u32, recording: RecordingId, gapless: bool) {
        if epoch == self.host.epoch {
            self.figures.made_at = self.now;
            let finished = Finished { path: PathBuf::new(), channels: 1, duration_ms: 1, gapless };
            self.tell_host(RecorderInput::Finalized { recording, result: Ok(finished) });
        }
    }

    pub(super) fn uploaded(&mut self, epoch: u32, recording: RecordingId) {
        if epoch == self.host.epoch {
            self.tell_host(RecorderInput::Submitted { recording, result: Ok(()) });
            let key = recording.to_string();
            self.tell_host(RecorderInput::Completed { recording, key, size: 1 });
        }
    }
}
