//! The host's computer loses power in the middle of a session, and boots.

use crate::clocks::True;
use crate::oracle::Figures;
use crate::script::{Action, Script};
use crate::world::World;

/// Two people without a network between them and the host, a minute and a half in, and so long again behind the boot.
fn power_cut(down: f64, more: &[(f64, Action)]) -> Script {
    let mut actions = vec![
        (1.0, Action::Arrive(0)),
        (2.0, Action::Arrive(1)),
        (8.0, Action::Start(0)),
        (98.0, Action::PowerCut { down, torn: false }),
        (190.0 + down, Action::Stop(0)),
        (200.0 + down, Action::Stop(1)),
    ];
    actions.extend_from_slice(more);
    actions.sort_by(|a, b| a.0.total_cmp(&b.0));
    let actions = actions.into_iter().map(|(at, action)| (True::seconds(at), action)).collect();
    let end = True::seconds(400.0 + down);
    let (perfect_network, only_heard) = (vec![0, 1], Vec::new());
    Script { people: 2, device_ppm: 100.0, own_microphone: false, perfect_network, only_heard, actions, end }
}

fn plays(script: &Script, seed: u64) -> Figures {
    let figures = World::new(script, seed).run(script.end);
    println!("seed {seed}: {figures:?}");
    figures
}

#[test]
fn a_boot_leaves_one_recording_that_lacks_nothing_and_everybody_in_their_place() {
    let mut worst = 0.0f64;
    for (seed, down) in [5.0, 20.0, 40.0, 60.0, 100.0].into_iter().enumerate() {
        let figures = plays(&power_cut(down, &[]), seed as u64);
        assert_eq!((figures.recordings, figures.channels, figures.gapless), (1, 2, 2), "{down} s down: {figures:?}");
        assert_eq!(figures.missing, 0, "{down} s down: {figures:?}");
        worst = worst.max(figures.worst_error_ns);
    }
    println!("at worst {:.3} ms from the truth, before and behind the boot", worst / 1e6);
    assert!(worst < 1e6, "{worst} ns");
}

#[test]
fn two_boots_are_as_good_as_one() {
    let again =
        [(115.0, Action::PowerCut { down: 12.0, torn: true }), (160.0, Action::PowerCut { down: 15.0, torn: false })];
    for again in again {
        let figures = plays(&power_cut(10.0, &[again]), 3);
        assert_eq!((figures.recordings, figures.gapless, figures.missing), (1, 2, 0), "{figures:?}");
    }
}

#[test]
fn where_nobodys_clock_went_on_the_recording_does_all_the_same() {
    // Both programs die, too, while the host's computer is down: what they told is kept, what they had said is not lost.
    let figures = plays(&power_cut(30.0, &[(105.0, Action::Crash(0, 3.0)), (106.0, Action::Crash(1, 4.0))]), 1);
    assert_eq!((figures.recordings, figures.channels), (1, 2), "{figures:?}");
    assert!(figures.worst_error_ns < 1e9, "{figures:?}");
}

#[test]
fn a_host_that_is_away_for_longer_than_the_grace_time_brings_it_to_its_end() {
    let figures = plays(&power_cut(130.0, &[]), 2);
    assert!(figures.repairs > 0, "it was brought to its end, and what the spools add makes it anew: {figures:?}");
}
