//! What happens on participants' machines.

use roomtone_capture::CaptureEvent;
use roomtone_engine::{ParticipantInput, ParticipantOutput};
use roomtone_packets::{Scanned, Scanner, encode};
use roomtone_protocol::channel::{Command, ToRecorder};
use roomtone_protocol::metadata::GapCause;
use roomtone_protocol::signal::MemberChange;

use super::links::is_earlier_version;
use super::{Happening, RelayNews, Up, World};
use crate::clocks::{MS, SECOND, True};
use crate::oracle;
use crate::person::command_id;
use crate::truth::Silence;

/// From the last sample of a packet until the program has it.
pub(super) const ENCODING: i64 = 5 * MS;

/// What waits between a device and a program that does not run: 10 s.
const RING: i64 = 10 * SECOND;

impl World {
    pub(super) fn person_starts(&mut self, person: usize) {
        if self.people[person].gone || self.people[person].program.is_some() {
            return;
        }
        self.people[person].start(self.now);
        self.device_delivers(person, None);
        let (epoch, soon) = (self.people[person].epoch, self.some(0.1, 1.0));
        self.after(if self.is_own(person) { 0 } else { soon }, Happening::Connect { person, epoch });
        self.after(SECOND / 5, Happening::Relay { news: RelayNews::Member(person, MemberChange::Joined) });
        self.tell_person(person, ParticipantInput::Tick);
    }

    /// The program is killed, or the computer is.
    pub(super) fn person_dies(&mut self, person: usize) {
        if self.people[person].program.is_none() {
            return;
        }
        self.device_stops(person, Silence::Crash);
        self.silence(person);
        self.forgets(person);
        self.people[person].program = None;
    }

    /// What is only in memory goes with the program.
    pub(super) fn forgets(&mut self, person: usize) {
        if self.is_own(person) {
            oracle::own_loss_is_small(self, person);
        }
        let one = &self.people[person];
        for (recording, truth) in self.truth.recordings.iter_mut().filter(|(_, truth)| truth.versions == 0) {
            let said = self.truth.people[person].said.iter().rev().take_while(|said| said.to >= truth.from);
            let lost = said.filter(|said| !one.disk.holds(*recording, said.segment, said.index));
            truth.died.extend(lost.map(|said| (person, *said)));
        }
    }

    pub(super) fn device_delivers(&mut self, person: usize, cause: Option<GapCause>) {
        let now = self.now;
        let one = &mut self.people[person];
        let Some(program) = &mut one.program else { return };
        if program.microphone.is_running() || program.closed {
            return;
        }
        let events = program.microphone.begin(now, &one.clock, cause);
        if let Some(silent) = self.truth.people[person].silent.last_mut() {
            silent.1 = now;
        }
        for event in events {
            if let CaptureEvent::Hole(hole) = event {
                self.truth.people[person].holes.push(hole);
            }
            self.tell_person(person, ParticipantInput::Captured(event));
        }
        self.next_packet(person);
    }

    /// Whether it delivered until now.
    pub(super) fn device_stops(&mut self, person: usize, why: Silence) -> bool {
        let Some(program) = &mut self.people[person].program else { return false };
        program.closed |= why == Silence::Left;
        if !program.microphone.is_running() {
            // What the device did goes unsaid by a program that ends before the device is back.
            if let Some(silent) = self.truth.people[person].silent.last_mut()
                && matches!(why, Silence::Left | Silence::Crash)
            {
                silent.2 = why;
            }
            return false;
        }
        program.microphone.end();
        let epoch = self.people[person].epoch;
        self.after(SECOND, Happening::Quiet { person, epoch });
        // A device that has just begun may have delivered nothing yet.
        let truth = &mut self.truth.people[person];
        let began = truth.silent.last().map_or(self.now, |silent| silent.1);
        let from = truth.said.last().map_or(self.now, |said| said.to).max(began);
        truth.silent.push((from, True(i64::MAX), why));
        true
    }

    fn next_packet(&mut self, person: usize) {
        let epoch = self.people[person].epoch;
        let next = self.people[person].program.as_ref().and_then(|program| program.microphone.next_at());
        if let Some(at) = next {
            self.at(at.plus(ENCODING), Happening::Captured { person, epoch });
        }
    }

    pub(super) fn captured(&mut self, person: usize, epoch: u32) {
        if !self.runs(person, epoch) {
            return;
        }
        let name = u8::try_from(person).expect("few people");
        let one = &mut self.people[person];
        let Some(program) = &mut one.program else { return };
        // A device that was stopped and delivers again has its own packets due.
        if program
            .microphone
            .next_at()
            .is_none_or(|at| at > self.now || program.full_from.is_some_and(|full| at > full))
        {
            return;
        }
        let Some((said, events)) = program.microphone.packet(&mut self.random, name, &one.clock) else { return };
        self.truth.people[person].said.push(said);
        for event in events {
            self.tell_person(person, ParticipantInput::Captured(event));
        }
        self.next_packet(person);
    }

    /// The lid is closed: nothing runs, nothing is captured, and clocks go on.
    pub(super) fn sleep(&mut self, person: usize, seconds: f64) {
        let epoch = self.people[person].epoch;
        let until = self.now.plus(True::seconds(seconds).0);
        if self.is_own(person) {
            self.people[person].frozen_until = self.people[person].frozen_until.max(until);
        }
        if !self.device_stops(person, Silence::Device(GapCause::CaptureStall)) {
            return;
        }
        self.people[person].frozen_until = self.people[person].frozen_until.max(until);
        self.people[person].network.add_outage(self.now, until);
        if seconds > 8.0 {
            self.silence(person);
        }
        self.at(until, Happening::DeviceReturns { person, epoch, cause: GapCause::CaptureStall });
    }

    /// Something else has all processors. What the device delivers meanwhile waits, as far as there is room.
    pub(super) fn starve(&mut self, person: usize, seconds: f64) {
        let until = self.now.plus(True::seconds(seconds).0);
        self.people[person].frozen_until = self.people[person].frozen_until.max(until);
        let (epoch, full) = (self.people[person].epoch, self.now.plus(RING));
        if let Some(program) = self.people[person].program.as_mut().filter(|_| full < until) {
            program.full_from.get_or_insert(full);
            self.at(until.plus(MS), Happening::Overrun { person, epoch });
        }
        if seconds > 8.0 {
            self.silence(person);
        }
    }

    pub(super) fn overrun(&mut self, person: usize, epoch: u32) {
        if !self.runs(person, epoch) {
            return;
        }
        let Some(program) = &mut self.people[person].program else { return };
        program.full_from = None;
        let cause = GapCause::CaptureStall;
        if self.device_stops(person, Silence::Device(cause)) {
            self.device_delivers(person, Some(cause));
        }
    }

    /// The worker of a microphone: as long as no device delivers, everything up to now has been told.
    pub(super) fn quiet(&mut self, person: usize, epoch: u32) {
        if !self.runs(person, epoch) {
            return;
        }
        let one = &mut self.people[person];
        if one.program.as_ref().is_some_and(|program| !program.closed && !program.microphone.is_running()) {
            let until = one.clock.at(self.now.plus(-SECOND));
            self.tell_person(person, ParticipantInput::Captured(CaptureEvent::Quiet { until }));
            self.after(SECOND, Happening::Quiet { person, epoch });
        }
    }

    pub(super) fn request(&mut self, person: usize, command: Command) {
        if self.people[person].program.is_some() {
            self.requests += 1;
            let id = command_id(person, self.requests);
            self.tell_person(person, ParticipantInput::Request { id, command });
        }
    }

    /// Tells somebody's end what happened, and does what it wants.
    pub(super) fn tell_person(&mut self, person: usize, input: ParticipantInput) {
        let now = self.people[person].clock.at(self.now);
        let Some(program) = &mut self.people[person].program else { return };
        program.end.handle(now, input);
        let outputs: Vec<_> = std::iter::from_fn(|| program.end.poll_output()).collect();
        for output in outputs {
            self.person_wants(person, output);
        }
        self.tick_person(person);
    }

    fn tick_person(&mut self, person: usize) {
        let one = &mut self.people[person];
        let Some(program) = &mut one.program else { return };
        let Some(deadline) = program.end.next_deadline() else { return };
        let at = one.clock.when(deadline);
        if program.tick.is_none_or(|tick| at < tick || tick <= self.now) {
            program.tick = Some(at);
            let epoch = one.epoch;
            self.at(at, Happening::PersonTick { person, epoch });
        }
    }

    fn person_wants(&mut self, person: usize, output: ParticipantOutput) {
        let link = self.people[person].link();
        match output {
            // Nothing in them says where their samples lie.
            ParticipantOutput::Send(ToRecorder::Anchor(_)) if self.people[person].only_heard => {}
            ParticipantOutput::Send(message) => self.if_linked(person, link, Up::Message(message)),
            ParticipantOutput::Media { timestamp, opus } => {
                self.if_linked(person, link, Up::Media { timestamp, opus });
            }
            ParticipantOutput::Bulk(records) => {
                let packets = if is_earlier_version(person) { MESSAGE_PACKETS } else { 1 };
                for message in pieces(&records, packets) {
                    self.if_linked(person, link, Up::Bulk(message));
                }
            }
            ParticipantOutput::MuteCapture { muted } => {
                if let Some(program) = &mut self.people[person].program {
                    program.microphone.set_muted(muted);
                }
            }
            ParticipantOutput::StopCapture => {
                self.device_stops(person, Silence::Left);
            }
            ParticipantOutput::End { goodbye, .. } => {
                self.device_stops(person, Silence::Left);
                if goodbye {
                    self.if_linked(person, link, Up::Message(ToRecorder::Leave));
                }
                if self.people[person].network.outage_at(self.now).is_none() {
                    if let Some(link) = link {
                        self.after(SECOND, Happening::HostGivesUp { person, link });
                    }
                    self.after(SECOND * 2, Happening::Relay { news: RelayNews::Member(person, MemberChange::Left) });
                }
                self.forgets(person);
                self.people[person].program = None;
            }
            ParticipantOutput::Event(_) | ParticipantOutput::Level(_) | ParticipantOutput::Answer { .. } => {}
        }
    }

    fn if_linked(&mut self, person: usize, link: Option<u32>, what: Up) {
        if let Some(link) = link {
            self.send_up(person, link, what);
        }
    }
}

/// Packets in a message of 16 KB, as the transport cuts them.
const MESSAGE_PACKETS: usize = 48;

/// Whole records, so many at a time.
fn pieces(records: &[u8], at_a_time: usize) -> Vec<Vec<u8>> {
    let mut scanner = Scanner::default();
    scanner.push(records);
    let scanned: Vec<_> = std::iter::from_fn(|| scanner.next_scanned()).collect();
    let piece = |piece: &[Scanned]| {
        let mut message = Vec::new();
        for scanned in piece {
            if let Scanned::Record { record, .. } = scanned {
                encode(record, &mut message);
            }
        }
        message
    };
    scanned.chunks(at_a_time).map(piece).collect()
}
