//! Somebody whose clock cannot be asked for, beside somebody whose clock can.

use crate::clocks::True;
use crate::network::Network;
use crate::script::{Action, Script};
use crate::world::World;

/// How far they may lie off once their device has delivered for a minute, over a way that takes as long there as back: 5 ms.
/// What sending takes is 5 ms here, as is assumed of it; it could be nothing, or twice as much.
const BOUND_NS: f64 = 5e6;

/// What everything waits on its way, on average: 10 ms.
const JITTER_NS: f64 = 10e6;

#[test]
fn who_is_only_heard_lacks_nothing_and_lies_beside_the_others() {
    let seconds = True::seconds;
    let script = Script {
        people: 2,
        device_ppm: 300.0,
        own_microphone: false,
        perfect_network: vec![0],
        only_heard: vec![1],
        actions: vec![
            (seconds(1.0), Action::Arrive(0)),
            (seconds(2.0), Action::Arrive(1)),
            (seconds(8.0), Action::Start(0)),
            (seconds(120.0), Action::Outage(1, 30.0)),
            (seconds(300.0), Action::Stop(0)),
        ],
        end: seconds(450.0),
    };
    for loss in [0.0, 0.05, 0.2] {
        for seed in 0..8 {
            let mut world = World::new(&script, seed);
            world.people[1].network = Network::lossy(loss).restless(JITTER_NS);
            let figures = world.run(script.end);
            println!("seed {seed}, {} % lost: {:.2} ms off", loss * 100.0, figures.worst_heard_ns / 1e6);
            assert_eq!((figures.recordings, figures.channels, figures.gapless), (1, 2, 2), "seed {seed}: {figures:?}");
            assert!(figures.worst_heard_ns < BOUND_NS, "seed {seed}: {figures:?}");
        }
    }
}
