//! What channels lack, told while it happens: somebody may say it again. The file's own account is the ledger's, from the
//! journal, when all is over; this one is quick, from what people hold and what has come.

use roomtone_protocol::channel::Inventory;
use roomtone_protocol::metadata::GapCause;
use roomtone_protocol::{ClockNs, ParticipantId, RecordingId};

use super::RecorderEnd;
use super::take::{OpenTake, TakeTrack};
use crate::events::HostEvent;

/// How often it is looked at: 1 s, as often as people say what they hold.
const LOOK_NS: i64 = 1_000_000_000;

/// Less than this of what somebody holds is here before anybody could read that it is missing: 1 s.
const ON_ITS_WAY_MS: u64 = 1_000;

/// Without a word of somebody for this long, what they say counts as missing: 3 s, of which the first second is usual.
const UNHEARD_NS: i64 = 3_000_000_000;

const NS_PER_MS: i64 = 1_000_000;
const SAMPLES_PER_MS: u64 = 48;

/// What the host was told that a channel lacks, in milliseconds, and when its person was heard last.
#[derive(Debug, Default)]
pub(super) struct Watched {
    heard_at: Option<ClockNs>,
    told: Vec<(GapCause, u64)>,
}

impl Watched {
    /// Something came from them.
    pub(super) fn heard(&mut self, now: ClockNs) {
        self.heard_at = self.heard_at.max(Some(now));
    }

    /// What is news: another cause, as much more or less of one as is worth a line, or that nothing is missing any more.
    fn news(&mut self, lacks: &[(GapCause, u64)]) -> Vec<(GapCause, u64)> {
        let of = |all: &[(GapCause, u64)], cause| all.iter().find(|of| of.0 == cause).map_or(0, |of| of.1);
        let mut causes: Vec<GapCause> = lacks.iter().map(|lack| lack.0).collect();
        causes.extend(self.told.iter().map(|told| told.0).filter(|&told| of(lacks, told) == 0));
        let mut news = Vec::new();
        for cause in causes {
            let (now, before) = (of(lacks, cause), of(&self.told, cause));
            // What may still come moves all the time; what never will does not.
            let step = if cause == GapCause::Network { ON_ITS_WAY_MS } else { 1 };
            if now.abs_diff(before) >= step || (now == 0) != (before == 0) {
                news.push((cause, now));
                self.told.retain(|told| told.0 != cause);
                self.told.extend((now > 0).then_some((cause, now)));
            }
        }
        news
    }
}

impl RecorderEnd {
    /// Tells the host what channels of recordings in progress lack, as far as it is news.
    pub(super) fn watch(&mut self) {
        let now = self.now.clock;
        if now < self.watch_at {
            return;
        }
        self.watch_at = ClockNs(now.0 + LOOK_NS);
        let mut news = Vec::new();
        for take in self.takes.values_mut().filter(|take| take.is_live() && take.until.is_none()) {
            let paused = matches!(take.cuts.last(), Some((_, None)));
            let OpenTake { recording, tracks, .. } = take;
            for (&participant, track) in tracks {
                let lacks = lacks(track, now, paused, self.links.contains_key(&participant));
                let told = track.watched.news(&lacks).into_iter();
                news.extend(told.map(|(cause, missing_ms)| gap(*recording, participant, cause, missing_ms)));
            }
        }
        news.into_iter().for_each(|event| self.tell(event));
    }
}

fn gap(recording: RecordingId, participant: ParticipantId, cause: GapCause, missing_ms: u64) -> HostEvent {
    HostEvent::Gap { recording, participant, cause, missing_ms }
}

/// What a track lacks now, by cause, in milliseconds.
fn lacks(track: &mut TakeTrack, now: ClockNs, paused: bool, linked: bool) -> Vec<(GapCause, u64)> {
    let inventory = track.backfill.inventory();
    // Who holds nothing more has nothing more to say, and a pause is nobody's gap.
    let silent = inventory.is_some_and(|inventory| inventory.complete) || track.left;
    if paused || (silent && linked) {
        track.watched.heard(now);
    }
    let heard_at = *track.watched.heard_at.get_or_insert(now);
    let unheard_ns = if track.left { 0 } else { now.0 - heard_at.0 };
    let unheard_ms = if unheard_ns >= UNHEARD_NS { unheard_ns / NS_PER_MS } else { 0 };
    let network = track.backfill.missing_samples(&track.received) / SAMPLES_PER_MS + unheard_ms.unsigned_abs();
    let mut lacks = Vec::new();
    if network >= ON_ITS_WAY_MS {
        lacks.push((GapCause::Network, network));
    }
    for cause in [GapCause::CaptureStall, GapCause::DeviceChange] {
        let missing = inventory.map_or(0, |inventory| holes_ms(inventory, cause));
        lacks.extend((missing > 0).then_some((cause, missing)));
    }
    lacks
}

/// What somebody's devices never delivered for a reason.
fn holes_ms(inventory: &Inventory, cause: GapCause) -> u64 {
    let holes = inventory.holes.iter().filter(|hole| hole.cause == cause);
    holes.map(|hole| hole.range.to.0.saturating_sub(hole.range.from.0)).fold(0, u64::saturating_add) / SAMPLES_PER_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hardly_changed_is_no_news_and_its_end_is() {
        let mut watched = Watched::default();
        let network = |ms| [(GapCause::Network, ms)];
        assert_eq!(watched.news(&[]), []);
        assert_eq!(watched.news(&network(1_200)), network(1_200));
        assert_eq!(watched.news(&network(1_900)), []);
        assert_eq!(watched.news(&network(2_200)), network(2_200));
        let stall = [(GapCause::Network, 2_200), (GapCause::CaptureStall, 40)];
        assert_eq!(watched.news(&stall), stall[1..]);
        assert_eq!(watched.news(&stall[1..]), network(0));
        assert_eq!(watched.news(&[(GapCause::CaptureStall, 41)]), [(GapCause::CaptureStall, 41)]);
    }
}
