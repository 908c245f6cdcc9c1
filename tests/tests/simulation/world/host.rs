//! What happens on the host's machine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use roomtone_engine::{HostEvent, Moment, RecorderEnd, RecorderInput, RecorderOutput, Run, Setup};
use roomtone_protocol::channel::{Command, ToParticipant};
use roomtone_protocol::state::{RecordBy, RecordingState};
use roomtone_protocol::{CommandId, IndexRange, ParticipantId, RecordingId, RoomId, WakeEpoch};
use roomtone_session::{Config, Room};

use super::{Down, Happening, World};
use crate::clocks::{MachineClock, SECOND, True};
use crate::desk::HostDisk;
use crate::oracle;
use crate::random::Random;
use crate::truth::{Mark, RecordingTruth};

/// Three bytes a sample, as in files of 24 bits.
const BYTES_PER_SAMPLE: u32 = 3;

/// How long a room goes on with nobody present.
const GRACE: Duration = Duration::from_secs(120);

pub(crate) struct Host {
    pub(crate) clock: MachineClock,
    /// The timeline of what is recorded: the clock, or the one that it would be without the boots in between.
    pub(super) timeline: MachineClock,
    /// What the wall clock is off.
    pub(super) wall_off_ns: i64,
    /// Boots of the computer.
    pub(crate) boots: u32,
    /// When it lost power last.
    pub(super) cut_at: True,
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
    /// Requests that this run of the program has answered.
    pub(super) answered: BTreeSet<CommandId>,
    /// Who was told by this run of the program that all that they keep of a recording is safe.
    vouched: BTreeSet<(RecordingId, usize)>,
    /// When this run of the program began.
    pub(crate) started_at: True,
    /// When the disk last had time for everything.
    pub(crate) synced_at: True,
    /// Live packets that wait for the program, by person.
    pub(crate) media_waiting: BTreeMap<usize, usize>,
}

impl Host {
    pub(crate) fn new(random: &mut Random) -> Self {
        let clock = MachineClock::any(random);
        Self {
            clock,
            timeline: clock,
            wall_off_ns: 0,
            boots: 0,
            cut_at: True(0),
            id: ParticipantId::from_bytes(random.id()),
            room: RoomId::from_bytes(random.id()),
            epoch: 0,
            end: None,
            disk: HostDisk::new(),
            links: BTreeMap::new(),
            tick: None,
            frozen_until: True(0),
            begun: BTreeSet::new(),
            answered: BTreeSet::new(),
            vouched: BTreeSet::new(),
            started_at: True(0),
            synced_at: True(0),
            media_waiting: BTreeMap::new(),
        }
    }

    pub(super) fn config(&self) -> Config {
        Config {
            room: self.room,
            name: "Simulation".into(),
            record_by: RecordBy::Everyone,
            grace: GRACE,
            epoch: self.epoch,
            recording_enabled: true,
            time_limit: None,
            auto_record: None,
            disk_bytes_per_sample: BYTES_PER_SAMPLE,
        }
    }

    pub(super) fn moment(&self, now: True) -> Moment {
        let clock = self.clock.at(now);
        Moment { clock, wall_ns: 1_700_000_000 * SECOND + now.0 + self.wall_off_ns }
    }

    /// This start of the program.
    pub(super) fn run(&self) -> Run {
        Run { epoch: WakeEpoch(self.epoch), boot_id: Some(format!("boot {}", self.boots)) }
    }
}

impl World {
    pub(super) fn host_starts(&mut self) {
        if self.host.end.is_some() {
            return;
        }
        self.host.epoch += 1;
        self.host.started_at = self.now;
        let moment = self.host.moment(self.now);
        let config = self.host.config();
        let setup = Setup {
            me: self.host.id,
            room: self.host.room,
            name: "Simulation".into(),
            disk_bytes_per_sample: BYTES_PER_SAMPLE,
            stop_wait: Duration::from_secs(30),
            run: self.host.run(),
        };
        self.host.timeline = self.host.clock;
        self.host.end = Some(RecorderEnd::new(moment, setup, Room::new(moment.clock, config)));
        self.host.tick = None;
        self.host.answered.clear();
        self.host.vouched.clear();
        self.truth.met.clear();
        self.recover();
        let epoch = self.host.epoch;
        self.after(SECOND, Happening::Sync { epoch });
        self.own_starts();
    }

    /// Whoever sits there speaks whenever the program runs.
    pub(super) fn own_starts(&mut self) {
        if let Some(own) = self.own.filter(|own| own.arrived && self.host.end.is_some()) {
            self.person_starts(own.person);
        }
    }

    /// The program is killed.
    pub(super) fn host_dies(&mut self) {
        if self.host.end.is_none() {
            return;
        }
        if let Some(own) = self.own {
            self.person_dies(own.person);
        }
        for truth in self.truth.recordings.values_mut().filter(|truth| truth.runs()) {
            truth.died_at = Some(self.now);
        }
        self.host.end = None;
        self.host.links.clear();
        self.host.disk.killed();
        if self.host.disk.lost_words {
            self.unsure_marks();
        }
        for person in 0..self.people.len() {
            self.silence(person);
        }
    }

    /// What people marked since the disk had time last may be gone with the program or the power.
    pub(super) fn unsure_marks(&mut self) {
        let synced_at = self.host.synced_at;
        for mark in self.truth.recordings.values_mut().flat_map(|truth| truth.marks.values_mut()) {
            mark.sure &= mark.set_at.iter().all(|&at| at < synced_at);
        }
    }

    pub(super) fn sync(&mut self) {
        if self.host.end.is_some() && !self.host.disk.stalled {
            self.host.synced_at = self.now;
            if let Some(own) = self.own {
                self.people[own.person].disk.sync();
            }
        }
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
        let asked = command.clone();
        let starts = matches!(command, Command::Start { .. });
        let current = self.current();
        if starts {
            // Whoever has a channel is known by who came before.
            let channels = self.truth.met.iter().copied().filter(|&met| !self.truth.people[met].left).collect();
            self.truth.recordings.insert(fresh, RecordingTruth::new(self.now, self.host.timeline, channels));
        }
        let known = self.host.answered.contains(&id);
        let done = self.tell_host_and_see(RecorderInput::Request { from, id, based_on, command, fresh }, |output| {
            let RecorderOutput::Send { message: ToParticipant::Answer { id: answered, result }, .. } = output else {
                return false;
            };
            *answered == id && result.is_ok()
        });
        self.host.answered.insert(id);
        // An answer that was given before is given again, and nothing happens.
        let done = done && !known;
        if starts && !(done && self.host.begun.contains(&fresh)) {
            self.truth.recordings.remove(&fresh);
        }
        let now = self.now;
        let Some(truth) = current.and_then(|current| self.truth.recordings.get_mut(&current)).filter(|_| done) else {
            return;
        };
        match asked {
            Command::Start { .. } | Command::Stop => truth.ends(now, false),
            Command::Pause => truth.pauses.push((now, None)),
            Command::Resume => truth.pauses.last_mut().expect("what is resumed was paused").1 = Some(now),
            Command::Cancel { .. } => {
                truth.ends(now, false);
                truth.cancelled = Some(now);
            }
            Command::Mark { text } => {
                let mark = truth.marks.entry(text).or_insert(Mark { set_at: Vec::new(), sure: true });
                mark.set_at.push(now);
            }
            _ => {}
        }
    }

    /// The recording in progress.
    pub(super) fn current(&self) -> Option<RecordingId> {
        self.truth.recordings.iter().find(|(_, truth)| truth.runs()).map(|(&recording, _)| recording)
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

    /// Somebody is told that what they said is safe: no power cut can take it from then on.
    fn acknowledges(&mut self, person: usize, recording: RecordingId, ranges: &[IndexRange], complete: bool) {
        let who = self.people[person].id;
        let Some(truth) = self.truth.recordings.get_mut(&recording) else { return };
        let safe = truth.acknowledged.entry(person).or_default();
        for &range in ranges {
            assert!(self.host.disk.is_safe(recording, who, range), "person {person}: {range:?} is called durable");
            safe.insert(range);
        }
        if complete && self.host.vouched.insert((recording, person)) {
            oracle::all_is_safe(self, recording, person);
        }
    }

    fn host_wants(&mut self, output: RecorderOutput) {
        match output {
            RecorderOutput::Send { to, message } => {
                if let (Some(&person), Some(&link)) = (self.numbers.get(&to), self.host.links.get(&to)) {
                    if let ToParticipant::Durable { recording, ranges, complete } = &message {
                        self.acknowledges(person, *recording, ranges, *complete);
                    }
                    self.send_down(person, link, Down::Message(message));
                }
            }
            RecorderOutput::ReopenJournal { recording } => {
                let (soon, epoch) = (self.some(0.01, 0.5), self.host.epoch);
                self.after(soon, Happening::Reopened { epoch, recording });
            }
            RecorderOutput::CloseJournal { recording } => {
                drop(self.host.disk.close(recording));
                self.host.disk.beside(recording).repairing = false;
            }
            RecorderOutput::Discard { recording } => {
                self.host.disk.discard(recording);
                self.tell_host(RecorderInput::Buried { recording });
            }
            RecorderOutput::Finalize { recording, maps } => self.finalize(recording, Some(maps)),
            RecorderOutput::FinalizeFound { recording } | RecorderOutput::FinalizeAgain { recording } => {
                self.finalize(recording, None);
            }
            RecorderOutput::Publish { recording } => self.publish(recording),
            RecorderOutput::Event(HostEvent::RecordingState(line)) if line.state == RecordingState::Finalizing => {
                // By the rules of the room: everybody left, or nobody was there for long enough.
                if let Some(truth) = self.truth.recordings.get_mut(&line.recording).filter(|truth| truth.runs()) {
                    truth.ends(self.now, true);
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
            | RecorderOutput::Describe { .. }
            | RecorderOutput::WantsRecording
            | RecorderOutput::Event(_) => {}
        }
    }
}
