//! Recordings that begin, gain channels and end, and what their journals say about it.

use roomtone_packets::{ChannelGiven, Coverage, Described, Interval, IntervalEdge, NameGiven, Record};
use roomtone_protocol::channel::ToParticipant;
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId, SAMPLE_RATE};
use roomtone_recorder::RecordingHeader;
use roomtone_session::Input as RoomInput;

use super::take::OpenTake;
use super::track::Track;
use super::{Desk, Moment, Output, RecorderEnd};

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
        let ago_ns = self.now.clock.0 - at.0;
        let then = Moment { clock: ClockNs(self.on_clock.clock.0 - ago_ns), wall_ns: self.on_clock.wall_ns - ago_ns };
        take.note(desk, Record::Epoch(self.placement.epoch(&self.setup.run, then, 0)));
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

    /// Recorded time is interrupted, or goes on.
    pub(super) fn interrupt(&mut self, desk: &mut dyn Desk, recording: RecordingId, at: ClockNs, edge: IntervalEdge) {
        let interval = self.interval_record(edge, at);
        let Some(take) = self.takes.get_mut(&recording) else { return };
        match (edge, take.cuts.last_mut()) {
            (IntervalEdge::Resume, Some((_, until))) => *until = Some(at),
            _ => take.cuts.push((at, None)),
        }
        take.note(desk, interval);
        let people: Vec<_> = take.channels.clone();
        people.into_iter().for_each(|participant| self.announce(participant));
    }

    /// Notes what people say about a recording.
    pub(super) fn remark(&mut self, desk: &mut dyn Desk, recording: RecordingId, record: Record) {
        if let Some(take) = self.takes.get_mut(&recording) {
            take.note(desk, record);
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

    /// Nothing of a recording may stay, at whatever stage it is.
    pub(super) fn discard(&mut self, recording: RecordingId) {
        self.takes.remove(&recording);
        self.uploading.remove(&recording);
        self.unwritten.remove(&recording);
        self.described.remove(&recording);
        self.late.remove(&recording);
        self.discarded.insert(recording);
        self.burying.insert(recording);
        self.send_to_all(&ToParticipant::Discard { recording });
        self.outputs.push_back(Output::Discard { recording });
    }

    /// What people say about a recording: the journal knows it as long as it is open; later it is brought to the bucket
    /// behind the file.
    pub(super) fn describe(
        &mut self,
        desk: &mut dyn Desk,
        recording: RecordingId,
        title: Option<String>,
        notes: Option<String>,
    ) {
        if self.takes.contains_key(&recording) {
            self.remark(desk, recording, Record::Described(Described { title, notes }));
        } else {
            self.described.insert(recording, Described { title, notes });
        }
    }

    /// Bytes that files will take which are still to be made.
    pub(super) fn owed_bytes(&self) -> u64 {
        let open = self.takes.values().filter(|take| take.is_live()).map(|take| self.file_bytes(take));
        open.chain(self.unwritten.values().copied()).fold(0, u64::saturating_add)
    }

    /// Bytes of the file that a take will make, as far as it is recorded.
    pub(super) fn file_bytes(&self, take: &OpenTake) -> u64 {
        let samples = take.recorded_ns(self.now.clock) / 1_000 * u64::from(SAMPLE_RATE) / 1_000_000;
        let sample = take.channels.len() as u64 * u64::from(self.setup.disk_bytes_per_sample);
        samples.saturating_mul(sample)
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
