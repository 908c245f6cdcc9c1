//! Behind a boot of its computer, the recorder finds out where its new clock lies on the timeline.
//!
//! The wall clock has said it already, and the recording goes on. Until somebody's clock says it better, what is measured
//! waits here, for maps are decided once; edges and markers are moved when it is said, packets carry their own index.

use std::collections::{BTreeMap, VecDeque};

use roomtone_packets::{ClockExchange, PlacedBy, Record};
use roomtone_protocol::{ClockNs, ParticipantId};
use roomtone_recorder::{Across, TrackClock};

use super::placement::Placement;
use super::{Desk, RecorderEnd};

/// How long somebody's clock is waited for: 30 s. Links try again every 10 s at most, and a handshake that the network
/// swallowed takes 12 s. It is a quarter of what participants' pre-roll holds, so whoever is not told before misses nothing.
const PATIENCE_NS: i64 = 30_000_000_000;

/// What one clock has to be sure of to decide at once: 2 ms, as exactly as the first samples of a track are placed.
const SURE_NS: u64 = 2_000_000;

/// Further than this no clock moves what the wall clock says, however sure it is: 10 min, the grace time. Participants are
/// strangers, and nobody wants an hour of silence.
const MOST_NS: u64 = 600_000_000_000;

/// Exchanges of each participant that are looked at, the last ones: ten minutes tell what a clock's rate is.
const LOOKED_AT: usize = 600;

/// A clock that is being placed.
#[derive(Debug)]
pub(super) struct Placing {
    wall: Placement,
    earliest: ClockNs,
    since: ClockNs,
    until: ClockNs,
    before: BTreeMap<ParticipantId, TrackClock>,
    /// On this run's own clock, in order.
    measured: BTreeMap<ParticipantId, Vec<ClockExchange>>,
    /// What was heard meanwhile of those who cannot be asked, on this run's own clock, in order.
    heard: Vec<(ParticipantId, Record)>,
}

impl Placing {
    /// `wall` is what the wall clock says, `now` is on the timeline by it. Nothing of this boot lies before `earliest`, the
    /// last sign of life of the one before, and what is noted from `since` on is noted by the wall clock.
    pub(super) fn new<'a>(
        wall: Placement,
        (earliest, since): (ClockNs, ClockNs),
        now: ClockNs,
        tracks: impl Iterator<Item = (ParticipantId, &'a [Record])>,
    ) -> Self {
        let before = tracks.map(|(participant, records)| {
            let mut last = VecDeque::new();
            for record in records.iter().filter(|record| matches!(record, Record::ClockExchange(_))) {
                if last.len() == LOOKED_AT {
                    last.pop_front();
                }
                last.push_back(record);
            }
            let mut clock = TrackClock::default();
            last.iter().for_each(|record| clock.restore(record));
            (!last.is_empty()).then_some((participant, clock))
        });
        let before: BTreeMap<_, _> = before.flatten().collect();
        let until = ClockNs(now.0.saturating_add(PATIENCE_NS));
        Self { wall, earliest, since, until, before, measured: BTreeMap::new(), heard: Vec::new() }
    }

    /// Whether waiting longer can bring anything: not once the time is up, nor when everybody whose clock was known is
    /// back with a program that was started anew.
    pub(super) fn is_over(&self, now: ClockNs) -> bool {
        let is_new = |(participant, before): (&ParticipantId, &TrackClock)| {
            let last = self.measured.get(participant).and_then(|measured| measured.last());
            last.is_some_and(|exchange| !before.has_measured(exchange.epoch))
        };
        now >= self.until || self.before.iter().all(is_new)
    }

    /// A measurement, on this run's own clock.
    pub(super) fn measure(&mut self, participant: ParticipantId, exchange: ClockExchange) {
        self.measured.entry(participant).or_default().push(exchange);
    }

    /// Something was heard of somebody who cannot be asked: where this clock lies, it does not tell.
    pub(super) fn hear(&mut self, participant: ParticipantId, heard: Record) {
        self.heard.push((participant, heard));
    }

    /// What participants' clocks say, once one of them is sure.
    pub(super) fn sure(&self) -> Option<Placement> {
        self.by_participants().filter(|placed| placed.uncertainty_ns <= SURE_NS)
    }

    /// What is known by now.
    pub(super) fn best(&self) -> Placement {
        let by_wall = Placement { by: Some(PlacedBy::WallClock), ..self.wall };
        self.by_participants().filter(|placed| placed.uncertainty_ns < by_wall.uncertainty_ns).unwrap_or(by_wall)
    }

    fn by_participants(&self) -> Option<Placement> {
        let possible = self.measured.iter().filter_map(|(participant, measured)| {
            let across = self.before.get(participant)?.across(measured)?;
            let first = ClockNs(measured.first()?.t0.0.saturating_add(across.shift_ns));
            let doubt = i64::try_from(across.uncertainty_ns).ok()?;
            let goes_on = first.0.saturating_add(doubt) >= self.earliest.0;
            (goes_on && across.shift_ns.abs_diff(self.wall.shift_ns) <= MOST_NS).then_some(across)
        });
        let Across { shift_ns, uncertainty_ns } = agreed(&possible.collect::<Vec<_>>())?;
        Some(Placement { shift_ns, uncertainty_ns, by: Some(PlacedBy::Participants), ..self.wall })
    }
}

/// What most of them say who can all be right, the surest ones first.
fn agreed(told: &[Across]) -> Option<Across> {
    let fits = |one: &Across, other: &Across| {
        one.shift_ns.abs_diff(other.shift_ns) <= one.uncertainty_ns.saturating_add(other.uncertainty_ns)
    };
    let who_fits = |one: &Across| told.iter().filter(|other| fits(one, other)).copied().collect::<Vec<_>>();
    let camps = told.iter().map(|one| (*one, who_fits(one)));
    let (surest, camp) = camps.max_by_key(|(one, camp)| (camp.len(), std::cmp::Reverse(one.uncertainty_ns)))?;
    let (mut sum, mut weights) = (0.0, 0.0);
    for one in camp {
        let weight = (one.uncertainty_ns.max(1) as f64).powi(-2);
        sum += weight * one.shift_ns.saturating_sub(surest.shift_ns) as f64;
        weights += weight;
    }
    Some(Across { shift_ns: surest.shift_ns.saturating_add((sum / weights).round() as i64), ..surest })
}

impl RecorderEnd {
    /// Somebody's clock was compared with one that has no place yet. They are told no instants before it has.
    pub(super) fn measure(&mut self, desk: &mut dyn Desk, participant: ParticipantId, exchange: ClockExchange) {
        let Some(placing) = &mut self.placing else { return };
        placing.measure(participant, exchange);
        if let Some(placed) = placing.sure() {
            self.place(desk, placed);
        }
    }

    /// Time is up, or nobody is waited for any more.
    pub(super) fn place_by_now(&mut self, desk: &mut dyn Desk) {
        let ending = self.ending.is_some();
        if let Some(placing) = self.placing.as_ref().filter(|placing| ending || placing.is_over(self.now.clock)) {
            let placed = placing.best();
            self.place(desk, placed);
        }
    }

    /// From here on the clock has its place: what was noted by the wall clock is moved there, and what was measured counts.
    fn place(&mut self, desk: &mut dyn Desk, placed: Placement) {
        let Some(placing) = self.placing.take() else { return };
        let by_ns = placed.shift_ns.saturating_sub(self.placement.shift_ns);
        tracing::info!(by_ns, uncertainty_ns = placed.uncertainty_ns, by = ?placed.by, "the clock has its place");
        self.set_placement(placed, placing.since);
        self.takes.values_mut().for_each(|take| take.place(placing.since, by_ns));
        self.note_epochs(desk);
        for (participant, measured) in placing.measured {
            measured.into_iter().for_each(|exchange| self.exchange(desk, participant, exchange));
        }
        placing.heard.into_iter().for_each(|(participant, heard)| self.learn(desk, participant, heard));
    }

    /// The clock lies elsewhere on the timeline than was thought, and so does what has happened from `since` on.
    pub(super) fn set_placement(&mut self, placement: Placement, since: ClockNs) {
        self.room.clock_moved(since, placement.shift_ns.saturating_sub(self.placement.shift_ns));
        self.placement = placement;
        self.now.clock = placement.on_timeline(self.on_clock.clock);
        self.step_at = self.now.clock;
    }

    /// Tells the journals of what is recorded how this run's clock lies.
    pub(super) fn note_epochs(&mut self, desk: &mut dyn Desk) {
        self.wall_noted = self.on_clock;
        for take in self.takes.values_mut().filter(|take| take.is_live()) {
            let epoch = self.placement.epoch(&self.setup.run, self.on_clock, take.boots);
            take.note(desk, Record::Epoch(epoch));
        }
    }
}

#[cfg(test)]
mod tests;
