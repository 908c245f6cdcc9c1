//! A recorder that was gone for less than the grace time goes on with what it was recording.
//!
//! Room, journal, channels and clocks are what they were; what people said meanwhile lies in their spools, and is asked
//! for like anything else that is missing.

use roomtone_packets::{Coverage, Record};
use roomtone_protocol::{ClockNs, ParticipantId};
use roomtone_session::{Continued, Input as RoomInput};

use super::RecorderEnd;
use super::take::{OpenTake, TakeTrack};
use super::track::Track;

/// What the journal of a recording in progress holds.
#[derive(Debug, Clone, PartialEq)]
pub struct GoingOn {
    /// The recording as the room knew it.
    pub continued: Continued,
    /// Pauses: from, until; None if it was paused.
    pub cuts: Vec<(ClockNs, Option<ClockNs>)>,
    /// What is there of each track: its samples, and the segments, anchors, measurements, decided maps and mutes that
    /// place them, in the order in which they were written.
    pub tracks: Vec<(ParticipantId, Coverage, Vec<Record>)>,
}

impl RecorderEnd {
    /// Takes a recording up again. Its journal takes records already.
    pub(super) fn go_on(&mut self, going_on: GoingOn) {
        let GoingOn { continued, cuts, tracks } = going_on;
        let mut take = OpenTake::new(continued.recording, continued.begun);
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
        self.room(RoomInput::Continued(Box::new(continued)));
    }
}
