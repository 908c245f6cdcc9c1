//! Several people in, one multichannel WAV out, every voice on its own channel and at its true time.

#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::time::Duration;

use roomtone_tests::signal::{SAMPLE_RATE, Speaker, best_match, constant_offset, read_time_code};
use roomtone_tests::{Deadline, Outcome, PATIENCE, SeaweedFs, Stage, fetch, now_unix_ms, readers};

const ADA: Speaker = Speaker(1);
const BEN: Speaker = Speaker(2);
const CLEO: Speaker = Speaker(3);

/// Marks of one channel lie on one line, to half a millisecond: nothing is dropped, doubled or stretched.
const STEADY: f64 = 24.0;

/// Somebody of whom it is known when their source began to sound, and how well.
struct Truth {
    name: &'static str,
    speaker: Speaker,
    instant_ms: f64,
    tolerance_ms: f64,
}

impl Truth {
    /// A file begins to play at the instant that `at` names.
    fn of_a_file(name: &'static str, speaker: Speaker, at_ms: f64) -> Self {
        Self { name, speaker, instant_ms: at_ms, tolerance_ms: 10.0 }
    }
}

/// Every channel holds its own source, whole, at its true time, and nobody else's.
fn check(outcome: &Outcome, people: &[Truth], seconds: usize) {
    let wav = outcome.wav();
    assert_eq!((wav.rate, wav.bits), (48_000, 24));
    assert_eq!(outcome.names(), people.iter().map(|person| person.name).collect::<Vec<_>>());
    assert_eq!(wav.channels.len(), people.len());
    assert_eq!(outcome.metadata["frames"], wav.frames());
    assert!(outcome.gapless, "{}", outcome.metadata);
    let sources: Vec<Vec<f32>> = people.iter().map(|person| person.speaker.says(seconds)).collect();
    for (index, person) in people.iter().enumerate() {
        let (channel, name) = (&wav.channels[index], person.name);
        assert_eq!(outcome.channel(index)["missing_frames"], 0, "{name}: {}", outcome.channel(index));
        let marks = read_time_code(channel, person.speaker);
        let origin = constant_offset(&marks, STEADY).unwrap_or_else(|error| panic!("{name}: {error}"));
        // As many whole seconds as there is room for between the source's begin and the end of the file.
        let heard = wav.frames() as f64 - origin.max(0.0);
        let (found, room) = (marks.len() as f64, (heard / SAMPLE_RATE as f64).floor());
        assert!(found >= room - 1.0, "{name}: {found} of {room} seconds were found");
        let expected = (person.instant_ms - outcome.started_ms()) * SAMPLE_RATE as f64 / 1000.0;
        let error_ms = (origin - expected) * 1000.0 / SAMPLE_RATE as f64;
        println!("{name}: {found} seconds, {error_ms:+.2} ms from the truth");
        assert!(error_ms.abs() <= person.tolerance_ms, "{name} is {error_ms:+.2} ms from the truth");
        for (other, source) in people.iter().zip(&sources) {
            let found = best_match(channel, source);
            if other.name == name {
                println!("{name}: correlation {:.4} with their own source", found.correlation);
                assert!(found.correlation > 0.98, "{name}: {found:?}");
            } else {
                assert!(found.correlation.abs() < 0.1, "{name} sounds like {}: {found:?}", other.name);
            }
        }
    }
}

/// Three with files that begin in the same instant, one with a real capture from a virtual microphone, a host without.
#[cfg(target_os = "linux")]
#[test]
fn four_people_end_up_on_four_channels_of_one_file() {
    use roomtone_tests::{Listener, Played, PulseServer, write_mono};
    const DORA: Speaker = Speaker(4);
    const SOURCE_S: usize = 90;

    let stage = Stage::new();
    let pulse = PulseServer::start(stage.place());
    let listener = Listener::start(&pulse);
    let dora_says = stage.place().join("dora.wav");
    write_mono(&dora_says, &DORA.says(SOURCE_S));
    let mut host = stage.host(&[]);
    stage.prepare(&[ADA, BEN, CLEO], SOURCE_S);
    let at_ms = (now_unix_ms() + 8_000.0).round();

    let mut people = Vec::new();
    for (name, speaker) in [("Ada", ADA), ("Ben", BEN), ("Cleo", CLEO)] {
        people.push(stage.join(&host.invite, name, &stage.microphone(speaker, SOURCE_S, at_ms), &[]));
        host.person("participant_joined", name);
    }
    people.push(stage.join_with(&host.invite, "Dora", "default", &[], pulse.environment()));
    host.person("participant_joined", "Dora");
    let recording = stage.ask(&["record", &host.invite, "start"]).unwrap()["recording"].as_str().unwrap().to_owned();
    let played = Played::start(&pulse, &dora_says);
    host.recorded(&recording, 60_000);
    let outcome = stage.ask_within(&["record", &host.invite, "stop", "--wait"], PATIENCE * 2).unwrap();
    drop(played);
    let dora_ms = listener.instant_of(DORA).unwrap();
    for person in people {
        assert!(person.stop(PATIENCE).unwrap().status.success());
    }
    assert!(host.program.stop(PATIENCE).unwrap().status.success());

    let outcome = Outcome::of(&outcome);
    let truths = [
        Truth::of_a_file("Ada", ADA, at_ms),
        Truth::of_a_file("Ben", BEN, at_ms),
        Truth::of_a_file("Cleo", CLEO, at_ms),
        Truth { name: "Dora", speaker: DORA, instant_ms: dora_ms, tolerance_ms: 10.0 + Listener::UNCERTAINTY_MS },
    ];
    check(&outcome, &truths, SOURCE_S);
    let reading = readers::all(&outcome.path);
    assert_eq!((reading.channels, reading.rate), (4, 48_000));
    assert_eq!(reading.frames, outcome.wav().frames() as u64);
    assert!(reading.frames >= 60 * 48_000);
}

#[test]
fn the_object_in_s3_is_the_local_file_and_its_links_expire() {
    let stage = Stage::new();
    let server = SeaweedFs::start(stage.place());
    let bucket = server.bucket("talks");
    bucket.create().unwrap();
    let stage = stage.with_environment(server.environment(bucket.name()));
    let mut host = stage.host(&["--bucket", "s3"]);
    stage.prepare(&[ADA, BEN], 40);
    let at_ms = (now_unix_ms() + 4_000.0).round();
    let _ada = stage.join(&host.invite, "Ada", &stage.microphone(ADA, 40, at_ms), &[]);
    host.person("participant_joined", "Ada");
    let _ben = stage.join(&host.invite, "Ben", &stage.microphone(BEN, 40, at_ms), &[]);
    host.person("participant_joined", "Ben");
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    // Over 8 MiB of samples, so that it goes up in parts.
    host.recorded(started["recording"].as_str().unwrap(), 32_000);
    let told = stage.ask_within(&["record", &host.invite, "stop", "--wait"], PATIENCE * 2).unwrap();
    let outcome = Outcome::of(&told);
    check(&outcome, &[Truth::of_a_file("Ada", ADA, at_ms), Truth::of_a_file("Ben", BEN, at_ms)], 40);

    let file = std::fs::read(&outcome.path).unwrap();
    assert!(file.len() > 8 << 20, "{} bytes go up in one piece", file.len());
    assert!(bucket.get(&outcome.key).unwrap() == file, "the object is not the local file");
    let metadata = bucket.get(&outcome.key.replace(".wav", ".json")).unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    assert_eq!(metadata["id"], outcome.recording);

    let link = told["link"].as_str().unwrap();
    assert!(!link.contains(SeaweedFs::SECRET_KEY));
    let whole = fetch(link, None).unwrap();
    assert_eq!(whole.status, 200);
    assert!(whole.bytes == file, "the link brings something else");
    let part = fetch(link, Some("bytes=1000-1999")).unwrap();
    assert_eq!(part.status, 206);
    assert!(part.bytes == file[1000..2000]);
    let unsigned = link.split('?').next().unwrap();
    assert_eq!(fetch(unsigned, None).unwrap().status, 403);

    let short = stage.ask(&["recordings", &host.invite, "link", &outcome.recording, "--ttl", "2s"]).unwrap();
    let short = short["link"].as_str().unwrap();
    let refused = Deadline::after(Duration::from_secs(30)).poll(|| {
        let fetched = fetch(short, None).unwrap();
        (fetched.status != 200).then_some(fetched.status)
    });
    assert_eq!(refused, Some(403), "an expired link still works");
}
