//! Somebody cannot be reached while the recording begins, pauses, goes on, ends or is cancelled: they learn of it later, and
//! what they said by then is in its place, or nowhere.

use crate::SEEDS;
use crate::clocks::True;
use crate::network::Network;
use crate::oracle::Figures;
use crate::script::{Action, Script};
use crate::world::World;

/// When the host presses what, in seconds.
const START: f64 = 20.0;
const PAUSE: f64 = 45.0;
const RESUME: f64 = 60.0;
const END: f64 = 90.0;

/// Lengths of a partition, in seconds: a hiccup, a link that both ends give up, and longer than Stop waits for anybody.
const LENGTHS: [f64; 3] = [3.0, 12.0, 45.0];

/// Three people, of whom `cut` cannot be reached for so long around an instant.
fn around(at: f64, length: f64, cut: &[usize], end: Action) -> Script {
    let mut actions = vec![
        (1.0, Action::Arrive(0)),
        (2.0, Action::Arrive(1)),
        (3.0, Action::Arrive(2)),
        (START, Action::Start(0)),
        (PAUSE, Action::Pause(0)),
        (RESUME, Action::Resume(0)),
        (END, end),
    ];
    actions.extend(cut.iter().map(|&person| (at - length / 3.0, Action::Outage(person, length))));
    actions.sort_by(|a, b| a.0.total_cmp(&b.0));
    Script {
        people: 3,
        device_ppm: 50.0,
        own_microphone: false,
        perfect_network: vec![0],
        only_heard: Vec::new(),
        actions: actions.into_iter().map(|(at, action)| (True::seconds(at), action)).collect(),
        end: True::seconds(300.0),
    }
}

fn plays(script: &Script, seed: u64) -> Figures {
    let mut world = World::new(script, seed);
    for person in [1, 2] {
        world.people[person].network = Network::lossy(0.02);
        world.truth.people[person].calm_path = world.people[person].network.is_calm();
    }
    world.run(script.end)
}

/// One of the guests, and all of them.
const CUT: [&[usize]; 2] = [&[1], &[1, 2]];

#[test]
fn nothing_is_lost_across_start_pause_resume_and_stop() {
    let instants = [("Start", START), ("Pause", PAUSE), ("Resume", RESUME), ("Stop", END)];
    for (seed, (name, at)) in (0..).zip(instants) {
        for (length, cut) in LENGTHS.into_iter().flat_map(|length| CUT.map(|cut| (length, cut))) {
            let script = around(at, length, cut, Action::Stop(0));
            let figures = plays(&script, seed);
            assert!(figures.recordings >= 1, "{name}, {length} s without {cut:?}: {figures:?}");
            // What a first version lacks of people who could not be reached at Stop, the next one has: that nothing stays
            // behind is looked at when all is over.
            let late = at + length > END;
            assert!(figures.missing == 0 || late, "{name}, {length} s without {cut:?}: {figures:?}");
            assert!(figures.gapless >= 3, "{name}, {length} s without {cut:?}: {figures:?}");
        }
    }
}

#[test]
fn what_is_cancelled_across_a_partition_is_gone_when_it_is_over() {
    for (length, cut) in LENGTHS.into_iter().flat_map(|length| CUT.map(|cut| (length, cut))) {
        let figures = plays(&around(END, length, cut, Action::Cancel(0)), 5);
        assert_eq!(figures.recordings, 0, "{length} s without {cut:?}: {figures:?}");
    }
}

/// What happens in the sessions that every run of the tests plays.
#[test]
fn every_kind_of_trouble_is_in_the_sessions_that_are_played() {
    let scripts: Vec<Script> = (0..SEEDS).map(Script::any).collect();
    let count = |name: &str, is: &dyn Fn(&Action) -> bool| {
        let count = scripts.iter().filter(|script| script.actions.iter().any(|(_, action)| is(action))).count();
        println!("{name}: in {count} of {SEEDS} sessions");
        assert!(count >= 5, "{name} is in {count} of {SEEDS} sessions only");
    };
    count("minutes without a line", &|action| matches!(action, Action::Outage(_, seconds) if *seconds > 60.0));
    count("goodbyes", &|action| matches!(action, Action::Leave(_)));
    count("crashes", &|action| matches!(action, Action::Crash(..)));
    count("who never returns", &|action| matches!(action, Action::Vanish(_)));
    count("sleep", &|action| matches!(action, Action::Sleep(..)));
    count("the host's sleep", &|action| matches!(action, Action::SleepHost(_)));
    count(
        "ten seconds without a processor",
        &|action| matches!(action, Action::Starve(_, seconds) if *seconds >= 10.0),
    );
    count("a host without a processor", &|action| matches!(action, Action::StarveHost(_)));
    count("a disk that stalls", &|action| matches!(action, Action::StallDisk(_)));
    count("a recorder's death", &|action| matches!(action, Action::KillHost { wipe: false, .. }));
    count("a wiped disk", &|action| matches!(action, Action::KillHost { wipe: true, .. }));
    count("power cuts", &|action| matches!(action, Action::PowerCut { .. }));
    count("a relay that restarts", &|action| matches!(action, Action::RestartRelay(_)));
    count("devices that deliver nothing", &|action| matches!(action, Action::Stall(..)));
    count("pauses", &|action| matches!(action, Action::Pause(_)));
    count("cancelling", &|action| matches!(action, Action::Cancel(_)));
    count("mutes", &|action| matches!(action, Action::Mute(_, true)));
}
