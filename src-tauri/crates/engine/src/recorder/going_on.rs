//! A recorder that was gone for less than the grace time goes on with what it was recording.
//!
//! Room, journal, channels and clocks are what they were; what people said meanwhile lies in their spools, and is asked
//! for like anything else that is missing. Where the computer was booted meanwhile, its clock began anew; the recording's
//! timeline goes on ([`super::placement`]).

use roomtone_packets::{Coverage, PlacedBy, Record};
use roomtone_protocol::{ClockNs, ParticipantId};
use roomtone_session::{Continued, Input as RoomInput};

use super::placement::Placement;
use super::placing::Placing;
use super::take::{OpenTake, TakeTrack};
use super::track::Track;
use super::{Desk, Moment, RecorderEnd};

/// What the journal of a recording in progress holds.
#[derive(Debug, Clone, PartialEq)]
pub struct GoingOn {
    /// The recording as the room knew it, on its own timeline.
    pub continued: Continued,
    /// Where this run's clock lies on that.
    pub placement: Placement,
    /// From which instant on an earlier run of this boot, whose clock had no place yet, noted its own; None if there was none.
    pub provisional: Option<ClockNs>,
    /// Pauses: from, until; None if it was paused.
    pub cuts: Vec<(ClockNs, Option<ClockNs>)>,
    /// What is there of each track: its samples, and the segments, anchors, measurements, decided maps and mutes that
    /// place them, in the order in which they were written.
    pub tracks: Vec<(ParticipantId, Coverage, Vec<Record>)>,
}

impl GoingOn {
    /// A moment of this run's clock, on the timeline of the recording.
    #[must_use]
    pub fn on_timeline(&self, moment: Moment) -> ClockNs {
        self.placement.on_timeline(moment.clock)
    }
}

impl RecorderEnd {
    /// Takes a recording up again. Its journal takes records already.
    pub(super) fn go_on(&mut self, desk: &mut dyn Desk, going_on: GoingOn) {
        let GoingOn { continued, placement, provisional, cuts, tracks } = going_on;
        // Whatever this run has noted by now, it has noted on its own clock.
        self.set_placement(placement, ClockNs(i64::MIN));
        if placement.by == Some(PlacedBy::Provisional) {
            let tracks = tracks.iter().map(|(participant, _, records)| (*participant, &records[..]));
            // An earlier run of the same boot may have noted something before it was killed.
            let since = provisional.unwrap_or(self.now.clock);
            self.placing = Some(Placing::new(placement, (continued.last_there, since), self.now.clock, tracks));
        }
        let mut take = OpenTake::new(continued.recording, continued.begun);
        (take.went_on, take.boots) = (true, placement.boots);
        take.cuts = cuts;
        take.channels.clone_from(&continued.channels);
        for &participant in &continued.channels {
            take.tracks.entry(participant).or_default();
        }
        for (participant, coverage, records) in tracks {
            let track: &mut Track = self.tracks.entry(participant).or_default();
            records.iter().for_each(|record| track.restore(record));
            track.arrived(&coverage);
            let track = TakeTrack { durable: coverage.clone(), received: coverage, ..TakeTrack::default() };
            take.tracks.insert(participant, track);
        }
        self.takes.insert(take.recording, take);
        self.note_epochs(desk);
        self.room(RoomInput::Continued(Box::new(continued)));
    }
}
