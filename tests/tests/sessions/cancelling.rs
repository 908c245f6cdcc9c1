//! A recording that is cancelled is gone: on the host, in the bucket, in everybody's spool, and after a restart.

use std::path::{Path, PathBuf};

use roomtone_tests::signal::Speaker;
use roomtone_tests::{Deadline, PATIENCE, Stage, now_unix_ms};
use serde_json::Value;

/// Every file below a folder whose path names the recording.
fn traces(place: &Path, recording: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![place.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(recording) {
                found.push(path);
            }
        }
    }
    found
}

/// Everything of the recording is gone but for tombstones.
fn only_tombstones(place: &Path, recording: &str) {
    let tombstone = |path: &PathBuf| path.metadata().is_ok_and(|file| file.len() < 1_000);
    let mut last = Vec::new();
    let gone = Deadline::after(PATIENCE).poll(|| {
        last = traces(place, recording);
        last.iter().all(tombstone).then_some(())
    });
    assert!(gone.is_some(), "of the recording there is still {last:?}");
}

fn bucket_files(place: &Path) -> Vec<PathBuf> {
    let audio = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wav" || extension == "json");
    traces(&place.join("bucket"), "").into_iter().filter(audio).collect()
}

#[test]
fn a_cancelled_recording_is_gone_everywhere_and_does_not_come_back() {
    let stage = Stage::new();
    let mut host = stage.host(&[]);
    stage.prepare(&[Speaker(1)], 60);
    let at_ms = (now_unix_ms() + 500.0).round();
    let mut ada = stage.join(&host.invite, "Ada", &stage.microphone(Speaker(1), 60, at_ms), &[]);
    host.person("participant_joined", "Ada");
    let start = |invite: &str| {
        let started = stage.ask(&["record", invite, "start"]).unwrap();
        started["recording"].as_str().unwrap().to_owned()
    };
    let recording = start(&host.invite);
    host.recorded(&recording, 3_000);
    assert!(
        !traces(&stage.data_dir("host"), &recording).is_empty()
            && !traces(&stage.data_dir("Ada"), &recording).is_empty()
    );

    let unconfirmed = stage.ask(&["record", &host.invite, "cancel"]).unwrap_err();
    assert_eq!((unconfirmed.code.as_str(), unconfirmed.status), ("confirmation_needed", Some(2)));
    let mut strangers = stage.roomtone("stranger", &["record", &host.invite, "cancel", "--yes"]);
    let refused = roomtone_tests::Program::run("stranger", &mut strangers, PATIENCE).unwrap();
    assert_eq!(refused.status.code(), Some(4), "only the host, or who started it: {:?}", refused.events);

    // The same script that started it.
    let cancelled = stage.ask(&["record", &host.invite, "cancel", "--yes"]).unwrap();
    assert_eq!((&cancelled["recording"], &cancelled["state"]), (&recording.as_str().into(), &"cancelled".into()));
    let told = |event: &Value| event["event"] == "recording_state" && event["state"] == "cancelled";
    host.program.wait_for("the end of it", PATIENCE, told).unwrap();
    ada.wait_for("the end of it", PATIENCE, told).unwrap();
    only_tombstones(&stage.data_dir("host"), &recording);
    only_tombstones(&stage.data_dir("Ada"), &recording);
    assert_eq!(bucket_files(&stage.data_dir("host")), [] as [PathBuf; 0]);

    // What comes after it is whole, and may be cancelled by the host.
    let second = start(&host.invite);
    host.recorded(&second, 2_000);
    stage.ask(&["record", &host.host_invite, "cancel", "--yes"]).unwrap();
    only_tombstones(&stage.data_dir("host"), &second);
    let third = start(&host.invite);
    host.recorded(&third, 2_000);
    let kept = stage.ask(&["record", &host.invite, "stop", "--wait"]).unwrap();
    assert_eq!(kept["gapless"], true, "{kept}");
    let late = stage.ask(&["record", &host.host_invite, "cancel", "--yes", "--recording", &third]).unwrap_err();
    assert_eq!(late.code, "already_changed", "it is completed");

    assert!(host.program.stop(PATIENCE).unwrap().status.success());
    let host = stage.host(&[]);
    assert_eq!(host.ready["recovered"], Value::Array(vec![]), "nothing of them comes back");
    let list = stage.ask(&["recordings", &host.invite, "list"]).unwrap();
    let text = list.to_string();
    assert!(text.contains(&third) && !text.contains(&recording) && !text.contains(&second), "{list}");
    assert!(ada.stop(PATIENCE).unwrap().status.success());
}
