//! A disk that is really full. The host's: the recording ends cleanly with all that was said, and everybody is told why.
//! A participant's: they are told, and nothing of what they say is lost.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use roomtone_tests::signal::Speaker;
use roomtone_tests::{Host, Outcome, PATIENCE, Program, Stage, Truth, now_unix_ms, readers};
use serde_json::Value;

const ADA: Speaker = Speaker(1);
const BEN: Speaker = Speaker(2);
const SOURCE_S: usize = 60;

/// Room on the host's disk: the reserve of 64 MiB, and a little more than a recording of a minute takes.
const DISK_MIB: u32 = 100;

/// Room on the disk of somebody who takes part.
const THEIR_DISK_MIB: u32 = 8;

/// Mounts a file system of its own size over a data directory, where nobody else sees it, and becomes the program.
const ON_A_SMALL_DISK: &str = r#"mount -t tmpfs -o size="$1" none "$2" && shift 2 && exec "$@""#;

/// Opens a room whose data directory is a disk of its own.
fn host_on_a_small_disk(stage: &Stage) -> Host {
    let arguments = ["host", "--room", "First light", "--media-addr", "127.0.0.1", "--listen", "127.0.0.1:0"];
    let host = stage.roomtone("host", &[&arguments[..], &["--mic", "none"]].concat());
    stage.started_host(&mut on_a_small_disk(&host, &stage.data_dir("host"), DISK_MIB))
}

/// The same program with a disk of its own as its data directory.
fn on_a_small_disk(program: &Command, data_dir: &Path, mib: u32) -> Command {
    fs::create_dir_all(data_dir).unwrap();
    let mut command = Command::new("unshare");
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "sh", "-c", ON_A_SMALL_DISK, "sh", &format!("{mib}m")]).arg(data_dir);
    command.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut allowed = Command::new("unshare");
    if !is_root() {
        allowed.arg("--map-root-user");
    }
    let allowed = allowed.args(["--mount", "true"]).output();
    assert!(
        allowed.as_ref().is_ok_and(|output| output.status.success()),
        "this test mounts a small disk in a mount namespace of its own and may not; run it as root, or allow \
         unprivileged user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0 ({allowed:?})"
    );
    command
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// Where a path of a program's is seen from here.
fn seen_from_here(program: &Program, path: &Path) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{}/root", program.id()));
    root.join(path.strip_prefix("/").unwrap())
}

/// What came of a recording, read from the host's own disk.
fn outcome(host: &Host, told: &Value) -> Outcome {
    let mut told = told.clone();
    let path = seen_from_here(&host.program, Path::new(told["path"].as_str().unwrap()));
    told["path"] = path.to_str().unwrap().into();
    Outcome::of(&told)
}

/// Takes all the room that is left on a disk.
fn fill(path: &Path) {
    let mut filler = File::create(path).unwrap();
    // Large pieces first, then single pages: to the last byte.
    for piece in [1 << 20, 4_096] {
        let piece = vec![0; piece];
        while filler.write_all(&piece).is_ok() {}
    }
}

#[test]
fn a_disk_that_fills_up_ends_the_recording_with_all_that_was_said() {
    let stage = Stage::new();
    let mut host = host_on_a_small_disk(&stage);
    let disk = seen_from_here(&host.program, &stage.data_dir("host"));
    let reserve = disk.join("reserve");
    stage.prepare(&[ADA, BEN], SOURCE_S);
    let at_ms = (now_unix_ms() + 1_000.0).round();
    let people = [("Ada", ADA), ("Ben", BEN)];
    let mut programs = people.map(|(name, speaker)| {
        let program = stage.join(&host.invite, name, &stage.microphone(speaker, SOURCE_S, at_ms), &["--stay"]);
        host.person("participant_joined", name);
        program
    });
    let recording = stage.ask(&["record", &host.invite, "start"]).unwrap()["recording"].as_str().unwrap().to_owned();
    host.recorded(&recording, 6_000);
    assert!(reserve.exists(), "room is held for the end");
    let filler = disk.join("somebody else's file");
    fill(&filler);

    let ended = |event: &Value| {
        let over = event["state"] == "finalizing" || event["state"] == "uploading" || event["state"] == "completed";
        event["event"] == "recording_state" && event["recording"] == *recording && over
    };
    let [ada, ben] = &mut programs;
    for program in [&mut host.program, ada, ben] {
        let told = program.wait_for("the end of the recording", PATIENCE, ended).unwrap();
        let why = told["failure"].as_str().unwrap_or_default();
        // The look at the free space and the first write that fails come in either order.
        assert!(why.contains("disk") && (why.contains("make room") || why.contains("free some space")), "{told}");
    }
    let what = "the completed recording";
    let completed = |event: &Value| event["event"] == "recording_completed" && event["recording"] == *recording;
    let told = host.program.wait_for(what, PATIENCE, completed).unwrap();
    assert!(!reserve.exists() && filler.exists(), "it was the reserve that made this possible");
    let finished = outcome(&host, &told);
    let truths = people.map(|(name, speaker)| Truth::of_a_file(name, speaker, at_ms));
    Truth::check(&finished, &truths, SOURCE_S);
    let reading = readers::all(&finished.path);
    assert_eq!((reading.channels, reading.rate), (2, 48_000));
    assert!(reading.frames >= 5 * 48_000, "{} frames", reading.frames);
    // In the bucket, whole; it is on the same disk here.
    let object = disk.join("bucket").join(&finished.key);
    assert!(fs::read(object).unwrap() == fs::read(&finished.path).unwrap());

    // The room goes on, and with room on the disk so does recording.
    fs::remove_file(&filler).unwrap();
    // The room is found by the next look at the disk.
    stage.ask_until("room for a recording", &["record", &host.invite, "start"], Result::is_ok);
    let status = stage.ask(&["record", &host.invite, "status"]).unwrap();
    let second = status["recording"].as_str().unwrap().to_owned();
    host.recorded(&second, 2_000);
    assert!(reserve.exists(), "there is room for a reserve again");
    let told = stage.ask(&["record", &host.invite, "stop", "--wait"]).unwrap();
    assert!(outcome(&host, &told).gapless, "{told}");
    for program in programs {
        assert!(program.stop(PATIENCE).unwrap().status.success());
    }
    assert!(host.program.stop(PATIENCE).unwrap().status.success());
}

#[test]
fn who_has_no_room_on_the_disk_is_told_and_recorded_all_the_same() {
    let stage = Stage::new();
    let mut host = stage.host(&["--mic", "none"]);
    stage.prepare(&[ADA, BEN], SOURCE_S);
    let at_ms = (now_unix_ms() + 1_000.0).round();
    let microphone = stage.microphone(ADA, SOURCE_S, at_ms);
    let arguments =
        ["join", &host.invite, "--name", "Ada", "--mic", &microphone, "--media-addr", "127.0.0.1", "--stay"];
    let ada = stage.roomtone("Ada", &arguments);
    let mut ada = stage.started_participant("Ada", &mut on_a_small_disk(&ada, &stage.data_dir("Ada"), THEIR_DISK_MIB));
    let ben = stage.join(&host.invite, "Ben", &stage.microphone(BEN, SOURCE_S, at_ms), &["--stay"]);
    for name in ["Ada", "Ben"] {
        host.person("participant_joined", name);
    }
    let filler = seen_from_here(&ada, &stage.data_dir("Ada").join("somebody else's file"));
    fill(&filler);

    let recording = stage.ask(&["record", &host.invite, "start"]).unwrap()["recording"].as_str().unwrap().to_owned();
    let spool = |active: bool| {
        move |event: &Value| event["event"] == "alarm" && event["kind"] == "spool_failed" && event["active"] == active
    };
    let told = ada.wait_for("the alarm", PATIENCE, spool(true)).unwrap();
    assert!(told["message"].as_str().is_some_and(|message| message.contains("free space")), "{told}");
    host.recorded(&recording, 6_000);
    fs::remove_file(&filler).unwrap();
    ada.wait_for("the end of the alarm", PATIENCE, spool(false)).unwrap();
    host.recorded(&recording, 9_000);
    let told = stage.ask(&["record", &host.invite, "stop", "--wait"]).unwrap();
    let finished = Outcome::of(&told);
    Truth::check(
        &finished,
        &[("Ada", ADA), ("Ben", BEN)].map(|(name, of)| Truth::of_a_file(name, of, at_ms)),
        SOURCE_S,
    );
    assert!(finished.gapless, "{told}");
    for program in [ada, ben] {
        assert!(program.stop(PATIENCE).unwrap().status.success());
    }
    assert!(host.program.stop(PATIENCE).unwrap().status.success());
}
