//! The participant's end of a room: microphone, link, door and person come in, and what the rules say goes out.

mod cuts;
mod goodbye;
mod input;
mod keeper;
mod microphone;
mod owed;
mod recorder;
mod store;
mod unspooled;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use roomtone_capture::{PreRoll, SpoolError};
use roomtone_packets::MutedFrom;
use roomtone_protocol::channel::{Alarm, AlarmKind, Anchor, Command, Segment, ToRecorder};
use roomtone_protocol::state::RoomState;
use roomtone_protocol::{ClockNs, CommandId, ErrorReport, ParticipantId, RecordingId, SegmentKey, code};

pub use input::{Input, Output};
pub use store::PacketStore;

use crate::events::{ParticipantEvent, RecordingLine};
use goodbye::Goodbye;
use keeper::Keeper;
use owed::Owed;

/// How long a request waits for its answer, over reconnections too: 15 s.
const REQUEST_NS: i64 = 15_000_000_000;

/// How often the recorder is told what is held: 1 s.
const INVENTORY_NS: i64 = 1_000_000_000;

/// The participant's end of one room.
#[derive(Debug)]
pub struct ParticipantEnd<S> {
    me: ParticipantId,
    /// Whether to stay when a file microphone is over.
    stay: bool,
    now: ClockNs,
    keeper: Keeper<S>,
    linked: bool,
    owed: Owed,
    /// What a new link is told first.
    segments: Vec<Segment>,
    anchors: BTreeMap<SegmentKey, Anchor>,
    alarms: BTreeMap<AlarmKind, Alarm>,
    requests: BTreeMap<CommandId, Asked>,
    muted: bool,
    /// Since the program started, in order: those of a time without a link are told by the next one.
    mutes: Vec<MutedFrom>,
    state: Option<RoomState>,
    lines: Vec<RecordingLine>,
    joined: bool,
    /// The last thing that the spool was told to do failed, and no packet has gone into it since.
    spool_fails: bool,
    safe: Option<bool>,
    /// When inventories and requests are looked at next.
    second_at: ClockNs,
    goodbye: Option<Goodbye>,
    over: bool,
    outputs: VecDeque<Output>,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Asked {
    command: Command,
    until: ClockNs,
}

impl<S: PacketStore> ParticipantEnd<S> {
    /// Somebody who has just entered. `capturing`: there is a microphone. `stay`: also when it is over.
    pub fn new(now: ClockNs, me: ParticipantId, store: S, capturing: bool, stay: bool) -> Self {
        Self {
            me,
            stay,
            now,
            keeper: Keeper::new(PreRoll::new(PreRoll::WINDOW), store, capturing),
            linked: false,
            owed: Owed::default(),
            segments: Vec::new(),
            anchors: BTreeMap::new(),
            alarms: BTreeMap::new(),
            requests: BTreeMap::new(),
            muted: false,
            mutes: Vec::new(),
            state: None,
            lines: Vec::new(),
            joined: false,
            spool_fails: false,
            safe: None,
            second_at: now,
            goodbye: None,
            over: false,
            outputs: VecDeque::new(),
        }
    }

    /// Something happened.
    pub fn handle(&mut self, now: ClockNs, input: Input) {
        if self.over {
            return;
        }
        self.now = now;
        match input {
            Input::Tick => {}
            Input::Captured(event) => self.captured(event),
            Input::Linked { id } => self.linked(id),
            Input::LinkClosed => self.link_closed(),
            Input::Message(message) => self.message(message),
            // While the recorder itself can be heard, its relay's copy of the state is of no interest.
            Input::RelayState(state) if !self.linked => self.state_changed(state),
            Input::RelayState(_) => {}
            Input::RoomClosed => self.room_closed(),
            // Who was in before may be let in again: a recorder that starts anew needs a moment.
            Input::Refused(error) if self.joined && error.code != code::ALREADY_PRESENT => {
                tracing::warn!(code = error.code, "the room refused a new connection");
            }
            Input::Refused(error) => self.refused(error),
            Input::Request { id, command } => {
                self.send(request(id, self.state.as_ref(), command.clone()));
                self.requests.insert(id, Asked { command, until: ClockNs(now.0.saturating_add(REQUEST_NS)) });
            }
            Input::Mute { muted } => {
                self.muted = muted;
                self.outputs.push_back(Output::MuteCapture { muted });
            }
            Input::Leave => self.leave(),
            Input::Expire { wall_ns } => self.expire(wall_ns),
        }
        if self.over {
            return;
        }
        for recording in self.keeper.newly_over() {
            self.send_inventory(recording, false);
        }
        if self.second_at <= now {
            self.second_at = ClockNs(now.0.saturating_add(INVENTORY_NS));
            self.second();
        }
        self.pay();
        self.tell_safety();
        self.part_when_done();
    }

    /// The next thing to do. To be drained after every [`ParticipantEnd::handle`].
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due if nothing else happens before. None after [`Output::End`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<ClockNs> {
        let goodbye = self.goodbye.as_ref().and_then(|goodbye| goodbye.until);
        let others = [goodbye, self.owed.due().filter(|_| self.linked)].into_iter().flatten();
        (!self.over).then(|| others.fold(self.second_at, ClockNs::min))
    }

    fn linked(&mut self, id: Option<CommandId>) {
        self.linked = true;
        self.owed.forget();
        let earlier = self.keeper.earlier().into_iter();
        let segments = self.segments.iter().cloned().map(ToRecorder::Segment);
        let anchors = self.anchors.values().copied().map(ToRecorder::Anchor);
        let mutes =
            self.mutes.iter().map(|&MutedFrom { segment, from, muted }| ToRecorder::Muted { segment, from, muted });
        let alarms = self.alarms.values().cloned().map(ToRecorder::Alarm);
        let asked = self.requests.iter().map(|(&id, asked)| request(id, self.state.as_ref(), asked.command.clone()));
        let told = earlier.chain(segments).chain(anchors).chain(mutes).chain(alarms).chain(asked);
        self.outputs.extend(told.map(Output::Send));
        self.send_inventories(false);
        self.keeper.kept().into_iter().for_each(|recording| self.send_inventory(recording, false));
        if self.muted {
            self.repeat_mute(id);
        }
        if self.joined {
            self.tell(ParticipantEvent::HostReachable);
        }
    }

    /// A recorder that started anew does not know it.
    fn repeat_mute(&mut self, id: Option<CommandId>) {
        match id {
            Some(id) => self.send(request(id, self.state.as_ref(), Command::SetMuted { muted: true })),
            None => tracing::warn!("the room may not show that this microphone is muted"),
        }
    }

    fn link_closed(&mut self) {
        self.linked = false;
        if self.is_closed() {
            self.parted();
        } else {
            self.tell(ParticipantEvent::HostUnreachable);
        }
    }

    fn second(&mut self) {
        let again = self.keeper.spool_again();
        if self.spooled(again) == Some(true) {
            self.spool_takes();
        }
        self.send_inventories(false);
        let now = self.now;
        let expired = self.requests.extract_if(.., |_, asked| asked.until <= now);
        let refused = expired.map(|(id, _)| Output::Answer { id, result: Err(unreachable_recorder()) });
        self.outputs.extend(refused);
    }

    /// Drops what was kept for too long, and says so first.
    fn expire(&mut self, wall_ns: i64) {
        let overdue = self.keeper.overdue(wall_ns);
        for stored in self.spooled(overdue).unwrap_or_default() {
            let (recording, bytes) = (stored.recording, stored.bytes);
            tracing::warn!(%recording, bytes, "kept for too long, or too much: dropped");
            self.tell(ParticipantEvent::SpoolExpired { recording, bytes });
            let expired = self.keeper.expire(&stored);
            self.spooled(expired);
        }
    }

    fn send_inventories(&mut self, leaving: bool) {
        self.keeper.open().into_iter().for_each(|recording| self.send_inventory(recording, leaving));
    }

    fn send_inventory(&mut self, recording: RecordingId, leaving: bool) {
        let leaving = leaving || (self.goodbye.is_some() && !self.is_closed());
        let inventory = self.keeper.inventory(recording, leaving);
        if self.linked {
            self.keeper.told(recording);
        }
        self.send(ToRecorder::Inventory(inventory));
    }

    fn send(&mut self, message: ToRecorder) {
        if self.linked {
            self.outputs.push_back(Output::Send(message));
        }
    }

    /// A spool that fails is told once, until it takes packets again, and does not stop what else is being done: what it
    /// does not take is sent, and kept in memory.
    fn spooled<T>(&mut self, result: Result<T, SpoolError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                if !std::mem::replace(&mut self.spool_fails, true) {
                    let report = ErrorReport::from(error);
                    tracing::error!(code = report.code, "the spool failed");
                    let message = format!("what you say is sent, and kept in memory only: {report}");
                    self.spool_alarm(true, message);
                }
                None
            }
        }
    }

    /// Packets go into the spool.
    fn spool_takes(&mut self) {
        if std::mem::take(&mut self.spool_fails) {
            tracing::info!("the spool takes packets again");
            self.spool_alarm(false, "what you say is kept on this disk again".to_owned());
        }
    }

    fn spool_alarm(&mut self, active: bool, message: String) {
        let kind = AlarmKind::SpoolFailed;
        self.tell(ParticipantEvent::Alarm { kind, participant: self.me, active, message });
    }

    fn tell_safety(&mut self) {
        let safe = self.keeper.safe();
        if self.joined && self.safe != Some(safe) {
            self.safe = Some(safe);
            self.tell(ParticipantEvent::SafeToQuit { value: safe });
        }
    }

    fn tell(&mut self, event: ParticipantEvent) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// The recorder cannot be asked just now.
#[must_use]
pub fn unreachable_recorder() -> ErrorReport {
    ErrorReport::new(
        code::RECORDER_UNREACHABLE,
        "the room's recorder cannot be reached",
        "check that the host's program runs; what you say is kept here meanwhile",
    )
}

fn request(id: CommandId, state: Option<&RoomState>, command: Command) -> ToRecorder {
    ToRecorder::Request { id, based_on: state.map(RoomState::version), command }
}
