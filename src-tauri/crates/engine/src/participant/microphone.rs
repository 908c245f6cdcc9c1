//! What the microphone says, and where it goes.

use roomtone_capture::{CaptureEvent, Note};
use roomtone_packets::MutedFrom;
use roomtone_protocol::channel::{Alarm, ToRecorder};

use super::{Output, PacketStore, ParticipantEnd};
use crate::events::ParticipantEvent;

impl<S: PacketStore> ParticipantEnd<S> {
    pub(super) fn captured(&mut self, event: CaptureEvent) {
        match event {
            CaptureEvent::Segment(segment) => {
                self.tell(ParticipantEvent::Microphone { device: segment.device.clone() });
                self.note(&Note::Segment(segment.clone()));
                self.segments.push(segment.clone());
                self.send(ToRecorder::Segment(segment));
            }
            CaptureEvent::Anchor(anchor) => {
                self.note(&Note::Anchor(anchor));
                self.anchors.insert(anchor.segment, anchor);
                self.send(ToRecorder::Anchor(anchor));
            }
            CaptureEvent::Packet { packet, captured_at } => {
                let taken = self.keeper.captured(&packet, captured_at);
                if taken.spooled.is_some_and(|spooled| self.spooled(spooled).is_some()) {
                    self.spool_takes();
                }
                if taken.live && self.linked {
                    // The low 32 bits of the index are its RTP timestamp (RFC 3550, section 5.1).
                    let timestamp = (packet.index.0 & u64::from(u32::MAX)) as u32;
                    self.outputs.push_back(Output::Media { timestamp, opus: packet.opus });
                }
            }
            CaptureEvent::Quiet { until } => self.keeper.heard(until),
            CaptureEvent::Hole(hole) => self.note(&Note::Hole(hole)),
            CaptureEvent::Muted { segment, from, muted } => {
                let edge = MutedFrom { segment, from, muted };
                self.note(&Note::Muted(edge));
                self.mutes.push(edge);
                self.send(ToRecorder::Muted { segment, from, muted });
            }
            CaptureEvent::Level { dbfs } => self.outputs.push_back(Output::Level(dbfs)),
            CaptureEvent::Device { name, problem: None } => {
                self.tell(ParticipantEvent::Microphone { device: name });
            }
            // What is wrong with it comes as an alarm.
            CaptureEvent::Device { problem: Some(_), .. } => {}
            CaptureEvent::Alarm(alarm) => self.alarm(alarm),
            CaptureEvent::Finished => {
                self.keeper.capture_over();
                self.send_inventories(false);
                if !self.stay {
                    self.nothing_more_to_say();
                }
            }
        }
    }

    /// Tells the person and, over this link and the next ones, the host.
    fn alarm(&mut self, alarm: Alarm) {
        let Alarm { kind, active, message } = alarm.clone();
        if active {
            self.alarms.insert(kind, alarm.clone());
        } else {
            self.alarms.remove(&kind);
        }
        self.tell(ParticipantEvent::Alarm { kind, participant: self.me, active, message });
        self.send(ToRecorder::Alarm(alarm));
    }

    fn note(&mut self, note: &Note) {
        let noted = self.keeper.note(note);
        self.spooled(noted);
    }
}
