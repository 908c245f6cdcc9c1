//! Recordings that begin, gain channels and end, and what their journals say about it.

use roomtone_packets::{ChannelGiven, Coverage, Interval, IntervalEdge, NameGiven, Record};
use roomtone_protocol::channel::ToParticipant;
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId};
use roomtone_recorder::RecordingHeader;
use roomtone_session::Input as RoomInput;

use super::take::OpenTake;
use super::{Desk, RecorderEnd};

impl RecorderEnd {
    pub(super) fn begin(
        &mut self,
        desk: &mut dyn Desk,
        recording: RecordingId,
        at: ClockNs,
        title: Option<String>,
        started_by: Option<ParticipantId>,
    ) {
        let header =
            RecordingHeader { recording, room_id: self.setup.room, room: self.setup.name.clone(), title, started_by };
        self.takes.insert(recording, OpenTake::new(recording, at));
        let open = desk.open(recording, header) && desk.note(recording, self.interval_record(IntervalEdge::Start, at));
        if !open {
            self.journal_failed(recording, "the disk is too slow to begin a recording");
        }
    }

    pub(super) fn end_take(&mut self, desk: &mut dyn Desk, recording: RecordingId, at: ClockNs) {
        let stop = self.interval_record(IntervalEdge::Stop, at);
        let Some(take) = self.takes.get_mut(&recording) else { return };
        take.until = Some(at);
        if !desk.note(recording, stop) {
            tracing::warn!(%recording, "the disk is behind; the end of the recording is noted when it is finalized");
        }
        let people: Vec<_> = take.channels.clone();
        people.into_iter().for_each(|participant| self.announce(participant));
    }

    /// Recorded time is interrupted, or goes on.
    pub(super) fn interrupt(
        &mut self,
        desk: &mut dyn Desk,
        recording: RecordingId,
        at: ClockNs,
        edge: IntervalEdge,
    ) {
        let interval = self.interval_record(edge, at);
        let Some(take) = self.takes.get_mut(&recording) else { return };
        match (edge, take.cuts.last_mut()) {
            (IntervalEdge::Resume, Some((_, until))) => *until = Some(at),
            _ => take.cuts.push((at, None)),
        }
        let people: Vec<_> = take.channels.clone();
        if !desk.note(recording, interval) {
            self.journal_failed(recording, "the disk is too slow to pause a recording");
        }
        people.into_iter().for_each(|participant| self.announce(participant));
    }

    /// Notes what people say about a recording.
    pub(super) fn remark(&mut self, desk: &mut dyn Desk, recording: RecordingId, record: Record) {
        if self.takes.contains_key(&recording) && !desk.note(recording, record) {
            tracing::warn!(%recording, "the disk is behind; what was said about a recording is not in the journal");
        }
    }

    pub(super) fn channel(
        &mut self,
        desk: &mut dyn Desk,
        recording: RecordingId,
        participant: ParticipantId,
        index: u16,
    ) {
        let name = self.label(participant);
        let Some(take) = self.takes.get_mut(&recording) else { return };
        take.channels.push(participant);
        take.tracks.entry(participant).or_default();
        let named = Record::Name(NameGiven { participant, name });
        let given = Record::Channel(ChannelGiven { participant, index });
        let track = self.tracks.entry(participant).or_default();
        let mut known = track.records().into_iter();
        let written = desk.note(recording, named)
            && desk.note(recording, given)
            && known.all(|record| desk.append(recording, participant, record));
        if !written {
            self.journal_failed(recording, "the disk is too slow to take another channel");
        }
        self.announce(participant);
    }

    pub(super) fn discard(&mut self, recording: RecordingId) {
        self.takes.remove(&recording);
        self.send_to_all(&ToParticipant::Discard { recording });
    }

    pub(super) fn journal_failed(&mut self, recording: RecordingId, reason: &str) {
        if self.takes.get(&recording).is_some_and(|take| take.repair.is_some()) {
            return self.repair_failed(recording, reason);
        }
        if let Some(take) = self.takes.get_mut(&recording) {
            take.failed = true;
        }
        let hint = "make room on the host's disk and start a new recording; what was written is kept".to_owned();
        self.room(RoomInput::Failed { recording, reason: reason.to_owned(), hint });
    }

    pub(super) fn durable(&mut self, recording: RecordingId, participant: ParticipantId, coverage: Coverage) {
        let ranges: Vec<_> = coverage.iter().collect();
        let Some(track) = self.takes.get_mut(&recording).and_then(|take| take.tracks.get_mut(&participant)) else {
            return;
        };
        track.durable = coverage;
        let complete = track.safe();
        self.send(participant, ToParticipant::Durable { recording, ranges, complete });
    }

    fn interval_record(&self, edge: IntervalEdge, at: ClockNs) -> Record {
        // The wall clock at `at`, which lies a moment back.
        let wall_ns = self.now.wall_ns - (self.now.clock.0 - at.0);
        Record::Interval(Interval { edge, at, wall_ns })
    }
}
