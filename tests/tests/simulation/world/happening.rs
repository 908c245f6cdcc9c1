//! Who is concerned by what happens, and whether they can be just now.

use roomtone_engine::{ParticipantInput, RecorderInput};
use roomtone_protocol::channel::Command;
use roomtone_protocol::signal::MemberChange;

use super::{Happening, RelayNews, World};
use crate::clocks::{SECOND, True};
use crate::script::Action;
use crate::truth::Silence;

impl World {
    pub(super) fn happen(&mut self, happening: Happening) {
        // What reaches a machine that does nothing waits there, in order.
        if let Some(until) = self.frozen(&happening).filter(|&until| until > self.now) {
            if !self.overflows(&happening) {
                self.at(until, happening);
            }
            return;
        }
        match happening {
            Happening::Act(action) => self.act(action),
            Happening::Captured { person, epoch } => self.captured(person, epoch),
            Happening::Up { person, link, what } => self.up(person, link, what),
            Happening::Down { person, link, what } => self.down(person, link, what),
            Happening::PersonTick { person, epoch } => {
                // Unless another tick was due earlier, and has come instead.
                let now = self.now;
                if self.runs(person, epoch)
                    && let Some(program) = &mut self.people[person].program
                    && program.tick.is_some_and(|tick| tick <= now)
                {
                    program.tick = None;
                    self.tell_person(person, ParticipantInput::Tick);
                }
            }
            Happening::HostTick { epoch } => {
                let now = self.now;
                if epoch == self.host.epoch && self.host.tick.is_some_and(|tick| tick <= now) {
                    self.host.tick = None;
                    self.tell_host(RecorderInput::Tick);
                }
            }
            Happening::Sync { epoch } if epoch == self.host.epoch => self.sync(),
            Happening::Sync { .. } => {}
            Happening::Ask { person, link, asked } => self.ask(person, link, asked),
            Happening::Report { person, link } => self.report(person, link),
            Happening::Connect { person, epoch } => self.connect(person, epoch),
            Happening::PersonGivesUp { person, link } => self.person_gives_up(person, link),
            Happening::HostGivesUp { person, link } => self.host_gives_up(person, link),
            Happening::Relay { news } => self.relay_says(news),
            Happening::Reopened { epoch, recording } => self.reopened(epoch, recording),
            Happening::Made { epoch, recording, gapless } => self.made(epoch, recording, gapless),
            Happening::Uploaded { epoch, recording } => self.uploaded(epoch, recording),
            Happening::PersonStarts { person } => self.person_starts(person),
            Happening::HostStarts => self.host_starts(),
            Happening::DeviceReturns { person, epoch, cause } => {
                if self.runs(person, epoch) {
                    self.device_delivers(person, Some(cause));
                }
            }
            Happening::DiskReturns { epoch } if epoch == self.host.epoch => self.host.disk.stalled = false,
            Happening::DiskReturns { .. } => {}
            Happening::Overrun { person, epoch } => self.overrun(person, epoch),
            Happening::Quiet { person, epoch } => self.quiet(person, epoch),
        }
    }

    pub(super) fn runs(&self, person: usize, epoch: u32) -> bool {
        self.people[person].program.is_some() && self.people[person].epoch == epoch
    }

    /// Until when the machine that this concerns does nothing.
    fn frozen(&self, happening: &Happening) -> Option<True> {
        match happening {
            Happening::Captured { person, .. }
            | Happening::Down { person, .. }
            | Happening::PersonTick { person, .. }
            | Happening::PersonGivesUp { person, .. }
            | Happening::Report { person, .. }
            | Happening::Connect { person, .. }
            | Happening::Overrun { person, .. }
            | Happening::DeviceReturns { person, .. }
            | Happening::Quiet { person, .. }
            | Happening::Act(
                Action::Leave(person)
                | Action::Start(person)
                | Action::Stop(person)
                | Action::Pause(person)
                | Action::Resume(person)
                | Action::Mute(person, _)
                | Action::Mark(person)
                | Action::Cancel(person),
            ) => Some(self.people[*person].frozen_until),
            Happening::Up { .. }
            | Happening::HostTick { .. }
            | Happening::Sync { .. }
            | Happening::Ask { .. }
            | Happening::HostGivesUp { .. }
            | Happening::Relay { .. }
            | Happening::Reopened { .. }
            | Happening::Made { .. }
            | Happening::Uploaded { .. } => Some(self.host.frozen_until),
            _ => None,
        }
    }

    /// Live packets that wait for a program that does not run fill a queue of 256 a person.
    fn overflows(&mut self, happening: &Happening) -> bool {
        match happening {
            Happening::Up { person, what: super::Up::Media { .. }, .. } => {
                let waiting = self.host.media_waiting.entry(*person).or_default();
                *waiting += 1;
                *waiting > 256
            }
            _ => false,
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Arrive(person) if self.is_own(person) => {
                self.own.iter_mut().for_each(|own| own.arrived = true);
                self.own_starts();
            }
            // There is one computer, and one program that is there or not.
            Action::Leave(person) | Action::Crash(person, _) | Action::Vanish(person) | Action::Outage(person, _)
                if self.is_own(person) => {}
            Action::Sleep(person, seconds) if self.is_own(person) => self.act(Action::SleepHost(seconds)),
            Action::Starve(person, seconds) if self.is_own(person) => self.starve_host(seconds),
            Action::Arrive(person) => {
                let there = self.people[person].program.is_some() || self.people[person].gone;
                if !there {
                    self.person_starts(person);
                }
            }
            Action::Leave(person) => {
                if self.people[person].program.is_some() {
                    self.tell_person(person, ParticipantInput::Leave);
                }
            }
            Action::Start(person) => self.request(person, Command::Start { title: None, notes: None }),
            Action::Stop(person) => self.request(person, Command::Stop),
            Action::Pause(person) => self.request(person, Command::Pause),
            Action::Resume(person) => self.request(person, Command::Resume),
            Action::Mark(person) => {
                let text = format!("{} by person {person}", self.requests);
                self.request(person, Command::Mark { text });
            }
            Action::Mute(person, muted) => self.tell_person(person, ParticipantInput::Mute { muted }),
            Action::Cancel(person) => self.request(person, Command::Cancel { recording: None }),
            Action::Outage(person, seconds) => self.outage(person, seconds),
            Action::Crash(person, seconds) => {
                self.person_dies(person);
                self.after(True::seconds(seconds).0, Happening::PersonStarts { person });
            }
            Action::Vanish(person) => {
                self.people[person].gone = true;
                self.person_dies(person);
            }
            Action::Sleep(person, seconds) => self.sleep(person, seconds),
            Action::Starve(person, seconds) => self.starve(person, seconds),
            Action::Stall(person, seconds, cause) => {
                let epoch = self.people[person].epoch;
                if self.device_stops(person, Silence::Device(cause)) {
                    self.after(True::seconds(seconds).0, Happening::DeviceReturns { person, epoch, cause });
                }
            }
            Action::StarveHost(seconds) => self.starve_host(seconds),
            Action::SleepHost(seconds) => {
                self.freeze_host(seconds);
                for person in 0..self.people.len() {
                    match self.is_own(person) {
                        true => self.sleep(person, seconds),
                        false => self.outage(person, seconds),
                    }
                }
            }
            Action::StallDisk(seconds) => {
                if self.host.end.is_some() {
                    self.host.disk.stalled = true;
                    let epoch = self.host.epoch;
                    self.after(True::seconds(seconds).0, Happening::DiskReturns { epoch });
                }
            }
            Action::KillHost { down, wipe } => {
                self.host_dies();
                if wipe {
                    self.wiped();
                }
                self.after(True::seconds(down).0, Happening::HostStarts);
            }
            Action::PowerCut { down, torn } => {
                if let Some(own) = self.own {
                    self.people[own.person].disk.power_cut();
                    self.forgets(own.person);
                }
                self.host_dies();
                self.power_cut(torn);
                self.after(True::seconds(down).0, Happening::HostStarts);
            }
            Action::RestartRelay(seconds) => {
                self.relay_up = false;
                self.after(SECOND / 10, Happening::Relay { news: RelayNews::Connected(false) });
                self.after(True::seconds(seconds).0, Happening::Relay { news: RelayNews::Connected(true) });
            }
        }
    }

    fn freeze_host(&mut self, seconds: f64) {
        let until = self.now.plus(True::seconds(seconds).0);
        self.host.frozen_until = self.host.frozen_until.max(until);
        self.host.media_waiting.clear();
    }

    fn starve_host(&mut self, seconds: f64) {
        self.freeze_host(seconds);
        if let Some(own) = self.own {
            self.starve(own.person, seconds);
        }
    }

    /// The recorder hears that somebody leaves.
    pub(super) fn says_goodbye(&mut self, person: usize) {
        self.truth.people[person].left = true;
        self.truth.people[person].goodbyes.push(self.now);
    }

    fn relay_says(&mut self, news: RelayNews) {
        match news {
            RelayNews::Connected(connected) => {
                self.relay_up = connected;
                self.tell_host(RecorderInput::Relay { connected });
                if connected {
                    // Everybody comes back to it, sooner or later.
                    for person in 0..self.people.len() {
                        if self.people[person].program.is_some() {
                            let news = RelayNews::Member(person, MemberChange::Joined);
                            let soon = self.some(0.1, 3.0);
                            self.after(soon, Happening::Relay { news });
                        }
                    }
                }
            }
            RelayNews::Member(person, change @ (MemberChange::Joined | MemberChange::Returned))
                if self.people[person].network.outage_at(self.now).is_some() =>
            {
                // Nobody can be at the relay's door through an outage.
                if let Some(over) = self.people[person].network.outage_at(self.now)
                    && self.people[person].program.is_some()
                {
                    self.at(over.plus(SECOND), Happening::Relay { news: RelayNews::Member(person, change) });
                }
            }
            RelayNews::Member(person, change) => {
                if self.relay_up {
                    self.tell_host(RecorderInput::Member { participant: self.people[person].id, change });
                    let linked = self.host.links.contains_key(&self.people[person].id);
                    if change == MemberChange::Left && !linked && self.host.end.is_some() {
                        self.says_goodbye(person);
                    }
                }
            }
        }
    }
}
