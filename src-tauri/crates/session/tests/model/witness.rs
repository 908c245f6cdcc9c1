//! What must hold in any room, judged from its outputs and states alone: the witness knows no rule of who may what.

use std::collections::{BTreeMap, BTreeSet};

use roomtone_protocol::channel::Answer;
use roomtone_protocol::state::{RecordingState, Role, RoomState};
use roomtone_protocol::{ClockNs, CommandId, ErrorReport, ParticipantId, RecordingId};
use roomtone_session::{Input, Output, Room, Warning};

use super::sight::without_patience;

/// Renewals of the elapsed time are at most so many nanoseconds apart.
const RENEWAL: i64 = 1_000_000_000;

type Reply = Result<Answer, ErrorReport>;

/// What is being recorded, as the outputs tell.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Open {
    recording: RecordingId,
    begun: ClockNs,
    /// Recorded before `running_since`, in nanoseconds.
    recorded: i64,
    running_since: Option<ClockNs>,
}

impl Open {
    fn elapsed(&self, at: ClockNs) -> i64 {
        self.recorded + self.running_since.map_or(0, |since| (at.0 - since.0).max(0))
    }
}

/// Watches one room from its beginning.
pub(crate) struct Witness {
    /// Whether the driver ticks at every deadline.
    punctual: bool,
    now: ClockNs,
    state: RoomState,
    told_at: ClockNs,
    /// Begun and not ended.
    open: Option<Open>,
    /// An earlier run's, which may have been due to end before this one began.
    continued: BTreeSet<RecordingId>,
    begun: BTreeSet<RecordingId>,
    ended: BTreeSet<RecordingId>,
    discarded: BTreeSet<RecordingId>,
    channels: BTreeMap<RecordingId, Vec<ParticipantId>>,
    fates: BTreeMap<RecordingId, RecordingState>,
    answers: BTreeMap<(ParticipantId, CommandId), Reply>,
    closed: bool,
}

impl Witness {
    pub(crate) fn new(room: &Room, punctual: bool) -> Self {
        Self {
            punctual,
            now: ClockNs(0),
            state: room.state(ClockNs(0)),
            told_at: ClockNs(0),
            open: None,
            continued: BTreeSet::new(),
            begun: BTreeSet::new(),
            ended: BTreeSet::new(),
            discarded: BTreeSet::new(),
            channels: BTreeMap::new(),
            fates: BTreeMap::new(),
            answers: BTreeMap::new(),
            closed: false,
        }
    }

    /// The room was given an input and drained.
    pub(crate) fn watch(&mut self, at: ClockNs, input: &Input, outputs: &[Output], room: &Room) {
        self.now = self.now.max(at);
        let state = room.state(self.now);
        // What was due before something is continued ended before that.
        let ends = |output: &Output| matches!(output, Output::End { recording, .. } if self.is_open(*recording));
        let continues = matches!(input, Input::Continued(_));
        let before = outputs.iter().position(ends).filter(|_| continues).map_or(0, |end| end + 1);
        self.follow(&outputs[..before]);
        self.earlier_run(input);
        self.follow(&outputs[before..]);
        self.check_current(outputs, &state);
        self.check_channels(outputs, &state);
        self.check_replies(input, outputs);
        self.check_version(outputs, &state);
        self.check_fates(room, &state);
        self.check_deadline(room);
        self.state = state;
    }

    /// What this room is told of an earlier run.
    fn earlier_run(&mut self, input: &Input) {
        match input {
            Input::Recovered { recording, .. } => {
                self.ended.insert(*recording);
            }
            Input::Continued(continued) => {
                let recording = continued.recording;
                self.begun.insert(recording);
                if self.closed || self.open.is_some() {
                    self.ended.insert(recording);
                    return;
                }
                let begun = continued.begun;
                let recorded = continued.recorded.as_nanos() as i64;
                let running_since = continued.running_since.map(|since| since.max(begun));
                self.open = Some(Open { recording, begun, recorded, running_since });
                self.continued.insert(recording);
                self.channels.insert(
                    recording,
                    continued.channels.iter().copied().fold(Vec::new(), |mut known, p| {
                        if !known.contains(&p) {
                            known.push(p);
                        }
                        known
                    }),
                );
            }
            _ => {}
        }
    }

    fn is_open(&self, recording: RecordingId) -> bool {
        self.open.is_some_and(|open| open.recording == recording)
    }

    fn follow(&mut self, outputs: &[Output]) {
        let mut end_here = None;
        for output in outputs {
            match *output {
                Output::Begin { recording, at, .. } => {
                    assert_eq!(self.open, None, "a recording begins after the one before has ended");
                    assert_eq!(at, self.now, "a recording begins now");
                    assert!(self.begun.insert(recording), "a recording begins once");
                    if let Some(end) = end_here.filter(|_| self.punctual) {
                        assert_eq!(end, at, "the fresh recording begins where the old one ends");
                    }
                    self.open = Some(Open { recording, begun: at, recorded: 0, running_since: Some(at) });
                }
                Output::End { recording, at } => {
                    let open = self.open.take().expect("what ends was begun");
                    assert_eq!(open.recording, recording);
                    assert!(open.begun <= at && at <= self.now, "it ends after it began, and not in the future");
                    let punctual = self.punctual && !self.continued.contains(&recording);
                    assert!(!punctual || at == self.now, "a punctual driver ends it when it is due");
                    assert!(self.ended.insert(recording), "a recording ends once");
                    end_here = punctual.then_some(at);
                }
                Output::Pause { recording, at } => {
                    let open = self.open.as_mut().expect("what pauses was begun");
                    assert_eq!((open.recording, at), (recording, self.now), "what pauses is current, and pauses now");
                    assert!(open.running_since.is_some(), "what pauses runs");
                    (open.recorded, open.running_since) = (open.elapsed(at), None);
                }
                Output::Resume { recording, at } => {
                    let open = self.open.as_mut().expect("what goes on was begun");
                    assert_eq!((open.recording, at), (recording, self.now), "what goes on is current, and does so now");
                    assert_eq!(open.running_since.replace(at), None, "what goes on was paused");
                }
                Output::Mark { recording, at, .. } => {
                    let open = self.open.map(|open| open.recording);
                    assert_eq!((open, at), (Some(recording), self.now), "markers are of what is current, and of now");
                }
                Output::Described { recording, .. } => {
                    assert!(!self.discarded.contains(&recording), "what was discarded is not spoken of");
                    assert!(self.begun.contains(&recording) || self.ended.contains(&recording));
                }
                Output::Warning { recording, warning: Warning::DiskFull } => {
                    assert!(self.ended.contains(&recording), "a full disk ends it");
                }
                Output::Warning { recording, .. } => {
                    assert_eq!(self.open.map(|open| open.recording), Some(recording), "a warning comes ahead");
                }
                Output::Channel { recording, .. } => {
                    assert!(self.is_open(recording), "channels are of what is being recorded");
                }
                Output::WantsRecording => assert_eq!(self.open, None, "it begins by itself where nothing runs"),
                Output::Discard { recording } => {
                    assert!(self.ended.contains(&recording), "what runs is not discarded");
                    assert!(self.discarded.insert(recording), "a recording is discarded once");
                }
                _ => {}
            }
        }
    }

    fn check_current(&mut self, outputs: &[Output], state: &RoomState) {
        let current = state.current.as_ref();
        let open = self.open.map(|open| open.recording);
        assert_eq!(current.map(|current| current.recording), open, "one at most is current");
        if let (Some(current), Some(open)) = (current, self.open) {
            assert_eq!(current.elapsed_ms, (open.elapsed(self.now) / 1_000_000) as u64, "pauses do not count");
            match open.running_since {
                None => assert_eq!(current.state, RecordingState::Paused),
                Some(_) => {
                    assert!(matches!(current.state, RecordingState::Preparing | RecordingState::Recording));
                }
            }
        }
        assert!(!self.closed || outputs.iter().all(|output| !matches!(output, Output::Begin { .. })));
        let closes = outputs.iter().filter(|output| **output == Output::RoomClosed).count();
        if closes > 0 {
            assert!(!self.closed && closes == 1 && outputs.last() == Some(&Output::RoomClosed), "closed once, last");
            assert_eq!(state.current, None);
            self.closed = true;
        }
    }

    fn check_channels(&mut self, outputs: &[Output], state: &RoomState) {
        for output in outputs {
            if let Output::Channel { recording, participant, index } = *output {
                let channels = self.channels.entry(recording).or_default();
                assert_eq!(usize::from(index), channels.len(), "channels are dense");
                assert!(!channels.contains(&participant), "one channel each, for as long as the recording lasts");
                channels.push(participant);
                let role = state.person(participant).map(|person| person.role);
                assert_eq!(role, Some(Role::Participant), "no observer has a channel");
            }
        }
        let given = self.open.and_then(|open| self.channels.get(&open.recording));
        for person in &state.people {
            let index = given.and_then(|given| given.iter().position(|&of| of == person.participant));
            assert_eq!(person.channel.map(usize::from), index, "everyone keeps the channel that they were given");
        }
    }

    fn check_replies(&mut self, input: &Input, outputs: &[Output]) {
        let replies: Vec<_> = outputs.iter().filter(|output| matches!(output, Output::Reply { .. })).collect();
        let Input::Command { caller, id, .. } = input else {
            assert!(replies.is_empty(), "nobody asked");
            return;
        };
        let [Output::Reply { to, id: of, result }] = replies[..] else { panic!("one answer: {replies:?}") };
        assert_eq!((to, of), (&caller.participant, id));
        let first = self.answers.entry((*to, *of)).or_insert_with(|| result.clone());
        assert_eq!(first, result, "a repeated command gets the same answer");
    }

    fn check_version(&mut self, outputs: &[Output], state: &RoomState) {
        let changes = outputs.iter().filter(|output| **output == Output::Changed).count();
        assert!(changes <= 1, "one input is one change");
        if changes == 1 {
            assert!(state.version() > self.state.version(), "every published state is newer");
            self.told_at = self.now;
        } else {
            let still = |state: &RoomState| {
                let mut state = without_patience(state.clone());
                state.current.iter_mut().for_each(|current| (current.elapsed_ms, current.remaining_ms) = (0, None));
                state
            };
            assert_eq!(still(state), still(&self.state), "what changes is published");
        }
        let silence = self.now.0 - self.told_at.0;
        let runs = self.open.is_some_and(|open| open.running_since.is_some());
        assert!(!runs || !self.punctual || silence < RENEWAL, "the elapsed time is renewed");
    }

    fn check_fates(&mut self, room: &Room, state: &RoomState) {
        let listed: Vec<_> = state.finalizing.iter().map(|status| status.recording).collect();
        assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), listed.len(), "each is listed once");
        for &recording in &listed {
            assert!(self.ended.contains(&recording), "what is listed has ended");
        }
        for &recording in &self.ended {
            let life = room.recording(self.now, recording).map(|status| status.state);
            let before = self.fates.get(&recording).copied();
            assert_eq!(room.may_download(recording).is_ok(), matches!(life, None | Some(RecordingState::Completed)));
            let Some(life) = life else {
                let seen_off = matches!(before, Some(RecordingState::Completed | RecordingState::Cancelled));
                assert!(seen_off, "{recording:?} is dropped as {before:?}");
                continue;
            };
            assert!(before.is_none_or(|before| before == life || goes(before, life)), "{before:?} -> {life:?}");
            assert_eq!(life == RecordingState::Cancelled, self.discarded.contains(&recording));
            self.fates.insert(recording, life);
        }
        if let Some(open) = self.open {
            assert!(room.may_download(open.recording).is_err(), "what is being recorded cannot be downloaded");
        }
    }

    fn check_deadline(&self, room: &Room) {
        let due = room.next_deadline();
        let runs = self.open.is_some_and(|open| open.running_since.is_some());
        assert!(!runs || due.is_some(), "what runs has a next deadline");
        let mut later = without_patience(room.state(ClockNs(self.now.0 + 86_400_000_000_000)));
        let mut now = without_patience(room.state(self.now));
        if let (Some(later), Some(now)) = (&mut later.current, &mut now.current) {
            later.elapsed_ms -= if runs { 86_400_000 } else { 0 };
            assert_eq!(later.remaining_ms.is_some(), now.remaining_ms.is_some());
            (later.remaining_ms, now.remaining_ms) = (None, None);
        }
        assert_eq!(later, now, "only the elapsed time moves by itself, and what is left of the limit");
    }
}

/// Whether an ended recording may go from one state to the other.
fn goes(from: RecordingState, to: RecordingState) -> bool {
    use RecordingState::{Cancelled, Completed, Failed, Finalizing, Uploading};
    matches!(
        (from, to),
        (Finalizing, Uploading | Completed | Cancelled | Failed)
            | (Uploading, Completed | Cancelled | Failed)
            | (Failed, Cancelled)
    )
}
