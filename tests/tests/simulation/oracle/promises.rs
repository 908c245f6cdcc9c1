//! What people were promised: that a marker stands, that what they said is safe, that a crash costs a second at most.

use std::collections::BTreeSet;

use roomtone_protocol::{ClockNs, IndexRange, RecordingId, SampleIndex};
use roomtone_recorder::{Journal, Timeline, TimelineFrame};

use super::file::Recorded;
use super::{SEAM_NS, UNCALM_SEAM_NS};
use crate::clocks::{SECOND, True};
use crate::truth::RecordingTruth;
use crate::world::World;

/// How long somebody's clock is waited for behind a boot of the recorder's computer, and a second.
const UNPLACED_NS: i64 = 31 * SECOND;

/// Every marker stands once, where it was set. How many there are.
pub(super) fn marks_are_true(
    truth: &RecordingTruth,
    journal: &Journal,
    recorded: &Recorded,
    open_end: Option<ClockNs>,
) -> u64 {
    let timeline = Timeline::new(&journal.notes().intervals, open_end);
    // A boot may have moved the mark, and what it is counted from.
    let slack = 2.0 * (1.0 + recorded.boots_ns * 48e3 / 1e9);
    let mut found = BTreeSet::new();
    for marker in &journal.notes().markers {
        let mark = truth.marks.get(&marker.text).unwrap_or_else(|| panic!("nobody set {marker:?}"));
        assert!(found.insert(&marker.text), "{:?} stands twice", marker.text);
        let frame = timeline.to_file_or_next(TimelineFrame::at(marker.at)).0 as f64;
        let near = |&at: &True| (frame - recorded.frame_or_next(at)).abs() <= slack;
        let expected: Vec<_> = mark.set_at.iter().map(|&at| recorded.frame_or_next(at)).collect();
        assert!(
            mark.set_at.iter().any(near),
            "{marker:?} stands at frame {frame} instead of {expected:?}, and was set {mark:?}"
        );
    }
    for (text, mark) in truth.marks.iter().filter(|(_, mark)| mark.sure) {
        assert!(found.contains(text), "{text:?} is not there: {mark:?}");
    }
    found.len() as u64
}

/// The microphone beside the recorder goes down with it, and leaves all but the last second in its spool, or all that came
/// before the disk stopped taking anything; but for what comes before a clock that was booted has its place.
pub(crate) fn own_loss_is_small(world: &mut World, person: usize) {
    if world.people[person].program.is_none() {
        return;
    }
    let mut since = world.host.synced_at.min(world.now.plus(-SECOND));
    if world.host.boots > 0 && world.now.0 - world.host.started_at.0 <= UNPLACED_NS {
        // Its clock may have no place yet, and what is said has none either: it is in memory.
        since = since.min(world.host.started_at);
    }
    let mut loss = 0;
    for (&recording, truth) in world.truth.recordings.iter().filter(|(_, truth)| truth.versions == 0 && truth.runs()) {
        for (from, until) in truth.spans(world.now) {
            let said = world.truth.people[person].said.iter().rev().take_while(|said| said.from >= from);
            // What earlier runs lost was looked at when they died.
            let said = said.take_while(|said| said.segment.epoch.0 == world.people[person].epoch);
            let inside = said.filter(|said| until.0 - said.to.0 >= SEAM_NS || until == world.now);
            let lost = inside.filter(|said| !world.people[person].disk.holds(recording, said.segment, said.index));
            for said in lost.filter(|said| said.to <= until && said.from.0 - from.0 >= SEAM_NS) {
                loss += said.to.0 - said.from.0;
                let [at, synced_at] = [world.now, world.host.synced_at].map(True::as_seconds);
                // A packet is written when it is whole and encoded.
                assert!(
                    said.from >= since.plus(-2 * SEAM_NS),
                    "person {person}, {said}, died with the recorder at {at:.3} s, and the disk had synced at {synced_at:.3} s"
                );
            }
        }
    }
    world.figures.own_loss_ns = world.figures.own_loss_ns.max(loss);
}

/// Everything that somebody keeps of a recording is safe with the recorder: they were just told so, and may go.
pub(crate) fn all_is_safe(world: &World, recording: RecordingId, person: usize) {
    let truth = &world.truth.recordings[&recording];
    let one = &world.people[person];
    let said = &world.truth.people[person].said;
    // Where a recorder died, what was recorded ends with what it had heard.
    let spans = match truth.orphaned {
        Some(_) => truth.spans_in_file.clone(),
        None => truth.spans(truth.until.unwrap_or(world.now)),
    };
    for (from, until) in spans {
        let (from, until) = (from.plus(UNCALM_SEAM_NS), until.plus(-UNCALM_SEAM_NS));
        let first = said.partition_point(|said| said.from < from);
        for said in said[first..].iter().take_while(|said| said.to <= until) {
            let to = SampleIndex(said.index + 960);
            let range = IndexRange { segment: said.segment, from: SampleIndex(said.index), to };
            let lost = one.disk.holds(recording, said.segment, said.index)
                && !world.host.disk.is_safe(recording, one.id, range);
            assert!(!lost, "person {person}, {said}, is called safe, and a power cut would take it");
        }
    }
}
