//! Recordings that begin, gain channels and end, and what their journals say about it.

use roomtone_packets::{ChannelGiven, Coverage, Interval, IntervalEdge, NameGiven, Record};
use roomtone_protocol::channel::ToParticipant;
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId};
use roomtone_recorder::RecordingHeader;
use roomtone_session::Input as RoomInput;

use super::take::OpenTake;
use super::track::Track;
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
        let open = desk.open(recording, header);
        take.note(desk, None, self.interval_record(IntervalEdge::Start, at));
        self.takes.insert(recording, take);
        if !open {
            self.journal_failed(recording, "the disk is too slow to begin a recording");
        }
    }

    pub(super) fn end_take(&mut self, desk: &mut dyn Desk, recording: RecordingId, at: ClockNs) {
        let stop = self.interval_record(IntervalEdge::Stop, at);
        let Some(take) = self.takes.get_mut(&recording) else { return };
        take.until = Some(at);
        take.note(desk, None, stop);
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
        take.note(desk, None, Record::Name(NameGiven { participant, name }));
        take.note(desk, None, Record::Channel(ChannelGiven { participant, index }));
        for known in self.tracks.entry(participant).or_default().records() {
            take.note(desk, Some(participant), known);
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

    /// The disk is full: what was recorded until now is made a file.
    pub(super) fn disk_full(&mut self, recording: RecordingId) {
        self.room(RoomInput::CutShort {
            recording,
            reason: "the host's disk is full; what was recorded until then is being finished".to_owned(),
            hint: "make room on the host's disk before you record again".to_owned(),
        });
    }

    /// The disk lost what the journal had taken: it is asked for again, and what nobody can be asked for is told again.
    pub(super) fn forgotten(
        &mut self,
        desk: &mut dyn Desk,
        recording: RecordingId,
        participant: ParticipantId,
        coverage: Coverage,
    ) {
        let Some(take) = self.takes.get_mut(&recording) else { return };
        let Some(track) = take.tracks.get_mut(&participant) else { return };
        track.received = coverage;
        let known = self.tracks.get(&participant).map(Track::records).unwrap_or_default();
        if !known.into_iter().all(|record| desk.append(recording, participant, record)) {
            tracing::warn!("the disk is behind; some measurements of a track's clock are not in the journal");
        }
    }

    fn interval_record(&self, edge: IntervalEdge, at: ClockNs) -> Record {
        // The wall clock at `at`, which lies a moment back.
        let wall_ns = self.now.wall_ns - (self.now.clock.0 - at.0);
        Record::Interval(Interval { edge, at, wall_ns })
    }
}
