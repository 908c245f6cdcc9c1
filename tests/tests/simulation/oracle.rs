//! What must be true of every recording, from what really happened. The product's index arithmetic has no part in it:
//! where a packet belongs is what its own time code says.

mod boots;
mod excuse;
mod file;
mod promises;

use std::collections::BTreeMap;

use roomtone_protocol::metadata::{Gap, GapCause};
use roomtone_protocol::{ClockNs, IndexRange, RecordingId, SampleIndex};
use roomtone_recorder::{ChannelSpec, Journal};

use crate::clocks::{MS, SECOND, True};
use crate::microphone::Said;
use crate::truth::{PersonTruth, Silence};
use crate::world::World;
use excuse::{Excuse, Excuses};
use file::{Channel, Recorded};
use promises::marks_are_true;
pub(crate) use promises::{all_is_safe, own_loss_is_small};

/// How far a packet may lie from its true place once a device has delivered for a minute, 1 ms; on a path that is not the
/// same both ways, or whose packets wait in queues, and where nothing could be measured, by what the journal states
/// beyond that.
const BOUND_NS: f64 = 1e6;

/// A frame: a file begins at a whole one.
const FRAME_NS: f64 = 1e9 / 48e3;

/// How far before that, 2 ms: time stamps of the first anchors are late by milliseconds, and there are few of them.
const START_BOUND_NS: f64 = 2e6;

/// After so many samples of a segment its clock is known: a minute.
const KNOWN_SAMPLES: u64 = 60 * 48_000;

/// A clock was measured where at least so many exchanges lie this near on either side.
const MEASURED: (usize, i64) = (4, 10 * SECOND);

/// What is missing counts as found in the ledger this near: 100 ms, for tracks on bad paths lie that far off.
const SLACK_FRAMES: f64 = 4_800.0;

/// What may count as missing between one segment and the next: 2 ms, as exactly as the first samples of one are placed.
const SEAM_FRAMES: u64 = 96;

/// What may be missing of a track on a bad path where a recording begins or ends: a quarter of a second.
const EDGE_FRAMES: u64 = 12_000;

/// Seams between what is there and what is not are exact to a packet and to the bound.
const SEAM_NS: i64 = 50 * MS;

/// The same over a path that hides more of the clocks.
const UNCALM_SEAM_NS: i64 = 200 * MS;

/// Who was reachable for this long at the end must have been heard: a repair, and another one for what came during it.
const TIME_TO_REPAIR: i64 = 75 * SECOND;

/// What was checked.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) recordings: u64,
    pub(crate) channels: u64,
    pub(crate) gapless: u64,
    pub(crate) packets: u64,
    pub(crate) missing: u64,
    pub(crate) silences: u64,
    pub(crate) archived: u64,
    pub(crate) markers: u64,
    /// Packets of them that a network was too slow for while Stop waited.
    pub(crate) slow: u64,
    /// Files that were made anew.
    pub(crate) repairs: u64,
    /// Over calm paths, once a clock is known.
    pub(crate) worst_error_ns: f64,
    /// The same before that.
    pub(crate) worst_start_ns: f64,
    /// When the last file was made.
    pub(crate) made_at: True,
    /// What the microphone beside the recorder lost with a crash, at most, in nanoseconds.
    pub(crate) own_loss_ns: i64,
    /// Of people who are only heard, once a device has delivered for a minute.
    pub(crate) worst_heard_ns: f64,
    /// Over all others, as a multiple of what the journal states.
    pub(crate) worst_of_stated: f64,
}

impl Figures {
    pub(crate) fn add(&mut self, other: Self) {
        self.recordings += other.recordings;
        self.channels += other.channels;
        self.gapless += other.gapless;
        self.packets += other.packets;
        self.missing += other.missing;
        self.silences += other.silences;
        self.archived += other.archived;
        self.markers += other.markers;
        self.slow += other.slow;
        self.repairs += other.repairs;
        self.worst_error_ns = self.worst_error_ns.max(other.worst_error_ns);
        self.worst_start_ns = self.worst_start_ns.max(other.worst_start_ns);
        self.made_at = self.made_at.max(other.made_at);
        self.own_loss_ns = self.own_loss_ns.max(other.own_loss_ns);
        self.worst_heard_ns = self.worst_heard_ns.max(other.worst_heard_ns);
        self.worst_of_stated = self.worst_of_stated.max(other.worst_of_stated);
    }

    /// Takes note of how far a packet lies off, and tells how far it may.
    fn error(&mut self, error: f64, stated: f64, late: bool, calm: bool) -> f64 {
        let bound = if late { BOUND_NS } else { START_BOUND_NS };
        if calm {
            let worst = if late { &mut self.worst_error_ns } else { &mut self.worst_start_ns };
            *worst = worst.max(error);
            return bound;
        }
        self.worst_of_stated = self.worst_of_stated.max((error - bound) / stated.max(1.0));
        bound + stated + FRAME_NS
    }
}

/// Checks a journal that was closed with all its maps. Gives whether the product calls it gapless.
pub(crate) fn check(world: &mut World, recording: RecordingId, journal: &Journal, open_end: Option<ClockNs>) -> bool {
    let truth = &world.truth.recordings[&recording];
    assert!(truth.cancelled.is_none(), "{recording:?} was discarded, and is made");
    assert!(truth.until.is_some() || truth.orphaned.is_some(), "{recording:?} is made before it is over");
    let mut figures = Figures { recordings: 1, ..Figures::default() };
    figures.repairs += u64::from(truth.versions > 0);
    let channels = ChannelSpec::from_journal(journal);
    let owners: Vec<_> = channels.iter().map(|channel| world.numbers[&channel.participant]).collect();
    let lost = if truth.orphaned.is_some() { owners.len() } else { truth.channels.len() };
    assert_eq!(owners, truth.channels[..lost], "channels are not in the order of joining");
    let recorded = Recorded::new(world, recording, journal, open_end);
    figures.markers += marks_are_true(truth, journal, &recorded, open_end);
    let mut gapless = true;
    let mut stored = BTreeMap::new();
    for (spec, &person) in channels.iter().zip(&owners) {
        let channel = Channel::read(journal, spec, open_end);
        let excuses = Excuses::new(world, recording, person, &channel);
        figures.channels += 1;
        figures.gapless += u64::from(channel.ledger.gapless);
        gapless &= channel.ledger.gapless;
        channel_is_true(world, &channel, (recording, person), &recorded, &excuses, &mut figures);
        stored.insert(person, journal.coverage(spec.participant).clone());
    }
    world.figures.add(figures);
    if let Some(truth) = world.truth.recordings.get_mut(&recording) {
        truth.versions += 1;
        truth.stored = stored;
        // A boot may have moved their edges.
        let moved = recorded.boots_ns as i64;
        truth.spans_in_file = recorded.spans().map(|(from, until)| (from.plus(moved), until.plus(-moved))).collect();
    }
    gapless
}

/// Everything that somebody said is where it belongs or accounted for, and so is every silence.
fn channel_is_true(
    world: &World,
    channel: &Channel,
    (recording, person): (RecordingId, usize),
    recorded: &Recorded,
    excuses: &Excuses,
    figures: &mut Figures,
) {
    let truth = &world.truth.people[person];
    // What a host that died measured last may have died with it.
    let kept = world.truth.recordings[&recording].orphaned.is_none();
    let middle = |from: True, to: True| recorded.frame(True((from.0 + to.0) / 2));
    let edge = if truth.calm_path { SEAM_NS } else { UNCALM_SEAM_NS } + recorded.boots_ns as i64;
    let mut absent = 0;
    let mut known: BTreeMap<_, _> = channel.packets.iter().map(|packet| (packet.key, packet)).collect();
    for said in &truth.said {
        let found = known.remove(&(said.segment, said.index));
        if let Some(packet) = found {
            let own = (u8::try_from(person).expect("few people"), said.from);
            assert_eq!(packet.code, own, "a packet is not what was said there");
        }
        let what = || format!("person {person}, {said}, until {:.3} s", world.now.as_seconds());
        let placed = found.and_then(|packet| Some((packet.frame?, packet.stated)));
        // Nobody can know on which side of an edge something lies that is closer to it than what is known of its place.
        let edge = edge.max(found.map_or(0, |packet| (START_BOUND_NS + packet.stated) as i64));
        let Some((from, until)) = recorded.around(said.from, said.to) else {
            let far = recorded.outside(said.from, said.to) > edge;
            assert!(!far || placed.is_none(), "{} was not recorded, and is in the file", what());
            continue;
        };
        figures.packets += 1;
        let seam = said.from.0 - from.0 < edge || until.0 - said.to.0 < edge;
        let here = middle(said.from, said.to);
        match placed {
            Some((placed, stated)) => {
                let error = (placed - recorded.frame(said.from)).abs() / 48e3 * 1e9;
                let late = said.index >= channel.first(said.segment) + KNOWN_SAMPLES;
                let sharp = kept && truth.calm_path && truth.is_measured(said.from, MEASURED);
                // A boot's part is told apart.
                let beside_boots = (error - recorded.boots_ns).max(0.0);
                if truth.only_heard && late {
                    figures.worst_heard_ns = figures.worst_heard_ns.max(beside_boots);
                }
                let allowed = figures.error(beside_boots, stated, late, sharp) + recorded.boots_ns;
                assert!(error <= allowed, "{} is {:.3} ms away; {:.3} are allowed", what(), error / 1e6, allowed / 1e6);
                let slack = allowed * 48e3 / 1e9;
                let gap = match said.muted {
                    true => {
                        channel.ledger.gaps.iter().find(|gap| touches(gap, here, slack) && gap.cause == GapCause::Muted)
                    }
                    false => gap_at(&channel.ledger.gaps, here, -slack),
                };
                let around = edge + allowed as i64;
                let sure = excuses.vouched() && !truth.mutes_within(said.from.plus(-around), said.to.plus(around));
                let fits =
                    gap.map_or(!said.muted || !sure, |gap| gap.cause == GapCause::Muted && (said.muted || !sure));
                assert!(seam || fits, "{} is there (muted: {}) and counts as {gap:?}", what(), said.muted);
            }
            None if seam => {}
            None => {
                figures.missing += 1;
                figures.slow += u64::from(excuses.of(said) == Some(Excuse::Slow));
                let stated = channel.stated(said.segment, said.index) + recorded.boots_ns;
                let slack = SLACK_FRAMES + stated * 48e3 / 1e9;
                let near = channel.ledger.gaps.iter().filter(|gap| touches(gap, here, slack));
                let causes: Vec<_> = near.map(|gap| gap.cause).collect();
                let Some(excuse) = excuses.of(said) else {
                    panic!(
                        "{} is missing without a reason; stored: {}, kept: {}; the ledger says {causes:?}",
                        what(),
                        found.is_some(),
                        world.people[person].disk.holds(recording, said.segment, said.index)
                    )
                };
                let muted = said.muted && causes.contains(&GapCause::Muted);
                absent += u64::from(!excuse.is_unheard() && !muted);
                let fits = muted || causes.iter().any(|&cause| excuse.fits(cause));
                assert!(fits, "{} is missing because of {excuse:?}, and the ledger says {causes:?}", what());
            }
        }
    }
    // A packet that overtook the announcement of its segment may be kept in the one before as well, where nobody hears it.
    known.retain(|&(segment, index), packet| {
        let first = truth.said.partition_point(|said| said.from < packet.code.1);
        let said = truth.said.get(first).filter(|said| (said.index, said.from) == (index, packet.code.1));
        said.is_none_or(|said| said.segment.epoch != segment.epoch || said.segment < segment)
    });
    assert!(known.is_empty(), "packets that nobody sent: {:?}", known.keys().take(3).collect::<Vec<_>>());
    holes_are_told(channel, truth, person);
    let (broken, denied) = silences_are_true(channel, truth, person, recorded, excuses, figures, world.now);
    if channel.ledger.gapless {
        assert_eq!((absent, broken), (0, false), "person {person}: claimed gapless, and is not");
    }
    if absent == 0 && !broken && !denied && excuses.vouched() {
        // On bad paths an edge may lie beyond what is kept around it, as far as is stated.
        let stated = channel.packets.iter().map(|packet| packet.stated * 48e3 / 1e9).fold(0.0, f64::max);
        let edges = if truth.calm_path { SEAM_FRAMES } else { EDGE_FRAMES.max(stated as u64) };
        let found = channel.ledger.missing_frames <= edges * recorded.spans().count() as u64;
        assert!(found, "person {person}: nothing is missing and the ledger denies it: {:?}", channel.ledger);
    }
    let missing = channel.ledger.gaps.iter().filter(|gap| gap.cause.is_missing()).map(|gap| gap.to - gap.from);
    assert_eq!(missing.sum::<u64>(), channel.ledger.missing_frames, "the ledger does not add up");
}

/// Whoever says that nothing more will come has also said what the microphone did not deliver of it.
fn holes_are_told(channel: &Channel, truth: &PersonTruth, person: usize) {
    let Some(told) = channel.notes.inventory.as_ref().filter(|inventory| inventory.complete) else { return };
    for hole in &truth.holes {
        let ends = |range: &IndexRange| range.segment == hole.range.segment && range.to == hole.range.from;
        let next = |range: &IndexRange| range.segment > hole.range.segment;
        let inside = told.held.iter().any(ends) && told.held.iter().any(next);
        assert!(!inside || told.holes.contains(hole), "person {person}: {hole:?} is not in {told:?}");
    }
}

/// Every silence of some length has its cause. Whether one of them is none that a recording without gaps can have, and
/// whether one looks so to a recorder that was not told.
fn silences_are_true(
    channel: &Channel,
    truth: &PersonTruth,
    person: usize,
    recorded: &Recorded,
    excuses: &Excuses,
    figures: &mut Figures,
    world_now: True,
) -> (bool, bool) {
    let (mut broken, mut denied) = (false, false);
    let spans = || recorded.spans();
    for &(since, ends, why) in &truth.silent {
        // One that lasts has no length yet, and nobody could name it.
        let open = ends >= world_now;
        for (starts, ends) in spans().map(|(from, until)| (since.max(from), ends.min(until))) {
            if ends.0 - starts.0 < 3 * SEAM_NS {
                continue;
            }
            figures.silences += 1;
            // A device that stalls while its person is muted loses nothing.
            let device = matches!(why, Silence::Device(_));
            let before = truth.said[..truth.said.partition_point(|said| said.to <= since)].last();
            let muted = device && before.is_some_and(|said| said.muted);
            broken |= excuses.breaks(why, since) && !muted;
            denied |= excuses.looks_broken(why, since);
            if ends.0 - starts.0 < 3 * SEAM_NS + 2 * recorded.boots_ns as i64 {
                // Its middle may lie beside it.
                continue;
            }
            let middle = recorded.frame(True((starts.0 + ends.0) / 2));
            // As near as it is known where the sound before it lies.
            let slack = before.map_or(0.0, |said| channel.stated(said.segment, said.index)) * 48e3 / 1e9;
            let causes: Vec<_> =
                channel.ledger.gaps.iter().filter(|gap| touches(gap, middle, slack)).map(|gap| gap.cause).collect();
            let hidden = muted && causes.contains(&GapCause::Muted);
            // Of one that is shorter than that on either side, nobody can know that it was there.
            let vanishes = causes.is_empty() && recorded.frame(ends) - recorded.frame(starts) < 2.0 * slack;
            let fits =
                hidden || vanishes || causes.iter().any(|&cause| excuses.silence_fits(why, (since, open), cause));
            let at = (starts.as_seconds(), ends.as_seconds());
            assert!(fits, "person {person}: silence ({why:?}) at {at:.3?} counts as {causes:?}");
        }
    }
    (broken, denied)
}

/// The gap that shows a frame, when its edges may be off by so many frames outwards; inwards if it is negative.
fn gap_at(gaps: &[Gap], frame: f64, slack: f64) -> Option<&Gap> {
    gaps.iter().find(|gap| touches(gap, frame, slack))
}

fn touches(gap: &Gap, frame: f64, slack: f64) -> bool {
    gap.from as f64 - slack <= frame && frame < gap.to as f64 + slack
}

/// Every recording that is over came to its end, and holds all that anybody brought or could have brought.
pub(crate) fn nothing_is_left(world: &World) {
    for (&recording, truth) in &world.truth.recordings {
        if truth.cancelled.is_some() {
            nothing_came_back(world, recording);
            continue;
        }
        let made = truth.versions > 0 || truth.wiped || truth.runs() || world.host.end.is_none();
        assert!(made, "{recording:?} was never made: {truth:?} {:#?}", world.host.end);
        if truth.versions == 0 || truth.wiped {
            continue;
        }
        for &person in &truth.channels {
            if !world.reachable_since(person, world.now.plus(-TIME_TO_REPAIR)) {
                continue;
            }
            let one = &world.people[person];
            let stored = truth.stored.get(&person);
            // Where next to nothing was measured before a recorder died, its file may reach beyond that.
            let died_at = truth.died_at.filter(|_| truth.orphaned.is_some());
            let before = |said: &&Said| died_at.is_none_or(|died| said.to <= died);
            for said in world.truth.people[person].said.iter().filter(before) {
                let inside = truth
                    .spans_in_file
                    .iter()
                    .any(|span| said.from.0 - span.0.0 >= UNCALM_SEAM_NS && span.1.0 - said.to.0 >= UNCALM_SEAM_NS);
                let range = IndexRange {
                    segment: said.segment,
                    from: SampleIndex(said.index),
                    to: SampleIndex(said.index + 960),
                };
                let lacks = inside
                    && one.disk.holds(recording, said.segment, said.index)
                    && stored.is_none_or(|stored| !stored.covers(range));
                assert!(!lacks, "person {person}, {said}, is kept and was never asked for");
            }
        }
    }
}

/// What was discarded is on no disk of anybody who could be told.
fn nothing_came_back(world: &World, recording: RecordingId) {
    let wiped = world.truth.recordings[&recording].wiped;
    assert!(wiped || !world.host.disk.holds(recording), "{recording:?} was discarded, and the host keeps some of it");
    for (person, one) in world.people.iter().enumerate() {
        let told = !wiped && world.reachable_since(person, world.now.plus(-TIME_TO_REPAIR));
        assert!(
            !told || !one.disk.holds_any(recording),
            "{recording:?} was discarded, and person {person} keeps some of it"
        );
    }
}

/// Causes that a person can be blamed for by mistake are not among them.
pub(super) const MISSING: [GapCause; 3] = [GapCause::Network, GapCause::UnknownExtent, GapCause::Crash];
