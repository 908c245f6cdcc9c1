//! The world: true time, everybody's machines, the ways between them, and what happens next.

mod happening;
mod host;
mod links;
mod making;
mod people;
mod recovery;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use roomtone_protocol::channel::{ToParticipant, ToRecorder};
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId};

use crate::clocks::{DeviceClock, MachineClock, True};
use crate::network::Network;
use crate::oracle::{self, Figures};
use crate::person::Person;
use crate::random::Random;
use crate::script::{Action, Script};
use crate::store::MemoryStore;
use crate::truth::{PersonTruth, Truth};
use host::Host;

/// Something that happens at an instant.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// The script wants it.
    Act(Action),
    /// A packet of somebody's microphone is full.
    Captured {
        person: usize,
        epoch: u32,
    },
    /// Something from somebody reaches the recorder's machine.
    Up {
        person: usize,
        link: u32,
        what: Up,
    },
    /// Something from the recorder reaches somebody's machine.
    Down {
        person: usize,
        link: u32,
        what: Down,
    },
    /// Somebody's end is due.
    PersonTick {
        person: usize,
        epoch: u32,
    },
    /// The recorder's end is due.
    HostTick {
        epoch: u32,
    },
    /// The journals' thread goes round.
    Sync {
        epoch: u32,
    },
    /// The recorder asks for somebody's clock.
    Ask {
        person: usize,
        link: u32,
        asked: u32,
    },
    /// The RTP sender of somebody who is only heard reports.
    Report {
        person: usize,
        link: u32,
    },
    /// Somebody tries to make a link.
    Connect {
        person: usize,
        epoch: u32,
    },
    /// Eight seconds of silence: an end gives its link up.
    PersonGivesUp {
        person: usize,
        link: u32,
    },
    HostGivesUp {
        person: usize,
        link: u32,
    },
    /// The relay tells the recorder about somebody.
    Relay {
        news: RelayNews,
    },
    /// A journal that was closed is open again.
    Reopened {
        epoch: u32,
        recording: RecordingId,
    },
    /// A file is whole.
    Made {
        epoch: u32,
        recording: RecordingId,
        gapless: bool,
    },
    /// The bucket has it.
    Uploaded {
        epoch: u32,
        recording: RecordingId,
    },
    /// Programs start, machines wake, devices deliver again.
    PersonStarts {
        person: usize,
    },
    HostStarts,
    DeviceReturns {
        person: usize,
        epoch: u32,
        cause: roomtone_protocol::metadata::GapCause,
    },
    DiskReturns {
        epoch: u32,
    },
    /// Somebody's program runs again, after more sound than there was room for.
    Overrun {
        person: usize,
        epoch: u32,
    },
    /// The worker of somebody's microphone looks whether any device delivers.
    Quiet {
        person: usize,
        epoch: u32,
    },
}

#[derive(Debug, Clone)]
pub(crate) enum Up {
    Message(ToRecorder),
    Media { timestamp: u32, opus: Vec<u8> },
    Bulk(Vec<u8>),
    Pong { t0: ClockNs, t1: ClockNs, t2: ClockNs },
    Report { timestamp: u32, sent: ClockNs, round_trip_ns: u64 },
}

#[derive(Debug, Clone)]
pub(crate) enum Down {
    Message(ToParticipant),
    Ping { t0: ClockNs },
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum RelayNews {
    Connected(bool),
    Member(usize, roomtone_protocol::signal::MemberChange),
}

/// Orders happenings by time, then by order of arrival.
struct Due(Reverse<(True, u64)>, Happening);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// Somebody whose program is the host's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own {
    person: usize,
    /// They have come, and are there whenever the program runs.
    arrived: bool,
}

pub(crate) struct World {
    pub(crate) now: True,
    pub(crate) random: Random,
    due: BinaryHeap<Due>,
    happened: u64,
    pub(crate) people: Vec<Person>,
    pub(crate) host: Host,
    pub(crate) truth: Truth,
    pub(crate) figures: Figures,
    links: u32,
    /// When everybody's last link was made.
    pub(crate) linked_at: Vec<True>,
    relay_up: bool,
    /// Whoever sits at the host's computer: their program is the host's, and so are their clock, their disk and its end.
    own: Option<Own>,
    requests: u64,
    /// Whose id is whose.
    pub(crate) numbers: BTreeMap<ParticipantId, usize>,
}

impl World {
    /// A world in which a script is about to happen.
    pub(crate) fn new(script: &Script, seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5eed);
        let host = Host::new(&mut random);
        let mut people = Vec::new();
        let mut truth = Truth::default();
        let mut numbers = BTreeMap::new();
        for number in 0..script.people {
            let id = ParticipantId::from_bytes(random.id());
            let inside = script.own_microphone && number == 0;
            let network = match inside || script.perfect_network.contains(&number) {
                true => Network::none(),
                false => Network::any(&mut random),
            };
            truth.people.push(PersonTruth {
                said: Vec::new(),
                silent: vec![(True(i64::MIN), True(i64::MAX), crate::truth::Silence::NotThere)],
                holes: Vec::new(),
                left: false,
                goodbyes: Vec::new(),
                measured: Vec::new(),
                calm_path: network.is_calm() && !script.only_heard.contains(&number),
                only_heard: script.only_heard.contains(&number),
            });
            numbers.insert(id, number);
            people.push(Person {
                id,
                clock: MachineClock::any(&mut random),
                device: DeviceClock::any(&mut random, script.device_ppm),
                network,
                disk: MemoryStore::default(),
                epoch: 0,
                program: None,
                frozen_until: True(0),
                only_heard: script.only_heard.contains(&number),
                gone: false,
            });
        }
        if script.own_microphone {
            people[0].clock = host.clock;
        }
        let mut world = Self {
            now: True(0),
            random,
            due: BinaryHeap::new(),
            happened: 0,
            people,
            host,
            truth,
            figures: Figures::default(),
            links: 0,
            linked_at: vec![True(0); script.people],
            relay_up: true,
            own: script.own_microphone.then_some(Own { person: 0, arrived: false }),
            requests: 0,
            numbers,
        };
        world.at(True(0), Happening::HostStarts);
        for (at, action) in &script.actions {
            world.at(*at, Happening::Act(action.clone()));
        }
        world
    }

    /// Lets everything happen up to `end`, and checks that every recording came to its end.
    pub(crate) fn run(mut self, end: True) -> Figures {
        while let Some(Due(Reverse((at, _)), happening)) = self.due.pop() {
            if at > end {
                break;
            }
            self.now = at;
            self.happen(happening);
        }
        self.now = end;
        oracle::nothing_is_left(&self);
        self.figures
    }

    pub(crate) fn at(&mut self, time: True, happening: Happening) {
        self.happened += 1;
        self.due.push(Due(Reverse((time.max(self.now), self.happened)), happening));
    }

    pub(crate) fn after(&mut self, ns: i64, happening: Happening) {
        self.at(self.now.plus(ns), happening);
    }

    /// Whether somebody could be reached all the time since then.
    pub(crate) fn reachable_since(&self, person: usize, since: True) -> bool {
        let one = &self.people[person];
        let linked = self.host.links.get(&one.id).is_some_and(|link| one.link() == Some(*link));
        linked
            && self.linked_at[person] <= since
            && one.frozen_until <= since
            && self.host.frozen_until <= since
            && !one.network.outage_within(since, self.now)
    }

    /// Whether somebody's program is the host's.
    pub(crate) fn is_own(&self, person: usize) -> bool {
        self.own.is_some_and(|own| own.person == person)
    }

    /// A random time in nanoseconds.
    pub(crate) fn some(&mut self, from_s: f64, to_s: f64) -> i64 {
        (self.random.between(from_s, to_s) * 1e9) as i64
    }
}
