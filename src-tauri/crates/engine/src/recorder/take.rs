//! A recording from Record until its journal is whole.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use roomtone_packets::{Coverage, Record};
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId, SegmentKey};
use roomtone_recorder::{Backfill, RecordingHeader};

use super::Desk;
use super::watching::Watched;

/// How long after Stop the recorder waits for somebody who is connected and still sends what is missing: 30 s. Back-fill
/// then brings a quarter of an hour of outage, and people do not wait for their file without being told why. What comes
/// later makes a new version.
const CONNECTED_NS: i64 = 30_000_000_000;

/// How long it waits for somebody who vanished and may be back: time for a link to be made anew.
const AWAY_NS: i64 = 12_000_000_000;

/// An instant that was told so far off is told again: 20 ms, a packet, and a fifth of what participants keep around it.
const WRONG_NS: u64 = 20_000_000;

/// One recording that still takes packets.
#[derive(Debug)]
pub(super) struct OpenTake {
    pub(super) recording: RecordingId,
    pub(super) from: ClockNs,
    pub(super) until: Option<ClockNs>,
    /// Pauses: from, until; None while it is paused.
    pub(super) cuts: Vec<(ClockNs, Option<ClockNs>)>,
    /// In order of channels.
    pub(super) channels: Vec<ParticipantId>,
    pub(super) tracks: BTreeMap<ParticipantId, TakeTrack>,
    /// The journal could not be written: nothing is taken any more.
    pub(super) failed: bool,
    /// Notes that the disk had no time for, in order. Nobody sends them again, and without them packets have no place.
    owed: VecDeque<Owed>,
    /// It has been over, and had a file; somebody came back with more of it.
    pub(super) repair: Option<Repair>,
    /// An earlier run began it. What that told of in its last second may not be on the disk.
    pub(super) went_on: bool,
    /// Boots of the computer since it began.
    pub(super) boots: u32,
}

/// A recording that was over and takes packets again.
#[derive(Debug)]
pub(super) struct Repair {
    /// When it began, or something came.
    pub(super) moved_at: ClockNs,
    /// The file would be another one now.
    pub(super) changed: bool,
    /// What is measured now is on the clock that the recording was made on.
    pub(super) same_clock: bool,
    /// The segments whose maps were decided when its file was made.
    pub(super) mapped: BTreeSet<(ParticipantId, SegmentKey)>,
}

/// What a journal is still to be told.
#[derive(Debug)]
enum Owed {
    /// What it is of: the first thing of all.
    Open(Box<RecordingHeader>),
    /// Something of somebody's track.
    Append(ParticipantId, Record),
    /// Something of the whole recording.
    Note(Record),
}

/// One participant's part of it.
#[derive(Debug, Default)]
pub(super) struct TakeTrack {
    pub(super) received: Coverage,
    pub(super) durable: Coverage,
    pub(super) backfill: Backfill,
    /// What the participant was told of this recording's beginning and end.
    pub(super) announced: Option<Announced>,
    pub(super) end_announced: Option<Announced>,
    /// The link that was told of each pause, and whether it was told that it is over.
    pub(super) cuts_announced: Vec<(u64, bool)>,
    /// The link that was told that there are no others.
    pub(super) cuts_closed: Option<u64>,
    /// Said goodbye since the last packet.
    pub(super) left: bool,
    /// The journal holds the participant's own word that nothing more will come.
    pub(super) vouched: bool,
    pub(super) watched: Watched,
}

/// An instant of a recording as it was told, on the participant's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Announced {
    /// The link that was told.
    pub(super) generation: u64,
    at: ClockNs,
}

/// A link that instants are told on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) generation: u64,
    /// The participant's clock is not well known yet.
    pub(super) settling: bool,
}

impl Line {
    /// The instant, if it has to be told: on a new link, or because it was told wrongly.
    pub(super) fn due(self, before: Option<Announced>, at: impl FnOnce() -> Option<ClockNs>) -> Option<ClockNs> {
        match before.filter(|before| before.generation == self.generation) {
            None => at(),
            Some(before) if self.settling => at().filter(|at| at.0.abs_diff(before.at.0) >= WRONG_NS),
            Some(_) => None,
        }
    }

    pub(super) fn told(self, at: ClockNs) -> Announced {
        Announced { generation: self.generation, at }
    }
}

impl TakeTrack {
    /// Everything that the participant says it holds is here, and no more will come.
    pub(super) fn whole(&self) -> bool {
        self.backfill.is_settled(&self.received)
    }

    /// [`Self::whole`], and on the disk for good.
    pub(super) fn safe(&self) -> bool {
        self.backfill.is_settled(&self.durable)
    }
}

impl OpenTake {
    pub(super) fn new(recording: RecordingId, from: ClockNs) -> Self {
        Self {
            recording,
            from,
            until: None,
            cuts: Vec::new(),
            channels: Vec::new(),
            tracks: BTreeMap::new(),
            failed: false,
            repair: None,
            owed: VecDeque::new(),
            went_on: false,
            boots: 0,
        }
    }

    /// The clock has its place: instants from `since` on lie later by so much than was thought. Its journal moves them
    /// itself, with the epoch that says so.
    pub(super) fn place(&mut self, since: ClockNs, by_ns: i64) {
        let cuts = self.cuts.iter_mut().flat_map(|(from, until)| std::iter::once(from).chain(until));
        let instants = std::iter::once(&mut self.from).chain(&mut self.until).chain(cuts);
        for at in instants.filter(|at| **at >= since) {
            at.0 = at.0.saturating_add(by_ns);
        }
    }

    /// Whether packets that are captured now belong to it.
    pub(super) fn is_live(&self) -> bool {
        !self.failed && self.repair.is_none()
    }

    /// Whether something that is known of a track belongs to its journal. Of a recording that is over, what was decided
    /// stays decided, and instants of another boot's clock would put its samples anywhere.
    pub(super) fn has_use_for(&self, participant: ParticipantId, record: &Record) -> bool {
        let Some(repair) = &self.repair else { return true };
        match record {
            Record::MapStretch(map) => repair.same_clock && !repair.mapped.contains(&(participant, map.segment)),
            Record::ClockExchange(_) | Record::Arrival(_) | Record::Report(_) => repair.same_clock,
            _ => true,
        }
    }

    /// Opens its journal, as soon as the disk has time.
    pub(super) fn open(&mut self, desk: &mut dyn Desk, header: RecordingHeader) {
        self.write(desk, Owed::Open(Box::new(header)));
    }

    /// Notes something of somebody's track, as soon as the disk has time.
    pub(super) fn append(&mut self, desk: &mut dyn Desk, participant: ParticipantId, record: Record) {
        self.write(desk, Owed::Append(participant, record));
    }

    /// Notes something of the whole recording, as soon as the disk has time.
    pub(super) fn note(&mut self, desk: &mut dyn Desk, record: Record) {
        self.write(desk, Owed::Note(record));
    }

    /// Whether the disk has been told to open its journal: what came for it before would be nowhere.
    pub(super) fn is_open(&self) -> bool {
        !self.failed && !matches!(self.owed.front(), Some(Owed::Open(_)))
    }

    /// Writes what the disk had no time for when it came.
    pub(super) fn catch_up(&mut self, desk: &mut dyn Desk) {
        while let Some(owed) = self.owed.front()
            && owed.is_taken(desk, self.recording)
        {
            self.owed.pop_front();
        }
    }

    /// Recorded time up to now, in nanoseconds.
    pub(super) fn recorded_ns(&self, now: ClockNs) -> u64 {
        let end = self.until.unwrap_or(now);
        let paused: i64 =
            self.cuts.iter().map(|(from, until)| (until.unwrap_or(end).0.min(end.0) - from.0).max(0)).sum();
        u64::try_from(end.0 - self.from.0 - paused).unwrap_or(0)
    }

    fn write(&mut self, desk: &mut dyn Desk, owed: Owed) {
        if !self.owed.is_empty() || !owed.is_taken(desk, self.recording) {
            self.owed.push_back(owed);
        }
    }

    /// Whether waiting longer can bring anything. `connected` tells whether somebody's link is up.
    pub(super) fn settled(&self, now: ClockNs, connected: impl Fn(ParticipantId) -> bool) -> bool {
        if let Some(repair) = &self.repair {
            // Only who is there can bring something; who comes later begins another repair.
            let brings = |(participant, track): (&ParticipantId, &TakeTrack)| {
                track.backfill.inventory().is_some() && !track.whole() && connected(*participant)
            };
            return now.0 - repair.moved_at.0 >= CONNECTED_NS
                || (self.owed.is_empty() && !self.tracks.iter().any(brings));
        }
        let Some(until) = self.until.filter(|_| self.owed.is_empty()) else { return false };
        let waited = now.0 - until.0;
        self.channels.iter().all(|participant| {
            let Some(track) = self.tracks.get(participant) else { return true };
            let patience = if connected(*participant) { CONNECTED_NS } else { AWAY_NS };
            track.whole() || (track.left && !connected(*participant)) || waited >= patience
        })
    }
}

impl Owed {
    fn is_taken(&self, desk: &mut dyn Desk, recording: RecordingId) -> bool {
        match self {
            Self::Open(header) => desk.open(recording, RecordingHeader::clone(header)),
            Self::Append(participant, record) => desk.append(recording, *participant, record.clone()),
            Self::Note(record) => desk.note(recording, record.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roomtone_protocol::channel::Inventory;
    use roomtone_protocol::{IndexRange, SampleIndex, SegmentId, WakeEpoch};
    use roomtone_recorder::BackfillInput;

    const ADA: ParticipantId = ParticipantId::from_bytes([1; 16]);

    fn range(from: u64, to: u64) -> IndexRange {
        let segment = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };
        IndexRange { segment, from: SampleIndex(from), to: SampleIndex(to) }
    }

    fn take(complete: bool, received: u64) -> OpenTake {
        let recording = RecordingId::from_bytes([9; 16]);
        let mut take = OpenTake::new(recording, ClockNs(0));
        take.channels.push(ADA);
        let mut track = TakeTrack::default();
        track.received.insert(range(0, received));
        let inventory = Inventory { recording, held: vec![range(0, 960)], holes: vec![], complete };
        track.backfill.handle(BackfillInput::Inventory(inventory));
        take.tracks.insert(ADA, track);
        take
    }

    #[test]
    fn a_take_that_runs_is_never_settled() {
        assert!(!take(true, 960).settled(ClockNs(i64::MAX), |_| true));
    }

    #[test]
    fn an_ended_take_waits_for_what_is_announced_and_not_longer_than_its_patience() {
        let end = |mut take: OpenTake| {
            take.until = Some(ClockNs(0));
            take
        };
        assert!(end(take(true, 960)).settled(ClockNs(0), |_| true));
        for unfinished in [take(true, 480), take(false, 960)] {
            let unfinished = end(unfinished);
            assert!(!unfinished.settled(ClockNs(CONNECTED_NS - 1), |_| true));
            assert!(unfinished.settled(ClockNs(CONNECTED_NS), |_| true));
            assert!(!unfinished.settled(ClockNs(AWAY_NS - 1), |_| false));
            assert!(unfinished.settled(ClockNs(AWAY_NS), |_| false));
        }
    }

    #[test]
    fn pauses_are_no_recorded_time() {
        let mut take = take(true, 960);
        assert_eq!(take.recorded_ns(ClockNs(500)), 500);
        take.cuts = vec![(ClockNs(100), Some(ClockNs(150))), (ClockNs(300), None)];
        assert_eq!(take.recorded_ns(ClockNs(500)), 250);
        take.until = Some(ClockNs(400));
        assert_eq!(take.recorded_ns(ClockNs(500)), 250);
    }

    #[test]
    fn nobody_waits_for_who_said_goodbye() {
        let mut gone = take(false, 960);
        gone.until = Some(ClockNs(0));
        gone.tracks.get_mut(&ADA).unwrap().left = true;
        assert!(gone.settled(ClockNs(0), |_| false));
    }

    #[test]
    fn safe_means_on_the_disk() {
        let mut take = take(true, 960);
        let track = take.tracks.get_mut(&ADA).unwrap();
        assert!(track.whole() && !track.safe());
        track.durable.insert(range(0, 960));
        assert!(track.safe());
    }
}
