//! The bucket is the catalogue: what a host without any data of its own finds in it, in pages; what is deleted; what the
//! store is told to clear away.

use std::path::Path;

use roomtone_tests::signal::Speaker;
use roomtone_tests::{Host, Outcome, PATIENCE, SeaweedFs, Stage, fetch, now_unix_ms};
use serde_json::{Value, json};

/// Two seconds of Ada.
fn a_recording(stage: &Stage, host: &mut Host, title: &str) -> Outcome {
    let started = stage.ask(&["record", &host.invite, "start", "--title", title]).unwrap();
    host.recorded(started["recording"].as_str().unwrap(), 2_000);
    Outcome::of(&stage.ask(&["record", &host.invite, "stop", "--wait"]).unwrap())
}

fn titles(answer: &Value) -> Vec<String> {
    let entries = answer["recordings"].as_array().unwrap_or_else(|| panic!("no recordings in {answer}"));
    entries.iter().map(|entry| entry["title"].as_str().unwrap_or("-").to_owned()).collect()
}

/// Metadata as an earlier host wrote it.
fn metadata(n: usize, room_id: &str, started_at: &str) -> Value {
    json!({
        "schema": 1, "id": format!("{n:032x}"), "room": "First light", "room_id": room_id, "title": format!("Talk {n}"),
        "notes": null, "started_at": started_at, "ended_at": started_at, "sample_rate": 48_000, "bit_depth": 24,
        "frames": 48_000, "size": 4, "sha256": null, "parts": {"size": 8, "sha256": []}, "software": "roomtone",
        "gapless": true, "channels": [], "unrecorded": [], "markers": [],
    })
}

#[test]
fn a_host_without_any_data_finds_everything_in_the_bucket() {
    let stage = Stage::new();
    let server = SeaweedFs::start(stage.place());
    server.bucket("talks").create().unwrap();
    let stage = stage.with_environment(server.environment("talks"));
    let mut host = stage.host(&["--bucket", "s3"]);
    let ada = stage.join(&host.invite, "Ada", &stage.microphone(Speaker(1), 120, now_unix_ms()), &[]);
    let first = a_recording(&stage, &mut host, "Before the fire");
    let second = a_recording(&stage, &mut host, "Second");
    stage.ask(&["recordings", &host.host_invite, "rename", &second.recording, "Renamed in the bucket"]).unwrap();
    stage.ask(&["recordings", &host.host_invite, "notes", &second.recording, "Mind the dog."]).unwrap();
    ada.stop(PATIENCE).unwrap();
    host.program.stop(PATIENCE).unwrap();
    std::fs::remove_dir_all(stage.data_dir("host")).unwrap();

    // Another room altogether, of the same name: the host sees all, its guests what is theirs, which is nothing.
    let host = stage.host(&["--bucket", "s3"]);
    let list = ["recordings", &host.host_invite, "list"];
    let wanted = ["Renamed in the bucket", "Before the fire"];
    stage.ask_until("everything with its title", &list, |answer| {
        answer.as_ref().is_ok_and(|answer| titles(answer) == wanted)
    });
    let guests = stage.ask(&["recordings", &host.invite, "list"]).unwrap();
    assert_eq!((titles(&guests), &guests["total"]), (vec![], &json!(0)));
    let refused = stage.ask(&["recordings", &host.invite, "link", &first.recording]).unwrap_err();
    assert_eq!(refused.code, "recording_not_found");

    let shown = stage.ask(&["recordings", &host.host_invite, "show", &second.recording]).unwrap();
    assert_eq!((&shown["metadata"], &shown["details"]["notes"]), (&json!("good"), &json!("Mind the dog.")));
    assert_eq!(shown["details"]["channels"][0]["name"], "Ada", "{shown}");
    let copy = stage.place().join("copy.wav");
    let name = copy.to_str().unwrap();
    let told = stage.ask(&["recordings", &host.host_invite, "download", &first.recording, "-o", name]).unwrap();
    assert_eq!((&told["size"], &told["proven"]), (&json!(first.size), &json!(true)), "{told}");
    host.program.stop(PATIENCE).unwrap();
}

#[test]
fn a_long_list_comes_in_pages_and_says_what_is_wrong_with_entries() {
    const COUNT: usize = 1_000;
    let stage = Stage::new();
    let folder = stage.data_dir("host").join("bucket/recordings");
    std::fs::create_dir_all(&folder).unwrap();
    let started = |n: usize| {
        let (hour, minute, second) = (n / 3_600, n / 60 % 60, n % 60);
        (format!("2026-01-01T{hour:02}:{minute:02}:{second:02}Z"), format!("20260101_{hour:02}{minute:02}{second:02}"))
    };
    for n in 0..COUNT {
        let (started_at, stamp) = started(n);
        let path = folder.join(format!("first-light_{stamp}.wav"));
        std::fs::write(&path, b"RIFF").unwrap();
        let beside = match n {
            3 => "{damaged".to_owned(),
            4 => r#"{"schema":99}"#.to_owned(),
            _ => metadata(n, &"cd".repeat(16), &started_at).to_string(),
        };
        std::fs::write(path.with_extension("json"), beside).unwrap();
    }
    std::fs::write(folder.join("first-light-jingle.flac"), b"fLaC").unwrap();
    let host = stage.host(&[]);
    let list = ["recordings", &host.host_invite, "list"];
    let read = |answer: &Value| {
        answer["recordings"].as_array().is_some_and(|all| all.iter().all(|entry| entry["metadata"] != "unread"))
    };
    stage.ask_until("all metadata", &list, |answer| {
        answer.as_ref().is_ok_and(|answer| answer["total"] == COUNT + 1 && read(answer))
    });
    let all = stage.ask(&list).unwrap();
    let entries = all["recordings"].as_array().unwrap();
    assert_eq!((entries.len(), &all["next"]), (COUNT + 1, &Value::Null));
    let mut expected: Vec<String> = (0..COUNT).rev().map(|n| format!("Talk {n}")).collect();
    for n in [3, 4] {
        expected[COUNT - 1 - n] = "-".to_owned();
    }
    expected.insert(0, "-".to_owned());
    assert_eq!(titles(&all), expected);
    let state = |at: usize| entries[at]["metadata"].as_str().unwrap();
    assert_eq!([state(0), state(1), state(COUNT - 3), state(COUNT - 4)], ["missing", "good", "damaged", "newer"]);

    let part = stage.ask(&["recordings", &host.host_invite, "list", "--limit", "250"]).unwrap();
    let next = part["next"].as_str().unwrap();
    let rest = stage.ask(&["recordings", &host.host_invite, "list", "--after", next]).unwrap();
    assert_eq!([titles(&part), titles(&rest)].concat(), expected);
    let nowhere = stage.ask(&["recordings", &host.host_invite, "list", "--after", "nowhere"]).unwrap_err();
    assert_eq!(nowhere.code, "bad_request");
    host.program.stop(PATIENCE).unwrap();
}

#[test]
fn deleting_names_what_goes_and_what_a_versioned_bucket_keeps() {
    let stage = Stage::new();
    let server = SeaweedFs::start(stage.place());
    let bucket = server.bucket("talks");
    bucket.create().unwrap();
    bucket.keep_versions().unwrap();
    let stage = stage.with_environment(server.environment("talks"));
    let mut host = stage.host(&["--bucket", "s3"]);
    let ada = stage.join(&host.invite, "Ada", &stage.microphone(Speaker(1), 60, now_unix_ms()), &[]);
    let outcome = a_recording(&stage, &mut host, "Tea time");
    let (picture, mp3) = (outcome.key.replace(".wav", ".png"), outcome.key.replace(".wav", ".mp3"));
    bucket.put(&picture, b"PNG".to_vec()).unwrap();
    bucket.put(&mp3, b"ID3 of somebody else".to_vec()).unwrap();
    let delete = ["recordings", &host.host_invite, "delete", &outcome.recording];
    let asked = stage.ask(&delete).unwrap_err();
    assert_eq!((asked.code.as_str(), asked.status), ("confirmation_needed", Some(2)), "{asked:?}");
    let json = outcome.key.replace(".wav", ".json");
    for named in ["Tea time", &outcome.key, &picture, &json, "keeps versions", "the host's own disk"] {
        assert!(asked.text.contains(named), "{named} is not in {}", asked.text);
    }
    assert!(bucket.keys().unwrap().contains(&outcome.key), "nothing went");
    let deleted = stage.ask(&[&delete[..], &["--yes"]].concat()).unwrap();
    assert_eq!(deleted["kept"], "versions", "{deleted}");
    // Not a picture more than it has, and whatever else Roomtone put beside it.
    assert_eq!(bucket.keys().unwrap(), [mp3]);
    let gone = stage.ask(&delete).unwrap_err();
    assert_eq!((gone.code.as_str(), gone.status), ("recording_not_found", Some(3)));
    ada.stop(PATIENCE).unwrap();
    host.program.stop(PATIENCE).unwrap();
}

#[test]
fn links_last_from_a_second_to_seven_days_and_name_their_file() {
    let stage = Stage::new();
    let folder = stage.data_dir("host").join("bucket/recordings");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("first-light_tea.wav"), b"RIFF").unwrap();
    let host = stage.host(&[]);
    let key = "recordings/first-light_tea.wav";
    let link = |ttl: &str| stage.ask(&["recordings", &host.invite, "link", key, "--ttl", ttl]);
    stage.ask_until("the file", &["recordings", &host.invite, "show", key], Result::is_ok);
    for ttl in ["0s", "8d"] {
        assert_eq!(link(ttl).unwrap_err().code, "invalid_setting", "{ttl}");
    }
    let fetched = fetch(link("7d").unwrap()["link"].as_str().unwrap(), None).unwrap();
    assert_eq!((fetched.status, fetched.bytes), (200, b"RIFF".to_vec()));
    host.program.stop(PATIENCE).unwrap();
}

#[test]
fn a_bucket_is_told_to_clear_away_by_itself_and_a_host_does_it_where_there_are_no_rules() {
    let stage = Stage::new();
    let server = SeaweedFs::start(stage.place());
    server.bucket("talks").create().unwrap();
    let remote = server.environment("talks");
    let lifecycle = |more: &[&str]| {
        let arguments = [&["storage", "lifecycle"], more].concat();
        stage.ask_by(stage.roomtone("remote", &arguments).envs(remote.clone()), PATIENCE)
    };
    let planned = lifecycle(&["--retention", "90d", "--dry-run"]).unwrap();
    assert_eq!((&planned["applied"], planned["changes"].as_array().unwrap().len()), (&json!(false), 2), "{planned}");
    let asked = lifecycle(&["--retention", "90d"]).unwrap_err();
    assert_eq!((asked.code.as_str(), asked.status), ("confirmation_needed", Some(2)), "{asked:?}");
    assert_eq!(lifecycle(&["--retention", "90d", "--yes"]).unwrap()["applied"], true);
    assert_eq!(lifecycle(&["--retention", "90d", "--dry-run"]).unwrap()["changes"], json!([]));
    let removed = lifecycle(&["--yes"]).unwrap();
    assert_eq!(removed["changes"], json!([{"change": "remove", "id": "roomtone-retention"}]), "{removed}");
    let short = lifecycle(&["--retention", "1h", "--dry-run"]).unwrap_err();
    assert_eq!(short.code, "invalid_setting");
    let folder = stage.ask(&["storage", "lifecycle", "--dry-run"]).unwrap_err();
    assert!(folder.text.contains("the host deletes what is too old by itself"), "{folder:?}");

    let bucket = stage.data_dir("host").join("bucket/recordings");
    std::fs::create_dir_all(&bucket).unwrap();
    for (name, days) in [("first-light_20250101_000000", 100), ("first-light_20250101_000001", 80)] {
        let wav = bucket.join(name).with_extension("wav");
        let beside = metadata(days, &"cd".repeat(16), "2025-01-01T00:00:00Z").to_string();
        put_old(&wav, b"RIFF", days);
        put_old(&wav.with_extension("json"), beside.as_bytes(), days);
        put_old(&wav.with_extension("mp3"), b"ID3", days);
    }
    let mut host = stage.host(&["--retention", "90d"]);
    let expired = host.program.wait_for_event("recordings_expired", PATIENCE).unwrap();
    let gone = ["recordings/first-light_20250101_000000.json", "recordings/first-light_20250101_000000.wav"];
    assert_eq!(expired["keys"], json!(gone), "{expired}");
    let mut left: Vec<String> =
        std::fs::read_dir(&bucket).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    let kept = ["00.mp3", "01.json", "01.mp3", "01.wav"].map(|end| format!("first-light_20250101_0000{end}"));
    assert_eq!(left, kept);
    host.program.stop(PATIENCE).unwrap();
}

/// A file that was written so many days ago.
fn put_old(path: &Path, content: &[u8], days: usize) {
    let ago =
        std::time::Duration::from_millis(now_unix_ms() as u64) - std::time::Duration::from_secs(days as u64 * 86_400);
    std::fs::write(path, content).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + ago).unwrap();
}
