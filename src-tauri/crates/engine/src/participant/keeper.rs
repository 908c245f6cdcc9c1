//! What a participant keeps of its own voice: the pre-roll in memory, the spool on disk, and the account of both.

use std::collections::{BTreeMap, BTreeSet};

use roomtone_capture::{Limits, Note, PreRoll, SpoolError, Stored};
use roomtone_packets::{Coverage, MutedFrom, Packet};
use roomtone_protocol::channel::{Inventory, ToRecorder};
use roomtone_protocol::{ClockNs, IndexRange, RecordingId};

use super::PacketStore;
use super::cuts::{Cuts, Times};
use super::unspooled::Unspooled;

/// A packet lasts 20 ms.
const PACKET_NS: i64 = 20_000_000;

/// What is kept beyond the exact instants of a recording, on either side: the recorder maps the track to its own clock
/// with what it has learned by the end, and its idea of the instants differs from the one that was told by the error of
/// clock exchange and capture time stamps: milliseconds, tens of them with a wireless microphone. Five packets.
const MARGIN_NS: i64 = 5 * PACKET_NS;

/// Keeps packets for the recordings that want them.
#[derive(Debug)]
pub(super) struct Keeper<S> {
    pre_roll: PreRoll,
    spool: S,
    unspooled: Unspooled,
    wanted: BTreeMap<RecordingId, Wanted>,
    /// Recordings of earlier starts that are over, as the recorder said: nothing is added to what is kept of them.
    ended: BTreeSet<RecordingId>,
    times: Times,
    /// Everything that was captured before this instant of this machine's clock has come. Only the microphone can tell:
    /// a program that did not run for a while knows how late it is before it knows what it heard meanwhile.
    heard_until: Option<ClockNs>,
    /// Nothing more will be captured.
    over: bool,
}

/// What became of a packet from the microphone.
#[derive(Debug)]
pub(super) struct Taken {
    /// A recording wants it, so that it should be sent as well.
    pub(super) live: bool,
    /// Whether the spool took it, if it was asked to.
    pub(super) spooled: Option<Result<(), SpoolError>>,
}

/// Where a packet of a recording is.
#[derive(Debug)]
enum Kept {
    /// It was there, or nothing of the recording is kept any more.
    Already,
    Spooled,
    /// In memory only, as the ones before it.
    InMemory,
    /// In memory only: the spool failed just now.
    Refused(SpoolError),
}

/// A recording that runs, or that is not known to be safe yet.
#[derive(Debug)]
struct Wanted {
    from: ClockNs,
    until: Option<ClockNs>,
    cuts: Cuts,
    /// What the spool took before it learned of a pause: nobody gets it.
    hidden: Coverage,
    /// All of the complete inventory is durable at the recorder.
    durable: bool,
    /// The recorder was sent an inventory since the last change: what it says before may be about less.
    told: bool,
    /// [`Keeper::newly_over`] has told that nothing more comes.
    over: bool,
}

impl Wanted {
    fn new(from: ClockNs) -> Self {
        let (cuts, hidden) = (Cuts::default(), Coverage::default());
        Self { from, until: None, cuts, hidden, durable: false, told: false, over: false }
    }

    /// There is more to tell the recorder.
    fn changed(&mut self) {
        (self.durable, self.told) = (false, false);
    }

    /// Whether a packet that ends at `end` belongs to the recording, or to the margin around it.
    fn takes(&self, end: ClockNs) -> bool {
        let start = ClockNs(end.0 - PACKET_NS);
        end.0 > self.from.0 - MARGIN_NS
            && self.until.is_none_or(|until| start.0 < until.0 + MARGIN_NS)
            && !self.cuts.hides(start, end, MARGIN_NS)
    }

    /// Whether everything up to `end` is all that the recording can want.
    fn ended_by(&self, end: ClockNs) -> bool {
        self.until.is_some_and(|until| end.0 >= until.0 + MARGIN_NS)
    }

    /// What memory holds from an instant on, but for what is cut out.
    fn remembered(&self, pre_roll: &PreRoll, from: ClockNs) -> Vec<Packet> {
        let hidden = |at: ClockNs| self.cuts.hides(at, ClockNs(at.0 + PACKET_NS), MARGIN_NS);
        let packets = pre_roll.since(ClockNs(from.0 - MARGIN_NS));
        packets.filter(|(_, at)| !hidden(*at)).map(|(packet, _)| packet.clone()).collect()
    }

    /// What the spool took before it learned of a pause or of the end is given to nobody.
    fn hide(&mut self, times: &Times) {
        self.hidden = Coverage::default();
        let after = self.until.map(|until| (ClockNs(until.0.saturating_add(MARGIN_NS)), None));
        for (from, until) in self.cuts.inside(MARGIN_NS).chain(after) {
            for range in times.within(from, until) {
                self.hidden.insert(range);
            }
        }
    }
}

impl<S: PacketStore> Keeper<S> {
    pub(super) fn new(pre_roll: PreRoll, spool: S, capturing: bool) -> Self {
        Self {
            pre_roll,
            spool,
            unspooled: Unspooled::default(),
            wanted: BTreeMap::new(),
            ended: BTreeSet::new(),
            times: Times::default(),
            heard_until: None,
            over: !capturing,
        }
    }

    /// Takes a packet from the microphone.
    pub(super) fn captured(&mut self, packet: &Packet, at: ClockNs) -> Taken {
        let end = ClockNs(at.0 + PACKET_NS);
        self.heard(end);
        self.pre_roll.push(packet.clone(), at);
        self.times.push(packet, at);
        let mut taken = Taken { live: false, spooled: None };
        for (&recording, wanted) in &mut self.wanted {
            if wanted.takes(end) {
                wanted.changed();
                let kept = keep(&mut self.spool, &mut self.unspooled, recording, packet);
                taken.live |= !matches!(kept, Kept::Already);
                match kept {
                    Kept::Spooled => taken.spooled = taken.spooled.or(Some(Ok(()))),
                    Kept::Refused(error) => taken.spooled = Some(Err(error)),
                    Kept::Already | Kept::InMemory => {}
                }
            }
        }
        taken
    }

    /// Tries again what the spool refused. True if it took some of it.
    pub(super) fn spool_again(&mut self) -> Result<bool, SpoolError> {
        let spool = &mut self.spool;
        self.unspooled.release(|recording, packet| spool.append(recording, packet))
    }

    /// Keeps these packets of a recording; the first refusal of the spool is told when all of them are kept.
    fn keep_all(&mut self, recording: RecordingId, packets: Vec<Packet>) -> Result<(), SpoolError> {
        let mut refused = Ok(());
        for packet in packets {
            if let Kept::Refused(error) = keep(&mut self.spool, &mut self.unspooled, recording, &packet) {
                refused = refused.and(Err(error));
            }
        }
        refused
    }

    /// What was captured before this instant has come, as far as there was anything.
    pub(super) fn heard(&mut self, until: ClockNs) {
        self.heard_until = self.heard_until.max(Some(until));
    }

    /// Something about a segment that this microphone delivered.
    pub(super) fn note(&mut self, note: &Note) -> Result<(), SpoolError> {
        if matches!(note, Note::Hole(_)) {
            // Its length is known only now, and belongs into the inventories.
            self.wanted.values_mut().for_each(Wanted::changed);
        }
        self.spool.note(note)
    }

    /// What a recorder must know to place what earlier starts kept.
    pub(super) fn earlier(&self) -> Vec<ToRecorder> {
        let message = |note| match note {
            Note::Segment(segment) => Some(ToRecorder::Segment(segment)),
            Note::Anchor(anchor) => Some(ToRecorder::Anchor(anchor)),
            Note::Muted(MutedFrom { segment, from, muted }) => Some(ToRecorder::Muted { segment, from, muted }),
            // They are in the inventories.
            Note::Hole(_) => None,
        };
        self.spool.earlier().into_iter().filter_map(message).collect()
    }

    /// What has been kept for too long; never of a recording that is wanted.
    pub(super) fn overdue(&self, wall_ns: i64) -> Result<Vec<Stored>, SpoolError> {
        let in_use = |recording| self.wanted.contains_key(&recording);
        self.spool.overdue(&Limits::default(), wall_ns, &in_use)
    }

    /// It goes for good.
    pub(super) fn expire(&mut self, stored: &Stored) -> Result<(), SpoolError> {
        self.spool.expire(stored)
    }

    /// The microphone delivers nothing more.
    pub(super) fn capture_over(&mut self) {
        self.over = true;
    }

    /// A recording wants everything from `from` on; what memory holds of it goes to the spool.
    pub(super) fn keep_from(&mut self, recording: RecordingId, from: ClockNs) -> Result<(), SpoolError> {
        // Every new connection tells the instant again, and the first one may have known the clocks badly: an earlier
        // instant wants more, a later one does not make what is kept less.
        match self.wanted.get_mut(&recording) {
            Some(wanted) if wanted.from <= from => return Ok(()),
            Some(wanted) => {
                wanted.from = from;
                wanted.changed();
            }
            None => {
                self.ended.remove(&recording);
                self.wanted.insert(recording, Wanted::new(from));
            }
        }
        let Some(wanted) = self.wanted.get(&recording) else { return Ok(()) };
        let remembered = wanted.remembered(&self.pre_roll, from);
        self.keep_all(recording, remembered)
    }

    /// A recording ended at `until`, whenever that is learned: what was taken after it is not given away.
    pub(super) fn keep_until(&mut self, recording: RecordingId, until: ClockNs) {
        if let Some(wanted) = self.wanted.get_mut(&recording) {
            wanted.until = Some(until);
            // The inventory that answers this tells it.
            wanted.over = self.heard_until.is_some_and(|end| wanted.ended_by(end));
            wanted.hide(&self.times);
        } else if self.spool.recordings().contains(&recording) {
            self.ended.insert(recording);
        }
    }

    /// A recording was paused from `from` to `until`; None as long as it is. What was said in between is not kept and not
    /// sent, and what was taken before the pause was known is not given away. Where a pause that is over cut off too
    /// much, memory still has it.
    pub(super) fn cut(
        &mut self,
        recording: RecordingId,
        number: u32,
        from: ClockNs,
        until: Option<ClockNs>,
    ) -> Result<(), SpoolError> {
        let Some(wanted) = self.wanted.get_mut(&recording) else { return Ok(()) };
        if !wanted.cuts.learn(number, from, until) {
            return Ok(());
        }
        wanted.hide(&self.times);
        wanted.changed();
        // What was captured since somebody resumed, before that was known.
        let remembered = until.map(|until| wanted.remembered(&self.pre_roll, until));
        self.keep_all(recording, remembered.unwrap_or_default())
    }

    /// Recordings that have just had all that they can want. Stop waits for nothing else, where nothing is missing.
    pub(super) fn newly_over(&mut self) -> Vec<RecordingId> {
        let heard_until = self.heard_until;
        let over = |wanted: &Wanted| !wanted.over && heard_until.is_some_and(|end| wanted.ended_by(end));
        let mut newly = Vec::new();
        for (&recording, wanted) in self.wanted.iter_mut().filter(|(_, wanted)| over(wanted)) {
            wanted.over = true;
            newly.push(recording);
        }
        newly
    }

    /// The recordings that an inventory is due for.
    pub(super) fn open(&self) -> Vec<RecordingId> {
        self.wanted.iter().filter(|(_, wanted)| !wanted.durable).map(|(&recording, _)| recording).collect()
    }

    /// Recordings of earlier starts that the spool still holds. Nothing is added to them; the recorder says when they
    /// may go.
    pub(super) fn kept(&self) -> Vec<RecordingId> {
        self.spool.recordings().into_iter().filter(|recording| !self.wanted.contains_key(recording)).collect()
    }

    /// Whether nothing more of a recording will come from the microphone.
    pub(super) fn is_over(&self, recording: RecordingId) -> bool {
        match self.wanted.get(&recording) {
            Some(wanted) => self.over || self.heard_until.is_some_and(|end| wanted.ended_by(end)),
            // It may still run and want what memory holds; whoever asks will tell.
            None => self.ended.contains(&recording) || (self.over && self.heard_until.is_none()),
        }
    }

    /// What is held of a recording. `leaving`: nothing more will come, although the recording may go on.
    pub(super) fn inventory(&self, recording: RecordingId, leaving: bool) -> Inventory {
        let held = self.given(recording);
        let holes = self.spool.holes(recording);
        let complete = (leaving && self.wanted.contains_key(&recording)) || self.is_over(recording);
        Inventory { recording, held, holes, complete }
    }

    /// What of a recording is held and may be given away.
    fn given(&self, recording: RecordingId) -> Vec<IndexRange> {
        let mut held = Coverage::default();
        for range in self.spool.inventory(recording).into_iter().chain(self.unspooled.ranges(recording)) {
            held.insert(range);
        }
        match self.wanted.get(&recording) {
            Some(wanted) => held.iter().flat_map(|range| wanted.hidden.missing(range)).collect(),
            None => held.iter().collect(),
        }
    }

    /// What of these ranges is held and may be given away.
    pub(super) fn held(&self, recording: RecordingId, ranges: &[IndexRange]) -> Vec<IndexRange> {
        let given = self.given(recording);
        let common = |held: &IndexRange, asked: &IndexRange| {
            let range = IndexRange { from: held.from.max(asked.from), to: held.to.min(asked.to), ..*held };
            (held.segment == asked.segment && range.from < range.to).then_some(range)
        };
        ranges.iter().flat_map(|asked| given.iter().filter_map(move |held| common(held, asked))).collect()
    }

    /// The packets of a range that may be given away, in order.
    pub(super) fn packets(&mut self, recording: RecordingId, range: IndexRange) -> Result<Vec<Packet>, SpoolError> {
        let mut packets = self.spool.read(recording, range)?;
        packets.extend(self.unspooled.within(recording, range).cloned());
        packets.sort_by_key(|packet| packet.index);
        if let Some(wanted) = self.wanted.get(&recording) {
            packets.retain(|packet| !wanted.hidden.covers(packet.range()));
        }
        Ok(packets)
    }

    /// The recorder is sent an inventory.
    pub(super) fn told(&mut self, recording: RecordingId) {
        if let Some(wanted) = self.wanted.get_mut(&recording) {
            wanted.told = true;
        }
    }

    /// The recorder told what it holds for good.
    pub(super) fn durable(&mut self, recording: RecordingId, complete: bool) {
        if let Some(wanted) = self.wanted.get_mut(&recording) {
            wanted.durable = complete && wanted.told;
        }
    }

    /// The bucket has it: the spool may go.
    pub(super) fn archived(&mut self, recording: RecordingId) -> Result<(), SpoolError> {
        self.forget(recording);
        self.spool.archive(recording)
    }

    /// It was discarded on purpose: nothing of it may stay.
    pub(super) fn discard(&mut self, recording: RecordingId) -> Result<(), SpoolError> {
        self.forget(recording);
        self.spool.discard(recording)
    }

    #[cfg(test)]
    pub(super) fn recordings_on_disk(&self) -> Vec<(RecordingId, Vec<IndexRange>)> {
        let inventory = |recording| (recording, self.spool.inventory(recording));
        self.spool.recordings().into_iter().map(inventory).collect()
    }

    fn forget(&mut self, recording: RecordingId) {
        self.unspooled.forget(recording);
        self.wanted.remove(&recording);
        self.ended.remove(&recording);
    }

    /// Whether all that was kept is safe at the recorder.
    pub(super) fn safe(&self) -> bool {
        self.wanted.values().all(|wanted| wanted.durable)
    }
}

/// Keeps a packet of a recording. A spool that refused some is left alone until [`Keeper::spool_again`] asks it: a full
/// disk gets no better by being written to fifty times a second.
fn keep<S: PacketStore>(spool: &mut S, unspooled: &mut Unspooled, recording: RecordingId, packet: &Packet) -> Kept {
    if !unspooled.is_empty() {
        let new = spool.wants(recording, packet) && unspooled.hold(recording, packet);
        return if new { Kept::InMemory } else { Kept::Already };
    }
    match spool.append(recording, packet) {
        Ok(true) => Kept::Spooled,
        Ok(false) => Kept::Already,
        Err(error) => {
            unspooled.hold(recording, packet);
            Kept::Refused(error)
        }
    }
}
