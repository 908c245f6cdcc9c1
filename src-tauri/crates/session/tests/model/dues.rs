//! What happens by itself, by the model.

use std::time::Duration;

use roomtone_protocol::state::Presence;
use roomtone_session::{Output, Warning};

use super::rules::Model;

const SECOND: i64 = 1_000_000_000;

/// What the disk must never hold less of, in bytes.
const RESERVE: u64 = 64 << 20;

/// What everybody is told then.
const FILLED_UP: &str = "the host's disk filled up, and the recording was ended with all that was recorded; \
                         free some space on the host's computer, then start again";

impl Model {
    /// What is due up to now.
    pub(super) fn carry_out_due(&mut self) {
        let Some(current) = self.current else { return };
        let take = &self.takes[&current];
        let deserted = self.attended.max(take.begun) + self.config.grace.as_nanos() as i64;
        let limit = self.config.time_limit.map(|limit| limit.as_nanos() as i64);
        let limited = limit.filter(|_| take.runs()).map(|limit| {
            let (from, _) = take.stretches.last().expect("it runs");
            from + (limit - take.elapsed(*from)).max(0)
        });
        let over = limited.into_iter().chain((!self.attended_now()).then_some(deserted)).min();
        if let Some(over) = over.filter(|&over| over <= self.now) {
            self.end(over);
        } else if let Some(limit) = limit {
            let left = limit - take.elapsed(self.now);
            let steps = [300, 60].into_iter().filter(|step| step * SECOND < limit && left <= step * SECOND);
            if let Some(step) = steps.min()
                && self.take(current).limit_warnings.insert(step)
            {
                let warning = Warning::TimeLimit { left: Duration::from_nanos(left.max(0) as u64) };
                self.done.push(Output::Warning { recording: current, warning });
            }
        }
    }

    /// Milliseconds that the disk has room for.
    pub(super) fn disk_left(&self) -> Option<u64> {
        let channels = match self.current {
            Some(current) => self.channels.iter().filter(|(of, _)| *of == current).count(),
            None => self.p().into_iter().filter(|&p| self.track(p)).count(),
        };
        let a_second = channels.max(1) as u64 * (20_000 + 48_000 * u64::from(self.config.disk_bytes_per_sample));
        self.free.map(|free| free.saturating_sub(RESERVE) * 1_000 / a_second)
    }

    pub(super) fn disk_full(&self) -> bool {
        self.free.is_some_and(|free| free <= RESERVE)
    }

    pub(super) fn watch_disk(&mut self) {
        let (Some(recording), Some(left)) = (self.current, self.disk_left()) else { return };
        if self.disk_full() {
            self.end(self.now);
            self.cut_short.insert(recording, FILLED_UP.to_owned());
            self.done.push(Output::Warning { recording, warning: Warning::DiskFull });
            return;
        }
        let closest = [1_800, 300].into_iter().filter(|step| left <= step * 1_000).min();
        if let Some(step) = closest.map(|step| step as i64) {
            let given = &mut self.take(recording).disk_warnings;
            if given.iter().all(|&given| given > step) {
                given.insert(step);
                let warning = Warning::Disk { left: Duration::from_millis(left) };
                self.done.push(Output::Warning { recording, warning });
            }
        }
    }

    fn enough(&self) -> bool {
        let there = |&p: &_| self.track(p) && self.presence(p) == Presence::Present;
        let there = self.p().into_iter().filter(there).count();
        self.config.auto_record.is_some_and(|people| people > 0 && there >= people as usize)
    }

    /// Whether a recording is to begin by itself.
    pub(super) fn wants(&self) -> bool {
        let may = !self.session_active && !self.closed && self.config.recording_enabled && !self.disk_full();
        may && !self.held && self.enough()
    }

    pub(super) fn watch_people(&mut self) {
        self.held &= self.enough();
        let wants = self.wants();
        if wants && !self.asked {
            self.done.push(Output::WantsRecording);
        }
        self.asked = wants;
    }
}
