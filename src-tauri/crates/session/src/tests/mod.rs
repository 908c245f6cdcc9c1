//! The rules one by one: an input, and exactly what it brings about.

mod authority;
mod beginning;
mod bounds;
mod cancelling;
mod continuing;
mod describing;
mod ending;
mod life;
mod pausing;
mod people;
mod presence;
mod recording;

use std::time::Duration;

use roomtone_protocol::channel::{Answer, Command};
use roomtone_protocol::state::{Presence, RecordBy, RecordingState, RecordingStatus, Role, RoomState};
use roomtone_protocol::{ClockNs, CommandId, ErrorReport, ParticipantId, RecordingId, RoomId};

use crate::{Caller, Config, Continued, Input, Output, Path, PersonChange, Room, Warning};

/// The grace time of every room here, in seconds.
const GRACE_S: u64 = 600;

fn who(n: u8) -> ParticipantId {
    ParticipantId::from_bytes([n; 16])
}

fn take(n: u8) -> RecordingId {
    RecordingId::from_bytes([n; 16])
}

fn at(seconds: f64) -> ClockNs {
    ClockNs((seconds * 1e9).round() as i64)
}

fn member(n: u8) -> Caller {
    Caller { participant: who(n), host: false, passing: false }
}

fn host(n: u8) -> Caller {
    Caller { host: true, ..member(n) }
}

fn passing(n: u8) -> Caller {
    Caller { passing: true, ..member(n) }
}

fn start() -> Command {
    Command::Start { title: None, notes: None }
}

fn config() -> Config {
    Config {
        room: RoomId::from_bytes([1; 16]),
        name: "Studio".to_owned(),
        record_by: RecordBy::Everyone,
        grace: Duration::from_secs(GRACE_S),
        epoch: 5,
        recording_enabled: true,
        time_limit: None,
        auto_record: None,
        disk_bytes_per_sample: 3,
    }
}

/// A room and the instant at which things happen to it.
struct Stage {
    room: Room,
    now: f64,
    commands: u8,
}

impl Stage {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: Config) -> Self {
        Self { room: Room::new(at(0.0), config), now: 0.0, commands: 0 }
    }

    /// Time goes on without the room being told.
    fn wait(&mut self, seconds: f64) -> &mut Self {
        self.now += seconds;
        self
    }

    /// Everything that an input brings about.
    fn give(&mut self, input: Input) -> Vec<Output> {
        self.room.handle(at(self.now), input);
        std::iter::from_fn(|| self.room.poll_output()).collect()
    }

    /// Ticks at every deadline until so many seconds from now, as a punctual driver does.
    fn run(&mut self, seconds: f64) -> Vec<Output> {
        let until = self.now + seconds;
        let mut outputs = Vec::new();
        while let Some(due) = self.room.next_deadline().filter(|&due| due <= at(until)) {
            self.now = due.0 as f64 / 1e9;
            self.room.handle(due, Input::Tick);
            outputs.extend(std::iter::from_fn(|| self.room.poll_output()));
        }
        self.now = until;
        outputs
    }

    fn enter(&mut self, n: u8) -> Vec<Output> {
        self.give(entered(n))
    }

    fn link(&mut self, n: u8, up: bool) -> Vec<Output> {
        self.give(Input::Presence { participant: who(n), path: Path::Link, up })
    }

    fn relay(&mut self, n: u8, up: bool) -> Vec<Output> {
        self.give(Input::Presence { participant: who(n), path: Path::Relay, up })
    }

    fn leave(&mut self, n: u8) -> Vec<Output> {
        self.give(Input::Left { participant: who(n) })
    }

    /// A new command; a recording that it begins is `take` of the returned number.
    fn command(&mut self, caller: Caller, command: Command) -> (u8, Vec<Output>) {
        self.command_on(caller, None, command)
    }

    fn command_on(&mut self, caller: Caller, based_on: Option<(u32, u64)>, command: Command) -> (u8, Vec<Output>) {
        self.commands += 1;
        let n = self.commands;
        let id = CommandId::from_bytes([n; 16]);
        (n, self.give(Input::Command { caller, id, based_on, command, fresh: take(n) }))
    }

    /// What a new command is answered.
    fn ask(&mut self, caller: Caller, command: Command) -> Result<Answer, String> {
        self.ask_on(caller, None, command)
    }

    fn ask_on(&mut self, caller: Caller, based_on: Option<(u32, u64)>, command: Command) -> Result<Answer, String> {
        let (_, outputs) = self.command_on(caller, based_on, command);
        let mut replies = outputs.into_iter().filter_map(|output| match output {
            Output::Reply { result, .. } => Some(result.map_err(|error| error.code)),
            _ => None,
        });
        let reply = replies.next().expect("every command is answered");
        assert_eq!(replies.next(), None, "once");
        reply
    }

    fn state(&self) -> RoomState {
        self.room.state(at(self.now))
    }

    fn version(&self) -> Option<(u32, u64)> {
        Some(self.state().version())
    }

    fn presence(&self, n: u8) -> Presence {
        self.state().person(who(n)).expect("somebody of this room").presence
    }

    fn channel(&self, n: u8) -> Option<u16> {
        self.state().person(who(n)).expect("somebody of this room").channel
    }

    fn label(&self, n: u8) -> String {
        self.state().person(who(n)).expect("somebody of this room").label.clone()
    }

    fn current(&self) -> RecordingStatus {
        self.state().current.expect("something is being recorded")
    }

    fn life(&self, n: u8) -> Option<RecordingState> {
        self.room.recording(at(self.now), take(n)).map(|status| status.state)
    }
}

fn entered(n: u8) -> Input {
    Input::Entered { participant: who(n), role: Role::Participant, host: false, name: None, microphone: true }
}

fn observing(n: u8) -> Input {
    Input::Entered { participant: who(n), role: Role::Observer, host: false, name: None, microphone: true }
}

fn silent(n: u8) -> Input {
    Input::Entered { participant: who(n), role: Role::Participant, host: false, name: None, microphone: false }
}

fn named(n: u8, name: &str) -> Input {
    let name = Some(name.to_owned());
    Input::Entered { participant: who(n), role: Role::Participant, host: false, name, microphone: true }
}

fn person(n: u8, change: PersonChange) -> Output {
    Output::Person { participant: who(n), change }
}

fn begin(n: u8, seconds: f64, by: u8) -> Output {
    Output::Begin { recording: take(n), at: at(seconds), title: None, started_by: Some(who(by)) }
}

fn end(n: u8, seconds: f64) -> Output {
    Output::End { recording: take(n), at: at(seconds) }
}

fn pause(n: u8, seconds: f64) -> Output {
    Output::Pause { recording: take(n), at: at(seconds) }
}

fn resume(n: u8, seconds: f64) -> Output {
    Output::Resume { recording: take(n), at: at(seconds) }
}

fn discard(n: u8) -> Output {
    Output::Discard { recording: take(n) }
}

/// Cancel the current recording.
fn cancel() -> Command {
    Command::Cancel { recording: None }
}

fn channel(n: u8, of: u8, index: u16) -> Output {
    Output::Channel { recording: take(n), participant: who(of), index }
}

fn done(to: u8, command: u8) -> Output {
    Output::Reply { to: who(to), id: CommandId::from_bytes([command; 16]), result: Ok(Answer::Done) }
}

fn refused(code: &str) -> Result<Answer, String> {
    Err(code.to_owned())
}

fn code_of(result: Result<(), ErrorReport>) -> Result<(), String> {
    result.map_err(|error| error.code)
}
