//! Who can download what, and how everyone learns that the bucket changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use roomtone_tests::signal::Speaker;
use roomtone_tests::{Deadline, Host, Outcome, PATIENCE, Program, SeaweedFs, Stage, fetch, now_unix_ms};
use serde_json::Value;

/// Somebody else who writes to the bucket.
trait Stranger {
    fn put(&self, key: &str, bytes: &[u8]);
    fn delete(&self, key: &str);
}

struct InTheFolder(PathBuf);

impl Stranger for InTheFolder {
    fn put(&self, key: &str, bytes: &[u8]) {
        std::fs::write(self.0.join(key), bytes).unwrap();
    }

    fn delete(&self, key: &str) {
        std::fs::remove_file(self.0.join(key)).unwrap();
    }
}

impl Stranger for roomtone_tests::Bucket {
    fn put(&self, key: &str, bytes: &[u8]) {
        self.put(key, bytes.to_vec()).unwrap();
    }

    fn delete(&self, key: &str) {
        self.delete(key).unwrap();
    }
}

/// The keys in the list that an invite shows.
fn listed(answer: &Value) -> Vec<String> {
    let entries = answer["recordings"].as_array().unwrap_or_else(|| panic!("no recordings in {answer}"));
    entries.iter().map(|entry| entry["key"].as_str().unwrap().to_owned()).collect()
}

/// Three seconds of Ada.
fn a_recording(stage: &Stage, host: &mut Host) -> Outcome {
    let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
    host.recorded(started["recording"].as_str().unwrap(), 3_000);
    Outcome::of(&stage.ask(&["record", &host.invite, "stop", "--wait"]).unwrap())
}

/// Everybody is told that the list changed, and sees the change when they look.
fn everyone_sees(
    stage: &Stage,
    host: &mut Host,
    people: &mut [Program],
    change: impl FnOnce(),
    what: &str,
    key: &str,
    there: bool,
) {
    host.program.forget();
    people.iter_mut().for_each(Program::forget);
    change();
    let told = people.iter_mut().chain([&mut host.program]);
    told.for_each(|program| drop(program.wait_for_event("recordings_changed", PATIENCE).unwrap()));
    stage.ask_until(what, &["recordings", &host.invite, "list"], |answer| {
        answer.as_ref().is_ok_and(|answer| listed(answer).iter().any(|listed| listed == key) == there)
    });
}

/// What holds for every bucket.
fn the_list_follows_the_bucket(stage: &Stage, host: &mut Host, stranger: impl FnOnce(&Outcome) -> Box<dyn Stranger>) {
    let ada = stage.join(&host.invite, "Ada", &stage.microphone(Speaker(1), 300, now_unix_ms()), &[]);
    let observer = stage.join(&host.invite, "Olga", "none", &["--observe"]);
    let outcome = a_recording(stage, host);
    let mut people = [ada, observer];
    let stranger = stranger(&outcome);
    let list = |invite: &str| listed(&stage.ask(&["recordings", invite, "list"]).unwrap());
    assert_eq!(list(&host.invite), [outcome.key.as_str()]);

    // A key of this room's, as somebody else might have chosen it.
    let ours = outcome.key.replace(".wav", "-mixed.wav");
    let put = || stranger.put(&ours, b"RIFF of somebody else");
    everyone_sees(stage, host, &mut people, put, "the stranger's object", &ours, true);
    let foreign = stage.ask(&["recordings", &host.invite, "link", &ours]).unwrap();
    assert_eq!(fetch(foreign["link"].as_str().unwrap(), None).unwrap().bytes, b"RIFF of somebody else");

    // One of another room is the host's to see, and nobody else's.
    let (folder, _) = outcome.key.rsplit_once('/').unwrap();
    let theirs = format!("{folder}/another-room_20260101_000000.wav");
    host.program.forget();
    stranger.put(&theirs, b"RIFF of another room");
    stage.ask_until("the other room's object", &["recordings", &host.host_invite, "list"], |answer| {
        answer.as_ref().is_ok_and(|answer| listed(answer).contains(&theirs))
    });
    assert!(!list(&host.invite).contains(&theirs));
    let refused = stage.ask(&["recordings", &host.invite, "link", &theirs]).unwrap_err();
    assert_eq!(refused.code, "recording_not_found", "{refused:?}");

    let delete = || stranger.delete(&ours);
    everyone_sees(stage, host, &mut people, delete, "the object's end", &ours, false);

    let unconfirmed = stage.ask(&["recordings", &host.host_invite, "delete", &outcome.recording]).unwrap_err();
    assert_eq!((unconfirmed.code.as_str(), unconfirmed.status), ("confirmation_needed", Some(2)));
    let by_a_guest = stage.ask(&["recordings", &host.invite, "delete", &outcome.recording, "--yes"]).unwrap_err();
    assert_eq!((by_a_guest.code.as_str(), by_a_guest.status), ("not_allowed", Some(4)), "{by_a_guest:?}");
    let delete = || {
        stage.ask(&["recordings", &host.host_invite, "delete", &outcome.recording, "--yes"]).unwrap();
    };
    delete();
    stage.ask_until("the recording's end", &["recordings", &host.invite, "list"], |answer| {
        answer.as_ref().is_ok_and(|answer| listed(answer).is_empty())
    });
    people.into_iter().for_each(|person| drop(person.stop(PATIENCE).unwrap()));
}

/// The folder that holds the object of this key, somewhere below `place`.
fn folder_with(place: &Path, key: &str) -> Option<PathBuf> {
    if place.join(key).is_file() {
        return Some(place.to_owned());
    }
    let entries = std::fs::read_dir(place).ok()?;
    entries.filter_map(Result::ok).find_map(|entry| folder_with(&entry.path(), key))
}

#[test]
fn everyone_sees_what_somebody_else_puts_into_the_folder() {
    let stage = Stage::new();
    let mut host = stage.host(&[]);
    let place = stage.data_dir("host");
    the_list_follows_the_bucket(&stage, &mut host, move |outcome| {
        Box::new(InTheFolder(folder_with(&place, &outcome.key).expect("the object lies below the data directory")))
    });
}

#[test]
fn everyone_sees_what_somebody_else_puts_into_s3() {
    let stage = Stage::new();
    let server = SeaweedFs::start(stage.place());
    let bucket = server.bucket("talks");
    bucket.create().unwrap();
    let stage = stage.with_environment(server.environment("talks"));
    // This store tells nobody of changes.
    let stage = stage.with_environment(vec![("ROOMTONE_LISTING_INTERVAL_S", "2".to_owned())]);
    let mut host = stage.host(&["--bucket", "s3"]);
    the_list_follows_the_bucket(&stage, &mut host, |_| Box::new(bucket));
}

#[test]
fn only_what_is_finalized_can_be_downloaded() {
    let stage = Stage::new();
    let mut host = stage.host(&[]);
    let ada = stage.join(&host.invite, "Ada", &stage.microphone(Speaker(1), 60, now_unix_ms()), &[]);
    let started = stage.ask(&["record", &host.invite, "start", "--title", "Tea time"]).unwrap();
    let recording = started["recording"].as_str().unwrap();
    let refused = stage.ask(&["recordings", &host.invite, "link", recording]).unwrap_err();
    assert_eq!((refused.code.as_str(), refused.status), ("not_finalized", Some(1)), "{refused:?}");
    let nothing = stage.ask(&["recordings", &host.invite, "show", "no-such-recording"]).unwrap_err();
    assert_eq!((nothing.code.as_str(), nothing.status), ("recording_not_found", Some(3)), "{nothing:?}");
    host.recorded(recording, 3_000);
    let told = stage.ask(&["record", &host.invite, "stop", "--wait"]).unwrap();
    let outcome = Outcome::of(&told);
    let file = std::fs::read(&outcome.path).unwrap();
    assert_eq!(outcome.size, file.len() as u64);

    let shown = stage.ask(&["recordings", &host.invite, "show", recording]).unwrap();
    assert_eq!((&shown["title"], &shown["state"]), (&Value::from("Tea time"), &Value::from("ready")), "{shown}");
    assert_eq!(shown["reach"], "everyone", "whoever reaches the host's relay reaches its files");
    let link = told["link"].as_str().unwrap();
    let whole = fetch(link, None).unwrap();
    assert_eq!(whole.status, 200);
    assert!(whole.bytes == file);
    let part = fetch(link, Some("bytes=100-")).unwrap();
    assert_eq!((part.status, part.range), (206, Some(format!("bytes 100-{}/{}", file.len() - 1, file.len()))));
    assert!(part.bytes == file[100..]);
    let copy = stage.place().join("copy.wav");
    stage.ask(&["recordings", &host.invite, "download", recording, "-o", copy.to_str().unwrap()]).unwrap();
    assert!(std::fs::read(copy).unwrap() == file);

    let forged = link.replace("signature=", "signature=A");
    assert!((400..500).contains(&fetch(&forged, None).unwrap().status));
    let short = stage.ask(&["recordings", &host.invite, "link", recording, "--ttl", "1s"]).unwrap();
    let refused = Deadline::after(Duration::from_secs(30)).poll(|| {
        let fetched = fetch(short["link"].as_str().unwrap(), None).unwrap();
        (fetched.status != 200).then_some(fetched.status)
    });
    assert!(refused.is_some_and(|status| (400..500).contains(&status)), "an expired link still works: {refused:?}");
    ada.stop(PATIENCE).unwrap();
}

#[test]
fn behind_a_relay_elsewhere_a_folders_recordings_can_be_had_on_the_hosts_computer_only() {
    let stage = Stage::new();
    let relay = stage.relay("127.0.0.1:0");
    let mut host = stage.host(&["--relay", &relay.url]);
    let ada = stage.join(&host.invite, "Ada", &stage.microphone(Speaker(1), 60, now_unix_ms()), &[]);
    let outcome = a_recording(&stage, &mut host);
    let file = std::fs::read(&outcome.path).unwrap();
    // Everybody sees it in the list, and that it is out of reach.
    for invite in [&host.invite, &host.host_invite] {
        let list = stage.ask(&["recordings", invite, "list"]).unwrap();
        assert_eq!(listed(&list), [outcome.key.as_str()]);
        assert_eq!(list["recordings"][0]["reach"], "host_only", "{list}");
    }
    // Here is the host's computer: its own server gives the file out, on loopback.
    let told = stage.ask(&["recordings", &host.host_invite, "link", &outcome.recording]).unwrap();
    let link = told["link"].as_str().unwrap();
    assert!(link.starts_with("http://127.0.0.1:"), "{link}");
    assert!(fetch(link, None).unwrap().bytes == file);
    let copy = stage.place().join("copy.wav");
    stage
        .ask(&["recordings", &host.host_invite, "download", &outcome.recording, "-o", copy.to_str().unwrap()])
        .unwrap();
    assert!(std::fs::read(copy).unwrap() == file);
    // The relay itself has none of it.
    let (_, path) = link.split_once("://").and_then(|(_, rest)| rest.split_once('/')).unwrap();
    assert_eq!(fetch(&format!("{}/{path}", relay.url), None).unwrap().status, 404);
    ada.stop(PATIENCE).unwrap();
}
