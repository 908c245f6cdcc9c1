//! What the recorder knows of one participant across links and recordings, and what arrives from them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use roomtone_packets::{ClockExchange, Coverage, MapStretch, MutedFrom, Packet, PersonLeft, Record, Scanned, Scanner};
use roomtone_protocol::channel::{Alarm, Anchor, Command, Inventory, Peer, Segment, ToParticipant, ToRecorder};
use roomtone_protocol::state::RecordingState;
use roomtone_protocol::{CommandId, ParticipantId, RecordingId, SampleIndex, SegmentKey};
use roomtone_recorder::{Arrivals, BackfillInput, TrackClock, packet_samples};
use roomtone_session::{Caller, Input as RoomInput};

use super::take::Line;
use super::{Desk, Output, RecorderEnd};
use crate::events::HostEvent;

/// A link that is up.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) peer: Peer,
    /// Tells this link from the one before it.
    pub(super) generation: u64,
}

/// One participant's clock and segments, for as long as the host runs.
#[derive(Debug, Default)]
pub(super) struct Track {
    pub(super) clock: TrackClock,
    pub(super) segments: Vec<Segment>,
    /// The newest of each segment.
    anchors: BTreeMap<SegmentKey, Anchor>,
    /// The last measurements of their clock.
    measured: VecDeque<Record>,
    pub(super) arrivals: Arrivals,
    /// The last edge: who is muted when a recording begins is muted in it.
    mute: Option<MutedFrom>,
    /// The last goodbye: whoever said it before a recording and comes back during it did not crash.
    pub(super) left: Option<PersonLeft>,
    /// Measurements of their clock on the link that is up: with the first one instants can be told on it.
    compared: u32,
    /// Recordings that take nothing any more, as the link that is up was told. Its answer is an inventory, which must not
    /// be answered in the same way for ever.
    pub(super) told_over: BTreeSet<RecordingId>,
}

/// Exchanges after which instants are not told again: the first ones of a link may have waited for a lost packet, and a
/// recording that began just now is told with them. Eight come within half a second, the others within eight.
const SETTLING: u32 = 16;

/// Raw measurements that a journal of a new recording is told; older ones say nothing about it.
const MEASURED_KEPT: usize = 64;

impl Track {
    pub(super) fn link_changed(&mut self) {
        self.compared = 0;
        self.told_over.clear();
    }

    /// What a journal must know to place the track's packets.
    pub(super) fn records(&self) -> Vec<Record> {
        let segments = self.segments.iter().cloned().map(Record::Segment);
        let anchors = self.anchors.values().copied().map(Record::Anchor);
        let mute = self.mute.map(Record::Muted);
        // All that is decided: two recordings of one track agree about every sample at their seam.
        let stretches = self.clock.stretches().copied().map(Record::MapStretch);
        segments.chain(stretches).chain(anchors).chain(mute).chain(self.measured.iter().cloned()).collect()
    }

    /// What the journal of a recording that goes on kept of the track.
    pub(super) fn restore(&mut self, record: &Record) {
        self.clock.restore(record);
        match record {
            Record::Segment(segment) if !self.segments.contains(segment) => self.segments.push(segment.clone()),
            Record::Anchor(anchor) => drop(self.anchors.insert(anchor.segment, *anchor)),
            Record::ClockExchange(_) | Record::Arrival(_) | Record::Report(_) => self.keep(record.clone()),
            Record::Muted(edge) => self.mute = Some(*edge),
            _ => {}
        }
    }

    /// How far the packets reach that the journal holds.
    pub(super) fn arrived(&mut self, coverage: &Coverage) {
        for range in coverage.iter() {
            let samples = u16::try_from(range.to.0 - range.from.0).unwrap_or(u16::MAX);
            let index = SampleIndex(range.to.0 - u64::from(samples));
            let newest = Packet { segment: range.segment, index, samples, opus: Vec::new() };
            self.clock.restore(&Record::Packet(newest));
        }
    }

    /// Whether a live packet is of this segment. The first packets of a device overtake the message that announces it, and
    /// look as if they belonged to the one before; but packets of a segment follow each other from its first sample on.
    fn may_hold(&self, key: SegmentKey, index: SampleIndex, samples: u16) -> bool {
        let segment = self.segments.iter().find(|segment| segment.segment == key);
        let into = segment.and_then(|segment| index.0.checked_sub(segment.first.0));
        into.is_some_and(|into| into.is_multiple_of(u64::from(samples)))
    }

    /// Takes a measurement of their clock, and says what it decides.
    fn compare(&mut self, measurement: &Record) -> Vec<MapStretch> {
        self.clock.restore(measurement);
        self.compared = self.compared.saturating_add(1);
        self.keep(measurement.clone());
        self.clock.decide()
    }

    fn keep(&mut self, measurement: Record) {
        if self.measured.len() == MEASURED_KEPT {
            self.measured.pop_front();
        }
        self.measured.push_back(measurement);
    }

    /// Where a live packet belongs, whose RTP timestamp this is.
    pub(super) fn place(&self, timestamp: u32, opus: &[u8]) -> Option<(SegmentKey, SampleIndex, u16)> {
        let (segment, index) = self.clock.extend(timestamp)?;
        let samples = packet_samples(opus)?;
        self.may_hold(segment, index, samples).then_some((segment, index, samples))
    }
}

impl RecorderEnd {
    pub(super) fn media(&mut self, desk: &mut dyn Desk, participant: ParticipantId, timestamp: u32, opus: Vec<u8>) {
        let place = self.tracks.get(&participant).and_then(|track| track.place(timestamp, &opus));
        // Without a segment to belong to, the packet is asked for again once its segment is known.
        if let Some((segment, index, samples)) = place {
            self.received(desk, participant, Packet { segment, index, samples, opus }, true);
        }
    }

    pub(super) fn bulk(&mut self, desk: &mut dyn Desk, participant: ParticipantId, records: &[u8]) {
        let mut scanner = Scanner::default();
        scanner.push(records);
        while let Some(scanned) = scanner.next_scanned() {
            if let Scanned::Record { record: Record::Packet(packet), .. } = scanned {
                self.received(desk, participant, packet, false);
            }
        }
    }

    /// Both clocks were compared. `exchange` is on this run's own clock.
    pub(super) fn exchange(&mut self, desk: &mut dyn Desk, participant: ParticipantId, exchange: ClockExchange) {
        let [t0, t3] = [exchange.t0, exchange.t3].map(|at| self.placement.on_timeline(at));
        self.measured(desk, participant, &Record::ClockExchange(ClockExchange { t0, t3, ..exchange }));
    }

    /// Somebody's clock was measured, on the timeline.
    pub(super) fn measured(&mut self, desk: &mut dyn Desk, participant: ParticipantId, measurement: &Record) {
        let track = self.tracks.get_mut(&participant);
        let decided = track.map(|track| track.compare(measurement)).unwrap_or_default();
        self.journal_track(desk, participant, measurement);
        for stretch in decided {
            self.journal_track(desk, participant, &Record::MapStretch(stretch));
        }
        self.announce(participant);
    }

    pub(super) fn message(&mut self, desk: &mut dyn Desk, participant: ParticipantId, message: ToRecorder) {
        match message {
            // The transport has dealt with the first two; requests bring an id and come on their own.
            ToRecorder::Hello(_) | ToRecorder::ClockPong { .. } | ToRecorder::Request { .. } => {}
            ToRecorder::Segment(segment) => {
                let Some(track) = self.tracks.get_mut(&participant) else { return };
                if track.segments.iter().any(|known| known.segment == segment.segment) {
                    return;
                }
                track.clock.on_segment(&segment);
                track.segments.push(segment.clone());
                self.journal_track(desk, participant, &Record::Segment(segment));
            }
            ToRecorder::Anchor(anchor) => {
                let mut decided = Vec::new();
                if let Some(track) = self.tracks.get_mut(&participant) {
                    track.clock.on_anchor(&anchor);
                    track.anchors.insert(anchor.segment, anchor);
                    decided = track.clock.decide();
                }
                self.journal_track(desk, participant, &Record::Anchor(anchor));
                for stretch in decided {
                    self.journal_track(desk, participant, &Record::MapStretch(stretch));
                }
            }
            ToRecorder::Inventory(inventory) => self.inventory(desk, participant, inventory),
            ToRecorder::Muted { segment, from, muted } => {
                let edge = MutedFrom { segment, from, muted };
                // A program that started anew tells of earlier starts too: those are not how it is now.
                let newer = |known: MutedFrom| (segment, from) >= (known.segment, known.from);
                if let Some(track) = self.tracks.get_mut(&participant)
                    && track.mute.is_none_or(newer)
                {
                    track.mute = Some(edge);
                }
                self.journal_track(desk, participant, &Record::Muted(edge));
            }
            ToRecorder::Leave => self.left(desk, participant),
            ToRecorder::Alarm(Alarm { kind, active, message }) => {
                self.tell(HostEvent::Alarm { kind, participant, active, message });
            }
        }
    }

    /// A packet arrived, live or on demand. It goes to every recording that still takes any: which frames of which
    /// file it ends up in is the map's business. A recording that is over takes what it asked for.
    fn received(&mut self, desk: &mut dyn Desk, participant: ParticipantId, packet: Packet, live: bool) {
        let range = packet.range();
        let now = self.now.clock;
        for take in self.takes.values_mut().filter(|take| take.is_open()) {
            let over = take.repair.is_some();
            let Some(track) = take.tracks.get_mut(&participant) else { continue };
            if track.received.covers(range) || (over && (live || !track.backfill.holds(range))) {
                continue;
            }
            // What the disk has no time for counts as not received, and is asked for again.
            if desk.append(take.recording, participant, Record::Packet(packet.clone())) {
                track.received.insert(range);
                track.left = false;
                track.watched.heard(now);
                Self::note_repaired(take, now);
            }
        }
    }

    pub(super) fn inventory(&mut self, desk: &mut dyn Desk, participant: ParticipantId, inventory: Inventory) {
        let recording = inventory.recording;
        let Some(take) = self.takes.get_mut(&recording) else {
            return self.late(desk, participant, inventory);
        };
        if !take.tracks.contains_key(&participant) {
            return;
        }
        if inventory.complete {
            Self::vouched(desk, take, participant, &inventory);
        }
        let Some(track) = take.tracks.get_mut(&participant) else { return };
        track.watched.heard(self.now.clock);
        track.backfill.handle(BackfillInput::Inventory(inventory));
        if track.safe() {
            let ranges = track.durable.iter().collect();
            self.send(participant, ToParticipant::Durable { recording, ranges, complete: true });
        }
    }

    pub(super) fn request(
        &mut self,
        participant: ParticipantId,
        id: CommandId,
        based_on: Option<(u32, u64)>,
        command: Command,
        fresh: RecordingId,
    ) {
        let Some(link) = self.links.get(&participant) else { return };
        let host = link.peer.host;
        if let Command::Describe { recording: Some(recording), .. } = command
            && self.is_the_buckets(recording)
        {
            self.outputs.push_back(Output::Shelf { from: participant, host, id, command });
            return;
        }
        match command {
            Command::Recordings { .. }
            | Command::Show { .. }
            | Command::DeletionPlan { .. }
            | Command::Outcome { .. }
            | Command::Link { .. }
            | Command::Delete { .. }
            | Command::Rename { .. } => {
                let named = match &command {
                    Command::Link { recording, .. }
                    | Command::DeletionPlan { recording }
                    | Command::Delete { recording } => recording.parse().ok(),
                    Command::Outcome { recording } => Some(*recording),
                    _ => None,
                };
                match named.map_or(Ok(()), |recording| self.room.may_download(recording)) {
                    Ok(()) => self.outputs.push_back(Output::Shelf { from: participant, host, id, command }),
                    Err(error) => self.send(participant, ToParticipant::Answer { id, result: Err(error) }),
                }
            }
            command => {
                let caller = Caller { participant, host, passing: link.peer.passing };
                self.room(RoomInput::Command { caller, id, based_on, command, fresh });
            }
        }
    }

    /// Whether only the bucket can say something about a recording.
    fn is_the_buckets(&self, recording: RecordingId) -> bool {
        let status = self.room.recording(self.now.clock, recording);
        status.is_none_or(|status| status.state == RecordingState::Completed)
    }

    /// Tells a participant, on its own clock, which recordings want its audio.
    pub(super) fn announce(&mut self, participant: ParticipantId) {
        let (Some(link), Some(track)) = (self.links.get(&participant), self.tracks.get(&participant)) else { return };
        if track.compared == 0 {
            return;
        }
        let on = Line { generation: link.generation, settling: track.compared <= SETTLING };
        // Wherever an instant lies within what is known: what it keeps is kept.
        let earliest = |at| track.clock.to_participant_at_the_earliest(at);
        let latest = |at| track.clock.to_participant_at_the_latest(at);
        for take in self.takes.values_mut() {
            let recording = take.recording;
            let Some(told) = take.tracks.get_mut(&participant) else { continue };
            let new_link = told.announced.is_none_or(|before| before.generation != link.generation);
            if take.repair.is_some() {
                // Nothing new belongs to it.
                if new_link {
                    told.announced = Some(on.told(take.from));
                    told.backfill.handle(BackfillInput::LinkUp);
                }
            } else if let Some(from) = on.due(told.announced, || earliest(take.from)) {
                if new_link {
                    told.backfill.handle(BackfillInput::LinkUp);
                }
                told.announced = Some(on.told(from));
                let message = ToParticipant::SpoolFrom { recording, from };
                self.outputs.push_back(Output::Send { to: participant, message });
            }
            if told.announced.is_some_and(|told| told.generation == link.generation) {
                for (cut, &(from, until)) in (0..).zip(&take.cuts) {
                    let news = (link.generation, until.is_some());
                    let known = told.cuts_announced.get_mut(cut as usize);
                    if known.as_deref() != Some(&news)
                        && let Some(from) = latest(from)
                    {
                        match known {
                            Some(known) => *known = news,
                            None => told.cuts_announced.push(news),
                        }
                        let until = until.and_then(earliest);
                        let message = ToParticipant::SpoolCut { recording, cut, from, until };
                        self.outputs.push_back(Output::Send { to: participant, message });
                    }
                }
                // Whoever was told of a pause that is lost would keep nothing for ever.
                if take.went_on
                    && told.cuts_closed != Some(link.generation)
                    && let (Some(from), Ok(cut)) = (latest(take.from), u32::try_from(take.cuts.len()))
                {
                    told.cuts_closed = Some(link.generation);
                    let message = ToParticipant::SpoolCut { recording, cut, from, until: Some(from) };
                    self.outputs.push_back(Output::Send { to: participant, message });
                }
            }
            if let Some(until) = on.due(told.end_announced, || take.until.and_then(latest)) {
                told.end_announced = Some(on.told(until));
                let message = ToParticipant::SpoolUntil { recording, until };
                self.outputs.push_back(Output::Send { to: participant, message });
            }
        }
    }

    /// Asks everybody who is connected for what they hold and the journals do not.
    pub(super) fn ask_for_missing(&mut self) {
        let now = self.now.clock;
        for take in self.takes.values_mut().filter(|take| !take.failed) {
            let recording = take.recording;
            for (&to, track) in take.tracks.iter_mut().filter(|(to, _)| self.links.contains_key(to)) {
                while let Some(ranges) = track.backfill.poll_want(now, &track.received) {
                    self.outputs.push_back(Output::Send { to, message: ToParticipant::Want { recording, ranges } });
                }
            }
        }
    }

    /// Into the journals of all recordings that the track takes part in.
    pub(super) fn journal_track(&mut self, desk: &mut dyn Desk, participant: ParticipantId, record: &Record) {
        for take in self.takes.values_mut().filter(|take| !take.failed && take.tracks.contains_key(&participant)) {
            if take.has_use_for(participant, record) {
                take.append(desk, participant, record.clone());
            }
        }
    }
}
