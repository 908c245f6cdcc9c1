//! What must be true of every recording, from what really happened. The product's index arithmetic has no part in it:
//! where a packet belongs is what its own time code says.

mod excuse;
mod file;

use std::collections::BTreeMap;

use roomtone_protocol::metadata::{Gap, GapCause};
use roomtone_protocol::{ClockNs, RecordingId};
use roomtone_recorder::{ChannelSpec, Journal};

use crate::clocks::{MS, True};
use crate::world::World;
use excuse::Excuses;
use file::Channel;

/// How far a packet may lie from its true place once a device has delivered for a minute: 1 ms. On a path that is not the same both ways, or whose
/// packets wait in queues, nobody can know better than half of the least round trip; then the journal has to say so.
const BOUND_NS: f64 = 1e6;

/// How far before that: time stamps of the first anchors are late by milliseconds, and there are few of them.
const START_BOUND_NS: f64 = 3e6;

/// After so many samples of a segment its clock is known: a minute.
const KNOWN_SAMPLES: u64 = 60 * 48_000;

/// How many times what the journal states as unknown of such a path may be the truth: half of the least round trip holds
/// for one measurement; what is concluded from many that waited in queues may be off by more.
const UNCALM: f64 = 4.0;

/// What is missing counts as found in the ledger this near: 100 ms, for tracks on bad paths lie that far off.
const SLACK_FRAMES: f64 = 4_800.0;

/// What may count as missing between one segment and the next: 1 ms, as exactly as two are placed.
const SEAM_FRAMES: u64 = 48;

/// What may be missing of a track on a bad path where a recording begins or ends: a quarter of a second.
const EDGE_FRAMES: u64 = 12_000;

/// Seams between what is there and what is not are exact to a packet and to the bound.
const SEAM_NS: i64 = 50 * MS;

/// The same over a path that hides more of the clocks.
const UNCALM_SEAM_NS: i64 = 200 * MS;

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
    /// Over calm paths, once a clock is known.
    pub(crate) worst_error_ns: f64,
    /// The same before that.
    pub(crate) worst_start_ns: f64,
    /// When the last file was made.
    pub(crate) made_at: True,
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
        self.worst_error_ns = self.worst_error_ns.max(other.worst_error_ns);
        self.worst_start_ns = self.worst_start_ns.max(other.worst_start_ns);
        self.made_at = self.made_at.max(other.made_at);
    }
}

/// Checks a journal that was closed with all its maps. Gives whether the product calls it gapless.
pub(crate) fn check(world: &mut World, recording: RecordingId, journal: &Journal, open_end: Option<ClockNs>) -> bool {
    let truth = &world.truth.recordings[&recording];
    assert!(!truth.checked, "{recording:?} is made twice");
    assert!(truth.until.is_some() || truth.orphaned.is_some(), "{recording:?} is made before it is over");
    let mut figures = Figures { recordings: 1, ..Figures::default() };
    let channels = ChannelSpec::from_journal(journal);
    let owners: Vec<_> = channels.iter().map(|channel| world.numbers[&channel.participant]).collect();
    assert_eq!(owners, truth.channels, "channels are not in the order of joining");
    let window = file::recorded(world, recording, journal, open_end);
    let mut gapless = true;
    for (spec, &person) in channels.iter().zip(&owners) {
        let channel = Channel::read(journal, spec, open_end);
        let excuses = Excuses::new(world, recording, person, &channel);
        figures.channels += 1;
        figures.gapless += u64::from(channel.ledger.gapless);
        gapless &= channel.ledger.gapless;
        if let Some((from, until)) = window {
            channel_is_true(world, recording, &channel, person, (from, until), &excuses, &mut figures);
        }
    }
    world.figures.add(figures);
    if let Some(truth) = world.truth.recordings.get_mut(&recording) {
        truth.checked = true;
    }
    gapless
}

/// Everything that somebody said is where it belongs or accounted for, and so is every silence.
fn channel_is_true(
    world: &World,
    recording: RecordingId,
    channel: &Channel,
    person: usize,
    (from, until): (True, True),
    excuses: &Excuses,
    figures: &mut Figures,
) {
    let truth = &world.truth.people[person];
    let clock = &world.host.clock;
    // Frames of the file that a true instant falls on.
    let frame = |at: True| (clock.at(at).0 - clock.at(from).0) as f64 * 48e3 / 1e9;
    let middle = |from: True, to: True| frame(True((from.0 + to.0) / 2));
    let mut absent = 0;
    let mut known: BTreeMap<_, _> = channel.packets.iter().map(|packet| (packet.key, packet)).collect();
    for said in &truth.said {
        let found = known.remove(&(said.segment, said.index));
        if let Some(packet) = found {
            let own = (u8::try_from(person).expect("few people"), said.from);
            assert_eq!(packet.code, own, "a packet is not what was said there");
        }
        if said.from < from || said.to > until {
            continue;
        }
        figures.packets += 1;
        let edge = if truth.calm_path { SEAM_NS } else { UNCALM_SEAM_NS };
        let seam = said.from.0 - from.0 < edge || until.0 - said.to.0 < edge;
        let what = || format!("person {person}, {said}, until {:.3} s", world.now.as_seconds());
        let here = middle(said.from, said.to);
        match found.and_then(|packet| packet.frame) {
            Some((placed, stated)) => {
                let error = (placed - frame(said.from)).abs() / 48e3 * 1e9;
                let late = said.index >= channel.first(said.segment) + KNOWN_SAMPLES;
                let bound = if late { BOUND_NS } else { START_BOUND_NS };
                let allowed = if truth.calm_path { bound } else { bound + UNCALM * stated };
                if truth.calm_path {
                    let worst = if late { &mut figures.worst_error_ns } else { &mut figures.worst_start_ns };
                    *worst = worst.max(error);
                }
                assert!(error <= allowed, "{} is {:.3} ms away; {:.3} are allowed", what(), error / 1e6, allowed / 1e6);
                let gap = gap_at(&channel.ledger.gaps, here, -allowed * 48e3 / 1e9);
                assert!(seam || gap.is_none(), "{} is there and counts as {gap:?}", what());
            }
            None if seam => {}
            None => {
                figures.missing += 1;
                let near = channel.ledger.gaps.iter().filter(|gap| touches(gap, here, SLACK_FRAMES));
                let causes: Vec<_> = near.map(|gap| gap.cause).collect();
                let Some(excuse) = excuses.of(said) else {
                    panic!(
                        "{} is missing without a reason; stored: {}, kept: {}; the ledger says {causes:?}",
                        what(),
                        found.is_some(),
                        world.people[person].disk.holds(recording, said.segment, said.index)
                    )
                };
                absent += u64::from(!excuse.is_unheard());
                let fits = causes.iter().any(|&cause| excuse.fits(cause));
                assert!(fits, "{} is missing because of {excuse:?}, and the ledger says {causes:?}", what());
            }
        }
    }
    assert!(known.is_empty(), "packets that nobody sent: {:?}", known.keys().take(3).collect::<Vec<_>>());
    let mut broken = false;
    for &(since, ends, why) in &truth.silent {
        let (starts, ends) = (since.max(from), ends.min(until));
        if ends.0 - starts.0 < 3 * SEAM_NS {
            continue;
        }
        figures.silences += 1;
        broken |= excuses.breaks(why, since);
        let cause = gap_at(&channel.ledger.gaps, middle(starts, ends), 0.0).map(|gap| gap.cause);
        let fits = cause.is_some_and(|cause| excuses.silence_fits(why, since, cause));
        let at = (starts.as_seconds(), ends.as_seconds());
        assert!(fits, "person {person}: silence ({why:?}) at {at:.3?} counts as {cause:?}");
    }
    if channel.ledger.gapless {
        assert_eq!((absent, broken), (0, false), "person {person}: claimed gapless, and is not");
    }
    if absent == 0 && !broken && excuses.vouched() {
        // On bad paths an edge may lie beyond what is kept around it.
        let edges = if truth.calm_path { SEAM_FRAMES } else { EDGE_FRAMES };
        let found = channel.ledger.missing_frames <= edges;
        assert!(found, "person {person}: nothing is missing and the ledger denies it: {:?}", channel.ledger);
    }
    let missing = channel.ledger.gaps.iter().filter(|gap| gap.cause.is_missing()).map(|gap| gap.to - gap.from);
    assert_eq!(missing.sum::<u64>(), channel.ledger.missing_frames, "the ledger does not add up");
}

/// The gap that shows a frame, when its edges may be off by so many frames outwards; inwards if it is negative.
fn gap_at(gaps: &[Gap], frame: f64, slack: f64) -> Option<&Gap> {
    gaps.iter().find(|gap| touches(gap, frame, slack))
}

fn touches(gap: &Gap, frame: f64, slack: f64) -> bool {
    gap.from as f64 - slack <= frame && frame < gap.to as f64 + slack
}

/// Every recording that is over came to its end.
pub(crate) fn nothing_is_left(world: &World) {
    for (recording, truth) in &world.truth.recordings {
        let runs = truth.until.is_none() && truth.orphaned.is_none();
        let made = truth.checked || truth.wiped || runs;
        assert!(made, "{recording:?} was never made: {truth:?} {:#?}", world.host.end);
    }
}

/// Causes that a person can be blamed for by mistake are not among them.
pub(super) const MISSING: [GapCause; 3] = [GapCause::Network, GapCause::UnknownExtent, GapCause::Crash];
