//! Somebody who cannot be asked for their clock: what comes from them, and when, tells it.
//!
//! Behind a boot of the recorder's computer it waits, like questions and answers, until its clock has its place.

use roomtone_packets::{Arrival, Record, SenderReport};
use roomtone_protocol::{ClockNs, ParticipantId};

use super::{Desk, RecorderEnd};

impl RecorderEnd {
    /// A live packet came. `at` is on this run's own clock.
    pub(super) fn heard(
        &mut self,
        desk: &mut dyn Desk,
        participant: ParticipantId,
        timestamp: u32,
        opus: Vec<u8>,
        at: ClockNs,
    ) {
        let least = self.tracks.get_mut(&participant).and_then(|track| {
            let (segment, index, samples) = track.place(timestamp, &opus)?;
            track.arrivals.take(Arrival { segment, end: index.plus(u64::from(samples)), at })
        });
        if let Some(arrival) = least {
            self.learn(desk, participant, Record::Arrival(arrival));
        }
        self.media(desk, participant, timestamp, opus);
    }

    /// A sender report came: an RTP timestamp, and their clock at that sample. `at` is on this run's own clock.
    pub(super) fn report(
        &mut self,
        desk: &mut dyn Desk,
        participant: ParticipantId,
        (timestamp, sent): (u32, ClockNs),
        at: ClockNs,
        round_trip_ns: Option<u64>,
    ) {
        let track = self.tracks.get(&participant);
        // Before a segment is announced nobody knows which sample it is of.
        if let Some((segment, index)) = track.and_then(|track| track.clock.extend(timestamp)) {
            let report = SenderReport { segment, index, sent, at, round_trip_ns };
            self.learn(desk, participant, Record::Report(report));
        }
    }

    /// Something tells somebody's clock, on this run's own.
    pub(super) fn learn(&mut self, desk: &mut dyn Desk, participant: ParticipantId, heard: Record) {
        if let Some(placing) = &mut self.placing {
            return placing.hear(participant, heard);
        }
        let mut heard = heard;
        if let Record::Arrival(Arrival { at, .. }) | Record::Report(SenderReport { at, .. }) = &mut heard {
            *at = self.placement.on_timeline(*at);
        }
        self.measured(desk, participant, &heard);
    }
}
