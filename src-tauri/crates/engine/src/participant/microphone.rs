//! What the microphone says, and where it goes.

use roomtone_capture::{CaptureEvent, DeviceProblem};
use roomtone_protocol::channel::ToRecorder;

use super::{Output, PacketStore, ParticipantEnd};
use crate::events::{AlarmKind, ParticipantEvent};

impl<S: PacketStore> ParticipantEnd<S> {
    pub(super) fn captured(&mut self, event: CaptureEvent) {
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
                if self.spooled(live) == Some(true) && self.linked {
                    // The low 32 bits of the index are its RTP timestamp (RFC 3550, section 5.1).
                    let timestamp = (packet.index.0 & u64::from(u32::MAX)) as u32;
                    self.outputs.push_back(Output::Media { timestamp, opus: packet.opus });
                }
            }
            CaptureEvent::Hole(hole) => self.keeper.hole(hole),
            CaptureEvent::Muted { segment, from, muted } => self.send(ToRecorder::Muted { segment, from, muted }),
            CaptureEvent::Level { dbfs } => self.outputs.push_back(Output::Level(dbfs)),
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
                    self.nothing_more_to_say();
                }
            }
        }
    }
}
