//! Keeps a microphone delivering: notices stalls, errors and changes, and decides when to open what. Pure.

use roomtone_protocol::ClockNs;
use roomtone_protocol::metadata::GapCause;

use crate::{CaptureError, DeviceProblem};

const MS: i64 = 1_000_000;

/// Without a call for this long a stream is suspect, and after twice that it is dead.
const SUSPECT_NS: i64 = 1_000 * MS;
const STALL_NS: i64 = 2_000 * MS;

/// A new stream must deliver within this time.
const PROVE_NS: i64 = 4_000 * MS;

/// The sound system must answer within this time.
const PATIENCE_NS: i64 = 10_000 * MS;

/// How often the system is asked whether the default device is another one: no backend tells reliably.
const POLL_NS: i64 = 3_000 * MS;

/// Between attempts to open a device: doubled each time, and the first is also what lets a change settle.
const FIRST_BACKOFF_NS: i64 = 250 * MS;
const LAST_BACKOFF_NS: i64 = 30_000 * MS;

/// Who has delivered for this long has earned a quick attempt again.
const PROBATION_NS: i64 = 10_000 * MS;

/// A stream of zeros is opened again: at once, then ever less often. Some systems give a program zeros while a call
/// takes the microphone over, and go on with it for a stream that was opened before.
const FIRST_SILENCE_NS: i64 = 1_000 * MS;

/// If the worker itself did not run for this long, silence proves nothing against the device.
const WORKER_PAUSE_NS: i64 = 500 * MS;

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Order {
    /// Open a stream beside the one there is, if there is one.
    Open,
    /// Ask which device would be opened now.
    Identify,
    /// The running stream is dead.
    DropLive,
    /// The new stream never delivered.
    DropCandidate,
    /// The sound system does not answer.
    GiveUp,
    /// Tell people.
    Report(DeviceProblem),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    /// None is under way.
    Idle,
    /// The next attempt comes then.
    Waiting { until: ClockNs },
    /// A stream is being opened.
    Opening { since: ClockNs },
    /// It is open and has delivered nothing yet.
    Proving { since: ClockNs },
}

#[derive(Debug)]
struct Live {
    since: ClockNs,
    last: ClockNs,
    suspect: bool,
}

/// The state of one participant's microphone.
#[derive(Debug)]
pub(crate) struct Supervisor {
    live: Option<Live>,
    renewal: Renewal,
    /// Why the next segment begins; None for the first.
    cause: Option<GapCause>,
    attempts: u32,
    /// How often a silent stream was to be opened again, and whether that is what is under way.
    silences: u32,
    for_silence: bool,
    next_poll: ClockNs,
    /// Since when the system has been asked.
    asked: Option<ClockNs>,
    last_step: ClockNs,
}

impl Supervisor {
    /// Opens at once.
    pub(crate) fn new(now: ClockNs) -> Self {
        Self {
            live: None,
            renewal: Renewal::Waiting { until: now },
            cause: None,
            attempts: 0,
            silences: 0,
            for_silence: false,
            next_poll: now,
            asked: None,
            last_step: now,
        }
    }

    /// Why the segment that begins now does.
    pub(crate) fn cause(&self) -> Option<GapCause> {
        self.cause
    }

    /// Time passed.
    pub(crate) fn step(&mut self, now: ClockNs) -> Vec<Order> {
        let mut orders = Vec::new();
        let pause = now.0 - self.last_step.0;
        self.last_step = now;
        if let Some(live) = &mut self.live {
            if pause > WORKER_PAUSE_NS {
                live.last.0 += pause;
            }
            let quiet = now.0 - live.last.0;
            if quiet >= STALL_NS {
                tracing::warn!(quiet_ms = quiet / MS, "microphone: live -> stalled");
                orders.extend(self.die(now, GapCause::CaptureStall, DeviceProblem::Stalled, 0));
            } else if quiet >= SUSPECT_NS && !live.suspect {
                tracing::info!(quiet_ms = quiet / MS, "microphone: live -> suspect");
                live.suspect = true;
            }
        }
        match self.renewal {
            Renewal::Waiting { until } if now >= until => {
                self.renewal = Renewal::Opening { since: now };
                orders.push(Order::Open);
            }
            Renewal::Opening { since } if now.0 - since.0 >= PATIENCE_NS => {
                orders.push(Order::GiveUp);
                orders.extend(self.failed_to_open(
                    now,
                    CaptureError::TimedOut { seconds: (PATIENCE_NS / MS / 1_000).unsigned_abs() },
                ));
            }
            Renewal::Proving { since } if now.0 - since.0 >= PROVE_NS => {
                orders.push(Order::DropCandidate);
                let reason = "it was opened and delivered nothing".to_owned();
                orders.extend(self.failed_to_open(now, CaptureError::Device { reason }));
            }
            Renewal::Idle if self.live.is_some() => match self.asked {
                Some(since) if now.0 - since.0 >= PATIENCE_NS => {
                    self.identified(now);
                    orders.push(Order::GiveUp);
                }
                None if now >= self.next_poll => {
                    self.asked = Some(now);
                    orders.push(Order::Identify);
                }
                _ => {}
            },
            _ => {}
        }
        orders
    }

    /// The stream was opened.
    pub(crate) fn opened(&mut self, now: ClockNs) {
        self.renewal = Renewal::Proving { since: now };
    }

    /// The stream could not be opened.
    pub(crate) fn failed_to_open(&mut self, now: ClockNs, error: CaptureError) -> Option<Order> {
        if std::mem::take(&mut self.for_silence) {
            tracing::info!(%error, "microphone: opened again, and still silent");
            (self.renewal, self.cause) = (Renewal::Idle, None);
            return None;
        }
        let backoff = FIRST_BACKOFF_NS.saturating_mul(1 << self.attempts.min(16)).min(LAST_BACKOFF_NS);
        tracing::info!(%error, retry_ms = backoff / MS, "microphone: not opened");
        self.renewal = Renewal::Waiting { until: ClockNs(now.0 + backoff) };
        self.attempts += 1;
        // While another one delivers, nobody needs to know; and what only a person can mend is told in any case.
        let known = self.attempts > 1 && !matches!(error, CaptureError::Denied { .. });
        (self.live.is_none() && !known).then_some(Order::Report(DeviceProblem::Failed(error)))
    }

    /// The new stream delivers: it is the live one from now on.
    pub(crate) fn proved(&mut self, now: ClockNs) {
        tracing::info!("microphone: live");
        self.live = Some(Live { since: now, last: now, suspect: false });
        self.renewal = Renewal::Idle;
        self.cause = None;
        self.for_silence = false;
        self.asked = None;
        self.next_poll = ClockNs(now.0 + POLL_NS);
    }

    /// The live stream delivered at `at`.
    pub(crate) fn delivered(&mut self, at: ClockNs) {
        let Some(live) = &mut self.live else { return };
        if live.suspect && at > live.last {
            tracing::info!("microphone: suspect -> live");
            live.suspect = false;
        }
        live.last = live.last.max(at);
        if at.0 - live.since.0 >= PROBATION_NS {
            self.attempts = 0;
        }
    }

    /// The live stream delivers nothing but zeros, or something else. A silent one is opened again, beside itself.
    pub(crate) fn heard(&mut self, now: ClockNs, silent: bool) -> Option<Order> {
        self.live.as_ref()?;
        if silent {
            if self.renewal == Renewal::Idle {
                let backoff = FIRST_SILENCE_NS.saturating_mul(1 << self.silences.min(16)).min(LAST_BACKOFF_NS);
                self.silences += 1;
                self.for_silence = true;
                self.cause = Some(GapCause::CaptureStall);
                self.renewal = Renewal::Waiting { until: ClockNs(now.0 + backoff) };
            }
            return None;
        }
        self.silences = 0;
        // What is being opened just now is dropped as soon as it is open.
        if !self.for_silence || matches!(self.renewal, Renewal::Opening { .. }) {
            return None;
        }
        let open = matches!(self.renewal, Renewal::Proving { .. });
        (self.renewal, self.cause, self.for_silence) = (Renewal::Idle, None, false);
        open.then_some(Order::DropCandidate)
    }

    /// The live stream reported an error.
    pub(crate) fn failed(&mut self, now: ClockNs, error: CaptureError) -> [Order; 2] {
        tracing::warn!(%error, "microphone: live -> failed");
        self.die(now, GapCause::DeviceChange, DeviceProblem::Failed(error), FIRST_BACKOFF_NS)
    }

    /// The system answered: the device that would be opened now is the one that is open.
    pub(crate) fn identified(&mut self, now: ClockNs) {
        self.asked = None;
        self.next_poll = ClockNs(now.0 + POLL_NS);
    }

    /// The device that would be opened now is another one, or runs otherwise. The live one goes on until it delivers.
    pub(crate) fn changed(&mut self, now: ClockNs) {
        self.identified(now);
        if self.renewal == Renewal::Idle {
            tracing::info!("microphone: the device changed");
            self.cause = Some(GapCause::DeviceChange);
            self.renewal = Renewal::Waiting { until: now };
        }
    }

    fn die(&mut self, now: ClockNs, cause: GapCause, problem: DeviceProblem, pause_ns: i64) -> [Order; 2] {
        self.live = None;
        self.asked = None;
        self.cause = Some(cause);
        let waited = matches!(self.renewal, Renewal::Waiting { .. });
        if (std::mem::take(&mut self.for_silence) && waited) || self.renewal == Renewal::Idle {
            // A device that dies again and again is not opened in a tight loop.
            let backoff = if self.attempts == 0 { pause_ns } else { FIRST_BACKOFF_NS << self.attempts.min(7) };
            self.renewal = Renewal::Waiting { until: ClockNs(now.0 + backoff.min(LAST_BACKOFF_NS)) };
            self.attempts += 1;
        }
        [Order::DropLive, Order::Report(problem)]
    }
}

#[cfg(test)]
mod tests;
