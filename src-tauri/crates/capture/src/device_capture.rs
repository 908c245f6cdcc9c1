//! A device's worker: asks, receives, supervises. One step at a time, and no step waits.

use std::sync::mpsc;

use roomtone_protocol::ClockNs;
use roomtone_protocol::channel::{Alarm, AlarmKind};

use crate::attendant::{Attendant, Reply, Request};
use crate::line::Line;
use crate::sound_check::Complaint;
use crate::supervisor::{Order, Supervisor};
use crate::track::Track;
use crate::{CaptureError, CaptureEvent, DeviceProblem};

/// How often it is told that no device delivers: 1 s.
const QUIET_NS: i64 = 1_000_000_000;

/// A device that is opened now may begin with sound that it held already: 1 s, four times what Bluetooth does.
const HELD_NS: i64 = 1_000_000_000;

/// What the first attempt to open the device came to.
pub(crate) type FirstResult = mpsc::Sender<Result<(), CaptureError>>;

/// Captures from a device into a track.
pub(crate) struct DeviceCapture<A> {
    attendant: A,
    supervisor: Supervisor,
    track: Track,
    live: Option<Line>,
    /// Opened, and not proved yet.
    candidate: Option<Line>,
    /// Somebody opens one, and it may deliver already.
    opening: bool,
    /// When it is told next that no device delivers.
    quiet_at: ClockNs,
    /// Until the first stream was opened a missing device is an error; later any device is better than none.
    first: Option<FirstResult>,
    problem: Option<DeviceProblem>,
    /// The one that lasts.
    alarm: Option<AlarmKind>,
    name: String,
}

impl<A: Attendant> DeviceCapture<A> {
    pub(crate) fn new(attendant: A, track: Track, first: FirstResult, now: ClockNs) -> Self {
        let supervisor = Supervisor::new(now);
        let first = Some(first);
        let name = String::new();
        Self {
            attendant,
            supervisor,
            track,
            live: None,
            candidate: None,
            opening: false,
            quiet_at: now,
            first,
            problem: None,
            alarm: None,
            name,
        }
    }

    /// What happened since.
    pub(crate) fn poll_event(&mut self) -> Option<CaptureEvent> {
        self.track.poll_event()
    }

    pub(crate) fn set_muted(&mut self, muted: bool) {
        self.track.set_muted(muted);
    }

    /// Does what is due.
    pub(crate) fn step(&mut self, now: ClockNs) {
        while let Some(reply) = self.attendant.reply() {
            self.opening &= !matches!(reply, Reply::Opened(_));
            match reply {
                Reply::Opened(Ok(device)) => {
                    self.tell_first(Ok(()));
                    self.candidate = Some(Line::new(device, self.supervisor.cause()));
                    self.supervisor.opened(now);
                }
                Reply::Opened(Err(error)) => {
                    self.tell_first(Err(error.clone()));
                    let order = self.supervisor.failed_to_open(now, error);
                    self.carry_out(order);
                }
                Reply::Identified(Ok(identity)) => match &self.live {
                    Some(live) if live.device.identity != identity => self.supervisor.changed(now),
                    _ => self.supervisor.identified(now),
                },
                // What cannot be asked now is asked again; that sound still flows is what counts.
                Reply::Identified(Err(error)) => {
                    tracing::debug!(%error, "the system does not name its microphone");
                    self.supervisor.identified(now);
                }
            }
        }
        self.receive(now);
        let orders = self.supervisor.step(now);
        self.carry_out(orders);
        self.tell_quiet(now);
    }

    /// Ends it: everything that was captured comes out.
    pub(crate) fn finish(&mut self) {
        if let Some(live) = self.live.take().or_else(|| self.candidate.take()) {
            live.finish(&mut self.track);
        }
        self.track.end();
        self.candidate = None;
    }

    /// Without a stream there is nothing that sound could still come out of.
    fn tell_quiet(&mut self, now: ClockNs) {
        if self.live.is_none() && self.candidate.is_none() && !self.opening && now >= self.quiet_at {
            self.quiet_at = ClockNs(now.0.saturating_add(QUIET_NS));
            self.track.tell(CaptureEvent::Quiet { until: ClockNs(now.0.saturating_sub(HELD_NS)) });
        }
    }

    fn receive(&mut self, now: ClockNs) {
        if let Some(candidate) = &mut self.candidate {
            candidate.receive();
            // The same device opened again because it is silent is no better while it stays so.
            let no_better = self.live.as_ref().is_some_and(|live| {
                live.is_silent() && candidate.is_flat() && live.device.identity == candidate.device.identity
            });
            if candidate.has_sound() && !no_better {
                self.switch(now);
            }
        }
        let Some(live) = &mut self.live else { return };
        live.receive();
        live.deliver(&mut self.track);
        let failure = live.device.failure.get().cloned();
        let (silent, problem) = (live.is_silent(), blame(live));
        if let Some(at) = live.last_call {
            self.supervisor.delivered(at);
        }
        if let Some(error) = failure {
            let orders = self.supervisor.failed(now, error);
            self.carry_out(orders);
            return;
        }
        let order = self.supervisor.heard(now, silent);
        self.carry_out(order);
        if problem != self.problem {
            self.report(problem);
        }
    }

    /// The candidate delivers: it takes the live stream's place.
    fn switch(&mut self, now: ClockNs) {
        let Some(candidate) = self.candidate.take() else { return };
        if let Some(old) = self.live.take() {
            old.finish(&mut self.track);
        }
        self.supervisor.proved(now);
        self.name.clone_from(&candidate.device.identity.name);
        self.live = Some(candidate);
        self.report_device();
    }

    fn carry_out(&mut self, orders: impl IntoIterator<Item = Order>) {
        for order in orders {
            match order {
                Order::Open => {
                    self.opening = true;
                    self.attendant.request(Request::Open { any: self.first.is_none() });
                }
                Order::Identify => self.attendant.request(Request::Identify),
                // What it opens now, nobody takes.
                Order::GiveUp => {
                    self.opening = false;
                    self.attendant.give_up();
                }
                Order::DropCandidate => self.candidate = None,
                Order::DropLive => {
                    if let Some(live) = self.live.take() {
                        live.finish(&mut self.track);
                    }
                }
                Order::Report(problem) if self.problem.as_ref() == Some(&problem) => {}
                Order::Report(problem) => self.report(Some(problem)),
            }
        }
    }

    fn tell_first(&mut self, result: Result<(), CaptureError>) {
        if let Some(first) = self.first.take()
            && first.send(result).is_err()
        {
            tracing::debug!("whoever started the capture did not wait for its device");
        }
    }

    fn report_device(&mut self) {
        let problem = self.live.as_ref().and_then(blame);
        self.report(problem);
    }

    fn report(&mut self, problem: Option<DeviceProblem>) {
        self.problem.clone_from(&problem);
        let kind = problem.as_ref().map(DeviceProblem::kind);
        let (name, device) = (self.name.clone(), problem.clone());
        self.track.tell(CaptureEvent::Device { name, problem: device });
        if let Some(over) = self.alarm.filter(|&over| kind != Some(over)) {
            let message = format!("{}: this is over", self.name);
            self.track.tell(CaptureEvent::Alarm(Alarm { kind: over, active: false, message }));
        }
        if let (Some(kind), Some(problem)) = (kind, problem) {
            let message = problem.report().to_string();
            self.track.tell(CaptureEvent::Alarm(Alarm { kind, active: true, message }));
        }
        self.alarm = kind;
    }
}

/// What is wrong with a stream that delivers.
fn blame(live: &Line) -> Option<DeviceProblem> {
    let wanted = live.device.identity.instead_of.clone();
    match live.complaint() {
        Some(Complaint::Silent { ever_heard: false }) if live.device.hides_denial => Some(DeviceProblem::Withheld),
        Some(Complaint::Silent { .. }) => Some(DeviceProblem::Silent),
        Some(Complaint::Clipping) => Some(DeviceProblem::Clipping),
        Some(Complaint::Quiet) => Some(DeviceProblem::Quiet),
        None => wanted.map(|wanted| DeviceProblem::Replaced { wanted }),
    }
}

#[cfg(test)]
mod tests;
