//! What people, machines and networks do in one session, drawn from a seed.

use roomtone_protocol::metadata::GapCause;

use crate::clocks::True;
use crate::random::Random;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Somebody starts the program.
    Arrive(usize),
    /// Says goodbye.
    Leave(usize),
    /// Presses Record.
    Start(usize),
    Stop(usize),
    Pause(usize),
    Resume(usize),
    /// Mutes the microphone, or no longer.
    Mute(usize, bool),
    /// Sets a marker.
    Mark(usize),
    /// Has the recording discarded.
    Cancel(usize),
    /// Nothing comes through to or from somebody for so many seconds.
    Outage(usize, f64),
    /// The program dies and is started again.
    Crash(usize, f64),
    /// The program dies, and nobody starts it again.
    Vanish(usize),
    /// The lid is closed for so many seconds.
    Sleep(usize, f64),
    /// Something else has all processors.
    Starve(usize, f64),
    /// The device delivers nothing.
    Stall(usize, f64, GapCause),
    StarveHost(f64),
    StallDisk(f64),
    /// The recorder's program dies and is started again, perhaps on an empty disk.
    KillHost {
        down: f64,
        wipe: bool,
    },
    /// The host's computer loses power; of what was not synced nothing is left, or some of it.
    PowerCut {
        down: f64,
        torn: bool,
    },
    /// The lid of the host's computer is closed.
    SleepHost(f64),
    RestartRelay(f64),
}

#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) people: usize,
    /// How wrong devices are at most, in parts per million.
    pub(crate) device_ppm: f64,
    /// Person 0 sits at the host's computer, and speaks into the program that records.
    pub(crate) own_microphone: bool,
    /// Who has nothing between themselves and the recorder.
    pub(crate) perfect_network: Vec<usize>,
    /// Whose clock cannot be asked for: what comes from them, and when, is all that tells it.
    pub(crate) only_heard: Vec<usize>,
    /// In order of time.
    pub(crate) actions: Vec<(True, Action)>,
    /// When it is all over.
    pub(crate) end: True,
}

impl std::fmt::Display for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} people, {:?} with a perfect network", self.people, self.perfect_network)?;
        write!(f, ", {:?} only heard", self.only_heard)?;
        self.actions.iter().try_for_each(|(at, action)| write!(f, "\n{:9.3} {action:?}", at.as_seconds()))
    }
}

/// Of a hundred sessions, this one lasts for hours.
const HOURS: u64 = 37;

/// After the last Stop: patience, repairs, uploads.
const AFTERMATH_S: f64 = 110.0;

impl Script {
    pub(crate) fn any(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let people = 2 + random.below(3);
        let hours = seed % 100 == HOURS;
        let length = if hours { random.between(3_600.0, 10_800.0) } else { random.between(40.0, 180.0) };
        let mut actions = Vec::new();
        for person in 0..people {
            let late = person > 0 && random.chance(0.3);
            let at = if late { random.between(5.0, length) } else { random.between(0.5, 4.0) };
            actions.push((at, Action::Arrive(person)));
        }
        actions.push((random.between(6.0, 15.0), Action::Start(0)));
        if random.chance(0.3) {
            actions.push((random.between(20.0, length), Action::Start(random.below(people))));
        }
        if hours {
            actions.extend((1..6).map(|part| (length * f64::from(part) / 6.0, Action::Start(0))));
        }
        // Calm sessions exist, too.
        let troubles = match hours {
            true => 10 + random.below(30),
            false if random.chance(0.15) => 0,
            false => 1 + random.below(6),
        };
        for _ in 0..troubles {
            let at = random.between(3.0, length + 3.0);
            let action = trouble(&mut random, people);
            if let Action::Leave(person) = action
                && random.chance(0.5)
            {
                actions.push((at + random.between(12.0, 40.0), Action::Arrive(person)));
            }
            actions.push((at, action));
        }
        rare(seed, people, length, hours, &mut actions);
        marks(seed, people, length, &mut actions);
        // Whoever is there stops it; who is not cannot.
        for person in 0..people {
            actions.push((length + 4.0 + person as f64 * 16.0, Action::Stop(person)));
        }
        actions.sort_by(|a, b| a.0.total_cmp(&b.0));
        let end = True::seconds(length + 4.0 + people as f64 * 16.0 + 130.0 + AFTERMATH_S);
        let actions = actions.into_iter().map(|(at, action)| (True::seconds(at), action)).collect();
        let perfect_network = if random.chance(0.5) { vec![0] } else { Vec::new() };
        let own_microphone = seed % 3 == 1;
        let mut random = Random::new(seed ^ 0xb40);
        let only_heard =
            (0..people).filter(|&person| random.chance(0.25) && !(own_microphone && person == 0)).collect();
        Self { people, device_ppm: DEVICE_PPM, own_microphone, perfect_network, only_heard, actions, end }
    }
}

/// What happens in every second session only, from random numbers of its own.
fn rare(seed: u64, people: usize, length: f64, hours: bool, actions: &mut Vec<(f64, Action)>) {
    let mut random = Random::new(seed ^ 0x7a7e);
    let count = match hours {
        true => 4 + random.below(12),
        false if random.chance(0.5) => 0,
        false => 1 + random.below(4),
    };
    for _ in 0..count {
        let (at, person) = (random.between(8.0, length + 3.0), random.below(people));
        let action = match random.below(12) {
            10.. => {
                actions.push((at + random.between(0.5, 30.0), Action::Mute(person, false)));
                Action::Mute(person, true)
            }
            0..=3 => {
                actions.push((at + random.between(0.2, 30.0), Action::Resume(random.below(people))));
                Action::Pause(person)
            }
            4..=5 => Action::PowerCut { down: random.between(5.0, 40.0), torn: random.chance(0.5) },
            6 => Action::SleepHost(random.between(1.0, 60.0)),
            7 => Action::Starve(person, random.between(10.0, 25.0)),
            8 => Action::Cancel(person),
            _ => Action::KillHost { down: random.between(1.0, 60.0), wipe: false },
        };
        actions.push((at, action));
    }
}

/// Markers at any time, and around the end of the recorder's program, from random numbers of their own.
fn marks(seed: u64, people: usize, length: f64, actions: &mut Vec<(f64, Action)>) {
    let mut random = Random::new(seed ^ 0x3a4c);
    let ends: Vec<f64> = actions
        .iter()
        .filter(|(_, action)| matches!(action, Action::KillHost { .. } | Action::PowerCut { .. }))
        .flat_map(|&(at, _)| [at + random.between(-0.5, 0.0), at + random.between(0.0, 10.0)])
        .collect();
    let others = (0..random.below(4)).map(|_| random.between(5.0, length + 3.0)).collect::<Vec<_>>();
    actions.extend(ends.into_iter().chain(others).map(|at| (at, Action::Mark(random.below(people)))));
}

/// The worst devices.
const DEVICE_PPM: f64 = 1_000.0;

fn trouble(random: &mut Random, people: usize) -> Action {
    let person = random.below(people);
    match random.below(14) {
        0..=2 => Action::Outage(person, random.between(0.2, 20.0)),
        3 => Action::Outage(person, random.between(20.0, 150.0)),
        4 => Action::Leave(person),
        5 => Action::Crash(person, random.between(0.5, 30.0)),
        6 => Action::Vanish(person),
        7 => Action::Sleep(person, random.between(1.0, 60.0)),
        8 => Action::Starve(person, random.between(1.0, 10.0)),
        9 => {
            let cause = if random.chance(0.5) { GapCause::CaptureStall } else { GapCause::DeviceChange };
            Action::Stall(person, random.between(0.1, 10.0), cause)
        }
        10 => Action::StarveHost(random.between(1.0, 10.0)),
        11 => Action::StallDisk(random.between(1.0, 12.0)),
        12 => Action::KillHost { down: random.between(1.0, 30.0), wipe: random.chance(0.2) },
        _ => Action::RestartRelay(random.between(1.0, 20.0)),
    }
}
