//! Going: not before everything is safe at the recorder, and not later than anybody would wait.

use roomtone_protocol::{ClockNs, ErrorReport};

use super::{Output, PacketStore, ParticipantEnd};

/// How long a goodbye waits for everything to be safe at the recorder: 10 s.
const GOODBYE_NS: i64 = 10_000_000_000;

/// How long a file that is over waits after the end of the recording until all of it is safe: 90 s, longer than the
/// recorder asks for what is missing.
const LAST_CALL_NS: i64 = 90_000_000_000;

/// On the way out, as soon as everything is safe at the recorder.
#[derive(Debug)]
pub(super) struct Goodbye {
    parting: Parting,
    /// None waits for as long as it takes: a file that is over leaves when all of it is safe.
    pub(super) until: Option<ClockNs>,
}

/// Who ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parting {
    /// This participant does: nothing more is captured.
    Leaving,
    /// The host does: the microphone goes on until it has delivered what was said before that.
    RoomClosed,
}

impl<S: PacketStore> ParticipantEnd<S> {
    /// The host closed the room. It waits for what was said up to then, so that still goes out; but without a link
    /// there will not be another one.
    pub(super) fn room_closed(&mut self) {
        let until = self.later(GOODBYE_NS);
        self.goodbye.get_or_insert(Goodbye { parting: Parting::RoomClosed, until: None }).until = Some(until);
        if !self.linked {
            self.parted();
        }
    }

    /// The person goes.
    pub(super) fn leave(&mut self) {
        if !self.is_closed() {
            self.outputs.push_back(Output::StopCapture);
            self.keeper.capture_over();
            self.send_inventories(true);
        }
        let until = self.later(GOODBYE_NS);
        self.goodbye.get_or_insert(Goodbye { parting: Parting::Leaving, until: None }).until = Some(until);
    }

    /// The file that was the microphone is over.
    pub(super) fn nothing_more_to_say(&mut self) {
        self.goodbye.get_or_insert(Goodbye { parting: Parting::Leaving, until: None });
    }

    /// A recording is over: whoever only waits for it to be safe waits no longer than this.
    pub(super) fn last_call(&mut self) {
        let until = self.later(LAST_CALL_NS);
        if let Some(goodbye) = &mut self.goodbye {
            goodbye.until.get_or_insert(until);
        }
    }

    /// Whether the host closed the room.
    pub(super) fn is_closed(&self) -> bool {
        self.goodbye.as_ref().is_some_and(|goodbye| goodbye.parting == Parting::RoomClosed)
    }

    /// Somebody said no.
    pub(super) fn refused(&mut self, error: ErrorReport) {
        self.end(error.code.clone(), Some(error), false);
    }

    /// The end of a goodbye, if there is one and its time has come.
    pub(super) fn part_when_done(&mut self) {
        let Some(goodbye) = &self.goodbye else { return };
        if self.keeper.safe() || goodbye.until.is_some_and(|until| until <= self.now) {
            self.parted();
        }
    }

    pub(super) fn parted(&mut self) {
        let closed = self.is_closed();
        let reason = if closed { "room_closed" } else { "left" };
        self.end(reason.to_owned(), None, !closed);
    }

    fn end(&mut self, reason: String, error: Option<ErrorReport>, goodbye: bool) {
        if !self.over {
            self.over = true;
            self.outputs.push_back(Output::End { reason, error, goodbye });
        }
    }

    fn later(&self, by_ns: i64) -> ClockNs {
        ClockNs(self.now.0.saturating_add(by_ns))
    }
}
