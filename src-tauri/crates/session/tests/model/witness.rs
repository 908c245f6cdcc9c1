//! What must hold in any room, judged from its outputs and states alone: the witness knows no rule of who may what.

use std::collections::{BTreeMap, BTreeSet};

use roomtone_protocol::channel::Answer;
use roomtone_protocol::state::{RecordingState, Role, RoomState};
use roomtone_protocol::{ClockNs, CommandId, ErrorReport, ParticipantId, RecordingId};
use roomtone_session::{Input, Output, Room};

/// Renewals of the elapsed time are at most so many nanoseconds apart.
const RENEWAL: i64 = 1_000_000_000;

type Reply = Result<Answer, ErrorReport>;

/// Watches one room from its beginning.
pub(crate) struct Witness {
    /// Whether the driver ticks at every deadline.
    punctual: bool,
    now: ClockNs,
    state: RoomState,
    told_at: ClockNs,
    /// Begun and not ended.
    open: Option<(RecordingId, ClockNs)>,
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
        self.check_recordings(outputs, &state);
        self.check_channels(outputs, &state);
        self.check_replies(input, outputs);
        self.check_version(outputs, &state);
        self.check_fates(input, room, &state);
        self.check_deadline(room);
        self.state = state;
    }

    fn check_recordings(&mut self, outputs: &[Output], state: &RoomState) {
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
                    self.open = Some((recording, at));
                }
                Output::End { recording, at } => {
                    let (open, begun) = self.open.take().expect("what ends was begun");
                    assert_eq!(open, recording);
                    assert!(begun <= at && at <= self.now, "a recording ends after it began, and not in the future");
                    assert!(!self.punctual || at == self.now, "a punctual driver ends it when it is due");
                    assert!(self.ended.insert(recording), "a recording ends once");
                    end_here = Some(at);
                }
                Output::Discard { recording } => {
                    assert!(self.ended.contains(&recording), "what runs is not discarded");
                    assert!(self.discarded.insert(recording), "a recording is discarded once");
                }
                _ => {}
            }
        }
        let current = state.current.as_ref();
        assert_eq!(current.map(|current| current.recording), self.open.map(|(open, _)| open), "one at most is current");
        if let (Some(current), Some((_, begun))) = (current, self.open) {
            assert_eq!(current.elapsed_ms, ((self.now.0 - begun.0) / 1_000_000) as u64);
            assert!(matches!(current.state, RecordingState::Preparing | RecordingState::Recording));
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
                assert_eq!(self.open.map(|(open, _)| open), Some(recording), "channels are of what is being recorded");
                let channels = self.channels.entry(recording).or_default();
                assert_eq!(usize::from(index), channels.len(), "channels are dense");
                assert!(!channels.contains(&participant), "one channel each, for as long as the recording lasts");
                channels.push(participant);
                let role = state.person(participant).map(|person| person.role);
                assert_eq!(role, Some(Role::Participant), "no observer has a channel");
            }
        }
        let given = self.open.and_then(|(open, _)| self.channels.get(&open));
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
                let mut state = state.clone();
                state.current.iter_mut().for_each(|current| current.elapsed_ms = 0);
                state
            };
            assert_eq!(still(state), still(&self.state), "what changes is published");
        }
        let silence = self.now.0 - self.told_at.0;
        assert!(state.current.is_none() || !self.punctual || silence < RENEWAL, "the elapsed time is renewed");
    }

    fn check_fates(&mut self, input: &Input, room: &Room, state: &RoomState) {
        let recovered = if let Input::Recovered { recording, .. } = input { Some(*recording) } else { None };
        self.ended.extend(recovered);
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
        if let Some((open, _)) = self.open {
            assert!(room.may_download(open).is_err(), "what is being recorded cannot be downloaded");
        }
    }

    fn check_deadline(&self, room: &Room) {
        let due = room.next_deadline();
        assert!(self.open.is_none() || due.is_some(), "what runs has a next deadline");
        let mut later = room.state(ClockNs(self.now.0 + 86_400_000_000_000));
        let now = room.state(self.now);
        if let (Some(later), Some(now)) = (&mut later.current, &now.current) {
            later.elapsed_ms -= 86_400_000;
            assert_eq!(later, now);
        }
        assert_eq!(later, now, "only the elapsed time moves by itself");
    }
}

/// Whether an ended recording may go from one state to the other.
fn goes(from: RecordingState, to: RecordingState) -> bool {
    use RecordingState::{Cancelled, Completed, Failed, Finalizing, Uploading};
    matches!((from, to), (Finalizing, Uploading | Completed | Cancelled | Failed) | (Uploading, Completed | Failed))
}
