//! What the recorder knows of one participant across links and recordings, and what arrives from them.

use std::collections::{BTreeMap, VecDeque};

use roomtone_clock::now;
use roomtone_packets::{ClockExchange, MutedFrom, Packet, Record, Scanned, Scanner};
use roomtone_protocol::channel::{Anchor, Command, Segment, ToParticipant, ToRecorder};
use roomtone_protocol::{CommandId, ParticipantId, RecordingId, SegmentKey};
use roomtone_recorder::{BackfillInput, TrackClock, packet_samples};
use roomtone_session::{Caller, Input as RoomInput};
use roomtone_transport::{LinkEvent, Peer};

use super::engine::Engine;
use crate::outbox::Outbox;
use crate::random;

/// A link that is up.
pub(super) struct Linked {
    pub(super) peer: Peer,
    pub(super) outbox: Outbox<ToParticipant>,
    /// Tells this link from the one before it.
    pub(super) generation: u64,
}

/// One participant's clock and segments, for as long as the host runs.
#[derive(Default)]
pub(super) struct Track {
    pub(super) clock: TrackClock,
    pub(super) segments: Vec<Segment>,
    /// The newest of each segment.
    anchors: BTreeMap<SegmentKey, Anchor>,
    exchanges: VecDeque<ClockExchange>,
    /// The last edge: who is muted when a recording begins is muted in it.
    mute: Option<MutedFrom>,
    /// An exchange has been seen on the link that is up, so that instants can be told on the participant's clock.
    pub(super) compared: bool,
}

/// Raw exchanges that a journal of a new recording is told; older ones say nothing about it.
const EXCHANGES_KEPT: usize = 64;

impl Track {
    pub(super) fn link_changed(&mut self) {
        self.compared = false;
    }

    /// What a journal must know to place the track's packets.
    pub(super) fn records(&self) -> Vec<Record> {
        let segments = self.segments.iter().cloned().map(Record::Segment);
        let anchors = self.anchors.values().copied().map(Record::Anchor);
        let mute = self.mute.map(Record::Muted);
        segments.chain(anchors).chain(mute).chain(self.exchanges.iter().copied().map(Record::ClockExchange)).collect()
    }

    fn compare(&mut self, exchange: ClockExchange) {
        self.clock.on_exchange(&exchange);
        self.compared = true;
        if self.exchanges.len() == EXCHANGES_KEPT {
            self.exchanges.pop_front();
        }
        self.exchanges.push_back(exchange);
    }
}

impl Engine {
    pub(super) fn link_event(&mut self, participant: ParticipantId, event: LinkEvent<ToRecorder>) {
        match event {
            LinkEvent::Message(message) => self.message(participant, message),
            LinkEvent::Media { timestamp, opus } => {
                let place = self.tracks.get(&participant).and_then(|track| track.clock.extend(timestamp));
                // Without a segment to belong to, the packet is asked for again once its segment is known.
                if let (Some((segment, index)), Some(samples)) = (place, packet_samples(&opus)) {
                    self.received(participant, Packet { segment, index, samples, opus: opus.to_vec() });
                }
            }
            LinkEvent::Bulk(records) => {
                let mut scanner = Scanner::default();
                scanner.push(&records);
                while let Some(scanned) = scanner.next_scanned() {
                    if let Scanned::Record { record: Record::Packet(packet), .. } = scanned {
                        self.received(participant, packet);
                    }
                }
            }
            LinkEvent::Exchange(exchange) => {
                if let Some(track) = self.tracks.get_mut(&participant) {
                    track.compare(exchange);
                }
                self.journal_track(participant, &Record::ClockExchange(exchange));
                self.announce(participant);
            }
            LinkEvent::Closed => self.link_closed(participant),
        }
    }

    fn message(&mut self, participant: ParticipantId, message: ToRecorder) {
        match message {
            // The transport has dealt with these two.
            ToRecorder::Hello(_) | ToRecorder::ClockPong { .. } => {}
            ToRecorder::Segment(segment) => {
                let Some(track) = self.tracks.get_mut(&participant) else { return };
                if track.segments.iter().any(|known| known.segment == segment.segment) {
                    return;
                }
                track.clock.on_segment(&segment);
                track.segments.push(segment.clone());
                self.journal_track(participant, &Record::Segment(segment));
            }
            ToRecorder::Anchor(anchor) => {
                if let Some(track) = self.tracks.get_mut(&participant) {
                    track.clock.on_anchor(&anchor);
                    track.anchors.insert(anchor.segment, anchor);
                }
                self.journal_track(participant, &Record::Anchor(anchor));
            }
            ToRecorder::Inventory(inventory) => self.inventory(participant, inventory),
            ToRecorder::Muted { segment, from, muted } => {
                let edge = MutedFrom { segment, from, muted };
                if let Some(track) = self.tracks.get_mut(&participant) {
                    track.mute = Some(edge);
                }
                self.journal_track(participant, &Record::Muted(edge));
            }
            ToRecorder::Request { id, based_on, command } => self.request(participant, id, based_on, command),
            ToRecorder::Leave => self.left(participant),
        }
    }

    /// A packet arrived, live or on demand. It goes to every recording that still takes any: which frames of which
    /// file it ends up in is the map's business.
    fn received(&mut self, participant: ParticipantId, packet: Packet) {
        let range = packet.range();
        for take in self.takes.values_mut().filter(|take| !take.failed) {
            let Some(track) = take.tracks.get_mut(&participant) else { continue };
            if track.received.covers(range) {
                continue;
            }
            // What the disk has no time for counts as not received, and is asked for again.
            if self.parts.writer.append(take.recording, participant, Record::Packet(packet.clone())) {
                track.received.insert(range);
                track.left = false;
            }
        }
    }

    fn inventory(&mut self, participant: ParticipantId, inventory: roomtone_protocol::channel::Inventory) {
        let recording = inventory.recording;
        let Some(take) = self.takes.get_mut(&recording) else {
            self.outcome_for_spool(participant, recording);
            return;
        };
        let Some(track) = take.tracks.get_mut(&participant) else { return };
        if inventory.complete {
            let record = Record::Inventory(inventory.clone());
            if !self.parts.writer.append(recording, participant, record) {
                tracing::warn!("the disk is behind; an inventory is not in the journal");
            }
        }
        track.backfill.handle(BackfillInput::Inventory(inventory));
        if track.safe() {
            let ranges = track.durable.iter().collect();
            self.send(participant, ToParticipant::Durable { recording, ranges, complete: true });
        }
    }

    /// Somebody still keeps a recording that takes nothing any more: its spool may go once the bucket has a file that
    /// lacks nothing, and grows no further in any case.
    fn outcome_for_spool(&mut self, participant: ParticipantId, recording: RecordingId) {
        if self.archived.contains(&recording) || self.parts.shelf.is_archived(recording) {
            self.archived.insert(recording);
            self.send(participant, ToParticipant::Archived { recording });
            return;
        }
        let told = self.tracks.get(&participant).and_then(|track| track.clock.to_participant(now()));
        if let Some(until) = told.filter(|_| self.parts.room.recording(now(), recording).is_none()) {
            self.send(participant, ToParticipant::SpoolUntil { recording, until });
        }
    }

    fn request(&mut self, participant: ParticipantId, id: CommandId, based_on: Option<(u32, u64)>, command: Command) {
        let Some(link) = self.links.get(&participant) else { return };
        let host = link.peer.host;
        match command {
            Command::Recordings
            | Command::Outcome { .. }
            | Command::Link { .. }
            | Command::Delete { .. }
            | Command::Rename { .. } => {
                let named = match &command {
                    Command::Link { recording, .. } | Command::Delete { recording } => recording.parse().ok(),
                    Command::Outcome { recording } => Some(*recording),
                    _ => None,
                };
                let allowed = named.map_or(Ok(()), |recording| self.parts.room.may_download(recording));
                let (shelf, outbox) = (self.parts.shelf.clone(), link.outbox.clone());
                tokio::spawn(async move {
                    let result = match allowed {
                        Ok(()) => shelf.answer(host, command).await,
                        Err(error) => Err(error),
                    };
                    outbox.send(ToParticipant::Answer { id, result });
                });
            }
            command => match random::bytes().map(RecordingId::from_bytes) {
                Ok(fresh) => {
                    let caller = Caller { participant, host, passing: link.peer.passing };
                    self.room(RoomInput::Command { caller, id, based_on, command, fresh });
                }
                Err(error) => self.send(participant, ToParticipant::Answer { id, result: Err(error) }),
            },
        }
    }

    /// Tells a participant, on its own clock, which recordings want its audio.
    pub(super) fn announce(&mut self, participant: ParticipantId) {
        let (Some(link), Some(track)) = (self.links.get(&participant), self.tracks.get(&participant)) else { return };
        if !track.compared {
            return;
        }
        for take in self.takes.values_mut() {
            let recording = take.recording;
            let Some(told) = take.tracks.get_mut(&participant) else { continue };
            if told.announced != Some(link.generation)
                && let Some(from) = track.clock.to_participant(take.from)
            {
                told.announced = Some(link.generation);
                told.backfill.handle(BackfillInput::LinkUp);
                link.outbox.send(ToParticipant::SpoolFrom { recording, from });
            }
            if told.announced == Some(link.generation) {
                for (cut, &(from, until)) in (0..).zip(&take.cuts) {
                    let news = (link.generation, until.is_some());
                    let known = told.cuts_announced.get_mut(cut as usize);
                    if known.as_deref() != Some(&news)
                        && let Some(from) = track.clock.to_participant(from)
                    {
                        match known {
                            Some(known) => *known = news,
                            None => told.cuts_announced.push(news),
                        }
                        let until = until.and_then(|until| track.clock.to_participant(until));
                        link.outbox.send(ToParticipant::SpoolCut { recording, cut, from, until });
                    }
                }
            }
            if told.end_announced != Some(link.generation)
                && let Some(until) = take.until.and_then(|until| track.clock.to_participant(until))
            {
                told.end_announced = Some(link.generation);
                link.outbox.send(ToParticipant::SpoolUntil { recording, until });
            }
        }
    }

    /// Asks everybody who is connected for what they hold and the journals do not.
    pub(super) fn ask_for_missing(&mut self, now: roomtone_protocol::ClockNs) {
        for take in self.takes.values_mut().filter(|take| !take.failed) {
            for (participant, track) in &mut take.tracks {
                let Some(link) = self.links.get(participant) else { continue };
                while let Some(ranges) = track.backfill.poll_want(now, &track.received) {
                    link.outbox.send(ToParticipant::Want { recording: take.recording, ranges });
                }
            }
        }
    }

    /// Into the journals of all recordings that the track takes part in.
    fn journal_track(&self, participant: ParticipantId, record: &Record) {
        for take in self.takes.values().filter(|take| !take.failed && take.tracks.contains_key(&participant)) {
            if !self.parts.writer.append(take.recording, participant, record.clone()) {
                tracing::warn!("the disk is behind; a note on a track's clock is not in the journal");
            }
        }
    }
}
