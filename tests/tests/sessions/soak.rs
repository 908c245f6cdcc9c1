//! People come and go all the while, and the host neither grows nor forgets to close anything.

use std::time::Duration;

use roomtone_tests::signal::Speaker;
use roomtone_tests::{Chance, Deadline, Host, Outcome, PATIENCE, Program, Stage, memory_mb, now_unix_ms, open_files};

/// Length of a run; `ROOMTONE_SOAK_HOURS` asks for another, also for a part of an hour.
const HOURS: f64 = 1.0 / 120.0;
/// Those who stay.
const RESIDENTS: [&str; 2] = ["Ada", "Ben"];
/// Those who come and go. They are known by then: a room remembers its people.
const GUESTS: [&str; 3] = ["Cleo", "Dora", "Emil"];
/// Length of the sources, which begin anew when they are over.
const SOURCE_S: usize = 20;
/// Every so manieth visit is recorded: eight hours of recordings would fill a disk.
const RECORDED: usize = 3;
/// A host may grow by this much between the first third of its visits and the last one, in MB: what the allocator keeps
/// varies by some.
const GROWTH_MB: f64 = 8.0;
/// Files and sockets that may be open beyond those of the first visits: somebody's connection is just being closed.
const MORE_FILES: usize = 4;

/// What a host takes when only the residents are there.
#[derive(Debug, Clone, Copy)]
struct Sample {
    memory_mb: f64,
    files: usize,
}

impl Sample {
    fn of(host: &Host) -> Self {
        let process = host.program.id();
        Self { memory_mb: memory_mb(process).unwrap(), files: open_files(process).unwrap() }
    }
}

fn join(stage: &Stage, host: &mut Host, name: &str, speaker: u32) -> Program {
    let microphone = format!("{}&loop=1", stage.microphone(Speaker(speaker), SOURCE_S, now_unix_ms()));
    let person = stage.join(&host.invite, name, &microphone, &[]);
    here(host, name);
    person
}

/// Waits until somebody is there, for the first time or again.
fn here(host: &mut Host, name: &str) {
    let came =
        |event: &serde_json::Value| event["event"] == "participant_joined" || event["event"] == "participant_returned";
    host.program.wait_for(name, PATIENCE, |event| came(event) && event["name"] == name).unwrap();
}

/// Somebody comes, is recorded or not, and goes in one way or the other.
fn visit(stage: &Stage, host: &mut Host, number: usize, chance: &mut Chance) {
    let guest = number % GUESTS.len();
    let recording = (number.is_multiple_of(RECORDED)).then(|| {
        let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
        started["recording"].as_str().unwrap().to_owned()
    });
    let mut person = join(stage, host, GUESTS[guest], 10 + u32::try_from(guest).unwrap());
    if let Some(recording) = &recording {
        host.recorded(recording, 2_000 + chance.within(0..1_000));
    }
    if chance.within(0..3) == 0 {
        person.kill().unwrap();
        host.person("participant_away", GUESTS[guest]);
    } else {
        assert!(person.stop(PATIENCE).unwrap().status.success());
        host.person("participant_left", GUESTS[guest]);
    }
    if let Some(recording) = recording {
        let told = stage.ask_within(&["record", &host.invite, "stop", "--wait"], PATIENCE * 2).unwrap();
        for resident in 0..RESIDENTS.len() {
            assert_eq!(Outcome::of(&told).channel(resident)["missing_frames"], 0, "{told}");
        }
        // Or the list of recordings would be what grows.
        stage.ask(&["recordings", &host.host_invite, "delete", &recording, "--yes"]).unwrap();
    }
    host.program.forget();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn people_come_and_go_for_hours_and_the_host_stays_as_it_was() {
    let hours = std::env::var("ROOMTONE_SOAK_HOURS").map_or(HOURS, |hours| hours.parse().unwrap());
    let seed = Chance::seed();
    println!("ROOMTONE_SEED={seed} ROOMTONE_SOAK_HOURS={hours:.3}");
    let mut chance = Chance::new(seed);
    let stage = Stage::new();
    let mut host = stage.host(&[]);
    let residents: Vec<Program> =
        RESIDENTS.iter().zip(1..).map(|(name, speaker)| join(&stage, &mut host, name, speaker)).collect();
    // Everybody was there once, and something was recorded: from here on nothing is new.
    (0..RECORDED).for_each(|number| visit(&stage, &mut host, number, &mut chance));

    let deadline = Deadline::after(Duration::from_secs_f64(hours * 3_600.0));
    let mut samples = vec![Sample::of(&host)];
    while deadline.remaining().is_some() || samples.len() < 6 {
        visit(&stage, &mut host, samples.len(), &mut chance);
        samples.push(Sample::of(&host));
        // A line now and then is enough for hours.
        if samples.len().is_power_of_two() {
            println!("after {} visits: {:?}", samples.len(), samples[samples.len() - 1]);
        }
    }
    let third = samples.len() / 3;
    let (first, last) = (&samples[..third], &samples[samples.len() - third..]);
    let memory = |samples: &[Sample]| median(samples.iter().map(|sample| sample.memory_mb).collect());
    let files = |samples: &[Sample]| samples.iter().map(|sample| sample.files).min().unwrap();
    println!(
        "{} visits: {:.1} -> {:.1} MB, {} -> {} files",
        samples.len(),
        memory(first),
        memory(last),
        files(first),
        files(last)
    );
    assert!(memory(last) - memory(first) <= GROWTH_MB, "the host grew: {samples:?}");
    assert!(files(last) <= files(first) + MORE_FILES, "files stay open: {samples:?}");
    for resident in residents {
        assert!(resident.stop(PATIENCE).unwrap().status.success());
    }
    assert!(host.program.stop(PATIENCE).unwrap().status.success());
}
