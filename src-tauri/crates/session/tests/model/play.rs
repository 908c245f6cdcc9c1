//! Runs a script through the room and the model, and compares after each event.

use std::time::Duration;

use proptest::sample::Index;
use roomtone_protocol::channel::{Answer, Command};
use roomtone_protocol::state::{RoomState, UploadProgress};
use roomtone_protocol::{ClockNs, CommandId, ErrorReport, ParticipantId, RecordingId, RoomId, code};
use roomtone_session::{Caller, Config, Continued, Input, Output, Room};

use super::rules::Model;
use super::script::{Ask, Basis, Event, Script, Step};
use super::sight::without_patience;
use super::witness::Witness;

/// Ended recordings that surely fit into a state; of more than that only the newest are shown.
const SHOWN: usize = 40;

const SECOND: i64 = 1_000_000_000;

/// Commands that are surely remembered.
const REMEMBERED: usize = 20;

/// The current recording and its recorded time.
type Elapsed = Option<(RecordingId, i64)>;

/// Runs a script; panics where room and rules differ.
pub(crate) fn play(script: &Script) {
    let config = Config {
        room: RoomId::from_bytes([9; 16]),
        name: "Any room".to_owned(),
        record_by: script.record_by,
        grace: Duration::from_millis(script.grace_ms),
        epoch: 7,
        recording_enabled: script.recording_enabled,
        time_limit: script.time_limit_ms.map(Duration::from_millis),
        auto_record: script.auto_record,
        disk_bytes_per_sample: 3,
    };
    let room = Room::new(ClockNs(0), config.clone());
    let witness = Witness::new(&room, script.punctual);
    let versions = vec![room.state(ClockNs(0)).version()];
    let model = Model::new(config);
    let prompt = script.prompt;
    let mut play =
        Play { room, model, witness, versions, commands: Vec::new(), recordings: Vec::new(), ids: 0, prompt };
    let mut at = 0;
    for (after, event) in &script.events {
        at += after;
        while let Some(due) = play.room.next_deadline().filter(|due| script.punctual && due.0 <= at) {
            play.give(due, &Input::Tick);
        }
        let input = play.input(event);
        play.give(ClockNs(at), &input);
    }
}

struct Play {
    room: Room,
    model: Model,
    witness: Witness,
    /// Of all states that were published.
    versions: Vec<(u32, u64)>,
    /// All commands so far.
    commands: Vec<Input>,
    /// Every id that a recording has or might have had.
    recordings: Vec<RecordingId>,
    ids: u128,
    /// Whether a recording that is to begin by itself gets its id at once.
    prompt: bool,
}

impl Play {
    fn give(&mut self, at: ClockNs, input: &Input) {
        let before = (self.room.state(at), self.model.elapsed());
        self.room.handle(at, input.clone());
        let outputs: Vec<_> = std::iter::from_fn(|| self.room.poll_output()).collect();
        let repeated = self.commands.contains(input);
        let expected = if repeated {
            // Carried out already: only time goes by.
            self.model.step(at, &Input::Tick)
        } else {
            self.model.step(at, input)
        };
        if matches!(input, Input::Command { .. }) && !repeated {
            self.commands.push(input.clone());
        }
        let now = ClockNs(self.model.now);
        let state = self.room.state(now);

        self.witness.watch(at, input, &outputs, &self.room);
        self.compare_answer(expected, &outputs, &state);
        self.compare_outputs(&outputs);
        self.compare_state(&state);
        self.compare_change(&before, &outputs, &state);
        for &recording in &self.recordings {
            let life = self.model.life(recording).filter(|_| self.model.in_sight(recording));
            assert_eq!(self.room.recording(now, recording).map(|status| status.state), life);
            assert_eq!(code_of(self.room.may_download(recording)), self.model.may_download(recording));
        }
        if outputs.contains(&Output::Changed) {
            self.versions.push(state.version());
            self.model.publish(state.version());
        }
        if self.prompt && outputs.contains(&Output::WantsRecording) {
            let fresh = self.fresh();
            self.give(now, &Input::AutoStart { fresh });
        }
    }

    fn compare_answer(&self, expected: Option<Result<(), &'static str>>, outputs: &[Output], state: &RoomState) {
        let Some(expected) = expected else { return };
        let reply = outputs.iter().find_map(|output| match output {
            Output::Reply { result, .. } => Some(result.clone()),
            _ => None,
        });
        let reply = reply.expect("a command is answered");
        if let Ok(Answer::Status { current, finalizing }) = &reply {
            assert_eq!((current, finalizing), (&state.current, &state.finalizing));
        }
        assert_eq!(code_of(reply.map(|_| ())), expected);
    }

    fn compare_outputs(&self, outputs: &[Output]) {
        let about_people = |output: &&Output| matches!(output, Output::Person { .. });
        let about_recordings =
            |output: &&Output| !matches!(output, Output::Person { .. } | Output::Changed | Output::Reply { .. });
        let (real, model) = (outputs.iter(), self.model.done.iter());
        assert!(
            real.clone().filter(about_recordings).eq(model.clone().filter(about_recordings)),
            "{:?}",
            self.model.done
        );
        let in_any_order = |people: Vec<&Output>| {
            let mut people: Vec<_> = people.into_iter().map(|output| format!("{output:?}")).collect();
            people.sort();
            people
        };
        let real = in_any_order(real.filter(about_people).collect());
        assert_eq!(real, in_any_order(model.filter(about_people).collect()));
    }

    fn compare_state(&self, state: &RoomState) {
        let mut expected = self.model.state(state.version());
        if expected.finalizing.len() > SHOWN {
            let shown = state.finalizing.len();
            assert!(shown >= SHOWN);
            expected.finalizing.drain(..expected.finalizing.len() - shown);
        }
        assert_eq!(*state, expected);
    }

    /// A new version exactly when something changed, or when another second of the recording is over.
    fn compare_change(&self, (before, earlier): &(RoomState, Elapsed), outputs: &[Output], state: &RoomState) {
        let still = |state: &RoomState| {
            let mut state = without_patience(state.clone());
            state.sequence = 0;
            state.current.iter_mut().for_each(|current| (current.elapsed_ms, current.remaining_ms) = (0, None));
            state
        };
        let both = self.model.elapsed().zip(*earlier);
        let second = both.is_some_and(|(now, before)| now.0 == before.0 && now.1 / SECOND > before.1 / SECOND);
        let expected = still(before) != still(state);
        let changed = outputs.contains(&Output::Changed);
        assert_eq!(changed, expected || second, "published is what changed, and every second of a recording");
    }

    /// An id that a recording may get.
    fn fresh(&mut self) -> RecordingId {
        let fresh = RecordingId::from_bytes(self.id());
        self.recordings.push(fresh);
        fresh
    }

    fn id(&mut self) -> [u8; 16] {
        self.ids += 1;
        self.ids.to_be_bytes()
    }

    fn input(&mut self, event: &Event) -> Input {
        match event.clone() {
            Event::Tick => Input::Tick,
            Event::Enter { who, observer, host, name, microphone } => Input::Entered {
                participant: person(who),
                role: Event::role(observer),
                host,
                name: name.map(str::to_owned),
                microphone,
            },
            Event::Presence { who, path, up } => Input::Presence { participant: person(who), path, up },
            Event::Leave { who } => Input::Left { participant: person(who) },
            Event::Relay { lost: true } => Input::RelayLost,
            Event::Relay { lost: false } => Input::RelayBack,
            Event::Command { who, host, passing, based_on, ask } => {
                let command = self.command(&ask);
                let fresh = self.fresh();
                Input::Command {
                    caller: Caller { participant: person(who), host, passing },
                    id: CommandId::from_bytes(self.id()),
                    based_on: self.version(&based_on),
                    command,
                    fresh,
                }
            }
            Event::Repeat(index) => {
                let last = &self.commands[self.commands.len().saturating_sub(REMEMBERED)..];
                if last.is_empty() { Input::Tick } else { index.get(last).clone() }
            }
            Event::Recording(index, step) => self.known(&index).map_or(Input::Tick, |recording| news(recording, step)),
            Event::Unknown(step) => news(RecordingId::from_bytes([0xff; 16]), step),
            Event::Recovered { finalized } => {
                let recording = self.fresh();
                let length = Duration::from_millis(1_234);
                let notes = Some("kept".to_owned());
                Input::Recovered { recording, title: None, notes, started_by: None, length, finalized }
            }
            Event::Continued(earlier) => {
                let ago = |ms: i64| ClockNs(self.model.now - ms * 1_000_000);
                let (begun, last_there) = (ago(earlier.begun), ago(earlier.last_there));
                let running_since = earlier.running_since.map(ago);
                Input::Continued(Box::new(Continued {
                    recording: self.fresh(),
                    title: Some("Pilot".to_owned()),
                    notes: None,
                    started_by: Some(person(0)),
                    begun,
                    recorded: Duration::from_millis(earlier.recorded),
                    running_since,
                    channels: earlier.channels.into_iter().map(person).collect(),
                    markers: 2,
                    marked: Vec::new(),
                    pauses: 1,
                    last_there,
                }))
            }
            Event::AutoStart => Input::AutoStart { fresh: self.fresh() },
            Event::Disk(room) => {
                let free_bytes = room.map_or(1, |seconds| (64 << 20) + 1 + seconds * 164_000);
                Input::Disk { free_bytes }
            }
        }
    }

    /// A recording that means something: begun, and not long forgotten.
    fn known(&self, index: &Index) -> Option<RecordingId> {
        let begun = |id: &RecordingId| self.model.life(*id).is_some() && self.model.in_sight(*id);
        let known: Vec<_> = self.recordings.iter().copied().filter(begun).collect();
        (!known.is_empty()).then(|| *index.get(&known))
    }

    fn command(&self, ask: &Ask) -> Command {
        let owned = |text: &Option<&str>| text.map(str::to_owned);
        let named =
            |of: &Option<Index>| of.as_ref().map(|of| self.known(of).unwrap_or(RecordingId::from_bytes([0xff; 16])));
        match ask {
            Ask::Start { title, notes } => Command::Start { title: owned(title), notes: owned(notes) },
            Ask::Stop => Command::Stop,
            Ask::Pause => Command::Pause,
            Ask::Resume => Command::Resume,
            Ask::Cancel(of) => Command::Cancel { recording: named(of) },
            Ask::Mark(text) => Command::Mark { text: (*text).to_owned() },
            Ask::Describe { of, title, notes } => {
                Command::Describe { recording: named(of), title: owned(title), notes: owned(notes) }
            }
            Ask::Status => Command::Status,
            Ask::SetName(name) => Command::SetName { name: owned(name) },
            Ask::SetMuted(muted) => Command::SetMuted { muted: *muted },
            Ask::CloseRoom => Command::CloseRoom,
        }
    }

    fn version(&self, basis: &Basis) -> Option<(u32, u64)> {
        match basis {
            Basis::None => None,
            Basis::Newest => self.versions.last().copied(),
            Basis::Published(index) => Some(*index.get(&self.versions)),
            Basis::EarlierRun => Some((6, 3)),
        }
    }
}

fn person(who: u8) -> ParticipantId {
    ParticipantId::from_bytes([who; 16])
}

fn news(recording: RecordingId, step: Step) -> Input {
    match step {
        Step::Prepared => Input::Prepared { recording },
        Step::Finalized => Input::Finalized { recording },
        Step::Empty => Input::Empty { recording },
        Step::Completed => Input::Completed { recording },
        Step::Failed => Input::Failed { recording, reason: "stuck".to_owned(), hint: "push".to_owned() },
        Step::CutShort => Input::CutShort { recording, reason: "full".to_owned(), hint: "make room".to_owned() },
        Step::Trouble(there) => {
            let trouble = ErrorReport::new(code::STORAGE, "refused", "look at the keys");
            Input::Trouble { recording, trouble: there.then_some(trouble) }
        }
        Step::Waiting(people) => {
            let people = people.iter().map(|&who| person(who)).collect();
            Input::Waiting { recording, people, until: ClockNs(60_000_000_000) }
        }
        Step::GoesUp(percent) => {
            let upload = UploadProgress { bytes: percent.into(), total: 100, rate: Some(7), left_ms: None };
            Input::GoesUp { recording, upload }
        }
    }
}

/// The stable code of an answer, one of those that the rules know.
fn code_of(result: Result<(), ErrorReport>) -> Result<(), &'static str> {
    const KNOWN: [&str; 11] = [
        code::ROOM_CLOSED,
        code::RECORDING_DISABLED,
        code::NOT_ALLOWED,
        code::BAD_REQUEST,
        code::ALREADY_CHANGED,
        code::NOT_RECORDING,
        code::DISK_FULL,
        code::NOT_FINALIZED,
        code::NOT_UPLOADED,
        code::RECORDING_FAILED,
        code::RECORDING_NOT_FOUND,
    ];
    result.map_err(|error| KNOWN.into_iter().find(|known| *known == error.code).expect("a code that the rules know"))
}
