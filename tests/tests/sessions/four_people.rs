//! Several people in, one multichannel WAV out, every voice on its own channel and at its true time.

use std::time::Duration;

use roomtone_tests::signal::Speaker;
use roomtone_tests::{Deadline, Outcome, PATIENCE, SeaweedFs, Stage, Truth, fetch, now_unix_ms, readers};

const ADA: Speaker = Speaker(1);
const BEN: Speaker = Speaker(2);
const CLEO: Speaker = Speaker(3);

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
        Truth {
            name: "Dora",
            speaker: DORA,
            instant_ms: dora_ms,
            tolerance_ms: 10.0 + Listener::UNCERTAINTY_MS,
            // The null sink counts its time in whole microseconds of whole pieces.
            clock_ppm: 300.0,
        },
    ];
    Truth::check(&outcome, &truths, SOURCE_S);
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
    Truth::check(&outcome, &[Truth::of_a_file("Ada", ADA, at_ms), Truth::of_a_file("Ben", BEN, at_ms)], 40);

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
