//! What the microphone says, and where it goes.

use roomtone_capture::{CaptureEvent, DeviceProblem};
use roomtone_protocol::channel::ToRecorder;

use super::engine::{Door, Engine, Goodbye, Next, Parting};
use crate::events::{AlarmKind, ParticipantEvent};

impl Engine {
    pub(super) fn captured(&mut self, event: CaptureEvent) -> Next {
        match event {
            CaptureEvent::Segment(segment) => {
                self.tell(ParticipantEvent::Microphone { device: segment.device.clone() });
                self.segments.push(segment.clone());
                self.send(ToRecorder::Segment(segment));
            }
            CaptureEvent::Anchor(anchor) => {
                self.anchors.insert(anchor.segment, anchor);
                self.send(ToRecorder::Anchor(anchor));
            }
            CaptureEvent::Packet { packet, captured_at } => {
                let live = self.keeper.captured(&packet, captured_at);
                if self.spooled(live) == Some(true)
                    && let Some(link) = &self.link
                {
                    // The low 32 bits of the index are its RTP timestamp (RFC 3550, section 5.1).
                    let timestamp = (packet.index.0 & u64::from(u32::MAX)) as u32;
                    if let Err(error) = link.link().send_media(timestamp, packet.opus.into()) {
                        tracing::debug!(%error, "the packet is asked for over the next link");
                    }
                }
            }
            CaptureEvent::Hole(hole) => self.keeper.hole(hole),
            CaptureEvent::Muted { segment, from, muted } => self.send(ToRecorder::Muted { segment, from, muted }),
            CaptureEvent::Level { dbfs } => match &self.door {
                Door::Relay(endpoint) => endpoint.send_level(dbfs),
                // A full queue only means that a newer level is on its way.
                Door::Local(levels) => drop(levels.try_send(dbfs)),
            },
            CaptureEvent::Device { name, problem } => {
                if let Some(problem) = problem {
                    let kind = match problem {
                        DeviceProblem::Silent => AlarmKind::SilentMic,
                        DeviceProblem::Stalled => AlarmKind::StalledCapture,
                        DeviceProblem::Failed(_) | DeviceProblem::Replaced { .. } => AlarmKind::DeviceLost,
                    };
                    let message = problem.report().to_string();
                    self.tell(ParticipantEvent::Alarm { kind, participant: self.me, message });
                } else {
                    self.tell(ParticipantEvent::Microphone { device: name });
                }
            }
            CaptureEvent::Finished => {
                self.keeper.capture_over();
                self.send_inventories(false);
                if !self.stay {
                    let parting = Parting::Leaving;
                    self.goodbye.get_or_insert(Goodbye { parting, until: None, done: Vec::new() });
                }
            }
        }
        Next::On
    }
}
