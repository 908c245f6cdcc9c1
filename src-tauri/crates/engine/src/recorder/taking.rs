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
        let mut take = OpenTake::new(recording, at);
        take.open(desk, header);
        take.note(desk, self.interval_record(IntervalEdge::Start, at));
        self.takes.insert(recording, take);
    }

    pub(super) fn end_take(&mut self, desk: &mut dyn Desk, recording: RecordingId, at: ClockNs) {
        let stop = self.interval_record(IntervalEdge::Stop, at);
        let Some(take) = self.takes.get_mut(&recording) else { return };
        take.until = Some(at);
        take.note(desk, stop);
        let people: Vec<_> = take.channels.clone();
        people.into_iter().for_each(|participant| self.announce(participant));
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
        take.note(desk, Record::Name(NameGiven { participant, name }));
        take.note(desk, Record::Channel(ChannelGiven { participant, index }));
        let track = self.tracks.entry(participant).or_default();
        if let Some(left) = track.left {
            take.note(desk, Record::Left(left));
        }
        for known in track.records() {
            take.append(desk, participant, known);
        }
        self.announce(participant);
    }

    pub(super) fn discard(&mut self, recording: RecordingId) {
        self.takes.remove(&recording);
        self.send_to_all(&ToParticipant::Discard { recording });
    }

    pub(super) fn journal_failed(&mut self, recording: RecordingId, reason: &str) {
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
