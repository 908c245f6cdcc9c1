//! A 20-second session without a window: three synthetic speakers join by invite, one late, one leaves.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use xtask::Program;

use crate::failure::Failure;
use crate::voice::Voice;
use crate::workspace::Workspace;
use crate::{level_line, need, package_manager, step};

/// Longest wait for anything that takes no time by itself.
const PATIENCE: Duration = Duration::from_secs(60);
/// Length of the recording.
const LENGTH_MS: u64 = 20_000;
/// Recorded time at which the late one comes.
const LATE_MS: u64 = 6_000;

/// Talks from before the recording until after it.
const ADA: Voice = Voice { name: "Ada", pitch: 210.0, seconds: 60 };
/// Leaves when there is nothing more to say.
const BEN: Voice = Voice { name: "Ben", pitch: 115.0, seconds: 14 };
/// Comes late.
const CLEO: Voice = Voice { name: "Cleo", pitch: 165.0, seconds: 60 };

/// Records it and prints what came of it.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    package_manager::install(&need::of_the_headless_program())?;
    // Without --package dependencies get the features of all default members, as in a plain cargo test.
    let build = &["build", "--locked", "--bin", "roomtone"];
    step::run("build", &mut workspace.cargo(build), "mend what the compiler says")?;
    let stage = Stage::new(workspace)?;

    for voice in [ADA, BEN, CLEO] {
        voice.write(&stage.wav(&voice))?;
    }
    let mut host =
        stage.start("host", &["host", "--room", "First light", "--mic", "none", "--listen", "127.0.0.1:0"])?;
    let ready = host.wait_for_event("ready", PATIENCE)?;
    let invite = text(&ready, "host_invite").or_else(|_| text(&ready, "invite"))?;
    println!("\nA host opened the room \"First light\".");
    let ada = stage.join(&mut host, &invite, &ADA)?;
    let ben = stage.join(&mut host, &invite, &BEN)?;
    let started = stage.ask(&["record", &invite, "start", "--title", "A first session"], PATIENCE)?;
    let recording = text(&started, "recording")?;
    println!("Recording {recording} is running.");
    reached(&mut host, &recording, LATE_MS)?;
    let cleo = stage.join(&mut host, &invite, &CLEO)?;
    host.wait_for_event("participant_left", PATIENCE)?;
    println!("{} left.", BEN.name);
    reached(&mut host, &recording, LENGTH_MS)?;
    let done = stage.ask(&["record", &invite, "stop", "--wait"], PATIENCE)?;
    println!("Stopped, finalized, in the bucket.\n");
    show(&host, &done, &recording)?;
    println!("link       {}", text(&done, "link")?);
    println!("           it works while the host runs, until it expires; to have the room and its links back:");
    println!(
        "           {} host --mic none --data-dir {}",
        stage.roomtone.display(),
        stage.place.join("host").display()
    );
    linger()?;
    for person in [ada, ben, cleo, host] {
        person.stop(PATIENCE)?;
    }
    Ok(())
}

/// Somebody at a terminal may want to follow the link while there is a host to answer.
fn linger() -> Result<(), Failure> {
    if std::io::stdin().is_terminal() {
        println!("\nThe room stays open until you press Enter.");
        let read = std::io::stdin().read_line(&mut String::new());
        read.map_err(|error| Failure::new(format!("the terminal cannot be read: {error}"), ""))?;
    }
    Ok(())
}

/// Prints the file and its channels.
fn show(host: &Program, done: &Value, recording: &str) -> Result<(), Failure> {
    let completed = host.events().iter().find(|event| is(event, "recording_completed", recording));
    let path =
        text(done, "path").or_else(|_| completed.map_or_else(|| text(done, "path"), |event| text(event, "path")))?;
    let path = PathBuf::from(path);
    let picture = level_line::read(&path)?;
    let names = names(&path.with_extension("json"));
    println!("file       {}", path.display());
    println!("           {} channels, {:.1} s", picture.channels.len(), picture.seconds);
    for (index, line) in picture.channels.iter().enumerate() {
        let name = names.get(index).map_or("", String::as_str);
        println!("channel {}  {name:<6} {line}", index + 1);
    }
    if picture.channels.len() == 3 {
        Ok(())
    } else {
        Err(Failure::new("the file does not have the three channels that it should have", "please report it"))
    }
}

/// The channels' names, from the metadata beside the file.
fn names(metadata: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(metadata).unwrap_or_default();
    let metadata: Value = serde_json::from_str(&text).unwrap_or_default();
    let channels = metadata["channels"].as_array().cloned().unwrap_or_default();
    channels.iter().map(|channel| channel["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Waits until the recording has come that far.
fn reached(host: &mut Program, recording: &str, elapsed_ms: u64) -> Result<(), Failure> {
    host.wait_for(&format!("{elapsed_ms} ms of the recording"), PATIENCE, |event| {
        is(event, "recording_state", recording) && event["elapsed_ms"].as_u64().is_some_and(|at| at >= elapsed_ms)
    })?;
    Ok(())
}

fn is(event: &Value, name: &str, recording: &str) -> bool {
    event["event"] == name && event["recording"] == recording
}

fn text(event: &Value, key: &str) -> Result<String, Failure> {
    let text = event[key].as_str().map(str::to_owned);
    text.ok_or_else(|| Failure::new(format!("no \"{key}\" in {event}"), "please report it"))
}

/// A fresh directory, and the program in it.
struct Stage {
    roomtone: PathBuf,
    place: PathBuf,
}

impl Stage {
    fn new(workspace: &Workspace) -> Result<Self, Failure> {
        let sessions = workspace.target("sessions");
        let fresh = (1..).map(|number| sessions.join(number.to_string())).find(|place| !place.exists());
        let place = fresh.expect("numbers do not run out");
        std::fs::create_dir_all(&place)
            .map_err(|error| Failure::new(format!("{} cannot be made: {error}", place.display()), ""))?;
        Ok(Self { roomtone: workspace.built("roomtone"), place })
    }

    fn wav(&self, voice: &Voice) -> PathBuf {
        self.place.join(format!("{}.wav", voice.name))
    }

    /// Starts the program with a data directory of its own, so that nothing of the person's is touched.
    fn start(&self, who: &str, arguments: &[&str]) -> Result<Program, Failure> {
        let mut command = Command::new(&self.roomtone);
        command.args(arguments).arg("--json").arg("--data-dir").arg(self.place.join(who));
        // Only here, and between here and here: a session of this machine with itself.
        if arguments.first() == Some(&"host") || arguments.first() == Some(&"join") {
            command.args(["--media-addr", "127.0.0.1"]);
        }
        Ok(Program::start(who, &mut command)?)
    }

    /// Asks the room for something.
    fn ask(&self, arguments: &[&str], bound: Duration) -> Result<Value, Failure> {
        let finished = self.start("remote", arguments)?.finish(bound)?;
        let answer = finished.events.last().cloned().unwrap_or_default();
        if finished.status.success() {
            return Ok(answer);
        }
        let said = if answer["error"].is_object() { answer["error"].to_string() } else { finished.log };
        Err(Failure::new(format!("roomtone {} failed: {said}", arguments[0]), ""))
    }

    /// A speaker joins, and talks from then on.
    fn join(&self, host: &mut Program, invite: &str, voice: &Voice) -> Result<Program, Failure> {
        let microphone = format!("file:{}", self.wav(voice).display());
        let mut program = self.start(voice.name, &["join", invite, "--name", voice.name, "--mic", &microphone])?;
        program.wait_for_event("joined", PATIENCE)?;
        host.wait_for(&format!("{} in the room", voice.name), PATIENCE, |event| {
            event["event"] == "participant_joined" && event["name"] == voice.name
        })?;
        println!("{} joined.", voice.name);
        Ok(program)
    }
}
