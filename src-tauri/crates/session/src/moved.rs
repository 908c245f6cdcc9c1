//! The recorder's clock was thought to lie elsewhere on the timeline than it does: it was booted in the middle of a
//! recording.

use roomtone_protocol::ClockNs;

use crate::current::Current;
use crate::ended::{Ended, Stage};
use crate::room::Room;

impl Room {
    /// What has happened from `since` on, and now, lies so much later; earlier if it is negative. The only way in which time
    /// can go back.
    pub fn clock_moved(&mut self, since: ClockNs, by_ns: i64) {
        let moved = |at: &mut ClockNs| {
            if *at >= since {
                at.0 = at.0.saturating_add(by_ns);
            }
        };
        self.instants().for_each(moved);
    }
}

impl Current {
    pub(crate) fn instants(&mut self) -> impl Iterator<Item = &mut ClockNs> {
        std::iter::once(&mut self.begun).chain(&mut self.running_since)
    }
}

impl Ended {
    pub(crate) fn instants(&mut self) -> impl Iterator<Item = &mut ClockNs> {
        let at = match &mut self.stage {
            Stage::Completed { at } | Stage::Cancelled { at } => Some(at),
            Stage::Finalizing | Stage::Uploading { .. } | Stage::Failed { .. } => None,
        };
        at.into_iter().chain(self.waits.as_mut().map(|(_, until)| until))
    }
}
